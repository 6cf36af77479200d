"""The rungs of a search: who competes in each, for how long, and in which order they leave it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.files import record
from benchmark.search.arithmetic import Arm, Speed, affordable, best_first, rates_of
from benchmark.search.finalists import FINAL
from benchmark.search.job import write
from benchmark.search.session import TO_DO, Session
from benchmark.search.speeds import Speeds

GROWTH = 1.5
"""A rung's steps are at least so many times the last one's."""
FEW = 3
"""Models of which none has to go before their rates are tried."""
LAST = 4
"""Trials in the last rung at most."""
SPARE = 4
"""How many times faster than measured a training by the clock may turn out."""


@dataclass(frozen=True)
class Rung:
    """Trials: their arms, the most steps of each, and the seconds of each where it is the clock that ends them."""

    arms: Sequence[Arm] = ()
    steps: Sequence[int] = ()
    seconds: float | None = None


class Rungs:
    """Three rungs of trials within a session."""

    def __init__(self, session: Session, speeds: Speeds):
        self.session, self.given, self.speeds = session, session.given, speeds
        candidates = session.given.candidates.items()
        self.expected = {n: c.expected for n, c in candidates if c.expected is not None}

    def standing(self, names: Sequence[str]) -> list[Arm]:
        """The arms in the order in which they deserve the final training."""
        standing = [self.given.first_arm(name) for name in names]
        end = self.session.deadline - FINAL * self.session.budget - max(self.speeds.reserve(name) for name in names)
        least = max(1, self.given.recipe.steps // 3)
        for number, planned in enumerate((self.models, self.rates, self.last), 1):
            rung = self.kept_plan(number) or planned(standing, end - self.session.clock(), least)
            write(self.plan_file(number), asdict(rung))
            if not rung.arms:
                continue
            jobs = [
                self.session.job("compete", arm, n, f"rung{number}-{k:02d}", end, rung=number, seconds=rung.seconds)
                for k, (arm, n) in enumerate(zip(rung.arms, rung.steps, strict=True))
            ]
            new = any(self.session.found(j)["status"] in TO_DO for j in jobs)
            if new:
                each = f"{rung.seconds:.0f} s" if rung.seconds else f"{rung.steps[0]} steps"
                self.session.log("rung", f"rung {number}: {len(jobs)} trials of {each}", number=number)
            found = self.session.do(jobs)
            self.learn_speeds(number, rung.arms, found, new)
            order = best_first(rung.arms, found, self.expected, self.given.judges)
            failed = [a for a, f in zip(rung.arms, found, strict=True) if f["status"] == "failed"]
            standing = order + [a for a in standing if a not in order + failed]
            least = math.ceil(GROWTH * min(rung.steps))
        return standing

    def plan_file(self, number: int) -> Path:
        return self.session.folder / f"rung-{number}.json"

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
                return replace(rung, steps=[min(rung.steps[0], max(least, self.given.recipe.steps))] * n)
        return Rung()

    def rates(self, standing: Sequence[Arm], left: float, least: int) -> Rung:
        """The best third of the models, a few at least, at their rate, then at the next nearest of each, and so on."""
        kept = list(standing[: max(FEW, math.ceil(len(standing) / 3))])
        others = [rates_of(self.given.candidates[a.model].spec, self.given.recipe)[1:] for a in kept]
        turns = range(max(map(len, others), default=0))
        wanted = kept + [Arm(a.model, r[k]) for k in turns for a, r in zip(kept, others, strict=True) if k < len(r)]
        for n in range(len(wanted), 1, -1):
            rung = self.equal_steps(wanted[:n], 0.5 * left)
            if rung.steps[0] >= least:
                return rung
        return Rung()

    def last(self, standing: Sequence[Arm], left: float, least: int) -> Rung:
        """The best few, each with the same time by the clock: what a model makes of it is what the final asks."""
        for n in range(min(len(standing), LAST, max(2, self.given.workers)), 1, -1):
            each = 0.9 * left / math.ceil(n / self.given.workers)
            steps = [self.steps_in(a, each) for a in standing[:n]]
            if min(steps) >= least:
                return Rung(list(standing[:n]), [SPARE * s for s in steps], each)
        return Rung()

    def equal_steps(self, arms: Sequence[Arm], seconds: float) -> Rung:
        speeds = [self.speeds.of[a.model] for a in arms]
        return Rung(list(arms), [affordable(speeds, self.given.judges, seconds, self.given.workers)] * len(arms))

    def steps_in(self, arm: Arm, seconds: float) -> int:
        speed = self.speeds.of[arm.model]
        return max(0, int((seconds - speed.fixed(self.given.judges)) / speed.step))

    def learn_speeds(self, number: int, arms: Sequence[Arm], found: Sequence[Mapping[str, Any]], say: bool) -> None:
        """Learn from a rung how fast the models are, and log it."""
        for arm, facts in zip(arms, found, strict=True):
            status, curve = facts["status"], facts.get("curve", [])
            if curve and status != "failed":
                self.session.validation[arm] = curve[-1]
                self.speeds.of[arm.model] = Speed(facts["start"], facts["step"], facts["image"])
            if say:
                shown = " ".join(f"{v:.1f}" for v in curve) or "no look"
                why = "" if status == "done" else f"; {status} {facts.get('reason', '')}".rstrip()
                facts = {"rung": number, "status": status, "curve": curve, "steps": facts.get("steps")}
                self.session.log("trial", f"{arm.model} at {arm.rate:g}: {shown}{why}", **asdict(arm) | facts)
