"""Intervals for mean correlations, by resampling models, targets and probe draws ten thousand times.

Resamples are never materialised: each is a vector of counts, under which `benchmark.stats.weighted` gives the measures.
Letters: b resamples, k methods, r draws, t targets, m models, q rows (any of k × r × t).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.stats import measures
from benchmark.stats.weighted import MEASURES, under_counts

RESAMPLES = 10_000


@dataclass(frozen=True)
class Counts:
    """How often each model (b, m), target (b, t) and draw (b, r) is in each resample."""

    models: np.ndarray
    targets: np.ndarray
    draws: np.ndarray


def resamples(models: int, targets: int, draws: int, number: int = RESAMPLES, seed: int = 0) -> Counts:
    """Draws with replacement of all three at once, the same for all methods: what is compared is paired."""
    rng = np.random.default_rng(seed)
    each = (rng.multinomial(n, np.full(n, 1 / n), size=number) for n in (models, targets, draws))
    return Counts(*(counts.astype(np.float32) for counts in each))


def distributions(
    scores: np.ndarray,
    truth: np.ndarray,
    counts: Counts,
    wanted: Sequence[str] = MEASURES,
    keep: Sequence[str] = ("models", "targets", "draws", "all"),
) -> Iterator[tuple[int, str, np.ndarray, dict[str, np.ndarray]]]:
    """Per method and measure: (method, measure, per target (b, t), {what is resampled: mean over targets (b,)}).

    scores (k, r, t, m), truth (t, m). Per target: models resampled, mean over draws. The mean is over draws of each
    draw's mean over targets, both over where it is defined, as in `correlate`.
    """
    static = measures.static_list(truth)
    k, r, t, m = scores.shape
    ones = np.ones((1, m), np.float32)
    rows = (np.broadcast_to(truth, (r, t, m)).reshape(-1, m), np.broadcast_to(static, (r, t, m)).reshape(-1, m))
    for method in range(k):
        x, draws = scores[method].reshape(-1, m), counts.draws
        if np.array_equal(scores[method], np.broadcast_to(scores[method][:1], (r, t, m)), equal_nan=True):
            x, draws = x[:t], np.ones((1, 1), np.float32)  # a deterministic score: every draw is the first
        each = (len(x) // t, t)
        y, z = (part[: len(x)] for part in rows)
        moved = under_counts(counts.models, x, y, z, wanted)
        plain = under_counts(ones, x, y, z, wanted)
        for name, value in moved.items():
            value = value.reshape(-1, *each)
            still = plain[name].reshape(1, *each)
            means = {}
            for over in keep:
                w_t = counts.targets if over in ("targets", "all") else np.ones((1, t), np.float32)
                w_r = draws if over in ("draws", "all") else np.ones((1, each[0]), np.float32)
                means[over] = _mean_of_means(value if over in ("models", "all") else still, w_t, w_r)
            yield method, name, measures.nanmean(value, 1), means


def estimates(scores: np.ndarray, truth: np.ndarray, wanted: Sequence[str] = MEASURES) -> dict[str, np.ndarray]:
    """The measures themselves: name -> (k, r, t)."""
    k, r, t, m = scores.shape
    shape = (k, r, t, m)
    y = np.broadcast_to(truth, shape).reshape(-1, m)
    z = np.broadcast_to(measures.static_list(truth), shape).reshape(-1, m)
    found = under_counts(np.ones((1, m)), scores.reshape(-1, m), y, z, wanted)
    return {name: value.reshape(k, r, t) for name, value in found.items()}


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Percentile interval (low, high) and standard error of a bootstrap distribution; NaN where there is none.

    A single value is one that resampling cannot move (the draws of a deterministic method): an interval of length 0.
    """
    if len(values) == 1 and np.isfinite(values[0]):
        return float(values[0]), float(values[0]), 0.0
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return float("nan"), float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high), float(values.std(ddof=1))


def _mean_of_means(values: np.ndarray, targets: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """values (b or 1, r, t) averaged with counts over targets, then over draws, where defined."""
    finite = np.isfinite(values)
    filled = np.where(finite, values, 0)
    top = np.einsum("brt,bt->br", *_same_first(filled, targets))
    weight = np.einsum("brt,bt->br", *_same_first(finite.astype(np.float32), targets))
    per_draw = np.divide(top, weight, out=np.zeros_like(top, float), where=weight > 0)
    draws = np.broadcast_to(draws, (max(len(draws), len(weight)), draws.shape[1])) * (weight > 0)
    total = draws.sum(-1)
    return np.divide((per_draw * draws).sum(-1), total, out=np.full(total.shape, np.nan, float), where=total > 0)


def _same_first(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = max(len(a), len(b))
    return np.broadcast_to(a, (n, *a.shape[1:])), np.broadcast_to(b, (n, *b.shape[1:]))
