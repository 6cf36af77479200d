"""SFDA: how well does a linear discriminant hold when each image is drawn towards the other classes?"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, special

from methods.lda import Shrinkage, Within, posterior_score, published_intensity, shrinkage_checked, within
from methods.shared.capabilities import estimator
from methods.shared.checks import choice
from methods.shared.classes import Classes, read_classes
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.score import Score, degenerate


@estimator(
    labels=("single",),
    invariant=("rotation", "translation"),
    cost="O(n r² + r³ + n r c), twice",
    source="Shao et al., ECCV 2022, arXiv 2207.03036",
)
def sfda(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    shrinkage: Shrinkage = "reference",
    double_softmax: bool = True,
    log: bool = False,
    compat: str | None = None,
) -> Score:
    """Self-challenging Fisher discriminant analysis: LDA's posterior after mixing in the other classes.

    features        (n, d); rotations and translations leave the score alone. A common scale does so with
                    shrinkage="ledoit-wolf" or a number
    labels          class ids (n,); multi-label is not applicable
    n_dims, pca     principal components kept first; the way out where n <= d saturates
    shrinkage       as in `lda`; what the first pass finds is kept for the second
    double_softmax  mix by softmax(softmax(delta)), as released, which caps the weight at e/(e + c - 1);
                    False mixes by the posterior itself
    log             mean log posterior, in nats (the paper's sum over n), instead of the mean (the release's)
    compat          "sfda": the largest eigenvalue by the release's three double power steps from the row
                    sums, in the features' own basis; a rotation then changes the score
    returns         mean over images of p(y_i | x_i) in the second pass, in [0, 1]; higher predicts better

    Pass 1: delta as in `lda`, q_i the weight of the true class. Each image becomes
    q_i x_i + (1 - q_i) · (mean of the other class means); pass 2 fits and scores those. The released
    generalised eigenproblem keeps all its eigenvectors, so that its metric is the inverse of the shrunk
    within-class covariance: two Cholesky factors in the row space give the same number.
    Cost O(n r² + r³/3 + n r c), twice. Deterministic. Needs two classes. Degenerate as `lda` is.
    Source: Shao et al., ECCV 2022, arXiv 2207.03036. The release overwrites the caller's features.
    """
    shrinkage_checked(shrinkage)
    choice("compat", compat, (None, "sfda"))
    features = reduced(features, n_dims, pca)
    classes = read_classes("sfda", labels, features.n)
    if isinstance(classes, Score):
        return classes
    first = within(features, classes)
    if isinstance(first, Score):
        return first
    if compat and shrinkage == "reference":
        intensity = published_intensity(power_steps(features, classes))
    else:
        intensity = first.intensity(shrinkage)
    try:
        second = Within(mixed(first, first.logits(intensity), double_softmax), classes, features.d)
        return posterior_score(second.logits(intensity), classes, log)
    except linalg.LinAlgError:
        return degenerate("the within-class covariance is singular; raise shrinkage")


def mixed(own: Within, logits: np.ndarray, double_softmax: bool) -> np.ndarray:
    """Rows (n, r) drawn towards the mean of the other class means, the less so the surer the image is."""
    classes = own.classes
    posterior = special.softmax(logits, axis=1)
    weight = classes.own(special.softmax(posterior, axis=1) if double_softmax else posterior)[:, None]
    others = (own.means.sum(axis=0) - own.means) / (classes.c - 1)
    return weight * own.rows + (1.0 - weight) * others[classes.codes]


def power_steps(features: Features, classes: Classes, steps: int = 3) -> float:
    """The release's estimate of the largest eigenvalue of S_W: x^T S_W y of two successive iterates."""
    residuals = features.x - classes.means(features.x)[classes.codes]

    def applied(v: np.ndarray) -> np.ndarray:
        return residuals.T @ (residuals @ v) / features.n

    x = applied(np.ones(features.d))
    y = x
    if not x.any():
        return 0.0
    for _ in range(steps):
        y = applied(x)
        y /= np.linalg.norm(y)
        x = applied(y)
        x /= np.linalg.norm(x)
    return float(x @ applied(y))
