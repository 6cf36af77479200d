"""The listing itself: one row an image with its label and part of the split, from whichever form it was read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypedDict, TypeVar

import numpy as np

from benchmark.data.examples import TEST, TRAIN
from benchmark.data.labels import Cell, labelled
from benchmark.data.splits import stratified
from benchmark.data.user.findings import TO_SPLIT, DataError
from benchmark.data.user.split_column import LEFT_BEHIND

Item = TypeVar("Item", int, Path)


class Facts(TypedDict, total=False):
    """What the data say of themselves."""

    licence: str
    flip: bool
    upright: bool


@dataclass(frozen=True)
class Listing(Generic[Item]):
    """n images of a path, before any is read.

    items   what `read` takes, to give the bytes of an image, or an array
    names   how each is called in messages
    labels  (n,) class ids, or (n, c) multi-hot
    split   (n,) 0 train, 1 test, 255 to be split
    files   whose bytes decide the result
    remarks what was passed over, and why
    facts   where the data say so
    """

    items: Sequence[Item]
    read: Callable[[Item], bytes | np.ndarray]
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


def rows_used(split: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows that are used, and their split: rows of a third split go before labels are read."""
    kept = np.flatnonzero(split != LEFT_BEHIND)
    split = split[kept]
    one_sided = not ((split == TRAIN).any() and (split == TEST).any())
    return kept, np.full(len(kept), TO_SPLIT, np.uint8) if one_sided else split
