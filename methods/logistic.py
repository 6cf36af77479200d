"""Logistic probe: train a linear classifier on half of the probe, test it on the other half."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, special

from methods.shared.capabilities import estimator
from methods.shared.checks import choice
from methods.shared.decomposition import from_gram
from methods.shared.labels import class_index, multilabel
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.score import Score, degenerate, insufficient, not_applicable

LEVEL = 1e-6  # of logits that differ by less than this of their size: twenty steps of descent enlarge rounding


@estimator(
    ordered=True,
    min_samples=3,
    cost="O(20 n min(n, d) c)",
    source="Bolya et al., NeurIPS 2021, arXiv 2111.06977",
)
def logistic(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    compat: str | None = None,
) -> Score:
    """Accuracy, in percent, of multinomial logistic regression trained on the first half of the images.

    features     (n, d), as they are; the order of rows matters: the paper's probe deals its classes out in
                 rounds, so that both halves hold every class
    labels       class ids (n,); classes unseen in the first half count as errors; multi-label is not
                 applicable
    n_dims, pca  principal components kept first, of the whole probe
    compat       "scikit-learn": the tolerance as scikit-learn 1.4 and later read it, of the mean loss, not the
                 summed one: with many classes the first gradient is below it, and nothing is learnt
    returns      accuracy on the second half in [0, 100], classes that tie share it (compat: the
                 first has it); higher predicts better

    The first half of an odd number holds the image in the middle. The fit is the penalised one of
    scikit-learn's lbfgs with C = 1, at most 20 iterations, stopped where no entry of the summed loss's
    gradient exceeds 0.1, as the paper's version did, in the row space of the first half, where its steps are
    the same. That is still far from the minimum where each class has few images; the release under later
    versions stops earlier yet, after no step or one (compat). Classes that hold equal images keep equal weights.
    Deterministic. Cost O(20 n min(n, d) c). Needs two classes in the first half.
    Degenerate where features are constant.
    Source: Bolya et al., NeurIPS 2021, section 3 ("Logistic").
    """
    choice("compat", compat, (None, "scikit-learn"))
    features = reduced(features, n_dims, pca)
    if multilabel(labels):
        return not_applicable("logistic takes one label an image")
    codes, _ = class_index(labels, features.n)
    half = features.n - features.n // 2
    if len(np.unique(codes[:half])) < 2:
        return insufficient("needs at least two classes in the first half of the images")
    tolerance = 0.1 if compat else 0.1 / half
    classes, y = np.unique(codes[:half], return_inverse=True)
    space = _RowSpace.of(features.x[:half]) if features.n <= features.d else None
    rows = features.x[:half] if space is None else space.rows
    twins = _twins(features.first_equal[:half], y, len(classes))
    weights, offsets = _fitted(rows, y, len(classes), tolerance, space, twins)
    logits = features.x[half:] @ (weights if space is None else space.lifted(weights)) + offsets
    own = np.full(int(codes.max()) + 1, -1)
    own[classes] = np.arange(len(classes))
    value = 100.0 * _credit(logits, own[codes[half:]], shared=compat is None)
    # Two rows that differ answer that at once.
    varies = not np.allclose(features.x[0], features.x[-1]) or features.sd.any()
    return Score(value) if varies else degenerate("features are constant", value)


@dataclass(frozen=True)
class _RowSpace:
    """The rows that are trained on, in an orthonormal basis X^T D of their own row space: D D^T = (X X^T)^-1.

    The penalised weights never leave that space, and L-BFGS turns with the basis, whichever it is: the same steps in
    r dimensions. Where the rows are far from dependent their Gram matrix has a Cholesky factor, and D is its inverse,
    transposed, which takes no decomposition.
    """

    x: np.ndarray  # (half, d), the rows as they are
    rows: np.ndarray  # (half, r)
    dual: Callable[[np.ndarray], np.ndarray]  # D times a matrix (r, k)

    @classmethod
    def of(cls, x: np.ndarray) -> "_RowSpace":
        gram = x @ x.T
        try:
            lower = linalg.cholesky(gram, lower=True, check_finite=False)
        except linalg.LinAlgError:
            lower = np.zeros((1, 1))
        if lower.diagonal().min() ** 2 > 1e-9 * gram.diagonal().max():
            solve = partial(linalg.solve_triangular, lower, lower=True, trans="T", check_finite=False)
            return cls(x, lower, solve)
        own = from_gram(gram, x.shape[1])
        return cls(x, own.R, partial(np.matmul, own.U / own.s))

    def lifted(self, weights: np.ndarray) -> np.ndarray:
        """Weights (r, k) as those of the original columns (d, k)."""
        return self.x.T @ self.dual(weights)


def _twins(images: np.ndarray, y: np.ndarray, c: int) -> list[list[int]]:
    """Classes that hold the same images, each as often, in lists of two or more.

    images  which image (n,) each row shows
    """
    order = np.lexsort((images, y))
    alike: dict[bytes, list[int]] = {}
    for one, held in enumerate(np.split(images[order], np.cumsum(np.bincount(y, minlength=c))[:-1])):
        alike.setdefault(held.tobytes(), []).append(one)
    return [classes for classes in alike.values() if len(classes) > 1]


def _fitted(
    x: np.ndarray, y: np.ndarray, c: int, tolerance: float, space: _RowSpace | None, twins: list[list[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (r, k) and offsets (k,) of the penalised mean log-loss; k = 1 for two classes, else c.

    space  that the rows are in: the stopping rule looks at the gradient's largest entry in the original columns
    twins  classes whose weights are equal by symmetry. No step has a part along their difference but for rounding,
           so that L-BFGS never learns the curvature there, and each step, too long for it, would multiply the rounding
           (1e-16 to 1e-1 within the twenty): it is taken out wherever weights or a gradient are formed
    """
    from scipy import optimize

    n, r = x.shape
    k = 1 if c == 2 else c
    own = np.arange(n), y
    last: dict[str, np.ndarray] = {}

    def even(columns: np.ndarray) -> np.ndarray:
        if k == 1 and twins:  # the one column is the difference of two equal classes
            columns[:] = 0.0
        for classes in twins if k > 1 else []:
            columns[:, classes] = columns[:, classes].mean(axis=1, keepdims=True)
        return columns

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(r + 1, k)
        w = even(w.copy()) if twins else w
        p = x @ w[:-1]
        p += w[-1]
        if c == 2:
            total = float((np.logaddexp(0.0, p) - y[:, None] * p).sum())
            p = special.expit(p) - y[:, None]
        else:
            top = p.max(axis=1, keepdims=True)
            total = float(top.sum() - p[own].sum())
            p -= top
            np.exp(p, out=p)
            mass = p.sum(axis=1, keepdims=True)
            total += float(np.log(mass).sum())
            p /= mass
            p[own] -= 1.0
        gradient = np.empty((r + 1, k))
        np.matmul(x.T, p, out=gradient[:-1])
        gradient[:-1] += w[:-1]
        p.sum(axis=0, out=gradient[-1])
        gradient /= n
        even(gradient)
        last.update(at=flat.copy(), gradient=gradient)
        return total / n + 0.5 * float(np.vdot(w[:-1], w[:-1])) / n, gradient.ravel()

    def small(gradient: np.ndarray) -> bool:
        if np.abs(gradient[-1]).max() > tolerance:
            return False
        if space is None:
            return bool(np.abs(gradient[:-1]).max() <= tolerance)
        # An entry lies between a column's length over sqrt(d) and that length: seldom need all be formed.
        length = float(np.sqrt(np.einsum("rk,rk->k", gradient[:-1], gradient[:-1]).max()))
        if length <= tolerance or length > tolerance * np.sqrt(space.x.shape[1]):
            return length <= tolerance
        return bool(np.abs(space.lifted(gradient[:-1])).max() <= tolerance)

    def stop(at: np.ndarray) -> None:
        gradient = last["gradient"] if np.array_equal(at, last["at"]) else loss(at)[1].reshape(r + 1, k)
        if small(gradient):
            raise StopIteration

    found = np.zeros((r + 1) * k)
    loss(found)
    if not small(last["gradient"]):
        options = {"maxiter": 20, "maxls": 50, "gtol": 0.0, "ftol": 64 * np.finfo(float).eps}
        found = optimize.minimize(loss, found, jac=True, method="L-BFGS-B", callback=stop, options=options).x
    w = even(found.reshape(r + 1, k))
    return w[:-1], w[-1]


def _credit(z: np.ndarray, own: np.ndarray, shared: bool) -> float:
    """Share of the images (m,) whose own column has the largest logit of (m, k).

    own     the column of the image's class; -1 for a class unseen in training
    shared  columns that tie share the image; else the first has it
    """
    z = np.c_[np.zeros(len(z)), z] if z.shape[1] == 1 else z
    top = z >= z.max(axis=1, keepdims=True) - LEVEL * np.maximum(np.abs(z).max(axis=1, keepdims=True), 1.0)
    if not shared:
        return float((top.argmax(axis=1) == own).mean())
    hit = top[np.arange(len(z)), own] & (own >= 0)
    return float((hit / top.sum(axis=1)).mean())
