"""What an adapter returns: images, labels, class names and split of one data set, before they become a pack.

An adapter is a plain function that returns `Examples` and is marked with `adapter`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar, overload

import numpy as np
from PIL import Image

Picture = np.ndarray | Image.Image
"""An image: an array (h, w, 3) uint8, or Pillow's."""

TRAIN, TEST, LEFT_OUT = 0, 1, 2
SPLITS = {"train": TRAIN, "test": TEST}

# The first of these that is there is the test split; the others are left out.
TEST_NAMES = ("test", "val", "valid", "validation")


@dataclass(frozen=True)
class Settled:
    """What an adapter makes of its images once it has seen them all, see `Examples.settle`.

    labels, split, class_names  as in Examples; a split of 2 leaves the image out
    notes                       plain data that the pack's metadata keeps
    groups                      (n,) near-duplicates share a number; None where there are none
    levels                      the range that became 0 to 255 in images of more than 8 bits, see benchmark.data.depth
    """

    labels: np.ndarray
    split: np.ndarray
    class_names: list[str]
    notes: list[dict[str, object]]
    groups: np.ndarray | None = None
    levels: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Examples:
    """What an adapter returns.

    images      iterable of n images in stored order; read once, in order
    labels      (n,) class ids, or (n, c) multi-hot where `multilabel`
    split       (n,) 0 = train, 1 = test
    flip        a horizontal flip keeps the label
    upright     the images have a right way up, so that predicting a rotation is a meaningful task
    settle      asked once all images were read, for labels, split and classes that depend on what they show; then
                `images` may hold None for one that cannot be read, and labels and split are preliminary
    """

    images: Iterable[Picture | None]
    labels: np.ndarray
    split: np.ndarray
    class_names: list[str]
    multilabel: bool = False
    licence: str = "unknown"
    origin: str = "unknown"
    flip: bool = True
    upright: bool = True
    settle: Callable[[], Settled] | None = None


Reader = TypeVar("Reader", bound=Callable[..., Examples])


def adapter(version: int = 1, inputs: Callable[..., list[Path]] | None = None) -> Callable[[Reader], Reader]:
    """Mark a function as an adapter.

    version  raised by hand when the adapter's output changes
    inputs   called with the adapter's parameters; the outside files whose bytes decide the output
    """

    def mark(function: Reader) -> Reader:
        vars(function).update(version=version, inputs=inputs or (lambda **_: []))
        return function

    return mark


def package_folder(package: str) -> Path:
    """Folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"package {package} must be installed. Got none. Run pip install {package}.")
    return Path(spec.submodule_search_locations[0])


Item = TypeVar("Item")


@dataclass(frozen=True)
class Lazy(Sequence[Picture], Generic[Item]):
    """A sequence that decodes its items when they are asked for, so that one at a time is in memory."""

    items: Sequence[Item] | np.ndarray
    read: Callable[[Item], Picture]

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, i: int) -> Picture: ...

    @overload
    def __getitem__(self, i: slice) -> Sequence[Picture]: ...

    def __getitem__(self, i: int | slice) -> Picture | Sequence[Picture]:
        return Lazy(self.items[i], self.read) if isinstance(i, slice) else self.read(self.items[i])
