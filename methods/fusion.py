"""Fusion: several estimators on one probe, to be normalised over a bank of models and averaged."""

from collections.abc import Mapping
from types import MappingProxyType

from numpy.typing import ArrayLike

from methods.shared.capabilities import EVERY, applied, capabilities, estimator, named
from methods.shared.linalg import Features, as_features
from methods.shared.score import Score

Fused = Mapping[str, Mapping[str, object] | None]
FUSED: Fused = MappingProxyType({"parc": {"n_dims": 32, "pca": "exact"}, "logme": {}, "knn": {}})
COST = "O(1) beside that of what is fused"


@estimator(
    labels=("single", "multi"), cost=COST, source="Borda count; no single paper", bank={EVERY: 1.0}, bank_by="rank"
)
def rank_fusion(features: ArrayLike | Features, labels: ArrayLike, of: Fused = FUSED) -> Score:
    """Mean over estimators of a model's rank in the bank: what they agree on, whatever their units.

    features  (n, d)
    labels    as the fused estimators take them
    of        estimators of features and labels by name, each with its parameters ({} or null for none); of
              those, none that is itself combined over a bank
    returns   mean of the fused scores as they are, which means nothing across units: over a bank,
              `methods.shared.bank.finished` takes each part's rank first (1/m to 1, ties averaged); higher predicts
              better
    parts     one a fused estimator. One whose status is not ok is left out for that model, and named

    Cost: that of the fused estimators, which share one factorisation. Deterministic where they are.
    Insufficient, degenerate or not applicable where none of them has a score.
    Source: no single paper; ranks as in Borda's count.
    """
    return _parts(features, labels, of)


@estimator(
    labels=("single", "multi"), cost=COST, source="mean z-score; no single paper", bank={EVERY: 1.0}, bank_by="z"
)
def z_fusion(features: ArrayLike | Features, labels: ArrayLike, of: Fused = FUSED) -> Score:
    """Mean over estimators of a model's standardised score in the bank: ranks with their gaps kept.

    features  (n, d)
    labels    as the fused estimators take them
    of        as in `rank_fusion`
    returns   mean of the fused scores as they are, which means nothing across units: over a bank,
              `methods.shared.bank.finished` standardises each part first (ddof 0), so that one outlying model can
              outweigh the rest; higher predicts better
    parts     as in `rank_fusion`

    Cost: that of the fused estimators, which share one factorisation. Deterministic where they are.
    Insufficient, degenerate or not applicable where none of them has a score.
    Source: no single paper.
    """
    return _parts(features, labels, of)


def _parts(features: ArrayLike | Features, labels: ArrayLike, of: Fused) -> Score:
    if not of:
        raise ValueError("of must name at least one estimator. Got none.")
    features = as_features(features)
    functions = {name: named(name) for name in of}
    for name, function in functions.items():
        if (declared := capabilities(function)) and declared.bank:
            raise ValueError(
                f"of must name estimators that stand on their own. Got '{name}'. See `methods.shared.bank`."
            )
    found = {name: applied(function, features, labels, of[name]) for name, function in functions.items()}
    good = {name: float(score) for name, score in found.items() if score.ok}
    if not good:
        name, score = next(iter(found.items()))
        return Score(score, score.status, f"{name}: {score.reason}")
    remarks = [f"{name} is left out: {score.reason}" for name, score in found.items() if not score.ok]
    reason = "; ".join([*remarks, "parts not yet normalised over a bank"])
    return Score(sum(good.values()) / len(good), reason=reason, parts=good)
