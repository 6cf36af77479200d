"""The folders below a path that hold images, counted: what a reader decides by, and what it shows when it cannot."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmark.data.images import SUFFIXES, is_tool
from benchmark.wording import plural, some

LINES = 3  # of a tree that a message shows
FEW = 10  # one image in so many
NAMED = 4  # folders that one of its lines names


@dataclass(frozen=True)
class Folder:
    """A folder with images in it or below: how many in it, and those of its folders that hold some."""

    path: Path
    images: int
    folders: tuple[Folder, ...]

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def total(self) -> int:
        return self.images + sum(f.total for f in self.folders)

    @property
    def is_deep(self) -> bool:
        """Whether its images lie in folders, but for a few."""
        return bool(self.folders) and FEW * self.images <= self.total

    def names(self) -> list[str]:
        return [f.name for f in self.folders]


def scan(path: Path, above: tuple[str, ...] = ()) -> Folder:
    """The folder with everything below; hidden and tools' folders, and links in a circle, are passed over."""
    real, images, folders = os.path.realpath(path), 0, []
    try:
        entries = sorted(os.scandir(path), key=lambda e: e.name)
    except OSError:  # may not be opened; the reader counts it
        return Folder(path, 0, ())
    for entry in entries:
        if is_tool(entry.name):
            continue
        if os.path.isdir(entry.path):  # also of a link, one to itself among them
            target = os.path.realpath(entry.path)
            if not any(os.path.commonpath([target, one]) == target for one in (*above, real)):
                folders.append(scan(path / entry.name, (*above, real)))
        elif os.path.splitext(entry.name)[1].lower() in SUFFIXES and os.path.isfile(entry.path):
            images += 1
    return Folder(path, images, tuple(f for f in folders if f.total))


def shown(root: Folder) -> str:
    """Three lines of the tree, for a message: what each folder holds."""
    loose = [f"  {plural(root.images, 'image')} in {root.name}/ itself"] if root.images else []
    lines = loose + [f"  {root.name}/{f.name}/: {_contents(f)}" for f in root.folders]
    more = [f"  and {plural(len(lines) - LINES, 'more folder')}"] if len(lines) > LINES else []
    return "\n".join([*lines[:LINES], *more]) or f"  {root.name}/ holds no image"


def _contents(folder: Folder) -> str:
    if not folder.folders:
        return plural(folder.images, "image")
    names = some([f"{name}/" for name in folder.names()], NAMED)
    return f"{plural(folder.total, 'image')} in {names}" + (f", {folder.images} beside" if folder.images else "")
