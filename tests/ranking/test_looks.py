"""Looks at the first candidates: how many fit in a time, at which rate, and what they change, worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from benchmark.errors import ConfigError
from benchmark.ranking import looks
from benchmark.ranking.prediction import Joint


def joint(mean: list[float]) -> Joint:
    n = len(mean)
    return Joint(1.5, 0.01, 0.2, np.array(mean), np.zeros((n, n)), np.full(n, 0.3))


def test_the_order_is_twice_what_was_known_and_the_look_once():
    """Of two, deviations are ±1: 2·(1, -1) + (-1, 1) = (1, -1): a look alone cannot turn the order of two."""
    found = looks.moved(joint([2.0, 1.0, -3.0]), np.array([-5.0, -1.0, np.nan]))
    np.testing.assert_allclose(found.mean, [2.0, 1.0, -3.0])


def test_a_look_turns_what_lies_close_together():
    """Known (1.1, 1.0, -2.1): mean 0, deviation √(6.62/3); the look puts the second far ahead of the first."""
    before, look = np.array([1.1, 1.0, -2.1]), np.array([-1.0, -0.2, -1.0])
    found = looks.moved(joint([*before, -9.0]), np.array([*look, np.nan]))
    deviation = np.sqrt(6.62 / 3)
    z = 2 * before / deviation + np.array([-1.0, 2.0, -1.0]) / np.sqrt(2)  # (x - mean) / deviation of (-1, -.2, -1)
    np.testing.assert_allclose(found.mean[:3], deviation * (z - z.mean()) / z.std())
    assert found.mean[1] > found.mean[0]
    assert found.mean[:3].mean() == pytest.approx(0.0, abs=1e-12)
    assert found.mean[:3].std() == pytest.approx(deviation), "how far apart they are expected to be stays"
    assert found.mean[3] == -9.0, "what was not looked at stays where it was"
    np.testing.assert_array_equal(found.noise, np.full(4, 0.3))


def test_between_equal_candidates_the_look_decides():
    found = looks.moved(joint([0.5, 0.5, 0.5]), np.array([-3.0, -1.0, -2.0]))
    assert np.argsort(-found.mean).tolist() == [1, 2, 0]


@pytest.mark.parametrize("look", [None, np.full(3, np.nan), np.array([np.nan, -1.0, np.nan])])
def test_of_fewer_than_two_looks_nothing_follows(look):
    one = joint([1.0, 0.0, -1.0])
    assert looks.moved(one, look) is one


def test_as_many_looks_as_fit_in_the_time():
    """1,280 images at three passes each: 3.84 s at 1,000 images/s and 38.4 s at 100, two beside them: 5.84, 40.4."""
    table = pd.DataFrame({"model": ["a", "b", "c"], "images_per_second": [1000.0, 1000.0, 100.0]})
    assert looks.affordable(table, 11.6) == 0, "one look has nothing to be compared with"
    assert looks.affordable(table, 11.7) == 2
    assert looks.affordable(table, 52.2) == 3
    assert looks.affordable(table, 40.5, workers=2) == 3
    assert looks.affordable(table, 26.1, workers=2) == 2, "two workers do not make one look shorter"
    assert looks.wanted("11.7s", table) == ["a", "b"]
    assert looks.wanted(2, table) == looks.wanted("2", table) == ["a", "b"]
    assert looks.wanted("1s", table) == looks.wanted(None, table) == []


@pytest.mark.parametrize("asked", [0, 1, "1"])
def test_one_look_is_refused(asked):
    with pytest.raises(ConfigError, match=r"looks must be 2 candidates or more, or a time. Got [01]"):
        looks.wanted(asked, pd.DataFrame({"model": ["a"], "images_per_second": [1.0]}))


def test_what_is_neither_a_number_nor_a_time_is_refused():
    with pytest.raises(ConfigError, match=r"looks must be a time, for instance 30m, 1h30m or 900s. Got 'many'"):
        looks.wanted("many", pd.DataFrame({"model": ["a"], "images_per_second": [1.0]}))


def test_the_usual_rate_is_the_middle_one_over_targets_and_tables(tmp_path):
    for table, rates in {"rank": [0.1, 0.02, 0.02], "small": [0.1]}.items():
        rows = [{"Model": "m", "Target Dataset": f"t{i}", "Oracle": 50.0, "Rate": rate} for i, rate in enumerate(rates)]
        (tmp_path / table).mkdir()
        pd.DataFrame(rows).to_parquet(tmp_path / table / "seeds.parquet")
    assert looks.usual_rates(tmp_path) == {"m": 0.02}  # of 0.02, 0.02, 0.1, 0.1 the lower middle one
    assert looks.usual_rates(tmp_path / "rank") == {}


def test_the_place_among_the_looks_is_said():
    found = [looks.in_words(np.array([-2.0, np.nan, -1.0]), i) for i in range(3)]
    assert found == ["; look 2nd of 2", "", "; look 1st of 2"]
