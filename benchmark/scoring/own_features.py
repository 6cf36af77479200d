"""A user's own features and accuracies: files in, scores in the tables of this project out. No PyTorch is needed.

`features` is one file (.npz or .safetensors) or a folder of such files; `benchmark.evaluate --help` lists arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from benchmark.config.functions import MethodSpec
from benchmark.scoring import known
from benchmark.scoring.draws import draw, seed_of_draw
from benchmark.scoring.metadata import Metadata
from benchmark.scoring.score import SOURCE, arrays_of_draw, classes_of, score_methods
from benchmark.scoring.whole_bank import Member, score_members
from benchmark.tables import columns, reading
from benchmark.tables.bank import Banks
from benchmark.tables.columns import MODEL, TARGET
from benchmark.tables.failures import Failures

FIELDS = ("features", "probs", "logits", *SOURCE)
FACTS = {
    "Layers": "layers",
    "Parameters": "parameters",
    "Source Size": "source_size",
    "Source Accuracy": "source_accuracy",
}
LARGEST = 1e30
ROUNDING = 0.02  # a row of probabilities in half precision may miss 1 by that much
_KEYS = ["Model", *MODEL, TARGET]


@dataclass(frozen=True)
class Arrays:
    """labels per target, models per target with their arrays, and reference features per target."""

    labels: dict[str, np.ndarray]
    models: dict[str, dict[str, dict[str, np.ndarray]]]
    reference: dict[str, np.ndarray]


def read(path: Path) -> Arrays:
    """The arrays of a file or a folder, their shapes checked; raises ValueError with every complaint's key."""
    return arranged(dict(_items(path)), str(path))


def arranged(arrays: Mapping[str, np.ndarray], origin: str = "the arrays") -> Arrays:
    """Arrays by their keys, as in a file, in order; shapes are checked as by `read`."""
    found = Arrays({}, {}, {})
    for key in sorted(arrays):
        array = np.asarray(arrays[key])
        target, _, rest = key.partition("/")
        model, _, field = rest.rpartition("/")
        if rest == "labels":
            found.labels[target] = _labels(array, key)
        elif rest == "reference_features":
            found.reference[target] = array
        elif model and field in FIELDS:
            array = _labels(array, key) if field == "source_labels" else array
            found.models.setdefault(target, {}).setdefault(model, {})[field] = array
        elif model and field == "labels":  # a file a model, each with the labels
            same = found.labels.setdefault(target, _labels(array, key))
            if not np.array_equal(same, array):
                raise ValueError(f"{key} must equal the labels of the other models. Got others. Use the same images.")
        else:
            raise ValueError(
                f"features must hold keys <target>/labels and <target>/<model>/{{{','.join(FIELDS)}}}. Got '{key}'."
            )
    _check(found, origin)
    return found


def read_truth(path: Path) -> pd.DataFrame:
    """The accuracy table of a file, completed."""
    return completed(columns.read(path))


def completed(truth: pd.DataFrame) -> pd.DataFrame:
    """An accuracy table with the columns that name a model filled in: a model's own name where they lack."""
    truth = columns.named(truth)
    if "Model" not in truth and set(MODEL) <= set(truth):
        truth = truth.assign(Model=truth[MODEL[0]].astype(str) + "/" + truth[MODEL[1]].astype(str))
    lacking = [c for c in ("Model", TARGET, "Oracle") if c not in truth]
    if lacking:
        raise ValueError(
            f"truth must have the columns Model, {TARGET}, Oracle. Got {', '.join(map(str, truth.columns[:8]))}: "
            f"{', '.join(lacking)} missing."
        )
    columns.refuse_malformed(truth, "truth")
    _refuse_unused(truth)
    return truth


def _refuse_unused(truth: pd.DataFrame) -> None:
    """ValueError for a truth without any accuracy, or with several of one model and target and no Seed."""
    if not (truth["Oracle"] > 0).any():
        raise ValueError("truth must have accuracies above 0. Got none: the column Oracle is empty, or all 0.")
    by = ["Model", TARGET, *(["Seed"] if "Seed" in truth else [])]
    if (doubled := truth.duplicated(by)).any():
        first = ", ".join(map(str, truth.loc[doubled, by].iloc[0]))
        raise ValueError(f"truth must have one row per {', '.join(by)}. Got {first} again. Number the seeds in Seed.")


def tables(
    arrays: Arrays, truth: pd.DataFrame, methods: Sequence[MethodSpec], size: int | None = None, draws: int = 1
) -> Any:
    """Scores of every method on every model and target that has an accuracy, as tables (`benchmark.tables.gather`).

    size     images per probe set, drawn as the benchmark draws them (half of them at most from fewer than 1,000);
             None scores all images, once
    """
    from threadpoolctl import threadpool_limits

    facts = truth.drop_duplicates(["Model", TARGET]).set_index(["Model", TARGET])
    scores, status, timings, banks = [], [], [], Banks()
    alone, over_bank = ([m for m in methods if m.over_bank == whole] for whole in (False, True))
    known.refuse_none(methods, truth, arrays.models)
    with threadpool_limits(1):
        for target, models in arrays.models.items():
            more = {"n_classes": classes_of(arrays.labels[target]), "known": known.of_table(truth, target) or None}
            for run, rows in enumerate(_draws(arrays.labels[target], size, draws)):
                bank = []
                for model, given in models.items():
                    if (model, target) not in facts.index:
                        continue
                    said = facts.loc[(model, target)]
                    row = {"Run": run, "Model": model, **{c: said[c] for c in MODEL}, TARGET: target}
                    metadata = _metadata(model, target, said, given, len(arrays.labels[target]))
                    held = arrays_of_draw(given, arrays.labels[target], arrays.reference.get(target), rows)
                    extra = {c: said[c] for c in ("Layers", "Parameters") if c in facts}
                    scores.append({**row, **extra, "Images": len(rows)})
                    problems, spent = score_methods(alone, run, {**held, **more}, metadata, scores[-1], banks)
                    status += [{**row, **p} for p in problems]
                    timings += [{**row, **t} for t in spent]
                    if over_bank:
                        bank.append((row, Member(given["features"][rows], metadata, scores[-1])))
                if bank:
                    members, labels = [member for _, member in bank], arrays.labels[target][rows]
                    found = score_members(over_bank, run, members, labels, more, banks)
                    for (row, _), (problems, spent) in zip(bank, found, strict=True):
                        status += [{**row, **p} for p in problems]
                        timings += [{**row, **t} for t in spent]
    banks.finish()
    if not scores:
        raise ValueError(
            "features and truth must share models and targets. Got no pair in common: features has "
            f"{', '.join(sorted(arrays.models))}; truth has {', '.join(sorted(set(truth[TARGET])))}."
        )
    per_seed = truth.assign(Seed=truth.get("Seed", 0))
    plain = [c for c in truth if c not in ("Seed", "Oracle")]
    mean = truth.drop(columns="Seed", errors="ignore").drop_duplicates(["Model", TARGET])[plain]
    oracle = truth.groupby(["Model", TARGET])["Oracle"].mean().reset_index()
    return SimpleNamespace(
        scores=pd.DataFrame(scores),
        truth=mean.merge(oracle, on=["Model", TARGET]),
        seeds=per_seed,
        status=pd.DataFrame(status, columns=["Run", *_KEYS, "Stage", "Method", "Status", "Reason"]),
        timings=pd.DataFrame(timings),
        failures=_failures(status, len(scores)),
    )


def _failures(status: Sequence[Mapping[str, Any]], scores: int) -> list[Failures]:
    """The methods that raised an exception, or of which nothing was left, each with its first failure."""
    found: dict[str, Failures] = {}
    for row in status:
        if row["Status"] != "failed":
            continue
        if row["Method"] not in found:
            inapplicable = sum(r["Method"] == row["Method"] and r["Status"] == "not_applicable" for r in status)
            where = f"{row['Model']} → {row[TARGET]}, probe set {row['Run']}"
            first = {"where": where, "reason": row["Reason"], "file": ""}
            first |= {"given": row["Given"], "traceback": row["Traceback"]}
            found[row["Method"]] = Failures(row["Method"], tried=scores - inapplicable, first=first)
        found[row["Method"]].failed += 1
    return list(found.values())


def _items(path: Path) -> list[tuple[str, np.ndarray]]:
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix in (".npz", ".safetensors"))
        if not files:
            raise ValueError(f"features must be a folder with .npz or .safetensors files. Got none in {path}.")
        return [item for file in files for item in _of_folder(path, file)]
    if not path.is_file():
        raise ValueError(f"features must be a file or a folder. Got {path}: nothing there.")
    return reading.arrays(path)


def _of_folder(folder: Path, file: Path) -> list[tuple[str, np.ndarray]]:
    prefix = file.relative_to(folder).with_suffix("").as_posix()  # <target> or <target>/<model>
    return [(f"{prefix}/{key}", array) for key, array in reading.arrays(file)]


def _labels(array: np.ndarray, key: str) -> np.ndarray:
    """Class ids as integers, or a multi-hot table of 0 and 1; ValueError for what is neither."""
    if array.ndim not in (1, 2) or not len(array):
        raise ValueError(f"{key} must be (n,) class ids or (n, c) multi-hot. Got shape {array.shape}.")
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all() or (array % 1).any():
        raise ValueError(f"{key} must hold whole numbers. Got {_shown(array)}. Number the classes from 0.")
    if array.ndim == 2 and not np.isin(array, (0, 1)).all():
        raise ValueError(f"{key} must hold 0 and 1, a column a class. Got {_shown(array)}. Give class ids as (n,).")
    if np.abs(array).max() >= 2**53:
        raise ValueError(f"{key} must hold class ids. Got {_shown(array)}. Number the classes from 0.")
    return array.astype(np.int64)


def _shown(array: np.ndarray) -> str:
    """An array's type, shape and first values, for an error."""
    first = ", ".join(str(value) for value in array.ravel()[:3])
    return f"{array.dtype} {array.shape}, {first} …"


def _check(found: Arrays, path: str) -> None:
    problems = []
    for target, models in found.models.items():
        if target not in found.labels:
            problems.append(f"{target}/labels must be given. Got none in {path}.")
            continue
        n = len(found.labels[target])
        for model, given in models.items():
            for field, array in given.items():
                if field not in SOURCE:
                    problems += _array_problems(array, f"{target}/{model}/{field}", n, field)
            problems += _source_problems(given, f"{target}/{model}")
            if "features" not in given:
                problems.append(f"{target}/{model}/features must be given. Got {', '.join(given)} alone.")
        if target in found.reference:
            problems += _array_problems(found.reference[target], f"{target}/reference_features", n, "features")
    if not found.models:
        problems.append(f"features must hold <target>/<model>/features. Got none in {path}.")
    if problems:
        raise ValueError("\n".join(problems))


def _source_problems(given: Mapping[str, np.ndarray], model: str) -> list[str]:
    """What is wrong with the source's features and labels of a model, which come together; nothing without them."""
    if not given.keys() & set(SOURCE):
        return []
    if lacking := set(SOURCE) - given.keys():
        return [f"{model}/{lacking.pop()} must be given beside the other of {', '.join(SOURCE)}. Got none."]
    features, labels = (given[name] for name in SOURCE)
    problems = _array_problems(features, f"{model}/source_features", len(labels), "features")
    width = given["features"].shape[1:] if "features" in given else features.shape[1:]
    if not problems and features.shape[1:] != width:
        got = f"Got {features.shape[1]} columns. Take both from the same layer."
        problems.append(f"{model}/source_features must have as many columns as its features, {width[0]}. {got}")
    return problems


def _array_problems(array: np.ndarray, key: str, n: int, field: str) -> list[str]:
    """What is wrong with the numbers of one array, a sentence at most."""
    if array.dtype.kind not in "biuf":
        return [f"{key} must hold real numbers. Got {_shown(array)}."]
    if array.ndim != 2 or len(array) != n or not array.shape[1]:
        return [f"{key} must be ({n}, …), a row a label. Got {array.shape}."]
    if not np.isfinite(array).all():
        return [f"{key} must be finite. Got NaN or infinity."]
    if np.abs(array, dtype=np.float64).max() > LARGEST:
        return [f"{key} must be at most {LARGEST:g} in size: their squares are summed. Got {np.abs(array).max():g}."]
    if field == "probs" and (array.min() < 0 or np.abs(array.sum(1, dtype=np.float64) - 1).max() > ROUNDING):
        return [f"{key} must be probabilities, each row of sum 1. Got {_shown(array)}. Give logits as 'logits'."]
    return []


def _draws(labels: np.ndarray, size: int | None, draws: int) -> list[np.ndarray]:
    if size is None:
        return [np.arange(len(labels))]
    return [draw(labels, size, seed_of_draw(r), labels.ndim == 2) for r in range(draws)]


def _metadata(
    model: str, target: str, known: pd.Series, given: Mapping[str, np.ndarray], images: int
) -> dict[str, object]:
    named = {"name": model, "arch": str(known[MODEL[0]]), "source": str(known[MODEL[1]]), "target": str(target)}
    facts = {word: float(known[c]) for c, word in FACTS.items() if c in known and pd.notna(known[c])}
    size = known.get("Target Size", images)
    size = images if pd.isna(size) else size
    return Metadata(named | facts | {"target_size": int(size), "feature_dim": given["features"].shape[1]})
