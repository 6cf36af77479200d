"""nleep against scikit-learn's own steps, and where its clusters are known."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from methods import Features, leep, nleep
from methods.nleep import kept, mixture


def probe(n: int, d: int, c: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[np.arange(c), np.arange(c), rng.integers(0, c, n - 2 * c)])
    return rng.normal(size=(n, d)) * rng.uniform(0.3, 2, d) + 2 * rng.normal(size=(c, d))[labels] + 1, labels


@pytest.mark.parametrize("shape", [(200, 12, 3), (80, 100, 4)])
@pytest.mark.parametrize("variance", [0.5, 0.8, 0.99])
def test_components_are_those_that_scikit_learn_keeps(shape, variance):
    x, _ = probe(*shape)
    expected = PCA(variance, svd_solver="full").fit_transform(x)
    found = kept(Features(x), variance)
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)


def test_posteriors_are_the_mixtures():
    x, y = probe(200, 12, 3)
    rows = kept(Features(x), 0.8)
    posteriors = mixture(rows, 5, "diag", 1, 0)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1)
    signs = np.sign((rows**3).sum(axis=0))
    order = np.lexsort((rows * signs).T[::-1])
    model = GaussianMixture(5, covariance_type="diag", random_state=0).fit((rows * signs)[order])
    np.testing.assert_allclose(posteriors, model.predict_proba(rows * signs), atol=1e-10)
    assert nleep(x, y, components=5, covariance="diag") == leep(posteriors, y)


def test_the_order_of_images_and_a_rotation_do_not_matter():
    x, y = probe(200, 12, 3)
    rng = np.random.default_rng(1)
    order, turn = rng.permutation(200), np.linalg.qr(rng.normal(size=(12, 12)))[0]
    assert nleep(x[order] @ turn + 4, y[order]) == pytest.approx(nleep(x, y), rel=1e-6)


def test_clusters_that_are_the_classes_explain_them():
    """Five tight clusters that hold one class each leave nothing to doubt; labels of chance keep their entropy."""
    rng = np.random.default_rng(0)
    cluster = np.arange(200) % 5
    x = 20 * rng.normal(size=(5, 6))[cluster] + 0.1 * rng.normal(size=(200, 6))
    for k in (5, 10):
        assert nleep(x, cluster, components=k) == pytest.approx(0.0, abs=1e-9)
    chance = nleep(x, rng.permutation(np.arange(200) % 2), components=5)
    assert chance == pytest.approx(-np.log(2), abs=0.05)
    assert chance < 0


def test_the_seed_decides_and_repeats():
    x, y = probe(200, 30, 8)
    assert nleep(x, y, seed=3) == nleep(x, y, seed=3)
    assert len({float(nleep(x, y, seed=seed)) for seed in range(4)}) > 1


def test_variants():
    x, y = probe(200, 12, 3)
    assert 0 < nleep(x, y, compat="sfda") <= 1
    assert nleep(x, y, compat="pactran") == nleep(x, y, components=20, covariance="full")
    assert nleep(x, y, compat="stable_transfer") == nleep(x, y, components=15, covariance="full")
    assert nleep(x, y) == nleep(x, y, components=15)  # min(5 · 3, 200 // 5)
    many = np.arange(200) % 50
    assert nleep(x, many, compat="sfda").status == "insufficient"
    assert nleep(x, many).ok


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"variance": 0}, "variance must be a share"),
        ({"components": 0}, "components must be a whole number"),
        ({"covariance": "diagonal"}, "Did you mean 'diag'"),
        ({"compat": "sdfa"}, "Did you mean 'sfda'"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_wrong_parameters_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        nleep(*probe(50, 6, 3), **given)
