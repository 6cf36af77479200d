"""Score: a float that carries its status."""

import copy
import math
import pickle

import pytest

from methods import Score
from methods.shared.score import degenerate, insufficient, not_applicable


def test_is_a_float_and_arithmetic_forgets_the_status():
    score = Score(1.5, "degenerate", "why")
    assert score + 1 == 2.5
    assert type(score + 1) is float
    assert sorted([Score(2), Score(1)]) == [1, 2]
    assert f"{Score(1 / 3):.2f}" == "0.33"


def test_status_reason_and_parts_survive_copies():
    score = Score(2.0, "degenerate", "why", {"a": 1.0})
    for again in (copy.copy(score), copy.deepcopy(score), pickle.loads(pickle.dumps(score))):
        assert (again, again.status, again.reason, dict(again.parts)) == (2.0, "degenerate", "why", {"a": 1.0})


def test_not_a_number_needs_a_named_status():
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="value must be finite where status is ok"):
            Score(value)
    for made, status in (
        (degenerate("r"), "degenerate"),
        (insufficient("r"), "insufficient"),
        (not_applicable("r"), "not_applicable"),
    ):
        assert math.isnan(made)
        assert (made.status, made.reason, made.ok) == (status, "r", False)


def test_unknown_status_is_refused():
    with pytest.raises(ValueError, match="status must be one of"):
        Score(1.0, "fine")


def test_repr_shows_what_is_not_plain():
    assert repr(Score(0.5)) == "Score(0.5)"
    assert repr(degenerate("why", 3.0)) == "Score(3.0, 'degenerate', 'why')"
    assert str(degenerate("why", 3.0)) == "3.0"
