"""Bring cells that another machine computed into this machine's store.

    python scripts/results/import_results.py <folder or cells-*.zip …> [cache=.cache]

Every cell is verified against its own checksums first; one that is here already is left as it is.
"""

from __future__ import annotations

import sys
import zipfile
import zlib
from pathlib import Path

from benchmark.cells.store import STAGES, Damaged, Store
from benchmark.errors import ConfigError, did_you_mean


def main(arguments: list[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0
    caches = [a.partition("=")[2] for a in arguments if a.startswith("cache=")]
    try:
        archives = [z for a in arguments if not a.startswith("cache=") for z in _archives(Path(a))]
        if not archives:
            raise ConfigError("a folder with cells-*.zip, or such files, must be given. Got none.")
        store = Store(Path(caches[-1] if caches else ".cache"))
        counts = [_take(store, archive) for archive in archives]
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{sum(t for t, _ in counts)} cells taken, {sum(k for _, k in counts)} were here already: {store.cache}")
    return 0


def _archives(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if found := sorted(path.glob("cells-*.zip")):
        return found
    got = "a folder without any" if path.is_dir() else "a path that does not exist"
    key, equals, _ = str(path).partition("=")
    hint = f" {did_you_mean(key, ['cache'])}" if equals else ""
    raise ConfigError(f"{path} must be a folder with cells-*.zip, or such a file. Got {got}.{hint}")


def _take(store: Store, archive: Path) -> tuple[int, int]:
    """Adopt an archive's cells; how many were taken, and how many were here already."""
    taken = kept = 0
    try:
        with zipfile.ZipFile(archive) as source:
            for (stage, key), names in _cells(archive, source).items():
                with store.claim(key, wait=True):  # a run's `clean` removes what nobody holds
                    if store.has(stage, key):
                        kept += 1
                        continue
                    store.adopt(stage, key, {file: source.read(name) for file, name in names.items()})
                    taken += 1
    except (Damaged, zipfile.BadZipFile, zlib.error) as error:
        why = f"{error.stage}/{error.key}, {error.why}" if isinstance(error, Damaged) else str(error)
        raise ConfigError(f"{archive} must hold intact cells. Got a damaged one ({why}). Fetch it again.") from None
    return taken, kept


def _cells(archive: Path, source: zipfile.ZipFile) -> dict[tuple[str, str], dict[str, str]]:
    """{(stage, key): {file: member}} of an archive."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for name in (n for n in source.namelist() if not n.endswith("/")):
        stage, key, file = [*name.split("/"), "", ""][:3]
        if name.count("/") != 2 or stage not in STAGES or len(key) != 64 or not key.isalnum() or not file:
            raise ConfigError(f"{archive} must hold <stage>/<key>/<file>. Got '{name}'. Give what scripts/gpu.py made.")
        cells.setdefault((stage, key), {})[file] = name
    return cells


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
