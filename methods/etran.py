"""ETran: the energy of the images under the model, and how well a simple fit explains the labels."""

import numpy as np
from numpy.typing import ArrayLike

from methods.lda import lda
from methods.ncc import ncc
from methods.shared.capabilities import estimator
from methods.shared.checks import choice, same_length
from methods.shared.classes import read_classes, read_targets
from methods.shared.linalg import SAME, Features, as_features
from methods.shared.score import Score, degenerate, insufficient, not_applicable

WEIGHTS = {"energy": 0.15, "classification": 0.85, "regression": 0.85}
RELEASED_TAIL = 0.005


@estimator(
    labels=(),
    min_samples=1,
    min_classes=0,
    cost="O(n z)",
    source="Gholami et al., ICCV 2023, arXiv 2308.02027",
)
def energy(source_logits: ArrayLike, tail: float = 1.0) -> Score:
    """Mean log-sum-exp of the source head's outputs: how much in distribution the images are to the model.

    source_logits  (n, z), before the softmax; a constant added to a row adds to its energy
    tail           share of the images, those with the lowest energy, that are averaged: at least one image
    returns        mean of ln sum_z exp(logit), not bounded; higher predicts better. Looks at no label
    Cost O(n z). Deterministic. Source: Gholami et al., ICCV 2023, arXiv 2308.02027.
    """
    logits = np.asarray(source_logits)
    if logits.ndim != 2 or 0 in logits.shape or logits.dtype.kind not in "biuf":
        raise ValueError(f"source_logits must be a real matrix (n, z). Got shape {logits.shape}.")
    logits = logits.astype(np.float64)
    if not np.isfinite(logits).all():
        raise ValueError("source_logits must be finite. Got NaN or infinity.")
    return Score(lowest_mean(free_energies(logits), tail))


def free_energies(rows: np.ndarray) -> np.ndarray:
    """ln sum exp of each row (n,)."""
    top = rows.max(axis=1)
    return top + np.log(np.exp(rows - top[:, None]).sum(axis=1))


def lowest_mean(energies: np.ndarray, tail: float) -> float:
    """Mean of the share `tail` of the energies that are lowest, one at least."""
    if not 0.0 < tail <= 1.0:
        raise ValueError(f"tail must be a share above 0 and at most 1. Got {tail!r}.")
    count = max(int(np.floor(tail * len(energies) + 1e-9)), 1)
    return float(np.sort(energies)[:count].mean())


@estimator(
    labels=("regression",),
    invariant=("rotation", "scale", "linear", "columns"),
    min_classes=0,
    cost="O(n r t)",
    source="Gholami et al., ICCV 2023, arXiv 2308.02027",
)
def least_squares(features: ArrayLike | Features, labels: ArrayLike) -> Score:
    """Minus the mean squared residual of least squares without an intercept: ETran's regression term.

    features  (n, d), not centred; any invertible linear map of them gives the same score
    labels    real targets (n,) or (n, t), as they are: the score goes with the square of their unit
    returns   -mean over images and targets of (U U^T y - y)², at most 0; higher predicts better
    Cost O(n r t) after the shared factorisation. Deterministic. Degenerate where the features reach any
    labels (n <= d in general position: 0 for every model), or are constant.
    Source: Gholami et al., ICCV 2023, arXiv 2308.02027; the release works in float32.
    """
    features = as_features(features)
    t = read_targets(labels, features.n)
    own = features.uncentred
    residuals = t - own.U @ (own.U.T @ t)
    loss = float((residuals**2).mean())
    value = -loss if loss > SAME**2 * float((t**2).mean()) else 0.0  # targets that the features reach leave rounding
    if own.rank == 0:
        return degenerate("features are all zero", value)
    if not features.sd.any():
        return degenerate("features are constant", value)
    if own.rank == features.n:
        return degenerate(f"n = {features.n} images in general position in d = {features.d} dimensions", 0.0)
    return Score(value)


@estimator(
    labels=("single", "regression"),
    cost="O(n z), and that of lda or least_squares",
    source="Gholami et al., ICCV 2023, arXiv 2308.02027",
    bank=WEIGHTS,
)
def etran(
    features: ArrayLike | Features,
    labels: ArrayLike,
    source_logits: ArrayLike | None,
    tail: float = 1.0,
    regression: bool = False,
    compat: str | None = None,
) -> Score:
    """Energy and classification (or regression) terms, to be normalised over a bank of models.

    features       (n, d)
    labels         class ids (n,), or, with regression, real targets (n,) or (n, t)
    source_logits  (n, z) of the source head; None with compat="etran", which does not use them
    tail           share of the images, those with the lowest energy, that the energy term averages
    compat         "etran": energies of the features instead of logits, of the lowest 0.5 % (at least one:
                   the release takes none of fewer than 200 images), and `ncc` for `lda`
    returns        0.15 · energy + 0.85 · the other term as they are; over a bank,
                   `methods.shared.bank.finished` moves each to [0, 1] first, as the published score does; higher
                   predicts better
    parts          energy, and classification (`lda`) or regression (`least_squares`)

    Cost O(n z) and that of the second term. Deterministic. Needs two classes. Degenerate where its second
    term is: certain posteriors, n <= d for regression.
    Source: Gholami et al., ICCV 2023, arXiv 2308.02027; the weights are the release's.
    """
    choice("compat", compat, (None, "etran"))
    features = as_features(features)
    if compat is None and source_logits is None:
        return not_applicable("needs source_logits; compat='etran' takes the features instead")
    second = "regression" if regression else "classification"
    if regression:
        term = least_squares(features, labels)
    else:
        classes = read_classes("etran", labels, features.n)
        if isinstance(classes, Score):
            return classes
        if features.n <= classes.c:
            return insufficient(f"needs more images than classes; got {features.n} images of {classes.c} classes")
        term = ncc(features, labels) if compat else lda(features, labels)
    if compat:
        low = lowest_mean(free_energies(features.x), RELEASED_TAIL)
    else:
        logits = np.asarray(source_logits)
        same_length("source_logits", len(logits), features.n)
        low = float(energy(logits, tail))
    value = WEIGHTS["energy"] * low + WEIGHTS[second] * float(term)
    parts = {"energy": low, second: float(term)}
    if not term.ok:
        return Score(value, term.status, f"{second}: {term.reason}", parts)
    return Score(value, reason="parts not yet normalised over a bank", parts=parts)
