"""cka, lfc, vci, silhouette and the ranks against their n² forms, kernels and scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from methods import cka, effective_rank, hscore, lfc, silhouette, stable_rank, vci

SHAPES = [(90, 12, 4), (40, 70, 5), (30, 6, 2)]


def probe(n: int, d: int, c: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes of unequal sizes and directions of unequal spread, off the origin."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[np.arange(c), np.arange(c), rng.integers(0, c, n - 2 * c)])
    return rng.normal(size=(n, d)) * rng.uniform(0.3, 2, d) + rng.normal(size=(c, d))[labels] + 1, labels


def centred(kernel: np.ndarray) -> np.ndarray:
    h = np.eye(len(kernel)) - 1 / len(kernel)
    return h @ kernel @ h


def u_centred(kernel: np.ndarray) -> np.ndarray:
    n, k = len(kernel), kernel - np.diag(np.diag(kernel))
    out = k - k.sum(axis=0) / (n - 2) - k.sum(axis=1, keepdims=True) / (n - 2) + k.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(out, 0)
    return out


def alignment(k: np.ndarray, l: np.ndarray) -> float:
    return (k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum())


def targets(y: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels as passed, and as the matrix whose kernel is meant."""
    rng = np.random.default_rng(1)
    if kind == "single":
        return y, np.eye(y.max() + 1)[y]
    if kind == "multi":
        hot = (np.eye(y.max() + 1)[y] + (rng.random((len(y), y.max() + 1)) < 0.3) > 0).astype(int)
        return hot, hot
    t = y + rng.normal(size=len(y))
    return t, t[:, None]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["single", "multi", "regression"])
def test_cka_is_its_gram_form(shape, kind):
    x, y = probe(*shape)
    labels, t = targets(y, kind)
    given = {"regression": kind == "regression"}
    assert cka(x, labels, **given) == pytest.approx(alignment(centred(x @ x.T), centred(t @ t.T)), rel=1e-10)
    expected = alignment(u_centred(x @ x.T), u_centred(t @ t.T))
    assert cka(x, labels, debiased=True, **given) == pytest.approx(expected, rel=1e-8)


def test_cka_of_the_labels_themselves_is_one():
    y = np.arange(40) % 4
    assert cka(np.eye(4)[y], y) == pytest.approx(1.0, rel=1e-12)
    assert cka(np.eye(4)[y], y, debiased=True) == pytest.approx(1.0, rel=1e-12)


def test_debiased_cka_of_independent_labels_is_about_zero_whatever_the_width():
    rng = np.random.default_rng(0)
    plain, debiased = [], []
    for _ in range(200):
        x, y = rng.normal(size=(40, 300)), rng.permutation(np.arange(40) % 4)
        plain.append(cka(x, y))
        debiased.append(cka(x, y, debiased=True))
    assert np.mean(plain) > 0.2
    assert abs(np.mean(debiased)) < 3 * np.std(debiased) / np.sqrt(200)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("offset", [0, 50])
def test_lfc_is_its_n_squared_form(shape, offset):
    x, y = probe(*shape)
    x = x + offset
    k, l = x @ x.T, np.where(y[:, None] == y, 1.0, -1.0)
    assert lfc(x, y) == pytest.approx(alignment(k - k.mean(), l - l.mean()), rel=1e-8)


def test_lfc_of_multi_hot_labels_takes_equal_sets_for_equal():
    x, y = probe(90, 12, 4)
    hot = targets(y, "multi")[0]
    k, l = x @ x.T, np.where((hot[:, None] == hot).all(axis=2), 1.0, -1.0)
    assert lfc(x, hot) == pytest.approx(alignment(k - k.mean(), l - l.mean()), rel=1e-10)


def test_lfc_keeps_its_digits_far_from_the_origin():
    """K - mean K loses nothing to a common offset here, where the textbook form subtracts numbers of size 1e12."""
    x, y = probe(40, 6, 3)
    x = x - x.mean(axis=0)
    far = x + np.r_[1e6, np.zeros(5)]
    b = far @ far.mean(axis=0) - 1e12
    k = x @ x.T + b[:, None] + b
    l = np.where(y[:, None] == y, 1.0, -1.0)
    assert lfc(far, y) == pytest.approx(alignment(k, l - l.mean()), rel=1e-6)


@pytest.mark.parametrize("shape", [(90, 12, 4), (60, 9, 20)])
def test_vci_is_the_hscore_over_its_bound(shape):
    x, y = probe(*shape)
    means = np.stack([x[y == k].mean(axis=0) for k in y])
    total, between = (np.cov(m, rowvar=False) for m in (x, means))
    rank = np.linalg.matrix_rank(between)
    assert rank == min(shape[2] - 1, shape[1])
    assert vci(x, y) == pytest.approx(np.trace(np.linalg.pinv(total) @ between) / rank, rel=1e-9)
    assert vci(x, y) == pytest.approx(hscore(x, y) / min(shape[2] - 1, shape[1]), rel=1e-12)


def test_vci_of_collapsed_classes_is_one_and_of_vacuous_features_degenerate():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    collapsed = rng.normal(size=(3, 8))[y] + 1e-9 * rng.normal(size=(60, 8))
    assert vci(collapsed, y) == pytest.approx(1.0, abs=1e-6)
    score = vci(rng.normal(size=(60, 80)), y)
    assert (score, score.status) == (1.0, "degenerate")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation"])
def test_silhouette_is_scikit_learns(shape, metric):
    x, y = probe(*shape)
    y = np.r_[y[:-1], y.max() + 1]  # an image alone in its class counts as 0
    assert silhouette(x, y, metric=metric) == pytest.approx(metrics.silhouette_score(x, y, metric=metric), rel=1e-9)


def test_silhouette_of_more_images_than_a_block():
    x, y = probe(1100, 4, 3)
    assert silhouette(x, y) == pytest.approx(metrics.silhouette_score(x, y), rel=1e-9)


def test_ranks_of_known_spectra():
    """k equal singular values have effective and stable rank k; s = (3, 4) has stable rank 25/16."""
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 7)))[0]
    assert effective_rank(5 * q) == pytest.approx(7, rel=1e-12)
    assert stable_rank(5 * q) == pytest.approx(7, rel=1e-12)
    x = q[:, :2] * [3, 4]
    assert stable_rank(x) == pytest.approx(25 / 16, rel=1e-12)
    p = np.array([3, 4]) / 7
    assert effective_rank(x) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_effective_rank_compat_adds_its_epsilon_to_every_share(shape):
    x, _ = probe(*shape)
    x = np.c_[x, x[:, :1]]  # one direction without spread, where n > d
    s = np.linalg.svd(x, compute_uv=False)
    p = s / s.sum() + 1e-7
    assert effective_rank(x, compat="rankme") == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-7)
    s = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    assert stable_rank(x, centred=True) == pytest.approx((s**2).sum() / s[0] ** 2, rel=1e-10)
