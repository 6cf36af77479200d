"""INT: how far apart are images of different classes?"""

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.classes import read_classes
from methods.shared.linalg import PCA, Features, class_sums, reduced
from methods.shared.score import Score, degenerate


@estimator(
    labels=("single",),
    invariant=("rotation", "translation"),
    cost="O(n² d)",
    source="Singh, Hess and Vanschoren 2025, arXiv 2502.06925",
)
def interclass(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    normalised: bool = False,
) -> Score:
    """INT, the pairwise normalised interclass distance: mean distance of images of two classes, over all pairs of them.

    features     (n, d); rotations and translations leave the score alone
    labels       class ids (n,); multi-label is not applicable
    n_dims, pca  principal components kept first
    normalised   divided by the mean distance between all images. INT is in the unit of the features, so that
                 models compare by the size of their activations too; divided, no common scale matters, and
                 labels that say nothing of the features score about 1
    returns      2/(c(c-1)) sum over classes a < b of the mean of ||x_i - x_j||, i of class a, j of b; above 0.
                 Higher predicts better

    Each pair of classes counts alike, whatever their sizes. A class of one image has its distances too.
    Cost O(n² d), about 16 n² bytes. Deterministic. Needs two classes. Degenerate where features are constant.
    Source: Singh, Hess and Vanschoren 2025, arXiv 2502.06925, of which the start alone could be read. The formula
    is that of the meta-feature of clusterings `int` in pymfe, with Euclidean distances that are not squared; that
    the paper means this one is inferred from the name and from an author that they share.
    """
    features = reduced(features, n_dims, pca)
    classes = read_classes("interclass", labels, features.n)
    if isinstance(classes, Score):
        return classes
    if not features.sd.any():
        return degenerate("features are constant", 0.0)
    distances = np.sqrt(features.sq_distances)
    between = class_sums(class_sums(distances, classes.codes, classes.c).T, classes.codes, classes.c)
    between /= np.outer(classes.counts, classes.counts)
    value = float(between.sum() - between.trace()) / (classes.c * (classes.c - 1))
    if normalised:
        value /= float(distances.sum()) / (features.n * (features.n - 1))
    return Score(value)
