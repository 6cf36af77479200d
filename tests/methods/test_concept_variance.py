"""concept_variance against a double loop, and cases by hand."""

import numpy as np
import pytest

from methods import concept_variance


def probe(n: int = 40, d: int = 7, c: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n + d)
    labels = rng.permutation(np.r_[np.arange(c), rng.integers(0, c, n - c)])
    return rng.normal(size=(n, d)) + rng.normal(size=(c, d))[labels] + 5, labels


def slow(x: np.ndarray, y: np.ndarray, alpha: float = 2.0) -> float:
    span = np.ptp(x, axis=0)
    x = (x - x.min(axis=0)) / np.where(span > 0, span, 1)
    n, d = x.shape
    shares = []
    for i in range(n):
        weights, unlike = 0.0, 0.0
        for j in range(n):
            if i != j:
                gap = np.linalg.norm(x[i] - x[j])
                w = 2 ** (-alpha * gap / (np.sqrt(d) - gap))
                weights += w
                unlike += w * (y[i] != y[j])
        shares.append(unlike / weights)
    return -np.mean(shares)


@pytest.mark.parametrize("alpha", [0.5, 2.0, 6.0])
@pytest.mark.parametrize(("n", "d"), [(40, 7), (30, 60)])
def test_it_is_its_loops(n, d, alpha):
    x, y = probe(n, d)
    assert concept_variance(x, y, alpha=alpha) == pytest.approx(slow(x, y, alpha), rel=1e-11)


def test_a_constant_column_adds_to_the_largest_distance_alone():
    x, y = probe()
    assert concept_variance(np.c_[x, np.full(40, 0.1)], y) == pytest.approx(slow(np.c_[x, np.zeros(40)], y), rel=1e-11)


def test_without_distances_it_is_the_share_of_other_images():
    """alpha = 0: of the n - 1 others, n - n_c are of another class."""
    x, y = probe()
    counts = np.bincount(y)
    expected = -(counts * (40 - counts)).sum() / (40 * 39)
    assert concept_variance(x, y, alpha=0.0) == pytest.approx(expected, rel=1e-12)


def test_three_points_on_a_line_by_hand():
    """At 0, 1/2 and 1 with labels a, a, b: weights 1/4 at distance 1/2, and 0 at distance 1, the largest."""
    assert concept_variance(np.array([[0.0], [0.5], [1.0]]), [0, 0, 1]) == pytest.approx(-(0 + 0.5 + 1) / 3, rel=1e-12)


def test_images_in_opposite_corners_still_count():
    """All weights vanish where each other image is as far as can be; relative to each other they do not."""
    assert concept_variance(np.array([[0.0, 0.0], [1.0, 1.0]]), [0, 1]) == -1.0


def test_duplicates_of_one_class_leave_nothing_irregular():
    x = np.repeat(np.eye(3), 8, axis=0)
    assert -1e-3 < concept_variance(x, np.repeat([0, 1, 2], 8), alpha=20.0) <= 0.0
    assert concept_variance(x, np.tile([0, 1], 12)) == pytest.approx(slow(x, np.tile([0, 1], 12)), rel=1e-12)


@pytest.mark.parametrize("alpha", [-1.0, np.inf, np.nan])
def test_wrong_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be at least 0"):
        concept_variance(*probe(), alpha=alpha)


def test_constant_features_are_degenerate():
    assert concept_variance(np.full((6, 3), 0.1), [0, 1] * 3).status == "degenerate"
