"""Labels in whatever form (names, numbers, multi-hot rows, lists of names): class names and ids or rows of 0 and 1."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from benchmark.wording import SHOWN


def labelled(raw: list[Any], names: list[str] | None, where: str) -> tuple[list[str], np.ndarray, bool]:
    """Class names, class ids or multi-hot rows, and whether they are multi-label. ValueError for rows without one."""
    multilabel = bool(raw) and isinstance(raw[0], list)
    bad = [i for i, value in enumerate(raw) if value is None or value == -1]
    if bad:
        raise ValueError(f"{where}: every row must have a label. Got none in rows {bad[:SHOWN]}. Remove those rows.")
    if names is None:
        names = name_classes({k for value in raw for k in (value if multilabel else [value])})
    return names, encode(raw, np.arange(len(raw)), names, multilabel, where), multilabel


SPARSE = 10_000  # numbers below are classes from 0 without a gap; above, only those that occur may be


def read_class_names(metadata: dict[bytes, bytes], column: str) -> list[str] | None:
    """Class names from the schema metadata, or None."""
    if b"class_names" in metadata:
        return [str(name) for name in json.loads(metadata[b"class_names"])]
    feature = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {}).get(column, {})
    feature = feature[0] if isinstance(feature, list) else feature.get("feature", feature)
    names = feature.get("names") if isinstance(feature, dict) else None
    return None if names is None else [str(name) for name in names]


def name_classes(values: set[int] | set[float] | set[str]) -> list[str]:
    """Names for classes that the file does not name: the texts themselves, or the numbers from 0.

    Of numbers that are far apart (the largest is at least `SPARSE` and ten times their count), those that occur.
    ValueError for values that are neither texts nor whole numbers.
    """
    if all(isinstance(value, str) for value in values):
        return sorted(values)
    numbers = {_whole(value) for value in values}
    if max(numbers) < max(SPARSE, 10 * len(numbers)):
        return [str(k) for k in range(max(numbers) + 1)]
    return [str(k) for k in sorted(numbers)]


def _whole(value: Any) -> int:
    """A class id as an integer; ValueError for anything but a whole number."""
    try:
        if not isinstance(value, str | bytes) and int(value) == value:
            return int(value)
    except (TypeError, ValueError, OverflowError):  # no number, NaN, infinity
        pass
    raise ValueError(f"labels must be whole numbers or texts. Got {value!r}. Correct them, or name another column.")


def encode(raw: list[Any], kept: np.ndarray, names: list[str], multilabel: bool, where: str) -> np.ndarray:
    """Class ids (n,) or multi-hot (n, c) of the rows in `kept`, zero elsewhere; text is looked up in `names`.

    So are numbers that are too large to be ids, where all are names (see `name_classes`).
    """
    ids = {name: k for k, name in enumerate(names)}
    values = {v for i in kept for v in (raw[i] if multilabel else [raw[i]])}
    numbers = {v: _whole(v) for v in values if v is not None and not isinstance(v, str)}
    if max(numbers.values(), default=0) >= len(names) and all(str(k) in ids for k in numbers.values()):
        numbers = {v: ids[str(k)] for v, k in numbers.items()}
    out = np.zeros((len(raw), len(names)) if multilabel else len(raw), np.int64)
    for i in kept:
        for value in raw[i] if multilabel else [raw[i]]:
            k = -1 if value is None else ids.get(value, -1) if isinstance(value, str) else numbers[value]
            if not 0 <= k < len(names):
                raise ValueError(
                    f"{where}: labels must be among the {len(names)} classes. Got {value!r} in row {i}. "
                    "Correct the label or the class names."
                )
            if multilabel:
                out[i, k] = 1
            else:
                out[i] = k
    return out
