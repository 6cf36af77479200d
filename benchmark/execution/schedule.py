"""Which cell comes next: what is ready, what failed, what another run is computing. Computes nothing itself."""

from __future__ import annotations

import heapq
import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmark.cells.plan import Cell
from benchmark.cells.store import STAGES, Store

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


class Worker(Protocol):
    """What computes one task at a time, wherever it is."""

    stages: Collection[str]

    @property
    def idle(self) -> bool: ...

    def start(self, task: tuple[Cell, ...]) -> None: ...


class Answer(Protocol):
    """A task that came back."""

    def finish(self) -> tuple[tuple[Cell, ...], Outcome]: ...


class Workers(Protocol):
    """All workers of a run."""

    def __iter__(self) -> Iterator[Worker]: ...

    def ready(self) -> Sequence[Answer]:
        """What has come back, after a short while at most."""
        ...


def _nothing() -> defaultdict[str, float]:
    return defaultdict(float)


@dataclass
class Progress:
    """Where a run stands; the estimate corrects itself by what cells of each stage have taken so far.

    remaining, spent, guessed  seconds by stage: estimated of what is left, taken by what is done, estimated of that
    """

    total: int
    workers: int
    done: int = 0
    remaining: defaultdict[str, float] = field(default_factory=_nothing)
    spent: defaultdict[str, float] = field(default_factory=_nothing)
    guessed: defaultdict[str, float] = field(default_factory=_nothing)

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
            together: tuple[Cell, ...] = (cell,)
            if cell.stage == "score" and cell.key not in self.alone:
                together = tuple(
                    c
                    for c in self.wanted.values()
                    if c.stage == "score"
                    and c.work["scored"] == cell.work["scored"]
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
        if outcome.damaged is not None:
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
