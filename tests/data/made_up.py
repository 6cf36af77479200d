"""Small made-up folders and tables of images, for the tests of how a user's own are read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.data.user.listing import listing
from benchmark.data.user.reading import reading_of
from benchmark.data.user.rows import Listing


def pixels(seed: int, shape: tuple[int, ...] = (20, 24, 3)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def put(path: Path, image: Image.Image | None = None, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or Image.new("RGB", (4, 4))).save(path, **options)
    return path


def tree(root: Path, **counts: int) -> Path:
    """So many images in each folder; `__` in a name stands for a slash."""
    for name, count in counts.items():
        for i in range(count):
            put(root / name.replace("__", "/") / f"{i}.png")
    return root


def encoded(seed: int) -> bytes:
    out = io.BytesIO()
    pixels(seed).save(out, "PNG")
    return out.getvalue()


def read(path: Path, **given) -> Listing:
    """The listing of a path, with settings as they are given to a ranking."""
    return listing(path, reading_of(**given))


def counted(found: Listing) -> dict[str, tuple[int, int, int]]:
    """{class: (images for training, for testing, to be split here)} of single labels."""
    return {
        name: tuple(int(((found.labels == k) & (found.split == part)).sum()) for part in (0, 1, 255))
        for k, name in enumerate(found.class_names)
    }
