"""Which part of a split a folder, a file or a cell names: train, testing, val_images, seg_train, PublicTest …"""

from __future__ import annotations

import re
from dataclasses import dataclass

WORDS = {
    "train": ("train", "training", "trn"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout"),
    "val": ("val", "valid", "validation", "dev"),
}
PARTS = {word: part for part, words in WORDS.items() for word in words}
FILL = {"image", "images", "img", "imgs", "set", "data", "dataset", "folder", "split", "part"}
GLUED = re.compile(r"(images?|imgs?|set|data)$")
FOLD = re.compile(r"^(k?folds?|splits?|parts?|cv|subsets?)[ _-]?\d+$", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """train, test or val, and the other words of the name; a name without others is sure to be a part."""

    part: str
    rest: tuple[str, ...]

    @property
    def sure(self) -> bool:
        return not self.rest


def part_of(name: str) -> Part | None:
    """The part that a name speaks of; None where it names none, or several."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [w for w in re.split(r"[^a-z]+", re.sub(r"hold[ _-]out", "holdout", spaced.lower())) if w]
    found = {PARTS[bare] for w in words if (bare := _bare(w)) in PARTS}
    if len(found) != 1:
        return None
    rest = tuple(w for w in words if _bare(w) not in PARTS and w not in FILL)
    return Part(found.pop(), rest)


def _bare(word: str) -> str:
    return word if word in PARTS else GLUED.sub("", word)
