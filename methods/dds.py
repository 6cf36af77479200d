"""DDS: duality diagram similarity with a model that was trained on the target."""

import numpy as np
from numpy.typing import ArrayLike

from methods.checks import same_length
from methods.linalg import PCA, Features, reduced
from methods.score import Score, degenerate, insufficient


def dds(
    features: ArrayLike | Features,
    reference_features: ArrayLike | Features,
    n_dims: int | None = None,
    pca: PCA = "randomised",
) -> Score:
    """Unbiased centred kernel alignment of two models' cosine distances between images.

    features            (n, d), each column z-scored here
    reference_features  (n, d') of a model that was trained on the target, for the same images in order
    n_dims, pca         principal components kept first, of both
    returns             100 · <A, B> / (||A|| ||B||), A and B the U-centred matrices of 1 - cosine(rows);
                        in [-100, 100], higher predicts better. Symmetric; label-free
    Cost O(n²(d + d')). Deterministic. Needs four images. Degenerate where a matrix is constant, or a row
    of features is zero after z-scoring (its cosines are then taken as 0).
    Source: Dwivedi et al., ECCV 2020, arXiv 2008.02107; in the form of Bolya et al., NeurIPS 2021.
    """
    features, reference = reduced(features, n_dims, pca), reduced(reference_features, n_dims, pca)
    same_length("reference_features", reference.n, features.n)
    if features.n < 4:
        return insufficient(f"needs at least four images; got {features.n}")
    (own, zero), (other, zero_other) = features.cosine_distances, reference.cosine_distances
    a, b = u_centred(own), u_centred(other)
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    # Both matrices have entries of size 1: what is left below this is rounding of the centring.
    if norms <= (1e-12 * features.n) ** 2:
        return degenerate("all pairs of images are equally far apart")
    value = 100.0 * float(np.vdot(a, b) / norms)
    if zero + zero_other:
        return degenerate(f"{zero + zero_other} rows of features are zero after z-scoring", value)
    return Score(value)


def u_centred(distances: np.ndarray) -> np.ndarray:
    """A symmetric matrix (n, n) with zero diagonal, centred so that its inner products are unbiased."""
    n = len(distances)
    rows = distances.sum(axis=1) / (n - 2)
    out = distances - rows[:, None] - rows + rows.sum() / (n - 1)
    np.fill_diagonal(out, 0.0)
    return out
