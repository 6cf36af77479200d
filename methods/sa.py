"""SA: any estimator of features and labels, after images have spread and classes attracted each other."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from methods.ped import apart, distances
from methods.shared.capabilities import applied, estimator, named
from methods.shared.checks import choice
from methods.shared.classes import Classes, read_classes
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.score import Score, degenerate

GATE = 1e-9


@estimator(
    labels=("single",),
    invariant=("rotation",),
    cost="O(n k + c² k), k = n_dims, and that of the base in k dimensions",
    source="Khoba et al., WACV 2025, arXiv 2502.16471",
    deviates={"monotone": "the gate opens where classes are far apart, and the score falls there"},
)
def sa(
    features: ArrayLike | Features,
    labels: ArrayLike,
    base: str | Callable[..., float] = "logme",
    parameters: Mapping[str, object] | None = None,
    n_dims: int | None = 64,
    pca: PCA = "exact",
    spread: float = 1.0,
    alpha: float = 0.005,
    sigma: float = 0.6,
    gate: bool = True,
    compat: str | None = None,
) -> Score:
    """Spread and attract: the base method's score on perturbed principal components.

    features     (n, d); rotations and translations leave the perturbed features alone up to a rotation
    labels       class ids (n,); multi-label is not applicable
    base         an estimator of features and labels: its name here, or a function
    parameters   of the base
    n_dims, pca  principal components that are perturbed (the authors': 64, randomised)
    spread       how far each image moves from its class mean; 0 for no spreading
    alpha        share of the attraction that is taken; sigma: radii within which classes repel instead
    gate         perturb only where exp(-5 · mean of the two largest variances) < 1e-9, else score the
                 features as they are; the reason says so
    compat       "sa": as released. Class means move apart where the text has them move together (alpha with
                 the other sign), of components by the randomised solver whatever `pca` says, and not of the
                 spread features but of those before, so that spreading does nothing
    returns      the base's score, in its unit; higher predicts better

    x <- x + spread (x - mu_c)/||x - mu_c||; then, at once for every two classes, their means move together
    by alpha (||mu_a - mu_b|| - sigma (R_a + R_b)) each, apart where that is negative, R_c the root of the
    summed variances of class c. Images move with their class.
    Cost O(n k + c² k), and that of the base. Deterministic where the base is. Needs two classes. Degenerate
    where features are constant, else where the base is.
    Source: Khoba et al., WACV 2025, arXiv 2502.16471.
    """
    choice("compat", compat, (None, "sa"))
    function = named(base)
    whole = reduced(features, None)
    classes = read_classes("sa", labels, whole.n)
    if isinstance(classes, Score):
        return classes
    if whole.centred.rank == 0:
        return degenerate("features are constant")
    if gate and np.exp(-5.0 * (whole.centred.s[:2] ** 2).sum() / 2 / (whole.n - 1)) >= GATE:
        score = applied(function, whole, labels, parameters)
        remark = "; ".join(filter(None, (score.reason, "variances too small: features left as they are")))
        return Score(score, score.status, remark, score.parts)
    if compat:
        pca, spread, alpha = "randomised", 0.0, -alpha
    rows = reduced(whole, n_dims, pca).x
    if spread:
        rows = spread_out(rows, classes, spread)
    return applied(function, Features(attracted(rows, classes, alpha, sigma)), labels, parameters)


def spread_out(rows: np.ndarray, classes: Classes, by: float) -> np.ndarray:
    """Rows (n, k), each moved by `by` from its class mean; a row on its mean stays."""
    residuals = rows - classes.means(rows)[classes.codes]
    lengths = np.linalg.norm(residuals, axis=1, keepdims=True)
    away = lengths > 1e-12 * np.abs(rows).max()
    return rows + by * np.where(away, residuals / np.where(away, lengths, 1.0), 0.0)


def attracted(rows: np.ndarray, classes: Classes, alpha: float, sigma: float) -> np.ndarray:
    """Rows (n, k) moved with their classes, whose means attract each other from further than their radii."""
    means = classes.means(rows)
    radii = np.sqrt(classes.means((rows - means[classes.codes]) ** 2).sum(axis=1))
    gaps = distances(means)
    nearer = alpha * (gaps - sigma * (radii[:, None] + radii))
    np.fill_diagonal(nearer, 0.0)
    return rows + apart(means, -nearer, gaps)[classes.codes]
