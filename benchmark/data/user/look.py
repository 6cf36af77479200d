"""One look at every image of a listing: decoded once, in parallel and in order, with little in memory at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmark.data.depth import Range, kind_of, levels_of, range_in, range_of
from benchmark.data.examples import Settled
from benchmark.data.images import LARGE, UnreadableImageError, decode, opened, reason_of
from benchmark.data.user.findings import FileFacts, Finding, Seen
from benchmark.data.user.rows import Listing
from benchmark.data.user.settle import settle
from benchmark.data.user.shortcuts import facts_of
from benchmark.wording import plural

ENOUGH = 512  # pixels: a larger JPEG is decoded at the smallest of its own scales that keeps so many
THUMBNAIL = 16
UNKNOWN = 10**12  # before the first was decoded
AHEAD = 4  # smaller images a worker that may wait to be taken
DEEP = {".png", ".apng", ".tif", ".tiff", ".pgm", ".pnm", ".jp2", ".j2k"}
"""Suffixes of files that may hold more than 8 bits."""


class Look:
    """The images of a listing, decoded once; afterwards, what they showed."""

    def __init__(self, found: Listing, test_share: float, seed: int, alike: float | None):
        self.found, self.test_share, self.seed, self.alike = found, test_share, seed, alike
        self.thumbnails = np.zeros((len(found), THUMBNAIL, THUMBNAIL, 3), np.uint8)
        self.short = np.zeros(len(found), np.int64)
        self.facts: list[FileFacts | None] = [None] * len(found)
        self.unreadable: dict[int, str] = {}
        self.ranges: dict[int, Range] = {}
        self.levels: dict[str, tuple[float, float]] = {}
        self.largest = UNKNOWN

    def __iter__(self) -> Iterator[Image.Image | None]:
        for i, found in enumerate(self._in_order(self._range)):
            if found is not None:
                self.ranges[i] = found
        self.levels, self.largest = levels_of(self.ranges.values()), UNKNOWN
        yield from self._in_order(self._look)

    def _in_order(self, work: Callable[[int], Any]) -> Iterator[Any]:
        """What `work` gives for every image, in order, by as many threads as there are cores.

        Where images are large, one a thread is in memory, that which was taken last among them.
        """
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        ahead: deque[Any] = deque()
        begun, n = 0, len(self.found)
        with ThreadPoolExecutor(workers) as pool:  # Pillow decodes without holding the interpreter's lock
            while begun < n or ahead:
                while begun < n and len(ahead) < (workers if self.largest >= LARGE else AHEAD * workers):
                    ahead.append(pool.submit(work, begun))
                    begun += 1
                yield ahead.popleft().result()

    def _range(self, i: int) -> Range | None:
        """The range of an image's numbers where it has more than 8 bits."""
        item = self.found.items[i]
        if isinstance(item, Path) and item.suffix.lower() not in DEEP:
            return None
        try:
            image = opened(self._data(i))
            if isinstance(image, np.ndarray):
                return range_of(image, "float" if image.dtype.kind == "f" else "whole")
            with image:
                kind = kind_of(image.mode)
                return range_in(image, kind) if kind else None
        except Exception:  # whatever is wrong with it is said where it is decoded
            return None

    def _look(self, i: int) -> Image.Image | None:
        try:
            data = self._data(i)
            decoded = decode(data, "", ENOUGH, self.levels)
            self.facts[i] = facts_of(data)
        except (UnreadableImageError, OSError) as error:
            cause = error.__cause__
            self.unreadable[i] = reason_of(cause if isinstance(cause, Exception) else error)
            return None
        self.short[i] = min(decoded.size)
        self._learn(decoded.width * decoded.height)
        small = decoded.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
        self.thumbnails[i] = np.asarray(small.convert("RGB"))
        return decoded

    def _data(self, i: int) -> Any:
        """The file of an image, from which no more is read than is needed at a time, or what the listing has of it."""
        item = self.found.items[i]
        return item if isinstance(item, Path) else self.found.read(item)

    def _learn(self, pixels: int) -> None:
        """How large images are: one that is large keeps few of them in memory from then on."""
        self.largest = pixels if self.largest == UNKNOWN else max(self.largest, pixels)

    def settle(self) -> Settled:
        """What to go on with, see benchmark.data.user.settle.settle."""
        unreadable, found = dict(sorted(self.unreadable.items())), self.found
        what = (found.names, found.labels, found.split, found.class_names, self.thumbnails, self.short, unreadable)
        settled = settle(Seen(*what, self.facts, self._deep()), self.test_share, self.seed, self.alike)[0]
        return replace(settled, levels=self.levels)

    def _deep(self) -> list[Finding]:
        """What is said of images of more than 8 bits whose range was brought to 8."""
        said = []
        for kind, (low, high) in self.levels.items():
            at = sorted(i for i, found in self.ranges.items() if found[0] == kind)
            what = "hold floating-point numbers" if kind == "float" else "have more than 8 bits"
            what = f"{len(at)} of {plural(len(self.found), 'image')} {what}, from {low:g} to {high:g} over all of them."
            done = "That range is brought to 0 to 255, the same for all."
            said.append(Finding("deep", what, done, [self.found.names[i] for i in at]))
        return said
