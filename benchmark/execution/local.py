"""Workers of this machine: processes with a number of threads or a device, which are given cells and answer."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path

from benchmark.cells.plan import Cell
from benchmark.cells.store import STAGES, Busy, Damaged, Store
from benchmark.config.experiment import ExecutorSpec
from benchmark.execution import stages as execution_stages
from benchmark.execution.schedule import POLL_SECONDS, Outcome
from benchmark.files import as_system_error, no_room
from benchmark.surroundings import THREAD_VARIABLES
from benchmark.wording import one_line, printable


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
            failures = execution_stages.compute(todo, store, device)
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


@dataclass(frozen=True)
class Place:
    """Where a process works: its store, its device and its threads."""

    cache: Path
    released: Path | None
    device: str
    threads: int


class LocalWorker:
    """One process and the task that it has; empty where it has none.

    at_once  whether the process starts now; else when there is something for it
    """

    stages: Collection[str] = STAGES

    def __init__(self, context: SpawnContext, place: Place, at_once: bool = True):
        self.context, self.place = context, place
        self.task: tuple[Cell, ...] = ()
        self.process: SpawnProcess | None = None
        if at_once:
            self._spawn()

    def _spawn(self) -> None:
        self.pipe, theirs = self.context.Pipe()
        self.process = self.context.Process(target=_serve, args=(theirs, self.place), daemon=True)
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
        return not self.task

    def start(self, task: tuple[Cell, ...]) -> None:
        self.task = task
        if self.process is None:
            self._spawn()
        try:
            self.pipe.send(task)
        except OSError:  # it died while it had nothing to do
            self._spawn()
            self.pipe.send(task)

    def finish(self) -> tuple[tuple[Cell, ...], Outcome]:
        task, self.task = self.task, ()
        try:
            return task, self.pipe.recv()
        except (EOFError, OSError):
            code = self._exit_code()
            self._spawn()
            why = "killed, perhaps for want of memory" if code == -signal.SIGKILL else f"exit code {code}"
            return task, dead(task, f"the worker process died ({why})")

    def _exit_code(self) -> int | None:
        if self.process is None:
            return None
        self.process.join()
        return self.process.exitcode

    def stop(self) -> None:
        if self.process is None:
            return
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


class Team:
    """Worker processes of this machine."""

    def __init__(self) -> None:
        self.workers: list[LocalWorker] = []

    def __iter__(self) -> Iterator[LocalWorker]:
        return iter(self.workers)

    def ready(self) -> list[LocalWorker]:
        """Those that have something to say, after a short while at most."""
        busy = [w for w in self.workers if not w.idle]
        if not busy:
            time.sleep(0.05)
            return []
        heard = wait([w.pipe for w in busy], timeout=POLL_SECONDS)
        return [w for w in busy if w.pipe in heard]


@contextlib.contextmanager
def local_workers(store: Store, device: str, gpus: int, count: int, threads: int) -> Iterator[Team]:
    context, team = multiprocessing.get_context("spawn"), Team()
    with pinned(threads):
        try:
            for number in range(count):
                where = f"cuda:{number % gpus}" if device == "cuda" else "cpu"
                team.workers.append(LocalWorker(context, Place(store.cache, store.released, where, threads)))
            yield team
        finally:
            for worker in team:
                worker.stop()


def _serve(pipe: Connection, place: Place) -> None:
    """A worker's life: take a task, do it, say what became of it; end with the parent."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    store = Store(place.cache, place.released)
    with contextlib.suppress(EOFError, BrokenPipeError, OSError):
        while True:
            pipe.send(attempt(pipe.recv(), store, place.device, place.threads))


def end_with_parent() -> None:
    """Wait for the end of the parent process, and end this one at once; for a thread of its own."""
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)


class Alone:
    """This very process as the one worker: a task is done when its answer is asked for."""

    stages: Collection[str] = STAGES

    def __init__(self, store: Store, device: str, threads: int):
        self.store, self.device, self.threads = store, device, threads
        self.task: tuple[Cell, ...] = ()

    def __iter__(self) -> Iterator[Alone]:
        return iter([self])

    def ready(self) -> list[Alone]:
        return [self] if self.task else []

    @property
    def idle(self) -> bool:
        return not self.task

    def start(self, task: tuple[Cell, ...]) -> None:
        self.task = task

    def finish(self) -> tuple[tuple[Cell, ...], Outcome]:
        task, self.task = self.task, ()
        return task, attempt(task, self.store, self.device, self.threads)


@contextlib.contextmanager
def inline(store: Store, device: str, threads: int) -> Iterator[Alone]:
    yield Alone(store, "cuda:0" if device == "cuda" else "cpu", threads)
