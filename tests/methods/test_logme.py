"""LogME against the marginal likelihood of an n × n Gaussian, maximised by a general optimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from methods import logme


def probe(n: int = 40, d: int = 10, c: int = 4, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n * 31 + d)
    labels = np.arange(n) % c
    return noise * rng.normal(size=(n, d)) + 2 * rng.normal(size=(c, d))[labels] + 0.5, labels


def slow_column(x: np.ndarray, t: np.ndarray) -> float:
    """Log density per image of N(0, xxᵀ/a + 1/b) at its best a and b, over which it is taken in xxᵀ's eigenvectors."""
    gram, n = x @ x.T, len(x)
    eigenvalues, vectors = np.linalg.eigh(gram)
    squares = (t @ vectors) ** 2

    def loss(logs: np.ndarray) -> float:
        a, b = np.exp(np.clip(logs, -60, 60))
        variances = np.maximum(eigenvalues, 0) / a + 1 / b
        return float(np.log(2 * np.pi * variances).sum() + (squares / variances).sum()) / (2 * n)

    starts = [(a, b) for a in (-3.0, 0.0, 3.0, 8.0) for b in (0.0, 3.0, 8.0)]
    fits = [minimize(loss, s, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12}) for s in starts]
    best = min(fits, key=lambda fit: fit.fun)
    a, b = np.exp(np.clip(best.x, -15, 15))  # where that is far out, the density itself is not to be had
    density = multivariate_normal.logpdf(t, cov=gram / a + np.eye(n) / b)
    assert -n * loss(np.log([a, b])) == pytest.approx(density, rel=1e-6), "the same density as scipy's"
    return -best.fun


@pytest.mark.parametrize(("n", "d"), [(40, 10), (20, 30), (15, 14)])
def test_equals_direct_maximisation_of_the_marginal_likelihood(n, d):
    x, labels = probe(n, d, 3)
    expected = np.mean([slow_column(x, (labels == y).astype(float)) for y in range(3)])
    assert logme(x, labels) == pytest.approx(expected, rel=1e-5)


def test_interpolation_equals_the_noise_free_limit():
    """A column that is linear in x, n < d: best without noise, where L/n = -½(ln 2π + 1 + ln(tᵀK⁻¹t/n) + ln|K|/n)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 40))
    t = x @ rng.normal(size=40)
    t = (t - t.mean()) / t.std()
    gram = x @ x.T
    quad, log_det = t @ np.linalg.solve(gram, t), np.linalg.slogdet(gram)[1]
    limit = -0.5 * (np.log(2 * np.pi) + 1 + np.log(quad / 12) + log_det / 12)
    assert logme(x, t, regression=True) >= limit - 1e-9
    assert logme(x, t, regression=True) == pytest.approx(max(limit, slow_column(x, t)), rel=1e-5)


def test_labels_without_signal_score_as_noise_alone():
    """Features orthogonal to the columns explain nothing: alpha goes to infinity, L/n is that of N(0, mean t²)."""
    t = np.array([1.0, -1, 1, -1, 1, -1, 1, -1])
    x = np.array([[1.0, 1, -1, -1, 1, 1, -1, -1]]).T
    assert logme(x, t, regression=True) == pytest.approx(-0.5 * (np.log(2 * np.pi) + 1), rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(40, 10), (20, 50)])
def test_rotation_scale_and_empty_columns_change_nothing(n, d):
    x, labels = probe(n, d)
    expected = logme(x, labels)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(d, d)))[0]
    for moved in (x @ rotation, 1e-4 * x, 1e4 * x, np.hstack([x, np.zeros((n, 30))])):
        assert logme(moved, labels) == pytest.approx(expected, abs=1e-8)


def test_released_code_grows_with_empty_columns():
    """Its d/2 ln(alpha) beside min(n, d) eigenvalues: each appended zero column adds the mean of ln(alpha) / 2n."""
    x, labels = probe(20, 50)
    plain, wide, wider = (
        logme(np.hstack([x, np.zeros((20, extra))]), labels, compat="logme") for extra in (0, 100, 200)
    )
    assert wide - plain > 1
    assert wider - wide == pytest.approx(wide - plain, rel=1e-9)
    few = probe(60, 10)
    padded = np.hstack([few[0], np.zeros((60, 20))])
    assert logme(padded, few[1], compat="logme") == pytest.approx(logme(*few, compat="logme"), rel=1e-9)


def test_released_code_is_close_where_images_outnumber_features():
    """Eleven steps to a relative 1e-3 against convergence: the same to 1e-3."""
    x, labels = probe(200, 10)
    for name in ("logme", "stable_transfer", "transformer_ranker"):
        assert logme(x, labels, compat=name) == pytest.approx(logme(x, labels), abs=1e-3)


def test_iris():
    """transformer-ranker's published test value: columns start where the one before ended."""
    from sklearn.datasets import load_iris

    x, labels = load_iris(return_X_y=True)
    assert logme(x, labels, compat="transformer_ranker") == pytest.approx(-0.16006022, abs=1e-6)
    assert logme(x, labels) == pytest.approx(-0.16006022, abs=1e-3)


def test_one_hot_columns_are_class_ids_and_empty_ones_drop_out():
    x, labels = probe()
    hot = np.zeros((40, 7), dtype=int)
    hot[np.arange(40), labels + 2] = 1
    assert logme(x, hot) == logme(x, labels)


def test_multi_hot_is_the_mean_of_its_columns():
    x, _ = probe()
    hot = np.random.default_rng(4).random((40, 3)) < 0.5
    expected = np.mean([slow_column(x, column.astype(float)) for column in hot.T])
    assert logme(x, hot) == pytest.approx(expected, rel=1e-5)


def test_regression_standardises_its_target():
    x, _ = probe()
    t = x @ np.arange(10.0) + np.random.default_rng(0).normal(size=40)
    assert logme(x, 1000 * t - 7, regression=True) == pytest.approx(logme(x, t, regression=True), rel=1e-9)
    assert logme(x, (t - t.mean()) / t.std(), regression=True) == pytest.approx(
        slow_column(x, (t - t.mean()) / t.std()), rel=1e-5
    )


def test_released_code_takes_targets_as_they_are():
    """Multiplied by 10, a target lowers the evidence by about ln 10 an image: the density is of its unit."""
    x, _ = probe()
    t = x @ np.arange(10.0) + np.random.default_rng(0).normal(size=40)
    released = [logme(x, by * t, regression=True, compat="logme") for by in (1, 10)]
    assert released[0] == pytest.approx(slow_column(x, t), abs=1e-2)
    assert released[0] - released[1] == pytest.approx(np.log(10), abs=1e-2)


def test_degenerate_cases_are_named():
    x, labels = probe()
    assert logme(x, np.zeros(40, dtype=int)).status == "insufficient"
    assert logme(x, np.ones(40), regression=True).status == "insufficient"
    assert logme(x, np.zeros((40, 3), dtype=int)).status == "insufficient"
    assert logme(np.zeros((40, 3)), labels).status == "degenerate"
    exact = np.hstack([x, np.eye(4)[labels]])
    score = logme(exact, labels)
    assert score.status == "degenerate"
    assert np.isfinite(score)
    assert score > logme(x, labels)
    x[:, 3] = 7.0
    x[10:20] = x[0:10]
    assert logme(x, labels).status == "ok"
    with pytest.raises(ValueError, match="labels must be finite real targets"):
        logme(x, np.full(40, np.nan), regression=True)
    with pytest.raises(ValueError, match="Did you mean 'logme'"):
        logme(x, labels, compat="logm")
