"""LogME: the evidence of a Bayesian linear model from features to labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.checks import choice
from methods.shared.labels import class_index, multi_hot, multilabel
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.score import Score, degenerate, insufficient

LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Released:
    """How a released fixed-point code stops: relative change of alpha/beta, and what a column starts from."""

    tolerance: float
    warm: bool  # alpha, beta carried over from the column before


RELEASED = {
    "logme": Released(tolerance=1e-3, warm=False),
    "stable_transfer": Released(tolerance=1e-2, warm=False),
    "transformer_ranker": Released(tolerance=1e-3, warm=True),
}


@estimator(
    labels=("single", "multi", "regression"),
    invariant=("rotation", "scale"),
    cost="O(n r + r c) a step",
    source="You et al., ICML 2021, arXiv 2102.11005",
)
def logme(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    regression: bool = False,
    compat: str | None = None,
) -> Score:
    """Maximised log evidence per image of t ~ N(F w, I/beta), w ~ N(0, I/alpha), mean over label columns.

    features     (n, d), not centred; rotations, a common scale and added zero columns change nothing
    labels       class ids (n,) (one 0/1 column a class present), multi-hot (n, c) (columns without a
                 positive are dropped), or, with regression, real targets (n,) or (n, t), standardised here
                 (compat: taken as they are, as released; the evidence then depends on their unit)
    n_dims, pca  principal components kept first
    compat       the number of a released fixed-point code: "logme" (thuml/LogME), "stable_transfer",
                 "transformer_ranker". Eleven steps, 1e-5 added to denominators, and d/2 ln(alpha) beside a
                 log-determinant over min(n, d) values: for n < d off by (d-n)/(2n) ln(alpha), which ranks
                 models by their width
    returns      nats per image; higher predicts better. Not bounded

    With q = alpha/beta, F = U diag(s) V^T, z = U^T t, the best beta at a given q is n / Q(q),
    Q = sum z² q/(q+s²) + ||t||² - ||z||², and
    evidence/n = -½ ( ln 2pi + 1 + ln(Q/n) + 1/n sum ln(1 + s²/q) ),
    a function of ln q alone: maximised over a grid and refined by safeguarded Newton steps, all columns at
    once. It may be best at q -> 0 (interpolation) or q -> infinity (no signal); the limit is returned.
    Cost of the shared factorisation (uncentred), then O(n r + r c) a step. Deterministic. Needs two
    classes. Degenerate where features of less than full row rank reproduce a column exactly (the evidence
    is unbounded; the residual is held at 1e-12 of the column), or are constant or all zero.
    Source: You et al., ICML 2021, arXiv 2102.11005; JMLR 2022, arXiv 2110.10545.
    """
    choice("compat", compat, (None, *RELEASED))
    features = reduced(features, n_dims, pca)
    targets = _targets(labels, features.n, regression, standardised=not compat)
    if isinstance(targets, Score):
        return targets
    if features.uncentred.rank == 0:
        return degenerate("features are all zero")
    if compat:
        return Score(_released(features, targets, RELEASED[compat]))
    squares, z2, rest, exact = _projected(features, targets)
    value = float(_maximised(squares, z2, rest, features.n).mean())
    if not features.sd.any():
        return degenerate("features are constant", value)
    if exact:
        return degenerate(f"features reproduce {exact} of {len(rest)} label columns exactly", value)
    return Score(value)


def _targets(labels: ArrayLike, n: int, regression: bool, standardised: bool) -> np.ndarray | Score:
    if regression:
        t = np.asarray(labels, dtype=np.float64)
        t = t[:, None] if t.ndim == 1 else t
        if t.ndim != 2 or len(t) != n or not np.isfinite(t).all():
            raise ValueError(f"labels must be finite real targets ({n},) or ({n}, t). Got shape {t.shape}.")
        centred = t - t.mean(axis=0)
        sd = centred.std(axis=0)
        if not sd.any():
            return insufficient("needs a target that varies")
        return centred[:, sd > 0] / sd[sd > 0] if standardised else t
    if not multilabel(labels):
        _, counts = class_index(labels, n)
        if len(counts) < 2:
            return insufficient("needs at least two classes; got one")
    t = multi_hot(labels, n)
    t = t[:, t.any(axis=0)]
    return t if t.shape[1] else insufficient("needs a label with a positive")


def _projected(features: Features, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """s² (r,), z² (r, c), ||t||² - ||z||² (c,), and how many columns the features reproduce exactly."""
    own = features.uncentred
    z = own.U.T @ t
    norms = np.einsum("nc,nc->c", t, t)
    # A direction is known to about eps · s_1/s: what a column has along it by that alone is nothing, yet weighs 1/s².
    z[np.abs(z) <= 2 * np.finfo(float).eps * (own.s[0] / own.s)[:, None] * np.sqrt(norms)] = 0.0
    if own.rank == features.n:
        return own.s**2, z**2, np.zeros_like(norms), 0
    outside = t - own.U @ z  # by difference of vectors: ||t||² - ||z||² would cancel
    rest = np.einsum("nc,nc->c", outside, outside)
    floor = 1e-12 * norms
    return own.s**2, z**2, np.maximum(rest, floor), int((rest <= floor).sum())


def _maximised(squares: np.ndarray, z2: np.ndarray, rest: np.ndarray, n: int) -> np.ndarray:
    """Evidence per image of each column (c,), at its best q."""
    # Far outside the spectrum, below and above, the evidence has reached its limits.
    low, high = np.log(squares[-1]) - 35.0, np.log(squares[0]) + 35.0
    grid = np.linspace(low, high, 2 + int(high - low))
    shrunk = 1.0 / (1.0 + squares / np.exp(grid)[:, None])
    # Q relative to q, so that nothing underflows where q -> 0 and the rest is 0.
    loss = np.log(z2.T @ shrunk.T + rest[:, None]) - np.log(shrunk).sum(axis=1) / n
    best = np.argmin(loss, axis=1)
    inner = (best > 0) & (best < len(grid) - 1)
    at = grid[best]
    if inner.any():
        a, b = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
        at[inner] = _newton(squares, z2[:, inner], rest[inner], n, at[inner], a[inner], b[inner])
    shrunk = 1.0 / (1.0 + squares[:, None] / np.exp(at))
    loss = np.log(np.einsum("rc,rc->c", z2, shrunk) + rest) - np.log(shrunk).sum(axis=0) / n
    return -0.5 * (LOG_2PI + 1.0 - np.log(n) + loss)


def _newton(
    squares: np.ndarray, z2: np.ndarray, rest: np.ndarray, n: int, at: np.ndarray, a: np.ndarray, b: np.ndarray
) -> np.ndarray:
    """Where the loss is least in [a, b], per column: Newton on its slope in ln q, bisecting where it leaves."""
    for _ in range(60):
        w = 1.0 / (1.0 + squares[:, None] / np.exp(at))
        v = w * (1.0 - w)
        quad = np.einsum("rc,rc->c", z2, w) + rest
        first = np.einsum("rc,rc->c", z2, v) / quad
        second = np.einsum("rc,rc,rc->c", z2, v, 1.0 - 2.0 * w) / quad
        slope = first - (1.0 - w).sum(axis=0) / n
        curvature = second - first**2 + v.sum(axis=0) / n
        a, b = np.where(slope < 0, at, a), np.where(slope < 0, b, at)
        step = at - slope / np.where(curvature > 0, curvature, np.inf)
        inside = (curvature > 0) & (step >= a) & (step <= b)
        new = np.where(inside, step, 0.5 * (a + b))
        moved, at = np.abs(new - at).max(), new
        if moved < 1e-9:
            break
    return at


def _released(features: Features, t: np.ndarray, rule: Released) -> float:
    own, n, d = features.uncentred, features.n, features.d
    squares, z2 = own.s**2, (own.U.T @ t) ** 2
    norms = np.einsum("nc,nc->c", t, t)
    # Zero singular values up to min(n, d) are in the release's log-determinant, as alpha alone.
    zeros = min(n, d) - own.rank
    alpha = beta = 1.0
    evidences = []
    for z2_t, rest in zip(z2.T, norms - z2.sum(axis=0), strict=True):
        if not rule.warm:
            alpha = beta = 1.0
        for _ in range(11):
            q = alpha / beta
            gamma = (squares / (squares + q)).sum()
            m2 = (squares * z2_t / (q + squares) ** 2).sum()
            residual = (z2_t / (1 + squares / q) ** 2).sum() + rest
            alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (residual + 1e-5)
            log_det = np.log(alpha + beta * squares).sum() + zeros * np.log(alpha)
            twice = d * np.log(alpha) + n * np.log(beta) - n * LOG_2PI - beta * residual - alpha * m2 - log_det
            if abs(alpha / beta - q) / q <= rule.tolerance:
                break
        evidences.append(twice / (2 * n))
    return float(np.mean(evidences))
