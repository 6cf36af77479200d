"""One known target as a fit takes it, and what is learned from the sums of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmark.ranking import variance_components
from benchmark.ranking.prediction import Learned
from benchmark.ranking.transfers import PROBES, Columns, Design

EXPECTED = np.array([0.05, 0.02, 0.2, 0.2, 0.2])  # variances beforehand: a score, a fact, model, architecture, source
NOISE = 0.4  # of a standardised accuracy within its target
SPREAD, SPREAD_WEIGHT = 0.2, 2.0  # a target's spread of accuracies (angle), and how many models that guess is worth
PLACED = {"level": np.array([1.0, 0.2, 0.2]), "spread": np.array([1.0, 0.1, 0.1])}  # a constant, probes, the group
PLACED_NOISE = {"level": 0.1, "spread": 0.1}


@dataclass(frozen=True)
class Cell:
    """A known target of one table: its models, their accuracies as angles, and their places on the list without it."""

    target: str
    design: Design
    angles: np.ndarray
    places: np.ndarray

    @cached_property
    def spread(self) -> float:
        """Deviation of the accuracies; of few models, mixed with the one expected beforehand."""
        n = len(self.angles)
        return float(np.sqrt((n * self.angles.var() + SPREAD_WEIGHT * SPREAD**2) / (n + SPREAD_WEIGHT)))

    @cached_property
    def standardised(self) -> np.ndarray:
        return (self.angles - self.angles.mean()) / self.spread

    @cached_property
    def sums(self) -> tuple[variance_components.Sums, variance_components.Sums, variance_components.Sums]:
        """Its part in what the three fits need: rank, level, spread."""
        place = self.design.place
        return (
            variance_components.Sums.of(self.design.X, self.standardised, means=1),
            variance_components.Sums.of(place["level"][None], self.angles.mean()[None]),
            variance_components.Sums.of(place["spread"][None], np.log([self.spread])),
        )


def total(sums: Sequence[variance_components.Sums]) -> variance_components.Sums:
    """Of several known targets together."""
    whole = sums[0]
    for other in sums[1:]:
        whole = whole + other
    return whole


def learned(columns: Columns, sums: Sequence[variance_components.Sums]) -> Learned:
    """One fit from the sums for rank, level and spread."""
    whole, part = sums[0], ~columns.parts["list"]
    rank = variance_components.fit(whole, columns.blocks, EXPECTED, NOISE)
    own = variance_components.Sums(whole.gram[np.ix_(part, part)], whole.moment[part], whole.energy, whole.rows)
    alone = variance_components.fit(own, columns.blocks[part], EXPECTED[:2], NOISE)
    mean, covariance = np.zeros(len(part)), np.zeros((len(part), len(part)))
    mean[part], covariance[np.ix_(part, part)] = alone.mean, alone.covariance
    fresh = variance_components.Posterior(mean, covariance, alone.variances, alone.noise)
    blocks = np.repeat([0, 1, 2], [1, len(PROBES), len(columns.groups)])
    level, spread = (
        variance_components.fit(s, blocks, PLACED[n], PLACED_NOISE[n]) for n, s in zip(PLACED, sums[1:], strict=True)
    )
    return Learned(rank, fresh, level, spread)


def worth(cells: Sequence[Cell]) -> tuple[float, float]:
    """Slope of standardised accuracies on places on the list, and the variance left; guesses where there is no list."""
    pairs = [np.stack([cell.places, cell.standardised]) for cell in cells]
    place, reached = np.concatenate(pairs, 1)
    known = np.isfinite(place)
    if not place[known].any():
        return 1.0, NOISE
    slope = float(place[known] @ reached[known] / (place[known] @ place[known]))
    return slope, float(((reached[known] - slope * place[known]) ** 2).mean())


def shape(misses: np.ndarray) -> tuple[float, float]:
    """(a, b) of `Joint.sharpened`, from left-out targets: (4, n) mean, error², variance beside noise, noise.

    Gaussian likelihood with standard normal priors on both.
    """
    from scipy import optimize

    mean, squared, beside, noise = misses

    def objective(at: np.ndarray) -> tuple[float, np.ndarray]:
        own = noise * np.exp(at[0] + at[1] * mean)
        variance = beside + own
        slope = own / variance * (1 - squared / variance)
        value = float((np.log(variance) + squared / variance).sum() + at @ at)
        return value, np.array([slope.sum(), (slope * mean).sum()]) + 2 * at

    found = optimize.minimize(objective, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(-3, 3)] * 2)
    return float(found.x[0]), float(found.x[1])


def quantile(values: np.ndarray, weights: np.ndarray, level: float) -> np.ndarray:
    """Per column of values (k, m): the least that weights (k,) of `level` do not exceed; infinite beyond their sum."""
    order = np.argsort(values, 0, kind="stable")
    reached = np.cumsum(weights[order], 0) >= level - 1e-12
    first = np.take_along_axis(np.take_along_axis(values, order, 0), reached.argmax(0)[None], 0)[0]
    return np.where(reached.any(0), first, np.inf)
