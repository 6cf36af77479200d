"""One live display of a run, or one line per finished cell when the output is no terminal."""

from __future__ import annotations

import sys
from types import TracebackType

from benchmark.cells.plan import Cell
from benchmark.execution.schedule import Outcome, Progress
from benchmark.wording import duration


class Display:
    """Told of every outcome; use as a context manager around a run."""

    def __init__(self, total: int):
        self.total, self.live = total, sys.stderr.isatty()

    def __enter__(self) -> Display:
        if self.live and self.total:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            self.bar = Bar(
                TextColumn("[bold]{task.fields[stage]:<8}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[eta]}"),
                TextColumn("[dim]{task.description}"),
                console=Console(stderr=True),
            )
            self.task = self.bar.add_task("starting workers", total=self.total, stage="", eta="")
            self.bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, where: TracebackType | None) -> None:
        if self.live and self.total:
            self.bar.stop()

    def __call__(self, cell: Cell, outcome: Outcome, progress: Progress) -> None:
        eta = f"{duration(progress.eta_seconds)} left"
        if outcome.status in ("failed", "damaged", "lost", "died"):
            self.say(f"{outcome.status}: {cell.label}: {outcome.reason}")
        if self.live:
            self.bar.update(
                self.task,
                completed=progress.done,
                total=progress.total,
                stage=cell.stage,
                eta=eta,
                description=cell.label,
            )
        elif outcome.status in ("done", "present"):
            took = "by another run" if outcome.status == "present" else f"{outcome.seconds:.1f} s"
            # the methods on one probe are scored together: one line names the probe
            label = f"score {cell.label.partition(' ')[2]}" if cell.stage == "score" else cell.label
            self.say(f"[{progress.done}/{progress.total}] {label}  {took}, {eta}")

    def expect(self, what: str) -> None:
        """Name a long cell before it is done."""
        if self.live and self.total:
            self.bar.update(self.task, description=what)

    def say(self, line: str) -> None:
        """A line above the progress."""
        if self.live and self.total:
            self.bar.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)
