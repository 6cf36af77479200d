"""ped and sa: the moved images against loops over samples and pairs, and the scores of what they wrap."""

import numpy as np
import pytest

import methods
from methods import Score, ped, sa
from methods.ped import descended
from methods.sa import attracted, spread_out
from methods.shared.classes import Classes


def probe(n: int = 60, d: int = 8, c: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[np.arange(c), np.arange(c), rng.integers(0, c, n - 2 * c)])
    return rng.normal(size=(n, d)) * rng.uniform(0.3, 2, d) + rng.normal(size=(c, d))[labels] + 1, labels


def classes(y: np.ndarray) -> Classes:
    return Classes(y, np.bincount(y))


def slow_ped(z: np.ndarray, y: np.ndarray, nsig: float, steps: int = 6, order: int = 1) -> np.ndarray:
    """On the samples, a pair of classes at a time; radii measured afresh in every step.

    order  of the norms that are summed over classes to tell whether a step is too small: the release's is 1
    """
    first = None
    for _ in range(steps):
        means = [z[y == k].mean(axis=0) for k in range(y.max() + 1)]
        radii = [np.sqrt(z[y == k].var(axis=0).sum()) for k in range(y.max() + 1)]
        move = np.zeros_like(means)
        for a in range(len(means)):
            for b in range(len(means)):
                if a != b:
                    gap = means[a] - means[b]
                    overlap = max(nsig * (radii[a] + radii[b]) - np.linalg.norm(gap), 0)
                    move[a] += min(0.5 * 0.1**2 * overlap, overlap) * gap / np.linalg.norm(gap)
        total = sum(np.linalg.norm(row, order) for row in move)
        first = total if first is None else first
        if total < first and total <= 0.5 * first:
            break
        z = z + move[y]
    return z


@pytest.mark.parametrize("nsig", [0.3, 0.6, 2.0])
def test_descent_on_means_is_the_descent_on_samples(nsig):
    z, y = probe()
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    moved = z + descended(z, classes(y), nsig, 6)[y]
    np.testing.assert_allclose(moved, slow_ped(z, y, nsig), atol=1e-12)


def test_a_step_at_half_the_first_is_dropped():
    """Two classes of radius 1 on a line, 2 nsig = 1.2 to reach: each step moves each by 0.005 of the overlap, so
    that overlaps shrink by 0.99 a step, which passes one half after 69 steps, and that one is not taken."""
    rows = np.array([[-1.0], [1.0], [-0.9], [1.1]])
    y = np.array([0, 0, 1, 1])
    moved = descended(rows, classes(y), 0.6, 1000)
    steps = int(np.ceil(np.log(0.5) / np.log(0.99)))
    gap = 1.2 - 1.1 * 0.99**steps
    np.testing.assert_allclose(moved[1] - moved[0], [gap - 0.1], rtol=1e-9)


def test_the_total_that_ends_the_descent_is_of_coordinates():
    """As classes push each other round corners, |coordinates| and lengths fall to a half at different steps."""
    z, y = probe(d=3, seed=8)
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    moved = z + descended(z, classes(y), 0.6, 200)[y]
    np.testing.assert_allclose(moved, slow_ped(z, y, 0.6, 200), atol=1e-12)
    assert np.abs(moved - slow_ped(z, y, 0.6, 200, order=2)).max() > 0.01


def test_ped_scores_the_moved_features_with_its_base():
    x, y = probe()
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    moved = slow_ped(z, y, 0.6) * x.std(axis=0) + x.mean(axis=0)
    for base in ("logme", "shrunk_hscore", "gbc"):
        assert ped(x, y, base) == pytest.approx(getattr(methods, base)(moved, y), rel=1e-9)
    assert ped(x, y, "knn", {"k": 3}) == methods.knn(moved, y, k=3)
    assert ped(x, y, "hscore") > methods.hscore(x, y)


def test_ped_takes_the_statistics_of_a_reference():
    x, y = probe()
    mean, sd = np.full(8, 0.5), np.r_[np.linspace(0.5, 2, 7), 0.0]  # the last is floored at 1e-3
    used = np.maximum(sd, 1e-3)
    moved = slow_ped((x - mean) / used, y, 0.6) * used + mean
    assert ped(x, y, mean=mean, sd=sd) == pytest.approx(methods.logme(moved, y), rel=1e-8)
    with pytest.raises(ValueError, match="mean must be one finite number a feature"):
        ped(x, y, mean=np.zeros(3))


def test_classes_in_one_place_stay():
    x, y = probe()
    x[y == 1] = x[y == 1] - x[y == 1].mean(axis=0)
    x[y == 2] = x[y == 2] - x[y == 2].mean(axis=0)
    x[y == 0] += 50
    x[y == 3] -= 50
    assert np.isfinite(descended(x, classes(y), 0.6, 6)).all()
    np.testing.assert_array_equal(descended(x, classes(y), 0.6, 6), 0)


def test_spreading_and_attraction_are_their_loops():
    z, y = probe()
    means = np.stack([z[y == k].mean(axis=0) for k in range(4)])
    spread = np.stack([r + 1.5 * (r - means[k]) / np.linalg.norm(r - means[k]) for r, k in zip(z, y, strict=True)])
    np.testing.assert_allclose(spread_out(z, classes(y), 1.5), spread, atol=1e-12)
    radii = [np.sqrt(z[y == k].var(axis=0).sum()) for k in range(4)]
    move = np.zeros_like(means)
    for a in range(4):
        for b in range(4):
            if a != b:
                gap = means[b] - means[a]
                distance = np.linalg.norm(gap)
                move[a] += 0.05 * (distance - 0.6 * (radii[a] + radii[b])) * gap / distance
    np.testing.assert_allclose(attracted(z, classes(y), 0.05, 0.6), z + move[y], atol=1e-12)


def test_sa_scores_perturbed_components_with_its_base():
    x, y = probe(d=90)
    x = 10 * x  # variances that open the gate
    z = x - x.mean(axis=0)
    z = z @ np.linalg.svd(z, full_matrices=False)[2][:5].T
    paper = attracted(spread_out(z, classes(y), 1.0), classes(y), 0.005, 0.6)
    assert sa(x, y, n_dims=5) == pytest.approx(methods.logme(paper, y), rel=1e-9)
    assert sa(x, y, "lda", {"shrinkage": 0.2}, n_dims=5) == pytest.approx(methods.lda(paper, y, shrinkage=0.2))


def test_released_sa_pushes_classes_apart_in_randomised_components():
    x, y = probe(d=90)
    x = 10 * x
    z = methods.Features(x).pca(5, "randomised").x
    released = sa(x, y, n_dims=5, compat="sa")
    assert released == pytest.approx(methods.logme(attracted(z, classes(y), -0.005, 0.6), y), rel=1e-9)
    assert released == sa(x, y, n_dims=5, pca="randomised", spread=0, alpha=-0.005)


def test_the_gate_leaves_small_features_alone_and_says_so():
    x, y = probe()
    s = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    small = np.sqrt(-np.log(1e-9) / 5 / ((s[:2] ** 2).mean() / 59))  # the scale at which it opens
    score = sa(0.99 * small * x, y)
    assert score == methods.logme(0.99 * small * x, y)
    assert "left as they are" in score.reason
    assert sa(1.01 * small * x, y) != pytest.approx(methods.logme(x, y), rel=1e-6)
    assert sa(0.99 * small * x, y, gate=False) != score


@pytest.mark.parametrize("wrapper", [ped, sa])
def test_bases(wrapper):
    x, y = probe()
    assert wrapper(x, y, lambda features, labels: 7.0) == Score(7.0)
    for base in ("leep", "ped", "random", "logm"):
        with pytest.raises(ValueError, match="base must be one of"):
            wrapper(x, y, base)
    with pytest.raises(ValueError, match="Did you mean 'logme'"):
        wrapper(x, y, "logm")
    big = np.random.default_rng(0).normal(size=(60, 90)) * 20
    assert wrapper(big, y, "hscore", **({"n_dims": None} if wrapper is sa else {})).status == "degenerate"
