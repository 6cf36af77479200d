"""H-score and its shrunk form against covariance matrices and scikit-learn's Ledoit-Wolf estimator."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from methods import Features, hscore, shrunk_hscore
from methods.hscore import ledoit_wolf


def probe(n: int = 80, d: int = 20, c: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[np.arange(c), np.arange(c), rng.integers(0, c, n - 2 * c)])
    x = rng.normal(size=(n, d)) * rng.uniform(0.3, 3, d) + rng.normal(size=(c, d))[labels] + 2
    return x, labels


def class_means(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.stack([x[labels == y].mean(axis=0) for y in labels])


def slow_hscore(x: np.ndarray, labels: np.ndarray) -> float:
    between = np.cov(class_means(x, labels), rowvar=False)
    return float(np.trace(np.linalg.pinv(np.cov(x, rowvar=False), rcond=1e-12) @ between))


def slow_shrunk(x: np.ndarray, labels: np.ndarray) -> float:
    fitted = LedoitWolf(store_precision=False).fit(x)
    between = np.cov(class_means(x, labels), rowvar=False)
    return float((1 - fitted.shrinkage_) * np.trace(np.linalg.solve(fitted.covariance_, between)))


@pytest.mark.parametrize(("n", "d", "c"), [(80, 20, 5), (300, 40, 3), (60, 12, 30), (22, 20, 4)])
def test_hscore_is_the_trace_of_its_covariances(n, d, c):
    x, labels = probe(n, d, c)
    score = hscore(x, labels)
    assert score == pytest.approx(slow_hscore(x, labels), rel=1e-9)
    assert 0 <= score <= min(c - 1, d)


def test_any_invertible_map_leaves_it_alone():
    x, labels = probe()
    turned = x @ np.random.default_rng(1).normal(size=(20, 20)) - 5
    assert hscore(turned, labels) == pytest.approx(hscore(x, labels), rel=1e-10)


@pytest.mark.parametrize(("n", "d"), [(50, 200), (50, 50), (51, 50)])
def test_general_position_gives_classes_less_one_and_says_so(n, d):
    x, labels = probe(n, d, 7)
    score = hscore(x, labels)
    assert score == 6
    assert score.status == "degenerate"
    assert slow_hscore(x, labels) == pytest.approx(6, rel=1e-6)


def test_repeated_rows_in_general_position_are_still_vacuous():
    x, labels = probe(50, 200, 7)
    x[1], labels[1] = x[0], labels[0]
    score = hscore(x, labels)
    assert score.status == "degenerate"
    assert score == pytest.approx(6, rel=1e-9)


def test_few_live_columns_among_many_are_not_vacuous():
    x, labels = probe(50, 200, 7)
    x[:, 10:] = 1.0
    score = hscore(x, labels)
    assert score.status == "ok"
    assert score == pytest.approx(slow_hscore(x[:, :10], labels), rel=1e-9)


def test_projection_is_hscore_of_the_components():
    x, labels = probe(50, 200, 7)
    features = Features(x)
    assert hscore(features, labels, n_dims=8) == pytest.approx(slow_hscore(features.pca(8).x, labels), rel=1e-9)


def test_released_elementwise_trace():
    """google-research/stable_transfer multiplies entry by entry before the trace, and inverts with rcond=1e-5."""

    def expected(x, rcond):
        between = np.cov(class_means(x, labels), rowvar=False)
        return (np.linalg.pinv(np.cov(x, rowvar=False), rcond=rcond, hermitian=True) * between).trace()

    x, labels = probe()
    assert hscore(x, labels, compat="stable_transfer") == pytest.approx(expected(x, 1e-5), rel=1e-10)
    faint = x * np.r_[np.ones(10), np.full(10, 1e-4)]  # variances of 1e-8 of the others, which the release drops
    assert hscore(faint, labels, compat="stable_transfer") == pytest.approx(expected(faint, 1e-5), rel=1e-9)
    assert hscore(faint, labels, compat="stable_transfer") < 0.9 * expected(faint, 1e-15)
    wide, labels = probe(50, 200, 7)
    assert hscore(wide, labels, compat="stable_transfer") == pytest.approx(expected(wide, 1e-5), rel=1e-9)
    x, labels = probe()
    assert abs(hscore(x, labels, compat="stable_transfer") - hscore(x, labels)) > 0.01


@pytest.mark.parametrize(("n", "d"), [(80, 20), (30, 100), (40, 40)])
def test_shrunk_hscore_is_scikit_learns_construction(n, d):
    x, labels = probe(n, d)
    assert ledoit_wolf(Features(x)) == pytest.approx(LedoitWolf().fit(x).shrinkage_, rel=1e-10)
    assert shrunk_hscore(x, labels) == pytest.approx(slow_shrunk(x, labels), rel=1e-10)


def test_shrunk_hscore_ignores_rotation_shift_and_scale():
    x, labels = probe(30, 100)
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(100, 100)))[0]
    for moved in (x @ rotation, x + 3, 1e-6 * x, 1e6 * x):
        assert shrunk_hscore(moved, labels) == pytest.approx(shrunk_hscore(x, labels), rel=1e-8)


def test_shrunk_hscore_of_iris():
    """transformer-ranker's published test value; single precision made it."""
    from sklearn.datasets import load_iris

    x, labels = load_iris(return_X_y=True)
    assert shrunk_hscore(x, labels) == pytest.approx(1.17784248, abs=1e-7)


@pytest.mark.parametrize("method", [hscore, shrunk_hscore])
def test_degenerate_cases_are_named(method):
    x, labels = probe()
    assert method(x, np.zeros(80, dtype=int)).status == "insufficient"
    assert method(x, np.ones((80, 2), dtype=int)).status == "not_applicable"
    for constant in (np.ones((80, 20)), np.ones((80, 100))):
        score = method(constant, labels)
        assert (score, score.status) == (0, "degenerate")
    x[:, 3] = 7.0
    x[10:20] = x[0:10]
    assert method(x, labels).status == "ok"
