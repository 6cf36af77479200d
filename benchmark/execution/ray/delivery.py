"""A task that came back from a node: its cells are checked and written into the store while the worker goes on."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from benchmark.cells.plan import Cell
from benchmark.cells.store import Damaged
from benchmark.execution.local import outcome_of
from benchmark.execution.schedule import Outcome


@dataclass
class Delivery:
    """A task that came back, its claims, and its cells on their way into the store."""

    task: tuple[Cell, ...]
    outcome: Outcome
    claims: contextlib.ExitStack
    writing: list[Future[None]]
    cache: Path

    @property
    def written(self) -> bool:
        return all(one.done() for one in self.writing)

    def finish(self) -> tuple[tuple[Cell, ...], Outcome]:
        with self.claims:
            try:
                for one in self.writing:
                    one.result()
            except Damaged as error:
                return self.task, Outcome("failed", reason=f"what came back is damaged ({error.why})")
            except Exception as error:  # a full disk, for instance
                return self.task, outcome_of(error, cache=self.cache)
            return self.task, self.outcome
