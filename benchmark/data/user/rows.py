"""The listing itself: one row an image with its label and part of the split, from whichever form it was read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypedDict, TypeVar

import numpy as np

from benchmark.data.examples import TEST, TEST_NAMES, TRAIN
from benchmark.data.labels import Cell, labelled
from benchmark.data.splits import stratified
from benchmark.data.user.findings import TO_SPLIT, DataError
from benchmark.wording import some

LEFT_BEHIND = 254
"""The split of a row of a table that belongs to neither train nor test."""


Item = TypeVar("Item", int, Path)


class Facts(TypedDict, total=False):
    """What the data say of themselves."""

    licence: str
    flip: bool
    upright: bool


@dataclass(frozen=True)
class Listing(Generic[Item]):
    """n images of a path, before any is read.

    items   what `read` takes, to give the bytes of an image
    names   how each is called in messages
    labels  (n,) class ids, or (n, c) multi-hot
    split   (n,) 0 train, 1 test, 255 to be split
    files   whose bytes decide the result
    remarks what was passed over, and why
    facts   where the data say so
    """

    items: Sequence[Item]
    read: Callable[[Item], bytes]
    names: list[str]
    labels: np.ndarray
    split: np.ndarray
    class_names: list[str]
    files: list[Path]
    origin: str
    remarks: list[str] = field(default_factory=list)
    facts: Facts = field(default_factory=Facts)

    def __len__(self) -> int:
        return len(self.names)

    def taken(self, most: int | None) -> Listing[Item]:
        """At most so many of the images, classes in proportion, the same ones every time."""
        if most is None or len(self) <= most:
            return self
        at = stratified(self.labels, self.names, most).tolist()
        files = self.files
        if len(files) >= len(self):  # a file an image: those left out need not be fingerprinted
            chosen: set[int | Path] = {self.items[i] for i in at}
            every: set[int | Path] = set(self.items)
            files = [f for f in files if f not in every or f in chosen]
        return Listing(
            [self.items[i] for i in at],
            self.read,
            [self.names[i] for i in at],
            self.labels[at],
            self.split[at],
            self.class_names,
            files,
            self.origin,
            [
                *self.remarks,
                f"{most} of {len(self)} images are taken, classes in proportion; max_images=null takes all.",
            ],
            self.facts,
        )


def classes_and_labels(raw: Sequence[Cell], names: list[str] | None, where: str) -> tuple[list[str], np.ndarray]:
    """Class names, and the labels as ids or multi-hot rows; DataError for what is no label."""
    try:
        class_names, labels, _ = labelled(raw, names, where)
    except ValueError as error:
        said = str(error)
        raise DataError(said if said.startswith(where) else f"{where}: {said}") from None
    return class_names, labels


def rows_used(splits: list[str | None], where: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The rows that are used, their split, and what is to be said: rows of a third split go before labels are read."""
    split = _splits(splits, where)
    kept = np.flatnonzero(split != LEFT_BEHIND)
    left = len(split) - len(kept)
    said = f"{left} {'row' if left == 1 else 'rows'} of other splits than train and test {'is' if left == 1 else 'are'}"
    return kept, split[kept], [f"{said} left out."] if left else []


def _splits(values: list[str | None], where: str) -> np.ndarray:
    """(n,) split of each row: as named, all to be split where no test part is named; others are left behind."""
    named = [str(v).strip().lower() if v is not None else "" for v in values]
    test = next((name for name in TEST_NAMES if name in named), None)
    if test is None or "train" not in named:
        if strange := sorted(set(named) - {"", "train", *TEST_NAMES}):
            raise DataError(
                f"{where}: split must be train or one of {', '.join(TEST_NAMES)}. Got {some(strange)}. Correct them."
            )
        return np.full(len(named), TO_SPLIT, np.uint8)
    return np.array([{"train": TRAIN, test: TEST}.get(v, LEFT_BEHIND) for v in named], np.uint8)
