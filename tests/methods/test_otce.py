"""F-OTCE and JC-OTCE against linear programmes over their definitions, and cases by hand."""

from itertools import permutations

import numpy as np
import pytest
from scipy import optimize

from methods import f_otce, jc_otce
from methods.otce import coupling

LN2 = np.log(2.0)


def data(n: int, m: int, d: int = 6, c: int = 3, z: int = 4, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    y, source = rng.permutation(np.arange(n) % c), rng.permutation(np.arange(m) % z)
    means = rng.normal(size=(z, d))
    return rng.normal(size=(n, d)) + means[y], y, rng.normal(size=(m, d)) + means[source] + 0.7, source


def slow_transport(cost: np.ndarray) -> np.ndarray:
    """All m · n masses as unknowns of a linear programme, a constraint an image; by interior points and a crossover."""
    m, n = cost.shape
    rows = [np.repeat(np.eye(m)[i], n) for i in range(m)] + [np.tile(np.eye(n)[j], m) for j in range(n)]
    found = optimize.linprog(cost.ravel(), A_eq=rows, b_eq=[1 / m] * m + [1 / n] * n, method="highs-ipm")
    return found.x.reshape(m, n)


def slow(x, y, source, z, weight=1.0, label_distance="samples") -> float:
    def squared(a, b):
        return np.array([[((p - q) ** 2).sum() for q in b] for p in a])

    cost = squared(source, x)
    for a in np.unique(z) if weight < 1 else ():
        for b in np.unique(y):
            block = np.ix_(z == a, y == b)
            if label_distance == "means":
                apart = ((source[z == a].mean(axis=0) - x[y == b].mean(axis=0)) ** 2).sum()
            else:
                apart = (slow_transport(squared(source[z == a], x[y == b])) * squared(source[z == a], x[y == b])).sum()
            cost[block] = weight * cost[block] + (1 - weight) * apart
    plan, total = slow_transport(cost), 0.0
    for a in np.unique(z):
        for b in np.unique(y):
            joint = plan[z == a][:, y == b].sum()
            total += joint * np.log(joint / plan[z == a].sum()) if joint > 1e-12 else 0.0
    return total


@pytest.mark.parametrize(("n", "m"), [(24, 24), (24, 12), (12, 24), (24, 36), (24, 29), (15, 26)])
def test_equal_to_the_definition(n, m):
    given = data(n, m, seed=n + m)
    assert f_otce(*given) == pytest.approx(slow(*given), abs=1e-9)
    for distance in ("samples", "means"):
        expected = slow(*given, weight=0.5, label_distance=distance)
        assert jc_otce(*given, label_distance=distance) == pytest.approx(expected, abs=1e-9)
    assert jc_otce(*given, weight=1) == pytest.approx(f_otce(*given), abs=1e-12)


def test_the_coupling_is_the_best_of_all_permutations():
    cost = np.random.default_rng(3).random((6, 6))
    best = min(permutations(range(6)), key=lambda p: sum(cost[i, p[i]] for i in range(6)))
    np.testing.assert_array_equal(coupling(cost), np.eye(6)[list(best)] / 6)


@pytest.mark.parametrize(("m", "n"), [(4, 6), (5, 7), (1, 3), (3, 1), (7, 20)])
def test_masses_are_those_of_equal_images(m, n):
    plan = coupling(np.random.default_rng(m).random((m, n)))
    np.testing.assert_allclose(plan.sum(axis=1), 1 / m, rtol=1e-12)
    np.testing.assert_allclose(plan.sum(axis=0), 1 / n, rtol=1e-12)


def test_by_hand_on_a_line():
    """In one dimension images move in order. Source classes 0, 0, 1, 1 of 1 … 4 meet classes 0, 1, 1, 1 of 10 … 13.

    Given source class 0 the target's is 0 or 1, each half of the time; given 1 it is 1: H = ½ ln 2.
    """
    source, x = np.array([[1.0], [2], [3], [4]]), np.array([[10.0], [11], [12], [13]])
    assert f_otce(x, [0, 1, 1, 1], source, [0, 0, 1, 1]) == pytest.approx(-LN2 / 2, rel=1e-12)
    # twice as many target images: each of the source is moved onto two
    twice = np.arange(10.0, 18)[:, None]
    assert f_otce(twice, [0, 0, 1, 1, 1, 1, 1, 1], source, [0, 0, 1, 1]) == pytest.approx(-LN2 / 2, rel=1e-12)
    assert f_otce(twice, [0, 1, 1, 1, 1, 1, 1, 0], source, [0, 0, 1, 1]) == pytest.approx(
        0.75 * np.log(0.75) + 0.25 * np.log(0.25), rel=1e-12
    )


def test_label_distance_by_hand():
    """Source 0 and 10 of class 0, 4 and 6 of class 1; target 1 and 9 of class 0, 5 and 5.5 of class 1.

    In order, 0 → 1, 4 → 5, 6 → 5.5, 10 → 9, so that each class is moved whole. With the target's labels 0 on 1 and 5.5,
    1 on 9 and 5, it is not: H = ln 2; and the means, 5 and 5 of the source, 3.25 and 7 of the target, do not tell them,
    since each of the source is as far from both as the other.
    """
    source, x = np.array([[0.0], [10], [4], [6]]), np.array([[1.0], [9], [5], [5.5]])
    z, y = [0, 0, 1, 1], [0, 0, 1, 1]
    assert f_otce(x, y, source, z).status == "degenerate"
    assert f_otce(x, y, source, z) == 0
    assert f_otce(x, [0, 1, 1, 0], source, z) == pytest.approx(-LN2, rel=1e-12)
    assert jc_otce(x, [0, 1, 1, 0], source, z, label_distance="means") == pytest.approx(-LN2, rel=1e-12)


def test_images_that_are_alike_share_what_is_moved_onto_them():
    """Two source classes of two images at 0 and 1; the target's two images at 0 and two at 1 hold both classes each."""
    source, x = np.array([[0.0], [0], [1], [1]]), np.array([[0.0], [0], [1], [1]])
    for y in ([0, 1, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0]):
        assert f_otce(x, y, source, [0, 0, 1, 1]) == pytest.approx(-LN2, rel=1e-12)
        assert f_otce(x, y, source, [0, 1, 0, 1]) == pytest.approx(-LN2, rel=1e-12)
        near = x + np.array([[0], [1e-9], [0], [-1e-9]])
        assert f_otce(near, y, source, [0, 0, 1, 1]) == pytest.approx(-LN2, rel=1e-12)


def test_a_scale_and_a_place_of_the_target_leave_f_otce_alone():
    x, y, source, z = data(30, 30)
    for moved in (1e20 * x, 1e-20 * x, x + 100, 3 * x - 7):
        assert f_otce(moved, y, source, z) == pytest.approx(f_otce(x, y, source, z), rel=1e-12)
        assert f_otce(x, y, moved, z) == pytest.approx(f_otce(x, y, x, z), rel=1e-12)


def test_degenerate_and_malformed_cases_are_named():
    x, y, source, z = data(24, 24)
    entropy = -sum(p * np.log(p) for p in np.bincount(y) / 24)
    for method in (f_otce, jc_otce):
        for given, reason in (
            ((np.ones((24, 6)), y, source, z), "features are constant"),
            ((x, y, np.ones((24, 6)), z), "source_features are constant"),
            ((x, y, source, np.zeros(24, int)), "of one class"),
        ):
            assert method(*given).status == "degenerate"
            assert reason in method(*given).reason
            assert method(*given) == pytest.approx(-entropy, rel=1e-12)
        assert "has one image" in method(x, y, source, np.arange(24)).reason
        assert method(x, np.zeros(24, int), source, z).status == "insufficient"
        assert method(x, np.ones((24, 2), int), source, z).status == "not_applicable"
        assert method(x, y, source, np.ones((24, 2), int)).status == "not_applicable"
        with pytest.raises(ValueError, match=r"source_features must have as many columns as features, 6\. Got 5"):
            method(x, y, source[:, :5], z)
        with pytest.raises(ValueError, match=r"source_labels must have one row an image, 24\. Got 23"):
            method(x, y, source, z[1:])
    with pytest.raises(ValueError, match="label_distance must be one of"):
        jc_otce(x, y, source, z, label_distance="gaussian")
    for wrong in (-0.1, 1.1, True):
        with pytest.raises(ValueError, match=r"weight must be in \[0, 1\]"):
            jc_otce(x, y, source, z, weight=wrong)
