"""The course of a search: measure, three rungs, the final training, each within its time by one clock."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.config.model import ModelSpec
from benchmark.config.recipe import RecipeSpec
from benchmark.errors import ConfigError
from benchmark.files import record
from benchmark.reporting.pictures import confusion, reliability
from benchmark.search import calibration, trial
from benchmark.search.arithmetic import Arm, Expected, Speed, affordable, best_first, held_out, rates_of
from benchmark.search.prediction import probabilities
from benchmark.search.trial import Job
from benchmark.wording import duration

if TYPE_CHECKING:
    import numpy as np

FINAL = 0.5
"""Share of the budget that belongs to the final training at least."""
MEASURING = 0.1
"""Share of the budget after which no further model is measured."""
GROWTH = 1.5
"""A rung's steps are at least so many times the last one's."""
FEW = 3
"""Models of which none has to go before their rates are tried."""
LAST = 4
"""Trials in the last rung at most."""
SPARE = 4
"""How many times faster than measured a training by the clock may turn out."""
TO_DO = ("none", "running")
LOGS, RELIABILITY = ("log.txt", "log.jsonl"), "reliability.png"
PRODUCTS = ("model.safetensors", "confusion.csv", "confusion.png", RELIABILITY, *LOGS)
"""What a search leaves in its folder, and shows in `out`."""
WRITING, LONGEST_WRITING = 2.5, 10.0
"""Seconds kept for the checkpoint and the confusion matrix: 2 % of the budget, within these bounds."""


@dataclass(frozen=True)
class Result:
    """What a search ends with; accuracies in percent (multi-label: mean average precision), times in seconds."""

    model: str
    rate: float
    test_accuracy: float
    measure: str
    validation_accuracy: float | None
    epochs: float
    steps: int
    seconds: float
    budget_seconds: float
    checkpoint: Path
    confusion_matrix: Path
    confusion_picture: Path
    log: Path
    notes: tuple[str, ...]
    calibration: Mapping[str, Any] | None = None
    reliability_picture: Path | None = None


@dataclass(frozen=True)
class Candidate:
    """A ranked model with the folder of its weights where the harness trained them."""

    spec: ModelSpec
    weights: Path | None = None
    expected: Expected | None = None

    @property
    def shape(self) -> str:
        """What decides how fast it is."""
        spec = self.spec
        return repr((spec.arch, spec.args, spec.edits, spec.input_size, spec.crop_pct))


@dataclass(frozen=True)
class Rung:
    """Trials: their arms, the most steps of each, and the seconds of each where it is the clock that ends them."""

    arms: Sequence[Arm] = ()
    steps: Sequence[int] = ()
    seconds: float | None = None


@dataclass(frozen=True)
class Subject:
    """The data set that is searched for."""

    name: str
    pack: Path
    train: int
    test: int
    class_names: Sequence[str]
    multilabel: bool


def show(folder: Path, out: Path, names: Sequence[str] = PRODUCTS) -> None:
    """Files of a search's folder in `out`, in place of another search's: hard links, copies where there are none."""
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        part = out / f".{name}.{os.getpid()}"
        part.unlink(missing_ok=True)
        try:
            os.link(folder / name, part)
        except OSError:
            shutil.copy2(folder / name, part)
        part.replace(out / name)
        part.unlink(missing_ok=True)  # it stays where both are the same file already


class Search:
    """One search in its folder, by its clock. `run(jobs, tick)` does jobs and leaves their result files."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        subject: Subject,
        recipe: RecipeSpec,
        budget: float,
        out: Path,
        folder: Path,
        run: Callable[[Sequence[Job], Callable[[], None]], None],
        workers: int,
        threads: int = 1,
        clock: Callable[[], float] = lambda: time.monotonic(),  # looked up when it is asked
        begun: float | None = None,
        calibrate: bool = True,
    ):
        self.candidates = {c.spec.name: c for c in candidates}
        self.expected = {n: c.expected for n, c in self.candidates.items() if c.expected is not None}
        self.subject, self.recipe, self.budget, self.out, self.folder = subject, recipe, budget, out, folder
        self.run, self.workers, self.threads, self.clock = run, workers, threads, clock
        self.calibrate = calibrate
        folder.mkdir(parents=True, exist_ok=True)
        self.spent = folder / "clock.json"
        used = record(self.spent, "seconds")["seconds"] if self.spent.exists() else 0.0
        self.start = (clock() if begun is None else begun) - used
        self.deadline = self.start + budget
        self.writing = min(max(WRITING, 0.02 * budget), LONGEST_WRITING)
        self.notes: list[str] = []
        self.validation: dict[Arm, float] = {}
        self.judges = held_out(subject.train, recipe.validation)
        self.log = Log(folder, lambda: self.clock() - self.start, anew=not used)
        show(folder, out, LOGS)
        if used:
            self.log("resumed", f"goes on after {duration(used)} of {duration(budget)}", used=used)
        self.tick()

    def tick(self) -> None:
        """Write down the time used: a killed search has lost no more than what came after."""
        trial.write(self.spent, {"seconds": self.clock() - self.start})

    def search(self, look: bool = True) -> Result:
        """Spend the budget; without a look at others, all of it on the first candidate at its first rate."""
        self.speeds = self.measure()
        if not look:
            return self.final([self.first_arm(next(iter(self.speeds)))])
        standing = self.rungs(self.finalists())
        return self.final(standing)

    def first_arm(self, name: str) -> Arm:
        """A model at the rate to begin with."""
        return Arm(name, rates_of(self.candidates[name].spec, self.recipe)[0])

    # speeds

    def measure(self) -> dict[str, Speed]:
        """The speed of every candidate that could be measured in time, in the order of the ranking."""
        alike: dict[str, list[str]] = {}  # models of one architecture are as fast as each other: one of them will do
        for name, c in self.candidates.items():
            alike.setdefault(c.shape, []).append(name)
        place = {name: k for k, name in enumerate(self.candidates)}

        def measured(names: Sequence[str], until: float) -> dict[str, dict[str, Any]]:
            jobs = [self.job("measure", self.first_arm(n), 1, f"speed-{place[n]:02d}", until) for n in names]
            return dict(zip(names, self.do(jobs), strict=True))

        firsts = [names[0] for names in alike.values()]
        found = measured(firsts[: self.workers], self.deadline)  # these wait for the processes to be there
        end = self.clock() + MEASURING * self.budget
        found |= measured(firsts[self.workers :], end)
        while again := [names for names in alike.values() if len(names) > 1 and found[names[0]]["status"] == "failed"]:
            for names in again:  # one that cannot be trained says nothing of the others
                names.pop(0)
            found |= measured([names[0] for names in again], end)
        found |= {name: found[names[0]] for names in alike.values() for name in names}
        found = {name: found[name] for name in self.candidates}
        speeds = {n: Speed(f["start"], f["step"], f["image"]) for n, f in found.items() if f["status"] == "done"}
        for name, facts in found.items():
            if name in speeds:
                rate = facts["batch"] / facts["step"]
                self.log("speed", f"{name}: {rate:.0f} images/s", model=name, images_per_second=rate)
            else:
                self.log("out", f"{name}: {facts['status']}, {facts.get('reason', '')}", model=name)
        if not speeds:
            reasons = "; ".join(f"{n}: {f.get('reason', f['status'])}" for n, f in found.items())
            raise ConfigError(
                f"a ranked model must be trainable within the budget of {duration(self.budget)}. Got none: {reasons}. "
                "Give more time, or other models."
            )
        return speeds

    def reserve(self, name: str) -> float:
        """Seconds kept for the test, with the images kept aside, and for writing."""
        looked_at = self.subject.test + (calibration.aside(self.subject.train) if self.calibrate else 0)
        return self.writing + trial.TEST_MARGIN * looked_at * self.speeds[name].image

    def needed(self, name: str) -> float:
        """Seconds from the start of a fine-tuning of the recipe's length to its files."""
        speed = self.speeds[name]
        return speed.start + self.recipe.steps * speed.step + self.reserve(name)

    def finalists(self) -> list[str]:
        """The models whose final training would be a fine-tuning, at least as long as the recipe's.

        Decided once: a search that goes on has less time, and what it goes on with is one of these.
        """
        file, before = self.folder / "finalists.json", len(self.notes)
        if file.exists():
            kept = record(file, "models", "notes")
            self.notes += kept["notes"]
            return kept["models"]
        fit = self._fast_enough()
        trial.write(file, {"models": fit, "notes": self.notes[before:]})
        return fit

    def _fast_enough(self) -> list[str]:
        fit = [name for name in self.speeds if self.needed(name) <= FINAL * self.budget]
        if fit:
            for name in (n for n in self.speeds if n not in fit):
                self.log("out", f"{name}: too slow, {duration(self.needed(name))} for a fine-tuning", model=name)
            return fit
        left = self.deadline - self.clock()
        fit = [name for name in self.speeds if self.needed(name) <= left]
        if fit:
            self.note(f"the budget of {duration(self.budget)} is enough for one fine-tuning and no search")
            return fit[:1]
        fastest = min(self.speeds, key=self.needed)
        need, gone = self.needed(fastest), self.clock() - self.start
        if need - (self.recipe.steps - 1) * self.speeds[fastest].step > left:
            raise ConfigError(
                f"budget must be enough for one fine-tuning. Got {duration(self.budget)}; {fastest}, the fastest, "
                f"needs about {duration(gone + need)}. Give that time, or smaller models."
            )
        self.note(
            f"the budget of {duration(self.budget)} is too small for one fine-tuning of {self.recipe.steps} steps: "
            f"{fastest}, the fastest, needs about {duration(gone + need)}; it was trained as far as it went"
        )
        return [fastest]

    # rungs

    def rungs(self, names: Sequence[str]) -> list[Arm]:
        """The arms in the order in which they deserve the final training."""
        standing = [self.first_arm(name) for name in names]
        end = self.deadline - FINAL * self.budget - max(self.reserve(name) for name in names)
        least = max(1, self.recipe.steps // 3)
        for number, planned in enumerate((self.models, self.rates, self.last), 1):
            rung = self.kept_plan(number) or planned(standing, end - self.clock(), least)
            trial.write(self.plan_file(number), asdict(rung))
            if not rung.arms:
                continue
            jobs = [
                self.job("compete", arm, n, f"rung{number}-{k:02d}", end, rung=number, seconds=rung.seconds)
                for k, (arm, n) in enumerate(zip(rung.arms, rung.steps, strict=True))
            ]
            new = any(self.found(j)["status"] in TO_DO for j in jobs)
            if new:
                each = f"{rung.seconds:.0f} s" if rung.seconds else f"{rung.steps[0]} steps"
                self.log("rung", f"rung {number}: {len(jobs)} trials of {each}", number=number)
            found = self.do(jobs)
            self.learn_speeds(number, rung.arms, found, new)
            order = best_first(rung.arms, found, self.expected, self.judges)
            failed = [a for a, f in zip(rung.arms, found, strict=True) if f["status"] == "failed"]
            standing = order + [a for a in standing if a not in order + failed]
            least = math.ceil(GROWTH * min(rung.steps))
        return standing

    def plan_file(self, number: int) -> Path:
        return self.folder / f"rung-{number}.json"

    def kept_plan(self, number: int) -> Rung | None:
        """The plan of a rung that was begun before: a resumed search goes on with it."""
        if not self.plan_file(number).exists():
            return None
        kept = record(self.plan_file(number), "arms", "steps", "seconds")
        return Rung([Arm(**a) for a in kept["arms"]], kept["steps"], kept["seconds"])

    def models(self, standing: Sequence[Arm], left: float, least: int) -> Rung:
        """As many of the models as there is time for, at one rate; the fewer, the less time. A few can all stay."""
        for n in range(len(standing), FEW, -1):
            rung = self.equal_steps(standing[:n], min(0.1 + 0.02 * n, 0.3) * left)
            if rung.steps[0] >= least:
                return replace(rung, steps=[min(rung.steps[0], max(least, self.recipe.steps))] * n)
        return Rung()

    def rates(self, standing: Sequence[Arm], left: float, least: int) -> Rung:
        """The best third of the models, a few at least, at their rate, then at the next nearest of each, and so on."""
        kept = list(standing[: max(FEW, math.ceil(len(standing) / 3))])
        others = [rates_of(self.candidates[a.model].spec, self.recipe)[1:] for a in kept]
        turns = range(max(map(len, others), default=0))
        wanted = kept + [Arm(a.model, r[k]) for k in turns for a, r in zip(kept, others, strict=True) if k < len(r)]
        for n in range(len(wanted), 1, -1):
            rung = self.equal_steps(wanted[:n], 0.5 * left)
            if rung.steps[0] >= least:
                return rung
        return Rung()

    def last(self, standing: Sequence[Arm], left: float, least: int) -> Rung:
        """The best few, each with the same time by the clock: what a model makes of it is what the final asks."""
        for n in range(min(len(standing), LAST, max(2, self.workers)), 1, -1):
            each = 0.9 * left / math.ceil(n / self.workers)
            steps = [self.steps_in(a, each) for a in standing[:n]]
            if min(steps) >= least:
                return Rung(list(standing[:n]), [SPARE * s for s in steps], each)
        return Rung()

    def equal_steps(self, arms: Sequence[Arm], seconds: float) -> Rung:
        speeds = [self.speeds[a.model] for a in arms]
        return Rung(list(arms), [affordable(speeds, self.judges, seconds, self.workers)] * len(arms))

    def steps_in(self, arm: Arm, seconds: float) -> int:
        speed = self.speeds[arm.model]
        return max(0, int((seconds - speed.fixed(self.judges)) / speed.step))

    def learn_speeds(self, number: int, arms: Sequence[Arm], found: Sequence[Mapping[str, Any]], say: bool) -> None:
        """Learn from a rung how fast the models are, and log it."""
        for arm, facts in zip(arms, found, strict=True):
            status, curve = facts["status"], facts.get("curve", [])
            if curve and status != "failed":
                self.validation[arm] = curve[-1]
                self.speeds[arm.model] = Speed(facts["start"], facts["step"], facts["image"])
            if say:
                shown = " ".join(f"{v:.1f}" for v in curve) or "no look"
                why = "" if status == "done" else f"; {status} {facts.get('reason', '')}".rstrip()
                facts = {"rung": number, "status": status, "curve": curve, "steps": facts.get("steps")}
                self.log("trial", f"{arm.model} at {arm.rate:g}: {shown}{why}", **asdict(arm) | facts)

    # the final training

    def final(self, standing: Sequence[Arm]) -> Result:
        """Train the best arm on everything until time is up; where that fails, the next one with what is left.

        Where time is up and a killed training left its weights, they are tested and kept as they are.
        """
        threading.Thread(target=confusion.ready, daemon=True).start()
        failed = []
        for k, arm in enumerate(standing):
            seconds = max(0.0, self.deadline - self.reserve(arm.model) - self.clock())
            steps = SPARE * max(1, int(seconds / self.speeds[arm.model].step))
            job = self.job("finish", arm, steps, f"final-{k:02d}", self.deadline - self.writing)
            if self.found(job)["status"] == "done" and not job.checkpoint.exists():
                job.result.unlink()  # its model was deleted
            if self.found(job)["status"] in TO_DO:
                if not job.due(self.clock()):
                    continue
                self.log("final", f"final training of {arm.model} at {arm.rate:g}: {seconds:.0f} s", **asdict(arm))
            (facts,) = self.do([job])
            if facts["status"] == "done":
                return self.result(arm, facts, job)
            said = f"the final training of {arm.model} at {arm.rate:g} failed: {facts.get('reason', 'no time')}"
            self.note(said)
            failed += [said] if facts["status"] == "failed" else []
        if failed:
            raise ConfigError(f"one of the ranked models must be trainable. Got none: {'; '.join(failed)}.")
        raise ConfigError(
            f"budget must be enough for a training. Got {duration(self.budget)}, used up before anything was trained. "
            f"Give more time, or delete {self.folder.name} in {self.folder.parent} to begin anew."
        )

    def result(self, arm: Arm, facts: Mapping[str, Any], job: Job) -> Result:
        from safetensors.numpy import load_file

        measure = "map" if self.subject.multilabel else "accuracy"
        arrays = load_file(job.outputs)
        table, picture = self.folder / "confusion.csv", self.folder / "confusion.png"
        title = f"{self.subject.name}: {arm.model}, {facts['test']['oracle']:.1f} % ({measure})"
        counts = confusion.count(arrays["outputs"], arrays["labels"])
        confusion.write(counts, self.subject.class_names, self.subject.multilabel, table, picture, title)
        calibrated = facts.get("calibration")
        self.draw_reliability(arm, arrays, calibrated)
        seconds = self.clock() - self.start
        if facts.get("late"):
            share = f"{100 * facts['resumed_at']:.0f} %"
            self.note(f"time was over when the search went on: {arm.model} is kept as it was after {share} of its time")
        result = Result(
            model=arm.model,
            rate=arm.rate,
            test_accuracy=facts["test"]["oracle"],
            measure=measure,
            validation_accuracy=self.validation.get(arm),
            epochs=facts["epochs"],
            steps=facts["steps"],
            seconds=seconds,
            budget_seconds=self.budget,
            checkpoint=self.out / job.checkpoint.name,
            confusion_matrix=self.out / table.name,
            confusion_picture=self.out / picture.name,
            log=self.out / self.log.text.name,
            notes=tuple(self.notes),
            calibration=calibrated,
            reliability_picture=self.out / RELIABILITY,
        )
        plain = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(result).items()}
        shown = f"{arm.model}: {result.test_accuracy:.1f} % on the test split after {facts['epochs']:.1f} epochs"
        self.log("result", f"{shown}; {seconds:.1f} s of {self.budget:g} s", **plain)
        show(self.folder, self.out)
        trial.write(self.folder / "result.json", plain)
        self.tick()
        return result

    def draw_reliability(
        self, arm: Arm, arrays: Mapping[str, np.ndarray], calibrated: Mapping[str, Any] | None
    ) -> None:
        """The reliability diagram of the test images, without the temperature and with it."""
        outputs, labels = arrays["outputs"], arrays["labels"]
        curves = {}
        for name, by in {"as trained": 1.0, "calibrated": (calibrated or {}).get("temperature", 1.0)}.items():
            shares = probabilities(outputs / by, self.subject.multilabel)
            error = 100 * calibration.expected_error(shares, labels)
            curves[f"{name}: expected error {error:.1f} %"] = calibration.reliability(shares, labels)
        title = f"{self.subject.name}: {arm.model}, {len(labels)} test images"
        reliability.write(curves, self.folder / RELIABILITY, title)

    # what they share

    def job(self, kind: str, arm: Arm, steps: int, name: str, until: float, **more: Any) -> Job:
        candidate = self.candidates[arm.model]
        if kind == "finish":
            history = {"validation": self.validation.get(arm), "budget_seconds": self.budget, "data": self.subject.name}
            more = {"threads": self.threads, "keep": self.folder / "model.safetensors", "history": history}
            more |= {"calibrate": self.calibrate}
        return Job(
            kind,
            candidate.spec,
            candidate.weights,
            self.subject.pack,
            self.recipe,
            arm.rate,
            steps,
            until,
            self.folder / f"{name}.json",
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

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.log("note", text)


class Log:
    """Events of a search: a line of text and a line of JSON each, with the seconds used; to the terminal as well."""

    def __init__(self, folder: Path, used: Callable[[], float], anew: bool):
        (self.text, self.lines), self.used = (folder / name for name in LOGS), used
        for file in (self.text, self.lines):
            file.open("w" if anew else "a", encoding="utf-8").close()

    def __call__(self, event: str, text: str, **facts: Any) -> None:
        seconds = self.used()
        line = f"[{seconds:7.1f} s] {text}"
        print(line, file=sys.stderr, flush=True)
        with self.text.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        with self.lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at": round(seconds, 2), "event": event, "text": text} | facts) + "\n")
