"""A user's own images as a data adapter: each read once, in parallel, and the split settled by what they show.

What a path may hold is in benchmark.data.user.listing, what is done about faults in benchmark.data.user.settle. Nothing
leaves the machine.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.data.examples import Examples, Settled, adapter
from benchmark.data.images import UnreadableImageError, decode
from benchmark.data.user.findings import DataError, Seen
from benchmark.data.user.listing import listing
from benchmark.data.user.rows import Listing
from benchmark.data.user.settle import ALIKE, settle

ENOUGH = 512  # pixels: a larger JPEG is decoded at the smallest of its own scales that keeps so many
THUMBNAIL = 16


def inputs(
    path: str, image: str | None = None, label: str | None = None, most: int | None = None, **_: object
) -> list[Path]:
    """The files whose bytes decide what the adapter returns."""
    return listing(path, image, label).taken(most).files


@adapter(version=3, inputs=inputs)
def images(
    path: str,
    image: str | None = None,
    label: str | None = None,
    most: int | None = 10_000,
    test_share: float = 0.3,
    seed: int = 0,
    flip: bool | None = None,
    alike: float | None = ALIKE,
) -> Examples:
    """A user's own images: `listing` says what the path may be, `settle` what is done about them.

    image, label  the columns of a table, where they are called otherwise
    most          at most so many images are read; None for all
    test_share    share of every class that becomes test where there is no split, above 0 and below 1
    seed          of that split (SHA-256 order of the names)
    flip          whether a mirrored image keeps its label; None for what the data say, true where they say nothing
    alike         images whose thumbnails differ by less than this share of their contrast are near-duplicates, see
                  benchmark.data.user.settle; None: no image is taken for a copy of another
    """
    if not 0 < test_share < 1:
        raise DataError(f"test_share must lie between 0 and 1. Got {test_share}. Give the share of test images.")
    if alike is not None and not 0 < alike < 1:
        raise DataError(f"alike must lie between 0 and 1. Got {alike}. Give {ALIKE}, or null for no near-duplicates.")
    found = listing(path, image, label).taken(most)
    look = Look(found, test_share, seed, alike)
    return Examples(
        images=look,
        labels=found.labels,
        split=found.split,
        class_names=found.class_names,
        multilabel=found.labels.ndim == 2,
        licence=found.facts.get("licence", "the user's own"),
        origin=found.origin,
        flip=found.facts.get("flip", True) if flip is None else flip,
        upright=found.facts.get("upright", True),
        settle=look.settle,
    )


class Look:
    """The images of a listing, decoded once and in parallel, in order; afterwards, what they showed."""

    def __init__(self, found: Listing, test_share: float, seed: int, alike: float | None):
        self.found, self.test_share, self.seed, self.alike = found, test_share, seed, alike
        self.thumbnails = np.zeros((len(found), THUMBNAIL, THUMBNAIL, 3), np.uint8)
        self.short = np.zeros(len(found), np.int64)
        self.unreadable: dict[int, str] = {}

    def __iter__(self) -> Iterator[Image.Image | None]:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        ahead: deque[Future[Image.Image | None]] = deque()
        with ThreadPoolExecutor(workers) as pool:  # Pillow decodes without holding the interpreter's lock
            for i in range(len(self.found)):
                ahead.append(pool.submit(self._look, i))
                if len(ahead) > 4 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _look(self, i: int) -> Image.Image | None:
        try:
            decoded = decode(self.found.read(self.found.items[i]), "", ENOUGH)
        except (UnreadableImageError, OSError) as error:
            self.unreadable[i] = str(error.__cause__ or error).partition("\n")[0][:120]
            return None
        self.short[i] = min(decoded.size)
        small = decoded.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
        self.thumbnails[i] = np.asarray(small)
        return decoded

    def settle(self) -> Settled:
        """What to go on with, see benchmark.data.user.settle.settle."""
        unreadable = dict(sorted(self.unreadable.items()))
        found = self.found
        seen = Seen(found.names, found.labels, found.split, found.class_names, self.thumbnails, self.short, unreadable)
        return settle(seen, self.test_share, self.seed, self.alike)[0]
