"""emms against alternating least squares by loops, the H-score, and the released round."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from methods import emms, hscore
from methods.emms import geometry, standardised
from methods.shared.classes import read_classes
from methods.shared.linalg import Features


def probe(n: int = 60, d: int = 8, c: int = 4, balanced: bool = False) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(n + d)
    labels = np.arange(n) % c if balanced else rng.permutation(np.r_[np.arange(c), rng.integers(0, c, n - c)])
    x = rng.normal(size=(n, d)) + rng.normal(size=(c, d))[labels] + 3
    return x, labels, rng.normal(size=(n, 5)) + 2 * rng.normal(size=(c, 5))[labels] - 1


def embeddings(y: np.ndarray, reference: np.ndarray) -> list[np.ndarray]:
    """The one-hot matrix and the classes' geometry, an image a row, standardised."""
    means = np.stack([reference[y == k].mean(axis=0) for k in np.unique(y)]) - reference.mean(axis=0)
    found = [np.eye(len(means))[y], np.real(sqrtm(means @ means.T + 1e-13 * np.eye(len(means))))[y]]
    return [(m - m.mean(axis=0)) / m.std(axis=0) for m in found]


def alternated(x: np.ndarray, y: np.ndarray, reference: np.ndarray, rounds: int = 2000) -> tuple[float, float]:
    """Least squares for W given the weights, a search on [0, 1] for the weights given W, many times."""
    a, b = embeddings(y, reference)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    first = 0.5
    for _ in range(rounds):
        reached = x @ np.linalg.lstsq(x, first * a + (1 - first) * b, rcond=None)[0]
        first = np.clip(((reached - b) * (a - b)).sum() / ((a - b) ** 2).sum(), 0, 1)
    reached = x @ np.linalg.lstsq(x, first * a + (1 - first) * b, rcond=None)[0]
    return -((reached - first * a - (1 - first) * b) ** 2).mean(), first


@pytest.mark.parametrize("d", [3, 8])
def test_it_is_where_the_alternation_ends(d):
    x, y, reference = probe(d=d)
    score, (value, first) = emms(x, y, reference), alternated(x, y, reference)
    assert score == pytest.approx(value, rel=1e-6)
    assert score.parts["one_hot"] == pytest.approx(first, abs=1e-3)


def test_one_hot_labels_alone_are_the_h_score():
    """A reference that is the labels: both embeddings are one-hot, and the residual is 1 - H/(c - 1) a column."""
    x, y, _ = probe(balanced=True)
    assert emms(x, y, np.eye(4)[y]) == pytest.approx(-1 + hscore(x, y) / 3, rel=1e-9)


def test_the_geometry_is_the_root_of_the_inner_products():
    _, y, reference = probe()
    classes = read_classes("emms", y, 60)
    root, means = geometry(Features(reference), classes), classes.means(reference - reference.mean(axis=0))
    np.testing.assert_allclose(root @ root, means @ means.T, atol=1e-10)
    np.testing.assert_allclose(root, root.T, atol=1e-12)
    rows = standardised(root, classes)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(rows.std(axis=0), 1, rtol=1e-12)


def sparsemax(z: np.ndarray) -> np.ndarray:
    ordered = np.sort(z)[::-1]
    sums = np.cumsum(ordered)
    k = max(i for i in range(1, len(z) + 1) if 1 + i * ordered[i - 1] > sums[i - 1])
    return np.maximum(z - (sums[k - 1] - 1) / k, 0)


@pytest.mark.parametrize("seed", range(3))
def test_compat_is_one_released_round(seed):
    x, y, _ = probe()
    reference = np.random.default_rng(seed).normal(size=(60, 5)) + y[:, None]
    a, b = embeddings(y, reference)
    z = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-8)
    reached = z @ np.linalg.lstsq(z, (a + b) / 2, rcond=None)[0]
    weights = np.linalg.lstsq(np.stack([a.ravel(), b.ravel()], axis=1), reached.ravel(), rcond=None)[0]
    first, second = sparsemax(weights)
    expected = -((reached - first * a - second * b) ** 2).sum() / 60 * 4
    assert emms(x, y, reference, compat="emms") == pytest.approx(expected, rel=1e-5)


def test_degenerate_cases_and_wrong_parameters():
    x, y, reference = probe()
    assert emms(np.random.default_rng(0).normal(size=(60, 80)), y, reference).status == "degenerate"
    assert emms(x, y, np.ones((60, 3))).status == "degenerate"
    assert emms(np.ones((60, 3)), y, reference).status == "degenerate"
    with pytest.raises(ValueError, match="reference_features must have one row an image, 60"):
        emms(x, y, reference[:-1])
    with pytest.raises(ValueError, match="Did you mean 'emms'"):
        emms(x, y, reference, compat="ems")
