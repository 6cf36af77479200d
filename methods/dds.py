"""DDS: duality diagram similarity with a model that was trained on the target."""

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.checks import same_length
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.ranks import inverse_norms
from methods.shared.score import Score, degenerate, insufficient


@estimator(
    labels=(),
    invariant=("scale", "translation", "columns"),
    min_samples=4,
    min_classes=0,
    cost="O(n² (d + d'))",
    source="Dwivedi et al., ECCV 2020, arXiv 2008.02107",
)
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
    (a, _), (b, _) = features.standardised_gram, reference.standardised_gram
    (p, zero), (q, zero_other) = (inverse_norms(gram.diagonal(), gram.diagonal()) for gram in (a, b))
    across, both = _inner(a, p, b, q), _inner(a, p, a, p) * _inner(b, q, b, q)
    if both == 0:
        return degenerate("all pairs of images are equally far apart")
    value = 100.0 * float(np.clip(across / np.sqrt(both), -1.0, 1.0))
    if zero + zero_other:
        return degenerate(f"{zero + zero_other} rows of features are zero after z-scoring", value)
    return Score(value)


def _inner(a: np.ndarray, p: np.ndarray, b: np.ndarray, q: np.ndarray) -> float:
    """<A, B> of the U-centred A_ij = a_ij p_i p_j and B_ij = b_ij q_i q_j, i != j; 0 where it is rounding.

    U-centring takes constants off the diagonal away, so that cosines serve for 1 - cosine. With row sums
    A1, B1 it is sum A·B - 2/(n-2) A1·B1 + (sum A)(sum B) / ((n-1)(n-2)): no centred matrix is built.
    """
    n = len(a)
    product = 0.0
    for i in range(0, n, 256):
        rows = slice(i, i + 256)
        product += float((p * q)[rows] @ ((a[rows] * b[rows]) @ (p * q)))
    product -= float((a.diagonal() * b.diagonal()) @ (p * q) ** 2)
    sums_a, sums_b = (p * (a @ p) - a.diagonal() * p**2, q * (b @ q) - b.diagonal() * q**2)
    inner = product - 2 / (n - 2) * (sums_a @ sums_b) + sums_a.sum() * sums_b.sum() / ((n - 1) * (n - 2))
    return 0.0 if abs(inner) <= 1e-12 * abs(product) else float(inner)
