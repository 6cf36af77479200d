"""Variance components: against dense formulas, by subtraction, and where the truth is known."""

import numpy as np
import pytest

from benchmark.ranking import variance_components

BLOCKS = np.array([0, 0, 0, 1, 1, 1, 1])
EXPECTED = np.array([0.3, 0.3])


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((60, 7))
    b = np.concatenate([[1.0, -1.5, 0.8], np.zeros(4)])
    return X, X @ b + 0.5 * rng.standard_normal(60)


def dense(log_v: np.ndarray, X: np.ndarray, y: np.ndarray) -> float:
    """-2 log likelihood with the prior, from the covariance of y itself."""
    v = np.exp(log_v)
    covariance = X * v[:-1][BLOCKS] @ X.T + v[-1] * np.eye(len(y))
    away = (log_v - np.log([0.3, 0.3, 0.4])) / variance_components.PRIOR_SPREAD
    return np.linalg.slogdet(covariance)[1] + y @ np.linalg.solve(covariance, y) + away @ away


def test_posterior_is_that_of_the_dense_formula(data):
    X, y = data
    found = variance_components.fit(variance_components.Sums.of(X, y), BLOCKS, EXPECTED, 0.4)
    V = np.diag(found.variances[BLOCKS])
    gain = V @ X.T @ np.linalg.inv(X @ V @ X.T + found.noise * np.eye(60))
    np.testing.assert_allclose(found.mean, gain @ y, rtol=1e-9)
    np.testing.assert_allclose(found.covariance, V - gain @ X @ V, atol=1e-10)


def test_variances_are_those_of_the_highest_likelihood(data):
    X, y = data
    found = variance_components.fit(variance_components.Sums.of(X, y), BLOCKS, EXPECTED, 0.4)
    at = np.log([*found.variances, found.noise])
    least = dense(at, X, y)
    for i in range(3):
        for step in (-0.05, 0.05):
            assert dense(at + step * np.eye(3)[i], X, y) > least
    slope = [(dense(at + 1e-5 * e, X, y) - dense(at - 1e-5 * e, X, y)) / 2e-5 for e in np.eye(3)]
    np.testing.assert_allclose(slope, 0, atol=1e-3)


def test_a_block_that_does_not_help_ends_low_and_one_that_does_near_its_size(data):
    found = variance_components.fit(variance_components.Sums.of(*data), BLOCKS, EXPECTED, 0.4)
    assert found.variances[1] < 0.05 < 0.5 < found.variances[0]
    np.testing.assert_allclose(found.mean[:3], [1.0, -1.5, 0.8], atol=0.3)
    assert found.noise == pytest.approx(0.25, rel=0.5)


def test_leaving_rows_out_is_a_subtraction(data):
    X, y = data
    rest = variance_components.Sums.of(X, y, 2) - variance_components.Sums.of(X[:20], y[:20], 1)
    other = variance_components.Sums.of(X[20:], y[20:], 1)
    np.testing.assert_allclose(rest.gram, other.gram, rtol=1e-12, atol=1e-12)
    assert (rest.rows, rest.energy) == (other.rows, pytest.approx(other.energy))
    first, second = (variance_components.fit(s, BLOCKS, EXPECTED, 0.4) for s in (rest, other))
    np.testing.assert_allclose(first.mean, second.mean, rtol=1e-4)


def test_without_rows_what_was_expected_holds():
    nothing = variance_components.Sums(np.zeros((7, 7)), np.zeros(7), 0.0, 0)
    found = variance_components.fit(nothing, BLOCKS, EXPECTED, 0.4)
    np.testing.assert_allclose([*found.variances, found.noise], [0.3, 0.3, 0.4])
    np.testing.assert_allclose(found.mean, 0)
    np.testing.assert_allclose(found.covariance, 0.3 * np.eye(7))
