"""What a search makes first: a head on frozen features, so that there is a model whatever happens afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.search import products
from benchmark.search.arithmetic import Arm
from benchmark.search.job import Job
from benchmark.search.result import FILES, show
from benchmark.search.session import TO_DO, Session

SHARE, LONGEST = 0.1, 60.0
"""Share of the budget, and seconds, that the features of training images take at most."""
TRIED = 3
"""Models whose head is tried where those before it failed."""
SLOWER = 1.5
"""How much longer than the head's files the winner's may take to write."""
MOST = 0.25
"""Share of the budget that is kept for writing at most."""


@dataclass(frozen=True)
class Baseline:
    """The head of a model, finished and shown."""

    arm: Arm
    job: Job
    facts: Mapping[str, Any]

    @property
    def what(self) -> str:
        return f"{self.arm.model}, head only"


def baseline(session: Session) -> Baseline | None:
    """The head of the first model that takes one; None where none did.

    Its files are in the output from then on. How long they took to write, on the machine as it is now, is what the
    session keeps for the winner's.
    """
    seconds = min(SHARE * session.budget, LONGEST)
    for k, name in enumerate(list(session.given.candidates)[:TRIED]):
        arm = Arm(name, 0.0)
        job = session.job("head", arm, f"head-{k:02d}", session.deadline - session.writing, seconds=seconds)
        if session.found(job)["status"] == "done" and not job.checkpoint.exists():
            job.result.unlink()  # its model was deleted
        new = session.found(job)["status"] in TO_DO
        (facts,) = session.do([job])
        if facts["status"] == "done":
            made = Baseline(arm, job, facts)
            _shown(session, made, new)
            return made
        session.log("out", f"{name}, head only: {facts['status']} {facts.get('reason', '')}".rstrip(), model=name)
    return None


def _shown(session: Session, made: Baseline, say: bool) -> None:
    facts, start = made.facts, session.clock()
    products.draw(session.given.subject, made.job, facts)
    show(made.job.checkpoint.parent, session.folder, FILES)
    show(session.folder, session.given.out, FILES)
    took = SLOWER * (session.clock() - start + facts["keeping"])
    session.writing = max(session.writing, min(took, MOST * session.budget))
    row = {"what": made.what, "model": made.arm.model, "status": "done", "accuracy": facts["judged"]}
    session.tried.append(row | {"images": facts["aside"]})
    if say:
        judged = "" if facts["judged"] is None else f"{facts['judged']:.1f} on {facts['aside']} images kept aside, "
        said = f"{made.what}: {judged}fitted to {facts['images']} images"
        session.log("head", said, **row)
