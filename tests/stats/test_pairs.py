"""Which pairs are tested together: of methods in question theirs alone, so that Holm's correction is over those."""

import numpy as np
import pytest

from benchmark.stats import evidence, pairs, significance
from tests.stats.test_evidence import bank


@pytest.fixture(scope="module")
def found():
    return bank()


@pytest.fixture(scope="module")
def all_pairs(found):
    return evidence.compute(found.aligned, ["static_list"], 500).tests


@pytest.fixture(scope="module")
def of_blind(found):
    return evidence.compute(found.aligned, ["static_list"], 500, focal=["blind"])


def test_a_method_in_question_is_tested_against_all_others_and_nothing_else_is(of_blind):
    for _, rows in of_blind.tests.groupby("measure"):
        assert set(rows["family"]) == {"focal"}
        assert set(rows["first"]) == {"blind"}
        assert sorted(rows["second"]) == ["far", "near", "static_list", "twin"]


def test_the_tests_are_those_of_the_same_pairs_among_all_with_another_correction(of_blind, all_pairs):
    mine = of_blind.tests[of_blind.tests["measure"] == "pearson"].set_index("second")
    theirs = all_pairs[(all_pairs["measure"] == "pearson") & (all_pairs["second"] == "blind")].set_index("first")
    for other in ("near", "twin", "far"):
        assert mine.at[other, "difference"] == pytest.approx(-theirs.at[other, "difference"])
        assert (mine.at[other, "low"], mine.at[other, "high"]) == pytest.approx(
            (-theirs.at[other, "high"], -theirs.at[other, "low"])
        )
        assert mine.at[other, "p"] == pytest.approx(theirs.at[other, "p"])
        assert mine.at[other, "p_wilcoxon"] == pytest.approx(theirs.at[other, "p_wilcoxon"])
    np.testing.assert_allclose(mine["p_holm"], significance.holm(mine["p"].to_numpy()), atol=2e-6)  # of rounded p


def test_two_methods_in_question_are_compared_once(found):
    made = pairs.families(found.aligned, ["static_list"], ["near", "twin"])["focal"]
    methods = found.aligned.methods
    named = [(methods[i], methods[j]) for i, j in made]
    assert len(named) == len({frozenset(pair) for pair in named}) == 2 * 3 + 1
    assert ("near", "twin") in named


def test_only_the_methods_in_question_and_the_list_have_intervals_of_selection(of_blind):
    rows = of_blind.intervals.query("measure == 'regret1' and target == 'mean' and over == 'all'").set_index("method")
    assert rows["estimate"].notna().all()
    assert sorted(rows.index[rows["low"].notna()]) == ["blind", "static_list"]


def test_the_sentence_names_what_a_method_is_told_apart_from(found, of_blind):
    (sentence,) = of_blind.sentences
    assert "Holm over 4 pairs at 5 %" in sentence
    own = of_blind.tests.query("measure == 'pearson' and supported")
    assert set(own["second"]) >= {"near", "twin"}  # they follow the accuracy, it does not
    worse = sentence.partition("worse than ")[2].partition(";")[0].split(", ")
    assert sorted(worse) == sorted(own["second"])
    assert pairs.focal_sentences(found.aligned, of_blind.tests[:0], ["blind"])[0].startswith("No interval and no test")
