"""Scores that exist only beside other models: parts normalised over a bank on one target and draw, then combined.

Pure functions over arrays with one entry a model. What they return changes when a model joins or leaves the bank,
so they are applied last, to the parts that the estimators report, and per (target, draw).
NaN marks a model without a value: it takes no part in the normalisation and stays NaN.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Protocol, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import EVERY, Normalisation, capabilities
from methods.shared.checks import choice
from methods.shared.linalg import SAME
from methods.shared.ranks import average_ranks


class Member(Protocol):
    """What is kept of a model's score: whether it is ok, and its parts."""

    @property
    def status(self) -> str: ...

    @property
    def parts(self) -> Mapping[str, float]: ...


def minmax(values: ArrayLike) -> np.ndarray:
    """Values (models,) moved to [0, 1] over the bank; 0 for all where they do not differ."""
    v = _column(values)
    known = v[np.isfinite(v)]
    if known.size == 0:
        return v
    low, spread = known.min(), np.ptp(known)
    return (v - low) / spread if spread > _rounding(known) else np.where(np.isfinite(v), 0.0, v)


def zscore(values: ArrayLike) -> np.ndarray:
    """Values (models,) less their mean over the bank, over their deviation (ddof 0); 0 where they do not differ."""
    v = _column(values)
    known = v[np.isfinite(v)]
    if known.size == 0:
        return v
    if np.ptp(known) <= _rounding(known):
        return np.where(np.isfinite(v), 0.0, v)
    return (v - known.mean()) / known.std()


def ranked(values: ArrayLike) -> np.ndarray:
    """Ranks over the bank (models,), 1 for the lowest, ties averaged, divided by how many models have a value."""
    v = _column(values)
    known = np.isfinite(v)
    out = np.full(len(v), np.nan)
    if known.any():
        out[known] = average_ranks(v[known], tie=_rounding(v[known])).values / known.sum()
    return out


NORMALISATIONS: Mapping[str, Callable[[ArrayLike], np.ndarray]] = {"minmax": minmax, "z": zscore, "rank": ranked}


def combine(
    parts: Mapping[str, ArrayLike], weights: Mapping[str, float] | None = None, how: Normalisation = "minmax"
) -> np.ndarray:
    """Weighted sum of parts, each normalised over the bank: one score a model (models,), higher predicts better.

    parts    name -> values of all models on one target and draw, (models,); a negative weight turns a part round
    weights  name -> weight; 1 for all where None. A part without a weight is left out
    how      minmax (NCTI, ETran), z or rank (fusion of methods)
    A model that lacks one weighted part gets NaN. Raises ValueError where a weight has no part, or lengths differ.
    """
    choice("how", how, NORMALISATIONS)
    weights = dict.fromkeys(parts, 1.0) if weights is None else weights
    if not weights:
        raise ValueError("weights must name at least one part. Got none.")
    for name in weights:
        choice("weights", name, parts)
    lengths = {len(np.atleast_1d(parts[name])) for name in weights}
    if len(lengths) != 1:
        raise ValueError(f"parts must hold one value a model each. Got lengths {sorted(lengths)}.")
    total: np.ndarray = np.zeros(lengths.pop())
    return sum((weight * NORMALISATIONS[how](parts[name]) for name, weight in weights.items()), total)


def fuse(scores: Mapping[str, ArrayLike], how: Normalisation = "rank") -> np.ndarray:
    """Mean over methods of their scores normalised over the bank, (models,); higher predicts better.

    scores  method -> scores of all models on one target and draw. A method without a value for a model is left
            out for that model; NaN where none has one
    """
    choice("how", how, NORMALISATIONS)
    columns = np.stack([NORMALISATIONS[how](values) for values in scores.values()])
    known = np.isfinite(columns)
    total = np.where(known, columns, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def with_capacity(scores: ArrayLike, layers: ArrayLike, weight: float = 1.0) -> np.ndarray:
    """z-scored values plus weight · layers / 50: PARC's capacity term, on one target.

    The release pools all targets and draws in one z-score, which mixes how hard targets are with how good models
    are; for its number, pass everything pooled. Source: Bolya et al., NeurIPS 2021, section 4.
    """
    return zscore(scores) + weight * _column(layers) / 50.0


def finished(function: Callable[..., object], scores: Sequence[Member | SupportsFloat]) -> np.ndarray:
    """What enters the table for one method, over all models of a bank on one target and draw (models,).

    For an estimator that declares bank weights, its parts combined; for any other its values as they are. A score
    whose status is not ok takes no part in the normalisation, and has no value.
    """
    declared = capabilities(function)
    if declared is None or not declared.bank:
        return np.array([float(score) if isinstance(score, SupportsFloat) else np.nan for score in scores])
    held = [_parts(score) for score in scores]
    every = EVERY in declared.bank
    names = [name for name in (dict.fromkeys(chain(*held)) if every else declared.bank) if any(name in p for p in held)]
    if not names:
        return np.full(len(scores), np.nan)
    parts = {name: [p.get(name, np.nan) for p in held] for name in names}
    if every:
        return fuse(parts, declared.bank_by)
    return combine(parts, {name: declared.bank[name] for name in names}, declared.bank_by)


def _parts(score: object) -> Mapping[str, float]:
    return getattr(score, "parts", {}) if getattr(score, "status", "ok") == "ok" else {}


def _rounding(known: np.ndarray) -> float:
    """What scores of a bank may differ by and be the same: a range of that size is not to be stretched to one."""
    return SAME * float(np.abs(known).max())


def _column(values: ArrayLike) -> np.ndarray:
    v = np.array(values, dtype=np.float64)
    if v.ndim != 1:
        raise ValueError(f"values must be one a model, (models,). Got shape {v.shape}.")
    v[~np.isfinite(v)] = np.nan
    return v
