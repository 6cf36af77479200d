"""The paper's released probe pickles: read without executing anything, converted once, scored, correlated.

    python -m benchmark.official probes=<folder of .pkl> oracle=<controlled.csv> out=outputs/paper_official

A released probe is a pickled dict: `features` (n, d), `probs` (n, z), `y` (n,) or multi-hot (n, c), `source_dataset`,
`target_dataset`, `architecture`, in files `<architecture>_<source>_<target>_<run>.pkl`. A pickle is a program that may
call any function it can name. The reader here names none of Python's: what a probe needs (arrays, their data types)
are inert stand-ins of this module, everything else is refused by name before it is looked up.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import pickle
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.correlate import PAPER_CLASSES, PAPER_IMAGES, PAPER_LAYERS, TARGET, put
from benchmark.files import record

PROTOCOLS = (2, 3, 4, 5)
REQUIRED = ("features", "probs", "y", "source_dataset", "target_dataset", "architecture")
LARGEST = 1 << 31  # bytes of one array or of one file: a probe of 5,000 images × 4,096 is 41 MB
_DEEPEST, _MOST = 20, 1_000_000  # nesting and number of plain values
_KINDS = re.compile(r"[|<>=]?(?:b1|[iu][1248]|f[248])")
RELEASED = ("methods.parc", "methods.nce", "methods.knn", "methods.heuristic")
"""Functions whose `compat="parc"` is the release's form: ties of PARC's label distances, NCE's eps, votes for k > 1."""
_REFERENCE = "resnet50"  # the paper's reference network for RSA and DDS


class Refused(ValueError):
    """A pickle that is not a plain probe; the message says what it asked for. Nothing of it was executed."""


@dataclass(frozen=True)
class Probe:
    """One released probe.

    features      (n, d) float32 penultimate activations
    source_probs  (n, z) float32 source-class probabilities as stored; None where the model has no source head
    labels        (n,) int64 class ids, or (n, c) uint8 multi-hot
    """

    features: np.ndarray
    source_probs: np.ndarray | None
    labels: np.ndarray
    architecture: str
    source_dataset: str
    target_dataset: str
    extra: Mapping[str, Any] = field(default_factory=dict)


def read_probe(path: str | Path) -> Probe:
    """Read one released probe file; raises Refused (a ValueError) for anything that is not a plain probe."""
    path = Path(path)
    if path.stat().st_size > LARGEST:
        raise Refused(f"{path.name} must be smaller than {LARGEST >> 20} MiB. Got {path.stat().st_size >> 20} MiB.")
    return _probe(loads(path.read_bytes(), path.name), path.name)


def loads(content: bytes, name: str = "pickle") -> Any:
    """The plain value of a pickle: dicts, lists, tuples, sets, numbers, text, bytes and numeric numpy arrays."""
    if len(content) < 2 or content[0] != 0x80 or content[1] not in PROTOCOLS:
        got = f"protocol {content[1]}" if content[:1] == b"\x80" and len(content) > 1 else "no protocol mark"
        raise Refused(f"{name} must be a pickle of protocol 2 to 5. Got {got}.")
    try:
        return _plain(_Reader(io.BytesIO(content), name).load(), name)
    except Refused:
        raise
    except RecursionError:
        raise Refused(f"{name} must not nest deeper than {_DEEPEST}. Got a value that contains itself.") from None
    except Exception as error:  # whatever a malformed stream makes the machine stumble over
        raise Refused(f"{name} must be an intact pickle of a probe. Got {type(error).__name__}: {error}.") from None


# stand-ins: pure data, no attribute of theirs reaches numpy before it is checked


class _Kind:
    """numpy.dtype: the kind and size as text; byte order by its state."""

    __slots__ = ("text",)

    def __init__(self, text: Any = "", align: Any = False, copy: Any = False):
        text = text.decode("ascii", "replace") if isinstance(text, bytes) else text
        if not isinstance(text, str) or not _KINDS.fullmatch(text):
            raise Refused(f"an array's data type must be a plain number. Got {str(text)[:40]!r}.")
        self.text = text

    def __setstate__(self, state: Any) -> None:
        # (version, byte order, subarray, names, fields, size, alignment, flags); only plain numbers have no more
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise Refused("an array's data type must be a plain number. Got a structured one.")
        order = state[1].decode("ascii", "replace") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise Refused(f"an array's byte order must be one of < > | =. Got {str(order)[:10]!r}.")
        self.text = order + self.text.lstrip("<>|=")

    def dtype(self) -> np.dtype:
        return np.dtype(self.text)


class _Array:
    """numpy.ndarray under construction: filled by its state alone."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise Refused("an array's state must be (version, shape, type, order, bytes). Got something else.")
        _, shape, kind, fortran, data = state
        self.value = _from_bytes(data, kind, shape, "F" if fortran else "C")


class _Name:
    """What a pickle gets for a name: it may call it or pass it on, and change nothing of it."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any] | None):
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        if self.function is None:
            raise Refused("an array must come from its raw bytes. Got a call of numpy.ndarray.")
        return self.function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise Refused("a name must not be given a state. Got one.")


_NDARRAY = _Name(None)


def _reconstruct(kind: Any, shape: Any, typecode: Any) -> _Array:
    if kind is not _NDARRAY:
        raise Refused("an array must be a numpy.ndarray. Got a subclass of it.")
    return _Array()


def _frombuffer(data: Any, kind: Any, shape: Any, order: Any, axes: Any = None) -> _Array:
    if axes is not None:
        raise Refused("an array must be in C or Fortran order. Got another order of axes.")
    made = _Array()
    made.value = _from_bytes(data, kind, shape, order)
    return made


def _scalar(kind: Any, data: Any = b"") -> Any:
    return _from_bytes(data, kind, (), "C").item()


def _encode(text: Any, encoding: Any = "") -> bytes:
    """How protocol 2 writes bytes: text in Latin-1, and nothing else."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused(f"_codecs.encode must be given text and latin1. Got {str(encoding)[:20]!r}.")
    return text.encode("latin-1")


def _from_bytes(data: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    if isinstance(data, str):  # written by Python 2
        data = data.encode("latin-1")
    if not isinstance(kind, _Kind) or not isinstance(data, bytes | bytearray) or not isinstance(shape, tuple):
        raise Refused("an array must be raw bytes of a plain number type. Got another kind of contents.")
    if order not in ("C", "F") or any(type(n) is not int or n < 0 for n in shape) or len(shape) > 4:
        raise Refused(f"an array's shape must be up to four sizes. Got {str(shape)[:60]}.")
    dtype = kind.dtype()
    if math.prod(shape) * dtype.itemsize != len(data) or len(data) > LARGEST:
        raise Refused(f"an array of shape {shape} and type {dtype} must hold as many bytes. Got {len(data)}.")
    return np.frombuffer(bytes(data), dtype).reshape(shape, order=order).astype(dtype.newbyteorder("="))


_ADMITTED: dict[tuple[str, str], _Name] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Name(_Kind),
    ("_codecs", "encode"): _Name(_encode),
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Name(_reconstruct) for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Name(_scalar) for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Name(_frombuffer) for core in ("core", "_core")},
}


class _Reader(pickle.Unpickler):
    """An unpickler that knows the names above and no import."""

    def __init__(self, stream: io.BytesIO, name: str):
        super().__init__(stream, fix_imports=False, encoding="latin1")
        self.called = name

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise Refused(
                f"{self.called} must hold arrays and plain values only. Got {module}.{name}, which was not looked up."
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise Refused(f"{self.called} must hold arrays and plain values only. Got a persistent reference.")


def _plain(value: Any, name: str, depth: int = 0, budget: list[int] | None = None) -> Any:
    """The value with stand-ins replaced by arrays; anything that is not plain is refused."""
    budget = [_MOST] if budget is None else budget
    budget[0] -= 1
    if depth > _DEEPEST or budget[0] < 0:
        raise Refused(f"{name} must nest at most {_DEEPEST} deep and hold {_MOST:,} values. Got more.")
    if value is None or type(value) in (bool, int, float, complex, str, bytes, bytearray):
        return value
    if isinstance(value, _Array):
        if value.value is None:
            raise Refused(f"{name} must hold finished arrays. Got one without contents.")
        return value.value
    if type(value) is dict:
        return {_plain(k, name, depth + 1, budget): _plain(v, name, depth + 1, budget) for k, v in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)([_plain(v, name, depth + 1, budget) for v in value])
    raise Refused(f"{name} must hold arrays and plain values only. Got a bare {type(value).__name__.strip('_')}.")


def _probe(value: Any, name: str) -> Probe:
    if not isinstance(value, dict):
        raise Refused(f"{name} must hold a dict. Got {type(value).__name__}.")
    lacking = [key for key in REQUIRED if key not in value]
    if lacking:
        raise Refused(f"{name} must hold {', '.join(REQUIRED)}. Got none of {', '.join(lacking)}.")
    features, probs, labels = (value[key] for key in REQUIRED[:3])
    words = [value[key] for key in REQUIRED[3:]]
    if not all(isinstance(word, str) for word in words):
        raise Refused(f"{name}: source_dataset, target_dataset and architecture must be text.")
    if not isinstance(features, np.ndarray) or features.ndim != 2 or features.dtype.kind != "f":
        raise Refused(f"{name}: features must be (n, d) floats. Got {_shown(features)}.")
    if probs is not None and (not isinstance(probs, np.ndarray) or probs.ndim != 2 or probs.dtype.kind != "f"):
        raise Refused(f"{name}: probs must be (n, z) floats or None. Got {_shown(probs)}.")
    labels = np.asarray(labels) if isinstance(labels, list | tuple) else labels
    if not isinstance(labels, np.ndarray) or labels.ndim not in (1, 2) or labels.dtype.kind not in "iufb":
        raise Refused(f"{name}: y must be (n,) class ids or (n, c) multi-hot. Got {_shown(labels)}.")
    lengths = {len(features), len(labels), *([] if probs is None else [len(probs)])}
    if len(lengths) != 1:
        raise Refused(f"{name}: features, probs and y must have a row an image. Got {sorted(lengths)} rows.")
    whole = labels.astype(np.int64 if labels.ndim == 1 else np.uint8)
    if not np.array_equal(whole, labels) or (labels.ndim == 2 and labels.max(initial=0) > 1):
        raise Refused(f"{name}: y must be whole class ids, or zeros and ones. Got other values.")
    return Probe(
        features.astype(np.float32),
        None if probs is None else probs.astype(np.float32),
        whole,
        architecture=words[2],
        source_dataset=words[0],
        target_dataset=words[1],
        extra={str(k): v for k, v in value.items() if k not in REQUIRED},
    )


def _shown(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


# conversion, scoring


def convert(folder: Path, out: Path, tell: Callable[[str], None] = print) -> tuple[list[dict], list[str]]:
    """Every probe below a folder as safetensors in `out`, once: (entries of manifest.json, what was refused).

    An entry: file, sha256 of the pickle, tensors (its safetensors file), architecture, source_dataset, target_dataset,
    run, images, features. A pickle whose checksum the manifest has already is not read again.
    """
    from safetensors.numpy import save

    out.mkdir(parents=True, exist_ok=True)
    manifest = out / "manifest.json"
    known = {e["sha256"]: e for e in record(manifest, "probes")["probes"]} if manifest.is_file() else {}
    entries, refused = [], []
    for path in sorted(folder.rglob("*.pkl")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest in known and (out / known[digest]["tensors"]).is_file():
            entries.append({**known[digest], "file": path.name})
            continue
        try:
            probe = read_probe(path)
        except (Refused, OSError) as error:
            refused.append(str(error))
            tell(f"refused: {error}")
            continue
        tensors = {"features": probe.features, "labels": probe.labels}
        tensors |= {} if probe.source_probs is None else {"source_probs": probe.source_probs}
        put(out / f"{digest[:16]}.safetensors", save({k: np.ascontiguousarray(v) for k, v in tensors.items()}))
        run = re.search(r"_(\d+)$", path.stem)
        entries.append(
            {
                "file": path.name,
                "sha256": digest,
                "tensors": f"{digest[:16]}.safetensors",
                "architecture": probe.architecture,
                "source_dataset": probe.source_dataset,
                "target_dataset": probe.target_dataset,
                "run": int(run[1]) if run else 0,
                "images": len(probe.labels),
                "features": probe.features.shape[1],
            }
        )
    put(manifest, json.dumps({"probes": entries, "refused": refused}, indent=1, sort_keys=True) + "\n")
    return entries, refused


def score(entries: Sequence[Mapping[str, Any]], folder: Path, methods: Sequence[Any]) -> tuple[pd.DataFrame, ...]:
    """(scores, status, timings) of converted probes, self-transfers aside, which serve rsa and dds as reference."""
    from safetensors.numpy import load_file
    from threadpoolctl import threadpool_limits

    from benchmark.evaluate import _held, _score
    from benchmark.score import classes_of
    from benchmark.tables import Banks

    reference = {
        (e["target_dataset"], e["run"]): e
        for e in entries
        if e["source_dataset"] == e["target_dataset"] and e["architecture"] == _REFERENCE
    }
    scores, status, timings, banks = [], [], [], Banks()
    with threadpool_limits(1):
        for entry in entries:
            target, run = entry["target_dataset"], entry["run"]
            if entry["source_dataset"] == target:
                continue
            held = load_file(folder / entry["tensors"])
            given = {"features": held["features"]} | ({"probs": held["source_probs"]} if "source_probs" in held else {})
            beside = reference.get((target, run))
            other = load_file(folder / beside["tensors"]) if beside else None
            usable = other is not None and np.array_equal(other["labels"], held["labels"])
            rows = np.arange(len(held["labels"]))
            arrays = _held(given, held["labels"], other["features"] if usable else None, rows)
            arrays["n_classes"] = max(PAPER_CLASSES.get(target, 0), classes_of(held["labels"]))
            metadata = {"name": entry["architecture"], "arch": entry["architecture"], "source": entry["source_dataset"]}
            metadata |= {"layers": PAPER_LAYERS.get(entry["architecture"]), "feature_dim": entry["features"]}
            metadata |= {
                "source_size": PAPER_IMAGES.get(entry["source_dataset"]),
                "target_size": PAPER_IMAGES.get(target),
            }
            metadata = {k: v for k, v in metadata.items() if v is not None}
            row = {"Run": run, "Architecture": entry["architecture"], "Source Dataset": entry["source_dataset"]}
            row[TARGET] = target
            scores.append(dict(row))
            problems, spent = _score(methods, arrays, metadata, scores[-1], banks)
            status += [{**row, **p} for p in problems]
            timings += [{**row, **t} for t in spent]
    banks.finish()
    columns = ["Run", "Architecture", "Source Dataset", TARGET, "Stage", "Method", "Status", "Reason"]
    return pd.DataFrame(scores), pd.DataFrame(status, columns=columns), pd.DataFrame(timings)


def methods_of_the_paper() -> list[Any]:
    """The methods of experiment paper_mini, and beside them `<name>_released` where the release computes another."""
    from benchmark import cli
    from benchmark.config import METHOD, MethodSpec, parameterised, validate

    specs = []
    for name, entry in parameterised(cli.compose(["experiment=paper_mini"])["method"], METHOD).items():
        specs.append(validate(MethodSpec, {"name": name, **entry}))
        if entry["_target_"] in RELEASED:
            released = {**entry["parameters"], "compat": "parc"}
            specs.append(validate(MethodSpec, {"name": f"{name}_released", **entry, "parameters": released}))
    return specs


def main(argv: list[str] | None = None) -> int:
    from types import SimpleNamespace

    from pydantic import Field

    from benchmark import cli, correlate, provenance, report
    from benchmark.config import ConfigError, Spec

    class Settings(Spec):
        probes: Path = Field(description="folder with the released probe pickles, at any depth")
        oracle: Path = Field(description="the release's controlled.csv or all.csv (scripts/fetch_official.py)")
        out: Path = Field(Path("outputs/paper_official"), description="folder for the report")
        converted: Path = Field(Path(".cache/official"), description="folder for the converted probes and a manifest")
        html: bool = Field(False, description="write report.html as well")

    def run(settings: Settings) -> int:
        if not settings.probes.is_dir():
            raise ConfigError(f"probes must be a folder. Got {settings.probes}: nothing there.")
        try:
            oracle = correlate.read(settings.oracle)
            entries, refused = convert(settings.probes, settings.converted)
            if not entries:
                raise ValueError(f"probes must be a folder with probe pickles. Got none to use in {settings.probes}.")
            specs = methods_of_the_paper()
            scores, status, timings = score(entries, settings.converted, specs)
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from None
        tables = SimpleNamespace(
            scores=scores, truth=oracle, seeds=oracle.assign(Seed=0), status=status, timings=timings
        )
        code = report.write(
            tables,
            settings.out,
            title="the paper's released probes",
            inputs={m.name: m.needs for m in specs},
            provenance={"probes": len(entries), "refused": refused, **provenance.record()},
            html=settings.html,
        )
        return 1 if refused else code

    usage = "python -m benchmark.official probes=<folder> oracle=<csv> out=<folder>: the released probes, safely"
    return cli.settings(run, Settings, usage, argv)


if __name__ == "__main__":
    sys.exit(main())
