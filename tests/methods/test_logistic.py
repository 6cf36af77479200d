"""The logistic probe's protocol, on cases whose accuracy is known."""

import numpy as np

from methods import Features, logistic


def probe(n: int = 80, c: int = 4) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % c
    return 20 * np.eye(c)[labels] + np.random.default_rng(0).normal(size=(n, c)), labels


def test_separable_classes_are_learnt_from_the_first_half():
    x, labels = probe()
    assert logistic(x, labels) == 100
    assert logistic(x, labels + 10) == 100


def test_classes_unseen_in_training_count_as_errors():
    x, labels = probe()
    labels[40:60] += 4
    x[40:60] = x[40:60] @ np.roll(np.eye(4), 1, axis=0)
    assert logistic(x, labels) == 50


def test_the_second_half_is_only_tested_on():
    """Wrong labels there cost their share and teach nothing."""
    x, labels = probe()
    labels[60:] = (labels[60:] + 1) % 4
    assert logistic(x, labels) == 50


def test_projection_is_of_the_whole_probe():
    rng = np.random.default_rng(1)
    features = Features(rng.normal(size=(60, 30)) + 2 * np.eye(30)[np.arange(60) % 3])
    assert logistic(features, np.arange(60) % 3, n_dims=5) == logistic(features.pca(5).x, np.arange(60) % 3)


def test_degenerate_cases_are_named():
    x, labels = probe()
    assert logistic(x, np.zeros(80, dtype=int)).status == "insufficient"
    assert logistic(x, np.repeat([0, 1], 40)).status == "insufficient"
    assert logistic(x, np.ones((80, 2), dtype=int)).status == "not_applicable"
    assert logistic(np.ones((80, 3)), labels).status == "ok"
