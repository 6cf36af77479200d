"""LFC: correlation of inner products of features with agreement of labels."""

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.classes import Classes, read_classes
from methods.shared.labels import multi_hot, multilabel
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.score import Score, degenerate, insufficient


@estimator(
    labels=("single", "multi"),
    invariant=("rotation", "scale"),
    cost="O(n d)",
    source="Deshpande et al., arXiv 2102.00084",
)
def lfc(features: ArrayLike | Features, labels: ArrayLike, n_dims: int | None = None, pca: PCA = "randomised") -> Score:
    """Label-feature correlation: <K - mean K, L - mean L> over their norms, over all n² pairs.

    features     (n, d), not centred: a common offset of all features changes the score
    labels       class ids (n,), or multi-hot (n, c), of which two agree where they hold the same labels
    n_dims, pca  principal components kept first, which centres the features
    returns      correlation of K = X X^T with L (+1 where labels agree, -1 elsewhere), the diagonal
                 included, each less its grand mean; in [-1, 1], higher predicts better

    Without a decomposition. With centred rows x_i, mean mu, b_i = x_i · mu, class sums s_c, B_c, and G the
    Gram matrix of the centred rows (or of the columns, where they are fewer):
    <K - mean, L> = 2 sum_c (||s_c||² + 2 n_c B_c), ||K - mean||² = ||G||² + 2 n ||b||², and
    ||L - mean||² = n² (1 - m²), m = 2 sum n_c²/n² - 1.
    Cost O(n d) after that Gram matrix. Deterministic. Needs two classes. Degenerate where features are constant.
    Source: Deshpande et al., arXiv 2102.00084. Released copies cap n by a random subsample.
    """
    features = reduced(features, n_dims, pca)
    if multilabel(labels):
        _, codes, counts = np.unique(multi_hot(labels, features.n), axis=0, return_inverse=True, return_counts=True)
        if len(counts) < 2:
            return insufficient("needs two different sets of labels; got one")
        classes: Classes | Score = Classes(codes.reshape(-1), counts)
    else:
        classes = read_classes("lfc", labels, features.n)
    if isinstance(classes, Score):
        return classes
    n = features.n
    if n <= features.d:
        gram = features.centred_gram
        within = float(classes.own(classes.sums(gram).T).sum())
    else:
        centred = features.x - features.mean
        gram, sums = centred.T @ centred, classes.sums(centred)
        within = float(np.vdot(sums, sums))
    if np.trace(gram) <= features.rounding**2:
        return degenerate("features are constant")
    b = features.x @ features.mean - features.mean @ features.mean
    along = np.bincount(classes.codes, b, minlength=classes.c)
    inner = 2.0 * (within + 2.0 * float(classes.counts @ along))
    kernel = float(np.vdot(gram, gram) + 2.0 * n * (b @ b))
    m = 2.0 * float(classes.counts @ classes.counts) / n**2 - 1.0
    return Score(inner / (np.sqrt(kernel) * n * np.sqrt((1.0 - m) * (1.0 + m))))
