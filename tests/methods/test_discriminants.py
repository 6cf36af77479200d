"""lda, ncc and sfda against their definitions: class by class, d × d, and by the released generalised eigenproblem."""

import numpy as np
import pytest
from scipy import linalg, special

from methods import lda, ncc, sfda
from methods.lda import Within
from methods.sfda import mixed
from methods.shared.classes import Classes

SHAPES = [(90, 12, 4), (40, 70, 5), (60, 30, 2)]


def probe(n: int, d: int, c: int, seed: int = 0, gap: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes of unequal sizes and directions of unequal spread, off the origin."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[np.arange(c), np.arange(c), rng.integers(0, c, n - 2 * c)])
    x = 0.3 * rng.normal(size=(n, d)) * rng.uniform(0.3, 2, d) + 0.3 * gap * rng.normal(size=(c, d))[labels] + 1
    return x, labels


def pooled(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return sum((y == k).mean() * np.atleast_2d(np.cov(x[y == k], rowvar=False, bias=True)) for k in np.unique(y))


def shrink(covariance: np.ndarray, a: float) -> np.ndarray:
    d = len(covariance)
    return (1 - a) * covariance + a * np.trace(covariance) / d * np.eye(d)


def posterior(x: np.ndarray, y: np.ndarray, metric: np.ndarray, at: np.ndarray) -> np.ndarray:
    classes = np.unique(y)
    delta = np.empty((len(at), len(classes)))
    for j, k in enumerate(classes):
        mu = x[y == k].mean(axis=0)
        for i, row in enumerate(at):
            delta[i, j] = -0.5 * (row - mu) @ metric @ (row - mu) + np.log((y == k).mean())
    return special.softmax(delta, axis=1)


def slow_lda(x: np.ndarray, y: np.ndarray, a: float) -> np.ndarray:
    """True-class posteriors through the release's generalised eigenproblem, all eigenvectors kept."""
    within = shrink(pooled(x, y), a)
    total = shrink(np.cov(x, rowvar=False, bias=True), a)
    _, vectors = linalg.eigh(total - within, within)
    return posterior(x, y, vectors @ vectors.T, x)


def reference_rule(x: np.ndarray, y: np.ndarray) -> float:
    return max(np.exp(-5 * np.linalg.eigvalsh(pooled(x, y))[-1]), 1e-10)


def own(posteriors: np.ndarray, y: np.ndarray) -> np.ndarray:
    return posteriors[np.arange(len(y)), np.unique(y, return_inverse=True)[1]]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("a", [0.05, 0.7])
def test_lda_is_the_generalised_eigenproblem(shape, a):
    x, y = probe(*shape)
    expected = own(slow_lda(x, y, a), y)
    assert lda(x, y, shrinkage=a) == pytest.approx(expected.mean(), rel=1e-9)
    assert lda(x, y, shrinkage=a, log=True) == pytest.approx(np.log(expected).mean(), rel=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_lda_reference_shrinkage_is_the_largest_eigenvalue_rule(shape):
    x, y = probe(*shape)
    assert lda(x, y) == pytest.approx(own(slow_lda(x, y, reference_rule(x, y)), y).mean(), rel=1e-9)


def test_lda_ledoit_wolf_is_scikit_learns_of_the_residuals():
    from sklearn.covariance import ledoit_wolf_shrinkage

    x, y = probe(90, 12, 4)
    residuals = x - np.stack([x[y == k].mean(axis=0) for k in y])
    a = ledoit_wolf_shrinkage(residuals, assume_centered=True)
    assert 0 < a < 1
    assert lda(x, y, shrinkage="ledoit-wolf") == pytest.approx(lda(x, y, shrinkage=a), rel=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_lda_leave_one_out_is_a_fit_without_each_image(shape):
    x, y = probe(*shape)
    n, a, values = len(x), 0.3, []
    for i in range(n):
        rest = np.arange(n) != i
        metric = np.linalg.inv(shrink(pooled(x[rest], y[rest]), a))
        values.append(posterior(x[rest], y[rest], metric, x[i : i + 1])[0, y[i]])
    assert lda(x, y, shrinkage=a, loo=True) == pytest.approx(np.mean(values), rel=1e-9)


def test_leave_one_out_gives_an_image_alone_in_its_class_nothing():
    x, y = probe(40, 6, 3)
    x, y = np.r_[x, x[:1] + 9], np.r_[y, 3]
    rest = np.arange(40)
    metric = np.linalg.inv
    values = [0.0]
    for i in range(40):
        keep = np.r_[rest[rest != i], 40]
        fit = posterior(x[keep], y[keep], metric(shrink(pooled_with_singles(x[keep], y[keep]), 0.3)), x[i : i + 1])
        values.append(fit[0, y[i]])
    score = lda(x, y, shrinkage=0.3, loo=True)
    assert score == pytest.approx(np.mean(values), rel=1e-9)
    assert "1 images alone" in score.reason


def pooled_with_singles(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    residuals = x - np.stack([x[y == k].mean(axis=0) for k in y])
    return residuals.T @ residuals / len(x)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_ncc_is_the_identity_metric(shape, temperature):
    x, y = probe(*shape)
    expected = own(posterior(x, y, np.eye(x.shape[1]) / temperature, x), y)
    assert ncc(x, y, temperature=temperature) == pytest.approx(expected.mean(), rel=1e-9)
    assert ncc(x, y, temperature=temperature, log=True) == pytest.approx(np.log(expected).mean(), rel=1e-8)


def test_ncc_is_what_a_symmetric_solver_makes_of_lda():
    """Eigenvectors that a symmetric solver returns are orthonormal: V V^T is the identity, whatever it was given."""
    x, y = probe(90, 12, 4)
    within = shrink(pooled(x, y), 0.1)
    between = shrink(np.cov(x, rowvar=False, bias=True), 0.1) - within
    _, vectors = np.linalg.eigh(np.linalg.inv(within) @ between)
    assert ncc(x, y) == pytest.approx(own(posterior(x, y, vectors @ vectors.T, x), y).mean(), rel=1e-9)


def test_ncc_within_is_lda_shrunk_to_the_sphere():
    x, y = probe(90, 12, 4)
    assert ncc(x, y, temperature="within") == pytest.approx(lda(x, y, shrinkage=1.0), rel=1e-10)
    assert ncc(x * 37, y, temperature="within") == pytest.approx(ncc(x, y, temperature="within"), rel=1e-9)
    assert ncc(x * 37, y) != pytest.approx(ncc(x, y), rel=1e-3)


def test_ncc_leave_one_out_is_a_fit_without_each_image():
    x, y = probe(40, 70, 5)
    values = []
    for i in range(40):
        rest = np.arange(40) != i
        values.append(posterior(x[rest], y[rest], np.eye(70), x[i : i + 1])[0, y[i]])
    assert ncc(x, y, loo=True) == pytest.approx(np.mean(values), rel=1e-9)


def slow_sfda(x: np.ndarray, y: np.ndarray, a: float, double: bool) -> np.ndarray:
    p = slow_lda(x, y, a)
    weights = own(special.softmax(p, axis=1) if double else p, y)
    means = np.stack([x[y == k].mean(axis=0) for k in np.unique(y)])
    mixed = np.empty_like(x)
    for i, k in enumerate(np.unique(y, return_inverse=True)[1]):
        others = np.delete(means, k, axis=0).mean(axis=0)
        mixed[i] = weights[i] * x[i] + (1 - weights[i]) * others
    return own(slow_lda(mixed, y, a), y)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("double", [True, False])
def test_sfda_is_its_two_passes(shape, double):
    x, y = probe(*shape)
    for a in (0.2, "reference"):
        expected = slow_sfda(x, y, reference_rule(x, y) if a == "reference" else a, double)
        assert sfda(x, y, shrinkage=a, double_softmax=double) == pytest.approx(expected.mean(), rel=1e-8)
    assert sfda(x, y, double_softmax=double, log=True) == pytest.approx(np.log(expected).mean(), rel=1e-7)


def test_sfda_compat_takes_the_released_power_steps():
    x, y = probe(90, 12, 4)
    covariance = pooled(x, y)
    v = covariance.sum(axis=1)
    for _ in range(3):
        w = covariance @ v / np.linalg.norm(covariance @ v)
        v = covariance @ w / np.linalg.norm(covariance @ w)
    a = max(np.exp(-5 * (v @ covariance @ w)), 1e-10)
    assert a != pytest.approx(reference_rule(x, y), rel=1e-6)
    assert sfda(x, y, compat="sfda") == pytest.approx(slow_sfda(x, y, a, True).mean(), rel=1e-8)


def test_double_softmax_contracts_certain_classes_by_1_less_1_over_e():
    """Its weight is at most w = e/(e + c - 1); relative to the spread within classes, their means come together by
    1 - (1 - w)/((c - 1) w) = 1 - 1/e, whatever c is."""
    x, y = probe(200, 5, 10)
    fit = Within(x, Classes(y, np.bincount(y)), 5)
    certain = np.where(np.eye(10, dtype=bool)[y], 1e6, 0.0)
    moved = Within(mixed(fit, certain, double_softmax=True), fit.classes, 5)
    w = np.e / (np.e + 9)
    np.testing.assert_allclose(moved.residuals, w * fit.residuals, atol=1e-12)
    gaps, before = moved.means - moved.means[0], fit.means - fit.means[0]
    np.testing.assert_allclose(gaps, w * (1 - 1 / np.e) * before, atol=1e-12)
    np.testing.assert_allclose(mixed(fit, certain, double_softmax=False), x)


@pytest.mark.parametrize("method", [lda, sfda])
def test_saturation_is_named(method):
    x, y = probe(40, 200, 5)
    score = method(10 * x, y)
    assert score.status == "degenerate"
    assert "certain" in score.reason
    assert score == pytest.approx(1.0)


@pytest.mark.parametrize("method", [lda, sfda])
def test_a_singular_covariance_is_named(method):
    x, y = probe(40, 200, 5)
    score = method(x, y, shrinkage=0.0)
    assert score.status == "degenerate"
    assert np.isnan(score)


@pytest.mark.parametrize("method", [lda, sfda])
def test_scale_decides_the_published_shrinkage_and_not_ledoit_wolfs(method):
    x, y = probe(90, 12, 4)
    assert method(0.1 * x, y) != pytest.approx(method(x, y), rel=1e-3)
    for scale in (1e-6, 1e6):
        assert method(scale * x, y, shrinkage="ledoit-wolf") == pytest.approx(
            method(x, y, shrinkage="ledoit-wolf"), rel=1e-8
        )


@pytest.mark.parametrize("method", [lda, sfda])
@pytest.mark.parametrize("shrinkage", [-0.1, 1.5, "ledoit", True])
def test_a_wrong_shrinkage_is_refused(method, shrinkage):
    x, y = probe(40, 5, 3)
    with pytest.raises(ValueError, match="shrinkage must be"):
        method(x, y, shrinkage=shrinkage)


def test_a_wrong_temperature_is_refused():
    x, y = probe(40, 5, 3)
    for value in (0, -1.0, "between", True):
        with pytest.raises(ValueError, match="temperature must be"):
            ncc(x, y, temperature=value)
