"""What scores over a whole bank, and of methods that learn from other targets, are kept under."""

from functools import cache

import pytest

from benchmark.cells.planner import plan
from benchmark.config.compose import compose
from benchmark.config.validation import experiment
from benchmark.errors import ConfigError
from benchmark.run import run
from tests.bank_strangers import widths

WIDTHS = f"+method.widths._target_={widths.__module__}.widths"
LEARNS = "+method.learns._target_=tests.cells.test_whole_bank.learns"
FEW = (
    "experiment=diverse",
    "exclude_models=[]",
    "method=[parc]",
    "include_models=[resnet10-mnist,resnet10-random,densenet-random]",
)
TARGETS = "target=[digits,mnist,sprites]"


def learns(features, known) -> float:
    return 1.0


@cache
def composed(*overrides):
    return experiment(compose([*FEW, *overrides]))


def planned(*overrides, truths=None):
    return plan(composed(*overrides), truths=truths)


def scores(made, method) -> dict[tuple[str, str], str]:
    return {(t.model.name, t.target.name): t.scores[method] for t in made.transfers}


def truths_of(made) -> dict[str, float]:
    return {key: 50.0 + i for i, t in enumerate(made.transfers) for key in t.truth}


def test_the_keys_of_all_other_cells_stay():
    plain, more = planned(TARGETS), planned(TARGETS, WIDTHS, LEARNS)
    assert plain.cells.keys() < more.cells.keys()
    assert scores(plain, "parc") == scores(more, "parc")


def test_a_score_a_model_each_needs_every_probe_of_the_target():
    made = planned(TARGETS, WIDTHS)
    keys = scores(made, "widths")
    assert len(set(keys.values())) == len(keys)
    for transfer in made.transfers:
        cell = made.cells[transfer.scores["widths"]]
        here = [t.probe for t in made.transfers if t.target == transfer.target]
        assert [key for _, key in cell.needs] == [key for key, _ in cell.work["bank"]] == here
        assert here[cell.work["place"]] == transfer.probe
    assert len({made.cells[key].work["call"] for key in keys.values()}) == 3  # one call a target


def test_another_bank_makes_other_scores():
    fewer = planned(TARGETS, WIDTHS, "include_models=[resnet10-mnist,resnet10-random]")
    whole = scores(planned(TARGETS, WIDTHS), "widths")
    assert not set(scores(fewer, "widths").values()) & set(whole.values())


def test_the_target_and_its_kin_are_never_known_and_all_others_are():
    made = planned(TARGETS, LEARNS)
    made = planned(TARGETS, LEARNS, truths=truths_of(made))
    told = {t.target.name: made.cells[t.scores["learns"]].work["known"] for t in made.transfers}
    assert {name: set(known) for name, known in told.items()} == {
        "digits": {"sprites"},
        "mnist": {"sprites"},  # digits are of its family
        "sprites": {"digits", "mnist"},
    }
    assert set(told["digits"]["sprites"]) == {"resnet10-mnist", "resnet10-random", "densenet-random"}
    assert set(told["sprites"]["mnist"]) == {"resnet10-random", "densenet-random"}  # one was trained on mnist itself


def test_another_truth_of_a_target_that_it_is_told_of_makes_the_score_anew_and_no_other():
    first = truths_of(planned(TARGETS, LEARNS))
    of_sprites = {k for t in planned(TARGETS, LEARNS).transfers if t.target.name == "sprites" for k in t.truth}
    moved = {key: value + (key in of_sprites) for key, value in first.items()}
    before, after = (scores(planned(TARGETS, LEARNS, truths=known), "learns") for known in (first, moved))
    assert {target for (_, target) in before if before[_, target] != after[_, target]} == {"digits", "mnist"}


def test_known_accuracies_are_means_over_seeds_and_those_that_failed_are_left_out():
    made = planned(TARGETS, LEARNS)
    transfer = next(t for t in made.transfers if t.target.name == "sprites" and t.model.name == "densenet-random")
    assert len(transfer.truth) == 2
    table = dict(zip(transfer.truth, (70.0, 80.0), strict=True))
    again = planned(TARGETS, LEARNS, truths=table)
    told = {t.target.name: again.cells[t.scores["learns"]].work["known"] for t in again.transfers}
    assert told["digits"] == {"sprites": {"densenet-random": 75.0}}
    assert told["sprites"] is None


def test_one_target_or_akin_ones_alone_are_refused():
    for targets in ("target=[digits]", "target=[digits,mnist]"):
        with pytest.raises(ConfigError, match=r"target must hold two data sets that are not akin, for method.learns"):
            planned(targets, LEARNS)


def test_the_points_of_a_sweep_must_have_the_bank_and_the_targets_on_which_its_scores_depend():
    whole = composed(TARGETS, WIDTHS)
    fewer = whole.model_copy(update={"bank": dict(list(whole.bank.items())[:2])})
    with pytest.raises(ConfigError, match=r"bank must be the same in all points of a sweep with method.widths"):
        run([whole, fewer])
    with pytest.raises(ConfigError, match=r"target must be the same in all points of a sweep with method.learns"):
        run([composed(TARGETS, LEARNS), composed("target=[digits,sprites]", LEARNS)])
