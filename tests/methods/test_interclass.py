"""interclass (INT) against a double loop, hand-computed points and a closed form."""

import itertools

import numpy as np
import pytest

from methods import interclass


def probe(n: int = 40, d: int = 7, c: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n + d)
    labels = rng.permutation(np.r_[np.arange(c), rng.integers(0, c, n - c)])
    return rng.normal(size=(n, d)) + rng.normal(size=(c, d))[labels] + 5, labels


def slow(x: np.ndarray, y: np.ndarray) -> float:
    pairs = list(itertools.combinations(np.unique(y), 2))
    total = 0.0
    for a, b in pairs:
        ours = [np.linalg.norm(p - q) for p in x[y == a] for q in x[y == b]]
        total += sum(ours) / len(ours)
    return total / len(pairs)


@pytest.mark.parametrize(("n", "d"), [(40, 7), (30, 60)])
def test_it_is_its_loops(n, d):
    x, y = probe(n, d)
    mean = np.mean([np.linalg.norm(x[i] - x[j]) for i, j in itertools.combinations(range(n), 2)])
    assert interclass(x, y) == pytest.approx(slow(x, y), rel=1e-12)
    assert interclass(x, y, normalised=True) == pytest.approx(slow(x, y) / mean, rel=1e-12)


def test_three_points_by_hand():
    """Classes 0, 1 and 2 at 0, 3 and 4i of the plane: distances 3, 4 and 5."""
    assert interclass(np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]), [0, 1, 2]) == pytest.approx(4.0, rel=1e-15)


def test_sizes_of_classes_do_not_matter():
    """Two images more of a class where one is already leave the mean over pairs of classes where it was."""
    x = np.array([[0.0], [3.0], [7.0]])
    assert interclass(x[[0, 0, 0, 1, 2]], [0, 0, 0, 1, 2]) == pytest.approx((3 + 7 + 4) / 3, rel=1e-15)


def test_a_simplex_is_one_edge():
    """Classes that have collapsed on the corners of a simplex: every distance between two of them is its edge."""
    y = np.arange(24) % 4
    assert interclass(2 * np.eye(4)[y], y) == pytest.approx(np.sqrt(8), rel=1e-15)


def test_normalised_has_no_unit():
    x, y = probe()
    assert interclass(1e3 * x, y) == pytest.approx(1e3 * interclass(x, y), rel=1e-12)
    assert interclass(1e3 * x, y, normalised=True) == pytest.approx(interclass(x, y, normalised=True), rel=1e-12)


def test_constant_features_are_degenerate():
    assert interclass(np.full((6, 3), 0.1), [0, 1] * 3).status == "degenerate"
