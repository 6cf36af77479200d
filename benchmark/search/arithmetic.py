"""The arithmetic of a search: what is tried, how many trials a time allows, who is ahead beyond noise. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.config.model import ModelSpec
from benchmark.config.recipe import ADAMW, OptimiserSpec, RecipeSpec

VALIDATION_MOST = 500
"""Images beyond which a validation part only takes time: a standard error of 2 points at most."""
DEVIATIONS = 2.0
"""Standard errors of a difference by which a loser must be behind."""
FIDELITY = 3.0
"""Points by which a short training misplaces a model, beside what the number of images does: a judgement."""
ADAMW_RATES = (1e-3, 3e-4)
"""Rates at which AdamW is tried with models whose recipe says SGD."""
MADE_HERE = ("random", "pretrain")
"""Kinds of weights that the harness makes itself."""


@dataclass(frozen=True)
class Arm:
    """A model at a learning rate; `optimiser`: another one than the recipe's."""

    model: str
    rate: float
    optimiser: str | None = None

    def __str__(self) -> str:
        return f"{self.model} at {self.rate:g}" + (f" with {self.optimiser}" if self.optimiser else "")


@dataclass(frozen=True)
class Expected:
    """What a ranking says of a model beforehand: accuracy in percent, and by how many points it may be off."""

    accuracy: float
    doubt: float


@dataclass(frozen=True)
class Seen:
    """What a trial showed: accuracy percent on n images, and of each whether it was right (one label an image)."""

    accuracy: float
    images: int
    right: Sequence[int] | None = None


def held_out(n: int, validation: float) -> int:
    """Images of a training split of n that judge the trials."""
    return max(1, min(round(validation * n), VALIDATION_MOST))


def rates_of(spec: ModelSpec, recipe: RecipeSpec) -> list[float]:
    """The rate to begin with, then the others, the nearest first.

    Beside the recipe's rates one below them belongs to the choice: good weights want less. It is the first of networks
    that others released; of those that the harness trained it is the recipe's middle one, the lower of two.
    """
    grid = sorted(recipe.optimisers[spec.family].rates)
    ratio = grid[1] / grid[0] if len(grid) > 1 else 3.0
    rates = [float(f"{grid[0] / ratio:.3g}"), *grid]
    first = grid[(len(grid) - 1) // 2] if spec.weights.partition(":")[0] in MADE_HERE else rates[0]
    return sorted(rates, key=lambda r: abs(math.log(r / first)))


def options(spec: ModelSpec, recipe: RecipeSpec) -> list[Arm]:
    """How a model may be trained, the likeliest first: the recipe's optimiser at its rates, AdamW beside SGD."""
    own = [Arm(spec.name, rate) for rate in rates_of(spec, recipe)]
    if recipe.optimisers[spec.family].name == "adamw":
        return own
    other = [Arm(spec.name, rate, "adamw") for rate in ADAMW_RATES]
    return [own[0], other[0], *own[1:2], *other[1:], *own[2:]]


def in_turns(choices: Sequence[Sequence[Arm]]) -> list[Arm]:
    """Trials in the order in which they are worth their time: by place of the model plus place of the option.

    Of equals the better model's comes first, which is a further rate of it: a, b being models and 1, 2 their options,
    a1, a2, b1, a3, b2 …
    """
    found = [(m + k, m, arm) for m, arms in enumerate(choices) for k, arm in enumerate(arms)]
    return [arm for *_, arm in sorted(found, key=lambda one: one[:2])]


def recipe_of(recipe: RecipeSpec, spec: ModelSpec, optimiser: str | None) -> RecipeSpec:
    """The recipe with another optimiser for the model's family, at the weight decay that is usual for it."""
    if optimiser is None:
        return recipe
    other = OptimiserSpec(name="adamw", rates=ADAMW_RATES, weight_decay=ADAMW.weight_decay)
    return recipe.model_copy(update={"optimisers": {**recipe.optimisers, spec.family: other}})


def in_time(seconds: float, each: float, workers: int) -> int:
    """How many trials of at least `each` seconds end within `seconds`."""
    return workers * int(seconds / each) if each > 0 else 0


def error_of(a: Seen, b: Seen) -> float:
    """Standard error in points of the difference of two accuracies: over the same images, paired where each is known.

    Of n images a has n₁₀ right that b has wrong, and b has n₀₁: the variance of the difference of shares is
    (n₁₀ + n₀₁ − (n₁₀ − n₀₁)²/n)/n². One image more on either side keeps it from being nothing on a few images.
    """
    if a.right is not None and b.right is not None and len(a.right) == len(b.right):
        n = len(a.right)
        ours = 1 + sum(x > y for x, y in zip(a.right, b.right, strict=True))
        theirs = 1 + sum(x < y for x, y in zip(a.right, b.right, strict=True))
        return 100 * math.sqrt(max(0.0, ours + theirs - (ours - theirs) ** 2 / n)) / n
    return math.hypot(single_error(a), single_error(b))


def single_error(seen: Seen) -> float:
    """Binomial standard error of an accuracy, in points; never that of a share of 0 or 1."""
    share = (seen.accuracy / 100 * seen.images + 1) / (seen.images + 2)
    return 100 * math.sqrt(share * (1 - share) / seen.images)


def weighed(seen: Mapping[Arm, Seen], expected: Mapping[str, Expected]) -> dict[Arm, float]:
    """How far above its rivals each arm is by both, accuracies seen and expected: their means weighted by precision."""
    mean = sum(s.accuracy for s in seen.values()) / len(seen)
    before = sum(expected[arm.model].accuracy for arm in seen) / len(seen)
    found = {}
    for arm, one in seen.items():
        doubt = expected[arm.model].doubt
        share = doubt**2 / (doubt**2 + single_error(one) ** 2 + FIDELITY**2)
        found[arm] = share * (one.accuracy - mean) + (1 - share) * (expected[arm.model].accuracy - before)
    return found


def best_first(seen: Mapping[Arm, Seen], expected: Mapping[str, Expected]) -> list[Arm]:
    """Arms by what they showed, of equals the earlier first; with what was expected where that is known of all."""
    values = {arm: one.accuracy for arm, one in seen.items()}
    if seen and all(arm.model in expected for arm in seen):
        values = weighed(seen, expected)
    return sorted(seen, key=lambda arm: -values[arm])


def undecided(seen: Mapping[Arm, Seen], order: Sequence[Arm]) -> list[Arm]:
    """The first of an order, and those that are behind the most accurate by no more than noise, in that order."""
    leader = max(seen.values(), key=lambda one: one.accuracy)

    def near(one: Seen) -> bool:
        return one is leader or leader.accuracy - one.accuracy <= DEVIATIONS * error_of(leader, one)

    return [arm for k, arm in enumerate(order) if k == 0 or near(seen[arm])]
