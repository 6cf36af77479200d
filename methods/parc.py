"""PARC: do images whose features are alike carry labels that are alike?"""

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.checks import choice
from methods.shared.labels import class_index, multi_hot, multilabel
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.ranks import Ranks, average_ranks, condensed
from methods.shared.score import Score, degenerate, insufficient


@estimator(
    labels=("single", "multi"),
    invariant=("scale", "translation", "columns"),
    min_samples=3,
    cost="O(n² d + n² log n)",
    source="Bolya et al., NeurIPS 2021, arXiv 2111.06977",
)
def parc(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    average_signs: bool = False,
    compat: str | None = None,
    n_classes: int | None = None,
) -> Score:
    """Rank correlation between distances of features and distances of labels, over all pairs of images.

    features  (n, d) penultimate activations; each column is z-scored here, so column scales do not matter
    labels    class ids (n,) or multi-hot (n, c); rows that hold no label, or all, have no label distance
              and are left out (the reason says how many)
    n_dims    principal components kept first; the paper recommends 32; null keeps the features
    pca       randomised (the paper's solver) or exact
    average_signs
              of components: they are arbitrary, yet correlations of rows see them. By default the largest
              loading of a component is positive. True: each covariance and variance of rows is averaged
              over all 2^n_dims choices, which makes the correlation a cosine, and needs no choice
    compat    "scikit-learn-1.2": of each component the largest entry over the images is positive, as in the
              paper's time (randomised only).
              "parc": label distances through floating-point correlation, as released. For some class
              counts (37, say) equal distances then differ in the last bit and are ranked, by what the
              BLAS happens to return: the value depends on the machine and can be several times too small
    n_classes classes of the data set, of which a probe may hold fewer: the released label rows are so long,
              which decides what ties. compat alone looks at it; the runner supplies it, None counts the
              classes present
    returns   100 · Spearman correlation of 1 - Pearson(features_i, features_j) with
              1 - Pearson(labels_i, labels_j), i < j; in [-100, 100], higher predicts better

    With one label an image there are two label distances, and the coefficient is a Mann-Whitney statistic:
    (mean rank of different-class pairs - (m+1)/2) / sd(ranks) · sqrt(m1 / (m - m1)), m pairs, m1 different.
    Cost O(n²d + n² log n) time, about 30 n² bytes. Deterministic. Needs two classes, one with two images.
    Degenerate where features give every pair the same distance, or a row has no direction after z-scoring
    (its correlations are then taken as 0).
    Source: Bolya et al., NeurIPS 2021, arXiv 2111.06977, section 4.
    """
    choice("compat", compat, (None, "parc", "scikit-learn-1.2"))
    features = reduced(features, n_dims, pca, "scores" if compat == "scikit-learn-1.2" else "loadings")
    released = compat == "parc"
    if multilabel(labels):
        hot = multi_hot(labels, features.n)
        held = hot.sum(axis=1)
        rows = np.flatnonzero((held > 0) & (held < hot.shape[1]))
        left_out = features.n - len(rows)
        if len(rows) < 3:
            return insufficient("needs three images with some but not all labels")
        ranks = row_ranks(features if left_out == 0 else Features(features.x[rows]), n_dims, average_signs)
        other = _released_ranks(multi_hot(hot, n_classes=n_classes)[rows]) if released else multi_hot_ranks(hot[rows])
        remark = f"{left_out} images with no label or all labels left out" if left_out else ""
        return spearman(ranks, other, "all pairs of images have equally similar labels", remark)
    codes, counts = class_index(labels, features.n)
    if len(counts) < 2:
        return insufficient("needs at least two classes; got one")
    if counts.max() == 1:
        return insufficient("needs a class with two images; every image has its own")
    ranks = row_ranks(features, n_dims, average_signs)
    if released:
        return spearman(ranks, _released_ranks(multi_hot(labels, n_classes=n_classes)), "labels do not vary")
    return _mann_whitney(ranks, codes)


def row_ranks(features: Features, n_dims: int | None, average_signs: bool) -> Ranks:
    """Ranks of the distances between rows; ValueError for averaged signs of columns that are no components."""
    if not average_signs:
        return features.correlation_ranks
    if n_dims is None:
        raise ValueError("average_signs must be false without n_dims. Got true. Features have signs of their own.")
    return features.cosine_ranks


def spearman(a: Ranks, b: Ranks, constant: str, remark: str = "") -> Score:
    """100 · Pearson correlation of two rankings of the same pairs; `constant` says what b without spread is."""
    if a.sd == 0:
        return degenerate("all pairs of images are equally far apart in the features")
    if b.sd == 0:
        return degenerate(constant)
    centre = (len(a.values) + 1) / 2
    covariance = float((a.values - centre) @ (b.values - centre)) / len(a.values)
    return _flagged(100.0 * covariance / (a.sd * b.sd), a.undefined + b.undefined, remark)


def multi_hot_ranks(hot: np.ndarray) -> Ranks:
    """Ranks of 1 - Pearson between rows of a 0/1 matrix (n, c), exact: equal distances tie.

    With integer counts a_i of row i and o_ij shared, corr = t / sqrt(v_i v_j), t = c·o - a_i a_j,
    v = a (c - a). sign(t) t² / (v_i v_j) orders the pairs alike, and is one correctly rounded quotient of
    whole numbers, so that equal fractions give equal floats (up to 2^53: thousands of labels).
    """
    held, c = hot.sum(axis=1), hot.shape[1]
    t = condensed(c * (hot @ hot.T) - np.outer(held, held))
    v = held * (c - held)
    signed = np.sign(t) * t**2 / condensed(np.outer(v, v))
    return average_ranks(-signed, tie=0.0)


def _released_ranks(hot: np.ndarray) -> Ranks:
    return average_ranks(condensed(1.0 - np.corrcoef(hot)), tie=0.0)


def _mann_whitney(ranks: Ranks, codes: np.ndarray) -> Score:
    if ranks.sd == 0:
        return degenerate("all pairs of images are equally far apart in the features")
    different = condensed(codes[:, None] != codes)
    pairs, unlike = len(different), int(different.sum())
    gap = float(ranks.values[different].mean()) - (pairs + 1) / 2
    return _flagged(100.0 * gap / ranks.sd * np.sqrt(unlike / (pairs - unlike)), ranks.undefined)


def _flagged(value: float, undefined: int, remark: str = "") -> Score:
    if undefined:
        return degenerate(f"{undefined} rows of features are constant after z-scoring", float(value))
    return Score(value, reason=remark)
