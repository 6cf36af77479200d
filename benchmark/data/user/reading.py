"""What a user says about how their images are to be read, where it cannot be seen: columns, levels, parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.data.user.findings import DataError
from benchmark.errors import did_you_mean

MASKS = ("leave_out", "keep")
WHOLE = "none"
"""The separator that leaves labels as they are."""


@dataclass(frozen=True)
class Reading:
    """What is given; None or empty where it is to be found.

    image, label  columns of a table
    class_level   how many folders below the path (or below the folders of the split) the classes are
    train, test   folders, or values of a table's column, of the split
    column        the column of a table that holds the split
    masks         `leave_out` or `keep`, for masks and annotations beside images
    separator     what stands between several labels of one cell; `none`: every cell is one label
    """

    image: str | None = None
    label: str | None = None
    class_level: int | None = None
    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    column: str | None = None
    masks: str | None = None
    separator: str | None = None

    @property
    def parts_given(self) -> bool:
        return bool(self.train or self.test)


def reading_of(split: Mapping[str, Any] | None = None, masks: str | None = None, **given: Any) -> Reading:
    """The Reading of plain settings: `split` holds train, test (a name or several) and column."""
    split = split or {}
    if strange := sorted(set(split) - {"train", "test", "column"}):
        options = ("train", "test", "column")
        raise DataError(f"split must hold train, test or column. Got {strange[0]}. {did_you_mean(strange[0], options)}")
    if masks not in (None, *MASKS):
        raise DataError(f"masks must be {' or '.join(MASKS)}. Got {masks}. Leave it out to be asked.")
    train, test = _names(split.get("train")), _names(split.get("test"))
    if both := set(train) & set(test):
        raise DataError(f"split.train and split.test must differ. Got {min(both)} in both. Take it from one of them.")
    return Reading(**given, masks=masks, column=split.get("column"), train=train, test=test)


def _names(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return tuple(str(v).strip().rstrip("/\\") for v in several)
