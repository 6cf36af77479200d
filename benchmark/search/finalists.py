"""Which models could be trained to an end within the time."""

from __future__ import annotations

from benchmark.errors import ConfigError
from benchmark.files import record
from benchmark.search.job import write
from benchmark.search.session import Session
from benchmark.search.speeds import Speeds
from benchmark.wording import duration

FINAL = 0.5
"""Share of the budget that belongs to the final training at least."""


def finalists(session: Session, speeds: Speeds) -> list[str]:
    """The models whose final training would be a fine-tuning, at least as long as the recipe's.

    Decided once: a search that goes on has less time, and what it goes on with is one of these.
    """
    file, before = session.folder / "finalists.json", len(session.notes)
    if file.exists():
        kept = record(file, "models", "notes")
        session.notes += kept["notes"]
        return kept["models"]
    fit = _fast_enough(session, speeds)
    write(file, {"models": fit, "notes": session.notes[before:]})
    return fit


def _fast_enough(session: Session, speeds: Speeds) -> list[str]:
    fit = [name for name in speeds.of if speeds.needed(name) <= FINAL * session.budget]
    if fit:
        for name in (n for n in speeds.of if n not in fit):
            session.log("out", f"{name}: too slow, {duration(speeds.needed(name))} for a fine-tuning", model=name)
        return fit
    left = session.left
    fit = [name for name in speeds.of if speeds.needed(name) <= left]
    if fit:
        session.note(f"the budget of {duration(session.budget)} is enough for one fine-tuning and no search")
        return fit[:1]
    fastest = min(speeds.of, key=speeds.needed)
    need, gone = speeds.needed(fastest), session.used
    if need - (session.given.recipe.steps - 1) * speeds.of[fastest].step > left:
        raise ConfigError(
            f"budget must be enough for one fine-tuning. Got {duration(session.budget)}; {fastest}, the fastest, "
            f"needs about {duration(gone + need)}. Give that time, or smaller models."
        )
    session.note(
        f"the budget of {duration(session.budget)} is too small for one fine-tuning of {session.given.recipe.steps} "
        f"steps: {fastest}, the fastest, needs about {duration(gone + need)}; it was trained as far as it went"
    )
    return [fastest]
