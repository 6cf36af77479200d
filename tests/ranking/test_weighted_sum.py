"""The weights are those of a ridge regression that can be written down, and nothing of a target helps to rank it."""

import numpy as np
import pandas as pd
import pytest

from benchmark.ranking import weighted_sum
from benchmark.ranking.transfers import angle, percent

PARTS = ("list", "look")


def known(targets: int = 8, models: int = 12, table: str = "a", seed: int = 0) -> pd.DataFrame:
    """Accuracies whose angles are 1.2 + 0.2 · (2 · list + look)/3, without noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for t in range(targets):
        z = rng.normal(size=(models, 2))
        z = (z - z.mean(0)) / z.std(0)
        found = percent(1.2 + 0.2 * z @ [2 / 3, 1 / 3])
        rows += [
            {"table": table, "target": f"t{t}", "model": f"m{m}", "oracle": found[m], "list": z[m, 0], "look": z[m, 1]}
            for m in range(models)
        ]
    return pd.DataFrame(rows)


def test_parts_and_accuracies_count_in_deviations_within_the_target():
    table = known()
    scaled = table.assign(look=1e6 * table["look"] - 5e7, list=-3.0)
    made = weighted_sum.standardised(scaled, PARTS)
    np.testing.assert_allclose(made["look"], table["look"], atol=1e-9)
    assert (made["list"] == 0).all()
    for _, cell in made.groupby(["table", "target"]):
        a = angle(table.loc[cell.index, "oracle"])
        np.testing.assert_allclose(cell[weighted_sum.REACHED], (a - a.mean()) / a.std(), atol=1e-12)


def test_one_that_breaks_down_is_clipped_and_a_missing_one_says_nothing():
    table = known(models=30)
    table.loc[0, "look"], table.loc[1, "look"] = -1e9, np.nan
    made = weighted_sum.standardised(table, PARTS)
    assert made.loc[0, "look"] == -3.0
    assert made.loc[1, "look"] == 0.0


def test_weights_are_the_ridge_regressions():
    made = weighted_sum.standardised(known(), PARTS)
    X, y, n = made[[*PARTS]].to_numpy(), made[weighted_sum.REACHED].to_numpy(), len(made)
    rows = np.r_[X, np.sqrt(n / 36) * np.eye(2)]  # ridge as least squares on two more rows
    expected = np.linalg.lstsq(rows, np.r_[y, 0, 0], rcond=None)[0]
    np.testing.assert_allclose(weighted_sum.learned(made, PARTS), expected, rtol=1e-12)
    assert expected[0] / expected[1] == pytest.approx(2, rel=0.05)


def test_nothing_of_a_target_is_learned_from_for_it():
    table = known()
    before = weighted_sum.left_out(weighted_sum.standardised(table, PARTS), PARTS)
    here = table["target"] == "t3"
    changed = table.assign(oracle=np.where(here, 100 - table["oracle"], table["oracle"]))
    after = weighted_sum.left_out(weighted_sum.standardised(changed, PARTS), PARTS)
    np.testing.assert_array_equal(before[here], after[here])
    assert not np.allclose(before[~here], after[~here])


def test_a_table_of_few_targets_learns_from_all():
    few, many = known(6, table="few", seed=1), known(8, table="many")
    both = weighted_sum.standardised(pd.concat([few, many], ignore_index=True), PARTS)
    others = both[both["target"] != "t0"]
    expected = weighted_sum.learned(others, PARTS)  # five others of its own are not enough
    np.testing.assert_array_equal(weighted_sum.from_others(both, PARTS, "few", "t0"), expected)
    own = weighted_sum.learned(others[others["table"] == "many"], PARTS)
    np.testing.assert_array_equal(weighted_sum.from_others(both, PARTS, "many", "t0"), own)


def test_what_is_left_out_together_may_be_more_than_a_target():
    table = weighted_sum.standardised(known().assign(kind=lambda t: t["target"].isin(["t0", "t1"])), PARTS)
    found = weighted_sum.left_out(table, PARTS, unit="kind")
    here, others = table[table["target"] == "t0"], table[~table["kind"]]
    np.testing.assert_array_equal(found[here.index], here[[*PARTS]].to_numpy() @ weighted_sum.learned(others, PARTS))
    assert found.notna().all()
