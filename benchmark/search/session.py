"""One search: what it is given, its folder and its clock, and the jobs that are done for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.config.model import ModelSpec
from benchmark.config.recipe import RecipeSpec
from benchmark.files import record
from benchmark.search.arithmetic import Arm, Expected, held_out, options, recipe_of
from benchmark.search.job import Job, write
from benchmark.search.result import LOGS, Log, show
from benchmark.wording import duration

WRITING, LONGEST_WRITING = 2.5, 10.0
"""Seconds kept for the checkpoint and the confusion matrix: 2 % of the budget, within these bounds."""
TO_DO = ("none", "running")
Run = Callable[[Sequence[Job], Callable[[], None]], None]
"""Does jobs and leaves their result files; calls its second argument from time to time."""


@dataclass(frozen=True)
class Candidate:
    """A ranked model with the folder of its weights where the harness trained them, and what the ranking says of it.

    probed  the folder of its probe, where there is one
    """

    spec: ModelSpec
    weights: Path | None = None
    expected: Expected | None = None
    probed: Path | None = None


@dataclass(frozen=True)
class Subject:
    """The data set that is searched for."""

    name: str
    pack: Path
    train: int
    test: int
    class_names: Sequence[str]
    multilabel: bool


@dataclass(frozen=True)
class Given:
    """What a search starts from; the budget in seconds.

    candidates   by name, the best ranked first; `sure`: whether the ranking is sure of it
    out, folder  where its products are shown, and where it keeps all that it makes
    workers      jobs at once; `threads`: of a job that is alone
    calibrate    whether images are kept aside that judge a final model and calibrate its probabilities
    """

    candidates: Mapping[str, Candidate]
    subject: Subject
    recipe: RecipeSpec
    budget: float
    out: Path
    folder: Path
    workers: int = 1
    threads: int = 1
    calibrate: bool = True
    sure: bool = False

    @property
    def judges(self) -> int:
        """Images that judge a trial."""
        return held_out(self.subject.train, self.recipe.validation)

    @property
    def expected(self) -> dict[str, Expected]:
        """What the ranking says of models beforehand."""
        return {name: c.expected for name, c in self.candidates.items() if c.expected is not None}

    def options(self, name: str) -> list[Arm]:
        """How a model may be trained, the likeliest first."""
        return options(self.candidates[name].spec, self.recipe)


class Session:
    """A search in its folder, by its clock: a killed one goes on with what was finished and the time that is left."""

    def __init__(
        self,
        given: Given,
        run: Run,
        clock: Callable[[], float] = lambda: time.monotonic(),  # looked up when it is asked
        begun: float | None = None,
    ):
        self.given, self.run, self.clock = given, run, clock
        self.folder, self.budget = given.folder, given.budget
        self.folder.mkdir(parents=True, exist_ok=True)
        self.spent = self.folder / "clock.json"
        used = record(self.spent, "seconds")["seconds"] if self.spent.exists() else 0.0
        self.start = (clock() if begun is None else begun) - used
        self.deadline = self.start + self.budget
        self.writing = min(max(WRITING, 0.02 * self.budget), LONGEST_WRITING)
        self.notes: list[str] = []
        self.validation: dict[Arm, float] = {}
        self.trained: dict[Arm, Path] = {}
        self.tried: list[dict[str, Any]] = []
        self.log = Log(self.folder, lambda: self.used, anew=not used)
        show(self.folder, given.out, LOGS)
        if used:
            self.log("resumed", f"goes on after {duration(used)} of {duration(self.budget)}", used=used)
        self.tick()

    @property
    def used(self) -> float:
        """Seconds since the search began."""
        return self.clock() - self.start

    @property
    def left(self) -> float:
        """Seconds to the deadline."""
        return self.deadline - self.clock()

    def tick(self) -> None:
        """Write down the time used: a killed search has lost no more than what came after."""
        write(self.spent, {"seconds": self.used})

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.log("note", text)

    def job(self, kind: str, arm: Arm, name: str, until: float, **more: Any) -> Job:
        """A job of a model; its result is the file of that name in the folder."""
        given, candidate = self.given, self.given.candidates[arm.model]
        if kind != "compete":
            history = {"budget_seconds": self.budget, "data": given.subject.name}
            history |= {"validation": self.validation[arm]} if arm in self.validation else {}
            more |= {"keep": self.folder / kind / "model.safetensors", "history": history}
            more |= {"calibrate": given.calibrate}
        if kind == "head":
            more |= {"probed": candidate.probed}
        return Job(
            kind=kind,
            model=candidate.spec,
            weights=candidate.weights,
            pack=given.subject.pack,
            recipe=recipe_of(given.recipe, candidate.spec, arm.optimiser),
            rate=arm.rate,
            until=until,
            result=self.folder / f"{name}.json",
            threads=given.threads if kind == "finish" else 1,
            **more,
        )

    def do(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """The results of jobs; those that are there already are not done again."""
        self.run([j for j in jobs if self.found(j)["status"] in TO_DO], self.tick)
        self.tick()
        return [f if f["status"] != "none" else {"status": "cut", "reason": "no time"} for f in map(self.found, jobs)]

    @staticmethod
    def found(job: Job) -> dict[str, Any]:
        return record(job.result, "status") if job.result.exists() else {"status": "none"}
