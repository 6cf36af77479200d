"""NCTI: how near to neural collapse are the features on the target already?"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, special

from methods.lda import Within
from methods.shared.capabilities import estimator
from methods.shared.checks import whole
from methods.shared.classes import Classes, read_classes
from methods.shared.linalg import Features, as_features
from methods.shared.score import Score, degenerate, insufficient

WEIGHTS = {"ncc": 1.0, "seli": 1.0, "vc": -1.0}
FLOOR = 1e-10
TOLERANCE = 1e-4  # least singular value of a standardised direction within classes that is kept


@estimator(
    labels=("single",),
    invariant=("rotation", "translation"),
    min_samples=3,
    cost="O(n k² + n k c), k = n_dims",
    source="Wang et al., ICCV 2023",
    bank=WEIGHTS,
)
def ncti(features: ArrayLike | Features, labels: ArrayLike, n_dims: int = 64) -> Score:
    """Neural-collapse-informed transferability index: three parts, to be normalised over a bank of models.

    features  (n, d); rotations and translations leave the parts alone
    labels    class ids (n,); multi-label is not applicable
    n_dims    principal components, exact, that the discriminant sees; at most the rank
    returns   ncc + seli - vc of the parts as they are, which ranks models poorly: over a bank,
              `methods.shared.bank.finished` moves each part to [0, 1] first, as the published index does; higher
              predicts better. Nuclear norms grow as sqrt(n): compare at equal n only
    parts     ncc   mean posterior of the true class under LDA on the same images, in [0, 1]
              seli  nuclear norm of the centred LDA projection (n, min(c-1, n_dims))
              vc    ln of the sum over classes of the nuclear norms of their images' posteriors

    Shrinkage t = max(exp(-sum of the 32 largest variances), 1e-10). At the floor LDA whitens by the
    within-class covariance with 1/(n-c) without shrinkage, and drops directions whose standardised spread
    is below 1e-4; above it, S_W and S_T (1/n) are shrunk by t. The switch makes a jump in the features'
    scale. Both are scikit-learn's discriminant as of 2023; later versions whiten with 1/n.
    Cost O(n k² + n k c), k = n_dims. Deterministic. Needs two classes and more images than classes.
    Degenerate where features are constant, or classes have no spread.
    Source: Wang et al., ICCV 2023, "How far pre-trained models are from neural collapse on the target
    dataset informs their transferability". A later copy adds vc instead of subtracting it.
    """
    n_dims = whole("n_dims", n_dims)
    features = as_features(features)
    classes = read_classes("ncti", labels, features.n)
    if isinstance(classes, Score):
        return classes
    if features.n <= classes.c:
        return insufficient(f"needs more images than classes; got {features.n} images of {classes.c} classes")
    found = features.leading(n_dims)
    if found.rank == 0:
        return degenerate("features are constant")
    rows = found.R
    shrinkage = max(float(np.exp(-(found.s[:32] ** 2).sum() / (features.n - 1))), FLOOR)
    own = Within(rows, classes, rows.shape[1])
    if own.trace <= 1e-24 * float(found.s @ found.s) / features.n:
        return degenerate("the images of each class have the same features")
    fitted = whitened(own) if shrinkage == FLOOR else shrunk(own, shrinkage)
    if fitted is None:
        return degenerate("no direction has a spread within classes")
    projection, logits = fitted
    projection = projection - projection.mean(axis=0)
    posteriors = special.softmax(logits, axis=1)
    parts = {
        "ncc": float(classes.own(posteriors).mean()),
        "seli": _nuclear(projection),
        "vc": float(np.log(_nuclear_by_class(posteriors, classes))),
    }
    value = sum(weight * parts[name] for name, weight in WEIGHTS.items())
    return Score(value, reason="parts not yet normalised over a bank", parts=parts)


def shrunk(own: Within, t: float) -> tuple[np.ndarray, np.ndarray]:
    """LDA with both covariances shrunk by t: projection (n, min(c-1, k)) and discriminants (n, c)."""
    n, k = own.rows.shape
    diagonal = np.diag_indices(k)
    scatter = (1.0 - t) * own.covariance
    scatter[diagonal] += t * own.trace / k
    total = own.rows.T @ own.rows / n  # the rows are centred
    between = (1.0 - t) * (total - own.covariance)
    between[diagonal] += t * (np.trace(total) - own.trace) / k
    _, vectors = linalg.eigh(between, scatter)
    return own.rows @ vectors[:, ::-1][:, : min(own.classes.c - 1, k)], own.logits(t)


def whitened(own: Within) -> tuple[np.ndarray, np.ndarray] | None:
    """LDA without shrinkage in the directions that classes spread in: projection and discriminants.

    None where there is no such direction.
    """
    classes, n = own.classes, len(own.rows)
    sd = np.sqrt(own.covariance.diagonal())
    sd = np.where(sd > 0, sd, 1.0)
    _, s, vt = np.linalg.svd(own.residuals / sd / np.sqrt(n - classes.c), full_matrices=False)
    keep = s > TOLERANCE
    if not keep.any():
        return None
    scaling = (vt[keep] / sd).T / s[keep]
    means = own.means @ scaling
    _, s, vt = np.linalg.svd(np.sqrt(classes.counts / (classes.c - 1))[:, None] * means, full_matrices=False)
    turn = vt[s > TOLERANCE * s[0]].T
    rows, means = own.rows @ scaling @ turn, means @ turn
    logits = rows @ means.T - 0.5 * np.einsum("ck,ck->c", means, means) + np.log(classes.priors)
    return rows[:, : classes.c - 1], logits


def _nuclear_by_class(rows: np.ndarray, classes: Classes) -> float:
    """Sum over classes of the nuclear norm of their rows of a matrix (n, m), classes of one size at once."""
    total, members = 0.0, classes.members()
    for size in np.unique(classes.counts):
        alike = np.stack([rows[own] for own in members if len(own) == size])
        total += float(np.linalg.svd(alike, compute_uv=False).sum())
    return total


def _nuclear(matrix: np.ndarray) -> float:
    """Sum of the singular values; those of a wide matrix are its transpose's."""
    return float(np.linalg.svd(matrix, compute_uv=False).sum())
