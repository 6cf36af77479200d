"""Bring cells that another machine computed into this machine's store.

    python scripts/import_results.py <folder or cells-*.zip …> [cache=.cache]

Every cell is verified against its own checksums first; one that is here already is left as it is.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from pathlib import Path


def main(arguments: list[str]) -> int:
    cache = Path(next((a.partition("=")[2] for a in arguments if a.startswith("cache=")), ".cache"))
    given = [Path(a) for a in arguments if "=" not in a]
    archives = [z for path in given for z in (sorted(path.glob("cells-*.zip")) if path.is_dir() else [path])]
    if not archives:
        print("error: a folder with cells-*.zip, or such files, must be given. Got none.", file=sys.stderr)
        return 2
    taken = kept = 0
    for archive in archives:
        with zipfile.ZipFile(archive) as source:
            for cell, names in _cells(source).items():
                if (cache / cell / "manifest.json").exists():
                    kept += 1
                    continue
                contents = {name.rpartition("/")[2]: source.read(name) for name in names}
                _verify(archive, cell, contents)
                _place(cache, cell, contents)
                taken += 1
    print(f"{taken} cells taken, {kept} were here already: {cache}")
    return 0


def _cells(source: zipfile.ZipFile) -> dict[str, list[str]]:
    cells: dict[str, list[str]] = {}
    for name in (n for n in source.namelist() if not n.endswith("/")):
        stage, key, file = name.split("/")
        if ".." in name or not file or len(key) != 64:
            raise SystemExit(f"error: {name} must be <stage>/<key>/<file>. This is not an archive of cells.")
        cells.setdefault(f"{stage}/{key}", []).append(name)
    return cells


def _verify(archive: Path, cell: str, contents: dict[str, bytes]) -> None:
    for name, facts in json.loads(contents["manifest.json"])["files"].items():
        if hashlib.sha256(contents[name]).hexdigest() != facts["sha256"]:
            raise SystemExit(
                f"error: {cell}/{name} in {archive} must have its checksum. It is damaged; fetch it again."
            )


def _place(cache: Path, cell: str, contents: dict[str, bytes]) -> None:
    stage, key = cell.split("/")
    staged = cache / "unfinished" / f"{key}.import"
    staged.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (staged / name).write_bytes(content)
    (cache / stage).mkdir(parents=True, exist_ok=True)
    staged.rename(cache / cell)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
