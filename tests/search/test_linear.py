"""The logistic head: scikit-learn's own answer, classes that are missing, labels apart."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmark.search import linear


def planted(n: int, c: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 6) on scales of their own around a mean a class, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, c, n)
    x = rng.normal(0, 1, (c, 6))[labels] * 2 + rng.normal(0, 1, (n, 6))
    return x * [1, 10, 0.1, 1, 5, 1] + 3, labels


@pytest.mark.parametrize("c", [2, 3])
def test_its_probabilities_are_those_of_a_regression_on_standardised_features(c: int) -> None:
    x, labels = planted(200, c)
    scaled = StandardScaler().fit(x)
    expected = LogisticRegression(C=0.01, max_iter=200, tol=1e-3).fit(scaled.transform(x), labels)
    z = linear.fitted(x, labels, c, 0.01).outputs(x).astype(np.float64)
    shares = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, expected.predict_proba(scaled.transform(x)), atol=1e-4)


def test_a_class_without_an_example_is_never_said_and_a_dead_column_counts_for_nothing() -> None:
    x, labels = planted(100, 2)
    x = np.c_[x, np.full(100, 7.0)]
    head = linear.fitted(x, labels * 2, 4, 0.01)
    assert set(head.outputs(x).argmax(axis=1)) <= {0, 2}
    assert not head.weights[:, -1].any()
    assert set(linear.fitted(x, np.full(100, 3), 4, 0.01).outputs(x).argmax(axis=1)) == {3}


def test_of_several_labels_each_has_a_regression_of_its_own() -> None:
    x, labels = planted(200, 2)
    many = np.column_stack([labels, 1 - labels, np.zeros(200, int), np.ones(200, int)])
    z = linear.fitted(x, many, 4, 0.01).outputs(x)
    one = linear.fitted(x, labels, 2, 0.01).outputs(x)
    np.testing.assert_allclose(z[:, 0], one[:, 1] - one[:, 0], atol=1e-3)
    np.testing.assert_allclose(z[:, 1], -z[:, 0], atol=1e-3)
    assert (z[:, 2] < 0).all()
    assert (z[:, 3] > 0).all()


def test_the_penalty_that_is_best_on_images_left_out_is_taken() -> None:
    """Labels that features tell exactly want a weak penalty, random ones of many columns a strong one."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (400, 4))
    told = linear.chosen(x, (x[:, 0] > 0).astype(int), None, 2, 0.2)
    noise = rng.normal(0, 1, (60, 300))
    shifted = (rng.random(60) < 0.8).astype(int)
    assert told.penalty > linear.PENALTIES[0]
    assert linear.chosen(noise, shifted, None, 2, 0.2).penalty == linear.PENALTIES[0]
