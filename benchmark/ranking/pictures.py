"""A look at a user's images for the page of a ranking: examples of the classes, and what a model confuses.

Images become JPEG files of a small square as base64, so that the page stays one file.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from benchmark.data.examples import LEFT_OUT
from benchmark.data.packs import Pack

CLASSES, EXAMPLES, PAIRS = 12, 6, 12
SIDE = 96  # of an example on the page, pixels


@dataclass(frozen=True)
class Class:
    """A class: its name, how many images it has, and pictures of some."""

    name: str
    count: int
    pictures: Sequence[str]


@dataclass(frozen=True)
class Pair:
    """Two images that a model finds alike though their labels differ."""

    pictures: tuple[str, str]
    labels: tuple[str, str]
    files: tuple[str, str]


@dataclass(frozen=True)
class Confused:
    """How many of a probe's images have a nearest neighbour with another label.

    often  (class, class, count) of the pairs of classes that are met most; empty where images have several labels
    pairs  the images that are most alike
    """

    count: int
    of: int
    often: Sequence[tuple[str, str, int]]
    pairs: Sequence[Pair]

    @property
    def percent(self) -> str:
        return f"{100 * self.count / self.of:.0f}"


def picture(pack: Pack, i: int, side: int = SIDE) -> str:
    """An image of the pack, its middle cut out square, as base64 of a JPEG file of `side` pixels."""
    pixels = pack.image(i)
    short = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - short) // 2, (pixels.shape[1] - short) // 2
    square = Image.fromarray(np.ascontiguousarray(pixels[top : top + short, left : left + short]))
    out = io.BytesIO()
    square.resize((side, side), Image.Resampling.BICUBIC).save(out, "JPEG", quality=80)
    return base64.b64encode(out.getvalue()).decode()


def members(pack: Pack, k: int) -> np.ndarray:
    """Indices of the images of class k that are in either part."""
    has = pack.labels == k if pack.labels.ndim == 1 else pack.labels[:, k] == 1
    return np.flatnonzero(has & (pack.split != LEFT_OUT))


def classes(pack: Pack) -> list[Class]:
    """The largest and the smallest classes, at most `CLASSES` of them, each with examples spread over its images."""
    counts = [len(members(pack, k)) for k in range(pack.n_classes)]
    order = np.argsort(counts, kind="stable")[::-1]
    shown = order if len(order) <= CLASSES else np.concatenate([order[: CLASSES // 2], order[-CLASSES // 2 :]])
    found = []
    for k in map(int, shown):
        own = members(pack, k)
        some = own[np.linspace(0, len(own) - 1, min(EXAMPLES, len(own))).round().astype(int)]
        found.append(Class(pack.class_names[k], counts[k], [picture(pack, int(i)) for i in some]))
    return found


def confusions(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each image's nearest other image by cosine of centred features, where that has another label.

    features  (n, d), labels (n,) ids or (n, c) multi-hot
    returns   (images, neighbours, cosines), the most alike first
    """
    centred = features.astype(np.float64) - features.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    near = unit @ unit.T
    np.fill_diagonal(near, -np.inf)
    neighbour = near.argmax(axis=1)
    other = labels != labels[neighbour]
    wrong = np.flatnonzero(other.any(axis=1) if labels.ndim == 2 else other)
    cosine = near[wrong, neighbour[wrong]]
    order = np.argsort(-cosine, kind="stable")
    return wrong[order], neighbour[wrong[order]], cosine[order]


def confused(pack: Pack, names: Sequence[str], features: np.ndarray, labels: np.ndarray, ids: np.ndarray) -> Confused:
    """What a model with these features confuses. ids: (n,) the rows' images in the pack, which `names` names."""
    images, neighbours, _ = confusions(features, labels)
    often: list[tuple[str, str, int]] = []
    if not pack.multilabel:
        met = Counter((min(a, b), max(a, b)) for a, b in zip(labels[images], labels[neighbours], strict=True))
        often = [(pack.class_names[a], pack.class_names[b], n) for (a, b), n in met.most_common(5)]
    distinct = dict.fromkeys((int(min(p)), int(max(p))) for p in zip(images, neighbours, strict=True))
    pairs = [
        Pair(
            (picture(pack, int(ids[a])), picture(pack, int(ids[b]))),
            (label_of(pack, labels[a]), label_of(pack, labels[b])),
            (names[int(ids[a])], names[int(ids[b])]),
        )
        for a, b in list(distinct)[:PAIRS]
    ]
    return Confused(len(images), len(ids), often, pairs)


def label_of(pack: Pack, label: np.ndarray) -> str:
    """The name of a class id, or the names of the labels of a multi-hot row."""
    if np.ndim(label) == 0:
        return pack.class_names[int(label)]
    return ", ".join(pack.class_names[k] for k in np.flatnonzero(label)) or "none"
