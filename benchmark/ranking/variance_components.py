"""A linear model whose coefficients come in blocks, each drawn around zero with a variance of its own.

y = X b + e, b of block k ~ N(0, v_k), e ~ N(0, v_e). The variances are those under which y is likeliest; a block that
does not help ends near zero, and its coefficients with it. Everything enters as sums over rows (`Sums`), so that
leaving a group of rows out is a subtraction. Letters: n rows, q columns, k blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PRIOR_SPREAD = 2.0  # standard deviation of a log variance around the log of the one expected beforehand
LOWEST, HIGHEST = np.log(1e-6), np.log(1e3)  # limits of log variances: beyond, nothing changes but the condition


@dataclass(frozen=True)
class Sums:
    """What a fit needs of rows: X'X (q, q), X'y (q,), y'y, and the rows that are left beside fitted means."""

    gram: np.ndarray
    moment: np.ndarray
    energy: float
    rows: float

    @classmethod
    def of(cls, X: np.ndarray, y: np.ndarray, means: int = 0) -> Sums:
        """Of X (n, q) and y (n,), from which `means` means were taken out (restricted likelihood)."""
        return cls(X.T @ X, X.T @ y, float(y @ y), len(y) - means)

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.gram + other.gram, self.moment + other.moment, self.energy + other.energy, self.rows + other.rows
        )

    def __sub__(self, other: Sums) -> Sums:
        return Sums(
            self.gram - other.gram, self.moment - other.moment, self.energy - other.energy, self.rows - other.rows
        )


@dataclass(frozen=True)
class Posterior:
    """Coefficients (q,) with their covariance (q, q), given the variances of the blocks (k,) and of the noise."""

    mean: np.ndarray
    covariance: np.ndarray
    variances: np.ndarray
    noise: float


def fit(sums: Sums, blocks: np.ndarray, expected: np.ndarray, noise: float) -> Posterior:
    """Variances by maximum (restricted) likelihood, then the coefficients' posterior. Deterministic, float64.

    blocks    (q,) the block of each column, 0 to k - 1
    expected  (k,) variances expected beforehand, `noise` of the noise: log-normal priors of PRIOR_SPREAD, wide enough
              to give way to data, and what holds where there are none
    -2 log likelihood = n ln v_e + ln|Λ| + (y'y - c'b)/v_e up to a constant, with Λ = I + V^½ X'X V^½ / v_e, c = X'y,
    b = V^½ Λ⁻¹ V^½ c / v_e, V the columns' variances. O(q³) a step of L-BFGS.
    """
    from scipy import optimize
    from scipy.linalg import lapack

    k, q = len(expected), len(blocks)
    centre = np.log(np.append(expected, noise))
    sizes = np.bincount(blocks, minlength=k)

    def solved(log_v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        v = np.exp(log_v)
        d = np.sqrt(v[blocks])
        inner = d[:, None] * sums.gram * d / v[-1]
        inner[np.diag_indices(q)] += 1.0
        factor, _ = lapack.dpotrf(inner, lower=1)  # positive definite by construction: no eigenvalue is below 1
        inverse = np.tril(lapack.dpotri(factor, lower=1)[0])
        covariance = d[:, None] * (inverse + np.tril(inverse, -1).T) * d
        return v, covariance, covariance @ sums.moment / v[-1], 2.0 * float(np.log(factor.diagonal()).sum())

    def objective(log_v: np.ndarray) -> tuple[float, np.ndarray]:
        v, covariance, mean, log_det = solved(log_v)
        explained = float(sums.moment @ mean)
        residual = sums.energy - 2.0 * explained + float(mean @ sums.gram @ mean)
        value = sums.rows * log_v[-1] + log_det + (sums.energy - explained) / v[-1]
        diagonal = covariance.diagonal()
        gradient = np.empty(k + 1)
        gradient[:k] = sizes - np.bincount(blocks, diagonal + mean**2, minlength=k) / v[:k]
        gradient[k] = sums.rows - q + float((diagonal / v[blocks]).sum()) - residual / v[-1]
        away = (log_v - centre) / PRIOR_SPREAD
        return value + float(away @ away), gradient + 2.0 * away / PRIOR_SPREAD

    bounds, options = [(LOWEST, HIGHEST)] * (k + 1), {"maxiter": 200, "ftol": 1e-11, "gtol": 1e-6}
    found = optimize.minimize(objective, centre, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    v, covariance, mean, _ = solved(found.x)
    return Posterior(mean, covariance, v[:k], float(v[-1]))
