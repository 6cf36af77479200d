"""parc_cka against a double loop of the centring, and against cka of rows that are made for it."""

import numpy as np
import pytest

from methods import cka, parc, parc_cka


def probe(n: int = 40, d: int = 9, c: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n + d)
    labels = rng.permutation(np.r_[np.arange(c), rng.integers(0, c, n - c)])
    return rng.normal(size=(n, d)) * rng.uniform(0.1, 9, d) + rng.normal(size=(c, d))[labels] + 3, labels


def slow(x: np.ndarray, hot: np.ndarray) -> float:
    def centred(rows):
        k = 1 - np.corrcoef(rows)
        n = len(k)
        np.fill_diagonal(k, 0.0)
        out = np.zeros_like(k)
        for i in range(n):
            for j in range(n):
                if i != j:
                    out[i, j] = k[i, j] - (k[i].sum() + k[:, j].sum()) / (n - 2) + k.sum() / ((n - 1) * (n - 2))
        return out

    a, b = centred((x - x.mean(axis=0)) / x.std(axis=0)), centred(hot)
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


@pytest.mark.parametrize(("n", "d"), [(40, 9), (25, 60)])
def test_it_is_the_alignment_of_the_two_matrices_of_distances(n, d):
    x, y = probe(n, d)
    assert parc_cka(x, y) == pytest.approx(slow(x, np.eye(4)[y]), rel=1e-11)


def test_several_labels_an_image():
    x, y = probe()
    hot = np.eye(4, dtype=int)[y]
    hot[::3, 0] = 1
    assert parc_cka(x, hot) == pytest.approx(slow(x, hot), rel=1e-11)
    none = np.r_[hot, np.zeros((1, 4), dtype=int), np.ones((1, 4), dtype=int)]
    with_none = parc_cka(np.r_[x, x[:2]], none)
    assert with_none == pytest.approx(parc_cka(x, hot), rel=1e-11)
    assert with_none.reason == "2 images with no label or all labels left out"


@pytest.mark.parametrize("debiased", [True, False])
def test_it_is_cka_of_rows_of_mean_0_and_length_1(debiased):
    x, y = probe()
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    rows = z - z.mean(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert parc_cka(x, y, debiased=debiased) == pytest.approx(cka(rows, y, debiased=debiased), rel=1e-10)
    assert parc_cka(x, y, debiased=debiased) != pytest.approx(cka(x, y, debiased=debiased), rel=1e-2)


def test_features_that_are_the_labels_score_one():
    y = np.arange(20) % 4
    assert parc_cka(np.eye(4)[y], y) == pytest.approx(1.0, rel=1e-12)


def test_unrelated_labels_score_about_zero():
    """The mean over independent labels is 0, within four standard errors."""
    x, _ = probe(30, 60)
    values = [parc_cka(x, np.random.default_rng(seed).permutation(np.arange(30) % 3)) for seed in range(200)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    assert np.mean([parc_cka(x, np.arange(30) % 3, debiased=False)]) > 0.1


def test_it_is_no_rank_correlation():
    """A far image moves whole distances, and ranks of them hardly."""
    x, y = probe()
    far = x.copy()
    far[0] *= 1e3
    assert parc(far, y) != pytest.approx(100 * parc_cka(far, y), rel=1e-2)


def test_degenerate_and_too_few():
    x, y = probe()
    assert parc_cka(x[:, :1], y).status == "degenerate"
    assert parc_cka(np.ones((8, 3)), np.arange(8) % 2).status == "degenerate"
    assert parc_cka(x, np.zeros(40, dtype=int)).status == "insufficient"
    assert parc_cka(x[:3], [0, 1, 1]).status == "insufficient"
    assert parc_cka(x[:5], np.zeros((5, 2), dtype=int)).status == "insufficient"
