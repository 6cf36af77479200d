"""Runs a plan's missing cells in worker processes, each cell once, in an order that its needs allow.

Here, the workers of this machine; those of a Ray cluster are in ray_executor.py, under the same schedule.

Two processes of one thread each were measured faster than one process with two, so the default is a worker per core
(or one per GPU). A worker that dies takes one cell with it, not the run: where it had the scores of several methods,
each is tried again alone. A cell that another run is computing is
left to it and taken from the store when it is there.
"""

from __future__ import annotations

import contextlib
import heapq
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import types
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from benchmark.config import ConfigError, ExecutorSpec
from benchmark.files import as_system_error, no_room, writable
from benchmark.plan import Cell
from benchmark.store import STAGES, Busy, Damaged, Store, clean
from benchmark.surroundings import THREAD_VARIABLES
from benchmark.wording import one_line, printable

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Outcome:
    """What became of a task, and why: `done`, `present`, `busy`, `damaged`, `lost` (with its node) or `failed`.

    Or `died`, where the worker's process did, and it is not known which of several cells was the cause; or `stopped`,
    where nothing more can be written.

    damaged  stage and key of the cell that must be made again first
    failures {key: reason} of cells that failed while the task's others were done
    """

    status: str
    seconds: float = 0.0
    reason: str = ""
    damaged: tuple[str, str] | None = None
    failures: Mapping[str, str] = field(default_factory=dict)


def run(
    cells: Sequence[Cell],
    all_cells: dict[str, Cell],
    store: Store,
    spec: ExecutorSpec,
    report: Callable[[Cell, Outcome, Progress], None],
) -> dict[str, str]:
    """Compute cells. Returns {key: reason} of those that failed, with what depends on them."""
    if not cells:
        return {}
    writable(store.cache, folder=True, name="paths.cache")
    clean(store)
    device, devices = resolve_devices(spec)
    count = worker_count(spec, devices)
    schedule = Schedule(cells, all_cells, store, count, planned=spec.order == "planned")
    if spec.name == "ray":
        from benchmark.ray_executor import crew

        pool = crew(store, spec, schedule.progress)
    elif count == 0:
        pool = _inline(store, device, spec.threads)
    else:
        pool = _workers(store, device, devices, min(count, len(cells)), spec.threads)
    try:
        with pool as workers:
            drive(schedule, workers, report)
    finally:
        clean(store)
    return schedule.failed


def drive(schedule: Schedule, workers: Iterable[Worker], report: Callable[[Cell, Outcome, Progress], None]) -> None:
    """Give tasks to idle workers and take back what became of them, until nothing is left."""
    ready = getattr(workers, "ready", lambda: _ready(workers))
    while schedule.unfinished:
        schedule.wake()
        for worker in workers:
            if worker.idle and (task := schedule.next(worker.stages)):
                worker.start(task)
        for worker in ready():
            task, outcome = worker.finish()
            if outcome.status == "stopped":  # what is finished is kept; another cell would fare no better
                raise ConfigError(outcome.reason)
            schedule.settle(task, outcome)
            if outcome.status != "busy":
                report(task[0], outcome, schedule.progress)
            for cell in task:
                if cell.key in outcome.failures:
                    report(cell, Outcome("failed", reason=outcome.failures[cell.key]), schedule.progress)


class Worker(Protocol):
    """What computes one task at a time, wherever it is."""

    stages: Collection[str]

    @property
    def idle(self) -> bool: ...

    def start(self, task: tuple[Cell, ...]) -> None: ...

    def finish(self) -> tuple[tuple[Cell, ...], Outcome]: ...


@dataclass
class Progress:
    """Where a run stands; the estimate corrects itself by what cells of each stage have taken so far."""

    total: int
    workers: int
    done: int = 0
    remaining: Counter[str] = field(default_factory=Counter)
    spent: Counter[str] = field(default_factory=Counter)
    guessed: Counter[str] = field(default_factory=Counter)

    @property
    def eta_seconds(self) -> float:
        """Seconds until the end, at the pace so far."""
        pace = {stage: self.spent[stage] / guess for stage, guess in self.guessed.items() if guess}
        return sum(left * pace.get(stage, 1.0) for stage, left in self.remaining.items()) / self.workers


class Schedule:
    """Tasks whose needs are met, the costliest chain first or as planned; score cells of one probe go together."""

    def __init__(
        self, cells: Sequence[Cell], all_cells: dict[str, Cell], store: Store, workers: int, planned: bool = False
    ):
        self.cells, self.store = dict(all_cells), store
        self.running: set[str] = set()
        self.failed: dict[str, str] = {}
        self.alone: set[str] = set()
        self.wanted = {c.key: c for c in cells}
        self.dependants: dict[str, list[str]] = defaultdict(list)
        self.waiting: dict[str, set[str]] = {}
        self.ready: dict[str, list[tuple[float, int, Cell]]] = defaultdict(list)
        self.sleeping: deque[tuple[float, tuple[Cell, ...]]] = deque()
        self.progress = Progress(len(cells), max(workers, 1))
        self.order = 0
        for cell in cells:
            self.progress.remaining[cell.stage] += cell.seconds
            self._link(cell)
        self.rank = {key: -place for place, key in enumerate(all_cells)} if planned else self._chain_costs()
        for cell in cells:
            if not self.waiting[cell.key]:
                self._push(cell)

    @property
    def unfinished(self) -> bool:
        return bool(self.wanted)

    def next(self, stages: Collection[str] = STAGES) -> tuple[Cell, ...] | None:
        """The next task of these stages, or None while all are waiting."""
        while queues := [queue for stage, queue in self.ready.items() if queue and stage in stages]:
            *_, cell = heapq.heappop(min(queues))
            if cell.key not in self.wanted or cell.key in self.running or self.waiting[cell.key]:
                continue
            together = (cell,)
            if cell.stage == "score" and cell.key not in self.alone:
                together = tuple(
                    c
                    for c in self.wanted.values()
                    if c.stage == "score"
                    and c.work["probe"] == cell.work["probe"]
                    and not self.waiting[c.key]
                    and c.key not in self.running | self.alone
                )
            self.running.update(c.key for c in together)
            return together
        return None

    def settle(self, task: tuple[Cell, ...], outcome: Outcome) -> None:
        """Account for a task that came back."""
        self.running.difference_update(c.key for c in task)
        if outcome.status == "busy":
            self.sleeping.append((time.monotonic() + POLL_SECONDS, task))
            return
        if outcome.status == "damaged":
            self._again(task, *outcome.damaged)
            return
        if outcome.status in ("lost", "died"):
            if outcome.status == "died":
                self.alone.update(c.key for c in task)
            for cell in task:
                self._push(cell)
            return
        for cell in task:
            if outcome.status == "failed":
                self._fail(cell, outcome.reason)
            elif cell.key in outcome.failures:
                self._fail(cell, outcome.failures[cell.key])
            else:
                self._done(cell, outcome.seconds / len(task) if outcome.status == "done" else None)

    def wake(self) -> None:
        """Look again at what another run was computing."""
        while self.sleeping and self.sleeping[0][0] <= time.monotonic():
            for cell in self.sleeping.popleft()[1]:
                self._push(cell)

    def _link(self, cell: Cell) -> None:
        open_needs = {k for _, k in cell.needs if k in self.wanted}
        self.waiting[cell.key] = open_needs
        for key in open_needs:
            self.dependants[key].append(cell.key)

    def _chain_costs(self) -> dict[str, float]:
        rank: dict[str, float] = {}
        for cell in reversed(list(self.wanted.values())):
            rank[cell.key] = cell.seconds + max((rank.get(k, 0.0) for k in self.dependants[cell.key]), default=0.0)
        return rank

    def _push(self, cell: Cell) -> None:
        self.order += 1
        heapq.heappush(self.ready[cell.stage], (-self.rank.get(cell.key, cell.seconds), self.order, cell))

    def _done(self, cell: Cell, seconds: float | None) -> None:
        if seconds is not None:
            self.progress.spent[cell.stage] += seconds
            self.progress.guessed[cell.stage] += cell.seconds
        self._remove(cell)
        for key in self.dependants[cell.key]:
            if key in self.waiting and cell.key in self.waiting[key]:
                self.waiting[key].discard(cell.key)
                if not self.waiting[key] and key in self.wanted:
                    self._push(self.wanted[key])

    def _remove(self, cell: Cell) -> None:
        if self.wanted.pop(cell.key, None) is not None:
            self.progress.remaining[cell.stage] -= cell.seconds
            self.progress.done += 1

    def _fail(self, cell: Cell, reason: str) -> None:
        if cell.key not in self.wanted:
            return
        self.failed[cell.key] = reason
        self._remove(cell)
        for key in self.dependants[cell.key]:
            if key in self.wanted:
                self._fail(self.wanted[key], f"needs {cell.label}, which failed: {reason}")

    def _again(self, task: tuple[Cell, ...], stage: str, key: str) -> None:
        """A cell that this task reads was damaged and set aside: make it again first."""
        culprit = self.cells.get(key)
        if culprit is None:
            for cell in task:
                self._fail(cell, f"{stage} cell {key[:12]} was damaged and is not in this plan")
            return
        if key not in self.wanted:
            self.wanted[key] = culprit
            self.progress.total += 1
            self.progress.remaining[culprit.stage] += culprit.seconds
            for need_stage, need in culprit.needs:
                if need not in self.wanted and not self.store.has(need_stage, need):
                    self._again((), need_stage, need)
            self._link(culprit)
            if not self.waiting[key]:
                self._push(culprit)
        for cell in task:
            self.waiting[cell.key].add(key)
            self.dependants[key].append(cell.key)


def resolve_devices(spec: ExecutorSpec) -> tuple[str, int]:
    """('cpu' | 'cuda', number of GPUs). Asks the driver, without importing torch."""
    gpus = len(list(Path("/proc/driver/nvidia/gpus").glob("*"))) or len(list(Path("/dev").glob("nvidia[0-9]*")))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        gpus = min(gpus, len([v for v in visible.split(",") if v.strip() and v.strip() != "-1"]))
    if spec.device == "cpu" or (spec.device == "auto" and gpus == 0):
        return "cpu", 0
    return "cuda", max(gpus, 1)


def worker_count(spec: ExecutorSpec, gpus: int) -> int:
    """`executor.workers`, or one per GPU, or one per core that this process may use."""
    if spec.workers is not None:
        return spec.workers
    return gpus or max(1, len(os.sched_getaffinity(0)) // spec.threads)


def attempt(task: Sequence[Cell], store: Store, device: str, threads: int = 1) -> Outcome:
    """Compute a task unless it is there or being computed by another run."""
    from benchmark import stages

    start = time.perf_counter()
    try:
        if task[0].stage in ("weights", "tune", "truth", "probe"):
            import torch

            torch.set_num_threads(threads)
        with contextlib.ExitStack() as claims:
            todo = []
            for cell in task:
                claims.enter_context(store.claim(cell.key))
                if not store.has(cell.stage, cell.key):
                    todo.append(cell)
            if not todo:
                return Outcome("present")
            failures = stages.compute(todo, store, device)
    except Exception as error:  # a cell's crash becomes a row
        return outcome_of(error, time.perf_counter() - start, store.cache)
    return Outcome("done", time.perf_counter() - start, failures=failures or {})


def dead(task: Sequence[Cell], reason: str) -> Outcome:
    """What the death of a worker makes of its task: several cells are tried again, each alone."""
    if len(task) == 1:
        return Outcome("failed", reason=reason)
    return Outcome("died", reason=f"{reason} at one of {len(task)} scores; each is made again alone")


def outcome_of(error: Exception, seconds: float = 0.0, cache: Path | None = None) -> Outcome:
    """What an exception makes of a task; an unforeseen one is told by its kind. `cache` is where cells are written."""
    if cache and (full := no_room(as_system_error(error), cache)):
        return Outcome("stopped", reason=f"paths.cache: {full}")
    if isinstance(error, Busy):
        return Outcome("busy")
    if isinstance(error, Damaged):
        return Outcome("damaged", reason=str(error), damaged=(error.stage, error.key))
    known = type(error).__module__.startswith("benchmark.")
    if not known and os.environ.get("BENCHMARK_TRACEBACK"):
        traceback.print_exception(error)
    return Outcome("failed", seconds, printable(str(error)) if known else one_line(f"{type(error).__name__}: {error}"))


# worker processes


class LocalWorker:
    """One process and the task that it has."""

    stages = STAGES

    def __init__(self, context: Any, arguments: tuple[Any, ...]):
        self.context, self.arguments = context, arguments
        self.task: tuple[Cell, ...] | None = None
        self._spawn()

    def _spawn(self) -> None:
        self.pipe, theirs = self.context.Pipe()
        self.process = self.context.Process(target=_serve, args=(theirs, *self.arguments), daemon=True)
        resource_tracker.ensure_running()  # else the first start would start it, and it unblocks SIGINT
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited: Ctrl-C is the parent's affair
        try:
            with without_main():
                self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()

    @property
    def idle(self) -> bool:
        return self.task is None

    def start(self, task: tuple[Cell, ...]) -> None:
        self.task = task
        try:
            self.pipe.send(task)
        except OSError:  # it died while it had nothing to do
            self._spawn()
            self.pipe.send(task)

    def finish(self) -> tuple[tuple[Cell, ...], Outcome]:
        task, self.task = self.task, None
        try:
            return task, self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode
            self._spawn()
            why = "killed, perhaps for want of memory" if code == -signal.SIGKILL else f"exit code {code}"
            return task, dead(task, f"the worker process died ({why})")

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Processes that start meanwhile do not run the caller's script again, as Python's own way of starting them would.

    They need nothing of it. So a script that calls this project needs no `if __name__ == "__main__"`.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Worker processes that start meanwhile compute with so many threads: their libraries read it on import."""
    before = {v: os.environ.get(v) for v in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@contextlib.contextmanager
def _workers(store: Store, device: str, gpus: int, count: int, threads: int) -> Iterator[list[LocalWorker]]:
    context, workers = multiprocessing.get_context("spawn"), []
    with pinned(threads):
        try:
            for number in range(count):
                place = f"cuda:{number % gpus}" if device == "cuda" else "cpu"
                workers.append(LocalWorker(context, (store.cache, store.released, place, threads)))
            yield workers
        finally:
            for worker in workers:
                worker.stop()


def _ready(workers: Sequence[LocalWorker]) -> list[LocalWorker]:
    busy = {w.pipe: w for w in workers if not w.idle}
    if not busy:
        time.sleep(0.05)
        return []
    if any(isinstance(p, _Local) for p in busy):
        return list(busy.values())
    return [busy[p] for p in wait(list(busy), timeout=POLL_SECONDS)]


def _serve(pipe: Connection, cache: Path, released: Path | None, device: str, threads: int) -> None:
    """A worker's life: take a task, do it, say what became of it; end with the parent."""
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    store = Store(cache, released)
    with contextlib.suppress(EOFError, BrokenPipeError, OSError):
        while True:
            pipe.send(attempt(pipe.recv(), store, device, threads))


# in this process: for tests and debuggers


class _Local:
    """Stands in for a pipe where there is no other process."""


class _Here:
    stages = STAGES

    def __init__(self, *arguments: Any):
        self.arguments, self.task, self.pipe = arguments, None, _Local()

    @property
    def idle(self) -> bool:
        return self.task is None

    def start(self, task: tuple[Cell, ...]) -> None:
        self.task = task

    def finish(self) -> tuple[tuple[Cell, ...], Outcome]:
        task, self.task = self.task, None
        return task, attempt(task, *self.arguments)


@contextlib.contextmanager
def _inline(store: Store, device: str, threads: int) -> Iterator[list[_Here]]:
    yield [_Here(store, "cuda:0" if device == "cuda" else "cpu", threads)]
