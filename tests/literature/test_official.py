"""Released probes: exact values through every protocol and numpy's old and new names; hostile pickles do nothing."""

import importlib.util
import io
import json
import os
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import methods
from benchmark import official
from benchmark.literature import released_probes
from benchmark.literature.released_probes import read_probe
from benchmark.safe_pickle import Refused, loads

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
spec = importlib.util.spec_from_file_location("fetch_official", ROOT / "scripts/fetch_official.py")
fetch_official = importlib.util.module_from_spec(spec)
sys.modules["fetch_official"] = fetch_official
spec.loader.exec_module(fetch_official)


def probe(n=24, d=6, classes=4, source="nabird", target="cifar10", architecture="resnet18", seed=0, **more):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return {
        "features": (rng.normal(size=(n, d)) + labels[:, None]).astype(np.float16),
        "probs": rng.dirichlet(np.ones(5), n).astype(np.float16),
        "y": labels,
        "source_dataset": source,
        "target_dataset": target,
        "architecture": architecture,
        **more,
    }


def old_names(content: bytes) -> bytes:
    """The same pickle with numpy 1's module names; opcodes with a length are written anew by pickletools' rules."""
    import pickletools

    out, last = bytearray(), 0
    ends = [*[position for _, _, position in pickletools.genops(content)][1:], len(content)]
    for (opcode, argument, start), end in zip(pickletools.genops(content), ends, strict=True):
        piece = content[start:end]
        if isinstance(argument, str) and "numpy._core" in argument:
            new = argument.replace("numpy._core", "numpy.core")
            if opcode.name == "GLOBAL":
                piece = b"c" + new.replace(" ", "\n").encode() + b"\n"
            elif opcode.name == "SHORT_BINUNICODE":
                piece = b"\x8c" + bytes([len(new)]) + new.encode()
            else:
                raise AssertionError(opcode.name)
        elif opcode.name == "FRAME":
            piece = b""  # frames are optional, and this one's length has changed
        out += piece
        last = end
    assert last == len(content)
    return bytes(out)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("names", ["numpy 2", "numpy 1"])
def test_every_protocol_and_both_sets_of_names(tmp_path, protocol, names):
    given = probe(
        note="plain", numbers=[1, 2.5, None, True], epoch=np.float32(0.5), fortran=np.asfortranarray(np.eye(3))
    )
    content = pickle.dumps(given, protocol)
    assert b"numpy._core" in content
    if names == "numpy 1":
        content = old_names(content)
        assert b"numpy._core" not in content
    path = tmp_path / "resnet18_nabird_cifar10_0.pkl"
    path.write_bytes(content)
    found = read_probe(path)
    np.testing.assert_array_equal(found.features, given["features"].astype(np.float32))
    np.testing.assert_array_equal(found.source_probs, given["probs"].astype(np.float32))
    np.testing.assert_array_equal(found.labels, given["y"])
    assert (found.architecture, found.source_dataset, found.target_dataset) == ("resnet18", "nabird", "cifar10")
    assert found.extra["note"] == "plain" and found.extra["numbers"] == [1, 2.5, None, True]  # noqa: PT018
    assert found.extra["epoch"] == 0.5
    np.testing.assert_array_equal(found.extra["fortran"], np.eye(3))
    assert found.features.dtype == np.float32 and found.labels.dtype == np.int64  # noqa: PT018


def test_byte_orders_multi_hot_labels_and_a_missing_source_head(tmp_path):
    given = probe(probs=None, y=np.eye(4)[np.arange(24) % 4])
    given["features"] = given["features"].astype(">f4")
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(given))
    found = read_probe(tmp_path / "p.pkl")
    np.testing.assert_array_equal(found.features, given["features"].astype(np.float32))
    assert found.source_probs is None
    assert found.labels.dtype == np.uint8 and found.labels.shape == (24, 4)  # noqa: PT018


class Calls:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def hostile(marker):
    """Pickles that would write a file, run a command, import, or reach into objects, were they loaded."""
    command = f"echo hit > {marker}"
    yield "os.system", Calls(os.system, command)
    yield "builtins.eval", Calls(eval, f"open({str(marker)!r}, 'w').write('hit')")
    yield "builtins.exec", Calls(exec, f"open({str(marker)!r}, 'w').write('hit')")
    yield "builtins.getattr", Calls(getattr, probe, "__globals__")
    yield "builtins.__import__", Calls(__import__, "antigravity")
    yield "io.open", Calls(open, str(marker), "w")
    yield "pickle.loads", Calls(pickle.loads, pickle.dumps(Calls(os.system, command)))
    yield "numpy.load", Calls(np.load, str(marker))
    yield "numpy.fromfile", Calls(np.fromfile, str(marker))
    yield "numpy.memmap", Calls(np.memmap, str(marker), "u1", "w+", 0, (4,))
    yield "functools.partial", Calls(__import__("functools").partial, os.system, command)
    yield "pathlib", Path(marker)
    yield "numpy.ma", np.ma.masked_array([1.0, 2.0])
    yield "pandas", pd.Series([1.0])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_hostile_pickles_are_refused_by_name_and_nothing_runs(tmp_path, protocol):
    marker = tmp_path / "marker"
    for name, value in hostile(marker):
        for place in ({**probe(), "extra": value}, {**probe(), "features": value}, value):
            path = tmp_path / "h.pkl"
            path.write_bytes(pickle.dumps(place, protocol))
            with pytest.raises(Refused) as refusal:
                read_probe(path)
            if "." in name:
                module, function = name.rsplit(".", 1)
                assert function in str(refusal.value) or module in str(refusal.value), (name, str(refusal.value))
            assert "was not looked up" in str(refusal.value)
            assert not marker.exists(), name


def test_object_arrays_structured_types_and_lies_about_size_are_refused(tmp_path):
    held = np.empty(1, object)
    held[0] = "text"
    for value, words in (
        (held, "plain number"),
        (np.zeros(2, [("a", "f4")]), "plain number"),
        (np.array(["text"]), "plain number"),
        (np.array(["2020-01-01"], "datetime64[D]"), "plain number"),
    ):
        with pytest.raises(Refused, match=words):
            loads(pickle.dumps({**probe(), "x": value}))
    content = pickle.dumps({"x": np.zeros(7, np.float32)}, 4)
    lie = content.replace(b"K\x07\x85", b"K\x09\x85")  # shape (9,) over 28 bytes
    assert lie != content
    with pytest.raises(Refused, match="must hold as many bytes"):
        loads(lie)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",  # GLOBAL
        b"\x80\x02(X\x04\x00\x00\x00trueios\nsystem\n.",  # INST
        b"\x80\x02(cos\nsystem\nX\x04\x00\x00\x00trueo.",  # OBJ
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",  # STACK_GLOBAL
        b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93.",  # a dotted path below an admitted name
        b"\x80\x02cnumpy\nndarray\n(K\x05tR.",  # a call of numpy.ndarray
        b"\x80\x02cnumpy\nndarray\n)\x81.",  # NEWOBJ of it
        b"\x80\x02cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R.",  # an object type
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x06\x00\x00\x00base64\x86R.",  # another codec
        b"\x80\x02c_codecs\nencode\n}X\x01\x00\x00\x00aK\x01sb.",  # BUILD on a name
        b"\x80\x02c_codecs\nencode\nN}X\x0c\x00\x00\x00__defaults__N s\x86b.",
        b"\x80\x02c_codecs\nencode\n.",  # a bare name as the value
        b"\x80\x02\x82\x01.",  # EXT1
        b"\x80\x02X\x01\x00\x00\x00aQ.",  # BINPERSID
        b"\x80\x05\x97.",  # NEXT_BUFFER without buffers
        b"\x80\x02]q\x00h\x00a.",  # a list that contains itself
        b"\x80\x02K\x01",  # cut short
        b"\x80\x02",
        b"\x80\x06K\x01.",  # a protocol that is not known
        b"I1\n.",  # protocol 0
        b"",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",  # BINBYTES8 of eight exabytes
    ],
)
def test_raw_streams_are_refused(content, tmp_path):
    (tmp_path / "raw.pkl").write_bytes(content)
    with pytest.raises(Refused):
        read_probe(tmp_path / "raw.pkl")


def test_a_bomb_of_shared_references_is_refused_quickly():
    value = ["x"]
    for _ in range(18):
        value = [value] * 18
    with pytest.raises(Refused, match="1,000,000 values"):
        loads(pickle.dumps(value))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"features": np.ones(4)}, "features must be"),
        ({"y": np.arange(5)}, "a row an image"),
        ({"y": np.full(24, 0.5)}, "whole class ids"),
        ({"probs": [1, 2]}, "probs must be"),
        ({"architecture": 3}, "must be text"),
    ],
)
def test_probes_of_another_form_are_refused(change, words):
    with pytest.raises(Refused, match=words):
        released_probes._probe({**probe(), **change}, "p.pkl")
    with pytest.raises(Refused, match="Got none of y"):
        released_probes._probe({k: v for k, v in probe().items() if k != "y"}, "p.pkl")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Two runs of a small bank in the release's format: file names, self-probes, one hostile file."""
    folder = tmp_path_factory.mktemp("archive")
    for target in ("cifar10", "oxford_pets"):
        for i, architecture in enumerate(("resnet50", "resnet18", "googlenet", "alexnet")):
            for j, source in enumerate(("nabird", "cub200", target)):
                for run in range(2):
                    made = probe(n=40, d=12, source=source, target=target, architecture=architecture, seed=9 * i + j)
                    made["features"] = (made["features"] * (1 + i) + run).astype(np.float16)
                    name = f"{architecture}_{source}_{target}_{run}.pkl"
                    (folder / name).write_bytes(pickle.dumps(made, 4))
    (folder / "resnet50_evil_cifar10_0.pkl").write_bytes(pickle.dumps(Calls(os.system, "true")))
    return folder


def test_released_forms_stand_beside_the_correct_ones():
    specs = {m.name: m for m in released_probes.methods_of_the_paper()}
    assert {"parc_f32_released", "knn_released", "nce_released", "heuristic_released"} <= set(specs)
    assert specs["parc_f32"].parameters["compat"] is None
    assert specs["parc_f32_released"].parameters == {**specs["parc_f32"].parameters, "compat": "parc"}
    assert "leep_released" not in specs  # the paper's LEEP is the correct one


def test_archive_to_table(archive, tmp_path, capsys, monkeypatch):
    few = [
        m
        for m in released_probes.methods_of_the_paper()
        if m.name in ("parc", "parc_f16_released", "nce_released", "rsa")
    ]
    monkeypatch.setattr(official, "methods_of_the_paper", lambda: few)
    rng = np.random.default_rng(0)
    rows = [
        {"Architecture": a, "Source Dataset": s, "Target Dataset": t, "Oracle": 50 + 40 * rng.random()}
        for a in ("resnet50", "resnet18", "googlenet", "alexnet")
        for s in ("nabird", "cub200")
        for t in ("cifar10", "oxford_pets")
    ]
    oracle = tmp_path / "controlled.csv"
    pd.DataFrame(rows).to_csv(oracle, index=False)
    argv = [f"probes={archive}", f"oracle={oracle}", f"out={tmp_path}/out", f"converted={tmp_path}/held"]
    assert official.main(argv) == 1  # one file was refused, and the rest is there
    assert "refused: resnet50_evil_cifar10_0.pkl" in capsys.readouterr().out
    scores = pd.read_csv(tmp_path / "out/scores.csv")
    assert len(scores) == 4 * 2 * 2 * 2
    row = scores.query("Architecture == 'alexnet' and `Source Dataset` == 'cub200' and Run == 1").set_index(
        "Target Dataset"
    )
    held = read_probe(archive / "alexnet_cub200_oxford_pets_1.pkl")
    for column, value in (
        ("parc", methods.parc(held.features, held.labels)),
        ("parc_f16_released", methods.parc(held.features, held.labels, n_dims=16, compat="parc", n_classes=37)),
        ("nce_released", methods.nce(held.source_probs, held.labels, compat="parc", n_classes=37)),
        ("rsa", methods.rsa(held.features, read_probe(archive / "resnet50_oxford_pets_oxford_pets_1.pkl").features)),
    ):
        assert row.loc["oxford_pets", column] == pytest.approx(float(value), rel=1e-6), column
    manifest = json.loads((tmp_path / "held/manifest.json").read_text())
    assert len(manifest["probes"]) == 4 * 3 * 2 * 2
    assert {e["run"] for e in manifest["probes"]} == {0, 1}
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "held").glob("*.safetensors")}
    entries, refused = released_probes.convert(archive, tmp_path / "held")
    assert (len(entries), len(refused)) == (48, 1)
    assert before == {p.name: p.stat().st_mtime_ns for p in (tmp_path / "held").glob("*.safetensors")}


def test_archive_is_unpacked_flat_and_only_probes(archive, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr("probes/fixed_budget_500/a_b_c_0.pkl", b"1")
        made.writestr("../../outside.pkl", b"2")
        made.writestr("probes/readme.sh", b"3")
    (tmp_path / "probes.zip").write_bytes(packed.getvalue())
    assert fetch_official.unpack(tmp_path / "probes.zip", tmp_path / "in/out") == 2
    assert {p.name for p in (tmp_path / "in/out").iterdir()} == {"a_b_c_0.pkl", "outside.pkl"}
    assert not list(tmp_path.glob("outside.pkl"))
    with pytest.raises(ValueError, match="must be the probe archive"):
        fetch_official.unpack(archive / "resnet50_evil_cifar10_0.pkl", tmp_path / "x")


@pytest.mark.skipif(not (SHARED / "published").is_dir(), reason="no ../shared with published tables")
def test_tables_are_taken_with_their_checksum(tmp_path, capsys):
    argv = [f"out={tmp_path}", f"tables={SHARED / 'published'}"]
    assert fetch_official.main(argv) == 0
    assert len(pd.read_csv(tmp_path / "controlled.csv")) == 196
    assert len(pd.read_csv(tmp_path / "all.csv")) == 469
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "controlled.csv").write_text("Architecture\n")
    assert fetch_official.main([f"out={tmp_path / 'o'}", f"tables={bad}"]) == 2
    assert "must have SHA-256" in capsys.readouterr().err
