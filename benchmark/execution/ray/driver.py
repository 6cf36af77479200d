"""Runs cells on a Ray cluster: an existing one, or one of this machine that is started for the run.

The driver keeps the store, the claims and the schedule; nodes see neither. Packs are built by the driver, where the
images are. Every other cell goes to a worker on some node, with what it needs unless the node has it already, and
comes back as the bytes of its folder, which are checked before they enter the store. So no file system is shared.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import ray
from ray.exceptions import ActorDiedError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from benchmark import provenance
from benchmark.cells.plan import Cell
from benchmark.cells.store import STAGES, Store
from benchmark.config.experiment import ExecutorSpec
from benchmark.errors import ConfigError
from benchmark.execution.local import LocalWorker, dead, outcome_of, pinned
from benchmark.execution.local import Place as Here
from benchmark.execution.ray.cluster import TERMINATED, TOLD_TO_END, connected
from benchmark.execution.ray.delivery import Delivery
from benchmark.execution.ray.node import Parcel, Place, Remote, remove
from benchmark.execution.ray.nodes import Nodes
from benchmark.execution.ray.shipping import Shipping
from benchmark.execution.schedule import POLL_SECONDS, Outcome, Progress

if TYPE_CHECKING:
    from ray import ObjectRef

Files = Mapping[str, np.ndarray]
"""The files of a cell by name, as bytes."""

ON_DRIVER = ("pack",)
ON_NODES = tuple(stage for stage in STAGES if stage not in ON_DRIVER)
RETRIES = 2
"""How often a cell starts again after its worker's process died on a node that lives on; lost nodes do not count."""

WRITERS = 4
"""Threads that write what came back: a disk that makes sure of it takes longer than a worker should wait."""

LOOK_SECONDS, NOTICE_SECONDS = 2.0, 30.0
"""Between two looks at what nodes there are; and without any worker before that is said."""


@contextlib.contextmanager
def crew(store: Store, spec: ExecutorSpec, progress: Progress) -> Iterator[Crew]:
    """The workers of a cluster while a run lasts; afterwards nothing of it is left on the nodes."""
    with pinned(spec.threads), connected(spec) as alone:
        workers = Crew(store, spec, progress, wait=0.0 if alone else spec.wait)
        try:
            workers.recruit()
            yield workers
        finally:
            workers.dismiss()


class Crew:
    """As many workers as the cluster has room for, however many nodes it has at the moment."""

    def __init__(self, store: Store, spec: ExecutorSpec, progress: Progress, wait: float):
        self.store, self.spec, self.progress = store, spec, progress
        self.run, self.wait = uuid.uuid4().hex[:12], wait
        self.remote: Any = ray.remote(Remote)  # Ray types the methods of an actor as they are at home
        self.node_workers: list[_NodeWorker] = []
        self.pack_workers = [_PackWorker(store, spec.threads) for _ in os.sched_getaffinity(0)]
        self.shipping = Shipping(store, ray.put)
        self.folders: dict[str, str] = {}
        self.writers = ThreadPoolExecutor(WRITERS)
        self.deliveries: list[Delivery] = []
        self.lost: Counter[str] = Counter()
        self.nodes = Nodes(spec)
        self.looked = self.noticed = time.monotonic()
        self.without_room: float | None = None

    def __iter__(self) -> Iterator[_NodeWorker | _PackWorker]:
        return iter([*self.pack_workers, *self.node_workers])

    def ready(self) -> Sequence[Delivery | _PackWorker]:
        """What has come back and is in the store, after a while at most; the workers of it are idle before that."""
        if TOLD_TO_END.is_set():
            sys.exit(TERMINATED)
        if time.monotonic() - self.looked > LOOK_SECONDS:
            self.recruit()
        packing = [w for w in self.pack_workers if not w.idle]
        nothing_due = not (packing or self.deliveries or any(w.outcome for w in self.node_workers))
        self._listen(POLL_SECONDS if nothing_due else 0.01)
        self.progress.workers = max(1, sum(w.place is not None for w in self.node_workers))
        written = [d for d in self.deliveries if d.written]
        self.deliveries = [d for d in self.deliveries if d not in written]
        return [*written, *(w for w in packing if w.pipe.poll())]

    def _listen(self, patience: float) -> None:
        """Take what workers have to say: that they are there, or what became of their task."""
        waiting = {w.ref: w for w in self.node_workers if w.ref is not None}
        heard = [w for w in self.node_workers if w.outcome]
        if not waiting:
            time.sleep(min(patience, 0.05))
        elif ray.wait(list(waiting), timeout=patience)[0]:
            heard += [waiting[r] for r in ray.wait(list(waiting), num_returns=len(waiting), timeout=0)[0]]
        for worker in heard:
            if worker.task:
                self.deliveries.append(worker.unload())
            else:
                worker.settle_in()

    def recruit(self) -> None:
        """Ask for the workers that there is room for; complain where no node can hold one."""
        self.looked = time.monotonic()
        nodes = [n["Resources"] for n in self.nodes.alive()]
        room = sum(map(self.nodes.seats, nodes))
        since = self.looked if self.without_room is None else self.without_room
        self.without_room = None if room else since
        if not room and self.looked - since >= self.wait:
            have = "; ".join(f"{n.get('CPU', 0):g} CPU and {n.get('GPU', 0):g} GPU" for n in nodes)
            raise ConfigError(
                f"executor.num_cpus and executor.num_gpus must fit on a node of the cluster. Got {self.nodes.request}; "
                f"its nodes have {have or 'gone'}. Ask for less, or add a node; what is finished is kept."
            )
        left = self.progress.total - self.progress.done
        for _ in range(min(self.spec.workers or room, left) - len(self.node_workers)):
            self.node_workers.append(_NodeWorker(self))
        if any(w.place for w in self.node_workers):
            self.noticed = self.looked
        elif room and self.looked - self.noticed > NOTICE_SECONDS:
            self.noticed = self.looked
            print(f"still no worker ({self.nodes.request}): the cluster is busy or slow", file=sys.stderr, flush=True)

    def again(self, worker: _NodeWorker, task: Sequence[Cell], why: str) -> Outcome:
        """A task came to nothing by no fault of its cells: they start again, unless this goes on and on."""
        self.lost.update(c.key for c in task)
        if (times := max(self.lost[c.key] for c in task)) > RETRIES:
            return dead(task, f"{why} on {worker.there.host}, {times} times")
        return Outcome("lost", reason=f"{why} on {worker.there.host}; it starts again")

    def without(self, worker: _NodeWorker, task: Sequence[Cell]) -> Outcome:
        """A worker is gone, with its node or alone."""
        self.node_workers.remove(worker)
        worker.dismiss()
        if self.nodes.still_has(worker.there.node):
            return self.again(worker, task, "the worker process died (killed, perhaps for want of memory)")
        return Outcome("lost", reason=f"node {worker.there.host} is gone; it starts again elsewhere")

    def dismiss(self) -> None:
        """End all workers and remove what the run left on the nodes."""
        for worker in self.node_workers:
            worker.dismiss()
        for process in self.pack_workers:
            process.stop()
        self.writers.shutdown()  # what came back is not lost
        for delivery in self.deliveries:
            delivery.claims.close()
        with contextlib.suppress(RayError, OSError):  # the cluster itself may be gone
            sweep = ray.remote(num_cpus=0, max_retries=0)(remove)
            nodes = {n["NodeID"] for n in self.nodes.alive()} & self.folders.keys()
            there = {n: NodeAffinitySchedulingStrategy(n, soft=False) for n in nodes}
            refs = [sweep.options(scheduling_strategy=there[n]).remote(Path(self.folders[n])) for n in nodes]
            if refs:
                ray.wait(refs, num_returns=len(refs), timeout=30)


class _NodeWorker:
    """A worker on a node, and the task that it has; empty where it has none."""

    stages: Collection[str] = ON_NODES

    def __init__(self, crew: Crew):
        spec, self.crew = crew.spec, crew
        self.task: tuple[Cell, ...] = ()
        self.place: Place | None = None
        self.outcome: Outcome | None = None
        self.sent: list[Parcel] = []
        self.claims = contextlib.ExitStack()
        share = {"num_cpus": crew.nodes.cpus, "num_gpus": crew.nodes.gpus}
        cache = str(spec.node_cache) if spec.node_cache else None
        made = crew.remote.options(**share, max_restarts=0, scheduling_strategy="SPREAD")
        self.actor = made.remote(crew.run, cache, spec.threads, not crew.nodes.gpus)
        self.ref: ObjectRef | None = self.actor.arrive.remote()

    @property
    def idle(self) -> bool:
        return self.place is not None and not self.task

    @property
    def there(self) -> Place:
        """Where it is; it has arrived before it is given anything to do."""
        if self.place is None:
            raise RuntimeError("a worker must have arrived. Got one on its way. Wait for it.")
        return self.place

    def _heard(self) -> ObjectRef:
        """What it has been asked, which it has answered; it can be asked something else from now on."""
        ref, self.ref = self.ref, None
        if ref is None:
            raise RuntimeError("a worker must have been asked something. Got none. Ask it first.")
        return ref

    def settle_in(self) -> None:
        """Note where the worker is; a node on which it cannot even start ends the run, with the reason."""
        try:
            self.place = cast(Place, ray.get(self._heard()))
        except RayError as error:
            if isinstance(error, ActorDiedError) and not error.actor_init_failed:  # it went with its node
                self.crew.node_workers.remove(self)
                return
            raise ConfigError(
                f"Every node of the cluster must be able to run this project. Got: {last_line(error)}. Install the "
                "same packages there as here (constraints.txt)."
            ) from None
        place = self.there
        first = place.node not in self.crew.folders
        self.crew.folders[place.node] = place.folder
        there, here = place.versions, provenance.versions()
        odd = ", ".join(f"{n} {there.get(n, 'missing')}, not {here[n]}" for n in here if there.get(n) != here[n])
        if odd and first:
            print(f"warning: node {place.host} has {odd}: results may differ.", file=sys.stderr, flush=True)

    def start(self, task: tuple[Cell, ...]) -> None:
        """Send a task with what its node lacks; the claims on its cells are the driver's."""
        self.task = task
        try:
            for cell in task:
                self.claims.enter_context(self.crew.store.claim(cell.key))
            todo = tuple(c for c in task if not self.crew.store.has(c.stage, c.key))
            if todo:
                self.sent = self.crew.shipping.parcels(todo, self.there.node)
                self.ref = self.actor.compute.remote(todo, self.sent)
            else:
                self.outcome = Outcome("present")
        except Exception as error:  # as in a worker of this machine
            self.outcome = outcome_of(error, cache=self.crew.store.cache)

    def unload(self) -> Delivery:
        """What became of the task; the worker is free for another while the cells are being written."""
        task, self.task = self.task, ()
        claims, self.claims = self.claims, contextlib.ExitStack()
        outcome, self.outcome = self.outcome, None
        made: Mapping[str, Files] = {}
        if outcome is None:
            outcome, made = self._come_back(task)
        writing = [
            self.crew.writers.submit(self.crew.store.adopt, c.stage, c.key, made[c.key]) for c in task if c.key in made
        ]
        return Delivery(task, outcome, claims, writing, self.crew.store.cache)

    def dismiss(self) -> None:
        ray.kill(self.actor, no_restart=True)
        self.claims.close()

    def _come_back(self, task: tuple[Cell, ...]) -> tuple[Outcome, Mapping[str, Files]]:
        """What became of a task, and the files of its cells; of a worker that is gone, the crew knows what follows."""
        crew, node, host = self.crew, self.there.node, self.there.host
        try:
            outcome, made = ray.get(self._heard())
        except RayTaskError as error:  # the worker's own trouble: a full disk, for instance
            return Outcome("failed", reason=f"on {host}: {last_line(error)}"), {}
        except RayError:
            return crew.without(self, task), {}
        crew.shipping.arrived(node, self.sent, made)
        if outcome.status == "stopped":  # that node has no room; others may
            return Outcome("failed", reason=f"on {host}: {outcome.reason}"), {}
        if outcome.damaged is not None:  # the copy on the node: it is sent once more
            crew.shipping.has[node].pop(outcome.damaged[1], None)
            return crew.again(self, task, outcome.reason), {}
        return outcome, made


class _PackWorker(LocalWorker):
    """A process of the driver's machine, started when there is something for it."""

    stages: Collection[str] = ON_DRIVER

    def __init__(self, store: Store, threads: int):
        here = Here(store.cache, store.released, "cpu", threads)
        super().__init__(multiprocessing.get_context("spawn"), here, at_once=False)


def last_line(error: Exception) -> str:
    """The exception at the end of a traceback that came from a node."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
