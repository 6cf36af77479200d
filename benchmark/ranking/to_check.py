"""Images to look at again, by file: probably mislabelled, near-duplicates under two labels, alike to another class.

What a person works through is to_check.csv, a row an image and reason, the surest first.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from benchmark.data.examples import LEFT_OUT
from benchmark.data.packs import Pack
from benchmark.files import put
from benchmark.ranking import mislabelled
from benchmark.ranking.pictures import confusions, label_of
from benchmark.wording import plural

MISLABELLED, CONFLICT, ALIKE = "probably mislabelled", "near-duplicate with another label", "looks like another class"


@dataclass(frozen=True)
class Row:
    """One thing to look at.

    suggested  the class that the image probably is, or the label of the other image
    p_label, p_suggested  out-of-sample probabilities of both (a label in question of several: that it is right, and
               wrong); None where the reason is another
    other_file the image that it resembles
    """

    file: str
    label: str
    reason: str
    suggested: str
    p_label: float | None = None
    p_suggested: float | None = None
    other_file: str = ""


@dataclass(frozen=True)
class ToCheck:
    """All rows, with the images of each (its own, and the one it resembles), and how many images were judged.

    told_apart  whether the features tell the classes apart well enough to judge labels by them
    """

    rows: Sequence[Row]
    images: Sequence[tuple[int, ...]]
    judged: int
    of: int
    told_apart: bool = True

    def about(self, reason: str, most: int) -> list[tuple[Row, tuple[int, ...]]]:
        """The first rows of a reason, each with its images; of two rows for the same pair the first."""
        of_reason = [(r, i) for r, i in zip(self.rows, self.images, strict=True) if r.reason == reason]
        distinct = {frozenset(i): (r, i) for r, i in reversed(of_reason)}
        return sorted(distinct.values(), key=of_reason.index)[:most]

    @property
    def sentence(self) -> str:
        """How many of each kind there are."""
        found = Counter(row.reason for row in self.rows)
        judged = f"{plural(found[MISLABELLED], 'image')} probably mislabelled"
        if not self.told_apart:
            judged = "no label was judged, since frozen features tell these classes apart too badly"
        return (
            f"To check: {judged}, "
            f"{found[CONFLICT]} near-duplicates with another label, {found[ALIKE]} that look most like another class "
            f"({self.judged} of {self.of} training images were judged)."
        )


def to_check(pack: Pack, names: Sequence[str], features: np.ndarray, labels: np.ndarray, images: np.ndarray) -> ToCheck:
    """What should be looked at again.

    names   of all images of the pack
    features, labels, images  (n, d), (n,) or (n, c), (n,): of a probe, with the images' places in the pack
    """
    suspects = mislabelled.suspects(features, labels)
    found = [*_mislabelled(pack, suspects or (), images), *_conflicts(pack), *_alike(pack, features, labels, images)]
    rows = [
        Row(names[own], label_of(pack, pack.labels[own]), reason, suggested, p, p_suggested, _name(names, other))
        for own, other, reason, suggested, p, p_suggested in found
    ]
    seen = [(own,) if other is None else (own, other) for own, other, *_ in found]
    return ToCheck(rows, seen, len(images), len(pack.indices("train")), suspects is not None)


def _name(names: Sequence[str], image: int | None) -> str:
    return "" if image is None else names[image]


Found = tuple[int, int | None, str, str, float | None, float | None]
"""An image, the one that it resembles, and the fields of a row from `reason` on."""


def _mislabelled(pack: Pack, suspects: Iterable[mislabelled.Suspect], images: np.ndarray) -> Iterator[Found]:
    for one in suspects:
        image, suggested = int(images[one.image]), pack.class_names[one.suggested]
        if pack.multilabel:
            suggested = f"{'without' if pack.labels[image, one.given] else 'also'} {suggested}"
        yield image, None, MISLABELLED, suggested, round(one.p_given, 4), round(one.p_suggested, 4)


def _conflicts(pack: Pack) -> Iterator[Found]:
    """Every image of a group of near-duplicates, with the first of the group that is labelled otherwise."""
    if pack.groups is None:
        return
    kept = np.flatnonzero(pack.split != LEFT_OUT)
    for group in np.flatnonzero(np.bincount(pack.groups[kept]) > 1):
        members = kept[pack.groups[kept] == group]
        for own in members:
            others = [m for m in members if not np.array_equal(pack.labels[m], pack.labels[own])]
            if others:
                yield int(own), int(others[0]), CONFLICT, label_of(pack, pack.labels[others[0]]), None, None


def _alike(pack: Pack, features: np.ndarray, labels: np.ndarray, images: np.ndarray) -> Iterator[Found]:
    """Images whose nearest neighbour by the features has another label, the most alike first."""
    own, near, _ = confusions(features, labels)
    for i, j in zip(images[own], images[near], strict=True):
        yield int(i), int(j), ALIKE, label_of(pack, pack.labels[j]), None, None


def write_csv(found: ToCheck, path: Path) -> None:
    """to_check.csv, which a spreadsheet opens."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([field.name for field in fields(Row)])
    rows.writerows(astuple(row) for row in found.rows)
    put(path, text.getvalue().encode(errors="backslashreplace"))  # a file's name need not be UTF-8
