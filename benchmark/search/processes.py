"""Runs the trials of a search, a process each: it can be stopped by the clock, and its death is not the search's.

Not the executor: that computes cells of a plan, which have no deadline and end the same whenever they run. The
processes are forked from one that has imported the deep-learning packages and done nothing else, so that one is there
in a moment.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess

from benchmark.config.experiment import ExecutorSpec
from benchmark.execution.local import end_with_parent, resolve_devices, without_main, worker_count
from benchmark.files import record
from benchmark.search.job import Job, write
from benchmark.search.work import work

POLL_SECONDS = 0.25
GRACE_SECONDS = 3.0
"""A trial that has not stopped itself so long after its time is ended; the final training is not."""
Run = Callable[[Sequence[Job], Callable[[], None]], None]


def runner(spec: ExecutorSpec) -> tuple[Run, int, int]:
    """What runs jobs, how many at once, and the threads of one that is alone; no workers: in this process."""
    device, gpus = resolve_devices(spec)
    workers = worker_count(spec, gpus)
    if workers == 0:
        place = "cuda:0" if device == "cuda" else "cpu"
        return (lambda jobs, tick: here(jobs, tick, place)), 1, spec.threads
    places = [f"cuda:{k % gpus}" if device == "cuda" else "cpu" for k in range(workers)]
    return (lambda jobs, tick: in_processes(jobs, tick, places)), workers, workers * spec.threads


def here(jobs: Sequence[Job], tick: Callable[[], None], device: str) -> None:
    """The jobs one after another in this process, those that are not due not at all."""
    for job in jobs:
        if job.due(time.monotonic()):
            work(job, device)
        tick()


def in_processes(jobs: Sequence[Job], tick: Callable[[], None], places: Sequence[str]) -> None:
    """The jobs in processes, one a place; `tick` is called several times a second."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmark.training.ground_truth", "benchmark.models.timm_alone"])
    waiting: Iterator[Job] = iter(jobs)
    free = list(reversed(places))
    running: dict[int, tuple[ForkServerProcess, Job, str]] = {}
    try:
        while True:
            while free and (job := next(waiting, None)):
                if not job.due(time.monotonic()):
                    continue
                process = context.Process(target=_child, args=(job, place := free.pop()), daemon=True)
                with without_main():
                    process.start()
                running[process.sentinel] = process, job, place
            if not running:
                return
            ended = wait(list(running), timeout=POLL_SECONDS)
            for sentinel in [s for s in running if s in ended]:
                process, job, place = running.pop(sentinel)
                process.join()
                free.append(place)
                if unfinished := _unfinished(job):
                    why = "killed, perhaps for want of memory" if process.exitcode == -9 else f"code {process.exitcode}"
                    write(job.result, unfinished | {"status": "failed", "reason": f"its process died ({why})"})
            for process, job, _ in running.values():
                if (
                    job.kind != "finish"
                    and time.monotonic() > job.until + GRACE_SECONDS
                    and (facts := _unfinished(job))
                ):
                    write(job.result, facts | {"status": "cut"})
                    process.kill()
            tick()
    finally:
        for process, *_ in running.values():
            process.kill()


def _unfinished(job: Job) -> dict[str, object]:
    """What a job has written so far, with status running; empty where it is finished."""
    facts: dict[str, object] = {"status": "running"}
    if job.result.exists():
        facts = record(job.result, "status")
    return facts if facts["status"] == "running" else {}


def _child(job: Job, device: str) -> None:
    """Do a job; end with the parent; Ctrl-C is the parent's affair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    work(job, device)
