"""What a recommender predicts: accuracies with intervals from a joint distribution over models."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmark.ranking import variance_components
from benchmark.ranking.transfers import Columns, Design, percent

DRAWS = 4000  # of the joint prediction, for expected regrets
SLACK = 0.1  # angle by which fine-tuning may be expected to fall behind a head: 5 points at 50 %, 2 at 95 %
MOST = 0.9  # of the candidates


@dataclass(frozen=True)
class Joint:
    """A prediction for the n candidates of one target: level and spread as angles, what is within standardised.

    mean, covariance of what is predicted, and noise (n,): the variance of what the sum leaves open
    """

    level: float
    level_variance: float
    spread: float
    mean: np.ndarray
    covariance: np.ndarray
    noise: np.ndarray

    @property
    def angles(self) -> np.ndarray:
        return self.level + self.spread * self.mean

    @property
    def deviations(self) -> np.ndarray:
        return np.sqrt(self.level_variance + self.spread**2 * (self.covariance.diagonal() + self.noise))

    def draws(self, number: int = DRAWS) -> np.ndarray:
        """(number, n) accuracies in percent, the same at every call."""
        values, vectors = np.linalg.eigh(self.covariance + np.diag(self.noise))
        noise = np.random.default_rng(0).standard_normal((number, 1 + len(values)))
        level = self.level + np.sqrt(self.level_variance) * noise[:, :1]
        moved = noise[:, 1:] * np.sqrt(np.clip(values, 0, None)) @ vectors.T
        return percent(level + self.spread * (self.mean + moved))

    def sharpened(self, shape: tuple[float, float]) -> Joint:
        """With the noise of each candidate times e^(a + b·mean): of the best, less is left open than of the worst."""
        return replace(self, noise=self.noise * np.exp(shape[0] + shape[1] * self.mean))

    def raised(self, heads: np.ndarray) -> Joint:
        """At a level at which MOST candidates, and the first, are expected at no less than heads (n,) less SLACK.

        heads  angles of what a linear head reaches on a candidate's frozen features
        Who fine-tunes can leave the features as they are, so what a head reaches on them is seldom out of reach.
        Candidates without a head (NaN) do not count.
        """
        short = heads - SLACK - self.angles
        known = short[np.isfinite(short)]
        if not len(known):
            return self
        first = np.nan_to_num(short[self.mean.argmax()])
        return replace(self, level=self.level + max(0.0, float(np.quantile(known, MOST)), float(first)))


@dataclass(frozen=True)
class FromStaticList:
    """What the static list says of n candidates: their standardised accuracies (NaN: not on it), off by a variance."""

    mean: np.ndarray
    noise: float

    @classmethod
    def of(cls, places: np.ndarray, worth: tuple[float, float]) -> FromStaticList:
        """From places on the list (n,) and what they are worth: slope and variance."""
        return cls(worth[0] * places, worth[1])


@dataclass(frozen=True)
class Learned:
    """One fit: what makes a model better than its rivals, where a target's accuracies lie, how far they spread.

    rank   the whole sum. What is constant of a model is its effect's there, so that scores tell what is left
    fresh  scores and facts without effects, for a model of which nothing is known: there they have to tell both
    """

    rank: variance_components.Posterior
    fresh: variance_components.Posterior
    level: variance_components.Posterior
    spread: variance_components.Posterior

    def joint(self, columns: Columns, design: Design, listed: FromStaticList | None = None) -> Joint:
        """Of one target's candidates; with a list, a model that stands on it is placed by that alone."""
        X, at = design.X, design.place["level"]
        covariance = X @ self.rank.covariance @ X.T
        for variance, shared in zip(self.rank.variances[2:], design.unknown, strict=True):
            covariance += variance * shared
        mean, noise = X @ self.rank.mean, np.full(len(X), self.rank.noise)
        if (new := design.strange).any():
            mean, noise = np.where(new, X @ self.fresh.mean, mean), np.where(new, self.fresh.noise, noise)
            covariance[new, :] = covariance[:, new] = 0.0
            covariance[np.ix_(new, new)] = X[new] @ self.fresh.covariance @ X[new].T
        if listed is not None:
            seen = np.isfinite(listed.mean)
            mean, noise = np.where(seen, listed.mean, mean), np.where(seen, listed.noise, noise)
            covariance[seen, :] = covariance[:, seen] = 0.0
        group = 0.0 if at[-len(columns.groups) :].any() else self.level.variances[-1]
        variance = float(at @ self.level.covariance @ at) + group + self.level.noise
        spread = float(np.exp(design.place["spread"] @ self.spread.mean))
        return Joint(float(at @ self.level.mean), variance, spread, mean, covariance, noise).raised(design.heads)
