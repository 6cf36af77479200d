"""Counts against materialised resamples through scipy, tests against scipy's, intervals against known distributions."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.stats import measures, resampling, significance, weighted

SLOW = {
    "pearson": lambda x, y: 100 * scipy.stats.pearsonr(x, y)[0],
    "kendall": lambda x, y: scipy.stats.kendalltau(x, y)[0],
    "weighted_kendall": lambda x, y: scipy.stats.weightedtau(x, y)[0],
    "spearman": lambda x, y: scipy.stats.spearmanr(x, y)[0],
}


@settings(max_examples=60, deadline=None)
@given(data=st.data(), m=st.integers(4, 14), top=st.sampled_from([3, 9, 1000]))
def test_a_resample_by_counts_is_the_measure_of_the_repeated_rows(data, m, top):
    x, y = (np.array(data.draw(st.lists(st.integers(0, top), min_size=m, max_size=m)), float) for _ in range(2))
    counts = np.array(data.draw(st.lists(st.integers(0, 4), min_size=m, max_size=m)))
    x[data.draw(st.integers(0, m - 1))] = np.nan
    held = np.where(np.isfinite(x), counts, 0)
    found = weighted.under_counts(counts[None], x[None], y[None], wanted=tuple(SLOW))
    a, b = np.repeat(x, held), np.repeat(y, held)
    for name, slow in SLOW.items():
        if (held > 0).sum() < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
            assert np.isnan(found[name][0, 0])
        else:
            assert found[name][0, 0] == pytest.approx(slow(a, b), abs=1e-6), name


@settings(max_examples=20, deadline=None)
@given(data=st.data(), m=st.integers(3, 8))
def test_selection_is_the_expectation_over_random_tie_breaking(data, m):
    x = np.array(data.draw(st.lists(st.integers(0, 3), min_size=m, max_size=m)), float)
    y = np.array(data.draw(st.lists(st.integers(600, 640), min_size=m, max_size=m))) / 10
    rng, seen = np.random.default_rng(0), {"regret1": [], "relative1": [], "relative3": [], "near_best": []}
    luck = []
    for _ in range(3000):
        order = np.lexsort((rng.random(m), -x))
        seen["regret1"].append(y.max() - y[order[0]])
        seen["relative1"].append(100 * y[order[0]] / y.max())
        seen["relative3"].append(100 * y[order[:3]].mean() / y.max())
        seen["near_best"].append(y[order[0]] >= y.max() - weighted.NEAR - 1e-9)
        luck.append(y.max() - y[order[:3]].max())
    found = weighted.under_counts(np.ones((1, m)), x[None], y[None], wanted=(*seen, "regret3"))
    for name, values in seen.items():
        assert found[name][0, 0] == pytest.approx(np.mean(values), abs=5 * np.std(values) / np.sqrt(3000) + 1e-9)
    orders = [np.lexsort((sign * y, x))[::-1][:3] for sign in (1, -1)]
    assert found["regret3"][0, 0] == pytest.approx(np.mean([y.max() - y[o].max() for o in orders]))


def test_selection_sees_only_the_models_of_the_resample():
    x, y = np.array([[4.0, 3, 2, 1]]), np.array([[90.0, 70, 95, 60]])
    found = weighted.under_counts(np.array([[1, 1, 1, 1], [0, 2, 1, 0], [0, 0, 0, 3], [0, 0, 0, 0]]), x, y)
    np.testing.assert_allclose(found["regret1"][:, 0], [5, 25, 0, np.nan])
    np.testing.assert_allclose(found["regret3"][:, 0], [0, 0, 0, np.nan])
    np.testing.assert_allclose(found["relative3"][:3, 0], [100 * 85 / 95, 100 * 82.5 / 95, 100])
    np.testing.assert_allclose(found["near_best"][:3, 0], [0, 0, 1])


def test_partial_correlation_is_the_correlation_of_residuals():
    rng = np.random.default_rng(0)
    static = rng.normal(size=20)
    x, y = 2 * static + rng.normal(size=20), 3 * static + rng.normal(size=20)
    design = np.stack([np.ones(20), static], 1)
    rest = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y)]
    found = weighted.under_counts(np.ones((1, 20)), x[None], y[None], static[None], ("partial",))
    assert found["partial"][0, 0] == pytest.approx(100 * scipy.stats.pearsonr(*rest)[0], abs=1e-9)
    same = weighted.under_counts(np.ones((1, 20)), static[None], y[None], static[None], ("partial",))
    assert np.isnan(same["partial"][0, 0])  # nothing is left of the static list itself


def test_distributions_against_a_slow_loop():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(3, 9))
    scores = truth + rng.normal(size=(2, 2, 3, 9))
    scores[1] = scores[1, :1]  # a deterministic method
    truth[1, 4] = np.nan
    counts = resampling.resamples(9, 3, 2, number=20)
    for k, name, per_target, means in resampling.distributions(scores, truth, counts, ("pearson", "kendall")):
        for b in range(20):
            w_m, w_t, w_r = (c[b].astype(int) for c in (counts.models, counts.targets, counts.draws))
            held = np.repeat(np.arange(9), w_m)
            moved = getattr(measures, name)(scores[k][:, :, held], truth[:, held])
            still = getattr(measures, name)(scores[k], truth)
            mean = lambda v, t=w_t, r=w_r: np.nanmean(  # noqa: E731
                np.nanmean(np.repeat(np.repeat(v, t, 1), r, 0), 1)
            )
            every = np.ones(3, int), np.ones(2, int)
            assert means["all"][b] == pytest.approx(mean(moved), abs=1e-5)
            assert means["models"][b] == pytest.approx(mean(moved, *every), abs=1e-5)
            assert means["targets"][b % len(means["targets"])] == pytest.approx(mean(still, r=every[1]), abs=1e-5)
            if len(means["draws"]) > 1:
                assert means["draws"][b] == pytest.approx(mean(still, t=every[0]), abs=1e-5)
            np.testing.assert_allclose(per_target[b], np.nanmean(moved, 0), atol=1e-5)


def test_estimates_are_the_measures_of_the_table():
    rng = np.random.default_rng(2)
    scores, truth = rng.normal(size=(3, 2, 4, 10)), rng.normal(size=(4, 10))
    found = resampling.estimates(scores, truth, tuple(SLOW))
    for name, value in measures.measures(scores, truth).items():
        np.testing.assert_allclose(found[name], value, atol=1e-5)


def test_intervals_cover_the_true_correlation():
    # 300 samples of 40 pairs from a Gaussian with r = 0.6: a percentile interval covers a little below 95 %
    rng, covered = np.random.default_rng(3), 0
    x = rng.normal(size=(300, 40))
    y = 0.6 * x + 0.8 * rng.normal(size=x.shape)
    found = weighted.under_counts(resampling.resamples(40, 1, 1, 1000).models, x, y, wanted=("pearson",))["pearson"]
    for column in found.T:
        low, high, _ = resampling.interval(column)
        covered += low <= 60 <= high
    assert 0.88 <= covered / 300 <= 0.98


def test_equal_methods_are_rarely_told_apart_and_different_ones_are():
    rng, wrong = np.random.default_rng(4), 0
    counts = resampling.resamples(30, 1, 1, 500).models
    for _ in range(200):
        truth = rng.normal(size=30)
        x = np.stack([truth + rng.normal(size=30) for _ in range(2)])
        moved = weighted.under_counts(counts, x, np.stack([truth, truth]), wanted=("pearson",))["pearson"]
        estimate = np.subtract(*measures.pearson(x, truth))
        wrong += significance.paired_p(estimate, 30, moved[:, 0] - moved[:, 1]) < 0.05
    assert wrong / 200 <= 0.1
    x = np.stack([truth + 0.1 * rng.normal(size=30), rng.normal(size=30)])
    moved = weighted.under_counts(counts, x, np.stack([truth, truth]), wanted=("pearson",))["pearson"]
    assert significance.paired_p(np.subtract(*measures.pearson(x, truth)), 30, moved[:, 0] - moved[:, 1]) < 1e-3
    assert significance.paired_p(0.0, 30, np.zeros(500)) == 1


def test_variances_of_the_factors_add_up():
    rng = np.random.default_rng(0)
    first, second = 3 * rng.normal(size=20000), 4 * rng.normal(size=20000)
    expected = 2 * scipy.stats.t.sf(10 / 5, 9)
    assert significance.paired_p(10.0, 10, first, second, np.array([7.0])) == pytest.approx(expected, rel=0.05)


def test_holm_by_hand():
    # 0.01·4, 0.02·3, 0.03·2 raised to what precedes it, 0.2·1
    np.testing.assert_allclose(significance.holm([0.03, 0.01, 0.2, 0.02]), [0.06, 0.04, 0.2, 0.06])
    np.testing.assert_allclose(significance.holm([0.03, np.nan, 0.9]), [0.06, np.nan, 0.9])


def test_wilcoxon_equals_scipy_exactly():
    rng = np.random.default_rng(5)
    for n in (3, 7, 12):
        d = rng.normal(size=n)
        assert significance.wilcoxon(d) == pytest.approx(scipy.stats.wilcoxon(d, method="exact").pvalue)
    d = rng.normal(size=40)
    assert significance.wilcoxon(d) == pytest.approx(scipy.stats.wilcoxon(d, method="approx", correction=False).pvalue)
    assert significance.wilcoxon(np.arange(1.0, 6)) == pytest.approx(2 / 2**5)


def test_friedman_equals_scipy_and_demsars_table():
    rng = np.random.default_rng(6)
    values = rng.integers(0, 4, size=(4, 9)).astype(float)
    ranks, p, _ = significance.friedman(values)
    assert p == pytest.approx(scipy.stats.friedmanchisquare(*values).pvalue)
    assert ranks.sum() == pytest.approx(4 * 5 / 2)
    # Demšar 2006, table 5a: q at 0.05 is 2.569 for four and 3.164 for ten classifiers (its example: CD 1.25, N = 14)
    assert significance.friedman(rng.normal(size=(4, 14)))[2] == pytest.approx(
        2.569 * np.sqrt(4 * 5 / (6 * 14)), rel=1e-3
    )
    assert significance.friedman(rng.normal(size=(10, 5)))[2] == pytest.approx(3.164 * np.sqrt(10 * 11 / 30), rel=1e-3)


def test_noise_ceiling_is_what_the_true_accuracies_reach():
    rng = np.random.default_rng(7)
    true = 5 * rng.normal(size=(2, 4000))
    cube = true + 3 * rng.normal(size=(4, 2, 4000))
    ceiling, halves = significance.noise_ceiling(cube)
    # V = 25 + 9/4, so the ceiling is √(25 / 27.25) and the reliability its square
    np.testing.assert_allclose(ceiling, 100 * np.sqrt(25 / 27.25), atol=1)
    np.testing.assert_allclose(ceiling, measures.pearson(true, cube.mean(0)), atol=1)
    np.testing.assert_allclose(halves, 100 * 25 / 27.25, atol=1.5)
    assert np.isnan(significance.noise_ceiling(cube[:1])[0]).all()


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 2), (2, 2), (2, 3)])
def test_halves_are_stepped_up_to_all_seeds(a, b):
    """Between means of a and b seeds with variance 25 of the models and 9 of a seed: the reliability of a + b."""
    r = 25 / np.sqrt((25 + 9 / a) * (25 + 9 / b))
    assert significance.stepped_up(r, a, b) == pytest.approx(100 * 25 / (25 + 9 / (a + b)), rel=1e-12)
    assert significance.stepped_up(0.0, a, b) == 0
    assert significance.stepped_up(-0.1, a, b) < 0
    assert np.isnan(significance.stepped_up(np.nan, a, b))


def test_ten_thousand_resamples_are_quick():
    import time

    rng = np.random.default_rng(8)
    scores, truth = rng.normal(size=(6, 1, 7, 28)), rng.normal(size=(7, 28))
    counts, start = resampling.resamples(28, 7, 1), time.process_time()
    assert sum(1 for _ in resampling.distributions(scores, truth, counts, ("pearson", "kendall"))) == 12
    assert time.process_time() - start < 4  # a fifth of thirty methods: 0.2 s measured; 10 s are allowed for all
