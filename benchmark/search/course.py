"""The course of a search: a head at once, a look at others where there is time, the final training, by one clock."""

from __future__ import annotations

import threading

from benchmark.reporting.pictures import confusion
from benchmark.search.baseline import baseline
from benchmark.search.ending import Ending
from benchmark.search.looks import Looks, looking
from benchmark.search.result import Result
from benchmark.search.session import Session


def course(session: Session, look: bool = True) -> Result:
    """Spend the budget; without a look at others, all of it on the first candidate as it is usually trained."""
    threading.Thread(target=confusion.ready, daemon=True).start()
    head = baseline(session)
    standing = [session.given.options(name)[0] for name in session.given.candidates]
    if look and looking(session.budget):
        standing = Looks(session, head.facts if head else None).standing()
    return Ending(session, head).final(standing)
