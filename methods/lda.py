"""LDA: how sure is a linear discriminant, fitted to the probe, of the probe's own labels?"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, special

from methods.shared.capabilities import estimator
from methods.shared.checks import choice
from methods.shared.classes import Classes, read_classes
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.score import Score, degenerate, insufficient

Shrinkage = Literal["reference", "ledoit-wolf"] | float

FLOOR = 1e-10  # of the published shrinkage rule
SATURATED = 1e-9  # a mean posterior this close to 1 ranks no models


@dataclass(frozen=True)
class Within:
    """Pooled within-class covariance of rows (n, r), with 1/n, in whatever basis the rows come in.

    d  width of the features before rotation: the trace is spread over d directions, not over r
    """

    rows: np.ndarray
    classes: Classes
    d: int

    @cached_property
    def means(self) -> np.ndarray:
        """Class means (c, r)."""
        return self.classes.means(self.rows)

    @cached_property
    def residuals(self) -> np.ndarray:
        """Rows less their class mean (n, r)."""
        return self.rows - self.means[self.classes.codes]

    @cached_property
    def covariance(self) -> np.ndarray:
        return self.residuals.T @ self.residuals / len(self.rows)

    @cached_property
    def trace(self) -> float:
        return float(np.trace(self.covariance))

    def logits(self, intensity: float) -> np.ndarray:
        """Discriminants (n, c) x^T M mu_c - ½ mu_c^T M mu_c + ln pi_c, M the inverse of the shrunk covariance.

        M^-1 = (1-a) S_W + a tr(S_W)/d I. Raises LinAlgError where that is singular to rounding.
        """
        if intensity == 0.0 and np.linalg.matrix_rank(self.residuals) < len(self.covariance):
            raise linalg.LinAlgError("the residuals do not span all dimensions")
        shrunk = (1.0 - intensity) * self.covariance
        shrunk[np.diag_indices_from(shrunk)] += intensity * self.trace / self.d
        largest = shrunk.diagonal().max()
        factor = linalg.cholesky(shrunk, lower=True, overwrite_a=True, check_finite=False)
        if factor.diagonal().min() ** 2 <= 4 * np.finfo(float).eps * largest:
            raise linalg.LinAlgError("a pivot is rounding")
        coefficients = linalg.cho_solve((factor, True), self.means.T, check_finite=False)
        offsets = 0.5 * np.einsum("cr,rc->c", self.means, coefficients)
        return self.rows @ coefficients - offsets + np.log(self.classes.priors)

    def intensity(self, rule: Shrinkage) -> float:
        """Shrinkage a in [0, 1]: a number as given, or by a rule (see `lda`)."""
        if rule == "reference":
            return published_intensity(self.largest())
        if rule == "ledoit-wolf":
            return self.ledoit_wolf()
        return float(rule)

    def largest(self) -> float:
        """Largest eigenvalue of the covariance, exact as far as the published rule can tell."""
        bound = float(self.covariance.diagonal().max())
        if published_intensity(bound) == FLOOR:
            return bound  # the eigenvalue is at least that, and the rule at its floor already
        last = len(self.covariance) - 1
        return float(linalg.eigh(self.covariance, eigvals_only=True, subset_by_index=[last, last])[0])

    def ledoit_wolf(self) -> float:
        """Ledoit and Wolf's intensity for the residuals, towards tr(S_W)/d I; 1 for a multiple of the identity."""
        n, squares = len(self.rows), float(np.vdot(self.covariance, self.covariance))
        distance = squares / self.d - (self.trace / self.d) ** 2
        if distance <= 1e-14 * squares / self.d:
            return 1.0
        fourth = np.einsum("nr,nr->n", self.residuals, self.residuals) ** 2
        noise = (float(fourth.sum()) / n - squares) / (n * self.d)
        return float(np.clip(noise / distance, 0.0, 1.0))


def published_intensity(largest: float) -> float:
    """max(exp(-5 λ), 1e-10), λ the largest eigenvalue of the within-class covariance: SFDA's released rule."""
    return max(float(np.exp(-5.0 * largest)), FLOOR)


def shrinkage_checked(value: Shrinkage) -> None:
    """ValueError unless value is a rule's name or a number in [0, 1]."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"shrinkage must be in [0, 1], or a rule's name. Got {value!r}.")
        return
    choice("shrinkage", value, ("reference", "ledoit-wolf"))


def within(features: Features, classes: Classes) -> Within | Score:
    """The within-class covariance in the features' row space, or the status of features that have none."""
    if features.centred.rank == 0:
        return degenerate("features are constant")
    own = Within(features.centred.R, classes, features.d)
    # Residuals of repeated rows are rounding of the means, whose size the total gives.
    if own.trace <= 1e-24 * float(features.centred.s @ features.centred.s) / features.n:
        return degenerate("the images of each class have the same features")
    return own


@estimator(
    labels=("single",),
    invariant=("rotation", "translation"),
    cost="O(n r² + r³ + n r c)",
    source="Shao et al., ECCV 2022, arXiv 2207.03036, first pass; Gholami et al., ICCV 2023, arXiv 2308.02027",
)
def lda(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    shrinkage: Shrinkage = "reference",
    log: bool = False,
    loo: bool = False,
) -> Score:
    """Mean posterior of the true class under linear discriminant analysis with a shrunk covariance.

    features     (n, d); rotations and translations leave the score alone. A common scale does so with
                 shrinkage="ledoit-wolf" or a number
    labels       class ids (n,); multi-label is not applicable
    n_dims, pca  principal components kept first
    shrinkage    of S_W (1/n) towards tr(S_W)/d · I. reference: a = max(exp(-5 λ), 1e-10), λ its largest
                 eigenvalue, as SFDA releases it (falls with the features' scale, from 1 to nothing);
                 ledoit-wolf: their intensity for the within-class residuals; or a in [0, 1]
    log          mean log posterior, in nats, instead
    loo          leave-one-out, exact: means, priors and covariance without the image itself, a kept. An
                 image alone in its class has posterior 0 then (log: left out); the reason says how many
    returns      mean over images of p(y_i | x_i), in [0, 1]; higher predicts better

    delta_c(x) = x^T M mu_c - ½ mu_c^T M mu_c + ln pi_c, M = ((1-a) S_W + a tr(S_W)/d I)^-1,
    p = softmax(delta). One Cholesky in the row space instead of a d × d generalised eigenproblem.
    Cost O(n r² + r³/3 + n r c); loo adds an eigendecomposition. Deterministic. Needs two classes.
    Degenerate where every image is certain of its class (n <= d with little shrinkage: all models tie at
    1), where classes have no spread, or the covariance is singular with shrinkage=0.
    Source: SFDA's first pass (Shao et al., ECCV 2022); ETran's classification term as its paper has it
    (Gholami et al., ICCV 2023). ETran's release computes `ncc` under this name.
    """
    shrinkage_checked(shrinkage)
    features = reduced(features, n_dims, pca)
    classes = read_classes("lda", labels, features.n)
    if isinstance(classes, Score):
        return classes
    own = within(features, classes)
    if isinstance(own, Score):
        return own
    intensity = own.intensity(shrinkage)
    try:
        logits = left_out(own, intensity) if loo else own.logits(intensity)
    except linalg.LinAlgError:
        return degenerate("the within-class covariance is singular; raise shrinkage")
    return posterior_score(logits, classes, log, loo)


def posterior_score(logits: np.ndarray, classes: Classes, log: bool, loo: bool = False) -> Score:
    """Mean (log) posterior of the true class from logits (n, c), with the statuses that go with it.

    loo  logits are leave-one-out: an image alone in its class has no own class to be given to
    """
    own = classes.own(special.log_softmax(logits, axis=1))
    alone = np.zeros(classes.n, dtype=bool)
    if loo:
        alone = classes.counts[classes.codes] == 1
    if alone.all():
        return insufficient("leave-one-out needs a class with two images; every image has its own")
    remark = f"{alone.sum()} images alone in their class" if alone.any() else ""
    mean = float(own[~alone].mean()) if log else float(np.where(alone, 0.0, np.exp(own)).mean())
    certain = float(np.exp(own[~alone]).mean())
    if not np.isfinite(mean):
        return degenerate("an image gives its own class no probability at all")
    if certain >= 1.0 - SATURATED:
        return degenerate("every image is certain of its own class", mean)
    return Score(mean, reason=remark)


def left_out(own: Within, intensity: float) -> np.ndarray:
    """Discriminants (n, c) of each image under means, priors and covariance fitted without it; exact.

    With e = x_i - mu_{y_i} and n_y images in its class, leaving it out moves the class's mean to
    mu - e/(n_y - 1), and takes n_y/(n_y - 1) e e^T from the scatter. In the eigenbasis of S_W what is to be
    inverted is a diagonal, which depends on i through the trace alone, less one rank: Sherman and Morrison.
    An image alone in its class takes nothing from the scatter, and its class is gone (logit -inf).
    """
    classes, n = own.classes, len(own.rows)
    values, basis = linalg.eigh(own.covariance, driver="evd")
    values = np.maximum(values, 0.0)
    rows, means, e = own.rows @ basis, own.means @ basis, own.residuals @ basis
    counts = classes.counts[classes.codes].astype(np.float64)
    alone = counts == 1
    others = np.where(alone, 1.0, counts - 1.0)
    taken = np.where(alone, 0.0, counts / others)
    squares = np.einsum("nr,nr->n", e, e)
    ridge = intensity * (n * own.trace - taken * squares) / (n - 1) / own.d
    if (1.0 - intensity) * values[0] * n / (n - 1) + ridge.min() <= 0:
        raise linalg.LinAlgError("singular")
    inverse = 1.0 / ((1.0 - intensity) * values * n / (n - 1) + ridge[:, None])  # (n, r)
    weight = (1.0 - intensity) * taken / (n - 1)
    bend = weight / (1.0 - weight * np.einsum("nr,nr->n", e**2, inverse))
    # Squared distances (x - mu_c)^T M_i (x - mu_c), M_i = D + bend · D e e^T D, to means that keep image i.
    scaled, pull = rows * inverse, e * inverse
    along = np.einsum("nr,nr->n", rows, pull)[:, None] - pull @ means.T
    distances = np.einsum("nr,nr->n", rows, scaled)[:, None] - 2.0 * scaled @ means.T + inverse @ (means**2).T
    distances += bend[:, None] * along**2
    # To its own class's mean without it, x - mu = n_y/(n_y - 1) · e.
    length = np.einsum("nr,nr->n", e, pull)
    mine = (counts / others) ** 2 * (length + bend * length**2)
    distances[np.arange(n), classes.codes] = np.where(alone, np.inf, mine)
    priors = np.broadcast_to(classes.counts, (n, classes.c)).astype(np.float64)
    priors[np.arange(n), classes.codes] = np.where(alone, 1.0, others)
    return np.log(priors / (n - 1)) - 0.5 * distances
