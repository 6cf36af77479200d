"""VCI: how far has the variability within classes collapsed?"""

import numpy as np
from numpy.typing import ArrayLike

from methods.hscore import hscore
from methods.shared.capabilities import estimator
from methods.shared.classes import read_classes
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.score import Score, degenerate


@estimator(
    labels=("single",),
    invariant=("rotation", "scale", "translation", "linear", "columns"),
    cost="O(n r + c² r)",
    source="Xu and Liu, ICML 2023, arXiv 2306.03440",
)
def vci(features: ArrayLike | Features, labels: ArrayLike, n_dims: int | None = None, pca: PCA = "randomised") -> Score:
    """1 - VCI, the variability collapse index turned round: the H-score over its bound.

    features     (n, d); any invertible linear map of them gives the same score
    labels       class ids (n,); multi-label is not applicable
    n_dims, pca  principal components kept first: the way out where n <= d + 1
    returns      tr(S_T^+ S_B)/rank(S_B), in [0, 1]: 1 where classes have collapsed to their means; higher
                 predicts better. The published index is 1 less this
    Cost of `hscore`, and the rank of the class means. Deterministic. Needs two classes. Degenerate as
    `hscore` is: 1 for every model where n <= d + 1, and for constant features.
    Source: Xu and Liu, ICML 2023, arXiv 2306.03440.
    """
    features = reduced(features, n_dims, pca)
    classes = read_classes("vci", labels, features.n)
    if isinstance(classes, Score):
        return classes
    if features.centred.rank == 0:
        return degenerate("features are constant", 0.0)
    whole = hscore(features, labels)
    if not whole.ok:
        return degenerate(whole.reason, float(whole) / min(classes.c - 1, features.centred.rank))
    # Whitened class means, in units where a direction that separates perfectly has length 1.
    sums = classes.sums(features.centred.U) / np.sqrt(classes.counts)[:, None]
    lengths = np.linalg.svd(sums, compute_uv=False)[: classes.c - 1]
    rank = int(np.count_nonzero(lengths > 1e-10))
    if rank == 0:
        return degenerate("all classes have the same mean", 0.0)
    return Score(min(float(whole) / rank, 1.0))
