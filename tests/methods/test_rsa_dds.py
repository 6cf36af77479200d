"""RSA and DDS against scipy's distances and a double loop of the centring."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

from methods import Features, dds, rsa


def probe(n: int = 40, d: int = 12, e: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n + d)
    shared = rng.normal(size=(n, 4))
    return (
        shared @ rng.normal(size=(4, d)) + 0.5 * rng.normal(size=(n, d)) + 1,
        shared @ rng.normal(size=(4, e)) + 0.5 * rng.normal(size=(n, e)),
    )


def standardised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(axis=0)) / x.std(axis=0)


def test_rsa_is_spearman_of_correlation_distances():
    x, y = probe()
    expected = spearmanr(*(pdist(standardised(a), "correlation") for a in (x, y))).statistic
    assert rsa(x, y) == pytest.approx(100 * expected, rel=1e-12)


def slow_dds(x: np.ndarray, y: np.ndarray) -> float:
    def centred(a):
        k = squareform(pdist(standardised(a), "cosine"))
        n = len(k)
        out = np.zeros_like(k)
        for i in range(n):
            for j in range(n):
                if i != j:
                    out[i, j] = k[i, j] - k[i].sum() / (n - 2) - k[:, j].sum() / (n - 2) + k.sum() / ((n - 1) * (n - 2))
        return out

    a, b = centred(x), centred(y)
    return 100 * (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


def test_dds_is_unbiased_alignment_of_cosine_distances():
    x, y = probe()
    assert dds(x, y) == pytest.approx(slow_dds(x, y), rel=1e-11)


@pytest.mark.parametrize("method", [rsa, dds])
def test_symmetric_and_one_hundred_with_itself(method):
    x, y = probe()
    assert method(x, y) == pytest.approx(method(y, x), rel=1e-12)
    assert method(x, x) == pytest.approx(100, rel=1e-12)
    assert method(x, 3 * x + 5) == pytest.approx(100, rel=1e-9)


@pytest.mark.parametrize("method", [rsa, dds])
def test_unrelated_features_score_about_zero(method):
    """DDS is unbiased: its mean over independent pairs is 0, within four standard errors."""
    rng = np.random.default_rng(5)
    values = [method(rng.normal(size=(30, 8)), rng.normal(size=(30, 8))) for _ in range(60)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(60)


@pytest.mark.parametrize("method", [rsa, dds])
def test_projection_applies_to_both(method):
    x, y = probe()
    a, b = Features(x), Features(y)
    assert method(a, b, n_dims=5) == method(a.pca(5).x, b.pca(5).x)


@pytest.mark.parametrize("method", [rsa, dds])
def test_rows_out_of_step_lose_the_agreement(method):
    x, y = probe()
    order = np.random.default_rng(0).permutation(len(x))
    assert method(x[order], y[order]) == pytest.approx(method(x, y), rel=1e-9)
    assert method(x[order], y) < 0.3 * method(x, y)


@pytest.mark.parametrize("method", [rsa, dds])
def test_degenerate_cases_are_named(method):
    x, y = probe()
    assert method(x[:2], y[:2]).status == "insufficient"
    assert method(np.ones((40, 3)), y).status == "degenerate"
    assert method(x, np.ones((40, 3))).status == "degenerate"
    with pytest.raises(ValueError, match=r"reference_features must have one row an image, 40\. Got 39"):
        method(x, y[:-1])
