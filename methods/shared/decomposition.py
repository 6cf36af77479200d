"""Singular value decompositions of rows, from their inner products where these are trusted, else from the rows."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from methods.metering import shared

# Eigenvalues of a Gram below this share of the largest are good to fewer than seven digits: rows are decomposed then.
TRUSTED = 1e-8


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


def from_gram(gram: np.ndarray, d: int, floor: float = 0.0, most: int | None = None) -> Factorisation:
    """The factorisation of rows in d dimensions from their inner products (n, n).

    floor  least singular value; most: only so many of the largest
    """
    if most is None:
        values, vectors = linalg.eigh(gram, driver="evd", check_finite=False)
    else:
        values, vectors = _largest(gram, most)
    values, vectors = values[::-1], vectors[:, ::-1]
    # Squared singular values: the relative threshold on s becomes the one that a Gram can resolve.
    least = max(max(values[0], 0.0) * max(len(gram), d) * np.finfo(float).eps, floor**2)
    keep = int(np.count_nonzero(values > least))
    return Factorisation(np.ascontiguousarray(vectors[:, :keep]), np.sqrt(values[:keep]))


def trusted(found: Factorisation, rank: int) -> bool:
    """Whether a Gram's factorisation has the rank of rows in general position, and holds every direction well."""
    return found.rank >= rank and (rank == 0 or found.s[rank - 1] ** 2 > TRUSTED * found.s[0] ** 2)


def _largest(square: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest eigenvalues, ascending, of a symmetric matrix (n, n), and their vectors (n, k).

    By its tridiagonal form, whose reflections are undone on k vectors alone; eigh's own choice of k eigenvalues
    bisects, which takes as long as all of them.
    """
    n, lapack = len(square), linalg.lapack
    reduced, diagonal, beside, tau, _ = lapack.dsytrd(square, lower=1, lwork=int(lapack.dsytrd_lwork(n, lower=1)[0]))
    values, vectors = linalg.eigh_tridiagonal(
        diagonal, beside, select="i", select_range=(n - k, n - 1), lapack_driver="stemr", check_finite=False
    )
    reflections = np.asfortranarray(reduced[1:, :-1])
    vectors[1:] = lapack.dormqr("L", "N", reflections, tau, vectors[1:], lwork=64 * k)[0]
    return values, vectors


def from_rows(x: np.ndarray, floor: float = 0.0) -> Factorisation:
    """The factorisation of rows (n, d) themselves; floor: least singular value."""
    n, d = x.shape
    if n <= d:  # the triangle of its transpose has the same left vectors and values
        x = linalg.qr(x.T, mode="r", check_finite=False)[0][:n].T
    u, s, _ = linalg.svd(x, full_matrices=False, check_finite=False)
    keep = int(np.count_nonzero(s > max(s[0] * max(n, d) * np.finfo(float).eps, floor)))
    return Factorisation(np.ascontiguousarray(u[:, :keep]), s[:keep])
