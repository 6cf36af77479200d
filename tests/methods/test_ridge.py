"""ridge against fits that leave each image out in turn."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score, r2_score

from methods import Features, ridge
from methods.ridge import best

SHAPES = [(50, 8, 4), (40, 70, 5)]


def probe(n: int, d: int, c: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[np.arange(c), np.arange(c), rng.integers(0, c, n - 2 * c)])
    return rng.normal(size=(n, d)) * rng.uniform(0.3, 2, d) + rng.normal(size=(c, d))[labels] + 1, labels


def left_out(x: np.ndarray, t: np.ndarray, penalty: float) -> np.ndarray:
    """Predictions by scikit-learn, an image at a time; the penalty in units of the mean square singular value."""
    s = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    s = s[s > 1e-10 * s[0]]
    out, rest = np.empty_like(t, dtype=float), ~np.eye(len(x), dtype=bool)
    for i, keep in enumerate(rest):
        out[i] = Ridge(alpha=penalty * (s**2).mean()).fit(x[keep], t[keep]).predict(x[i : i + 1])[0]
    return out


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("penalty", [1e-3, 0.1, 10.0])
def test_predictions_are_those_of_fits_without_each_image(shape, penalty):
    x, y = probe(*shape)
    hot = np.eye(y.max() + 1)[y]
    expected = left_out(x, hot, penalty)
    found, r2, _ = best(Features(x), hot, np.array([penalty]))
    np.testing.assert_allclose(found, expected, atol=1e-8)
    assert ridge(x, y, lambdas=[penalty]) == pytest.approx(100 * (expected.argmax(axis=1) == y).mean(), rel=1e-12)
    assert r2 == pytest.approx(r2_score(hot, expected), rel=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_penalty_with_the_least_error_is_taken(shape):
    x, y = probe(*shape)
    r2 = {penalty: ridge(x, y, lambdas=[penalty]).parts["r2"] for penalty in (1e-3, 0.1, 10.0)}
    score = ridge(x, y, lambdas=[10.0, 1e-3, 0.1])
    assert score.parts["r2"] == max(r2.values())
    assert r2[score.parts["lambda"]] == max(r2.values())


def test_multi_hot_is_mean_average_precision():
    x, y = probe(50, 8, 4)
    hot = (np.eye(4)[y] + (np.random.default_rng(1).random((50, 4)) < 0.3) > 0).astype(int)
    expected = 100 * average_precision_score(hot, left_out(x, hot, 0.1), average="macro")
    assert ridge(x, hot, lambdas=[0.1]) == pytest.approx(expected, rel=1e-9)
    unheld = np.c_[hot, np.zeros(50, dtype=int), np.ones(50, dtype=int)]
    assert ridge(x, unheld, lambdas=[0.1]) == pytest.approx(expected, rel=1e-9)


def test_regression_is_r_squared():
    x, y = probe(50, 8, 4)
    t = np.c_[x[:, 0] + y, y * 5.0 - x[:, 1] ** 2]
    assert ridge(x, t, lambdas=[0.1], regression=True) == pytest.approx(r2_score(t, left_out(x, t, 0.1)), rel=1e-8)
    assert ridge(x, t[:, 0], regression=True) <= 1


def test_labels_that_tie_share_the_credit():
    """Two places, two classes at each: the prediction cannot tell them apart, but for the image itself."""
    x, y = np.repeat([[0.0], [1.0]], 4, axis=0), np.array([0, 0, 1, 1, 2, 2, 3, 3])
    assert ridge(x, y) == pytest.approx(0.0)
    x, y = np.r_[x, [[0.5]]], np.r_[y, 0]
    names = np.array([3, 1, 0, 2])
    assert ridge(x, y) == pytest.approx(ridge(x, names[y]), rel=1e-12)


@pytest.mark.parametrize("lambdas", [[], [0.0], [-1.0], [float("nan")]])
def test_wrong_penalties_are_refused(lambdas):
    with pytest.raises(ValueError, match="lambdas must be"):
        ridge(*probe(50, 8, 4), lambdas=lambdas)
