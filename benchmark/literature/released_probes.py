"""The paper's released probes: pickles read without executing them, converted once, scored.

A released probe is a pickled dict: `features` (n, d), `probs` (n, z), `y` (n,) or multi-hot (n, c), `source_dataset`,
`target_dataset`, `architecture`, in files `<architecture>_<source>_<target>_<run>.pkl`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.config.compose import compose
from benchmark.config.functions import MethodSpec
from benchmark.config.validation import METHOD, parameterised, validate
from benchmark.files import put, record
from benchmark.safe_pickle import LARGEST, Refused, loads
from benchmark.scoring.score import arrays_of_draw, classes_of, score_methods
from benchmark.tables.bank import Banks
from benchmark.tables.columns import PAPER_CLASSES, PAPER_IMAGES, PAPER_LAYERS, TARGET

REQUIRED = ("features", "probs", "y", "source_dataset", "target_dataset", "architecture")

RELEASED = ("methods.parc", "methods.nce", "methods.knn", "methods.heuristic")
"""Functions whose `compat="parc"` is the release's form: ties of PARC's label distances, NCE's eps, votes for k > 1."""
_REFERENCE = "resnet50"  # the paper's reference network for RSA and DDS


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


def score(
    entries: Sequence[Mapping[str, Any]], folder: Path, methods: Sequence[MethodSpec]
) -> tuple[pd.DataFrame, ...]:
    """(scores, status, timings) of converted probes, self-transfers aside, which serve rsa and dds as reference."""
    from safetensors.numpy import load_file
    from threadpoolctl import threadpool_limits

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
            other = load_file(folder / beside["tensors"]) if beside else {}
            usable = np.array_equal(other.get("labels", ()), held["labels"])
            rows = np.arange(len(held["labels"]))
            arrays = arrays_of_draw(given, held["labels"], other["features"] if usable else None, rows)
            more = {"n_classes": max(PAPER_CLASSES.get(target, 0), classes_of(held["labels"]))}
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
            problems, spent = score_methods(methods, run, {**arrays, **more}, metadata, scores[-1], banks)
            status += [{**row, **p} for p in problems]
            timings += [{**row, **t} for t in spent]
    banks.finish()
    columns = ["Run", "Architecture", "Source Dataset", TARGET, "Stage", "Method", "Status", "Reason"]
    return pd.DataFrame(scores), pd.DataFrame(status, columns=columns), pd.DataFrame(timings)


def methods_of_the_paper() -> list[MethodSpec]:
    """The methods of experiment paper_mini, and beside them `<name>_released` where the release computes another."""
    specs = []
    for name, entry in parameterised(compose(["experiment=paper_mini"])["method"], METHOD).items():
        specs.append(validate(MethodSpec, {"name": name, **entry}))
        if entry["_target_"] in RELEASED:
            released = {**entry["parameters"], "compat": "parc"}
            specs.append(validate(MethodSpec, {"name": f"{name}_released", **entry, "parameters": released}))
    return specs
