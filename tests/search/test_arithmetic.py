"""What is tried in which order, how many trials fit, who is ahead beyond noise: closed forms, slow references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.config.model import ModelSpec
from benchmark.config.recipe import OptimiserSpec, RecipeSpec
from benchmark.search import arithmetic
from benchmark.search.arithmetic import Arm, Expected, Seen
from tests.tiny import spec

MADE_HERE = spec()
RELEASED = spec().model_copy(update={"weights": "timm:resnet10t.c3_in1k"})


def test_rates_begin_in_the_middle_and_reach_below_the_recipe() -> None:
    def rates(*grid: float, of: ModelSpec = MADE_HERE) -> list[float]:
        return arithmetic.rates_of(of, RecipeSpec(optimisers={"cnn": OptimiserSpec(rates=grid)}))

    assert rates(0.05, 0.15)[0] == 0.05
    assert sorted(rates(0.05, 0.15)) == pytest.approx([0.0167, 0.05, 0.15])
    assert rates(0.01, 0.03, 0.1)[0] == 0.03
    assert rates(0.01, 0.03, 0.1)[-1] == pytest.approx(0.00333)  # the farthest of 0.01/3, 0.01, 0.1 from 0.03
    assert sorted(rates(0.1)) == pytest.approx([0.0333, 0.1])
    assert rates(0.05, 0.15, of=RELEASED) == [0.0167, 0.05, 0.15], "weights that others released want less"


def test_adamw_is_tried_beside_sgd_and_alone_where_the_recipe_says_it() -> None:
    said = [(arm.rate, arm.optimiser) for arm in arithmetic.options(spec(), RecipeSpec())]
    assert said == [(0.05, None), (0.001, "adamw"), (0.0167, None), (0.0003, "adamw"), (0.15, None)]
    vit = arithmetic.options(spec("vit"), RecipeSpec())
    assert {arm.optimiser for arm in vit} == {None}
    changed = arithmetic.recipe_of(RecipeSpec(), spec(), "adamw").optimisers["cnn"]
    assert (changed.name, changed.weight_decay) == ("adamw", 0.05)
    assert arithmetic.recipe_of(RecipeSpec(), spec(), None) == RecipeSpec()


def test_rates_of_the_better_model_come_before_more_models() -> None:
    a, b, c = ([Arm(name, float(k)) for k in range(1, 4)] for name in "abc")
    order = [f"{arm.model}{arm.rate:g}" for arm in arithmetic.in_turns([a, b, c])]
    assert order == ["a1", "a2", "b1", "a3", "b2", "c1", "b3", "c2", "c3"]


@given(seconds=st.floats(0, 100), each=st.floats(0.1, 50), workers=st.integers(1, 4))
def test_as_many_trials_as_fit(seconds: float, each: float, workers: int) -> None:
    n = arithmetic.in_time(seconds, each, workers)
    assert n % workers == 0
    assert n / workers * each <= seconds * (1 + 1e-9)
    assert (n / workers + 1) * each > seconds * (1 - 1e-9)


@given(seed=st.integers(0, 10**6), n=st.integers(2, 60))
@settings(max_examples=50, deadline=None)
def test_the_paired_error_is_that_of_the_mean_difference(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 2, (2, n))
    padded = np.r_[a - b, 1, -1]  # one image more on either side
    variance = (np.abs(padded).sum() - padded.sum() ** 2 / n) / n**2
    ours, theirs = Seen(100 * a.mean(), n, a.tolist()), Seen(100 * b.mean(), n, b.tolist())
    assert arithmetic.error_of(ours, theirs) == pytest.approx(100 * np.sqrt(max(0.0, variance)))


def test_unpaired_errors_are_binomial_and_add_up() -> None:
    half = Seen(50.0, 200)  # sqrt(0.25 / 200) = 3.54 points each
    assert arithmetic.error_of(half, half) == pytest.approx(5.0, abs=0.01)
    assert 0 < arithmetic.single_error(Seen(100.0, 200)) < 1.5, "one without an error may have had luck"


def test_none_is_left_out_for_what_noise_explains() -> None:
    n = 200
    right = np.zeros(n, int)
    right[:140] = 1

    def seen(better: int, worse: int) -> Seen:
        """Rightly named: all but `worse` of those that the leader has, and `better` others."""
        own = right.copy()
        own[:worse], own[140 : 140 + better] = 0, 1
        return Seen(100 * own.mean(), n, own.tolist())

    leader, near, far, like = (Arm(name, 0.1) for name in ("leader", "near", "far", "like"))
    # paired: 4 of 200 are 2 points, and the error is sqrt(1 + 5 − 16/200)/200 = 1.2 points; 12 are 6, of 1.9
    shown = {leader: seen(0, 0), near: seen(0, 4), far: seen(0, 12), like: seen(20, 22)}
    order = arithmetic.best_first(shown, {})
    assert [a.model for a in order] == ["leader", "like", "near", "far"]
    assert [a.model for a in arithmetic.undecided(shown, order)] == ["leader", "like", "near"]
    shown[far] = Seen(shown[far].accuracy, n)  # not paired, 6 points are within noise
    assert far in arithmetic.undecided(shown, order)


def test_of_equals_the_earlier_stays_ahead() -> None:
    arms = [Arm(name, 0.1) for name in "ab"]
    assert arithmetic.best_first({a: Seen(60.0, 100) for a in arms}, {}) == arms


def test_what_was_expected_counts_beside_what_a_trial_shows() -> None:
    a, b = (Arm(name, 0.1) for name in "ab")
    shown = {a: Seen(62.0, 200), b: Seen(65.0, 200)}  # errors of 3.4 points, and 3 more

    def order(x: Expected, y: Expected) -> list[str]:
        return [arm.model for arm in arithmetic.best_first(shown, {"a": x, "b": y})]

    assert order(Expected(70.0, 1.0), Expected(65.0, 1.0)) == ["a", "b"]
    assert order(Expected(70.0, 30.0), Expected(65.0, 30.0)) == ["b", "a"]
    assert order(Expected(65.0, 1.0), Expected(70.0, 1.0)) == ["b", "a"]
    assert arithmetic.best_first(shown, {"a": Expected(70.0, 1.0)})[0] == b, "nothing was expected of b"
    shown = {arm: Seen(one.accuracy, 10**8) for arm, one in shown.items()}
    moved = arithmetic.weighed(shown, {"a": Expected(70.0, 1.0), "b": Expected(65.0, 1.0)})
    share = 1 / (1 + arithmetic.FIDELITY**2)
    assert moved[a] == pytest.approx(share * -1.5 + (1 - share) * 2.5, rel=1e-3)
