"""New methods beside finished tables: only where models, targets, probes, recipe and ground truth are the same."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmark.config.compose import compose
from benchmark.config.validation import experiment
from benchmark.errors import ConfigError
from benchmark.tables import against, committed

MINE = "+method.mine._target_=tests.stranger.centroid_accuracy"
KEYS = ["Model", "Target Dataset"]


def composed(*overrides):
    return experiment(compose(["experiment=diverse", MINE, "against=released", *overrides]))


@pytest.fixture(scope="module")
def focus():
    return against.focus([composed()])


def test_released_is_the_table_of_the_same_experiment_with_most_methods(focus):
    assert focus.held.name == "results/diverse_all"
    assert against.differences(composed(), focus.held) == []
    assert focus.methods == ("mine",)
    assert set(focus.experiments[0].method) == {"mine", focus.witness.name}
    demo = experiment(compose(["experiment=demo", MINE, "against=released"]))
    assert against.focus([demo]).held.name == "results/demo_all"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["probe.size=100"], r"probe.size is 500 there and 100 here"),
        (["probe.draws=3"], r"probe.draws is 5 there and 3 here"),
        (["recipe.steps=10"], r"recipe.steps is 125 there and 10 here"),
        (["target.digits.noise=0.1"], r"the target digits differs in parameters"),
        (["+bank.resnet10-mnist.seed=7"], r"the model resnet10-mnist differs in seed"),
        (["+method.parc.n_dims=8"], r"method.parc must be what results/diverse_all holds under that name"),
        (["~method.mine"], r"method must have one that results/diverse_all lacks"),
        (["truth.mode=recompute"], r"truth.mode must be stored"),
        (["against=results/nowhere"], r"results must be a folder with scores.parquet.*Got 'results/nowhere'"),
    ],
)
def test_what_differs_is_said_in_one_sentence(overrides, said):
    with pytest.raises(ConfigError, match=said):
        against.focus([composed(*overrides)])


def as_if_computed(focus, targets=("digits", "mnist"), move=0.0, models=None):
    """What a run would have made of some targets: the finished rows with the witness, and a method of its own."""
    held = focus.held
    kept = held.scores["Target Dataset"].isin(targets)
    kept &= held.scores["Model"].isin(models) if models else True
    own = [c for c in held.scores if c not in held.methods or c == focus.witness.name]
    scores = held.scores.loc[kept, own].reset_index(drop=True)
    rng = np.random.default_rng(0)
    scores[focus.witness.name] += move * scores[focus.witness.name].std() * rng.normal(size=len(scores))
    scores["mine"] = rng.normal(size=len(scores))
    here = scores[KEYS].drop_duplicates()
    status = held.status[:1].assign(Method="mine", Status="degenerate")
    timings = pd.DataFrame({"Method": ["mine", focus.witness.name], "Stage": "score", "Milliseconds": 1.0})
    parts = {"truth": held.truth.merge(here), "seeds": held.seeds.merge(here), "status": status, "timings": timings}
    return pd.Series({"scores": scores, **parts})


def test_the_joined_table_is_mine_beside_theirs_row_by_row(focus):
    mine = as_if_computed(focus)
    made = against.joined(mine, focus, ["mine"])
    keys = ["Run", *KEYS]
    theirs = focus.held.scores.set_index(keys)
    ours = mine.scores.set_index(keys)["mine"]
    assert len(made.scores) == len(mine.scores)
    for row in made.scores.sample(20, random_state=0).to_dict("records"):
        at = tuple(row[k] for k in keys)
        assert row["mine"] == ours[at]
        assert row["parc"] == theirs.at[at, "parc"]
        assert row["logme"] == theirs.at[at, "logme"]
    assert set(made.status["Method"]) >= {"mine", "hscore"}
    assert set(made.status["Target Dataset"]) <= {"digits", "mnist"}
    assert set(made.timings["Method"]) == {"mine"}
    assert "parc" in set(made.times["method"])
    assert "within 0 of its standard deviation" in made.notes[1]
    assert made.notes[0].startswith(f"Scores and times of {len(focus.held.methods)} methods are those of results/div")


def test_of_a_part_of_the_bank_what_is_normalised_over_it_is_left_out(focus):
    few = sorted(set(focus.held.scores["Model"]))[:9]
    made = against.joined(as_if_computed(focus, models=few), focus, ["mine"])
    assert "rank_fusion" not in made.scores
    assert "parc" in made.scores
    assert any("ncti" in note and "rank_fusion" in note for note in made.notes)


def test_probes_of_other_images_are_noticed_by_the_witness(focus):
    made = against.joined(as_if_computed(focus, move=1e-3), focus, ["mine"])  # last digits of another processor
    assert focus.witness.name not in set(made.timings["Method"])
    with pytest.raises(ConfigError, match=rf"Got others: {focus.witness.name}, computed again on them, differs in"):
        against.joined(as_if_computed(focus, move=1.0), focus, ["mine"])


def test_another_ground_truth_is_refused(focus):
    mine = as_if_computed(focus)
    mine.seeds.loc[3, "Oracle"] += 0.5
    with pytest.raises(ConfigError, match=r"same ground truth. Got results/diverse_all, which differs in 1 of \d+ acc"):
        against.joined(mine, focus, ["mine"])
    mine = as_if_computed(focus)
    mine.seeds["Seed"] += 2
    with pytest.raises(ConfigError, match=r"seed 2: none there"):
        against.joined(mine, focus, ["mine"])


def test_another_number_of_images_is_refused(focus):
    mine = as_if_computed(focus)
    mine.scores["Images"] += 1
    with pytest.raises(ConfigError, match=r"as many images as those of results/diverse_all"):
        against.joined(mine, focus, ["mine"])


def test_a_table_that_lacks_a_row_is_refused(focus):
    shorter = replace(focus.held, scores=focus.held.scores.iloc[1:])
    with pytest.raises(ConfigError, match=r"must have a row a model, target and probe draw"):
        against.joined(as_if_computed(focus), replace(focus, held=shorter), ["mine"])


def test_the_finished_tables_that_come_with_the_project_can_be_read():
    assert {"demo_all", "diverse", "diverse_all", "rank", "small"} <= set(committed.names())
    for name in committed.names():
        held = committed.read(name)
        assert set(held.bank) >= set(held.scores["Model"]), name
        assert set(held.target) >= set(held.scores["Target Dataset"]), name
        assert len(held.methods) > 10
