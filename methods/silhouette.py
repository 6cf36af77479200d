"""Silhouette: are images nearer to their own class than to the next?"""

import numpy as np
from numpy.typing import ArrayLike

from methods.knn import Metric, metric_space
from methods.shared.capabilities import estimator
from methods.shared.checks import choice
from methods.shared.classes import Classes, read_classes
from methods.shared.distances import sq_distances
from methods.shared.labels import multi_hot
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.score import Score, degenerate, insufficient

ROWS = 1024  # images at a time: what is held beside the Gram matrix is ROWS · n


@estimator(
    labels=("single",),
    invariant=("rotation", "scale", "translation"),
    min_samples=3,
    min_per_class=2,
    cost="O(n² d)",
    source="Rousseeuw, J. Computational and Applied Mathematics 1987",
)
def silhouette(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    metric: Metric = "euclidean",
) -> Score:
    """Mean silhouette of the images with their classes as clusters.

    features     (n, d), not standardised
    labels       class ids (n,); multi-label is not applicable
    n_dims, pca  principal components kept first
    metric       euclidean (rotations, translations and a common scale change nothing), cosine or correlation
                 (between rows, not centred: translations do)
    returns      mean of (b - a)/max(a, b), a the mean distance to the others of the own class, b the least
                 mean distance to another class; 0 for an image alone in its class; in [-1, 1], higher
                 predicts better
    Cost O(n² d), 8 n² bytes. Deterministic. Needs two classes, one with two images. Degenerate where all
    images are in one place.
    Source: Rousseeuw, 1987; as a transferability score (MSC), arXiv 2312.04775.
    """
    choice("metric", metric, ("euclidean", "cosine", "correlation"))
    features = reduced(features, n_dims, pca)
    classes = read_classes("silhouette", labels, features.n)
    if isinstance(classes, Score):
        return classes
    if classes.counts.max() == 1:
        return insufficient("needs a class with two images; every image has its own")
    if not features.sd.any():
        return degenerate("features are constant", 0.0)
    x, gram, rounding = metric_space(features, metric)
    squares = (sq_distances(x, gram, at) for at in _blocks(features.n))
    # Of directions half the squared distance is 1 - cosine.
    blocks = (np.sqrt(block) if metric == "euclidean" else 0.5 * block for block in squares)
    least = rounding if metric == "euclidean" else rounding**2
    hot = multi_hot(classes.codes)
    values = [
        _silhouettes(block, at, classes, hot, least[at]) for block, at in zip(blocks, _blocks(features.n), strict=True)
    ]
    return Score(float(np.concatenate(values).mean()))


def _blocks(n: int) -> list[np.ndarray]:
    return np.split(np.arange(n), range(ROWS, n, ROWS))


def _silhouettes(
    distances: np.ndarray, at: np.ndarray, classes: Classes, hot: np.ndarray, least: np.ndarray
) -> np.ndarray:
    """Silhouettes of the images `at` from their distances (m, n) to all; below `least` (m,) these are rounding."""
    distances[np.arange(len(at)), at] = 0.0
    sums = distances @ hot  # (m, c)
    mine = np.arange(len(at)), classes.codes[at]
    counts = classes.counts[classes.codes[at]]
    a = sums[mine] / np.maximum(counts - 1, 1)
    means = sums / classes.counts
    means[mine] = np.inf
    b = means.min(axis=1)
    larger = np.maximum(a, b)
    defined = (counts > 1) & (larger > least)
    return np.where(defined, (b - a) / np.where(defined, larger, 1.0), 0.0)
