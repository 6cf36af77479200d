"""CKA with labels: are the images that the features find alike those that the labels do?"""

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.classes import read_classes, read_targets
from methods.shared.labels import multi_hot, multilabel
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.score import Score, degenerate, insufficient


@estimator(
    labels=("single", "multi", "regression"),
    invariant=("rotation", "scale", "translation"),
    min_samples=3,
    cost="O(n r c)",
    source="Kornblith et al., ICML 2019, arXiv 1905.00414; debiased: Song et al., JMLR 2012",
)
def cka(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    debiased: bool = False,
    regression: bool = False,
) -> Score:
    """Linear centred kernel alignment of features and labels.

    features     (n, d); rotations, translations and a common scale leave the score alone
    labels       class ids (n,) as one-hot, multi-hot (n, c), or, with regression, real targets (n,) or (n, t)
    n_dims, pca  principal components kept first
    debiased     the unbiased estimate of each inner product (U-centred kernels without their diagonal): its
                 expectation is 0 for labels that are independent of the features, whatever d
    returns      ||Xc^T Yc||_F² / (||Xc^T Xc||_F ||Yc^T Yc||_F), in [0, 1] (debiased: at most 1, may be below
                 0); higher predicts better

    The debiased form needs no n × n matrix: with k_i, l_i the squared norms of the centred rows,
    <K, L>_U = ||Xc^T Yc||² - n/(n-2) sum k_i l_i + sum k sum l / ((n-1)(n-2)).
    Cost O(n r c). Deterministic. Needs three images (debiased: four) and labels that vary. Degenerate where
    features are constant, or a debiased norm is not above 0.
    Source: Kornblith et al., ICML 2019, arXiv 1905.00414; unbiased: Song et al., JMLR 2012.
    """
    features = reduced(features, n_dims, pca)
    if regression or multilabel(labels):
        t = read_targets(labels, features.n) if regression else multi_hot(labels, features.n)
        if not np.ptp(t, axis=0).any():
            return insufficient("needs a label that varies")
    else:
        classes = read_classes("cka", labels, features.n)
        if isinstance(classes, Score):
            return classes
        t = multi_hot(labels, features.n)
    least = 4 if debiased else 3
    if features.n < least:
        return insufficient(f"needs at least {least} images; got {features.n}")
    if features.centred.rank == 0:
        return degenerate("features are constant")
    rows, t = features.centred.R, t - t.mean(axis=0)
    cross = rows.T @ t
    own = t.T @ t if t.shape[1] <= len(t) else t @ t.T
    inner, xx, tt = (float(np.vdot(m, m)) for m in (cross, features.centred.s**2, own))
    if debiased:
        k, l = np.einsum("nr,nr->n", rows, rows), np.einsum("nt,nt->n", t, t)
        scale_x, scale_t = xx, tt
        inner, xx, tt = unbiased(inner, k, l), unbiased(xx, k, k), unbiased(tt, l, l)
        if xx <= 1e-12 * scale_x or tt <= 1e-12 * scale_t:
            return degenerate("the unbiased norm of the features or labels is not above 0")
    return Score(inner / np.sqrt(xx * tt))


def unbiased(inner: float, k: np.ndarray, l: np.ndarray) -> float:
    """The inner product of two U-centred kernels from that of the centred ones and their diagonals (n,)."""
    n = len(k)
    return inner - n / (n - 2) * float(k @ l) + float(k.sum() * l.sum()) / ((n - 1) * (n - 2))
