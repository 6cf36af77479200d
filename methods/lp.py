"""LP: do an image's neighbours carry its label, in the linear projection that was fitted for just that?"""

import warnings

import numpy as np
from numpy.typing import ArrayLike

from methods.knn import knn
from methods.shared.capabilities import estimator
from methods.shared.checks import whole
from methods.shared.classes import read_classes
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.score import Score, degenerate, insufficient


@estimator(
    labels=("single",),
    invariant=("rotation", "translation"),
    min_samples=6,
    cost="O(steps · n² dims + steps · n r dims): a tenth of a second and more",
    source="Juodelyte et al. 2024, arXiv 2412.20172",
)
def lp(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    dims: int = 50,
    k: int = 5,
    steps: int = 50,
) -> Score:
    """Share of the true class among the nearest images, an image itself among them, after neighbourhood components.

    features     (n, d); rotations and translations leave the score alone, a scale does not
    labels       class ids (n,); multi-label is not applicable
    n_dims, pca  principal components kept first
    dims         of the projection, at most the features' rank
    k            votes an image: its own, and those of its k - 1 nearest others; at least 2
    steps        of L-BFGS, at most, as in scikit-learn
    returns      mean over images of the share of k votes that its class gets, in [1/k, 1]; higher predicts better

    The projection A (dims, d) maximises, from the first principal components on, the sum of the probabilities
    that an image picks one of its class, p_ij ~ exp(-||A x_i - A x_j||²), j != i: neighbourhood component
    analysis. It is fitted to the images that it is then judged by, so that more features than images make the
    score high whatever the labels are: compare models at one n, and of much the same d.
    Neighbours that tie share their votes, so that the order of the images does not matter. With more than `dims`
    classes the release starts from discriminants instead of principal components.
    Cost O(n² dims + n r dims) a step. Deterministic. Needs two classes and k + 1 images. Degenerate where
    features are constant.
    Source: Juodelyte et al. 2024, arXiv 2412.20172; Goldberger et al., NeurIPS 2004.
    """
    dims, k, steps = whole("dims", dims), whole("k", k, least=2), whole("steps", steps)
    features = reduced(features, n_dims, pca)
    classes = read_classes("lp", labels, features.n)
    if isinstance(classes, Score):
        return classes
    if features.n <= k:
        return insufficient(f"k = {k} votes of {features.n} images")
    if features.centred.rank == 0:
        return degenerate("features are constant")
    found = knn(Features(projected(features, classes.codes, dims, steps)), classes.codes, k=k - 1, vote="soft")
    if not found.ok:
        return degenerate(f"projected {found.reason}")
    return Score((1.0 + (k - 1) * float(found) / 100.0) / k)


def projected(features: Features, codes: np.ndarray, dims: int, steps: int) -> np.ndarray:
    """Rows (n, dims) after neighbourhood component analysis, equal where the features are."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neighbors import NeighborhoodComponentsAnalysis

    rows = features.centred.R  # whose first columns are the principal components
    analysis = NeighborhoodComponentsAnalysis(min(dims, rows.shape[1]), init="identity", max_iter=steps)
    with warnings.catch_warnings():
        for category in (ConvergenceWarning, UserWarning):  # steps are a parameter; labels are classes, however many
            warnings.simplefilter("ignore", category)
        found = analysis.fit(rows, codes).transform(rows)
    return np.asarray(found)[features.first_equal]
