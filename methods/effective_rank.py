"""Effective and stable rank: how many directions do the features use? Neither looks at labels."""

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.checks import choice
from methods.shared.linalg import Features, as_features
from methods.shared.score import Score, degenerate

RANKME_EPS = 1e-7


@estimator(
    labels=(),
    invariant=("rotation", "scale"),
    min_samples=1,
    min_classes=0,
    cost="O(r)",
    source="Garrido et al., ICML 2023, arXiv 2210.02885",
)
def effective_rank(features: ArrayLike | Features, centred: bool = False, compat: str | None = None) -> Score:
    """RankMe: exp of the entropy of the singular values' shares; a control that sees no label.

    features  (n, d); rotations and a common scale leave the score alone
    centred   subtract the mean first; translations then leave it alone too
    compat    "rankme": 1e-7 added to each of the min(n, d) shares
    returns   exp(-sum p ln p), p = s/sum s; in [1, min(n, d)], higher is said to predict better
    Cost O(r) after the shared factorisation. Deterministic. Degenerate where the features are all zero
    (centred: constant), whose rank is 0.
    Source: Garrido et al., ICML 2023, arXiv 2210.02885; Roy and Vetterli, EUSIPCO 2007.
    """
    choice("compat", compat, (None, "rankme"))
    features = as_features(features)
    s = _spectrum(features, centred)
    if len(s) == 0:
        return degenerate("features are constant" if centred else "features are all zero", 0.0)
    p = s / s.sum()
    if compat:
        p = np.r_[p, np.zeros(min(features.n, features.d) - len(p))] + RANKME_EPS
    return Score(float(np.exp(-(p * np.log(p)).sum())))


@estimator(
    labels=(),
    invariant=("rotation", "scale"),
    min_samples=1,
    min_classes=0,
    cost="O(r)",
    source="Rudelson and Vershynin, J. ACM 2007",
)
def stable_rank(features: ArrayLike | Features, centred: bool = False) -> Score:
    """||X||_F² / s_1²: like the rank, but blind to small singular values; a control that sees no label.

    features  (n, d); rotations and a common scale leave the score alone
    centred   subtract the mean first; translations then leave it alone too
    returns   in [1, min(n, d)]; higher is said to predict better
    Cost O(r) after the shared factorisation. Deterministic. Degenerate where the features are all zero
    (centred: constant), whose rank is 0.
    Source: Rudelson and Vershynin, J. ACM 2007.
    """
    s = _spectrum(as_features(features), centred)
    if len(s) == 0:
        return degenerate("features are constant" if centred else "features are all zero", 0.0)
    return Score(float((s / s[0]) @ (s / s[0])))


def _spectrum(features: Features, centred: bool) -> np.ndarray:
    return (features.centred if centred else features.uncentred).s
