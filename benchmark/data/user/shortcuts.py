"""What tells classes apart without a look at what they show: size, format, compression, camera. A model learns that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.data.examples import LEFT_OUT
from benchmark.data.images import opened
from benchmark.data.user.findings import FileFacts, Finding

FEW = 10  # images of a class, and of the others, below which a difference may be chance
APART = 0.8  # difference of the shares of a class and of the others from which on it is said
SHOWN = 3  # classes that are named
MAKER, CAMERA, ORIENTATION = 271, 272, 274  # tags of EXIF
LUMINANCE = 3688  # sum of the JPEG standard's table of luminance, at quality 50
MODES = {"P": "a palette", "CMYK": "CMYK colours", "RGBA": "transparency", "LA": "transparency", "PA": "transparency"}


def facts_of(data: bytes | Path | np.ndarray) -> FileFacts:
    """The facts of a file, of which only the beginning is read."""
    image = opened(data)
    if isinstance(image, np.ndarray):
        return FileFacts(image.shape[1], image.shape[0], "", "", "")
    with image:
        return _facts(image)


def _facts(image: Image.Image) -> FileFacts:
    exif = Image.Image.getexif(image)  # that of a PNG would decode the whole image to look behind it
    width, height = image.size[::-1] if exif.get(ORIENTATION, 1) >= 5 else image.size
    camera = " ".join(str(exif[tag]).strip(" \0") for tag in (MAKER, CAMERA) if exif.get(tag))
    return FileFacts(width, height, MODES.get(image.mode, "plain pixels"), _compression(image), camera)


def _compression(image: Image.Image) -> str:
    table = (getattr(image, "quantization", None) or {}).get(0)
    if image.format != "JPEG" or not table:
        return str(image.format)
    scale = 100 * sum(table) / LUMINANCE
    quality = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return f"JPEG at quality {5 * round(quality / 5)}"


Values = list[str] | list[int] | list[float]
Told = tuple[float, str, str]
"""How far apart a class is from the others, its name, and the words for it."""


def shortcuts(
    facts: Sequence[FileFacts | None], labels: np.ndarray, split: np.ndarray, class_names: Sequence[str]
) -> list[Finding]:
    """A finding for each property of files that sets classes apart; single labels only."""
    kept = [(i, f) for i, f in enumerate(facts) if f is not None and split[i] != LEFT_OUT]
    if labels.ndim == 2 or len(kept) < 2 * FEW:
        return []
    held, ids = [f for _, f in kept], labels[[i for i, _ in kept]]

    def said(name: str, values: Values, compare: Callable[[Values, Values], tuple[float, str]]) -> list[Finding]:
        told = [t for k, c in enumerate(class_names) if (t := _apart(c, ids == k, values, compare))]
        return [_finding(name, sorted(told, key=lambda t: -t[0]), len(class_names))] if told else []

    short, wide = (partial(_numbers, unit=u) for u in (" pixels on the short side", " times as wide as high"))
    size = said("size", [f"{f.width}×{f.height} pixels" for f in held], _values)
    size = size or said("size", [min(f.width, f.height) for f in held], short)
    size = size or said("aspect", [f.width / f.height for f in held], wide)
    return [
        *size,
        *said("colour mode", [f.mode for f in held], _values),
        *said("compression", [f.compression for f in held], _values),
        *said("camera", [f.camera or "no camera named" for f in held], _values),
    ]


def _apart(name: str, own: np.ndarray, values: Values, compare: Callable[..., tuple[float, str]]) -> Told | None:
    inside = [v for v, mine in zip(values, own, strict=True) if mine]
    outside = [v for v, mine in zip(values, own, strict=True) if not mine]
    if min(len(inside), len(outside)) < FEW:
        return None
    apart, words = compare(inside, outside)
    return (apart, name, words) if apart >= APART else None


def _values(inside: Values, outside: Values) -> tuple[float, str]:
    """The value that a class has most more often than the others."""
    own, others = Counter(map(str, inside)), Counter(map(str, outside))
    shares = {v: (n / len(inside), others[v] / len(outside)) for v, n in own.items()}
    best = max(sorted(shares), key=lambda v: shares[v][0] - shares[v][1])
    return shares[best][0] - shares[best][1], _share(*shares[best], best)


def _numbers(inside: Values, outside: Values, unit: str) -> tuple[float, str]:
    """The limit above or below which a class lies most more often than the others."""
    best = (0.0, "")
    ordered = (np.sort(inside), np.sort(outside))
    for limit in np.unique(np.concatenate(ordered)):
        below = [np.searchsorted(v, limit, side="right") / len(v) for v in ordered]
        above = [1 - np.searchsorted(v, limit, side="left") / len(v) for v in ordered]
        for (own, others), word in ((below, "at most"), (above, "at least")):
            if own - others > best[0]:
                best = (float(own - others), _share(own, others, f"{word} {limit:.3g}{unit}"))
    return best


def _share(own: float, others: float, what: str) -> str:
    return f"{100 * own:.0f} % {what}, of the others {100 * others:.0f} %"


def _finding(name: str, told: list[Told], classes: int) -> Finding:
    told = told[:1] if classes == 2 else told  # of two, the other one differs as much
    each = "; ".join(f"'{c}' ({words})" for _, c, words in told[:SHOWN])
    more = f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return Finding(
        "shortcut",
        f"Told apart by {name} alone: {each}{more}.",
        "A model will learn that instead of what the images show. Check that new images will differ so, too, or make "
        "all of them alike.",
    )
