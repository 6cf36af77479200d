"""The column of a table that says which rows are for training and which for testing, whatever it is called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.data.examples import TEST, TEST_NAMES, TRAIN
from benchmark.data.user.findings import TO_SPLIT, DataError
from benchmark.data.user.parts import part_of
from benchmark.data.user.reading import Reading
from benchmark.errors import did_you_mean
from benchmark.wording import some, verb_for

LEFT_BEHIND = 254
"""The split of a row of a table that belongs to neither train nor test."""
NAMES = ("split", "set", "partition", "subset", "usage", "phase", "data set", "dataset", "fold")
FLAG = re.compile(r"^(is|in)[ _-]?(?P<part>[a-z]+)$|^(?P<bare>test|train|val|validation)$", re.IGNORECASE)
YES, NO = {"1", "1.0", "true", "yes", "y", "t"}, {"0", "0.0", "false", "no", "n", "f", ""}
Values = Sequence[Any]


def split_column(columns: Sequence[str], reading: Reading, where: str) -> str | None:
    """The column of the split, as given or by its name; None where there is none."""
    if reading.column is not None:
        found = next((c for c in columns if c.strip().lower() == reading.column.strip().lower()), None)
        if found is None:
            raise DataError(
                f"split.column must be a column of {where}. Got {reading.column}. "
                f"{did_you_mean(reading.column, columns)}"
            )
        return found
    by_name = {c.strip().lower().replace("_", " "): c for c in reversed(columns)}
    named = [by_name[name] for name in NAMES if name in by_name]
    return next(iter([*named, *(c for c in columns if _flag(c))]), None)


def split_of(column: str | None, values: Values, reading: Reading, where: str) -> tuple[np.ndarray, list[str]]:
    """(n,) split of each row (train, test, to be split here, left behind), and what is to be said."""
    texts = ["" if v is None else str(v).strip() for v in values]
    if reading.parts_given:
        return _as_given(column, texts, reading, where)
    if column is None:
        return np.full(len(texts), TO_SPLIT, np.uint8), []
    parts = _flagged(column, texts) if _flag(column) else {t: p.part for t in set(texts) if (p := part_of(t))}
    strange = sorted(set(texts) - set(parts) - {""})
    if strange and column.strip().lower() == "split":
        raise DataError(
            f"{where}: split must be train or one of test, val, valid, validation. Got {some(strange)}. Correct them, "
            f"or say which rows are for testing with split.test={strange[-1]}."
        )
    kinds = set(parts.values())
    if strange or "train" not in kinds or not kinds & {"test", "val"}:
        return np.full(len(texts), TO_SPLIT, np.uint8), _unused(column, texts)
    test = "test" if "test" in kinds else "val"
    sides = {"train": TRAIN, test: TEST}
    split = np.array([sides.get(parts.get(t, ""), LEFT_BEHIND) for t in texts], np.uint8)
    plainly = column.strip().lower() == "split" and all(t.lower() in ("", "train", *TEST_NAMES) for t in texts)
    return split, [*([] if plainly else [_counted(column, texts, split)]), *_behind(split)]


def _flag(column: str) -> str | None:
    """The part that a column of yes and no is about: is_test, is_valid, train …"""
    found = FLAG.match(column.strip())
    part = part_of(found["part"] or found["bare"]) if found else None
    return part.part if part else None


def _flagged(column: str, texts: Sequence[str]) -> dict[str, str]:
    """{text: part} of a column of yes and no, or of the names of parts."""
    out: dict[str, str] = {}
    if about := _flag(column):
        other = "train" if about != "train" else "test"
        out = {t: about for t in set(texts) if t.lower() in YES} | {t: other for t in set(texts) if t.lower() in NO}
    return out or {t: p.part for t in set(texts) if (p := part_of(t))}


def _as_given(column: str | None, texts: Sequence[str], reading: Reading, where: str) -> tuple[np.ndarray, list[str]]:
    """The split by the values that split.train and split.test name; where one is not given, it is the rest."""
    if column is None:
        raise DataError(f"split.column must name a column of {where}. Got none. Add split.column=<column>.")
    for key, names in (("train", reading.train), ("test", reading.test)):
        if absent := [n for n in names if n not in texts]:
            raise DataError(
                f"split.{key} must be values of the column {column} of {where}. Got {absent[0]}. "
                f"{did_you_mean(absent[0], set(texts))}"
            )
    rest = LEFT_BEHIND if reading.train and reading.test else TEST if reading.train else TRAIN
    sides = dict.fromkeys(reading.train, TRAIN) | dict.fromkeys(reading.test, TEST)
    split = np.array([sides.get(t, rest) for t in texts], np.uint8)
    return split, [_counted(column, texts, split), *_behind(split)]


def _counted(column: str, texts: Sequence[str], split: np.ndarray) -> str:
    said = []
    for part, name in ((TRAIN, "training"), (TEST, "testing")):
        counts = Counter(t for t, s in zip(texts, split, strict=True) if s == part)
        said.append(f"{some([repr(v) for v in sorted(counts)])} for {name} ({sum(counts.values())} rows)")
    return f"The column {column} is the split: {'; '.join(said)}."


def _behind(split: np.ndarray) -> list[str]:
    left = int((split == LEFT_BEHIND).sum())
    said = f"{left} {verb_for(left, 'row', 'rows')} of other splits than train and test {verb_for(left, 'is', 'are')}"
    return [f"{said} left out."] if left else []


def _unused(column: str, texts: Sequence[str]) -> list[str]:
    values = sorted(set(texts))
    if column.strip().lower() == "split" or len(values) < 2:
        return []
    return [
        f"The column {column} is not used ({some([repr(v) for v in values])}); split.column={column} "
        f"split.test={values[-1]} would test on those rows."
    ]
