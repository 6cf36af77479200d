"""N-LEEP: LEEP with the clusters of a Gaussian mixture in place of source classes."""

import warnings
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from methods.leep import leep
from methods.shared.capabilities import estimator
from methods.shared.checks import choice, whole
from methods.shared.classes import Classes, read_classes
from methods.shared.linalg import Features, as_features
from methods.shared.score import Score, degenerate, insufficient

Covariance = Literal["auto", "full", "tied", "diag", "spherical"]


@estimator(
    labels=("single",),
    invariant=("rotation", "translation"),
    deterministic=False,
    min_samples=10,
    cost="O(iterations · n K k), K components in k dimensions; full covariance k times as much",
    source="Li et al., CVPR 2021, arXiv 2011.11200",
)
def nleep(
    features: ArrayLike | Features,
    labels: ArrayLike,
    seed: int = 0,
    components: int | None = None,
    variance: float = 0.8,
    covariance: Covariance = "auto",
    n_init: int = 1,
    compat: str | None = None,
) -> Score:
    """LEEP on the posteriors of a Gaussian mixture fitted to the features' principal components.

    features    (n, d); rotations and translations leave the score alone
    labels      class ids (n,); multi-label is not applicable
    seed        of the mixture's start. The order of images and the signs of components do not matter: both
                are brought to a standard form first
    components  of the mixture, K; null: min(5c, n // 5)
    variance    share that the principal components keep (exact PCA, the fewest that exceed it)
    covariance  of each component; auto: full where K k <= n, for k dimensions, else diag
    n_init      starts, of which the likeliest is kept
    compat      "sfda": K = 5c, full covariance, and no log: in [0, 1]. "stable_transfer": K = 5c, full.
                "pactran": K = max(min(c, n // 5), n // 10), full. Their seeds are not fixed, or are their own
    returns     mean over images of ln sum_z p(y_i|z) p(z|x_i), in nats, at most 0; higher predicts better

    Cost O(iterations · n K k) for diag, k times as much for full; by far the slowest of the classic scores.
    Needs two classes and K <= n images, 10 at least. Degenerate where features are constant.
    Source: Li et al., "Ranking Neural Checkpoints", CVPR 2021, arXiv 2011.11200; no official code. Scikit-
    learn's GaussianMixture with its defaults (tolerance 1e-3, 100 steps, 1e-6 on the diagonal).
    """
    choice("compat", compat, (None, "sfda", "stable_transfer", "pactran"))
    choice("covariance", covariance, ("auto", "full", "tied", "diag", "spherical"))
    if not 0.0 < variance <= 1.0:
        raise ValueError(f"variance must be a share above 0 and at most 1. Got {variance!r}.")
    features = as_features(features)
    classes = read_classes("nleep", labels, features.n)
    if isinstance(classes, Score):
        return classes
    n = features.n
    if n < 10:
        return insufficient(f"needs at least ten images; got {n}")
    if features.centred.rank == 0:
        return degenerate("features are constant")
    k = _components(classes, None if components is None else whole("components", components), compat)
    if k > n:
        return insufficient(f"K = {k} components of {n} images")
    rows = kept(features, variance)
    kind = covariance if covariance != "auto" else ("full" if compat or k * rows.shape[1] <= n else "diag")
    posteriors = mixture(rows, k, kind, whole("n_init", n_init), whole("seed", seed, least=0))
    score = leep(posteriors, classes.codes, compat="sfda" if compat == "sfda" else None)
    return score if compat == "sfda" else Score(min(score, 0.0))  # above by rounding only


def _components(classes: Classes, given: int | None, compat: str | None) -> int:
    if given is not None:
        return given
    if compat == "pactran":
        return max(min(classes.c, classes.n // 5), classes.n // 10)
    return 5 * classes.c if compat else max(2, min(5 * classes.c, classes.n // 5))


def kept(features: Features, variance: float) -> np.ndarray:
    """The fewest principal components (n, k) whose share of the variance exceeds `variance`."""
    shares = np.cumsum(features.centred.s**2)
    shares /= shares[-1]
    k = min(int(np.searchsorted(shares, variance, side="right")) + 1, features.centred.rank)
    return features.centred.R[:, :k]


def mixture(rows: np.ndarray, components: int, covariance: str, n_init: int, seed: int) -> np.ndarray:
    """Posteriors (n, K) of a Gaussian mixture; alike for any order of the rows and sign of the columns."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    signs = np.sign((rows**3).sum(axis=0))
    rows = rows * np.where(signs == 0, 1.0, signs)
    order = np.lexsort(rows.T[::-1])
    model = GaussianMixture(components, covariance_type=covariance, n_init=n_init, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its defaults are the published protocol
        posteriors = model.fit(rows[order]).predict_proba(rows[order])
    out = np.empty_like(posteriors)
    out[order] = posteriors
    return out
