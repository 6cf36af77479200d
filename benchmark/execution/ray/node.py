"""What runs on a node of a Ray cluster: one worker, which computes cells in a store that is the node's own.

The store is a folder that the workers of a run on one node share and that is removed when the run ends. What a cell
needs comes from the run's driver, once per node; what it made goes back as the bytes of its folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import ray

from benchmark import provenance
from benchmark.cells.contents import buffer
from benchmark.cells.plan import Cell
from benchmark.cells.store import Store
from benchmark.execution.local import attempt
from benchmark.execution.schedule import Outcome
from benchmark.models import weights

if TYPE_CHECKING:
    from ray import ObjectRef

OUTSIDE = "files"
"""The stage of a parcel that is no cell."""


@dataclass(frozen=True)
class Parcel:
    """A cell that another needs, or a file of weights from outside, with the string that names them there.

    `box` is Ray's reference to the content; `seal` tells two contents of one key apart.
    """

    stage: str
    key: str
    seal: str
    box: ObjectRef[dict[str, np.ndarray]] | None
    weights: str = ""


@dataclass(frozen=True)
class Place:
    """Where a worker is: its node, the node's address, the folder there, the device and the package versions."""

    node: str
    host: str
    folder: str
    device: str
    versions: Mapping[str, str]


class Remote:
    """A worker: a Ray actor, one process with the device that Ray gave it."""

    def __init__(self, run: str, cache: str | None, threads: int, cpu_only: bool):
        self.run, self.threads = run, threads
        self.cache = Path(cache) if cache else Path(tempfile.gettempdir()) / f"diverse-model-selection-{os.getuid()}"
        self.cpu_only = cpu_only

    def arrive(self) -> Place:
        """Take up a place on the node; what killed runs left there is removed."""
        context = ray.get_runtime_context()
        self.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        home = self.cache / f"{self.run}-{context.get_node_id()[:12]}"
        self.lock = _enter(home)
        for other in self.cache.glob("*.lock"):
            remove(other.with_suffix(""), patience=0.0)
        self.store = Store(home, lasting=False)
        self.device = "cpu" if self.cpu_only or not ray.get_gpu_ids() else "cuda:0"
        host = f"{socket.gethostname()} ({ray.util.get_node_ip_address()})"
        return Place(context.get_node_id(), host, str(home), self.device, provenance.versions())

    def compute(
        self, task: tuple[Cell, ...], parcels: Sequence[Parcel]
    ) -> tuple[Outcome, dict[str, dict[str, np.ndarray]]]:
        """What became of a task, and the files of its cells by key and name."""
        for parcel in parcels:
            self._receive(parcel)
        outcome = attempt(task, self.store, self.device, self.threads)
        if outcome.status not in ("done", "present"):
            return outcome, {}
        kept = [c for c in task if c.key not in outcome.failures]
        return outcome, {c.key: contents(self.store.files(c.stage, c.key)) for c in kept}

    def _receive(self, parcel: Parcel) -> None:
        home = self.store.cache / parcel.stage / parcel.key
        with self.store.claim(parcel.key, wait=True):  # another worker of this node may be fetching it
            if parcel.stage == OUTSIDE:
                if not home.exists():
                    part = self.store.workspace(parcel.key)
                    for name, content in _fetched(parcel).items():
                        (part / name).write_bytes(buffer(content))
                    home.parent.mkdir(exist_ok=True)
                    part.rename(home)
                weights.SENT[parcel.weights] = list(home.iterdir())
            elif seal_of(home) != parcel.seal:
                shutil.rmtree(home, ignore_errors=True)
                self.store.adopt(parcel.stage, parcel.key, _fetched(parcel))


def _fetched(parcel: Parcel) -> dict[str, np.ndarray]:
    """The content of a parcel, from wherever Ray keeps it."""
    if parcel.box is None:
        raise RuntimeError(f"a node must have the file of {parcel.weights}. Got none. Run it again.")
    return ray.get(parcel.box)


def contents(files: Mapping[str, bytes | Path]) -> dict[str, np.ndarray]:
    """Files as byte arrays, which Ray moves without copying; large ones are not read before they are moved."""
    return {name: _bytes(content) for name, content in files.items()}


def seal_of(cell: Path) -> str:
    """The digest of a cell's manifest, which lists the digests of its files; empty where there is no such cell."""
    try:
        return hashlib.sha256((cell / "manifest.json").read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def remove(home: Path, patience: float = 10.0) -> None:
    """Remove a run's folder, once no worker holds it; leave it where one still does after `patience` seconds."""
    lock, end = home.with_suffix(".lock"), time.monotonic() + patience
    try:
        handle = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    return
                time.sleep(0.05)
        shutil.rmtree(home, ignore_errors=True)
        lock.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _enter(home: Path) -> int:
    """A shared hold on a run's folder, which ends with the process, however it ends."""
    while True:
        handle = os.open(home.with_suffix(".lock"), os.O_RDWR | os.O_CREAT)
        fcntl.flock(handle, fcntl.LOCK_SH)
        if os.fstat(handle).st_nlink:  # else it was removed after we had opened it
            home.mkdir(exist_ok=True)
            return handle
        os.close(handle)


def _bytes(content: bytes | Path) -> np.ndarray:
    if isinstance(content, bytes):
        return np.frombuffer(content, np.uint8)
    if not content.stat().st_size:
        return np.zeros(0, np.uint8)
    return np.memmap(content, np.uint8, "r").view(np.ndarray)
