"""NCC: how sure is a nearest-centroid classifier, fitted to the probe, of the probe's own labels?"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from methods.lda import posterior_score
from methods.shared.capabilities import estimator
from methods.shared.classes import read_classes
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.score import Score, degenerate


@estimator(
    labels=("single",),
    invariant=("rotation", "translation"),
    cost="O(n r c)",
    source="Gholami et al., ICCV 2023, arXiv 2308.02027, as released",
)
def ncc(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    temperature: float | Literal["within"] = 1.0,
    log: bool = False,
    loo: bool = False,
) -> Score:
    """Mean posterior of the true class when classes are equal spheres around their means.

    features     (n, d); rotations and translations leave the score alone; a common scale does so with
                 temperature="within"
    labels       class ids (n,); multi-label is not applicable
    n_dims, pca  principal components kept first
    temperature  variance of the spheres. 1 is what ETran releases as its LDA; the score then follows the
                 features' scale, from the mean prior to 1. within: the mean within-class variance of a
                 dimension, tr(S_W)/d, which is its maximum-likelihood value
    log          mean log posterior, in nats, instead
    loo          leave-one-out, exact: own mean and priors without the image itself, the temperature kept.
                 An image alone in its class has posterior 0 then (log: left out)
    returns      mean over images of softmax_c(-½ ||x_i - mu_c||²/temperature + ln pi_c) at y_i, in [0, 1];
                 higher predicts better
    Cost O(n r c). Deterministic. Needs two classes. Degenerate where every image is certain of its class,
    and where features are constant (the value is the mean prior).
    Source: Gholami et al., ICCV 2023. Their release means LDA, but hands a matrix that is not symmetric to a
    solver for symmetric ones, whose eigenvectors are orthonormal: the metric is then the identity.
    """
    positive = isinstance(temperature, int | float) and not isinstance(temperature, bool) and temperature > 0
    if not (positive or temperature == "within"):
        raise ValueError(f"temperature must be a number above 0, or 'within'. Got {temperature!r}.")
    features = reduced(features, n_dims, pca)
    classes = read_classes("ncc", labels, features.n)
    if isinstance(classes, Score):
        return classes
    n, rows = features.n, features.centred.R
    means = classes.means(rows)
    residuals = rows - means[classes.codes]
    own = np.einsum("nr,nr->n", residuals, residuals)
    squares = np.einsum("nr,nr->n", rows, rows)[:, None] + np.einsum("cr,cr->c", means, means)
    distances = np.maximum(squares - 2.0 * rows @ means.T, 0.0)
    variance = own.sum() / n / features.d if temperature == "within" else float(temperature)
    priors = np.broadcast_to(classes.counts / n, distances.shape)
    mine = np.arange(n), classes.codes
    distances[mine] = own
    if features.centred.rank == 0:
        value = float(classes.priors @ classes.priors)
        return degenerate("features are constant", float(classes.priors @ np.log(classes.priors)) if log else value)
    if temperature == "within" and own.sum() <= 1e-24 * float(features.centred.s @ features.centred.s):
        return degenerate("the images of each class have the same features")
    if loo:
        counts = classes.counts[classes.codes].astype(np.float64)
        others = np.where(counts > 1, counts - 1.0, np.nan)
        distances[mine] = np.where(counts > 1, (counts / others) ** 2 * own, np.inf)
        priors = priors * n / (n - 1)
        priors[mine] = np.where(counts > 1, others / (n - 1), 1.0)
    return posterior_score(np.log(priors) - 0.5 * distances / variance, classes, log, loo)
