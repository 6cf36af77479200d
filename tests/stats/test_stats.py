"""Measures against scipy as the slow reference, closed forms and invariances."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.stats import measures

SCIPY = {
    "pearson": lambda x, y: 100 * scipy.stats.pearsonr(x, y)[0],
    "kendall": lambda x, y: scipy.stats.kendalltau(x, y)[0],
    "weighted_kendall": lambda x, y: scipy.stats.weightedtau(x, y)[0],
    "spearman": lambda x, y: scipy.stats.spearmanr(x, y)[0],
}


@settings(max_examples=150, deadline=None)
@given(data=st.data(), m=st.integers(3, 25))
def test_measures_equal_scipy_also_with_ties(data, m):
    x, y = (np.array(data.draw(st.lists(st.integers(0, 9), min_size=m, max_size=m)), float) for _ in range(2))
    found = measures.measures(x, y)
    for name, slow in SCIPY.items():
        if np.ptp(x) == 0 or np.ptp(y) == 0:
            assert np.isnan(found[name])
        else:
            assert found[name] == pytest.approx(slow(x, y), abs=1e-10), name


def test_missing_values_leave_the_model_out():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 20))
    x[0, 4], x[1, [2, 9]], y[2, 0], x[2, 1] = np.nan, -np.inf, np.nan, np.inf
    found = measures.measures(x, y)
    for row in range(3):
        keep = np.isfinite(x[row]) & np.isfinite(y[row])
        for name, slow in SCIPY.items():
            assert found[name][row] == pytest.approx(slow(x[row, keep], y[row, keep]), abs=1e-10)


def test_measures_broadcast_and_chunk(monkeypatch):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(3, 2, 4, 12)), rng.normal(size=(4, 12))
    whole = measures.measures(x, y)
    monkeypatch.setattr(measures, "_CHUNK", 300)  # two rows at a time
    for name, value in measures.measures(x, y).items():
        assert value.shape == (3, 2, 4)
        np.testing.assert_array_equal(value, whole[name])


def test_errors_at_the_top_weigh_more():
    # estimators.md 4.1: four models, swapping the top two gives 0.520, the bottom two 0.813
    order = np.array([4.0, 3, 2, 1])
    assert measures.weighted_kendall(order, np.array([3.0, 4, 2, 1])) == pytest.approx(0.520, abs=5e-4)
    assert measures.weighted_kendall(order, np.array([4.0, 3, 1, 2])) == pytest.approx(0.813, abs=5e-4)


@pytest.mark.parametrize("x", [[1.0, 1, 1, 1], [7 / 3, 7 / 3 + 1e-15, 7 / 3, 7 / 3], [1.0, 2, np.nan, np.nan]])
def test_constant_and_short_columns_are_undefined(x):
    assert all(np.isnan(v) for v in measures.measures(np.array(x), np.array([1.0, 2, 3, 4])).values())


def test_standardise_and_mean_elsewhere():
    x = np.array([[1.0, 2, 3, np.nan], [5.0, 5, 5, 5]])
    z = measures.standardise(x)
    np.testing.assert_allclose(z[0], [-np.sqrt(1.5), 0, np.sqrt(1.5), np.nan])
    assert np.isnan(z[1]).all()
    np.testing.assert_allclose(measures.standardise(x, ddof=1)[0, :3], [-1, 0, 1])
    elsewhere = measures.mean_elsewhere(np.array([[1.0, np.nan], [3.0, 4], [8.0, np.nan]]))
    np.testing.assert_allclose(elsewhere, [[5.5, 4], [4.5, np.nan], [2.0, 4]])


def _crossed(t=7, m=30, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=m), rng.normal(size=(t, m))


def test_specific_part_of_the_truth_itself_is_perfect():
    model, cross = _crossed()
    truth = 60 + 5 * model + 3 * cross
    truth[0, :4] = np.nan
    np.testing.assert_allclose(measures.pearson(*measures.specific(truth, truth)), 100)
    # and is not changed by each target's own scale and offset
    scaled = truth * np.arange(1, 8)[:, None] + np.arange(7)[:, None]
    np.testing.assert_allclose(measures.pearson(*measures.specific(scaled, truth)), 100)


def test_a_score_that_knows_only_the_model_has_no_specific_part():
    model, cross = _crossed()
    truth = model + cross
    truth[np.arange(7), np.arange(7)] = np.nan  # self-transfers: every target has another set of models
    score = np.broadcast_to(model, truth.shape)
    assert np.nanmean(measures.pearson(score, truth)) > 60
    assert np.isnan(measures.pearson(*measures.specific(score, truth))).all()
    noisy = model + np.random.default_rng(3).normal(size=(200, *truth.shape))
    assert abs(np.mean(measures.pearson(*measures.specific(noisy, truth)))) < 2  # 1400 values of sd about 19


def test_specific_by_hand():
    x = np.array([[1.0, 2, 3], [3.0, 1, 2], [1.0, 3, 2]])
    s = np.sqrt(1.5)  # standardised values are ±s and 0
    rx, ry = measures.specific(x, x[::-1])
    expected = np.array(  # standardised rows: (-s, 0, s), (s, -s, 0), (-s, s, 0)
        [[-s - (s - s) / 2, 0 - (-s + s) / 2, s - 0], [s + s, -s - s / 2, 0 - s / 2], [-s - 0, s + s / 2, 0 - s / 2]]
    )
    np.testing.assert_allclose(rx, expected, atol=1e-11)
    np.testing.assert_allclose(ry[2], expected[0], atol=1e-11)


def test_static_list_is_the_mean_standardised_accuracy_elsewhere():
    truth = np.array([[10.0, 20, 30], [1.0, 1, 4], [90.0, 70, np.nan]])
    s = np.sqrt(1.5)
    first, second, third = np.array([-s, 0, s]), np.array([-1, -1, 2]) / np.sqrt(2), np.array([1, -1, np.nan])
    np.testing.assert_allclose(
        measures.static_list(truth),
        [[(second[0] + 1) / 2, (second[1] - 1) / 2, second[2]], [(first[0] + 1) / 2, -0.5, s], (first + second) / 2],
    )
    assert np.isnan(third[2])


def test_variance_shares_recover_a_simulated_design():
    rng = np.random.default_rng(5)
    t, m, s = 12, 400, 3
    model, cross, noise = rng.normal(size=m), rng.normal(size=(t, m)), rng.normal(size=(s, t, m))
    truth = 70 + np.arange(1, t + 1)[:, None] * (2 * model + cross + 0.5 * noise)
    truth[:, np.arange(t), np.arange(t)] = np.nan
    shares = measures.variance_shares(truth)  # variances 4 : 1 : 0.25
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["model"] == pytest.approx(4 / 5.25, abs=0.03)
    assert shares["specific"] == pytest.approx(1 / 5.25, abs=0.03)
    assert shares["noise"] == pytest.approx(0.25 / 5.25, abs=0.005)
    single = measures.variance_shares(truth[:1])
    assert np.isnan(single["noise"])
    assert single["specific"] == pytest.approx(1.25 / 5.25, abs=0.03)


def test_over_draws_is_the_population_standard_deviation():
    mean, sd = measures.over_draws(np.array([[1.0, np.nan], [3.0, 4.0]]))
    np.testing.assert_allclose(mean, [2, 4])
    np.testing.assert_array_equal(sd, [1, np.nan])  # a single draw has none
