"""A user's own images as a data adapter: each read once, in parallel, and the split settled by what they show.

What a path may hold is in benchmark.data.user.listing, what is done about faults in benchmark.data.user.settle. Nothing
leaves the machine.
"""

from __future__ import annotations

from typing import Any

from benchmark.data.examples import Examples, adapter
from benchmark.data.user.findings import DataError
from benchmark.data.user.listing import listing
from benchmark.data.user.look import Look
from benchmark.data.user.reading import reading_of
from benchmark.data.user.settle import ALIKE


def inputs(
    path: str,
    image: str | None = None,
    label: str | None = None,
    most: int | None = None,
    class_level: int | None = None,
    split: dict[str, Any] | None = None,
    masks: str | None = None,
    separator: str | None = None,
    **_: Any,
) -> Any:
    """The files whose bytes decide what the adapter returns."""
    reading = reading_of(split, masks, image=image, label=label, class_level=class_level, separator=separator)
    return listing(path, reading).taken(most).files


@adapter(version=4, inputs=inputs)
def images(
    path: str,
    image: str | None = None,
    label: str | None = None,
    most: int | None = 10_000,
    test_share: float = 0.3,
    seed: int = 0,
    flip: bool | None = None,
    alike: float | None = ALIKE,
    class_level: int | None = None,
    split: dict[str, Any] | None = None,
    masks: str | None = None,
    separator: str | None = None,
) -> Examples:
    """A user's own images: `listing` says what the path may be, `settle` what is done about them.

    image, label  the columns of a table, where they are called otherwise
    most          at most so many images are read; None for all
    test_share    share of every class that becomes test where there is no split, above 0 and below 1
    seed          of that split (SHA-256 order of the names)
    flip          whether a mirrored image keeps its label; None for what the data say, true where they say nothing
    alike         images whose thumbnails differ by less than this share of their contrast are near-duplicates, see
                  benchmark.data.user.settle; None: no image is taken for a copy of another
    class_level, split, masks, separator  how the path is read, see benchmark.data.user.reading.Reading
    """
    if not 0 < test_share < 1:
        raise DataError(f"test_share must lie between 0 and 1. Got {test_share}. Give the share of test images.")
    if alike is not None and not 0 < alike < 1:
        raise DataError(f"alike must lie between 0 and 1. Got {alike}. Give {ALIKE}, or null for no near-duplicates.")
    reading = reading_of(split, masks, image=image, label=label, class_level=class_level, separator=separator)
    found = listing(path, reading).taken(most)
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
