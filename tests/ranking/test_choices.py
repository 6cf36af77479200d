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
