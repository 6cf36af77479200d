"""H-score, plain and shrunk: how much of the features' variance lies between classes, whitened."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from methods.shared.capabilities import estimator
from methods.shared.checks import choice
from methods.shared.labels import class_index, multilabel
from methods.shared.linalg import PCA, Features, class_sums, reduced
from methods.shared.score import Score, degenerate, insufficient, not_applicable

FULL = 1e-6  # reciprocal condition number above which columns are independent beyond doubt
RCOND = 1e-5  # of the released pseudo-inverse: variances below this share of the largest are dropped


@estimator(
    invariant=("rotation", "scale", "translation", "linear", "columns"),
    cost="O(n r)",
    source="Bao et al., ICIP 2019, arXiv 2212.10082",
)
def hscore(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    compat: str | None = None,
) -> Score:
    """H-score: tr(cov(F)^+ cov(E[F|y])), the sum of squared canonical correlations with the classes.

    features     (n, d); any invertible linear map of them gives the same score
    labels       class ids (n,); multi-label is not applicable
    n_dims, pca  principal components kept first: the way out where n <= d + 1; the paper uses 32
    compat       "stable_transfer": the trace of the elementwise product, as released by
                 google-research/stable_transfer, with its pseudo-inverse, which drops variances below 1e-5
                 of the largest; exceeds the bound and depends on the basis
    returns      sum_c ||sum of U over class c||² / n_c, U the left singular vectors of the centred
                 features; in [0, min(c - 1, rank)], higher predicts better
    Cost of the shared factorisation, or of one QR where n > d + 1, then O(n r). Deterministic. Needs two
    classes. Degenerate for features in general position with n <= d + 1: the value is c - 1 for every model (the
    release returns rounding noise there), and for constant features (0).
    Source: Bao et al., ICIP 2019, arXiv 2212.10082.
    """
    choice("compat", compat, (None, "stable_transfer"))
    features = reduced(features, n_dims, pca)
    if multilabel(labels):
        return not_applicable("hscore takes one label an image")
    codes, counts = class_index(labels, features.n)
    if len(counts) < 2:
        return insufficient("needs at least two classes; got one")
    if compat:
        return Score(_elementwise(features, codes, counts))
    vacuous = f"n = {features.n} images in general position in d = {features.d} dimensions: any labels fit"
    if features.interpolates:
        return degenerate(vacuous, float(len(counts) - 1))
    sums = whitened_sums(features, codes, len(counts))
    rank = sums.shape[1]
    if rank == 0:
        return degenerate("features are constant", 0.0)
    value = float((np.einsum("cr,cr->c", sums, sums) / counts).sum())
    value = min(value, float(min(len(counts) - 1, rank)))  # above by rounding only
    # Repeated rows lower the rank, yet distinct rows in general position still fit whatever labels they have.
    if features.n <= features.d + 1 and rank >= len(np.unique(features.first_equal)) - 1:
        return degenerate(vacuous, value)
    return Score(value)


@estimator(
    invariant=("rotation", "scale", "translation"),
    cost="O(n r)",
    source="Ibrahim et al., ECML-PKDD 2022, arXiv 2110.06893",
)
def shrunk_hscore(
    features: ArrayLike | Features, labels: ArrayLike, n_dims: int | None = None, pca: PCA = "randomised"
) -> Score:
    """H-score with the covariance shrunk towards a multiple of the identity by Ledoit and Wolf's rule.

    features     (n, d); rotations, translations and a common scale leave the score alone
    labels       class ids (n,); multi-label is not applicable
    n_dims, pca  principal components kept first; null keeps the features, n < d is fine
    returns      (1-a) tr(S_a^-1 S_B), S_a = (1-a) S + a tr(S)/d I, a the Ledoit-Wolf intensity of the
                 centred features, S with 1/n, S_B the covariance of class means with 1/(n-1);
                 at least 0, higher predicts better
    Exact in the factorisation's r dimensions: no d × d matrix. Cost O(n r) after it. Deterministic.
    Needs two classes. Degenerate where the shrinkage is complete (the score is then 0).
    Source: Ibrahim, Ponomareva and Mazumder, ECML-PKDD 2022, arXiv 2110.06893.
    """
    features = reduced(features, n_dims, pca)
    if multilabel(labels):
        return not_applicable("shrunk_hscore takes one label an image")
    codes, counts = class_index(labels, features.n)
    if len(counts) < 2:
        return insufficient("needs at least two classes; got one")
    n, spectrum = features.n, features.centred.s**2 / features.n
    intensity = ledoit_wolf(features)
    if intensity >= 1.0:
        return degenerate("the covariance is shrunk to a multiple of the identity", 0.0)
    sums = class_sums(features.centred.R, codes, len(counts))
    between = np.einsum("cr,cr,c->r", sums, sums, 1.0 / counts) / (n - 1)
    shrunk = (1 - intensity) * spectrum + intensity * spectrum.sum() / features.d
    return Score(float((1 - intensity) * (between / shrunk).sum()))


def whitened_sums(features: Features, codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Class sums (n_classes, rank) of U, or of another orthonormal basis of the centred features' columns.

    Columns that are far from dependent need no decomposition: with X = Q R, the sums of Q are those of X times R^-1.
    """
    if features.n > features.d + 1 and features.sd.any():
        x = (features.x - features.mean)[:, features.sd > 0]
        triangle = np.linalg.qr(x, mode="r")
        if linalg.lapack.dtrcon(triangle)[0] > FULL:
            return linalg.solve_triangular(triangle, class_sums(x, codes, n_classes).T, trans="T", check_finite=False).T
    return class_sums(features.centred.U, codes, n_classes)


def ledoit_wolf(features: Features) -> float:
    """Intensity a in [0, 1] with which the covariance of the features shrinks towards tr(S)/d · I.

    Ledoit and Wolf, J. Multivariate Analysis 2004, from the spectrum and the row norms alone; 1 where the
    covariance is a multiple of the identity already, or zero.
    """
    n, d = features.n, features.d
    spectrum = features.centred.s**2 / n
    distance = (spectrum @ spectrum) / d - (spectrum.sum() / d) ** 2  # of S to its target, squared, / d
    if distance <= 1e-14 * (spectrum @ spectrum) / d:
        return 1.0
    fourth = np.einsum("nr,nr->n", features.centred.R, features.centred.R) ** 2
    noise = (fourth.sum() / n - spectrum @ spectrum) / (n * d)
    return float(np.clip(noise / distance, 0.0, 1.0))


def _elementwise(features: Features, codes: np.ndarray, counts: np.ndarray) -> float:
    """sum_j (cov(F)^+)_jj (cov(E[F|y]))_jj, the factors n - 1 cancelling: no d × d matrix is built."""
    means = features.class_sums(codes, len(counts)) / counts[:, None] - features.mean
    keep = features.centred.s**2 > RCOND * features.centred.s[:1] ** 2
    directions = (features.x - features.mean).T @ features.centred.U[:, keep] / features.centred.s[keep] ** 2
    return float(counts @ means**2 @ (directions**2).sum(axis=1))
