"""scripts/results/search_policy.py: how many looks fit, what a policy chooses, and what it is judged by."""

import numpy as np
import pandas as pd
import pytest

from scripts.results import search_policy as script


@pytest.mark.parametrize(
    ("budget", "share", "looks"),
    # looks of 10 s each; the winner needs 30 s more
    [(49, 1.0, 1), (50, 1.0, 2), (60, 1.0, 3), (70, 1.0, 4), (100, 0.2, 2), (100, 0.1, 1), (1000, 1.0, 4), (5, 1.0, 1)],
)
def test_looks_leave_time_for_the_winner(budget, share, looks):
    assert script.affordable(np.full(4, 40.0), budget, share) == looks


def test_a_candidate_that_takes_too_long_ends_the_looks():
    assert script.affordable(np.array([40.0, 40.0, 4000.0, 40.0]), 200, 1.0) == 2


@pytest.fixture
def table() -> pd.DataFrame:
    """The list prefers a to b to c everywhere; b is the best on every target, and its look says so."""
    rows = [
        {
            "table": "rank",
            "target": f"t{t}",
            "model": m,
            "oracle": o + t,
            "list": place,
            script.LOOK: o,
            "seconds": 40.0,
        }
        for t in range(7)
        for m, o, place in (("a", 70.0, 3.0), ("b", 80.0, 2.0), ("c", 60.0, 1.0))
    ]
    return pd.DataFrame(rows)


def test_a_look_that_knows_better_pays_where_it_fits(table):
    found = script.simulated(table)
    lost = found.pivot_table(index="minutes", columns="method", values="regret")
    assert (lost[script.FIRST] == 10).all()
    assert (lost["share 100%"] == 0).all()
    assert lost.loc[1, "share 20%"] == 10, "12 s are not enough for two looks of 10 s"
    assert (lost[script.CHOSEN] == 0).all()
    assert found.loc[found["method"] == script.FIRST, "looks"].eq(0).all()
    said = script.decision(found)
    assert "at 1 min -10.00 (-10.00 to -10.00): looking pays" in said


def test_the_share_is_chosen_without_the_target():
    rows = [("rank", t, m, r) for t, lost in {"t0": (9.0, 0.0), "t1": (0.0, 5.0), "t2": (0.0, 5.0)}.items()
            for m, r in zip((script.FIRST, "share 20%"), lost, strict=True)]  # fmt: skip
    found = script.chosen(pd.DataFrame(rows, columns=["table", "target", "method", "regret"])).set_index("target")
    assert found.loc["t0", "regret"] == 9.0, "on the others the list's first lost nothing"
    assert found.loc["t1", "regret"] == 5.0, "elsewhere the list's first lost 4.5, the look 2.5"
