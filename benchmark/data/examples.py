"""What an adapter returns: images, labels, class names and split of one data set, before they become a pack.

An adapter is a plain function that returns `Examples` and is marked with `adapter`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

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
    """

    labels: np.ndarray
    split: np.ndarray
    class_names: list[str]
    notes: list[dict[str, Any]]
    groups: np.ndarray | None = None


@dataclass(frozen=True)
class Examples:
    """What an adapter returns.

    images      iterable of n images in stored order, (h, w, 3) uint8 arrays or PIL images; read once, in order
    labels      (n,) class ids, or (n, c) multi-hot where `multilabel`
    split       (n,) 0 = train, 1 = test
    flip        a horizontal flip keeps the label
    upright     the images have a right way up, so that predicting a rotation is a meaningful task
    settle      asked once all images were read, for labels, split and classes that depend on what they show; then
                `images` may hold None for one that cannot be read, and labels and split are preliminary
    """

    images: Iterable[np.ndarray | Image.Image | None]
    labels: np.ndarray
    split: np.ndarray
    class_names: list[str]
    multilabel: bool = False
    licence: str = "unknown"
    origin: str = "unknown"
    flip: bool = True
    upright: bool = True
    settle: Callable[[], Settled] | None = None


def adapter(version: int = 1, inputs: Callable[..., list[Path]] | None = None) -> Callable[[Callable], Callable]:
    """Mark a function as an adapter.

    version  raised by hand when the adapter's output changes
    inputs   called with the adapter's parameters; the outside files whose bytes decide the output
    """

    def mark(function: Callable[..., Examples]) -> Callable[..., Examples]:
        function.version = version  # type: ignore[attr-defined]
        function.inputs = inputs or (lambda **_: [])  # type: ignore[attr-defined]
        return function

    return mark


def package_folder(package: str) -> Path:
    """Folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"package {package} must be installed. Got none. Run pip install {package}.")
    return Path(spec.submodule_search_locations[0])


@dataclass(frozen=True)
class Lazy(Sequence):
    """A sequence that decodes its items when they are asked for, so that one at a time is in memory."""

    items: Sequence[Any]
    read: Callable[[Any], Image.Image]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Image.Image:
        return self.read(self.items[i])
