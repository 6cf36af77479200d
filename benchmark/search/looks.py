"""Looking at candidates: rounds of trials of equal time, from which the winner's training goes on.

A trial is a whole fine-tuning by the clock. So what a model reaches within a time is what is ranked, no speed need be
known beforehand, and a slow machine shortens trainings, not the budget. The first round compares models, rates and
optimisers; those that are behind the leader by no more than noise go on in the second, from where they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.files import record
from benchmark.search.arithmetic import Arm, Seen, best_first, in_time, in_turns, undecided
from benchmark.search.job import Job, write
from benchmark.search.session import TO_DO, Session
from benchmark.search.trainee import MARGIN

NONE_UP_TO = 90.0
"""Seconds of a budget in which nothing is looked at."""
SHORT, LONG = (600.0, 0.2), 0.3
"""Share of a budget that is spent looking: of one up to so many seconds, and of longer ones."""
SURE_FROM = 300.0
"""Seconds of a budget from which on a model that the ranking is sure of has a choice of rates."""
FIRST = 0.6
"""The first round's share of the looking."""
MOST_TRIALS = 16
"""Trials of the first round at most."""
LEAST = 0.25
"""Share of the recipe's steps below which a trial says little."""
TRAINING = 3
"""Evaluations of an image that training on it takes as long as: forward, and twice that backward."""
UNKNOWN = 10.0
"""Seconds of a trial at least where nothing is known of the first model's speed."""


@dataclass(frozen=True)
class Round:
    """Trials, the seconds of each, and when the last of them must be over, in seconds used."""

    arms: Sequence[Arm]
    seconds: float
    ends: float


def looking(budget: float) -> float:
    """Seconds of a budget that are spent looking."""
    if budget <= NONE_UP_TO:
        return 0.0
    return (SHORT[1] if budget <= SHORT[0] else LONG) * budget


class Looks:
    """The rounds of a session. `head`: what is known of the first model's speed, from its head."""

    def __init__(self, session: Session, head: Mapping[str, Any] | None):
        self.session, self.given = session, session.given
        self.each = self.least(head)
        self.ends = session.used + looking(session.budget)

    def least(self, head: Mapping[str, Any] | None) -> float:
        """Seconds of a trial of the first model that has steps enough to say something."""
        if not head:
            return UNKNOWN
        recipe, image = self.given.recipe, float(head["image"])
        images = TRAINING * LEAST * recipe.steps * recipe.batch + MARGIN * self.given.judges
        return float(head["start"]) + images * image

    def standing(self) -> list[Arm]:
        """Arms in the order in which they deserve the final training; those of models not looked at come last."""
        firsts = [self.given.options(name)[0] for name in self.given.candidates]
        order: list[Arm] = []
        arms = self.candidates()
        for number, share in enumerate((FIRST, 1.0), 1):
            plan = self.begun(number) or self.planned(arms, share)
            write(self.file(number), asdict(plan))
            if len(plan.arms) < 2:
                break
            seen = self.round(number, plan)
            order = best_first(seen, self.given.expected) + [a for a in order if a not in seen]
            arms = undecided(seen, [a for a in order if a in seen]) if seen else []
            self.forget(arms)
        return order + [a for a in firsts if a not in order]

    def candidates(self) -> list[Arm]:
        """The trials that could be worth their time, the first ones most."""
        if self.given.sure:
            first = next(iter(self.given.candidates))
            return self.given.options(first) if self.session.budget >= SURE_FROM else []
        return in_turns([self.given.options(name) for name in self.given.candidates])[:MOST_TRIALS]

    def planned(self, arms: Sequence[Arm], share: float) -> Round:
        """As many of the arms as have time enough in this share of what is left for looking."""
        left = share * (self.ends - self.session.used)
        n = min(len(arms), in_time(left, self.each, self.given.workers))
        turns = max(1, -(-n // self.given.workers))
        return Round(list(arms[:n]), left / turns, self.session.used + left)

    def round(self, number: int, plan: Round) -> dict[Arm, Seen]:
        """Do a round; what each trial showed that came to an end."""
        until = self.session.start + plan.ends
        jobs: dict[Arm, Job] = {}
        for k, arm in enumerate(plan.arms):
            begin = self.session.trained.get(arm)
            name = f"round{number}-{k:02d}"
            jobs[arm] = self.session.job("compete", arm, name, until, seconds=plan.seconds, begin=begin)
        new = any(self.session.found(job)["status"] in TO_DO for job in jobs.values())
        if new:
            said = f"round {number}: {len(jobs)} trials of {plan.seconds:.1f} s"
            self.session.log("round", said, number=number, trials=len(jobs), seconds=plan.seconds)
        found = dict(zip(jobs, self.session.do(list(jobs.values())), strict=True))
        for arm, facts in found.items():
            self.learn(number, arm, jobs[arm], facts, new)
        done = {arm: f for arm, f in found.items() if f["status"] == "done"}
        return {arm: Seen(f["accuracy"], f["judges"], f["right"]) for arm, f in done.items()}

    def learn(self, number: int, arm: Arm, job: Job, facts: Mapping[str, Any], say: bool) -> None:
        """Remember what a trial showed and where its weights are, and log it."""
        done = facts["status"] == "done"
        if done:
            self.session.validation[arm] = facts["accuracy"]
            if job.snapshot.exists():
                self.session.trained[arm] = job.snapshot
        row = {"what": str(arm), **asdict(arm), "round": number, "status": facts["status"]}
        row |= {"accuracy": facts["accuracy"] if done else None, "images": facts.get("judges")}
        self.session.tried.append(row)
        if say:
            speed = f"{facts['steps']} steps, {facts['images_per_second']:.0f} images/s" if done else ""
            shown = f"{facts['accuracy']:.1f} ({speed})" if done else f"{facts['status']} {facts.get('reason', '')}"
            self.session.log("trial", f"{arm}: {shown.rstrip()}", **row)

    def forget(self, arms: Sequence[Arm]) -> None:
        """Delete the weights of trials that nothing goes on from."""
        kept = {self.session.trained[arm] for arm in arms if arm in self.session.trained}
        for file in set(self.session.folder.glob("round*-snapshot.safetensors")) - kept:
            file.unlink()
        self.session.trained = {arm: file for arm, file in self.session.trained.items() if file in kept}

    def file(self, number: int) -> Path:
        return self.session.folder / f"round-{number}.json"

    def begun(self, number: int) -> Round | None:
        """The plan of a round that was begun before: a resumed search goes on with it."""
        if not self.file(number).exists():
            return None
        kept = record(self.file(number), "arms", "seconds", "ends")
        return Round([Arm(**a) for a in kept["arms"]], kept["seconds"], kept["ends"])
