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
from collections.abc import Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from benchmark.cells.plan import Cell
from benchmark.cells.store import STAGES, Busy, Damaged, Store
from benchmark.config.experiment import ExecutorSpec
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
    from benchmark.execution import stages as execution_stages

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
def local_workers(store: Store, device: str, gpus: int, count: int, threads: int) -> Iterator[list[LocalWorker]]:
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


def ready_workers(workers: Sequence[LocalWorker]) -> list[LocalWorker]:
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
def inline(store: Store, device: str, threads: int) -> Iterator[list[_Here]]:
    yield [_Here(store, "cuda:0" if device == "cuda" else "cpu", threads)]
