"""The arithmetic of successive halving: what fits into a time, who is ahead, who cannot catch up. Pure."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.config.model import ModelSpec
from benchmark.config.recipe import RecipeSpec

CHECKS = 4
"""Looks at the validation part in a trial, the last at its end."""
VALIDATION_MOST = 500
"""Images beyond which a validation part only takes time: a standard error of 2 points at most."""
DEVIATIONS = 2.0
"""Standard errors of a difference by which a loser must be behind."""
FIDELITY = 3.0
"""Points by which a short training misplaces a model, beside what the number of images does: a judgement."""
LONG = 10**7
"""More steps than any budget allows."""


@dataclass(frozen=True)
class Arm:
    """A model at a learning rate."""

    model: str
    rate: float


@dataclass(frozen=True)
class Expected:
    """What a ranking says of a model beforehand: accuracy in percent, and by how many points it may be off."""

    accuracy: float
    doubt: float


@dataclass(frozen=True)
class Speed:
    """Seconds to start a training, of a step, and of an image of an evaluation, on one worker."""

    start: float
    step: float
    image: float

    def fixed(self, images: int) -> float:
        """Seconds of a trial that do not depend on its steps."""
        return self.start + CHECKS * images * self.image


def held_out(n: int, validation: float) -> int:
    """Images of a training split of n that judge the trials."""
    return max(1, min(round(validation * n), VALIDATION_MOST))


def makespan(seconds: Iterable[float], workers: int) -> float:
    """When the last of the jobs ends if each starts, in order, on the worker that is free first."""
    ends = [0.0] * max(1, workers)
    for one in seconds:
        ends.sort()
        ends[0] += one
    return max(ends)


def affordable(speeds: Sequence[Speed], images: int, seconds: float, workers: int) -> int:
    """The steps that each of several trials can have when all of them together may take so long; images judge them."""

    def takes(steps: int) -> float:
        return makespan([s.fixed(images) + steps * s.step for s in speeds], workers)

    return max(0, bisect.bisect_right(range(LONG), seconds, key=takes) - 1)


def best_first(
    arms: Sequence[Arm],
    found: Sequence[Mapping[str, Any]],
    expected: Mapping[str, Expected] | None = None,
    images: int = 1,
) -> list[Arm]:
    """The arms of a rung by their curves; those that gave none are left out, of equals the earlier stays ahead.

    All that were not stopped are compared at the last look that they have in common; one that the clock cut before
    half of the looks follows them, and then the stopped ones, the longest curves first.
    Accuracies on a few hundred `images` after a short training are off by several points: where it is known what was
    `expected` of all models beforehand, each counts by how little it is in doubt (`weighed`).
    """
    half = CHECKS / 2
    curves = [f.get("curve", []) if f.get("status") != "failed" else [] for f in found]
    stopped = [f.get("status") == "stopped" for f in found]
    sound = [len(c) >= half and not s for c, s in zip(curves, stopped, strict=True)]
    common = min((len(c) for c, good in zip(curves, sound, strict=True) if good), default=0)

    values = {i: curves[i][common - 1] for i, good in enumerate(sound) if good}
    if values and expected and all(arms[i].model in expected for i in values):
        values = weighed(values, {i: expected[arms[i].model] for i in values}, images)

    def place(i: int) -> tuple[bool, bool, int, float]:
        if sound[i]:
            return False, False, 0, -values[i]
        return True, stopped[i], -len(curves[i]), -curves[i][-1]

    return [arms[i] for i in sorted((i for i in range(len(arms)) if curves[i]), key=place)]


def weighed(values: Mapping[int, float], expected: Mapping[int, Expected], images: int) -> dict[int, float]:
    """How far above its rivals each arm is by both, accuracies seen and expected: their means weighted by precision."""
    seen = sum(values.values()) / len(values)
    before = sum(one.accuracy for one in expected.values()) / len(expected)
    error = (behind(max(values.values()), images) / DEVIATIONS) ** 2 / 2 + FIDELITY**2
    found = {}
    for i, value in values.items():
        share = expected[i].doubt ** 2 / (expected[i].doubt ** 2 + error)
        found[i] = share * (value - seen) + (1 - share) * (expected[i].accuracy - before)
    return found


def rates_of(spec: ModelSpec, recipe: RecipeSpec) -> list[float]:
    """The rate to begin with (the recipe's middle one, the lower of two), then the others, the nearest first.

    Beside the recipe's rates one below them belongs to the choice: a long training of good weights wants less.
    """
    grid = sorted(recipe.optimisers[spec.family].rates)
    ratio = grid[1] / grid[0] if len(grid) > 1 else 3.0
    first = grid[(len(grid) - 1) // 2]
    return sorted([float(f"{grid[0] / ratio:.3g}"), *grid], key=lambda r: abs(math.log(r / first)))


def behind(leader: float, n: int) -> float:
    """Points by which two accuracies on n images differ for reasons other than chance: 2 standard errors."""
    share = (leader / 100 * n + 1) / (n + 2)  # never quite 0 or 1
    return 100 * DEVIATIONS * math.sqrt(2 * share * (1 - share) / n)


def hopeless(curve: Sequence[float], leader: Sequence[float], n: int) -> bool:
    """Whether a learning curve cannot catch up with the leader's, both in percent at the same steps on n images.

    It is clearly behind at equal steps, and would be behind the leader's last value even if it rose on as fast as
    lately until there. Curves flatten, so that this is generous.
    """
    j = len(curve) - 1
    if j < 1 or len(leader) <= j:
        return False
    hoped = curve[j] + max(0.0, curve[j] - curve[j - 1]) * (len(leader) - 1 - j)
    return curve[j] + behind(leader[j], n) < leader[j] and hoped + behind(leader[-1], n) < leader[-1]
