"""What the estimators share: one probe's factorisations, Gram matrices, distances, ranks and projections.

Shape letters: n images, d features, c target classes, r numerical rank.
"""

from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import blas

from methods.metering import once, shared
from methods.shared.checks import choice
from methods.shared.decomposition import Factorisation, from_gram, from_rows, trusted
from methods.shared.distances import sq_distances
from methods.shared.ranks import Ranks, average_ranks, condensed, inverse_norms

PCA = Literal["randomised", "exact"]
Signs = Literal["loadings", "scores"]

# Numbers at the end of a computation that differ by less than this share of their size are the same number: what is
# decided by comparing them (a best class, a best penalty, a range over models) must not go by rounding.
SAME = 1e-9

# A row's variance below this share of its squares has lost digits to the subtraction of its mean: it comes first then.
CANCELLED = 1e-3

# Above so many images, an (n, n) matrix that few methods need is not kept: 10,000 fit in 4 GB.
KEEP = 4096


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

    def has(self, name: str) -> bool:
        """Whether a shared quantity is there already."""
        return name in self.__dict__

    @shared
    def x(self) -> np.ndarray:
        return np.asarray(self.given, dtype=np.float64).view()

    @shared
    def first_equal(self) -> np.ndarray:
        """Index (n,) of the first row that equals each: its own where none before it does."""
        seen: dict[bytes, int] = {}
        return np.array([seen.setdefault(row.tobytes(), i) for i, row in enumerate(self.given)])

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
        """Squared Euclidean distances (n, n), exactly 0 between equal rows; made afresh from the centred Gram."""
        return sq_distances(self.x, self.centred_gram)

    @shared
    def centred(self) -> Factorisation:
        """Of the centred features; rank is at most n - 1."""
        found = from_gram(self.centred_gram, self.d, self.rounding) if self.n <= self.d else None
        # The mean takes one direction, whose eigenvalue is rounding.
        if found is None or not trusted(found, self.n - 1):
            found = from_rows(self.x - self.mean, self.rounding)
        # The mean takes one direction: what the decomposition finds there is rounding.
        keep = min(found.rank, self.n - 1)
        return Factorisation(self._alike(found.U[:, :keep]), found.s[:keep])

    @property
    def rounding(self) -> float:
        """Largest singular value that subtracting the mean may leave behind, without any direction in the features."""
        return 8 * np.finfo(float).eps * np.sqrt(self.n) * float(np.linalg.norm(self.mean))

    def leading(self, k: int) -> Factorisation:
        """The first min(k, rank) vectors and values of `centred`, without the others where that is less work.

        Whether `centred` is there already does not matter: its last bits are others, and a score must not depend on
        what was computed before it.
        """
        found = from_gram(self.centred_gram, self.d, self.rounding, k) if self.n <= self.d and 3 * k <= self.n else None
        if found is None or not trusted(found, k):
            return Factorisation(self.centred.U[:, :k], self.centred.s[:k])
        return Factorisation(self._alike(found.U), found.s)

    @shared
    def uncentred(self) -> Factorisation:
        """Of the features as they are."""
        found = from_gram(self.gram, self.d) if self.n <= self.d else None
        if found is None or not trusted(found, self.n):
            found = from_rows(self.x)
        return Factorisation(self._alike(found.U), found.s)

    def _alike(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, m) computed from the features, equal to the bit where the features are: products leave rounding."""
        first = self.first_equal
        return rows if (first == np.arange(self.n)).all() else rows[first]

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
        z = self._z_scored
        gram, sums = z @ z.T, z.sum(axis=1)
        # A row at the mean keeps the rounding of the subtraction, which is no direction.
        moved = self.sd > 0
        rounding = 8 * np.finfo(float).eps * (1.0 + np.abs(self.mean[moved]) / self.sd[moved])
        lost = gram.diagonal() <= rounding @ rounding
        gram[lost], gram[:, lost], sums[lost] = 0.0, 0.0, 0.0
        return gram, sums

    @property
    def _z_scored(self) -> np.ndarray:
        z = self.x - self.mean
        z /= np.where(self.sd > 0, self.sd, 1.0)
        z[:, self.sd == 0] = 0.0
        return z

    @shared
    def correlation_ranks(self) -> Ranks:
        """Ranks of 1 - Pearson correlation between the rows of the z-scored features."""
        gram, sums = self.standardised_gram
        squares = gram.diagonal().copy()
        covariance = gram.copy() if self.n <= KEEP else gram
        # In place: covariance -= sums sums^T / d (symmetric, so that its transpose is the same matrix).
        blas.dger(-1.0 / self.d, sums, sums, a=covariance.T, overwrite_a=1)
        own = covariance.diagonal().copy()
        scale, undefined = inverse_norms(own, squares)
        if (own[scale > 0] < CANCELLED * squares[scale > 0]).any():
            rows = self._z_scored
            rows[scale == 0] = 0.0
            rows -= rows.mean(axis=1, keepdims=True)
            covariance = rows @ rows.T
            scale = np.where(scale > 0, 1.0 / np.sqrt(np.where(scale > 0, covariance.diagonal(), 1.0)), 0.0)
        covariance *= -scale[:, None]
        covariance *= scale
        distances = condensed(covariance)
        del gram, covariance
        return average_ranks(distances, undefined=undefined)

    @shared
    def cosine_ranks(self) -> Ranks:
        """Ranks of 1 - cosine between the rows of the z-scored features.

        The correlations with numerators and variances averaged over every choice of the columns' signs: over those, the
        product of two rows' means is sum_k z_ik z_jk / d², which leaves (1 - 1/d) of the inner product.
        """
        gram, _ = self.standardised_gram
        scale, undefined = inverse_norms(gram.diagonal(), gram.diagonal())
        return average_ranks(condensed(gram * -scale[:, None] * scale), undefined=undefined)

    def pca(self, n_dims: int, kind: PCA = "randomised", signs: Signs = "loadings") -> "Features":
        """The first min(n_dims, n, d) principal components, as Features of their own, kept per n_dims.

        kind   randomised  the paper's solver in float64: a random projection (scikit-learn's, ten dimensions more
                           than asked for, random_state=1919) after one power iteration; what is rounding is 0
               exact       the shared factorisation truncated, each column with a positive third moment; at
                           most `centred.rank` columns
        signs  of the randomised solver's components, which are arbitrary, yet PARC and RSA see them.
               loadings    the largest entry of a component over the d features is positive (scikit-learn since 1.5);
                           of equally large ones the first
               scores      the largest entry over the n images is positive (scikit-learn up to 1.4, the paper's time)
        """
        if isinstance(n_dims, bool) or int(n_dims) != n_dims or n_dims < 1:
            raise ValueError(f"n_dims must be a whole number of at least 1, or null. Got {n_dims!r}.")
        choice("pca", kind, ("randomised", "exact"))
        choice("signs", signs, ("loadings", "scores"))
        dims = min(int(n_dims), self.n, self.d)
        project = self._exact if kind == "exact" else partial(self._randomised, signs=signs)
        return once(self, f"pca {kind} {dims} {signs}", lambda: Features(project(dims)))

    def _exact(self, dims: int) -> np.ndarray:
        if not self.centred.rank:  # constant features have no component at all: one column of zeros stands for them
            return np.zeros((self.n, 1))
        s = self.centred.s
        dims = min(dims, int(np.count_nonzero(s > s[0] * np.sqrt(max(self.n, self.d) * np.finfo(float).eps))))
        rows = self.centred.R[:, :dims]
        # A component's sign is arbitrary, yet PARC's correlation of rows sees it: the longer tail points up, and
        # where neither is longer by more than rounding, the first of the largest entries.
        cubes = rows**3
        skew = cubes.sum(axis=0)
        even = np.abs(skew) <= SAME * np.abs(cubes).sum(axis=0)
        return rows * np.where(even, largest_first(rows), np.sign(skew))

    def _randomised(self, dims: int, signs: Signs) -> np.ndarray:
        if not self.sd.any() or self.n == 1:
            return np.zeros((self.n, dims))
        from sklearn.utils.extmath import randomized_svd

        # Orthonormal between the steps: the same subspace, of which float64 then holds every direction.
        u, s, vt = randomized_svd(
            self.x - self.mean, dims, n_iter=1, power_iteration_normalizer="QR", flip_sign=False, random_state=1919
        )
        # Directions that the features do not have come out as rounding, which z-scoring would blow up.
        s = np.where(s > s[0] * np.sqrt(max(self.n, self.d) * np.finfo(float).eps), s, 0.0)
        return self._alike(u * (s * largest_first(vt.T if signs == "loadings" else u)))

    def class_sums(self, codes: np.ndarray, n_classes: int) -> np.ndarray:
        """Sum of the feature rows of each class (n_classes, d); zeros for a class without a row."""
        return class_sums(self.x, codes, n_classes)


def as_features(x: "ArrayLike | Features") -> Features:
    """x itself where it is Features already, else wrapped."""
    return x if isinstance(x, Features) else Features(x)


def reduced(
    x: "ArrayLike | Features", n_dims: int | None, pca: PCA = "randomised", signs: Signs = "loadings"
) -> Features:
    """x as Features, projected to n_dims principal components unless that is None."""
    features = as_features(x)
    return features if n_dims is None else features.pca(n_dims, pca, signs)


def largest_first(columns: np.ndarray) -> np.ndarray:
    """Sign (k,) of each column's entry of largest size; of those that are as large but for rounding, the first."""
    sizes = np.abs(columns)
    at = np.argmax(sizes >= (1.0 - SAME) * sizes.max(axis=0), axis=0)
    return np.where(columns[at, np.arange(columns.shape[1])] < 0, -1.0, 1.0)


def class_sums(rows: np.ndarray, codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Sum of the rows (n, m) of each class (n_classes, m); zeros for a class without a row."""
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    out = np.zeros((n_classes, rows.shape[1]))
    out[present] = np.add.reduceat(rows[order], starts, axis=0)
    return out
