"""What the estimators share: one probe's factorisations, Gram matrices, distances, ranks and projections.

Shape letters: n images, d features, c target classes, r numerical rank.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg
from scipy.linalg import blas

from methods.labels import class_index, multi_hot, multilabel
from methods.metering import once, shared

__all__ = [
    "KEEP",
    "PCA",
    "TIE",
    "Factorisation",
    "Features",
    "Ranks",
    "as_features",
    "average_ranks",
    "class_index",
    "class_sums",
    "condensed",
    "from_gram",
    "inverse_norms",
    "multi_hot",
    "multilabel",
    "reduced",
]

PCA = Literal["randomised", "exact"]

# Correlations of a float64 Gram are good to about 1e-14: what differs by less than this is a tie.
TIE = 1e-12

# Above so many images, an (n, n) matrix that few methods need is not kept: 10,000 fit in 4 GB.
KEEP = 4096


@dataclass(frozen=True)
class Factorisation:
    """Thin singular value decomposition without the right vectors: U (n, r), s (r,) descending, s > 0."""

    U: np.ndarray
    s: np.ndarray

    @property
    def rank(self) -> int:
        """How many singular values stand above rounding: s_i > s_1 · max(n, d) · eps."""
        return len(self.s)

    @shared
    def R(self) -> np.ndarray:  # noqa: N802 - the letter of the formulas
        """The features rotated into their own row space, U · s, (n, r)."""
        return self.U * self.s


@dataclass(frozen=True)
class Ranks:
    """Ranks of the n(n-1)/2 pairs in `condensed` order, 1-based, ties averaged; ddof = 0 deviation."""

    values: np.ndarray
    sd: float
    undefined: int  # rows without a direction, whose correlation with anything is taken as 0


class Features:
    """Features of a probe (n, d), with everything that several estimators need computed once, on first use.

    x        the array; any real dtype, finite; never written to
    given    the array as given; `x` is its float64 form, read-only
    Raises ValueError where x is not a finite real matrix with at least one row and column.
    """

    def __init__(self, x: ArrayLike) -> None:
        given = np.asarray(x)
        if given.ndim != 2 or 0 in given.shape:
            raise ValueError(f"features must be a matrix (n, d) with n, d >= 1. Got shape {given.shape}.")
        if given.dtype.kind not in "biuf":
            raise ValueError(f"features must be real numbers. Got dtype {given.dtype}.")
        if not np.isfinite(given).all():
            bad = int((~np.isfinite(given).all(axis=1)).sum())
            raise ValueError(f"features must be finite. Got NaN or infinity in {bad} of {len(given)} rows.")
        self.given = given
        self.n, self.d = given.shape

    @shared
    def x(self) -> np.ndarray:
        return np.asarray(self.given, dtype=np.float64).view()

    @shared
    def mean(self) -> np.ndarray:
        """Mean feature vector (d,); exactly the value of a column that is constant."""
        return self.x[0] + (self.x - self.x[0]).mean(axis=0)

    @shared
    def sd(self) -> np.ndarray:
        """Deviation of each column, ddof = 0, (d,); exactly 0 for a column that is constant up to rounding."""
        xc = self.x - self.mean
        sd = np.sqrt(np.einsum("nd,nd->d", xc, xc) / self.n)
        return np.where(sd > 8 * np.finfo(float).eps * np.abs(self.mean), sd, 0.0)

    @shared
    def centred_gram(self) -> np.ndarray:
        """Inner products of the centred rows (n, n)."""
        xc = self.x - self.mean
        return xc @ xc.T

    @shared
    def gram(self) -> np.ndarray:
        """Inner products of the rows as they are (n, n).

        The centred Gram plus its mean terms, a sum without cancellation, so that both cost one product.
        """
        with_mean = self.x @ self.mean - 0.5 * (self.mean @ self.mean)
        return self.centred_gram + with_mean[:, None] + with_mean

    @property
    def sq_distances(self) -> np.ndarray:
        """Squared Euclidean distances (n, n), clipped at 0, the diagonal 0; made afresh from the centred Gram."""
        norms = self.centred_gram.diagonal()
        out = self.centred_gram * -2.0
        out += norms[:, None]
        out += norms
        np.maximum(out, 0.0, out=out)
        np.fill_diagonal(out, 0.0)
        return out

    @shared
    def centred(self) -> Factorisation:
        """Of the centred features; rank is at most n - 1."""
        # Subtracting a mean leaves its rounding behind, which is not a direction of the features.
        floor = 8 * np.finfo(float).eps * np.sqrt(self.n) * float(np.linalg.norm(self.mean))
        found = (
            from_gram(self.centred_gram, self.d, floor) if self.n <= self.d else _from_rows(self.x - self.mean, floor)
        )
        # The mean takes one direction: what the decomposition finds there is rounding.
        keep = min(found.rank, self.n - 1)
        return Factorisation(found.U[:, :keep], found.s[:keep])

    @shared
    def uncentred(self) -> Factorisation:
        """Of the features as they are."""
        return from_gram(self.gram, self.d) if self.n <= self.d else _from_rows(self.x)

    @property
    def interpolates(self) -> bool:
        """Whether the rows are in general position with n <= d + 1: a linear map then fits any labels."""
        if self.n > self.d + 1:
            return False
        # Full row rank before centring means n - 1 after it: one decomposition answers for both.
        if "centred" not in self.__dict__ and self.n <= self.d and self.uncentred.rank == self.n:
            return True
        return self.centred.rank == self.n - 1

    @property
    def standardised_gram(self) -> tuple[np.ndarray, np.ndarray]:
        """Inner products (n, n) and row sums (n,) of the features with each column z-scored (ddof = 0).

        A constant column becomes zeros, as does a row at the mean. Kept up to n = KEEP, made afresh beyond;
        not to be written to.
        """
        return once(self, "_standardised", self._standardise) if self.n <= KEEP else self._standardise()

    def _standardise(self) -> tuple[np.ndarray, np.ndarray]:
        z = self.x - self.mean
        z /= np.where(self.sd > 0, self.sd, 1.0)
        z[:, self.sd == 0] = 0.0
        gram, sums = z @ z.T, z.sum(axis=1)
        # A row at the mean keeps the rounding of the subtraction, which is no direction.
        moved = self.sd > 0
        rounding = 8 * np.finfo(float).eps * (1.0 + np.abs(self.mean[moved]) / self.sd[moved])
        lost = gram.diagonal() <= rounding @ rounding
        gram[lost], gram[:, lost], sums[lost] = 0.0, 0.0, 0.0
        return gram, sums

    @shared
    def correlation_ranks(self) -> Ranks:
        """Ranks of 1 - Pearson correlation between the rows of the z-scored features."""
        gram, sums = self.standardised_gram
        squares = gram.diagonal().copy()
        covariance = gram.copy() if self.n <= KEEP else gram
        # In place: covariance -= sums sums^T / d (symmetric, so that its transpose is the same matrix).
        blas.dger(-1.0 / self.d, sums, sums, a=covariance.T, overwrite_a=1)
        scale, undefined = inverse_norms(covariance.diagonal().copy(), squares)
        covariance *= -scale[:, None]
        covariance *= scale
        distances = condensed(covariance)
        del gram, covariance
        return average_ranks(distances, undefined=undefined)

    def pca(self, n_dims: int, kind: PCA = "randomised") -> "Features":
        """The first min(n_dims, n, d) principal components, as Features of their own, kept per n_dims.

        kind  randomised  scikit-learn's PCA on the features as given (their dtype included), randomised
                          solver, iterated_power=1, random_state=1919: the paper's
              exact       the shared factorisation truncated, each column with a positive third moment; at
                          most `centred.rank` columns
        """
        if isinstance(n_dims, bool) or int(n_dims) != n_dims or n_dims < 1:
            raise ValueError(f"n_dims must be a whole number of at least 1, or null. Got {n_dims!r}.")
        if kind not in ("randomised", "exact"):
            raise ValueError(f"pca must be 'randomised' or 'exact'. Got {kind!r}.")
        dims = min(int(n_dims), self.n, self.d)
        project = self._exact if kind == "exact" else self._randomised
        return once(self, f"pca {kind} {dims}", lambda: Features(project(dims)))

    def _exact(self, dims: int) -> np.ndarray:
        if not self.centred.rank:  # constant features have no component at all: one column of zeros stands for them
            return np.zeros((self.n, 1))
        rows = self.centred.R[:, :dims]
        # A component's sign is arbitrary, yet PARC's correlation of rows sees it: the longer tail points up.
        return np.where((rows**3).sum(axis=0) < 0, -rows, rows)

    def _randomised(self, dims: int) -> np.ndarray:
        if not self.sd.any() or self.n == 1:
            return np.zeros((self.n, dims))
        from sklearn import decomposition

        given = self.given if self.given.dtype in (np.float32, np.float64) else self.x
        solver = decomposition.PCA(dims, svd_solver="randomized", iterated_power=1, random_state=1919)
        return solver.fit_transform(given)

    def class_sums(self, codes: np.ndarray, n_classes: int) -> np.ndarray:
        """Sum of the feature rows of each class (n_classes, d); zeros for a class without a row."""
        return class_sums(self.x, codes, n_classes)


def as_features(x: "ArrayLike | Features") -> Features:
    """x itself where it is Features already, else wrapped."""
    return x if isinstance(x, Features) else Features(x)


def reduced(x: "ArrayLike | Features", n_dims: int | None, pca: PCA = "randomised") -> Features:
    """x as Features, projected to n_dims principal components unless that is None."""
    features = as_features(x)
    return features if n_dims is None else features.pca(n_dims, pca)


def class_sums(rows: np.ndarray, codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Sum of the rows (n, m) of each class (n_classes, m); zeros for a class without a row."""
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    out = np.zeros((n_classes, rows.shape[1]))
    out[present] = np.add.reduceat(rows[order], starts, axis=0)
    return out


def condensed(square: np.ndarray) -> np.ndarray:
    """The entries above the diagonal, row by row, (n(n-1)/2,)."""
    n = len(square)
    out = np.empty(n * (n - 1) // 2, dtype=square.dtype)
    start = 0
    for i in range(n - 1):
        out[start : start + n - 1 - i] = square[i, i + 1 :]
        start += n - 1 - i
    return out


def average_ranks(values: np.ndarray, tie: float = TIE, undefined: int = 0) -> Ranks:
    """Ranks from 1 up, ties averaged; neighbours in order that differ by at most `tie` are tied.

    values  one-dimensional, of size about 1 (correlations): `tie` is absolute
    """
    order = np.argsort(values)
    same = np.diff(values[order]) <= tie
    ordered = np.arange(1.0, len(values) + 1)
    if same.any():
        # Runs of ties: members start..stop, counted from 0, whose ranks average (start + stop) / 2 + 1.
        start, stop = np.flatnonzero(np.diff(np.r_[False, same, False])).reshape(-1, 2).T
        tied = np.r_[same, False]
        tied[1:] |= same
        ordered[tied] = np.repeat((start + stop) / 2 + 1, stop - start + 1)
    ranks = np.empty(len(values))
    ranks[order] = ordered
    return Ranks(ranks, float(ranks.std()) if len(ranks) else 0.0, undefined)


def inverse_norms(own: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, int]:
    """1 / sqrt(own) (n,), 0 where that is rounding, and how many rows that befalls.

    own      squared norms of rows, from which something may have been subtracted
    squares  the squared norms before that: the scale that rounding is judged by
    """
    defined = own > 64 * np.finfo(float).eps * np.maximum(squares, 0.0)
    return np.where(defined, 1.0 / np.sqrt(np.where(defined, own, 1.0)), 0.0), int((~defined).sum())


def from_gram(gram: np.ndarray, d: int, floor: float = 0.0) -> Factorisation:
    """The factorisation of rows in d dimensions from their inner products (n, n); floor: least singular value."""
    values, vectors = linalg.eigh(gram, driver="evd", check_finite=False)
    values, vectors = values[::-1], vectors[:, ::-1]
    # Squared singular values: the relative threshold on s becomes the one that a Gram can resolve.
    least = max(max(values[0], 0.0) * max(len(gram), d) * np.finfo(float).eps, floor**2)
    keep = int(np.count_nonzero(values > least))
    return Factorisation(np.ascontiguousarray(vectors[:, :keep]), np.sqrt(values[:keep]))


def _from_rows(x: np.ndarray, floor: float = 0.0) -> Factorisation:
    u, s, _ = linalg.svd(x, full_matrices=False, check_finite=False)
    keep = int(np.count_nonzero(s > max(s[0] * max(x.shape) * np.finfo(float).eps, floor)))
    return Factorisation(np.ascontiguousarray(u[:, :keep]), s[:keep])
