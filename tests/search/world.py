"""A search without trainings: jobs take no time but by a clock of their own, and accuracies are planted."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from benchmark.config.recipe import RecipeSpec
from benchmark.search.course import course
from benchmark.search.job import Job, write
from benchmark.search.result import Result
from benchmark.search.session import Candidate, Given, Session, Subject
from tests.tiny import spec

BUDGET = 240.0
PLANTED = {"first": 60.0, "second": 50.0, "third": 55.0, "best": 90.0, "fifth": 40.0, "sixth": 30.0}
JUDGES = 160  # a fifth of 800
HEAD = 3.0  # seconds


def named(name: str):
    """A model of that name."""
    return spec().model_copy(update={"name": name})


class World:
    """A training reaches top · (1 − 2^(−steps / 40)) of its model, less 20 points at any rate but 0.05.

    Steps count on where a training goes on from a trial. `head`: the accuracy of a head, of whichever model.
    """

    def __init__(self, top: dict[str, float], step: float = 0.1, head: float = 20.0, fails: tuple[str, ...] = ()):
        self.top, self.step, self.head, self.fails = top, step, head, fails
        self.cut = False  # whether a final training finds no time for a step
        self.now, self.jobs, self.dies_after = 1000.0, [], math.inf
        self.steps: dict[Path, float] = {}

    def __call__(self, jobs, tick) -> None:
        """Two workers, in turns: the clock is that of the one which is free."""
        free = [self.now, self.now]
        for job in jobs:
            free.sort()
            self.now = free[0]
            if job.due(self.now):
                self.do(job)
            free[0] = self.now
            if len(self.jobs) >= self.dies_after:
                raise KeyboardInterrupt
            tick()
        self.now = max(free)

    def do(self, job: Job) -> None:
        facts = {"head": self.headed, "compete": self.compete, "finish": self.finish}[job.kind](job)
        if job.model.name in self.fails and job.kind == "finish":
            facts = {"status": "failed", "reason": "loss became NaN"}
        if self.cut and job.kind == "finish":
            facts = {"status": "cut", "reason": "no time was left for a single step"}
        self.jobs.append(job)
        write(job.result, facts)

    def headed(self, job: Job) -> dict:
        self.now += HEAD
        return self.kept(job, self.head) | {"start": 0.5, "image": 0.001, "images": 720, "steps": 0, "epochs": 0.0}

    def compete(self, job: Job) -> dict:
        seconds = min(job.until - self.now, job.seconds)
        self.now += seconds
        steps = self.steps.get(job.begin, 0.0) + seconds / self.step
        self.steps[job.snapshot] = steps
        job.snapshot.write_bytes(b"weights")
        accuracy = self.accuracy(job, steps)
        right = (np.arange(JUDGES) < round(accuracy / 100 * JUDGES)).astype(int).tolist()
        facts = {"status": "done", "accuracy": 100 * float(np.mean(right)), "judges": JUDGES, "right": right}
        return facts | {"steps": int(seconds / self.step), "images_per_second": 32 / self.step}

    def finish(self, job: Job) -> dict:
        left = max(0.0, job.until - self.now - 2.0)  # of which two seconds are the test's
        self.now += left + 2.0
        steps = self.steps.get(job.begin, 0.0) + left / self.step
        facts = self.kept(job, self.accuracy(job, steps))
        return facts | {"steps": int(steps), "epochs": steps / 25, "late": not left, "resumed_at": 0.7}

    def accuracy(self, job: Job, steps: float) -> float:
        other = job.rate != 0.05
        return max(1.0, self.top[job.model.name] * (1 - 2 ** (-steps / 40)) - 20 * other)

    def kept(self, job: Job, accuracy: float) -> dict:
        job.checkpoint.parent.mkdir(exist_ok=True)
        job.checkpoint.write_text(f"{job.kind} of {job.model.name}")
        labels = np.array([0, 1, 0, 0])
        save_file({"outputs": np.eye(2, dtype=np.float32)[[0, 1, 1, 0]], "labels": labels}, job.outputs)
        test = {"oracle": accuracy, "images": 4}
        judged = accuracy if job.calibrate else None
        return {"status": "done", "test": test, "judged": judged, "aside": 80 * job.calibrate, "keeping": 0.1}

    def clock(self) -> float:
        return self.now

    def search(self, folder: Path, budget: float = BUDGET, look: bool = True, own: str = "search", **more) -> Result:
        subject = Subject("planted", folder, 800, 400, ["no", "yes"], False)
        candidates = {name: Candidate(named(name)) for name in self.top}
        given = Given(candidates, subject, RecipeSpec(), budget, folder / "out", folder / "out" / own, 2, 2, **more)
        return course(Session(given, self, self.clock), look)

    def of(self, kind: str) -> list[Job]:
        return [job for job in self.jobs if job.kind == kind]
