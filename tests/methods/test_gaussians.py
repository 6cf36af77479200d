"""transrate, gbc and tmi against their definitions, one determinant, pair and neighbour at a time."""

import numpy as np
import pytest
from scipy import special

from methods import Features, gbc, tmi, transrate

SHAPES = [(90, 12, 4), (40, 70, 5), (30, 6, 2)]


def probe(n: int, d: int, c: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes of unequal sizes and directions of unequal spread, off the origin."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[np.arange(c), np.arange(c), rng.integers(0, c, n - 2 * c)])
    return rng.normal(size=(n, d)) * rng.uniform(0.3, 2, d) + rng.normal(size=(c, d))[labels] + 1, labels


def rate(z: np.ndarray, eps: float) -> float:
    return 0.5 * np.linalg.slogdet(np.eye(z.shape[1]) + z.T @ z / (len(z) * eps))[1]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("eps", [1e-4, 0.5])
def test_transrate_is_its_determinants(shape, eps):
    x, y = probe(*shape)
    z = x - x.mean(axis=0)
    classes = np.unique(y)
    paper = rate(z, eps) - np.mean([rate(z[y == k], eps) for k in classes])
    assert transrate(x, y, eps=eps) == pytest.approx(paper, rel=1e-10)
    z = z / np.sqrt(np.trace(z @ z.T))
    normalised = rate(z, eps) - sum((y == k).mean() * rate(z[y == k], eps) for k in classes)
    assert transrate(x, y, eps=eps, variant="normalised") == pytest.approx(normalised, rel=1e-10)


def test_transrate_follows_the_scale_unless_normalised():
    """Where n <= d every class spans fewer directions than all: tenfold features add ln 10 for each in excess."""
    x, y = probe(40, 70, 5)
    paper = [transrate(scale * x, y) for scale in (0.01, 0.1, 1, 10)]
    assert paper[3] - paper[2] == pytest.approx((39 - 40 / 5) * np.log(10), rel=1e-3)
    assert np.all(np.diff(paper) > 10)
    for scale in (1e-9, 1e9):
        assert transrate(scale * x, y, variant="normalised") == pytest.approx(transrate(x, y, variant="normalised"))


def test_transrate_of_repeated_classes_is_exact_on_either_side():
    """Classes larger than the width and classes of one image take different sides of their determinants."""
    x, y = probe(60, 8, 3)
    x, y = np.r_[x, x[:1] + 3], np.r_[y, 3]
    z = x - x.mean(axis=0)
    assert transrate(x, y) == pytest.approx(rate(z, 1e-4) - np.mean([rate(z[y == k], 1e-4) for k in range(4)]))


def slow_gbc(z: np.ndarray, y: np.ndarray, diagonal: bool, dims: int, floor: float = 1e-4) -> float:
    total = 0.0
    for a in np.unique(y):
        for b in np.unique(y):
            if a == b:
                continue
            va, vb = (np.maximum(z[y == k].var(axis=0), floor) for k in (a, b))
            gap = z[y == a].mean(axis=0) - z[y == b].mean(axis=0)
            if diagonal:
                v = (va + vb) / 2
                distance = (gap**2 / v).sum() / 8 + 0.5 * (np.log(v) - (np.log(va) + np.log(vb)) / 2).sum()
            else:
                va, vb = va.mean(), vb.mean()
                v = (va + vb) / 2
                distance = (gap @ gap) / v / 8 + 0.5 * dims * (np.log(v) - (np.log(va) + np.log(vb)) / 2)
            total -= np.exp(-distance)
    return total


def components(x: np.ndarray, k: int) -> np.ndarray:
    z = x - x.mean(axis=0)
    return z @ np.linalg.svd(z, full_matrices=False)[2][:k].T


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n_dims", [4, 64, None])
def test_gbc_is_its_pairs(shape, n_dims):
    x, y = probe(*shape)
    z = x if n_dims is None else components(x, min(n_dims, len(x) - 1, x.shape[1]))
    dims = z.shape[1]
    assert gbc(x, y, n_dims) == pytest.approx(slow_gbc(z, y, False, 1), rel=1e-9)
    assert gbc(x, y, n_dims, log_term_dim=True) == pytest.approx(slow_gbc(z, y, False, dims), rel=1e-9)
    assert gbc(x, y, n_dims, covariance="diagonal") == pytest.approx(slow_gbc(z, y, True, dims), rel=1e-9)


def test_gbc_of_one_image_a_class_takes_the_floor():
    x, y = np.array([[0.0], [0.1]]), np.array([0, 1])
    assert gbc(x, y, None) == pytest.approx(-2 * np.exp(-0.01 / 1e-4 / 8), rel=1e-12)


def test_gbc_without_overlap_is_named():
    x, y = probe(40, 5, 3)
    score = gbc(x + 1e4 * y[:, None], y)
    assert (score, score.status) == (0.0, "degenerate")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("k", [1, 3])
def test_tmi_is_its_entropies(shape, k):
    x, y = probe(*shape)
    total = 0.0
    for c in np.unique(y):
        z = x[y == c]
        nearest = min(k, len(z) - 1)
        rho = [np.sort(np.abs(z - row).max(axis=1))[nearest] for row in z]
        entropy = -special.psi(nearest) + special.psi(len(z))
        entropy += x.shape[1] / len(z) * sum(np.log(2 * max(r, 0.8)) for r in rho)
        total += entropy * len(z) / len(x)
    assert tmi(x, y, k=k, floor=0.8) == pytest.approx(total / len(np.unique(y)), rel=1e-10)


def test_tmi_estimates_an_entropy():
    """Uniform on a cube of side a has entropy d ln a; two equal halves give (1/c) of it."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 50, size=(4000, 2)), np.arange(4000) % 2
    assert tmi(x, y, floor=1e-9) == pytest.approx(2 * np.log(50) / 2, abs=0.03)


def test_tmi_names_its_floor_and_its_small_classes():
    x, y = probe(40, 5, 3)
    assert tmi(1e-3 * x, y).status == "degenerate"
    x, y = np.r_[x, x[:2] + 5, x[:1]], np.r_[y, 3, 3, 4]
    score = tmi(x, y, floor=1e-6)
    assert score.ok
    assert score.reason == "1 classes have at most k = 3 images"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: transrate(x, y, eps=0), "eps must be above 0"),
        (lambda x, y: transrate(x, y, variant="papr"), "Did you mean 'paper'"),
        (lambda x, y: gbc(x, y, floor=0), "floor must be above 0"),
        (lambda x, y: gbc(x, y, covariance="full"), "covariance must be one of"),
        (lambda x, y: tmi(x, y, floor=-1), "floor must be above 0"),
        (lambda x, y: tmi(x, y, k=0), "k must be a whole number"),
    ],
)
def test_wrong_parameters_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(*probe(30, 6, 2))


def test_shared_features_serve_all_alike():
    x, y = probe(40, 70, 5)
    shared = Features(x)
    for method in (transrate, gbc, tmi):
        assert method(shared, y) == method(x, y)
