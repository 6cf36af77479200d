"""PACTran: PAC-Bayesian bounds on how well a head fitted to the probe generalises, turned round."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from methods.shared.capabilities import estimator
from methods.shared.checks import choice, probabilities, whole
from methods.shared.classes import Classes, read_classes
from methods.shared.linalg import PCA, Features, class_sums, reduced
from methods.shared.score import Score, degenerate

STILL = 1e-9  # largest entry of the gradient at the minimum, in units of the curvature at W = 0
NEWTON, CONJUGATE = 100, 300  # most steps of Newton's method, and of conjugate gradients in one of them


@estimator(
    labels=("single",),
    invariant=("rotation", "translation"),
    cost="O(n r c) a step of conjugate gradients",
    source="Ding et al., ECCV 2022, arXiv 2203.05126",
)
def pactran_gauss(
    features: ArrayLike | Features,
    labels: ArrayLike,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    g: float = 1.0,
    s: float = 10.0,
    compat: str | None = None,
    seed: int = 0,
) -> Score:
    """Minus the bound with Gaussian prior and posterior: a linear head's regularised fit and its flatness.

    features     (n, d), centred here; rotations and translations leave the score alone, a scale does not
    labels       class ids (n,); multi-label is not applicable
    n_dims, pca  principal components kept first
    g            prior variance of the weights, times n; above 0. The authors try 10, 1, 0.1
    s            prior variance of the flatness term, times d; above 0. The authors try 1000 and 100 for
                 g = 10, 100 and 10 for g = 1, 10 and 1 for g = 0.1
    compat       "pactran": the release's start, weights 0.03 N(0, 1) drawn by `seed` in all d dimensions,
                 and its stop after 100 steps or at 1e-6. "etran": the same after 10 steps
    seed         used by compat alone
    returns      -(J* + ½ c s/(g n) ln v), in nats; higher predicts better
    parts        linear: -J*; flatness: the other term

    J* = min over W, b of the mean cross-entropy of softmax(Xc W + b) + ||W||²/(2 g n), reached in the
    features' row space, and v = h g n/(d c) + 1e-10 with h the trace of the Hessian of the summed loss,
    h = sum_ik p_ik (1 - p_ik) (||x_i||² + 1) + d c/(g n). The minimum is unique, and found here by
    Newton's method to a gradient of 1e-9; where the release stops, it still depends on its random start.
    Cost O(n r c) a step of conjugate gradients, some tens of them. Deterministic (compat: given seed).
    Needs two classes. Degenerate where features are constant.
    Source: Ding et al., ECCV 2022, arXiv 2203.05126. The authors choose (g, s) for each bank by agreement
    with a validation error; that is left to the caller.
    """
    choice("compat", compat, (None, "pactran", "etran"))
    for name, value in (("g", g), ("s", s)):
        if not value > 0:
            raise ValueError(f"{name} must be above 0. Got {value!r}.")
    features = reduced(features, n_dims, pca)
    classes = read_classes("pactran_gauss", labels, features.n)
    if isinstance(classes, Score):
        return classes
    if features.centred.rank == 0:
        return degenerate("features are constant")
    if compat:
        start = 0.03 * np.random.default_rng(whole("seed", seed, least=0)).standard_normal((features.d, classes.c))
        rows = features.x - features.mean
        cost, posteriors = released_head(rows, classes, g * features.n, start, 100 if compat == "pactran" else 10)
    else:
        rows = features.centred.R
        cost, posteriors = fitted_head(rows, classes, g * features.n)
    weights = features.d * classes.c
    uncertain = (posteriors * (1.0 - posteriors)).sum(axis=1)
    trace = float(uncertain @ (np.einsum("nr,nr->n", rows, rows) + 1.0)) + weights / (g * features.n)
    flatness = 0.5 * classes.c * s / (g * features.n) * np.log(trace * g * features.n / weights + 1e-10)
    return Score(-float(cost + flatness), parts={"linear": -float(cost), "flatness": -float(flatness)})


def fitted_head(rows: np.ndarray, classes: Classes, prior: float) -> tuple[float, np.ndarray]:
    """Least of mean cross-entropy + ||W||²/(2 prior), and the posteriors (n, c) there.

    rows  (n, r), centred, their columns orthogonal
    Newton's method on all classes at once, each step by conjugate gradients to a part of its length: a product with
    the Hessian costs as much as a gradient, and a step near the minimum squares what is left. Columns are scaled by
    the curvature that they have at W = 0, and each weight's own curvature preconditions.
    """
    (n, r), c = rows.shape, classes.c
    curvature = np.einsum("nr,nr->r", rows, rows) / (n * c) + 1.0 / prior
    x = np.c_[rows / np.sqrt(curvature), np.ones(n)]
    penalty = np.r_[1.0 / (prior * curvature), 0.0][:, None]  # of the offsets, the last row, none
    columns, squares = np.ascontiguousarray(x.T), np.ascontiguousarray((x * x).T)
    own = np.arange(n), classes.codes

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        p = x @ w
        top = p.max(axis=1, keepdims=True)
        p -= top
        total = -float(p[own].sum())
        np.exp(p, out=p)
        mass = p.sum(axis=1, keepdims=True)
        p /= mass
        return (total + float(np.log(mass).sum())) / n + 0.5 * float(np.vdot(penalty * w, w)), p

    w = np.zeros((r + 1, c))
    w[-1] = np.log(classes.priors)
    value, p = loss(w)
    for _ in range(NEWTON):
        error = p.copy()
        error[own] -= 1.0
        gradient = columns @ error / n + penalty * w
        if np.abs(gradient).max() <= STILL:
            break
        step = _newton_step(x, columns, squares, p / n, p, penalty, gradient)
        slope, length = float(np.vdot(gradient, step)), 1.0
        new, q = loss(w + step)
        while new > value + 1e-4 * length * slope + 1e-14 * (1.0 + abs(value)) and length > 1e-6:
            length /= 2.0
            new, q = loss(w + length * step)
        w, value, p = w + length * step, new, q
    return value, p


def _newton_step(
    x: np.ndarray,
    columns: np.ndarray,
    squares: np.ndarray,
    weights: np.ndarray,
    p: np.ndarray,
    penalty: np.ndarray,
    gradient: np.ndarray,
) -> np.ndarray:
    """Minus the inverse Hessian times the gradient (r, c), the more exactly, the smaller the gradient is.

    weights  p / n; columns: x^T; squares: x^T entry by entry squared
    """
    own = squares @ (weights * (1.0 - p)) + penalty
    own = np.maximum(own, 1e-8 * own.max())
    step, residual = np.zeros_like(gradient), -gradient
    z = residual / own
    direction, left = z, float(np.vdot(residual, z))
    enough = min(0.01, left) * left
    for _ in range(CONJUGATE):
        moved = x @ direction
        moved -= (p * moved).sum(axis=1, keepdims=True)
        moved *= weights
        bent = columns @ moved + penalty * direction
        along = left / float(np.vdot(direction, bent))
        step += along * direction
        residual = residual - along * bent
        z = residual / own
        left, before = float(np.vdot(residual, z)), left
        if left <= enough:
            break
        direction = z + (left / before) * direction
    return step


def released_head(
    rows: np.ndarray, classes: Classes, prior: float, start: np.ndarray, steps: int
) -> tuple[float, np.ndarray]:
    """As `fitted_head`, where the release's L-BFGS stops: after so many steps from start (d, c), or at 1e-6."""
    from scipy import optimize

    (n, d), c = rows.shape, classes.c
    hot = np.zeros((n, c))
    hot[np.arange(n), classes.codes] = 1.0

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        weights = theta[:-c].reshape(d, c)
        logits = rows @ weights + theta[-c:]
        norms = special.logsumexp(logits, axis=1)
        value = float((norms - classes.own(logits)).mean() + np.vdot(weights, weights) / (2.0 * prior))
        error = (np.exp(logits - norms[:, None]) - hot) / n
        return value, np.concatenate([(rows.T @ error + weights / prior).ravel(), error.sum(axis=0)])

    theta = np.concatenate([start.ravel(), np.zeros(c)])
    options = {"maxiter": steps, "ftol": 1e-6, "gtol": 1e-6}
    found = optimize.minimize(loss, theta, jac=True, method="L-BFGS-B", options=options)
    return float(found.fun), special.softmax(rows @ found.x[:-c].reshape(d, c) + found.x[-c:], axis=1)


@estimator(
    labels=("single",),
    cost="O(steps · n z)",
    source="Ding et al., ECCV 2022, arXiv 2203.05126",
)
def pactran_dirichlet(
    source_probs: ArrayLike, labels: ArrayLike, alpha: float = 1.0, steps: int = 10, compat: str | None = None
) -> Score:
    """The variational bound with Dirichlet prior and posterior, of labels explained by source classes.

    source_probs  (n, z) softmax outputs of the source head
    labels        class ids (n,); multi-label is not applicable
    alpha         weight of the prior, which has the shares of the target's classes; above 0
    steps         of variational inference, as published; every one raises the bound
    compat        "pactran": the counts A from before the last update of q enter the bound
    returns       bound/(n c), in nats; higher predicts better

    With a_y = alpha pi_y + 1e-10 for every z and q = P at first, each step takes A_yz = a_y + sum over class
    y of q_iz, then ln q_iz = ln(P_iz + 1e-10) + psi(A_{y_i z}) - psi(sum_y A_yz), normalised over z;
    bound = sum_z lnB(A_z) - lnB(a) - sum_i q_iz (ln q_iz - ln(P_iz + 1e-10)), lnB the log of the
    multivariate beta function.
    Cost O(n z) a step. Deterministic. Needs two classes.
    Source: Ding et al., ECCV 2022, arXiv 2203.05126, whose code returns the cost, -bound/(n c).
    """
    choice("compat", compat, (None, "pactran"))
    if not alpha > 0:
        raise ValueError(f"alpha must be above 0. Got {alpha!r}.")
    probs = probabilities(source_probs)
    classes = read_classes("pactran_dirichlet", labels, len(probs))
    if isinstance(classes, Score):
        return classes
    prior = alpha * classes.priors + 1e-10
    logs, q, log_q = np.log(probs + 1e-10), probs, np.log(probs + 1e-10)
    counts = prior[:, None] + class_sums(q, classes.codes, classes.c)
    for step in range(whole("steps", steps)):
        if step:
            counts = prior[:, None] + class_sums(q, classes.codes, classes.c)
        log_q = logs + special.digamma(counts)[classes.codes] - special.digamma(counts.sum(axis=0))
        log_q -= special.logsumexp(log_q, axis=1)[:, None]
        q = np.exp(log_q)
    if not compat:
        counts = prior[:, None] + class_sums(q, classes.codes, classes.c)
    before = special.gammaln(prior).sum() - special.gammaln(prior.sum())
    after = special.gammaln(counts).sum(axis=0) - special.gammaln(counts.sum(axis=0))
    bound = float((after - before).sum() - np.vdot(q, log_q - logs))
    return Score(bound / (classes.n * classes.c))
