"""Concept Variance: how often do images near each other carry different labels?"""

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.classes import read_classes
from methods.shared.distances import sq_distances
from methods.shared.linalg import PCA, Features, class_sums, reduced
from methods.shared.score import Score, degenerate

NEAREST = 1e-9
"""Least difference of a distance to the largest possible one, which images in opposite corners have."""


@estimator(
    labels=("single",),
    invariant=("scale", "translation", "columns"),
    cost="O(n² d)",
    source="Singh, Hess and Vanschoren 2025, arXiv 2502.06925; Vilalta, ICML workshop 1999",
)
def concept_variance(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    alpha: float = 2.0,
) -> Score:
    """Minus the share of other classes around an image, near ones counting more: how irregular the labels lie.

    features     (n, d); each column is moved to [0, 1] over the images, so that column scales do not matter
    labels       class ids (n,); multi-label is not applicable
    n_dims, pca  principal components kept first
    alpha        how fast weights fall with the distance; at least 0, where every image counts alike
    returns      -mean over images i of sum_j w_ij [y_i != y_j] / sum_j w_ij, j != i, w_ij = 2^(-alpha t_ij),
                 t_ij = D_ij / (sqrt(d) - D_ij), D Euclidean distances, at most sqrt(d); in [-1, 0], higher
                 predicts better

    Weights are taken relative to the largest of an image, so that none of them vanishes with the others.
    Constant columns add to d alone. Cost O(n² d), about 24 n² bytes. Deterministic. Needs two classes.
    Degenerate where features are constant.
    Source: Singh, Hess and Vanschoren 2025, arXiv 2502.06925, of which the start alone could be read. The formula
    is Vilalta's concept variation (1999) with alpha = 2, as the meta-feature `conceptvar` in pymfe has it; that the
    paper means this one is inferred from the name and from an author that they share.
    """
    if not 0 <= alpha < np.inf:
        raise ValueError(f"alpha must be at least 0 and finite. Got {alpha!r}.")
    features = reduced(features, n_dims, pca)
    classes = read_classes("concept_variance", labels, features.n)
    if isinstance(classes, Score):
        return classes
    if not features.sd.any():
        return degenerate("features are constant")
    rows = unit_ranges(features)
    centred = rows - rows.mean(axis=0)
    distances = np.sqrt(sq_distances(rows, centred @ centred.T))
    side = np.sqrt(features.d)
    exponents = -alpha * distances / np.maximum(side - distances, NEAREST * side)
    np.fill_diagonal(exponents, -np.inf)
    weights = np.exp2(exponents - exponents.max(axis=1, keepdims=True))
    own = classes.own(class_sums(weights.T, classes.codes, classes.c).T)
    return Score(float(np.mean(own / weights.sum(axis=1))) - 1.0)


def unit_ranges(features: Features) -> np.ndarray:
    """Rows (n, d) with each column moved to [0, 1]; zeros for a constant column."""
    rows = features.x - features.x.min(axis=0)
    span = np.where(features.sd > 0, rows.max(axis=0), 0.0)
    return np.where(span > 0, rows / np.where(span > 0, span, 1.0), 0.0)
