"""Tests that compare estimators: paired bootstrap, Holm's correction, Wilcoxon, Friedman, the noise ceiling."""

from __future__ import annotations

import numpy as np

from benchmark.stats import measures


def paired_p(estimate: float, models: int, *differences: np.ndarray) -> float:
    """Two-sided p-value of a difference: Student's t with m - 1 degrees of freedom of estimate / bootstrap error.

    differences  bootstrap distributions of it, one per factor that was resampled alone; their variances add up.
                 Of crossed factors this counts the interaction twice, where resampling them together counts it
                 three times: still on the safe side
    The share of resamples beyond zero could not be smaller than one in ten thousand, which Holm's correction over
    hundreds of pairs would always reject; the error's ratio can. Identical scores give 1.
    Source: Owen, The pigeonhole bootstrap, 2007 (variances of crossed designs).
    """
    from scipy.special import stdtr

    finite = [d[np.isfinite(d)] for d in differences]
    error = np.sqrt(sum(float(d.var(ddof=1)) for d in finite if len(d) > 1))
    if not np.isfinite(estimate) or error <= 1e-12 or models < measures.FEWEST:
        return 1.0
    return float(2 * stdtr(models - 1, -abs(estimate) / error))


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down correction: adjusted p-values that hold the family-wise error; NaN stays and does not count."""
    p = np.asarray(p, float)
    adjusted, known = np.full(p.shape, np.nan), np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps))
    return adjusted


def wilcoxon(differences: np.ndarray) -> float:
    """Exact two-sided p-value of Wilcoxon's signed-rank test over targets, ties and zeros by permutation of signs.

    differences (t,); zeros are dropped. All 2^t signs for t ≤ 15, else the normal approximation. With five targets it
    cannot fall below 0.0625, whatever the data.
    """
    d = np.asarray(differences, float)
    d = d[np.isfinite(d) & (d != 0)]
    if len(d) == 0:
        return 1.0
    size = np.abs(d)
    ranks = (size[:, None] > size).sum(1) + ((size[:, None] == size).sum(1) + 1) / 2
    observed = abs((np.sign(d) * ranks).sum())
    if len(d) <= 15:
        bits = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1
        return float((np.abs((2 * bits - 1) @ ranks) >= observed - 1e-9).mean())
    from scipy.special import ndtr

    return float(2 * ndtr(-observed / np.sqrt((ranks**2).sum())))


def noise_ceiling(cube: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(ceiling, split-half reliability) per target from fine-tuning seeds, cube (s, t, m) in points; ×100.

    Over the models with all the seeds of a target (two or more). Observed variance over models of the mean of s seeds
    is V, the noise within models (ddof 1) σ²: a perfect predictor of the true accuracies reaches a Pearson
    correlation of 100·√(1 - σ²/(s·V)) with what was observed. Split-half: mean Pearson ×100 between the two halves of
    the seeds over all splits (odd: the larger half one more), stepped up to s seeds (`stepped_up`); the square of the
    ceiling estimates the same.
    """
    from itertools import combinations

    s, t, _ = cube.shape
    ceiling, halves = np.full(t, np.nan), np.full(t, np.nan)
    for i in range(t):
        cells = cube[:, i][:, np.isfinite(cube[:, i]).all(0)]
        if s < 2 or cells.shape[1] < measures.FEWEST:
            continue
        noise, observed = cells.var(0, ddof=1).mean() / s, cells.mean(0).var(ddof=1)
        ceiling[i] = 100 * np.sqrt(np.clip(1 - noise / observed, 0, 1)) if observed > 0 else np.nan
        splits = list(combinations(range(s), s // 2))[:200]
        pairs = [(cells[list(a)].mean(0), np.delete(cells, list(a), 0).mean(0)) for a in splits]
        r = measures.nanmean(np.array([measures.pearson(a, b) for a, b in pairs]), 0) / 100
        halves[i] = stepped_up(float(r), s // 2, s - s // 2)
    return ceiling, halves


def stepped_up(r: float, a: int, b: int) -> float:
    """Reliability ×100 of the mean of a + b seeds, from the correlation r between the means of a and of b of them.

    With ρ between single seeds, r² (1 + (a-1)ρ)(1 + (b-1)ρ) = a b ρ², ρ of the sign of r (Horst, 1951); then
    Spearman and Brown, which for a = b is all there is to it. NaN where r is, and at -1.
    """
    quadratic, linear = a * b - r * r * (a - 1) * (b - 1), r * r * (a + b - 2)
    single = (linear + np.copysign(np.sqrt(linear**2 + 4 * quadratic * r * r), r)) / (2 * quadratic)
    beyond = 1 + (a + b - 1) * single
    return float(100 * (a + b) * single / beyond) if beyond > 1e-12 else float("nan")


def friedman(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """(mean ranks (k,), p-value, critical difference at 5 %) over targets, values (k, t) without gaps, best = rank 1.

    Friedman's test with its correction for ties; Nemenyi's critical difference q·√(k(k+1)/(6t)).
    Source: Demšar, JMLR 2006.
    """
    from scipy.special import chdtrc
    from scipy.stats import studentized_range

    k, t = values.shape
    ranks = (values[None] > values[:, None]).sum(1) + ((values[None] == values[:, None]).sum(1) + 1) / 2
    mean = ranks.mean(1)
    ties = sum(float((np.unique(column, return_counts=True)[1] ** 3).sum() - k) for column in ranks.T)
    scale = 1 - ties / (t * (k**3 - k))
    statistic = 12 * t / (k * (k + 1)) * ((mean - (k + 1) / 2) ** 2).sum() / scale if scale > 0 else 0.0
    distance = studentized_range.ppf(0.95, k, np.inf) / np.sqrt(2) * np.sqrt(k * (k + 1) / (6 * t))
    return mean, float(chdtrc(k - 1, statistic)), float(distance)
