"""Runs a plan's missing cells in worker processes, each cell once, in an order that its needs allow.

The workers are this machine's, or are handed in (those of a Ray cluster), under the same schedule.

Two processes of one thread each were measured faster than one process with two, so the default is a worker per core (or
one per GPU). A worker that dies takes one cell with it, not the run: where it had the scores of several methods, each
is tried again alone. A cell that another run is computing is left to it and taken from the store when it is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec

from benchmark.cells.plan import Cell
from benchmark.cells.store import Store, clean
from benchmark.config.experiment import ExecutorSpec
from benchmark.errors import ConfigError
from benchmark.execution.local import inline, local_workers, resolve_devices, worker_count
from benchmark.execution.schedule import Outcome, Progress, Schedule, Workers
from benchmark.files import writable


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
    pool: AbstractContextManager[Workers]
    if spec.name == "ray":
        pool = of_a_cluster(store, spec, schedule.progress)
    elif count == 0:
        pool = inline(store, device, spec.threads)
    else:
        pool = local_workers(store, device, devices, min(count, len(cells)), spec.threads)
    try:
        with pool as workers:
            drive(schedule, workers, report)
    finally:
        clean(store)
    return schedule.failed


def of_a_cluster(store: Store, spec: ExecutorSpec, progress: Progress) -> AbstractContextManager[Workers]:
    """The workers of a Ray cluster. Raises ConfigError where Ray is not installed."""
    if find_spec("ray") is None:
        raise ConfigError(
            "executor=ray must have Ray installed. Got no package 'ray'. "
            "Run pip install 'diverse-model-selection[ray]'."
        )
    from benchmark.execution.ray.driver import crew

    return crew(store, spec, progress)


def drive(schedule: Schedule, workers: Workers, report: Callable[[Cell, Outcome, Progress], None]) -> None:
    """Give tasks to idle workers and take back what became of them, until nothing is left."""
    while schedule.unfinished:
        schedule.wake()
        for worker in workers:
            if worker.idle and (task := schedule.next(worker.stages)):
                worker.start(task)
        for answer in workers.ready():
            task, outcome = answer.finish()
            if outcome.status == "stopped":  # what is finished is kept; another cell would fare no better
                raise ConfigError(outcome.reason)
            schedule.settle(task, outcome)
            if outcome.status != "busy":
                report(task[0], outcome, schedule.progress)
            for cell in task:
                if cell.key in outcome.failures:
                    report(cell, Outcome("failed", reason=outcome.failures[cell.key]), schedule.progress)
