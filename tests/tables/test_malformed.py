"""`evaluate`, `correlate` and `published` on malformed files: a sentence and exit code 2, or a result, no traceback.

Every shape is made from a good file by a seeded change.
"""

import io
import itertools
import struct
import zipfile

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save

from benchmark import correlate, evaluate, published
from benchmark.config import compose
from benchmark.reporting import folder, report
from benchmark.stats import alignment
from benchmark.tables import columns

KEYS = ["Architecture", "Source Dataset", "Target Dataset"]
MODELS, TARGETS, IMAGES = 6, ("birds", "pets"), 12


def good_tables():
    """Scores and accuracies of six models on two targets, as frames of correlate."""
    rng = np.random.default_rng(1)
    rows = [dict(zip(KEYS, (f"net{i}", f"set{i % 2}", t), strict=True)) for t in TARGETS for i in range(MODELS)]
    oracle = pd.DataFrame(rows).assign(Oracle=rng.uniform(40, 90, len(rows)).round(2), Layers=18)
    scores = pd.DataFrame(rows).assign(parc=rng.random(len(rows)), knn=rng.random(len(rows)))
    return pd.concat([scores.assign(Run=r) for r in range(2)]), oracle


def good_arrays():
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(3), IMAGES // 3)
    arrays = {}
    for target in TARGETS:
        arrays[f"{target}/labels"] = labels
        for i in range(MODELS):
            arrays[f"{target}/net{i}/features"] = rng.normal(size=(IMAGES, 4)) + i * np.eye(3, 4)[labels]
            arrays[f"{target}/net{i}/probs"] = rng.dirichlet(np.ones(5), IMAGES)
    return arrays


def csv(table, **options):
    return table.to_csv(index=False, **options).encode()


def parquet(table):
    stream = io.BytesIO()
    table.to_parquet(stream)
    return stream.getvalue()


def npz(arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def cut(content, rng, number):
    """The content cut short at seeded places, with flipped bytes, and with a part of it overwritten."""
    for _ in range(number):
        at = int(rng.integers(1, len(content)))
        yield content[:at]
        flipped = bytearray(content)
        flipped[at] ^= int(rng.integers(1, 256))
        yield bytes(flipped)
        yield content[:at] + rng.bytes(40) + content[at + 40 :]


NO_FILE = (
    b"",
    b"\n",
    b"\x00" * 64,
    b"\x89PNG\r\n" + b"\x01" * 40,
    b"{}",
    b"<html>",
    b"a,b\n",
    b"a;b\n1;2\n",
    b'"',
    b"\xff",
)


def tables_of(table):
    """(suffix, content) of malformed forms of one table."""
    rng = np.random.default_rng(3)
    names = list(table.columns)
    for content in NO_FILE:
        yield from ((".csv", content), (".parquet", content))
    yield from ((".csv", parquet(table)), (".parquet", csv(table)), (".txt", csv(table, sep="\t")))
    yield from ((".csv", table.to_csv(index=False).encode(e)) for e in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig"))
    yield from ((".csv", csv(table.assign(Model="naïve ✓")).decode().encode("utf-8")), (".csv", csv(table, sep=";")))
    yield ".csv", csv(table.assign(Model="naïve")).decode().encode("latin-1")
    yield from ((".parquet", content) for content in cut(parquet(table), rng, 8))
    yield from ((".csv", content) for content in cut(csv(table), rng, 12))
    yield from ((".csv", csv(table.iloc[:n])) for n in (0, 1, 2, 3))
    yield from ((".parquet", parquet(table.iloc[:n])) for n in (0, 1, 2))
    yield ".csv", csv(pd.concat([table, table]))
    yield ".csv", csv(pd.concat([table, table[names[-1:]]], axis=1))  # a column twice
    yield ".csv", csv(table).replace(b"\n", b",1\n").replace(b",1\n", b"\n", 1)  # rows longer than the header
    yield ".csv", csv(table).replace(b"\n", b",1,2,3\n", 5)
    yield ".csv", csv(table).replace(b",", b"\t")
    yield ".csv", csv(table).replace(b"net1", b'"net1', 1)  # a quote that is never closed
    yield ".csv", b"\r".join(csv(table).split(b"\n"))
    values = (np.nan, np.inf, -np.inf, 0, -1, 1e308, 1e-320, 0.5, 101, "x", "", "None", "[/b]", "../../x", "mean", True)
    for name, value in itertools.product(names, values):
        whole = table.astype({name: object}).assign(**{name: value})
        one = table.reset_index(drop=True).astype({name: object})
        one.loc[1, name] = value
        yield from ((".csv", csv(whole)), (".csv", csv(one)))
    for name in names:
        yield from ((".csv", csv(table.drop(columns=name))), (".csv", csv(table.rename(columns={name: name + " "}))))
        yield ".csv", csv(table.rename(columns={name: ""}))
        nested = table.assign(**{name: [[1, 2]] * len(table)})
        yield from ((".parquet", parquet(nested)), (".parquet", parquet(table.assign(**{name: pd.Timestamp(0)}))))
        yield ".parquet", parquet(table.astype({name: "category"}))
        yield ".parquet", parquet(table.assign(**{name: pd.array([None] * len(table), dtype="Int64")}))
        yield ".parquet", parquet(table.assign(**{name: b"bytes"}))


def arrays_of(arrays):
    """(suffix, content) of malformed forms of a file of arrays."""
    rng = np.random.default_rng(4)
    whole = {".npz": npz(arrays), ".safetensors": save(arrays)}
    for suffix, content in whole.items():
        yield from (
            (suffix, other) for other in (*NO_FILE, *cut(content, rng, 10), whole[".npz"], whole[".safetensors"])
        )
        yield suffix, csv(good_tables()[0])
    yield ".npy", whole[".npz"]
    stream = io.BytesIO()
    np.save(stream, arrays["pets/labels"])
    yield ".npz", stream.getvalue()  # .npy by another name
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("pets/labels.npy", b"\x93NUMPY nothing of the sort")
        archive.writestr("read.me", "words")
    yield ".npz", stream.getvalue()
    yield ".safetensors", struct.pack("<Q", 2**40) + b"{}"
    feature, label, probs = "pets/net1/features", "pets/labels", "pets/net2/probs"
    like = arrays[feature]
    for key, array in itertools.product(
        (feature, label, probs, "pets/reference_features", "pets/net1/logits"),
        (
            *(np.full(like.shape, v) for v in (np.nan, np.inf, 1e308, 1e-320, 0.0, -1.0, 0.5)),
            *(like[:3], like[:, :0], like[:0], like[:, 0], like[None], np.float64(3), np.array([])),
            *(like.astype(t) for t in ("str", "object", "complex128", "bool", "float16", "int8", "uint64")),
            *(np.zeros(IMAGES, t) for t in ("int64", "datetime64[s]", "S3", "float32")),
            *(np.arange(IMAGES), np.arange(IMAGES) + 0.5, np.arange(IMAGES) - 20, np.full(IMAGES, 2**62)),
            np.zeros(IMAGES, [("a", "i4"), ("b", "f8")]),
        ),
    ):
        yield ".npz", npz(arrays | {key: array})
    for key in (feature, label):
        yield ".npz", npz({k: v for k, v in arrays.items() if k != key})
    for key in ("features", "pets", "pets/net1", "pets/net1/feature", "/labels", "pets//features", "../x/features"):
        yield ".npz", npz(arrays | {key: like})
    yield from ((".npz", npz(held)) for held in ({}, {label: arrays[label]}, {feature: like}))


@pytest.fixture
def refuses(tmp_path, capsys):
    """Run a command on given files: True where it refused with sentences, False where it came to an end."""

    def command(main, **files):
        argv = [f"out={tmp_path}/out"]
        for key, (suffix, content) in files.items():
            path = tmp_path / f"{key}{suffix}"
            path.write_bytes(content)
            argv.append(f"{key}={path}")
        code = main(argv)
        errors = capsys.readouterr().err.splitlines()
        if code == 2:
            assert errors and all(e.startswith("error: ") and len(e) < 900 for e in errors), errors  # noqa: PT018
            assert any(" must " in e for e in errors), errors
        else:
            assert code in (0, 1)
        return code == 2

    return command


@pytest.fixture
def brief(monkeypatch):
    """The commands up to where tables are joined: what comes after is not about files."""
    specs = compose.methods_named(["knn", "leep"])
    monkeypatch.setattr(evaluate, "methods_named", lambda *_: specs)
    for module in (correlate, report):
        monkeypatch.setattr(module, "correlate", alignment.align)
    for module in (correlate, folder):
        monkeypatch.setattr(module, "evaluation_modes", lambda *_: None)
    monkeypatch.setattr(correlate, "write", lambda *_: None)
    monkeypatch.setattr(report, "build", lambda *_, **__: None)
    monkeypatch.setattr(report, "supported", lambda *_, **__: None)
    monkeypatch.setattr(folder, "write_tables", lambda *_, **__: None)
    monkeypatch.setattr(folder, "show", lambda *_, **__: None)
    monkeypatch.setattr(folder, "write", lambda made, *_, **__: alignment.align(made.scores, made.truth) and 0)


def cases():
    """name -> (command, the good files, which of them is changed, its malformed forms)."""
    scores, oracle = good_tables()
    truth = oracle.rename(columns={"Architecture": "Model"}).drop(columns="Source Dataset")
    files = {"scores": (".csv", csv(scores)), "truth": (".csv", csv(oracle))}
    own = {"features": (".npz", npz(good_arrays())), "truth": (".csv", csv(truth))}
    return {
        "scores": (correlate.main, files, "scores", tables_of(scores)),
        "accuracies": (correlate.main, files, "truth", tables_of(oracle)),
        "truth": (evaluate.main, own, "truth", tables_of(truth)),
        "features": (evaluate.main, own, "features", arrays_of(good_arrays())),
    }


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numbers as large as numbers get
@pytest.mark.parametrize("case", ["scores", "accuracies", "truth", "features"])
def test_a_malformed_file_is_a_sentence(refuses, brief, case):
    """A third of the shapes; all of them, to the end, in the slow test."""
    main, files, changed, forms = cases()[case]
    assert not refuses(main, **files)
    refused = [refuses(main, **files | {changed: form}) for form in itertools.islice(forms, None, None, 3)]
    assert len(refused) > 60
    assert 0.4 < np.mean(refused) < 0.95  # a change of a value within its range is no fault


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", ["scores", "accuracies", "truth", "features"])
def test_every_malformed_file_is_a_sentence_or_has_a_result(refuses, case):
    main, files, changed, forms = cases()[case]
    for form in forms:
        refuses(main, **files | {changed: form})


WORDS = {  # what is wrong -> (suffix, content, words of the sentence)
    "a Parquet file called .csv": (".csv", parquet, "must be a CSV table. Got a Parquet file. Call it .parquet."),
    "a CSV file called .parquet": (".parquet", csv, "must be a whole Parquet file. Got one that cannot be read"),
    "UTF-16": (".csv", lambda t: t.to_csv().encode("utf-16"), "Got text in UTF-16. Save it as UTF-8."),
    "an empty file": (".csv", lambda _: b"", "Got an empty file."),
    "no rows": (".csv", lambda t: csv(t[:0]), "must have rows below its header. Got none."),
    "a column twice": (".csv", lambda t: csv(t.assign(Layer=1)).replace(b"Layer,", b"Oracle,"), ""),
    "NaN alone": (".csv", lambda t: csv(t.assign(Oracle=np.nan)), "must have accuracies above 0"),
    "infinite": (".csv", lambda t: csv(t.assign(Oracle=np.inf)), "column 'Oracle' must be finite. Got infinity."),
    "shares": (".csv", lambda t: csv(t.assign(Oracle=t["Oracle"] / 100)), "as if in shares. Multiply by 100."),
    "above 100": (".csv", lambda t: csv(t.assign(Oracle=t["Oracle"] * 10)), "must be in percent, at most 100. Got"),
    "words": (".csv", lambda t: csv(t.assign(Oracle="high")), "must hold accuracies in percent. Got text, 'high'"),
    "no layers": (
        ".csv",
        lambda t: csv(t.assign(Layers="many")),
        "column 'Layers' must hold numbers. Got text, 'many'",
    ),
    "rows twice": (".csv", lambda t: csv(pd.concat([t, t])), "must have one row per"),
    "other models": (".csv", lambda t: csv(t.assign(**{KEYS[2]: "x" + t[KEYS[2]]})), "must share models and targets"),
}


@pytest.mark.parametrize("wrong", WORDS)
def test_the_sentence_says_what_is_wrong(brief, tmp_path, capsys, wrong):
    suffix, make, words = WORDS[wrong]
    for case, (main, files, changed, _) in cases().items():
        if case not in ("accuracies", "truth"):
            continue
        table = good_tables()[1]
        table = table if case == "accuracies" else table.rename(columns={KEYS[0]: "Model"}).drop(columns=KEYS[1])
        argv = [f"out={tmp_path}/out"]
        for key, (ending, content) in (files | {changed: (suffix, make(table))}).items():
            (tmp_path / f"{key}{ending}").write_bytes(content)
            argv.append(f"{key}={tmp_path}/{key}{ending}")
        code, said = main(argv), capsys.readouterr().err
        assert code == 2 or not words, wrong
        assert words in said


def test_names_that_look_like_missing_values_are_names(tmp_path):
    """A source called "None" is one; the empty cell beside a score is a missing score."""
    (tmp_path / "t.csv").write_text("Architecture,Source Dataset,Target Dataset,parc\n007,None,NA,\n18,x,1.0,NaN\n")
    table = columns.read(tmp_path / "t.csv")
    assert table[KEYS].to_numpy().tolist() == [["007", "None", "NA"], ["18", "x", "1.0"]]
    assert table["parc"].isna().all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Got an empty file."),
        (parquet(good_tables()[1]), "Got a Parquet file. Call it .parquet."),
        (csv(good_tables()[1]), "tllib.csv must be as published. Got another content, of which nothing can be made"),
        (b"Model,Target Dataset,Accuracy\na,b,1\na,b,2\n", "tllib.csv must be as published."),
        (b"Model,Target Dataset,Accuracy\na,b,x\n", "tllib.csv must be as published."),
        (b"\xff\xfe", "Got text in UTF-16."),
    ],
)
def test_published_tables_that_are_none_are_a_sentence(tmp_path, capsys, content, words):
    (tmp_path / "tllib.csv").write_bytes(content)
    assert published.main([f"path={tmp_path}", f"out={tmp_path}/out"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert words in errors[0]
    assert not (tmp_path / "out").exists()
