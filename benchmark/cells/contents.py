"""A finished cell as files: what every one holds, and whether it is what was written, in a folder or in a zip file.

A manifest lists the files with their checksums, and the key of a cell is the hash of its specification: a file that
changed, one that is missing, and a whole cell under another's name are all found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.cells.keys import key_of

if TYPE_CHECKING:
    import numpy as np

SCHEMA = 1
RESTORE = "Restore it from git, or set paths.released=null."

MALFORMED = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)
"""What reading a damaged JSON or zip file may end in; RuntimeError: it nests too deep, or is encrypted."""

ARRAYS = "arrays.safetensors"
ALWAYS = frozenset({"spec.json", "values.json", "record.json"})
"""Files that every cell has."""


class Damaged(Exception):
    """A cell whose files are not what was written, or that is gone although something needs it."""

    def __init__(self, stage: str, key: str, why: str):
        super().__init__(f"{stage} cell {key[:12]} is damaged ({why}); it is made again.")
        self.stage, self.key, self.why = stage, key, why

    def __reduce__(self):  # crosses process boundaries
        return Damaged, (self.stage, self.key, self.why)


@dataclass(frozen=True)
class Entry:
    """A cell that was read and found intact."""

    stage: str
    key: str
    files: Mapping[str, bytes | Path]

    def bytes_of(self, name: str) -> bytes:
        content = self.files[name]
        return content.read_bytes() if isinstance(content, Path) else content

    @cached_property
    def values(self) -> dict[str, Any]:
        return json.loads(self.bytes_of("values.json"))

    @cached_property
    def record(self) -> dict[str, Any]:
        return json.loads(self.bytes_of("record.json"))

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        from safetensors.numpy import load

        return load(self.bytes_of(ARRAYS)) if ARRAYS in self.files else {}


def arrays_of(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of a cell in a folder of its own, as another process is given it."""
    from safetensors.numpy import load_file

    return load_file(folder / ARRAYS)


def buffer(content: bytes | np.ndarray) -> bytes | memoryview:
    """The bytes of a file that is in memory."""
    return content if isinstance(content, bytes) else content.data


def files_of(manifest: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """What a manifest lists; raises ValueError for one of a newer schema, or that names files outside its folder."""
    files, schema = manifest["files"], manifest.get("schema")
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        raise ValueError(f"it is of schema {schema!r}, not of {SCHEMA} or older")
    if absent := ALWAYS - files.keys():
        raise ValueError(f"its manifest lacks {', '.join(sorted(absent))}")
    if strange := [name for name in files if not is_plain(name)]:
        raise ValueError(f"its manifest names {strange[0]!r}")
    return files


def is_plain(name: str) -> bool:
    """Whether this is the name of a file or folder and no way to another place."""
    return name not in ("", ".", "..") and not set(name) & {"/", "\\", "\0", ":"}


def refuse_another(key: str, spec: bytes) -> None:
    """ValueError for a whole cell that is another than its name says: the key is the hash of the specification."""
    if key_of(json.loads(spec)) != key:
        raise ValueError("its specification is that of another cell")


def intact(key: str, contents: Mapping[str, bytes | np.ndarray]) -> list[str]:
    """The names in a manifest; raises ValueError or KeyError where the contents are not what it and the key say."""
    files = files_of(json.loads(bytes(contents["manifest.json"])))
    if contents.keys() != {*files, "manifest.json"}:
        raise ValueError("it has other files than its manifest")
    for name, expected in files.items():
        if hashlib.sha256(buffer(contents[name])).hexdigest() != expected["sha256"]:
            raise ValueError(f"{name} has another checksum")
    refuse_another(key, bytes(contents["spec.json"]))
    return list(files)
