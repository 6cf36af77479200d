"""Whether a comparison survives another choice of models, targets or measure.

Leaving models out and sub-pools are counts of 0 and 1 for `weighted.under_counts`. Letters: k methods, r draws,
t targets, m models, b pools.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from benchmark.stats import measures, weighted
from benchmark.stats.alignment import Aligned, of_models
from benchmark.tables.columns import MODEL, at_random

MEASURES = ("pearson", "kendall")
STABILITY = ("pearson", "kendall", "weighted_kendall", "relative1")
POOLS, SHARE = 60, 0.7
FEWEST = 5  # models that must be left in a sub-pool


def leave_out(aligned: Aligned) -> pd.DataFrame:
    """Each architecture family and each source left out in turn.

    returns  factor (none, family, source), left_out, models (left), method, measure, value (mean over targets and
             draws), change against the whole, rank (1 = best) among the methods
    Nothing is returned for a factor with one value, nor where fewer than FEWEST models would be left.
    """
    groups = {"family": families(aligned), "source": of_models(aligned, MODEL[1])}
    cases, counts = [("none", "")], [np.ones(len(aligned.models))]
    for factor, names in groups.items():
        for name in sorted(set(names)) if len(set(names)) > 1 else []:
            kept = np.array([n != name for n in names])
            if kept.sum() >= FEWEST:
                cases.append((factor, name))
                counts.append(kept.astype(float))
    values = means(aligned.scores["none"], aligned.truth, np.stack(counts), MEASURES)
    for measure in set(values) & set(measures.MEASURES):
        known = np.isfinite(values[measure]).any(-1, keepdims=True)
        values[measure][:, at_random(aligned.methods)] = np.where(known, 0.0, np.nan)  # of all orders: see `correlate`
    records = []
    for measure, value in values.items():  # (b, k)
        order = -np.where(np.isfinite(value), value, -np.inf)
        rank = (order[:, None, :] < order[:, :, None]).sum(-1) + 1
        for b, (factor, name) in enumerate(cases):
            for k, method in enumerate(aligned.methods):
                change = value[b, k] - value[0, k]
                records.append(
                    (factor, name, int(counts[b].sum()), method, measure, value[b, k], change, int(rank[b, k]))
                )
    columns = ["factor", "left_out", "models", "method", "measure", "value", "change", "rank"]
    return pd.DataFrame(records, columns=columns)


def means(scores: np.ndarray, truth: np.ndarray, counts: np.ndarray, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """Mean over targets and draws of each measure under counts of models: name -> (b, k)."""
    return {name: measures.nanmean(value, -1) for name, value in _cells(scores, truth, counts, wanted).items()}


def stability(
    scores: np.ndarray, truth: np.ndarray, pools: np.ndarray, wanted: Sequence[str] = STABILITY
) -> dict[str, float]:
    """How alike the order of methods is between settings, in [-1, 1]; 1 = one order everywhere.

    An experiment is (measure, target, pool of models). Two are held and one varied; Kendall's τ_b between the
    vectors of the methods' values for every pair of settings, averaged over pairs and over what was held (the
    whole bank where the pool is held).
    scores (k, r, t, m), truth (t, m), pools (b, m) of 0 and 1
    Source: Agostinelli et al., ECCV 2022, arXiv 2204.01403.
    """
    k, m = len(scores), scores.shape[-1]
    every = _cells(scores, truth, np.concatenate([np.ones((1, m)), pools]), wanted)
    cube = np.stack([every[name] for name in wanted])  # (measure, 1 + b, k, t)
    varied = {
        "targets": np.moveaxis(cube[:, 0], -1, 1),  # held: measure; settings: targets
        "pools": np.moveaxis(cube[:, 1:], -1, 1).reshape(-1, len(pools), k),  # held: measure, target
        "measures": np.moveaxis(cube[:, 0], -1, 0),  # held: target
    }
    return {name: _agreement(values) for name, values in varied.items()}


def winners(scores: np.ndarray, truth: np.ndarray, pools: np.ndarray, measure: str = "pearson") -> np.ndarray:
    """(k,) share of pools in which a method has the highest mean over targets; ties share."""
    value = means(scores, truth, pools, (measure,))[measure]
    value = np.where(np.isfinite(value), value, -np.inf)
    best = (value == value.max(1, keepdims=True)) & np.isfinite(value)
    return (best / np.maximum(best.sum(1, keepdims=True), 1)).mean(0)


def sub_pools(models: int, number: int = POOLS, share: float = SHARE, seed: int = 0) -> np.ndarray:
    """(b, m) of 0 and 1: random pools of a share of the models, FEWEST at least, without replacement."""
    rng, size = np.random.default_rng(seed), min(models, max(FEWEST, round(share * models)))
    return (rng.random((number, models)).argsort(1) < size).astype(float)


def families(aligned: Aligned) -> list[str]:
    """The architecture family of each model: a `Family` column, or the letters that an architecture's name begins with.

    resnet18 and resnet50 are `resnet`; timm's prefix `tf_` says where weights come from and is passed over.
    """
    if "Family" in aligned.rows:
        return of_models(aligned, "Family")
    plain = [re.sub(r"^tf_", "", name) for name in of_models(aligned, MODEL[0])]
    return [(re.match(r"[A-Za-z]+", name) or [name])[0] for name in plain]


def _cells(scores: np.ndarray, truth: np.ndarray, counts: np.ndarray, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """Each measure's mean over draws: name -> (b, k, t)."""
    shape, m = scores.shape[:3], scores.shape[-1]
    y = np.broadcast_to(truth, scores.shape).reshape(-1, m)
    found = weighted.under_counts(counts, scores.reshape(-1, m), y, wanted=tuple(wanted))
    return {name: measures.nanmean(value.reshape(len(counts), *shape), 2) for name, value in found.items()}


def _agreement(values: np.ndarray) -> float:
    """Mean τ_b over all pairs of settings, values (held, settings, k)."""
    pairs = list(combinations(range(values.shape[1]), 2))
    if not pairs:
        return float("nan")
    first, second = np.array(pairs).T
    return float(measures.nanmean(measures.kendall(values[:, first], values[:, second]).ravel(), 0))
