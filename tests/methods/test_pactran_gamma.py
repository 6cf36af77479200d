"""pactran_gamma against its loops, the released cost, a closed form and what the bound is a bound of."""

import numpy as np
import pytest
from scipy import optimize, special

from methods import pactran_gamma


def probe(n: int = 50, c: int = 3, z: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % c
    return special.softmax(rng.normal(size=(n, z)) + 2 * rng.normal(size=(c, z))[y], axis=1), y


def slow_loss(p: np.ndarray, a0: np.ndarray, a: np.ndarray, b: np.ndarray, q: np.ndarray, l: np.ndarray, y) -> float:
    """The bound term by term: divergences of Gammas and of q, expected log weights, the bounded denominator."""
    (c, z), total = a.shape, 0.0
    for k in range(c):
        for j in range(z):
            total += (a[k, j] - a0[k]) * special.psi(a[k, j]) - special.gammaln(a[k, j]) + special.gammaln(a0[k])
            total += a0[k] * np.log(b[j]) + a[k, j] * (1 - b[j]) / b[j]
    for i in range(len(p)):
        for j in range(z):
            total += q[i, j] * (np.log(q[i, j]) - np.log(p[i, j] + 1e-10))
            total -= q[i, j] * (special.psi(a[y[i], j]) - np.log(b[j]))
        total += sum(p[i, j] * a[:, j].sum() / b[j] for j in range(z)) / l[i] + np.log(l[i]) - 1
    return total


def slow_gamma(p: np.ndarray, y: np.ndarray, alpha: float, steps: int) -> float:
    (n, z), c = p.shape, y.max() + 1
    a0 = alpha * np.bincount(y) / n + 1e-10

    def counts(q):
        return np.stack([a0[k] + sum(q[i] for i in range(n) if y[i] == k) for k in range(c)])

    def scaled(a, b):
        total, expected = a.sum() - n, (a / b).sum()
        found = optimize.minimize_scalar(lambda s: total * s + expected * np.exp(-s), options={"xtol": 1e-12})
        return b * np.exp(found.x)

    q, b = p, np.ones(z)
    a = counts(q)
    b = scaled(a, b)
    for _ in range(steps):
        l = p @ (a.sum(axis=0) / b)
        q = np.stack([(p[i] + 1e-10) * np.exp(special.psi(a[y[i]])) / b for i in range(n)])
        q /= q.sum(axis=1, keepdims=True)
        a, b = counts(q), np.array([1 + sum(p[i, j] / l[i] for i in range(n)) for j in range(z)])
        b = scaled(a, b)
    return -slow_loss(p, a0, a, b, q, p @ (a.sum(axis=0) / b), y) / (n * c)


@pytest.mark.parametrize("alpha", [1.0, 5.0])
@pytest.mark.parametrize("steps", [1, 10])
def test_it_is_its_loops(alpha, steps):
    p, y = probe()
    assert pactran_gamma(p, y, alpha, steps) == pytest.approx(slow_gamma(p, y, alpha, steps), rel=1e-9)


def test_every_step_raises_the_bound():
    p, y = probe()
    bounds = [pactran_gamma(p, y, steps=steps) for steps in range(1, 40)]
    assert np.all(np.diff(bounds) > -1e-12)


def test_one_source_class_has_a_closed_form():
    """Shapes are prior and counts; the best rate is their sum over the prior's, and l is the prior's sum, alpha."""
    y, alpha = np.arange(20) % 3, 2.0
    prior = alpha * np.bincount(y) / 20 + 1e-10
    a = prior + np.bincount(y)
    loss = (special.gammaln(prior) - special.gammaln(a)).sum() + 20 * np.log(alpha)
    loss += a.sum() * (np.log(a.sum() / alpha) + alpha / a.sum() - 1)
    assert pactran_gamma(np.ones((20, 1)), y, alpha) == pytest.approx(-loss / (20 * 3), rel=1e-8)


def test_the_bound_is_below_the_evidence():
    """With one source class the normalised weights are Dirichlet: the labels' likelihood is known exactly."""
    y = np.arange(20) % 3
    prior, counts = np.bincount(y) / 20 + 1e-10, np.bincount(y)
    evidence = special.gammaln(prior.sum()) - special.gammaln(prior.sum() + 20)
    evidence += (special.gammaln(prior + counts) - special.gammaln(prior)).sum()
    assert pactran_gamma(np.ones((20, 1)), y) < evidence / (20 * 3)


def test_compat_is_the_released_cost():
    """Rates at 1; the cost holds ln l - 1 an image, and 1 is added to it."""
    p, y = probe()
    n, c = len(p), y.max() + 1
    hot = np.eye(c)[y]
    a0 = (hot.mean(axis=0) + 1e-10)[:, None]
    q = p
    for _ in range(10):
        a = a0 + hot.T @ q
        total = p @ a.sum(axis=0)
        log_q = np.log(p + 1e-10) + hot @ special.psi(a)
        log_q -= special.logsumexp(log_q, axis=1, keepdims=True)
        q = np.exp(log_q)
    cost = (special.gammaln(a0) - special.gammaln(a)).sum()
    cost += ((q * (log_q - np.log(p + 1e-10))).sum(axis=1) + np.log(total) - 1).sum()
    assert pactran_gamma(p, y, compat="pactran") == pytest.approx(-(cost / (n * c) + 1), rel=1e-10)
    assert pactran_gamma(p, y, compat="pactran") != pytest.approx(pactran_gamma(p, y), rel=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, y: pactran_gamma(p, y, alpha=0), "alpha must be above 0"),
        (lambda p, y: pactran_gamma(p, y, steps=0), "steps must be a whole number"),
        (lambda p, y: pactran_gamma(p, y, compat="pactrn"), "Did you mean 'pactran'"),
        (lambda p, y: pactran_gamma(np.log(p), y), "source_probs must be probabilities"),
    ],
)
def test_wrong_parameters_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(*probe())
