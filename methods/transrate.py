"""TransRate: how many more bits code all features together than class by class?"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.checks import choice
from methods.shared.classes import Classes, read_classes
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.score import Score, degenerate


@estimator(
    labels=("single",),
    invariant=("rotation", "translation"),
    cost="O(sum over classes of min(n_c, r)² max(n_c, r))",
    source="Huang et al., ICML 2022, arXiv 2106.09362",
)
def transrate(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    variant: Literal["paper", "normalised"] = "paper",
    eps: float = 1e-4,
) -> Score:
    """Coding rate of all features less the mean coding rate of the classes.

    features     (n, d), centred here; rotations and translations leave the score alone
    labels       class ids (n,); multi-label is not applicable
    n_dims, pca  principal components kept first
    variant      paper: R(Z) - (1/c) sum_c R(Z_c), as its listing has it; follows the features' scale, and so
                 ranks models by the size of their activations too. normalised: Z divided by its Frobenius
                 norm and classes weighted by their share n_c/n, which does not
    eps          distortion, above 0
    returns      nats, not bounded; higher predicts better

    R(Z) = ½ ln det(I + Z^T Z/(n eps)) = ½ sum ln(1 + s²/(n eps)). Z_c holds the rows of class c, centred by
    the mean of all rows, n_c in place of n. Each determinant is taken on its smaller side.
    Cost O(sum min(n_c, r)² max(n_c, r)) after the shared factorisation. Deterministic. Needs two classes.
    Degenerate where features are constant (0).
    Source: Huang et al., ICML 2022, arXiv 2106.09362. Released copies return NaN for a class without images.
    """
    choice("variant", variant, ("paper", "normalised"))
    if not eps > 0:
        raise ValueError(f"eps must be above 0. Got {eps!r}.")
    features = reduced(features, n_dims, pca)
    classes = read_classes("transrate", labels, features.n)
    if isinstance(classes, Score):
        return classes
    if features.centred.rank == 0:
        return degenerate("features are constant", 0.0)
    squares = features.centred.s**2
    size = float(squares.sum()) if variant == "normalised" else 1.0
    total = 0.5 * np.log1p(squares / (size * features.n * eps)).sum()
    weights = classes.priors if variant == "normalised" else np.full(classes.c, 1.0 / classes.c)
    return Score(float(total - weights @ class_rates(features, classes, size * eps)))


def class_rates(features: Features, classes: Classes, eps: float) -> np.ndarray:
    """Coding rates (c,) of the classes' rows, centred by the mean of all."""
    rates, members = np.empty(classes.c), classes.members()
    for count in np.unique(classes.counts):
        same = np.flatnonzero(classes.counts == count)  # of one size, so that they make one stack
        at = np.stack([members[k] for k in same])
        if features.n <= features.d:
            grams = features.centred_gram[at[:, :, None], at[:, None, :]]
        elif count <= features.centred.rank:
            rows = features.centred.R[at]
            grams = rows @ rows.transpose(0, 2, 1)
        else:
            rows = (features.centred.R[i] for i in at)
            rates[same] = [0.5 * _log_det(own.T @ own / (count * eps)) for own in rows]
            continue
        rates[same] = 0.5 * _log_det(grams / (count * eps))
    return rates


def _log_det(grams: np.ndarray) -> np.ndarray:
    """ln det(I + G) of one or a stack of positive semidefinite matrices."""
    return np.linalg.slogdet(grams + np.eye(grams.shape[-1]))[1]
