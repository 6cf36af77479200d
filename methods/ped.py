"""PED: any estimator of features and labels, after the classes have pushed each other apart."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import applied, estimator, named
from methods.shared.checks import whole
from methods.shared.classes import Classes, read_classes
from methods.shared.distances import sq_distances
from methods.shared.linalg import Features, as_features
from methods.shared.score import Score, degenerate

LEAST_SD = 1e-3  # of a column that features are standardised by
TIME = 0.1  # of a step
STOP = 0.5  # share of the first step's displacement at which a step is dropped and the descent ends


@estimator(
    labels=("single",),
    cost="O(n d + steps · c² d), and that of the base on new features",
    source="Li et al., ICCV 2023, arXiv 2308.15074",
)
def ped(
    features: ArrayLike | Features,
    labels: ArrayLike,
    base: str | Callable[..., float] = "logme",
    parameters: Mapping[str, object] | None = None,
    nsig: float = 0.6,
    steps: int = 6,
    mean: ArrayLike | None = None,
    sd: ArrayLike | None = None,
) -> Score:
    """Potential energy descent: the base method's score after overlapping classes have moved apart.

    features    (n, d)
    labels      class ids (n,); multi-label is not applicable
    base        an estimator of features and labels: its name here, or a function
    parameters  of the base
    nsig        radii at which classes touch; the authors take 0.6 or 0.3
    steps       at most so many
    mean, sd    (d,) of the same model's features on a reference data set (the authors': ImageNet), by which
                features are standardised for the descent; null takes the target's own, a documented
                fallback, not the published protocol
    returns     the base's score on the moved features, in its unit; higher predicts better

    With standardised features, R_c = sqrt(sum_d var_cd) and F = max(nsig (R_a + R_b) - ||mu_a - mu_b||, 0),
    every two classes move apart along the line between their means by min(½ 0.1² F, F) each, at once;
    classes whose means coincide have no such line and stay. A step whose total displacement, the sum of
    |coordinates| over classes and features, is at most half of the first one's is dropped, and ends it.
    Images move with their class, so that the descent runs on class means alone; the standardisation is
    undone at the end.
    Cost O(n d + steps · c² d), and that of the base on new features. Deterministic where the base is. Needs
    two classes. Degenerate where features are constant, else where the base is.
    Source: Li et al., ICCV 2023, arXiv 2308.15074.
    """
    function = named(base)
    features = as_features(features)
    classes = read_classes("ped", labels, features.n)
    if isinstance(classes, Score):
        return classes
    if not features.sd.any():
        return degenerate("features are constant")
    centre = features.mean if mean is None else _vector("mean", mean, features.d)
    spread = np.maximum(features.sd if sd is None else _vector("sd", sd, features.d), LEAST_SD)
    standardised = (features.x - centre) / spread
    shifts = descended(standardised, classes, nsig, whole("steps", steps))
    moved = Features(features.x + shifts[classes.codes] * spread)
    return applied(function, moved, labels, parameters)


def descended(rows: np.ndarray, classes: Classes, nsig: float, steps: int) -> np.ndarray:
    """How far each class mean moves in all (c, d)."""
    means = start = classes.means(rows)
    radii = np.sqrt(classes.means((rows - means[classes.codes]) ** 2).sum(axis=1))
    reach = nsig * (radii[:, None] + radii)
    basis = None
    if rows.shape[1] > classes.c:
        # Classes move along lines between their means: c dimensions hold the whole descent.
        basis, turned = np.linalg.qr((means - means.mean(axis=0)).T)
        means = start = turned.T
    first = None
    for _ in range(steps):
        gaps = distances(means)
        force = np.maximum(reach - gaps, 0.0)
        pull = np.minimum(0.5 * TIME**2 * force, force)
        displacement = apart(means, pull, gaps)
        total = float(np.abs(displacement if basis is None else displacement @ basis.T).sum())
        first = total if first is None else first
        if first == 0.0 or (total < first and total <= STOP * first):
            break
        means = means + displacement
    return means - start if basis is None else (means - start) @ basis.T


def apart(means: np.ndarray, by: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Displacement (c, d) of means that move by `by` (c, c) away from each other one; together where it is below 0."""
    # Means closer than rounding have no direction between them.
    least = 1e-9 * max(float(np.abs(means).max()), np.finfo(float).tiny)
    weights = np.where(gaps > least, by / np.where(gaps > least, gaps, 1.0), 0.0)
    return weights.sum(axis=1)[:, None] * means - weights @ means


def distances(means: np.ndarray) -> np.ndarray:
    """Euclidean distances between means (c, c)."""
    centred = means - means.mean(axis=0)
    return np.sqrt(sq_distances(centred, centred @ centred.T))


def _vector(name: str, value: ArrayLike, d: int) -> np.ndarray:
    v = np.asarray(value, dtype=np.float64)
    if v.shape != (d,) or not np.isfinite(v).all():
        raise ValueError(f"{name} must be one finite number a feature, ({d},). Got shape {v.shape}.")
    return v
