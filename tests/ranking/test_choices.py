"""Regrets and differences that can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from benchmark.ranking import choices

ORACLE = np.array([90.0, 80.0, 60.0])


def test_a_choice_costs_what_is_lost_to_the_best_and_equal_scores_share():
    table = pd.DataFrame({"table": "a", "target": "t0", "model": ["a", "b", "c"], "oracle": ORACLE})
    best = pd.Series(95.0, table.index)
    scores = {"right": table["oracle"], "equal": pd.Series(0.0, table.index)}
    scores["missing"] = pd.Series([np.nan, -5.0, np.nan], table.index)
    found = choices.judged(table, scores, best).set_index("method")
    assert found.loc["right", "regret"] == 95 - 90
    assert found.loc["right", "tau"] == pytest.approx(1)
    assert found.loc["equal", "regret"] == pytest.approx(95 - ORACLE.mean())
    assert found.loc["missing", "regret"] == 95 - 80  # of the only one with a score


def test_a_difference_is_taken_target_by_target_and_a_targets_tables_go_together():
    rows = [("a", "t0", 1.0, 3.0), ("b", "t0", 1.0, 3.0), ("a", "t1", 2.0, 2.0)]
    table = pd.DataFrame(
        [{"table": t, "target": n, "method": m, "regret": v} for t, n, x, y in rows for m, v in (("x", x), ("y", y))]
    )
    mean, low, high = choices.between(table, "regret", "x", "y")
    assert mean == pytest.approx(-4 / 3)
    assert (low, high) == (-2.0, 0.0)  # either target alone; together always the mean


def test_the_best_of_the_first_three_is_what_regret3_counts():
    oracle = np.array([50.0, 60.0, 70.0, 90.0])
    table = pd.DataFrame({"table": "a", "target": "t0", "model": list("abcd"), "oracle": oracle})
    scores = {"wrong": pd.Series([4.0, 3.0, 2.0, 1.0]), "right": pd.Series(oracle)}
    found = choices.judged(table, scores, pd.Series(90.0, table.index)).set_index("method")
    assert found.loc["wrong", "regret3"] == 20  # the third of them reaches 70
    assert found.loc["right", "regret3"] == 0
    assert found["crossed"].isna().all()
    assert found.loc["right", "pearson"] == pytest.approx(100)


def test_a_crossed_regret_does_not_owe_to_the_luck_of_the_best():
    """Two equal models that were lucky on one half each: raw, the other loses; across halves nobody does."""
    halves = np.array([[60.0, 50.0], [50.0, 60.0]])
    chosen = np.array([True, False])
    # best of the first half is a, judged on the second: 50, a itself 50; best of the second is b: 50 against a's 60
    assert choices.crossed(halves, chosen) == ((50 - 50) + (50 - 60)) / 2
    assert choices.crossed(np.array([[90.0, 90.0], [50.0, 60.0]]), ~chosen) == (40 + 30) / 2


def test_models_that_are_drawn_are_the_candidates():
    """Two models, 10 points apart, the first score right and the second wrong: without both there is no choice."""
    table = pd.DataFrame(
        [
            {"table": "a", "target": f"t{t}", "model": m, "oracle": v}
            for t in range(3)
            for m, v in (("a", 60), ("b", 50))
        ]
    ).astype({"oracle": float})
    mean, low, high = choices.between_models_too(table, table["oracle"], -table["oracle"], number=400)
    assert mean == -10
    assert (low, high) == (-10, 0)  # half of the resamples hold one of the models twice
    missing = pd.Series([np.nan, 1.0] * 3)
    assert choices.between_models_too(table, missing, table["oracle"], number=400)[0] == 10


def test_targets_needed_is_the_usual_formula():
    """(1.96 + 0.84)² · 4 / 1 = 31.4 at a deviation of two points."""
    assert choices.targets_needed(np.array([-2.0, 0.0, 2.0]), 1.0) == 32
    assert choices.targets_needed(np.array([-2.0, 0.0, 2.0]), 2.0) == 8
