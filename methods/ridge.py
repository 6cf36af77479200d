"""Ridge: how well does a linear probe predict an image that it has not seen?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.classes import read_classes, read_targets
from methods.shared.labels import multi_hot, multilabel
from methods.shared.linalg import PCA, SAME, Features, reduced
from methods.shared.ranks import average_ranks
from methods.shared.score import Score, degenerate, insufficient

LAMBDAS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)


@estimator(
    labels=("single", "multi", "regression"),
    invariant=("rotation", "scale", "translation"),
    min_samples=3,
    cost="O(n r c) a lambda",
    source="Allen, Technometrics 1974 (PRESS)",
)
def ridge(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    lambdas: Sequence[float] = LAMBDAS,
    regression: bool = False,
) -> Score:
    """Exact leave-one-out performance of ridge regression from features to one-hot labels.

    features     (n, d); rotations, translations and a common scale leave the score alone
    labels       class ids (n,), multi-hot (n, c), or, with regression, real targets (n,) or (n, t)
    n_dims, pca  principal components kept first, of the whole probe
    lambdas      penalties, each above 0, in units of the mean square of the singular values; the one with
                 the least leave-one-out squared error is taken, smallest first where R² is equal to 1e-9
    returns      classes: accuracy in percent (classes that tie share it). Multi-hot: mean average precision
                 in percent over the labels that some but not all images hold. Regression: R², at most 1,
                 mean over targets. Higher predicts better
    parts        r2 (of the one-hot columns, or the targets), and lambda as taken

    With Xc = U diag(s) V^T, h_ii = 1/n + sum_k U_ik² s_k²/(s_k² + lambda), the prediction for image i by a
    fit without it is (yhat_i - h_ii y_i)/(1 - h_ii): all images and all lambdas from one factorisation. The
    intercept is not penalised.
    Cost O(n r c) a lambda. Deterministic. Needs three images, two classes (a label that varies). Degenerate
    where features are constant.
    Source: Allen, Technometrics 1974 (PRESS), on one-hot labels.
    """
    penalties = np.asarray(lambdas, dtype=np.float64).reshape(-1)
    if penalties.size == 0 or not ((penalties > 0) & np.isfinite(penalties)).all():
        raise ValueError(f"lambdas must be numbers above 0. Got {lambdas!r}.")
    features = reduced(features, n_dims, pca)
    several = not regression and multilabel(labels)
    if regression or several:
        t = read_targets(labels, features.n) if regression else multi_hot(labels, features.n)
        t = t[:, np.ptp(t, axis=0) > 0]
        if t.shape[1] == 0:
            return insufficient("needs a label that varies")
    else:
        classes = read_classes("ridge", labels, features.n)
        if isinstance(classes, Score):
            return classes
        t = multi_hot(labels, features.n)
        t = t[:, t.any(axis=0)]
    if features.n < 3:
        return insufficient(f"needs at least three images; got {features.n}")
    if features.centred.rank == 0:
        return degenerate("features are constant")
    predictions, r2, penalty = best(features, t, np.sort(penalties))
    if regression:
        value = r2
    elif several:
        value = 100.0 * average_precision(predictions, t)
    else:
        value = 100.0 * shared_accuracy(predictions, t)
    return Score(value, parts={"r2": r2, "lambda": penalty})


def best(features: Features, t: np.ndarray, penalties: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Leave-one-out predictions (n, t) of the best penalty, their mean R² over columns, and that penalty."""
    own, n = features.centred, features.n
    squares = own.s**2
    tc = t - t.mean(axis=0)
    z = own.U.T @ tc
    spread = np.einsum("nt,nt->t", tc, tc)
    found: tuple[float, np.ndarray, float] | None = None
    for penalty in penalties:
        kept = squares / (squares + penalty * squares.mean())
        leverage = 1.0 / n + own.U**2 @ kept
        residuals = (tc - own.U @ (kept[:, None] * z)) / (1.0 - leverage)[:, None]
        r2 = float((1.0 - np.einsum("nt,nt->t", residuals, residuals) / spread).mean())
        if found is None or r2 > found[0] + SAME:
            found = r2, residuals, float(penalty)
    assert found is not None
    return t - found[1], found[0], found[2]


def shared_accuracy(predictions: np.ndarray, hot: np.ndarray) -> float:
    """Share of rows whose largest prediction is the true class; classes that tie share it."""
    top = predictions >= predictions.max(axis=1, keepdims=True) - SAME
    return float(((top * hot).sum(axis=1) / top.sum(axis=1)).mean())


def average_precision(predictions: np.ndarray, hot: np.ndarray) -> float:
    """Mean over labels of the average precision, in [0, 1]; images with equal predictions enter together."""
    from sklearn.metrics import average_precision_score

    ranks = np.stack([average_ranks(column, tie=SAME).values for column in predictions.T], axis=1)
    return float(average_precision_score(hot, ranks, average="macro"))
