"""Finished work, a folder a cell, named by the hash of what made it.

A cell appears complete or not at all: it is written to a temporary folder and renamed. Its checksums are verified
when it is read; a damaged one is named, set aside and made again. Values and timings are separate files, so that
values are byte-identical from run to run. A lock file keeps two runs from computing the same cell; the kernel
releases it when its process dies, however it dies.

Layers: the user's cache, then the released layer that is committed with the project (read only). There a stage is
a folder of cells, or one zip file of them where cells are many and small.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from benchmark.config import ConfigError, did_you_mean

SCHEMA = 1
STAGES = ("pack", "weights", "tune", "truth", "probe", "score")


class Damaged(Exception):
    """A cell whose files are not what was written."""

    def __init__(self, stage: str, key: str, why: str):
        super().__init__(f"{stage} cell {key[:12]} is damaged ({why}); it is made again.")
        self.stage, self.key, self.why = stage, key, why

    def __reduce__(self):  # crosses process boundaries
        return Damaged, (self.stage, self.key, self.why)


class Busy(Exception):
    """Another process is computing this cell."""


def canonical(data: Any) -> str:
    """JSON that is the same for the same data: sorted keys, no spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def key_of(identity: Mapping[str, Any]) -> str:
    """SHA-256 of canonical JSON."""
    return hashlib.sha256(canonical(identity).encode()).hexdigest()


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Entry:
    """A cell that was read and found intact."""

    stage: str
    key: str
    files: Mapping[str, bytes | Path]

    def _bytes(self, name: str) -> bytes:
        content = self.files[name]
        return content.read_bytes() if isinstance(content, Path) else content

    @cached_property
    def values(self) -> dict[str, Any]:
        return json.loads(self._bytes("values.json"))

    @cached_property
    def record(self) -> dict[str, Any]:
        return json.loads(self._bytes("record.json"))

    @cached_property
    def arrays(self) -> dict[str, Any]:
        from safetensors.numpy import load

        return load(self._bytes("arrays.safetensors")) if "arrays.safetensors" in self.files else {}


class Store:
    """Cells by (stage, key) in a cache folder over an optional released one."""

    def __init__(self, cache: Path, released: Path | None = None):
        self.cache, self.released = Path(cache), Path(released) if released else None
        self._verified: set[Path] = set()
        marker = self.cache / "schema.json"
        if marker.exists() and json.loads(marker.read_text())["schema"] > SCHEMA:
            raise ConfigError(
                f"paths.cache must be of schema {SCHEMA} or older. Got a newer one. Update, or take another folder."
            )

    # reading

    def has(self, stage: str, key: str) -> bool:
        """Whether a finished cell is there (its bytes are verified on reading)."""
        return (self._home(stage, key) / "manifest.json").exists() or self._in_released(stage, key)

    def read(self, stage: str, key: str) -> Entry:
        """A verified cell; raises Damaged (and sets it aside) or KeyError."""
        home = self._home(stage, key)
        if (home / "manifest.json").exists():
            return Entry(stage, key, self._verify_folder(stage, key, home))
        if self.released and (folder := self.released / stage / key).is_dir():
            return Entry(stage, key, self._verify_folder(stage, key, folder))
        members = self._zip_members(stage)
        if key in members:
            return Entry(stage, key, self._verify_zipped(stage, key, members[key]))
        raise KeyError(f"{stage} cell {key[:12]} is not in the store.")

    def folder(self, stage: str, key: str) -> Path:
        """The folder of a verified cell; a zipped one is unpacked into the cache first."""
        home = self._home(stage, key)
        if (home / "manifest.json").exists():
            self._verify_folder(stage, key, home)
            return home
        if self.released and (self.released / stage / key).is_dir():
            self._verify_folder(stage, key, self.released / stage / key)
            return self.released / stage / key
        entry = self.read(stage, key)
        with self._staged(stage, key) as staged:
            for name, content in entry.files.items():
                (staged / name).write_bytes(content)
        return home

    # writing

    def write(
        self,
        stage: str,
        key: str,
        spec: Mapping[str, Any],
        values: Mapping[str, Any],
        record: Mapping[str, Any],
        arrays: Mapping[str, Any] | None = None,
        made: Path | None = None,
    ) -> None:
        """Add a finished cell. `made` is a folder (see `workspace`) whose files belong to the cell."""
        from safetensors.numpy import save

        with self._staged(stage, key, made) as staged:
            (staged / "spec.json").write_text(json.dumps(spec, indent=1, sort_keys=True))
            (staged / "values.json").write_text(json.dumps(values, indent=1, sort_keys=True))
            (staged / "record.json").write_text(json.dumps(record, indent=1, sort_keys=True))
            if arrays:
                (staged / "arrays.safetensors").write_bytes(save(dict(arrays)))
            files = {p.name: {"sha256": digest(p), "bytes": p.stat().st_size} for p in sorted(staged.iterdir())}
            (staged / "manifest.json").write_text(json.dumps({"schema": SCHEMA, "files": files}, indent=1))

    def workspace(self, key: str) -> Path:
        """An empty folder in which the holder of a key's claim may prepare its files."""
        folder = self.cache / "unfinished" / f"{key}.made"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    @contextmanager
    def claim(self, key: str) -> Iterator[None]:
        """Hold the sole right to compute a cell; raises Busy at once where another process holds it."""
        from filelock import FileLock, Timeout

        folder = self.cache / "claims"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{key}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise Busy(key) from None
        try:
            yield
        finally:  # whoever opened the old file meanwhile looks for the finished cell again before computing
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()

    def discard(self, stage: str, key: str) -> None:
        """Remove a cell from the cache."""
        shutil.rmtree(self._home(stage, key), ignore_errors=True)

    # looking after it

    def cells(self) -> Iterator[tuple[str, str, Path]]:
        """(stage, key, folder) of every finished cell in the cache."""
        for stage in STAGES:
            for folder in sorted((self.cache / stage).glob("*/manifest.json")):
                yield stage, folder.parent.name, folder.parent

    # inside

    def _home(self, stage: str, key: str) -> Path:
        return self.cache / stage / key

    def _in_released(self, stage: str, key: str) -> bool:
        if self.released is None:
            return False
        return (self.released / stage / key / "manifest.json").exists() or key in self._zip_members(stage)

    def _zip_members(self, stage: str) -> dict[str, dict[str, str]]:
        if self.released is None:
            return {}
        cache = self.__dict__.setdefault("_zips", {})
        if stage not in cache:
            members: dict[str, dict[str, str]] = {}
            path = self.released / f"{stage}.zip"
            if path.exists():
                with zipfile.ZipFile(path) as archive:
                    for name in archive.namelist():
                        key, _, file = name.partition("/")
                        members.setdefault(key, {})[file] = name
            cache[stage] = members
        return cache[stage]

    def _verify_folder(self, stage: str, key: str, folder: Path) -> dict[str, Path]:
        try:
            files = json.loads((folder / "manifest.json").read_text())["files"]
            for name, expected in files.items():
                path = folder / name
                if path in self._verified:
                    continue
                if path.stat().st_size != expected["bytes"]:
                    raise ValueError(f"{name} has {path.stat().st_size} bytes, not {expected['bytes']}")
                if digest(path) != expected["sha256"]:
                    raise ValueError(f"{name} has another checksum")
                self._verified.add(path)
        except (OSError, ValueError, KeyError) as error:
            self._set_aside(stage, key, folder, str(error))
        return {name: folder / name for name in files}

    def _verify_zipped(self, stage: str, key: str, members: Mapping[str, str]) -> dict[str, bytes]:
        with zipfile.ZipFile(self.released / f"{stage}.zip") as archive:
            contents = {file: archive.read(name) for file, name in members.items()}
        expected = json.loads(contents["manifest.json"])["files"]
        for name, facts in expected.items():
            if hashlib.sha256(contents[name]).hexdigest() != facts["sha256"]:
                raise ConfigError(f"The released {stage}.zip is damaged at {key[:12]}/{name}. Restore it from git.")
        return contents

    def _set_aside(self, stage: str, key: str, folder: Path, why: str) -> None:
        if self.cache in folder.parents:
            target = self.cache / "damaged" / f"{stage}-{key}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            folder.rename(target)
            raise Damaged(stage, key, why)
        raise ConfigError(
            f"The released {stage} cell {key[:12]} is damaged ({why}). Restore it from git, or set paths.released=null."
        )

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
        yield staged
        home.parent.mkdir(parents=True, exist_ok=True)
        marker = self.cache / "schema.json"
        if not marker.exists():
            marker.write_text(json.dumps({"schema": SCHEMA}))
        if home.exists():  # another run finished it between two looks: the same values
            shutil.rmtree(staged)
        else:
            for path in staged.iterdir():  # the rename must not overtake the bytes when the power fails
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            staged.rename(home)


def clean(store: Store) -> None:
    """Remove what killed runs left unfinished: folders whose key nobody holds."""
    for folder in (store.cache / "unfinished").glob("*"):
        key = folder.name.partition(".")[0]
        try:
            with store.claim(key):
                shutil.rmtree(folder, ignore_errors=True)
        except Busy:
            continue


def export(store: Store, keys: Mapping[str, list[str]], out: Path) -> int:
    """Write a released layer: weights as folders, other stages as one zip each. Returns its bytes.

    Zip members are stored in sorted order with a fixed date, so the same cells give the same file.
    """
    total = 0
    for stage, wanted in keys.items():
        shutil.rmtree(out / stage, ignore_errors=True)
        if stage == "weights":
            for key in sorted(wanted):
                shutil.copytree(store.folder(stage, key), out / stage / key)
                total += sum(p.stat().st_size for p in (out / stage / key).iterdir())
            continue
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for key in sorted(wanted):
                for name, path in sorted(_files(store, stage, key).items()):
                    info = zipfile.ZipInfo(f"{key}/{name}", date_time=(2020, 1, 1, 0, 0, 0))
                    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                    archive.writestr(info, path)
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{stage}.zip").write_bytes(buffer.getvalue())
        total += buffer.tell()
    return total


def _files(store: Store, stage: str, key: str) -> dict[str, bytes]:
    folder = store.folder(stage, key)
    return {p.name: p.read_bytes() for p in folder.iterdir()}


class Settings(BaseModel):
    """Options of `python -m benchmark.store`."""

    model_config = {"extra": "forbid"}
    cache: Path = Field(Path(".cache"), description="the cache folder")
    released: Path | None = Field(Path("results/released"), description="the released layer, null for none")
    prune: list[str] = Field(
        [], description="stages whose cells are removed, e.g. [probe,score]; damaged and unfinished too"
    )
    unused_days: float | None = Field(None, ge=0, description="prune only cells that are older than this many days")


def report(settings: Settings) -> int:
    """Print what the store holds, stage by stage; remove what `prune` names."""
    store = Store(settings.cache, settings.released)
    known = (*STAGES, "damaged", "unfinished")
    for stage in settings.prune:
        if stage not in known:
            raise ConfigError(f"prune must name stages. Got '{stage}'. {did_you_mean(stage, known)}")
    if "unfinished" in settings.prune:
        clean(store)
    oldest = None if settings.unused_days is None else time.time() - 86400 * settings.unused_days
    removed = 0
    for folder in (f for stage in settings.prune if stage != "unfinished" for f in (store.cache / stage).glob("*")):
        if oldest is None or folder.stat().st_mtime < oldest:
            shutil.rmtree(folder)
            removed += 1
    print(f"{'stage':<12}{'cells':>8}{'MB':>10}   {store.cache}")
    for stage in (*STAGES, "damaged", "unfinished"):
        folders = list((store.cache / stage).glob("*"))
        size = sum(p.stat().st_size for f in folders for p in f.rglob("*") if p.is_file())
        print(f"{stage:<12}{len(folders):>8}{size / 1e6:>10.1f}")
    if store.released and store.released.exists():
        size = sum(p.stat().st_size for p in store.released.rglob("*") if p.is_file())
        count = {s: len(store._zip_members(s)) + len(list((store.released / s).glob("*"))) for s in STAGES}
        holds = ", ".join(f"{n} {s}" for s, n in count.items() if n)
        print(f"released: {holds or 'nothing'}, {size / 1e6:.1f} MB   {store.released}")
    if settings.prune:
        print(f"removed {removed} cells")
    return 0


def main() -> int:
    from benchmark import cli

    return cli.settings(report, Settings, "python -m benchmark.store [cache=<folder>] [prune=[probe,score]]")


if __name__ == "__main__":
    raise SystemExit(main())
