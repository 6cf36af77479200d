"""pactran_gauss and pactran_dirichlet against direct minimisation, loops and the bound that they stand for."""

import numpy as np
import pytest
from scipy import optimize, special

from methods import pactran_dirichlet, pactran_gauss

SHAPES = [(60, 8, 3), (30, 45, 4)]


def probe(n: int, d: int, c: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[np.arange(c), np.arange(c), rng.integers(0, c, n - 2 * c)])
    return rng.normal(size=(n, d)) * rng.uniform(0.3, 2, d) + 0.5 * rng.normal(size=(c, d))[labels] + 1, labels


def slow_gauss(x: np.ndarray, y: np.ndarray, g: float, s: float) -> float:
    """In all d dimensions, by a quasi-Newton method with a full matrix and numbers one at a time."""
    x = x - x.mean(axis=0)
    (n, d), c = x.shape, y.max() + 1

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = theta[: d * c].reshape(d, c), theta[d * c :]
        p = special.softmax(x @ w + b, axis=1)
        error = (p - np.eye(c)[y]) / n
        value = -np.log(p[np.arange(n), y]).mean() + (w**2).sum() / (2 * g * n)
        return value, np.r_[(x.T @ error + w / (g * n)).ravel(), error.sum(axis=0)]

    found = optimize.minimize(loss, np.zeros(d * c + c), jac=True, method="BFGS", options={"gtol": 1e-9})
    p = special.softmax(x @ found.x[: d * c].reshape(d, c) + found.x[d * c :], axis=1)
    h = 0.0
    for k in range(c):
        for i in range(n):
            h += p[i, k] * (1 - p[i, k])
            h += sum(x[i, j] ** 2 * p[i, k] * (1 - p[i, k]) for j in range(d))
        h += d / (g * n)
    v = h * g * n / (d * c) + 1e-10
    return -(found.fun + 0.5 * d * c / (g * n) * s / d * np.log(v))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("g", "s"), [(10.0, 1000.0), (1.0, 10.0), (0.1, 1.0)])
def test_gauss_is_its_minimum_and_trace(shape, g, s):
    x, y = probe(*shape)
    score = pactran_gauss(x, y, g=g, s=s)
    assert score == pytest.approx(slow_gauss(x, y, g, s), rel=1e-5)
    assert score == pytest.approx(sum(score.parts.values()), rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_gauss_compat_stops_near_the_minimum_from_its_random_start(shape):
    x, y = probe(*shape)
    exact, released = pactran_gauss(x, y), pactran_gauss(x, y, compat="pactran", seed=1)
    assert released == pytest.approx(exact, rel=2e-2)
    assert released.parts["linear"] <= exact.parts["linear"] + 1e-9
    assert pactran_gauss(x, y, compat="etran", seed=1).parts["linear"] < released.parts["linear"]
    assert released != pactran_gauss(x, y, compat="pactran", seed=2)
    assert released == pactran_gauss(x, y, compat="pactran", seed=1)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_gauss_converges_at_any_scale(scale):
    """At 1e-3 the head stays at the priors, whose entropy is the loss; at 1e3 classes separate, and it goes to 0."""
    x, y = probe(60, 90, 3)
    linear = -pactran_gauss(scale * x, y).parts["linear"]
    entropy = -(np.bincount(y) / 60 * np.log(np.bincount(y) / 60)).sum()
    assert linear == pytest.approx(entropy, rel=1e-2) if scale < 1 else linear < 1e-5


def dirichlet_probe(n: int = 50, c: int = 3, z: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % c
    logits = rng.normal(size=(n, z)) + 2 * rng.normal(size=(c, z))[y]
    return special.softmax(logits, axis=1), y


def slow_dirichlet(p: np.ndarray, y: np.ndarray, alpha: float, steps: int, released: bool) -> float:
    (n, z), c = p.shape, y.max() + 1
    a0 = np.repeat((alpha * np.bincount(y) / n + 1e-10)[:, None], z, axis=1)
    q = p.copy()

    def counts() -> np.ndarray:
        return a0 + np.stack([sum(q[i] for i in range(n) if y[i] == k) for k in range(c)])

    for _ in range(steps):
        a = counts()
        for i in range(n):
            log_q = np.log(p[i] + 1e-10) + special.psi(a[y[i]]) - special.psi(a.sum(axis=0))
            q[i] = np.exp(log_q - special.logsumexp(log_q))
    a = a if released else counts()
    bound = 0.0
    for k in range(z):
        prior = special.gammaln(a0[:, k].sum()) - special.gammaln(a0[:, k]).sum()
        after = special.gammaln(a[:, k].sum()) - special.gammaln(a[:, k]).sum()
        bound += prior - after - (q[:, k] * (np.log(q[:, k]) - np.log(p[:, k] + 1e-10))).sum()
    return bound / (n * c)


@pytest.mark.parametrize("alpha", [1.0, 5.0])
@pytest.mark.parametrize("steps", [1, 10])
def test_dirichlet_is_its_loops(alpha, steps):
    p, y = dirichlet_probe()
    assert pactran_dirichlet(p, y, alpha, steps) == pytest.approx(slow_dirichlet(p, y, alpha, steps, False), rel=1e-9)
    released = pactran_dirichlet(p, y, alpha, steps, compat="pactran")
    assert released == pytest.approx(slow_dirichlet(p, y, alpha, steps, True), rel=1e-9)


def test_every_step_raises_the_bound():
    p, y = dirichlet_probe()
    bounds = [pactran_dirichlet(p, y, steps=steps) for steps in range(1, 30)]
    assert np.all(np.diff(bounds) > -1e-12)


def test_the_bound_is_below_the_evidence():
    """With one source class the labels have a Dirichlet-multinomial likelihood, and the bound is that, exactly."""
    y = np.arange(20) % 3
    prior, counts = np.bincount(y) / 20 + 1e-10, np.bincount(y)
    evidence = special.gammaln(prior.sum()) - special.gammaln(prior.sum() + 20)
    evidence += (special.gammaln(prior + counts) - special.gammaln(prior)).sum()
    assert pactran_dirichlet(np.ones((20, 1)), y) == pytest.approx(evidence / (20 * 3), rel=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: pactran_gauss(x, y, g=0), "g must be above 0"),
        (lambda x, y: pactran_gauss(x, y, s=-1), "s must be above 0"),
        (lambda x, y: pactran_gauss(x, y, compat="pactrn"), "Did you mean 'pactran'"),
        (lambda x, y: pactran_dirichlet(np.full((60, 2), 0.5), y, alpha=0), "alpha must be above 0"),
        (lambda x, y: pactran_dirichlet(np.full((60, 2), 0.5), y, steps=0), "steps must be a whole number"),
        (lambda x, y: pactran_dirichlet(x, y), "source_probs must be probabilities"),
    ],
)
def test_wrong_parameters_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(*probe(60, 8, 3))
