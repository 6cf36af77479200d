"""Which file a cell of a table means: by its path, or, where that leads nowhere, by its name in a folder below."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark.data.images import SUFFIXES, is_tool
from benchmark.wording import plural, some


class Images:
    """The images below a folder, to be found by what a table calls them."""

    def __init__(self, root: Path):
        self.root = root
        self.files = sorted(_below(root, ()))
        self._by_end: dict[str, set[Path]] = {}
        self._indexed = False

    def find(self, name: str) -> Path | None:
        """The file: at that path, or the one below the folder whose path ends so, with any suffix where it has none."""
        name = name.strip()
        if not name:
            return None
        exact = self.root / name
        if exact.is_file():
            return exact
        found = self.fitting(name)
        return found[0] if len(found) == 1 else None

    def fitting(self, name: str) -> list[Path]:
        """The files whose path ends as the name does: on as many of its last parts as fit any."""
        self._index()
        parts = [p for p in re.split(r"[\\/]+", _key(name)) if p not in ("", ".")]
        for start in range(len(parts)):
            if found := self._by_end.get("/".join(parts[start:])):
                return sorted(found)
        return []

    def _index(self) -> None:
        if self._indexed:
            return
        for file in self.files:
            parts = _key(file.relative_to(self.root).as_posix()).split("/")
            bare = [*parts[:-1], os.path.splitext(parts[-1])[0]]
            for start in range(len(parts)):
                for end in ("/".join(parts[start:]), "/".join(bare[start:])):
                    self._by_end.setdefault(end, set()).add(file)
        self._indexed = True


def moved(root: Path, names: Sequence[str], files: Sequence[Path]) -> list[str]:
    """What is said of files that were found elsewhere than where the table has them."""
    elsewhere = [f for n, f in zip(names, files, strict=True) if f != root / n.strip()]
    if not elsewhere:
        return []
    folders = sorted({f.parent.relative_to(root).as_posix() for f in elsewhere})
    where = some([f"in {folder}/" if folder != "." else "beside the table" for folder in folders])
    return [f"{len(elsewhere)} of {plural(len(files), 'image')} are found by name, {where}."]


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip()).casefold()


def _below(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:
        return
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if is_tool(entry.name):
            continue
        if os.path.isdir(entry.path):
            yield from _below(folder / entry.name, (*above, real))
        elif os.path.splitext(entry.name)[1].lower() in SUFFIXES and os.path.isfile(entry.path):
            yield folder / entry.name
