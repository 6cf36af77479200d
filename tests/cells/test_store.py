"""The store keeps what it was given, notices what is no longer that, and belongs to one writer a cell."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmark import files as files_command
from benchmark.cells.keys import canonical, key_of
from benchmark.cells.released import export
from benchmark.cells.store import Busy, Damaged, Store, clean
from benchmark.config.model import ModelSpec
from benchmark.errors import ConfigError
from benchmark.files import as_system_error, digest, no_room
from benchmark.files import put as files_put
from benchmark.ranking import candidates

ROOT = Path(__file__).resolve().parents[2]
ARRAYS = {"features": np.arange(12, dtype=np.float32).reshape(3, 4), "ids": np.array([3, 1, 2])}
SPECS = {key_of(spec): spec for spec in ({"cell": number} for number in range(3))}
KEY, SECOND, THIRD = SPECS


def put(store: Store, stage: str = "probe", key: str = KEY, oracle: float = 1.5) -> Path:
    store.write(stage, key, SPECS.get(key, {}), {"oracle": oracle}, {"seconds": 2.0}, ARRAYS)
    return store.cache / stage / key


def python(code: str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def command(*overrides: str) -> subprocess.CompletedProcess:
    call = [sys.executable, "-m", "benchmark.store", *overrides]
    return subprocess.run(call, cwd=ROOT, capture_output=True, text=True)


HOLD = """
    import sys, time
    from pathlib import Path
    from benchmark.cells.store import Store
    with Store(Path(sys.argv[1])).claim(sys.argv[2]):
        print("held", flush=True)
        time.sleep(60)
"""


def test_keys_are_sha256_of_canonical_json():
    assert canonical({"b": [1, 0.1], "a": "é"}) == '{"a":"\\u00e9","b":[1,0.1]}'
    # printf '{"a":1}' | sha256sum
    assert key_of({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    with pytest.raises(ValueError):
        key_of({"a": float("nan")})


def test_a_cell_reads_back_as_it_was_written(tmp_path):
    store = Store(tmp_path)
    assert not store.has("probe", KEY)
    put(store)
    entry = Store(tmp_path).read("probe", KEY)
    assert entry.values == {"oracle": 1.5}
    assert entry.record == {"seconds": 2.0}
    for name, expected in ARRAYS.items():
        np.testing.assert_array_equal(entry.arrays[name], expected)
        assert entry.arrays[name].dtype == expected.dtype
    assert json.loads((tmp_path / "probe" / KEY / "spec.json").read_text()) == SPECS[KEY]
    assert not list((tmp_path / "unfinished").iterdir())


def test_same_values_give_the_same_bytes(tmp_path):
    one, two = put(Store(tmp_path / "1")), put(Store(tmp_path / "2"))
    for name in ("values.json", "arrays.safetensors", "spec.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_an_unfinished_cell_is_no_cell(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(TypeError):  # dies after spec.json
        store.write("probe", KEY, {}, {"value": object()}, {})
    assert not store.has("probe", KEY)
    assert len(list((tmp_path / "unfinished").iterdir())) == 1
    put(store)  # the same process may try again
    assert store.read("probe", KEY).values == {"oracle": 1.5}


def test_a_workspace_becomes_the_cell(tmp_path):
    store = Store(tmp_path)
    made = store.workspace(KEY)
    (made / "images.bin").write_bytes(b"12345")
    store.write("pack", KEY, SPECS[KEY], {}, {}, made=made)
    assert (store.folder("pack", KEY) / "images.bin").read_bytes() == b"12345"
    assert not made.exists()


def _truncate(folder: Path) -> None:
    file = folder / "arrays.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def _flip_one_bit(folder: Path) -> None:
    content = bytearray((folder / "arrays.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "arrays.safetensors").write_bytes(content)


def _change(folder: Path, change) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _exchange(folder: Path, key: str) -> None:
    """Put another whole cell in a cell's place."""
    other = put(Store(folder.parents[1]), folder.parent.name, key, oracle=2.5)
    shutil.rmtree(folder)
    other.rename(folder)


DAMAGE = {
    "truncated": (_truncate, "bytes, not"),
    "altered": (_flip_one_bit, "another checksum"),
    "missing": (lambda f: (f / "values.json").unlink(), "values.json is missing"),
    "manifest cut": (lambda f: (f / "manifest.json").write_text('{"schema": 1, "fil'), "line 1"),
    "manifest empty": (lambda f: (f / "manifest.json").write_text('{"schema": 1, "files": {}}'), "manifest lacks"),
    "manifest a list": (lambda f: (f / "manifest.json").write_text("[]"), "list indices"),
    "manifest odd": (
        lambda f: (f / "manifest.json").write_text(
            '{"schema": 1, "files": {"spec.json": 1, "values.json": 1, "record.json": 1}}'
        ),
        "not subscriptable",
    ),
    "manifest deep": (lambda f: (f / "manifest.json").write_text("[" * 100_000), "recursion"),
    "files a list": (lambda f: (f / "manifest.json").write_text('{"schema": 1, "files": [1]}'), "no attribute 'keys'"),
    "newer": (lambda f: _change(f, lambda m: m.update(schema=2)), r"it is of schema 2, not of 1 or older"),
    "no schema": (lambda f: _change(f, lambda m: m.pop("schema")), r"it is of schema None"),
    "schema true": (lambda f: _change(f, lambda m: m.update(schema=True)), r"it is of schema True"),
    "schema text": (lambda f: _change(f, lambda m: m.update(schema="1")), r"it is of schema '1'"),
    "way out": (
        lambda f: _change(f, lambda m: m["files"].update({"../../x": {}})),
        r"its manifest names '\.\./\.\./x'",
    ),
    "another cell": (lambda f: _exchange(f, SECOND), "its specification is that of another cell"),
    "manifest binary": (lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe\x00"), "decode"),
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("way", ["read", "folder"])
def test_damage_is_noticed_named_and_set_aside(tmp_path, how, way):
    harm, why = DAMAGE[how]
    harm(put(Store(tmp_path)))
    store = Store(tmp_path)
    assert store.has("probe", KEY)
    with pytest.raises(Damaged, match=why) as caught:
        getattr(store, way)("probe", KEY)
    assert (caught.value.stage, caught.value.key) == ("probe", KEY)
    assert str(caught.value).startswith(f"probe cell {KEY[:12]} is damaged (")
    assert not store.has("probe", KEY)
    assert (tmp_path / "damaged" / f"probe-{KEY}").is_dir()
    put(store)  # made again by the same process
    assert store.read("probe", KEY).values == {"oracle": 1.5}


def test_a_cell_without_its_manifest_is_made_again(tmp_path):
    store = Store(tmp_path)
    (put(store) / "manifest.json").unlink()
    assert not store.has("probe", KEY)
    put(store, oracle=2.5)
    assert store.read("probe", KEY).values == {"oracle": 2.5}


def test_damage_after_repair_is_noticed_by_the_same_process(tmp_path):
    store = Store(tmp_path)
    (put(store) / "values.json").write_text("{}")  # arrays.safetensors is found intact before
    with pytest.raises(Damaged):
        store.read("probe", KEY)
    _flip_one_bit(put(store))
    with pytest.raises(Damaged, match=r"arrays\.safetensors"):
        store.read("probe", KEY)


def test_two_readers_of_one_damaged_cell_both_learn_of_it(tmp_path):
    _truncate(put(Store(tmp_path)))
    first, second = Store(tmp_path), Store(tmp_path)
    folder = second._folder("probe", KEY)
    with pytest.raises(Damaged):
        first.read("probe", KEY)
    with pytest.raises(Damaged):  # was on its way to it when the other one set it aside
        second._verify_folder("probe", KEY, folder)
    with pytest.raises(Damaged, match="gone"):
        second.read("probe", KEY)
    assert (tmp_path / "damaged" / f"probe-{KEY}").is_dir()


def test_a_finished_cell_is_not_overwritten(tmp_path):
    store = Store(tmp_path)
    put(store)
    before = (tmp_path / "probe" / KEY / "record.json").stat()
    put(store, oracle=9.0)
    assert store.read("probe", KEY).values == {"oracle": 1.5}
    assert (tmp_path / "probe" / KEY / "record.json").stat().st_mtime_ns == before.st_mtime_ns


# layers


@pytest.fixture
def released(tmp_path) -> Path:
    """A released layer: a weights folder and a zip file of two probes."""
    store = Store(tmp_path / "origin")
    for stage, key in (("weights", KEY), ("probe", KEY), ("probe", SECOND)):
        put(store, stage, key)
    export(store, {"weights": [KEY], "probe": [SECOND, KEY]}, tmp_path / "released")
    return tmp_path / "released"


def test_released_cells_are_read_without_a_copy(tmp_path, released):
    store = Store(tmp_path / "cache", released)
    for stage in ("weights", "probe"):
        assert store.has(stage, KEY)
        entry = store.read(stage, KEY)
        assert entry.values == {"oracle": 1.5}
        np.testing.assert_array_equal(entry.arrays["features"], ARRAYS["features"])
    assert store.folder("weights", KEY) == released / "weights" / KEY
    assert not (tmp_path / "cache").exists()
    assert not Store(tmp_path / "cache").has("probe", KEY)


def test_a_zipped_cell_is_unpacked_when_a_folder_is_needed(tmp_path, released):
    store = Store(tmp_path / "cache", released)
    folder = store.folder("probe", KEY)
    assert folder == tmp_path / "cache" / "probe" / KEY
    for path in (tmp_path / "origin" / "probe" / KEY).iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()
    assert store.folder("probe", KEY) == folder


def test_the_cache_lies_over_the_released_layer(tmp_path, released):
    store = Store(tmp_path / "cache", released)
    for stage in ("weights", "probe"):
        put(store, stage, oracle=7.0)
        assert store.read(stage, KEY).values == {"oracle": 7.0}
    (tmp_path / "cache" / "probe" / KEY / "values.json").write_text("{}")
    with pytest.raises(Damaged):
        Store(tmp_path / "cache", released).read("probe", KEY)
    assert Store(tmp_path / "cache", released).read("probe", KEY).values == {"oracle": 1.5}


def test_a_damaged_release_is_an_error_that_says_what_to_do(tmp_path, released):
    _truncate(released / "weights" / KEY)
    with pytest.raises(ConfigError, match=r"released weights cell .* Restore it from git"):
        Store(tmp_path / "cache", released).read("weights", KEY)
    assert (released / "weights" / KEY).is_dir()
    archive = bytearray((released / "probe.zip").read_bytes())
    with zipfile.ZipFile(released / "probe.zip") as zipped:
        info = zipped.getinfo(f"{KEY}/values.json")
    archive[info.header_offset + 30 + len(info.filename) + 2] ^= 255
    (released / "probe.zip").write_bytes(archive)
    with pytest.raises(ConfigError, match=r"released probe.zip is damaged .* Restore it from git"):
        Store(tmp_path / "cache", released).read("probe", KEY)
    (released / "probe.zip").write_bytes(archive[:-40])
    with pytest.raises(ConfigError, match=r"released probe.zip is damaged"):
        Store(tmp_path / "cache", released).has("probe", KEY)


def test_export_is_the_same_bytes_each_time_and_from_the_release_itself(tmp_path, released):
    keys = {"weights": [KEY], "probe": [KEY, SECOND]}
    time.sleep(0.01)
    size = export(Store(tmp_path / "origin"), keys, tmp_path / "second")
    export(Store(tmp_path / "elsewhere", released), keys, tmp_path / "third")
    names = sorted(p.relative_to(released) for p in released.rglob("*") if p.is_file())
    for copy in ("second", "third"):
        assert sorted(p.relative_to(tmp_path / copy) for p in (tmp_path / copy).rglob("*") if p.is_file()) == names
        for name in names:
            assert (tmp_path / copy / name).read_bytes() == (released / name).read_bytes()
    assert size == sum((released / name).stat().st_size for name in names)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_export_adds_to_a_layer_and_what_is_released_keeps_its_bytes(tmp_path, released):
    before, store = files(released), Store(tmp_path / "cache", released)
    put(store, "probe", KEY, oracle=7.0)  # made again here, with another result
    put(store, "weights", THIRD)
    put(store, "truth", KEY)
    assert store.released_keys("probe") == {KEY, SECOND}
    size = export(store, {"weights": [THIRD], "probe": [KEY], "truth": [KEY]}, released)
    after = files(released)
    assert size == sum(map(len, after.values()))
    assert before.items() <= after.items()
    layer = Store(tmp_path / "none", released)
    assert {s: layer.released_keys(s) for s in ("weights", "probe", "truth")} == {
        "weights": {KEY, THIRD},
        "probe": {KEY, SECOND},
        "truth": {KEY},
    }
    put(Store(tmp_path / "origin"), "weights", THIRD)  # the same cells at once, from where they were made
    put(Store(tmp_path / "origin"), "truth", KEY)
    keys = {"truth": [KEY], "probe": [KEY, SECOND], "weights": [THIRD, KEY]}
    export(Store(tmp_path / "origin"), keys, tmp_path / "once")
    assert files(tmp_path / "once") == after
    export(Store(tmp_path / "none", released), {"weights": [], "probe": [SECOND]}, released, drop=True)
    layer = Store(tmp_path / "none", released)
    assert [layer.released_keys(s) for s in ("weights", "probe", "truth")] == [set(), {SECOND}, {KEY}]


def test_an_export_that_ends_midway_loses_nothing(tmp_path, released, monkeypatch):
    before, store = files(released), Store(tmp_path / "cache", released)
    for stage in ("weights", "probe", "truth"):
        put(store, stage, THIRD)
    keys = {stage: [THIRD] for stage in ("weights", "probe", "truth")}
    _truncate(tmp_path / "cache" / "truth" / THIRD)
    for drop in (False, True):
        with pytest.raises(Damaged):  # the third stage, when two are made
            export(store, keys, released, drop)
        assert files(released) == before
    put(store, "truth", THIRD)

    def interrupted(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)  # between the weights and the zip files
    with pytest.raises(KeyboardInterrupt):
        export(store, keys, released, drop=True)
    assert before.items() < files(released).items()
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]


# claims


def test_a_claim_excludes_other_processes_and_ends_with_its_process(tmp_path):
    holder = python(HOLD, tmp_path, KEY)
    try:
        assert holder.stdout.readline() == "held\n"
        store = Store(tmp_path)
        with pytest.raises(Busy), store.claim(KEY):
            pass
        with store.claim(SECOND):  # another cell is free
            pass
        holder.kill()
        holder.wait()
        with store.claim(KEY):
            pass
    finally:
        holder.kill()
        holder.wait()
    assert not list((tmp_path / "claims").iterdir())


def test_a_claim_excludes_its_own_process(tmp_path):
    one, two = Store(tmp_path), Store(tmp_path)
    with one.claim(KEY):
        for store in (one, two):
            with pytest.raises(Busy), store.claim(KEY):
                pass
    with two.claim(KEY):
        pass


def test_claims_never_overlap_under_contention(tmp_path):
    """Six processes each add 1 to a number 30 times, read and write apart: a lost update shows an overlap."""
    code = """
        import sys, time
        from pathlib import Path
        from benchmark.cells.store import Busy, Store
        folder, done = Path(sys.argv[1]), 0
        store, number = Store(folder), folder / "number"
        while done < 30:
            try:
                with store.claim("ab"):
                    now = int(number.read_text())
                    time.sleep(0.0005)
                    number.write_text(str(now + 1))
                done += 1
            except Busy:
                pass
    """
    (tmp_path / "number").write_text("0")
    crowd = [python(code, tmp_path) for _ in range(6)]
    for process in crowd:
        assert process.wait(60) == 0, process.stderr.read()
    assert (tmp_path / "number").read_text() == "180"


def test_clean_removes_what_the_dead_left_and_nothing_of_the_living(tmp_path):
    living, dead = python(HOLD, tmp_path, "a1"), python(HOLD, tmp_path, "b2")
    try:
        assert living.stdout.readline() == dead.stdout.readline() == "held\n"
        for name in ("a1.1", "a1.made", "b2.1", "b2.made"):
            (tmp_path / "unfinished" / name).mkdir(parents=True)
            (tmp_path / "unfinished" / name / "half").write_text("x")
        (tmp_path / "unfinished" / "schema.7").write_text("{")
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        clean(Store(tmp_path))
        assert sorted(p.name for p in (tmp_path / "unfinished").iterdir()) == ["a1.1", "a1.made"]
    finally:
        for process in (living, dead):
            process.kill()
            process.wait()


# files beside the cells


def test_another_runs_clean_takes_nothing_that_is_being_written(tmp_path, monkeypatch):
    """The other run starts at the worst moment: whenever a file has been written and is not in its place."""
    written = Path.write_bytes

    def then_another_run_starts(path: Path, content: bytes) -> int:
        count = written(path, content)
        clean(Store(tmp_path))
        return count

    monkeypatch.setattr(Path, "write_bytes", then_another_run_starts)
    monkeypatch.setattr(Path, "write_text", lambda path, text, **_: then_another_run_starts(path, text.encode()))
    store = Store(tmp_path)
    with store.claim(KEY):
        put(store)
    assert store.read("probe", KEY).values == {"oracle": 1.5}
    assert json.loads((tmp_path / "schema.json").read_text()) == {"schema": 1}


def test_sizes_of_models_are_whole_or_as_before(tmp_path, monkeypatch):
    facts = {"parameters": 5, "outputs": 7}
    monkeypatch.setattr(candidates, "measured_sizes", lambda model: facts)
    one, two = (ModelSpec(name="m", arch=arch, weights="random", layers=1) for arch in ("x", "y"))
    store = Store(tmp_path / "cache")
    assert candidates.sizes(one, store) == facts
    before = (store.cache / "sizes.json").read_text()

    def half(path: Path, content: bytes | str, **_: str) -> None:  # the disk is full, or the process dies
        with path.open("w") as file:
            file.write(before[:20])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        for name in ("write_text", "write_bytes"):
            patched.setattr(Path, name, half)
        with pytest.raises(OSError, match="No space"):
            candidates.sizes(two, store)
    assert (store.cache / "sizes.json").read_text() == before
    assert candidates.sizes(two, store) == facts
    assert len(json.loads((store.cache / "sizes.json").read_text())) == 2


# schema and command


def test_a_newer_schema_is_refused(tmp_path):
    put(Store(tmp_path))
    assert json.loads((tmp_path / "schema.json").read_text()) == {"schema": 1}
    (tmp_path / "schema.json").write_text('{"schema": 2}')
    with pytest.raises(ConfigError, match=r"schema 1 or older. Got a newer one"):
        Store(tmp_path)
    refused = command(f"cache={tmp_path}")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: paths.cache must be of schema 1")


def test_the_command_shows_and_prunes(tmp_path):
    store = Store(tmp_path)
    for stage, key in (("probe", "aa"), ("probe", "bb"), ("truth", "cc"), ("score", "dd")):
        put(store, stage, key)
    (tmp_path / "unfinished" / "ee.1").mkdir()
    shown = command(f"cache={tmp_path}", "released=null")
    assert shown.returncode == 0
    lines = {line.split()[0]: line.split()[1] for line in shown.stdout.splitlines()}
    assert (lines["probe"], lines["truth"], lines["score"], lines["unfinished"]) == ("2", "1", "1", "1")
    assert "removed" not in shown.stdout

    long_ago = time.time() - 10 * 86400
    os.utime(tmp_path / "probe" / "aa", (long_ago, long_ago))
    pruned = command(f"cache={tmp_path}", "released=null", "prune=[probe,unfinished]", "unused_days=5")
    assert "removed 1 cells" in pruned.stdout
    assert not store.has("probe", "aa")
    assert store.has("probe", "bb")
    assert not list((tmp_path / "unfinished").iterdir())
    command(f"cache={tmp_path}", "prune=[probe,score]")
    assert [store.has(s, k) for s, k in (("probe", "bb"), ("score", "dd"), ("truth", "cc"))] == [False, False, True]

    wrong = command(f"cache={tmp_path}", "prune=[prob]")
    assert (wrong.returncode, wrong.stderr) == (2, "error: prune must name stages. Got 'prob'. Did you mean 'probe'?\n")


def test_the_command_shows_the_released_layer(tmp_path, released):
    (tmp_path / "empty").mkdir()
    shown = command(f"cache={tmp_path}/empty", f"released={released}")
    size = sum(p.stat().st_size for p in released.rglob("*") if p.is_file()) / 1e6
    assert f"released: 1 weights, 2 probe, {size:.1f} MB" in shown.stdout
    assert not (tmp_path / "none").exists()


def test_digest_is_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert digest(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# what is not what it says


def test_a_cell_under_anothers_name_is_made_again_everywhere(tmp_path, released):
    store = Store(tmp_path / "cache")
    one, two = put(store), put(store, key=SECOND, oracle=2.5)
    one.rename(tmp_path / "x")
    two.rename(one)
    (tmp_path / "x").rename(two)
    for key in (KEY, SECOND):
        with pytest.raises(Damaged, match="its specification is that of another cell"):
            Store(tmp_path / "cache").read("probe", key)
    (released / "weights" / KEY).rename(released / "weights" / SECOND)
    with pytest.raises(ConfigError, match=rf"weights cell {SECOND[:12]} is damaged \(its specification is that"):
        Store(tmp_path / "none", released).read("weights", SECOND)
    files_command = Store(tmp_path / "origin").files("probe", KEY)
    content = {name: part if isinstance(part, bytes) else part.read_bytes() for name, part in files_command.items()}
    with pytest.raises(Damaged, match="that of another cell"):
        store.adopt("probe", THIRD, content)
    with pytest.raises(Damaged, match="it has other files than its manifest"):
        store.adopt("probe", KEY, content | {"../../stray": b"x"})
    assert not store.has("probe", KEY)
    assert not list(tmp_path.rglob("stray"))


def test_specifications_are_the_same_once_they_have_been_a_file():
    """JSON has text for keys, and sorts `10` before `9`."""
    spec = {"parameters": {9: 1.0, 10: (1, 2), None: 0}}
    assert key_of(spec) == key_of(json.loads(json.dumps(spec, indent=1)))
    assert key_of(spec) == key_of({"parameters": {"10": [1, 2], "9": 1.0, "null": 0}})


@pytest.mark.parametrize(
    ("name", "link", "why"),
    [
        ("{key}/../../stray", False, "not <key>/<file>"),
        ("../{key}/values.json", False, "not <key>/<file>"),
        ("/{key}/values.json", False, "not <key>/<file>"),
        ("{key}//etc/stray", False, "not <key>/<file>"),
        ("{key}/..", False, "not <key>/<file>"),
        ("{key}/a\\stray", False, "not <key>/<file>"),
        ("stray", False, "not <key>/<file>"),
        ("{key}/link", True, "a link"),
        ("{key}/values.json", False, "a second one"),
    ],
)
def test_a_release_that_would_write_elsewhere_is_refused(tmp_path, released, name, link, why):
    with zipfile.ZipFile(released / "probe.zip", "a") as archive, warnings.catch_warnings(action="ignore"):
        info = zipfile.ZipInfo(name.format(key=KEY))
        info.external_attr = (0o120777 if link else 0o644) << 16
        archive.writestr(info, "/etc/passwd")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    for act in (lambda s: s.has("probe", KEY), lambda s: s.folder("probe", KEY), lambda s: s.released_keys("probe")):
        with pytest.raises(ConfigError, match=rf"released probe\.zip must hold files <key>/<file> alone\. .*{why}\."):
            act(Store(tmp_path / "cache", released))
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_a_released_cell_has_no_file_beside_its_manifest(tmp_path, released):
    with zipfile.ZipFile(released / "probe.zip", "a") as archive:
        archive.writestr(f"{KEY}/more", "x")
    with pytest.raises(ConfigError, match="it has other files than its manifest"):
        Store(tmp_path / "cache", released).folder("probe", KEY)
    assert not (tmp_path / "cache" / "probe").exists()


def test_folders_and_a_password_in_a_released_zip_file(tmp_path, released):
    with zipfile.ZipFile(released / "probe.zip", "a") as archive:
        archive.writestr(f"{KEY}/", "")
    assert Store(tmp_path / "cache", released).read("probe", KEY).values == {"oracle": 1.5}
    content = bytearray((released / "probe.zip").read_bytes())
    for mark, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):  # every member says that it is encrypted
        at = content.find(mark)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(mark, at + 1)
    (released / "probe.zip").write_bytes(content)
    with pytest.raises(ConfigError, match=r"released probe\.zip is damaged .*encrypted"):
        Store(tmp_path / "cache", released).read("probe", KEY)


SCHEMAS = {
    "empty": "",
    "cut": '{"sch',
    "list": "[1]",
    "number": "1",
    "text": '{"schema": "1"}',
    "null": '{"schema": null}',
}


@pytest.mark.parametrize("content", SCHEMAS.values(), ids=SCHEMAS)
def test_a_damaged_schema_is_a_sentence(tmp_path, content):
    (tmp_path / "schema.json").write_text(content)
    with pytest.raises(ConfigError, match=r'schema\.json must be \{"schema": <number>\}\. Got a damaged file \(.+\)\.'):
        Store(tmp_path)


# no room


def test_a_file_is_synced_before_it_is_in_its_place_and_its_folder_after(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda handle: done.append(os.readlink(f"/proc/self/fd/{handle}")))
    replaced = Path.replace
    monkeypatch.setattr(Path, "replace", lambda p, to: done.append(f"replace {to}") or replaced(p, to))
    files_put(tmp_path / "a.json", "{}")
    assert [Path(d).name.partition("-")[0].rpartition(".")[0] for d in done[:1]] == [".a.json"]
    assert done[1:] == [f"replace {tmp_path}/a.json", str(tmp_path)]
    done.clear()
    put(Store(tmp_path / "cache"))
    home = f"{tmp_path}/cache/probe"
    assert {Path(d).name for d in done} >= {"spec.json", "values.json", "record.json", "manifest.json", "probe"}
    assert done[-1] == home, "the cell's name is on the disk, too"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_nothing_is_left_where_there_is_no_room(tmp_path, monkeypatch, number):
    """The disk is full when half of the third file is written: of a cell, and of a file beside the cells."""
    store, count = Store(tmp_path), []
    put(store, key=SECOND)

    def half(path: Path, content: bytes | str, **_: str) -> None:
        count.append(path)
        with path.open("w") as file:
            file.write("half")
        if len(count) >= 3:
            raise OSError(number, os.strerror(number))

    before = files(tmp_path)
    monkeypatch.setattr(Path, "write_text", half)
    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match=f"probe/{KEY}") as caught:
        put(store)
    assert caught.value.errno == number
    said = no_room(caught.value)
    assert said.startswith("files must have a place where they can be written. Got a ")
    assert f"at '{tmp_path}/probe/{KEY}'" in said
    with pytest.raises(OSError, match=r"sizes\.json"):
        files_put(tmp_path / "sizes.json", "{}")
    assert files(tmp_path) == before
    assert not list((tmp_path / "unfinished").iterdir())


def test_errors_that_are_not_about_room_are_told_apart(tmp_path):
    assert no_room(ValueError("No space left on device")) is None
    assert no_room(FileNotFoundError(errno.ENOENT, "none", "x")) is None
    assert no_room(PermissionError(errno.EACCES, "no", str(tmp_path / "a")), tmp_path).startswith("files must be where")
    assert no_room(PermissionError(errno.EACCES, "no", "/elsewhere/a"), tmp_path) is None, "an input's, perhaps"
    theirs = as_system_error(RuntimeError("I/O error: No space left on device (os error 28)"))
    assert (type(theirs), theirs.errno) == (OSError, errno.ENOSPC)


def test_a_record_of_a_run_is_whole_or_a_sentence(tmp_path):
    """Every byte of it counts: with one changed it is refused, or says the same (white space, an escape)."""

    path, facts = tmp_path / "clock.json", {"seconds": 12.5, "notes": ["a", {"b": None}]}
    files_command.put_record(path, facts)
    assert files_command.record(path, "seconds") == facts
    whole, refused = path.read_bytes(), []
    changed = [whole[:at] + bytes([byte ^ 1]) + whole[at + 1 :] for at, byte in enumerate(whole)]
    cut = [whole[:at] for at in range(len(whole) - 1)]
    for content in (*changed, *cut, b"[1]", b"3", b"{}", b"[" * 100_000):
        path.write_bytes(content)
        try:
            found = files_command.record(path, "seconds")
        except ConfigError as error:
            refused.append((content, str(error)))
        else:
            assert {k: found.get(k) for k in facts} == facts
    assert {content for content, _ in refused} >= {*cut, b"[1]", b"3", b"{}"}
    assert len(refused) > 0.8 * len(changed) + len(cut)
    for _, said in refused:
        assert said.startswith(f"{path} must be as a run left it. Got a damaged file (")
        assert said.endswith("). Delete it: the same command makes it again.")
    path.write_text('{"seconds": 1}')  # of an earlier version
    assert files_command.record(path, "seconds") == {"seconds": 1}
