"""Labels in whatever form (names, numbers, multi-hot rows, lists of names): class names and ids or rows of 0 and 1."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

from benchmark.wording import SHOWN

Label = str | int | float | None
Cell = Label | list[Label]
"""What a row holds: a label, or a list of them where the data are multi-label."""


def labelled(raw: Sequence[Cell], names: list[str] | None, where: str) -> tuple[list[str], np.ndarray, bool]:
    """Class names, class ids or multi-hot rows, and whether they are multi-label. ValueError for rows without one."""
    raw, names, _ = from_multi_hot(raw, names)
    multilabel = bool(raw) and isinstance(raw[0], list)
    bad = [i for i, value in enumerate(raw) if value is None or value == -1]
    if bad:
        raise ValueError(f"{where}: every row must have a label. Got none in rows {bad[:SHOWN]}. Remove those rows.")
    if names is None:
        names = name_classes({k for value in raw for k in each(value, multilabel)})
    return names, encode(raw, np.arange(len(raw)), names, multilabel, where), multilabel


def from_multi_hot(raw: Sequence[Cell], names: list[str] | None) -> tuple[Sequence[Cell], list[str] | None, str]:
    """Rows of 0 and 1, one a class, as lists of ids, the classes' names, and what is said; other labels as they are.

    Rows are multi-hot where all hold as many numbers as there are names (or, without names, all as many: two or more),
    and these are 0 or 1: as ids, every image would have the first two classes alone.
    """
    rows = [value for value in raw if isinstance(value, list)]
    if not rows or len(rows) < sum(value is not None for value in raw):
        return raw, names, ""
    lengths, values = {len(value) for value in rows}, {v for value in rows for v in value}
    c = lengths.pop()
    if lengths or c < 2 or c != (c if names is None else len(names)) or not values <= {0, 1}:
        return raw, names, ""
    ids: list[Cell] = [[k for k, v in enumerate(value) if v] if isinstance(value, list) else None for value in raw]
    names = [str(k) for k in range(c)] if names is None else names
    return ids, names, f"rows of {c} times 0 or 1 say which of {c} classes an image has."


SPARSE = 10_000  # numbers below are classes from 0 without a gap; above, only those that occur may be


def read_class_names(metadata: dict[bytes, bytes], column: str) -> list[str] | None:
    """Class names from the schema metadata, or None."""
    if b"class_names" in metadata:
        return [str(name) for name in json.loads(metadata[b"class_names"])]
    feature = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {}).get(column, {})
    feature = feature[0] if isinstance(feature, list) else feature.get("feature", feature)
    names = feature.get("names") if isinstance(feature, dict) else None
    return None if names is None else [str(name) for name in names]


def each(cell: Cell, multilabel: bool) -> list[Label]:
    """The labels of one row; ValueError for a list among single labels, and for a single one among lists."""
    if isinstance(cell, list) != multilabel:
        raise ValueError(f"labels must be lists in every row or in none. Got {cell!r}. Correct that row.")
    return cell if isinstance(cell, list) else [cell]


def name_classes(values: Iterable[Label]) -> list[str]:
    """Names for classes that the file does not name: the texts themselves, or the numbers from 0.

    Of numbers that are far apart (the largest is at least `SPARSE` and ten times their count), those that occur.
    ValueError for values that are neither texts nor whole numbers.
    """
    values = set(values)
    if len(texts := [value for value in values if isinstance(value, str)]) == len(values):
        return sorted(texts)
    numbers = {_whole(value) for value in values}
    if max(numbers) < max(SPARSE, 10 * len(numbers)):
        return [str(k) for k in range(max(numbers) + 1)]
    return [str(k) for k in sorted(numbers)]


def _whole(value: Label) -> int:
    """A class id as an integer; ValueError for anything but a whole number."""
    try:
        if value is not None and not isinstance(value, str | bytes) and int(value) == value:
            return int(value)
    except (TypeError, ValueError, OverflowError):  # no number, NaN, infinity
        pass
    raise ValueError(f"labels must be whole numbers or texts. Got {value!r}. Correct them, or name another column.")


def encode(raw: Sequence[Cell], kept: np.ndarray, names: list[str], multilabel: bool, where: str) -> np.ndarray:
    """Class ids (n,) or multi-hot (n, c) of the rows in `kept`, zero elsewhere; text is looked up in `names`.

    So are numbers that are too large to be ids, where all are names (see `name_classes`).
    """
    ids = {name: k for k, name in enumerate(names)}
    values = {v for i in kept.tolist() for v in each(raw[i], multilabel)}
    numbers = {v: _whole(v) for v in values if v is not None and not isinstance(v, str)}
    if max(numbers.values(), default=0) >= len(names) and all(str(k) in ids for k in numbers.values()):
        numbers = {v: ids[str(k)] for v, k in numbers.items()}
    out = np.zeros((len(raw), len(names)) if multilabel else len(raw), np.int64)
    for i in kept.tolist():
        for value in each(raw[i], multilabel):
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
