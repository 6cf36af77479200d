"""PARC by alignment: its two matrices of distances between images, compared by unbiased CKA instead of by ranks."""

import numpy as np
from numpy.typing import ArrayLike

from methods.cka import unbiased
from methods.shared.capabilities import estimator
from methods.shared.labels import class_index, multi_hot, multilabel
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.ranks import inverse_norms
from methods.shared.score import Score, degenerate, insufficient


@estimator(
    labels=("single", "multi"),
    invariant=("scale", "translation", "columns"),
    min_samples=4,
    cost="O(n² d)",
    source="Bolya et al., NeurIPS 2021, arXiv 2111.06977, in the form that the benchmark EMAB released",
)
def parc_cka(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    debiased: bool = True,
) -> Score:
    """Centred kernel alignment of the distances that PARC compares by ranks.

    features     (n, d); each column is z-scored here, so column scales do not matter
    labels       class ids (n,) or multi-hot (n, c); rows that hold no label, or all, have no label distance
                 and are left out (the reason says how many)
    n_dims, pca  principal components kept first; correlations of rows see their signs, as in parc
    debiased     U-centred matrices, whose expected product is 0 for labels that are independent of the
                 features (as released); otherwise doubly centred ones
    returns      <A, B> / (||A|| ||B||), A and B the centred matrices of 1 - Pearson(features_i, features_j)
                 and 1 - Pearson(labels_i, labels_j); in [-1, 1], higher predicts better

    Centring takes the 1 away, so that A and B are kernels, of the rows with mean 0 and length 1: the score is
    `cka` of those rows, and with one label an image the label's kernel is that of one-hot labels. Ranks and
    whole distances differ: near ones weigh here by how near they are.
    Cost O(n² d). Deterministic. Needs four images and labels that vary. Degenerate where all features or all
    labels are equally alike, or a row has no direction after z-scoring (its correlations are then taken as 0).
    Source: Bolya et al., NeurIPS 2021, arXiv 2111.06977; in the form that the benchmark EMAB ("Enhancing Model
    Adaptability") released under PARC's name.
    """
    features = reduced(features, n_dims, pca)
    rows, left_out = np.arange(features.n), 0
    if multilabel(labels):
        hot = multi_hot(labels, features.n)
        held = hot.sum(axis=1)
        rows = np.flatnonzero((held > 0) & (held < hot.shape[1]))
        left_out = features.n - len(rows)
        features = features if left_out == 0 else Features(features.x[rows] if len(rows) else features.x)
        other = hot[rows] - held[rows, None] / hot.shape[1]
        other /= np.linalg.norm(other, axis=1, keepdims=True)
    else:
        if len(class_index(labels, features.n)[1]) < 2:
            return insufficient("needs at least two classes; got one")
        other = multi_hot(labels, features.n)
    if len(rows) < 4:
        return insufficient(f"needs at least four images with some but not all labels; got {len(rows)}")
    gram, sums = features.standardised_gram
    covariance = gram - np.outer(sums, sums) / features.d
    scale, undefined = inverse_norms(covariance.diagonal(), gram.diagonal())
    ours, theirs = covariance * scale[:, None] * scale, other @ other.T
    across, both = _inner(ours, theirs, debiased), _inner(ours, ours, debiased) * _inner(theirs, theirs, debiased)
    if both <= 0:
        return degenerate("all pairs of images are equally far apart, in the features or in the labels")
    value = float(np.clip(across / np.sqrt(both), -1.0, 1.0))
    if undefined:
        return degenerate(f"{undefined} rows of features are constant after z-scoring", value)
    return Score(value, reason=f"{left_out} images with no label or all labels left out" if left_out else "")


def _inner(a: np.ndarray, b: np.ndarray, debiased: bool) -> float:
    """<A, B> of two kernels (n, n), doubly centred or U-centred; 0 where it is rounding."""
    means_a, means_b = a.mean(axis=0), b.mean(axis=0)
    whole = float(np.vdot(a, b))
    inner = whole - 2 * len(a) * float(means_a @ means_b) + len(a) ** 2 * float(means_a.mean() * means_b.mean())
    if debiased:
        own_a, own_b = (k.diagonal() - 2 * m + m.mean() for k, m in ((a, means_a), (b, means_b)))
        inner = unbiased(inner, own_a, own_b)
    return 0.0 if abs(inner) <= 1e-12 * abs(whole) else inner
