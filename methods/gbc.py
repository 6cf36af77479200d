"""GBC: how little do the classes overlap, each taken as a Gaussian?"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.checks import choice
from methods.shared.classes import read_classes
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.score import Score, degenerate


@estimator(
    labels=("single",),
    invariant=("rotation", "translation"),
    min_per_class=2,
    cost="O(n k + c² k), k = n_dims",
    source="Pandy et al., CVPR 2022, arXiv 2111.12780",
)
def gbc(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = 64,
    pca: PCA = "exact",
    covariance: Literal["spherical", "diagonal"] = "spherical",
    log_term_dim: bool = False,
    floor: float = 1e-4,
) -> Score:
    """Gaussian Bhattacharyya coefficient: minus the summed overlap of all pairs of classes.

    features      (n, d); rotations and translations leave the score alone (spherical, or after PCA); the
                  floor makes it follow their scale a little, where it binds
    labels        class ids (n,); multi-label is not applicable
    n_dims, pca   principal components kept first, at most the rank; the authors' 64. null keeps the features
    covariance    spherical: one variance a class, the mean over dimensions; diagonal: one a dimension
    log_term_dim  spherical only: count the term of the variances once a dimension, as a Gaussian in that
                  many dimensions has it; the release counts it once
    floor         least variance; stands in for an image alone in its class too
    returns       - sum over ordered pairs a != b of exp(-DB), in [-c (c-1), 0]; higher predicts better.
                  Not comparable between targets with different numbers of classes

    DB = 1/8 sum_d (mu_a - mu_b)²/v + ½ (ln v - ½ (ln v_a + ln v_b)), v = (v_a + v_b)/2, biased variances.
    Cost O(n k + c² k). Deterministic. Needs two classes. Degenerate where features are constant, and where
    no pair overlaps by a number above 0.
    Source: Pandy et al., CVPR 2022, arXiv 2111.12780.
    """
    choice("covariance", covariance, ("spherical", "diagonal"))
    if not floor > 0:
        raise ValueError(f"floor must be above 0. Got {floor!r}.")
    whole = reduced(features, None)
    classes = read_classes("gbc", labels, whole.n)
    if isinstance(classes, Score):
        return classes
    if not whole.sd.any():
        return degenerate("features are constant", -float(classes.c * (classes.c - 1)))
    rows = reduced(whole, n_dims, pca).x
    rows = rows - rows.mean(axis=0)
    means = classes.means(rows)
    variances = np.maximum(classes.means((rows - means[classes.codes]) ** 2), floor)
    if covariance == "spherical":
        overlap = _spherical(means, variances.mean(axis=1), rows.shape[1] if log_term_dim else 1)
    else:
        overlap = _diagonal(means, variances)
    if overlap == 0.0:
        return degenerate("no two classes overlap by a number above 0", 0.0)
    return Score(-overlap)


def _spherical(means: np.ndarray, v: np.ndarray, dims: int) -> float:
    norms = np.einsum("ck,ck->c", means, means)
    squares = np.maximum(norms[:, None] + norms - 2.0 * means @ means.T, 0.0)
    pooled = (v[:, None] + v) / 2
    logs = np.log(v)
    overlap = np.exp(-squares / (8 * pooled) - 0.5 * dims * (np.log(pooled) - (logs[:, None] + logs) / 2))
    np.fill_diagonal(overlap, 0.0)
    return float(overlap.sum())


def _diagonal(means: np.ndarray, v: np.ndarray) -> float:
    logs, total = np.log(v).sum(axis=1), 0.0
    for a in range(len(means) - 1):  # a row of pairs at a time: c · k numbers are held, not c² · k
        pooled = (v[a] + v[a + 1 :]) / 2
        distance = ((means[a] - means[a + 1 :]) ** 2 / pooled).sum(axis=1) / 8
        distance += 0.5 * (np.log(pooled).sum(axis=1) - (logs[a] + logs[a + 1 :]) / 2)
        total += float(np.exp(-distance).sum())
    return 2.0 * total
