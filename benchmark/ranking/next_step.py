"""The next step after a ranking: the command that fine-tunes its first model, its time, what it may be used for."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.models import licences
from benchmark.wording import duration, seconds_of

if TYPE_CHECKING:
    from benchmark.ranking.answer import Answer
    from benchmark.ranking.request import Settings

BACKWARD = 3.0
"""Seconds of a training step, as multiples of a forward pass over its images: the backward pass takes about two."""
STARTING = 15.0
"""Seconds until a training has begun and after it has ended: libraries, weights, files."""
BUDGETS = ("1m", "2m", "3m", "5m", "10m", "15m", "20m", "30m", "1h", "2h", "4h", "8h", "16h", "24h")


@dataclass(frozen=True)
class NextStep:
    """What to do now.

    seconds        that one fine-tuning of the recipe's length is expected to take on one thread, the test included
    accuracy       predicted, in percent, with the 80 % interval `low` to `high`: what the ranking says of the model
    licence        of the weights, its `kind` and whether it allows commercial use in words
    """

    command: str
    model: str
    seconds: float
    accuracy: float
    low: float
    high: float
    licence: str
    kind: str
    commercial_use: str

    @property
    def sentence(self) -> str:
        return (
            f"fine-tunes {self.model}: at least {duration(self.seconds)} on one thread of this machine; expected are "
            f"{self.accuracy:.1f} % ({self.low:.0f} to {self.high:.0f}). More time seldom hurts; without "
            "try_others=false some of it goes to comparing the others."
        )


def of(answer: Answer) -> NextStep:
    """The next step for the first model of an answer."""
    first = answer.table.iloc[0]
    facts = answer.store.read("pack", answer.pack).values
    recipe = answer.experiment.recipe.on(facts["train"], facts["size"])
    seconds = expected_seconds(recipe.steps * recipe.batch, facts["test"], first["images_per_second"])
    given = command(answer.asked, answer.overrides, budget(seconds))
    accuracy, low, high = (float(first[c]) for c in ("predicted_accuracy", "low", "high"))
    licence = str(first["licence"])
    said = licences.kind(licence), licences.in_words(licence)
    return NextStep(given, str(first["model"]), seconds, accuracy, low, high, licence, *said)


def expected_seconds(trained: int, tested: int, images_per_second: float) -> float:
    """Seconds to fine-tune over so many images and test, from the speed of a forward pass."""
    return STARTING + (BACKWARD * trained + tested) / images_per_second


def budget(seconds: float) -> str:
    """The shortest of some round times that is enough."""
    return next((b for b in BUDGETS if seconds_of(b) >= seconds), f"{-(-seconds // 3600):.0f}h")


def command(asked: Settings, overrides: Sequence[str], time: str) -> str:
    """The command that was given, as a line for a shell, with a budget for the first model alone."""
    given = asked.model_dump(mode="json", exclude_defaults=True, exclude={"budget", "try_others"})
    words = [*_words({"data": str(asked.data)} | given), *overrides, f"budget={time}", "try_others=false"]
    return shlex.join(["python", "-m", "benchmark.rank", *words])


def _words(given: Mapping[str, Any], above: str = "") -> list[str]:
    """Settings as they are written on a command line."""
    words = []
    for key, value in given.items():
        if isinstance(value, Mapping):
            words += _words(value, f"{above}{key}.")
        else:
            words.append(f"{above}{key}={_word(value)}")
    return words


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_word, value))}]"
    named = {"None": "null", "True": "true", "False": "false"}
    return named.get(str(value), str(value)) if value is None or isinstance(value, bool) else str(value)
