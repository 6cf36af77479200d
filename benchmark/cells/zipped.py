"""The cells of one stage in a zip file, where the released layer has many and small ones: opened once, then read."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path

from benchmark.cells.contents import MALFORMED, RESTORE, intact, is_plain
from benchmark.errors import ConfigError


class ZippedStage:
    """An open zip file of cells. `members` is {key: {file: its name in the zip}}."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise ConfigError(f"The released {path.name} is damaged ({error}). {RESTORE}") from None
        self.members = members_of(self.archive, path)

    def read(self, key: str) -> dict[str, bytes]:
        """The files of a cell by name; raises ConfigError where they are not what was written."""
        try:
            contents = {file: self.archive.read(name) for file, name in self.members[key].items()}
            intact(key, contents)
        except (*MALFORMED, zipfile.BadZipFile, zlib.error) as error:
            raise ConfigError(f"The released {self.path.name} is damaged at {key[:12]} ({error}). {RESTORE}") from None
        return contents


def members_of(archive: zipfile.ZipFile, path: Path) -> dict[str, dict[str, str]]:
    """{key: {file: member}} of a zip file; ConfigError where one could be written elsewhere than into its cell."""
    members: dict[str, dict[str, str]] = {}
    for info in archive.infolist():
        key, _, file = info.filename.partition("/")
        if info.is_dir() and is_plain(key) and not file:
            continue
        link = stat.S_ISLNK(info.external_attr >> 16)
        if link or not (is_plain(key) and is_plain(file)) or file in members.get(key, {}):
            why = "a link" if link else "a second one" if file in members.get(key, {}) else "not <key>/<file>"
            raise ConfigError(
                f"The released {path.name} must hold files <key>/<file> alone. Got {info.filename!r}, {why}. {RESTORE}"
            )
        members.setdefault(key, {})[file] = info.filename
    return members
