"""Images of more than 8 bits (16-bit grey, 32-bit, floating point): their range over a data set becomes 0 to 255."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from PIL import Image

Levels = Mapping[str, Sequence[float]]
"""{whole or float: the lowest and the highest number of a data set}; a kind that is left out is read as it always was:
whole numbers by their upper 8 of 16 bits, floating point as numbers from 0 to 255."""
Range = tuple[str, float, float]
SHARE = 0.1  # percent of an image's pixels that may lie below its lowest number, and above its highest: dead pixels
FULL_16, FULL_8 = 2**15, 2**7  # from here on to 16, or 8, bits the range is used as it is
ROWS = 256  # that are turned into 8 bits at a time


def kind_of(mode: str) -> str | None:
    """`whole` or `float` for one of Pillow's modes of more than 8 bits, None for others."""
    return "whole" if mode.startswith("I") else "float" if mode == "F" else None


def range_of(values: np.ndarray, kind: str) -> Range:
    """The kind of numbers of one image, its lowest and its highest, without a few dead pixels and without NaN."""
    held = values[np.isfinite(values)] if kind == "float" else values.reshape(-1)
    if not held.size:
        return kind, 0.0, 0.0
    cut = int(held.size * SHARE / 100)
    ordered = np.partition(held.reshape(-1), (cut, held.size - 1 - cut))
    return kind, float(ordered[cut]), float(ordered[held.size - 1 - cut])


def range_in(image: Image.Image, kind: str) -> Range:
    """`range_of` for an image. Numbers of 16 bits are counted some rows at a time: no second copy of it is made."""
    if not image.mode.startswith("I;16"):
        return range_of(np.asarray(image), kind)
    counts = np.zeros(2**16, np.int64)
    for part in _rows(image):
        counts += np.bincount(part.reshape(-1), minlength=2**16)
    total, below = int(counts.sum()), np.cumsum(counts)
    cut = int(total * SHARE / 100)
    low, high = np.searchsorted(below, (cut, total - 1 - cut), side="right")
    return kind, float(low), float(high)


def levels_of(ranges: Iterable[Range]) -> dict[str, tuple[float, float]]:
    """The range over a data set of each kind, where it is not the one that is read as it is."""
    ranges, out = list(ranges), {}
    for kind in sorted({r[0] for r in ranges}):
        low, high = min(r[1] for r in ranges if r[0] == kind), max(r[2] for r in ranges if r[0] == kind)
        full = FULL_16 <= high < 2 * FULL_16 if kind == "whole" else FULL_8 <= high < 2 * FULL_8
        if low < 0 or not full:
            out[kind] = (low, high)
    return out


def eight_bits(image: Image.Image | np.ndarray, levels: Levels | None) -> Image.Image:
    """An image of 8 bits, grey or RGB, from one of more or an array (h, w) or (h, w, 3) of numbers.

    Some rows at a time: beside the image, which has 2 or 4 bytes a pixel, there is what is returned.
    """
    shape = image.shape if isinstance(image, np.ndarray) else (image.height, image.width)
    out, top = np.empty(shape, np.uint8), 0
    for part in _rows(image):
        kind = "float" if part.dtype.kind == "f" else "whole"
        out[top : top + len(part)] = _scaled(part, (levels or {}).get(kind), kind)
        top += len(part)
    return Image.fromarray(out)


def _rows(image: Image.Image | np.ndarray) -> Iterator[np.ndarray]:
    """The numbers of an image, `ROWS` rows at a time."""
    if isinstance(image, np.ndarray):
        yield from (image[top : top + ROWS] for top in range(0, len(image), ROWS))
        return
    for top in range(0, image.height, ROWS):
        yield np.asarray(image.crop((0, top, image.width, min(top + ROWS, image.height))))


def _scaled(values: np.ndarray, limits: Sequence[float] | None, kind: str) -> np.ndarray:
    if limits is None:
        return np.clip(values >> 8, 0, 255) if kind == "whole" else np.clip(np.nan_to_num(values), 0, 255)
    low, high = limits
    shares = (np.nan_to_num(values.astype(np.float64), nan=low) - low) / max(high - low, 1e-12)
    return np.rint(255 * np.clip(shares, 0, 1))


def as_image(values: np.ndarray) -> Image.Image | np.ndarray:
    """An array of an image, (h, w), (h, w, c) or (c, h, w): numbers of 8 bits as an image, others as they are."""
    values = np.asarray(values)
    if values.ndim == 3 and values.shape[0] in (1, 3, 4) and values.shape[2] not in (1, 3, 4):
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    shaped = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))
    if not shaped or values.dtype.kind not in "uifb":
        raise ValueError(f"an array of numbers, (h, w) or (h, w, 3), is an image; this one is {values.shape}")
    if values.dtype.kind != "f" and values.min(initial=0) >= 0 and values.max(initial=0) < 256:
        return Image.fromarray(np.ascontiguousarray(values, np.uint8))
    return np.ascontiguousarray(values[..., :3] if values.ndim == 3 else values)
