"""The released layer: finished cells exported to files that are committed with the project.

A stage is a folder of cells, or one zip file where cells are many and small; the same cells are the same bytes."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmark.cells.plan import Plan
from benchmark.cells.store import Store, is_layer


def complete(made: Plan, store: Store, diverged: int = 2) -> dict[str, int]:
    """{target: fine-tunings of each model that are all stored}, of targets where there is at least one.

    diverged  so many models at most may have failed on a target, and count as done
    """
    seeds: dict[str, list[int]] = {}
    for transfer in made.transfers:
        stored = [store.has("truth", key) for key in transfer.truth]
        seeds.setdefault(transfer.target.name, []).append(stored.index(False) if False in stored else len(stored))
    least = {name: sorted(counts)[min(diverged, len(counts) - 1)] for name, counts in seeds.items()}
    return {name: n for name, n in least.items() if n}


def export(store: Store, keys: Mapping[str, list[str]], out: Path, drop: bool = False) -> int:
    """Write cells to a released layer: weights as folders, other stages as one zip each. Returns the layer's bytes.

    What `out` holds already keeps its bytes and stays; with `drop`, only what `keys` names stays in these stages. All
    is written to a temporary folder beside `out` and put in place when it is complete: whatever ends it midway, `out`
    still holds what it held. Zip members are stored in sorted order with a fixed date, so the same cells give the same
    file. Raises Damaged for a cell of the cache that is not intact, or not there.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
        new = Path(temporary)
        layer = Store(new / "none", out if is_layer(out) else None)  # alone: released cells keep their bytes
        for stage, wanted in keys.items():
            chosen = {*wanted, *(() if drop else layer.released_keys(stage))}
            cells = ((k, (layer if layer.has(stage, k) else store).files(stage, k)) for k in sorted(chosen))
            if stage != "weights":
                _zip(cells, new / f"{stage}.zip")
                continue
            for key, files in cells:
                if not layer.has(stage, key):
                    _copy(files, new / stage / key)
        _place(new, out)
        if drop and "weights" in keys:
            for key in layer.released_keys("weights") - set(keys["weights"]):
                shutil.rmtree(out / "weights" / key)
    return sum(p.stat().st_size for p in out.rglob("*") if p.is_file())


def _zip(cells: Iterable[tuple[str, Mapping[str, bytes | Path]]], path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for key, files in cells:
            for name, content in sorted(files.items()):
                info = zipfile.ZipInfo(f"{key}/{name}", date_time=(2020, 1, 1, 0, 0, 0))
                info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(info, content.read_bytes() if isinstance(content, Path) else content)


def _copy(files: Mapping[str, bytes | Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.read_bytes() if isinstance(content, Path) else content)


def _place(new: Path, out: Path) -> None:
    """Move finished weights and zip files; readers find a whole layer between any two moves."""
    out.mkdir(exist_ok=True)
    for made in sorted(new.glob("weights/*")):
        (out / "weights").mkdir(exist_ok=True)
        shutil.rmtree(out / "weights" / made.name, ignore_errors=True)  # half a cell, or it would not have been made
        made.rename(out / "weights" / made.name)
    for made in sorted(new.glob("*.zip")):
        made.replace(out / made.name)
