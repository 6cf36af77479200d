"""The course of a search: measure, three rungs, the final training, each within its time by one clock."""

from __future__ import annotations

from benchmark.search.ending import Ending
from benchmark.search.finalists import finalists
from benchmark.search.result import Result
from benchmark.search.rungs import Rungs
from benchmark.search.session import Session
from benchmark.search.speeds import Speeds


def course(session: Session, look: bool = True) -> Result:
    """Spend the budget; without a look at others, all of it on the first candidate at its first rate."""
    speeds = Speeds(session)
    if not look:
        standing = [session.given.first_arm(next(iter(speeds.of)))]
    else:
        standing = Rungs(session, speeds).standing(finalists(session, speeds))
    return Ending(session, speeds).final(standing)
