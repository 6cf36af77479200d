"""Finished work, a folder a cell, named by the hash of what made it.

A cell appears complete or not at all: it is written to a temporary folder and renamed. Its checksums are verified
when it is read; a damaged one is named, set aside and made again. Values and timings are separate files, so that
values are byte-identical from run to run. A lock file keeps two runs from computing the same cell; the kernel
releases it when its process dies, however it dies.

Layers: the user's cache, then the released layer that is committed with the project (read only). There a stage is
a folder of cells, or one zip file of them where cells are many and small.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from benchmark.cells.contents import (
    ARRAYS,
    MALFORMED,
    RESTORE,
    SCHEMA,
    Damaged,
    Entry,
    buffer,
    files_of,
    intact,
    refuse_another,
)
from benchmark.cells.schema import check_schema, mark_schema
from benchmark.cells.zipped import ZippedStage
from benchmark.errors import ConfigError
from benchmark.files import digest, sync

if TYPE_CHECKING:
    import numpy as np

STAGES = ("pack", "weights", "tune", "truth", "probe", "score")


class Busy(Exception):
    """Another process is computing this cell."""


class Store:
    """Cells by (stage, key) in a cache folder over an optional released one.

    `lasting` is False for a store that need not survive a failing power supply.
    """

    def __init__(self, cache: Path, released: Path | None = None, lasting: bool = True):
        self.cache, self.released = Path(cache), Path(released) if released else None
        self.lasting = lasting
        _refuse_absent(self.released)
        self._verified: set[Path] = set()
        self._zips: dict[str, ZippedStage | None] = {}
        check_schema(self.cache)

    # reading

    def has(self, stage: str, key: str) -> bool:
        """Whether a finished cell is there (its bytes are verified on reading)."""
        return self._folder(stage, key) is not None or key in self._zipped_keys(stage)

    def released_keys(self, stage: str) -> set[str]:
        """The keys of a stage's cells in the released layer."""
        folders = (self.released / stage).glob("*/manifest.json") if self.released else ()
        return {*self._zipped_keys(stage), *(manifest.parent.name for manifest in folders)}

    def read(self, stage: str, key: str) -> Entry:
        """A verified cell; raises Damaged for one that is not intact (and sets it aside) or not there."""
        if folder := self._folder(stage, key):
            return Entry(stage, key, self._verify_folder(stage, key, folder))
        if (zipped := self._zipped(stage)) and key in zipped.members:
            return Entry(stage, key, zipped.read(key))
        raise Damaged(stage, key, "it is gone")

    def folder(self, stage: str, key: str) -> Path:
        """The folder of a verified cell; a zipped one is unpacked into the cache first."""
        if folder := self._folder(stage, key):
            self._verify_folder(stage, key, folder)
            return folder
        entry = self.read(stage, key)
        with self.claim(key, wait=True), self._staged(stage, key) as staged:
            for name in entry.files:
                (staged / name).write_bytes(entry.bytes_of(name))
        return self._home(stage, key)

    def files(self, stage: str, key: str) -> dict[str, bytes | Path]:
        """All files of a verified cell, its manifest among them: what another store can adopt."""
        files = dict(self.read(stage, key).files)
        if folder := self._folder(stage, key):
            files.setdefault("manifest.json", folder / "manifest.json")
        return files

    # writing

    def write(
        self,
        stage: str,
        key: str,
        spec: Mapping[str, object],
        values: Mapping[str, object],
        record: Mapping[str, object],
        arrays: Mapping[str, np.ndarray] | None = None,
        made: Path | None = None,
    ) -> None:
        """Add a finished cell. `made` is a folder (see `workspace`) whose files belong to the cell."""
        from safetensors.numpy import save

        with self._staged(stage, key, made) as staged:
            (staged / "spec.json").write_text(json.dumps(spec, indent=1, sort_keys=True), encoding="utf-8")
            (staged / "values.json").write_text(json.dumps(values, indent=1, sort_keys=True), encoding="utf-8")
            (staged / "record.json").write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
            if arrays:
                (staged / ARRAYS).write_bytes(save(dict(arrays)))
            files = {p.name: {"sha256": digest(p), "bytes": p.stat().st_size} for p in sorted(staged.iterdir())}
            (staged / "manifest.json").write_text(
                json.dumps({"schema": SCHEMA, "files": files}, indent=1), encoding="utf-8"
            )

    def adopt(self, stage: str, key: str, files: Mapping[str, bytes | np.ndarray]) -> None:
        """Add a finished cell from the `files` of another store (buffers); raises Damaged where they are not intact."""
        try:
            names = intact(key, files)
        except MALFORMED as error:
            raise Damaged(stage, key, f"on its way here: {error}") from None
        with self._staged(stage, key) as staged:
            for name in (*names, "manifest.json"):
                (staged / name).write_bytes(buffer(files[name]))

    def workspace(self, key: str) -> Path:
        """An empty folder in which the holder of a key's claim may prepare its files."""
        folder = self.cache / "unfinished" / f"{key}.made"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    @contextmanager
    def claim(self, key: str, wait: bool = False) -> Iterator[None]:
        """Hold the sole right to compute a cell; where another process holds it, raises Busy at once, or waits."""
        path = self.cache / "claims" / f"{key}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        held = self._lock(path, wait)
        while not os.fstat(held).st_nlink:  # its last holder removed it after we had opened it
            os.close(held)
            held = self._lock(path, wait)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(held)

    # inside

    def _home(self, stage: str, key: str) -> Path:
        return self.cache / stage / key

    def _folder(self, stage: str, key: str) -> Path | None:
        """The folder of a finished cell that is not in a zip file."""
        homes = [self._home(stage, key)] + ([self.released / stage / key] if self.released else [])
        return next((home for home in homes if (home / "manifest.json").exists()), None)

    def _zipped(self, stage: str) -> ZippedStage | None:
        """A stage's released zip file, which is opened once."""
        if stage not in self._zips:
            path = self.released / f"{stage}.zip" if self.released else None
            self._zips[stage] = ZippedStage(path) if path and path.exists() else None
        return self._zips[stage]

    def _zipped_keys(self, stage: str) -> Collection[str]:
        zipped = self._zipped(stage)
        return zipped.members if zipped else ()

    @staticmethod
    def _lock(path: Path, wait: bool) -> int:
        handle = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(handle)
            raise Busy(path.stem) from None
        return handle

    def _verify_folder(self, stage: str, key: str, folder: Path) -> dict[str, Path]:
        try:
            files = files_of(json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
            unread = [name for name in files if folder / name not in self._verified]
            for name in unread:
                path, expected = folder / name, files[name]
                if path.stat().st_size != expected["bytes"]:
                    raise ValueError(f"{name} has {path.stat().st_size} bytes, not {expected['bytes']}")
                if digest(path) != expected["sha256"]:
                    raise ValueError(f"{name} has another checksum")
            if "spec.json" in unread:
                refuse_another(key, (folder / "spec.json").read_bytes())
            self._verified.update(folder / name for name in unread)
        except FileNotFoundError as error:
            self._set_aside(stage, key, folder, f"{Path(error.filename).name} is missing")
        except MALFORMED as error:
            self._set_aside(stage, key, folder, str(error))
        return {name: folder / name for name in files}

    def _set_aside(self, stage: str, key: str, folder: Path, why: str) -> NoReturn:
        if self.cache not in folder.parents:
            raise ConfigError(f"The released {stage} cell {key[:12]} is damaged ({why}). {RESTORE}")
        self._move_away(stage, key)
        raise Damaged(stage, key, why)

    def _move_away(self, stage: str, key: str) -> None:
        home, target = self._home(stage, key), self.cache / "damaged" / f"{stage}-{key}"
        self._verified = {path for path in self._verified if home not in path.parents}
        if not home.exists():  # another process that found it was faster
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        with suppress(FileNotFoundError):
            home.rename(target)

    @contextmanager
    def _staged(self, stage: str, key: str, made: Path | None = None) -> Iterator[Path]:
        home = self._home(stage, key)
        staged = self.cache / "unfinished" / f"{key}.{os.getpid()}"
        shutil.rmtree(staged, ignore_errors=True)
        staged.parent.mkdir(parents=True, exist_ok=True)
        if made is not None:
            made.rename(staged)
        else:
            staged.mkdir()
        try:
            yield staged
            mark_schema(self.cache)
            for path in staged.iterdir() if self.lasting else ():  # no rename before the bytes, if the power fails
                sync(path)
        except OSError as error:
            shutil.rmtree(staged, ignore_errors=True)  # half a cell would keep others from what room is left
            if error.errno is None or error.filename is not None:
                raise
            raise OSError(error.errno, error.strerror, str(home)) from error
        home.parent.mkdir(parents=True, exist_ok=True)
        if home.exists() and not (home / "manifest.json").exists():
            self._move_away(stage, key)
        if home.exists():  # another process finished it between two looks: the same values
            shutil.rmtree(staged)
        else:
            staged.rename(home)
            if self.lasting:
                sync(home.parent)


def is_layer(path: Path) -> bool:
    """Whether a folder holds, or has held, cells of a released layer."""
    return any((path / name).exists() for stage in STAGES for name in (stage, f"{stage}.zip"))


def _refuse_absent(released: Path | None) -> None:
    """A layer that was mistyped would be nothing but hours of work in silence."""
    if released is None or is_layer(released):
        return
    got = "a folder without any" if released.is_dir() else "a file" if released.exists() else "nothing"
    raise ConfigError(
        f"paths.released must be a folder of released cells (weights/, truth.zip …). Got {got} at '{released}'. "
        "Correct the path, leave it out for what comes with the project, or say null to make everything here."
    )


def clean(store: Store) -> None:
    """Remove what killed runs left unfinished: folders whose key nobody holds."""
    for folder in (store.cache / "unfinished").glob("*"):
        key = folder.name.partition(".")[0]
        try:
            with store.claim(key):
                shutil.rmtree(folder, ignore_errors=True) if folder.is_dir() else folder.unlink(missing_ok=True)
        except (Busy, OSError):  # in use; or not ours to remove
            continue
