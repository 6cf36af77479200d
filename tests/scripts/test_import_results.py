"""Cells that another machine computed come home whole, and what cannot be imported is said in a sentence."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmark.cells.keys import key_of
from benchmark.cells.store import Store, clean
from scripts import gpu
from scripts.results import import_results
from tests.running import ROOT, TINY, environment

KEYS = tuple(key_of({"stage": stage}) for stage in ("tune", "truth"))


@pytest.fixture
def parts(tmp_path) -> Path:
    """A folder with what scripts/gpu.py packs of two cells."""
    store = Store(tmp_path / "there")
    for stage, key in zip(("tune", "truth"), KEYS, strict=True):
        store.write(stage, key, {"stage": stage}, {"oracle": 1.5}, {"seconds": 2.0})
    (tmp_path / "parts=1").mkdir()
    gpu.pack(store.cache, tmp_path / "parts=1")
    return tmp_path / "parts=1"


def call(*arguments) -> int:
    return import_results.main([str(a) for a in arguments])


def test_cells_come_home_once(tmp_path, parts, capsys):
    """The folder's name has an equals sign."""
    for said in ("2 cells taken, 0 were here already", "0 cells taken, 2 were here already"):
        assert call(parts, f"cache={tmp_path}/here") == 0
        assert said in capsys.readouterr().out
    for stage, key in zip(("tune", "truth"), KEYS, strict=True):
        assert Store(tmp_path / "here").read(stage, key).values == {"oracle": 1.5}
        for path in (tmp_path / "there" / stage / key).iterdir():
            assert (tmp_path / "here" / stage / key / path.name).read_bytes() == path.read_bytes()
    assert not list((tmp_path / "here" / "unfinished").iterdir())


def test_a_run_that_starts_meanwhile_takes_nothing(tmp_path, parts, monkeypatch):
    written = Path.write_bytes

    def then_a_run_starts(path: Path, content: bytes) -> int:
        count = written(path, content)
        clean(Store(tmp_path / "here"))
        return count

    monkeypatch.setattr(Path, "write_bytes", then_a_run_starts)
    assert call(parts, f"cache={tmp_path}/here") == 0
    assert Store(tmp_path / "here").read("truth", KEYS[1]).values == {"oracle": 1.5}


def test_a_damaged_archive_gives_no_cell(tmp_path, parts, capsys):
    with zipfile.ZipFile(parts / "cells-00.zip") as whole, zipfile.ZipFile(parts / "cells-01.zip", "w") as other:
        for name in whole.namelist():
            other.writestr(name, "{}" if name == f"truth/{KEYS[1]}/values.json" else whole.read(name))
    assert call(parts / "cells-01.zip", f"cache={tmp_path}/here") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {parts}/cells-01.zip must hold intact cells. Got a damaged one (truth/{KEYS[1]}, ")
    assert "values.json has another checksum" in error
    assert not Store(tmp_path / "here").has("truth", KEYS[1])


def strange(folder: Path, name: str) -> Path:
    with zipfile.ZipFile(folder / "strange.zip", "w") as archive:
        archive.writestr(name, "x")
    return folder / "strange.zip"


WRONG = {
    "nothing": (lambda f: [], "a folder with cells-*.zip, or such files, must be given. Got none."),
    "no such path": (
        lambda f: [f / "none"],
        "/none must be a folder with cells-*.zip, or such a file. Got a path that",
    ),
    "one of two": (lambda f: [f / "parts=1", f / "none"], "/none must be a folder"),
    "an equals sign": (lambda f: [f / "a=b" / "cells-00.zip"], "cells-00.zip must be a folder with cells-*.zip, or"),
    "a mistyped option": (lambda f: ["chache=there"], "Got a path that does not exist. Did you mean 'cache'?"),
    "an empty folder": (lambda f: [f], "Got a folder without any."),
    "no archive": (
        lambda f: [ROOT / "README.md"],
        "must hold intact cells. Got a damaged one (File is not a zip file).",
    ),
    "another archive": (lambda f: [strange(f, "a/b")], "must hold <stage>/<key>/<file>. Got 'a/b'."),
    "a way out": (lambda f: [strange(f, f"../{KEYS[0]}/x")], "must hold <stage>/<key>/<file>. Got '../"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_one_sentence(tmp_path, parts, capsys, case):
    arguments, message = WRONG[case]
    assert call(*arguments(tmp_path), f"cache={tmp_path}/here") == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("script", [import_results, gpu])
def test_help_is_the_usage(script, capsys):
    assert script.main(["--help"]) == 0
    assert f"python {script.__name__.replace('.', '/')}.py" in capsys.readouterr().out


def test_the_cells_of_the_runs_own_cache_are_packed(copied):
    given = [f"paths.cache={copied}/cache", *TINY, "method=parc"]  # all is there: the run prints its table
    settings = {"BENCHMARK_TESTS": "0", "BENCHMARK_DEVICE": "cpu", "BENCHMARK_OUT": str(copied / "home")}
    settings |= {"BENCHMARK_WORKERS": "1", "BENCHMARK_BENCH": "0", "BENCHMARK_MINUTES": "2"}
    (copied / "work").mkdir()
    made = subprocess.run(
        [sys.executable, f"{ROOT}/scripts/gpu.py", *given],
        cwd=copied / "work",
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert call(copied / "home", f"cache={copied}/here") == 0
    for stage in gpu.STAGES:
        names = sorted(p.name for p in (copied / "cache" / stage).iterdir())
        assert sorted(p.name for p in (copied / "here" / stage).iterdir()) == names != []


def test_the_cache_of_a_sweep_and_a_mistyped_path(capsys):
    assert gpu.cache_of(["-m", "method=parc,leep", "paths.cache=/a", "paths.cache='/b c'"]) == Path("/b c")
    assert gpu.cache_of(["experiment=diverse"]) == Path(".cache")
    assert gpu.main(["paths.cach=/a"]) == 2
    assert "Did you mean 'paths.cache'?" in capsys.readouterr().err
