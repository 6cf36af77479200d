"""How fast the candidates are: measured at first, learned from every trial, and what a fine-tuning needs by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmark.errors import ConfigError
from benchmark.search import calibration
from benchmark.search.arithmetic import Speed
from benchmark.search.final import TEST_MARGIN
from benchmark.search.session import Session
from benchmark.wording import duration

MEASURING = 0.1
"""Share of the budget after which no further model is measured."""


class Speeds:
    """The speed of every candidate that could be measured in time, in the order of the ranking."""

    def __init__(self, session: Session):
        self.session, self.given = session, session.given
        self.of = self.measure()

    def measure(self) -> dict[str, Speed]:
        """The speed of every candidate that could be measured in time, in the order of the ranking."""
        session, given = self.session, self.given
        alike: dict[str, list[str]] = {}  # models of one architecture are as fast as each other: one of them will do
        for name, c in given.candidates.items():
            alike.setdefault(c.shape, []).append(name)
        place = {name: k for k, name in enumerate(given.candidates)}

        def measured(names: Sequence[str], until: float) -> dict[str, dict[str, Any]]:
            jobs = [session.job("measure", given.first_arm(n), 1, f"speed-{place[n]:02d}", until) for n in names]
            return dict(zip(names, session.do(jobs), strict=True))

        firsts = [names[0] for names in alike.values()]
        found = measured(firsts[: given.workers], session.deadline)  # these wait for the processes to be there
        end = session.clock() + MEASURING * session.budget
        found |= measured(firsts[given.workers :], end)
        while again := [names for names in alike.values() if len(names) > 1 and found[names[0]]["status"] == "failed"]:
            for names in again:  # one that cannot be trained says nothing of the others
                names.pop(0)
            found |= measured([names[0] for names in again], end)
        found |= {name: found[names[0]] for names in alike.values() for name in names}
        found = {name: found[name] for name in given.candidates}
        speeds = {n: Speed(f["start"], f["step"], f["image"]) for n, f in found.items() if f["status"] == "done"}
        for name, facts in found.items():
            if name in speeds:
                rate = facts["batch"] / facts["step"]
                session.log("speed", f"{name}: {rate:.0f} images/s", model=name, images_per_second=rate)
            else:
                session.log("out", f"{name}: {facts['status']}, {facts.get('reason', '')}", model=name)
        if not speeds:
            reasons = "; ".join(f"{n}: {f.get('reason', f['status'])}" for n, f in found.items())
            raise ConfigError(
                f"a ranked model must be trainable within the budget of {duration(session.budget)}. Got none: "
                f"{reasons}. Give more time, or other models."
            )
        return speeds

    def reserve(self, name: str) -> float:
        """Seconds kept for the test, with the images kept aside, and for writing."""
        given = self.given
        looked_at = given.subject.test + (calibration.aside(given.subject.train) if given.calibrate else 0)
        return self.session.writing + TEST_MARGIN * looked_at * self.of[name].image

    def needed(self, name: str) -> float:
        """Seconds from the start of a fine-tuning of the recipe's length to its files."""
        speed = self.of[name]
        return speed.start + self.given.recipe.steps * speed.step + self.reserve(name)
