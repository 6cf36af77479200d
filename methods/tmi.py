"""TMI: how much do the features still vary within a class?"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from methods.shared.capabilities import estimator
from methods.shared.checks import whole
from methods.shared.classes import read_classes
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.score import Score, degenerate, insufficient


@estimator(
    labels=("single",),
    invariant=("translation",),
    min_samples=3,
    min_per_class=2,
    cost="O(sum of n_c² d)",
    source="Xu and Kang, ICCV 2023, arXiv 2308.05986",
    deviates={"monotone": "it looks at the spread within classes, not between them"},
)
def tmi(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    k: int = 3,
    floor: float = 1.0,
) -> Score:
    """Mean over classes of the share-weighted entropy of their features, by nearest neighbours.

    features     (n, d); translations leave the score alone. Scale and width do not: d multiplies everything,
                 so that architectures of different widths are ranked by it
    labels       class ids (n,); multi-label is not applicable
    n_dims, pca  principal components kept first
    k            neighbour that the distance is taken to; at most n_c - 1 in a class
    floor        least distance, above 0: where features are small it takes the place of all distances
    returns      (1/c) sum_c n_c/n · h_c, in nats; higher predicts better (the authors' sign)

    h_c = psi(n_c) - psi(k) + d/n_c sum_i ln(2 max(rho_i, floor)), rho_i the distance of image i to the k-th
    nearest of its class in the maximum norm (Kozachenko and Leonenko). A class of one image adds 0.
    Cost O(sum n_c² d). Deterministic. Needs two classes, one with two images. Degenerate where every
    distance is at the floor.
    Source: Xu and Kang, ICCV 2023, arXiv 2308.05986. Released code fails for classes of at most k images.
    """
    from scipy.spatial import distance

    k = whole("k", k)
    if not floor > 0:
        raise ValueError(f"floor must be above 0. Got {floor!r}.")
    features = reduced(features, n_dims, pca)
    classes = read_classes("tmi", labels, features.n)
    if isinstance(classes, Score):
        return classes
    if classes.counts.max() == 1:
        return insufficient("needs a class with two images; every image has its own")
    total, floored, small = 0.0, 0, 0
    for members in classes.members():
        count = len(members)
        if count == 1:
            continue
        nearest = min(k, count - 1)
        small += nearest < k
        gaps = distance.squareform(distance.pdist(features.x[members], "chebyshev"))
        rho = np.partition(gaps, nearest, axis=1)[:, nearest]  # 0 is the image itself
        floored += int((rho <= floor).sum())
        logs = np.log(2.0 * np.maximum(rho, floor)).sum()
        entropy = special.digamma(count) - special.digamma(nearest) + features.d / count * logs
        total += count / features.n * entropy
    value = total / classes.c
    if floored == classes.counts[classes.counts > 1].sum():
        return degenerate(f"every distance within a class is below the floor of {floor:g}", value)
    return Score(value, reason=f"{small} classes have at most k = {k} images" if small else "")
