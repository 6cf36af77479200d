"""Which targets of an experiment are complete in a released layer."""

from benchmark.cells.planner import plan
from benchmark.cells.released import complete
from benchmark.cells.store import Store
from tests.cells.test_plan import tiny


def finish(store: Store, key: str) -> None:
    store.write("truth", key, {"stage": "truth"}, {"oracle": 50.0}, {})


def test_a_target_is_complete_with_the_seeds_that_all_models_have_but_those_that_may_fail(tmp_path):
    made, store = plan(tiny({"recipe.seeds": 2})), Store(tmp_path)
    first, second, third = made.transfers
    assert complete(made, store, diverged=0) == complete(made, store) == {}
    for transfer in (first, second):
        for key in transfer.truth:
            finish(store, key)
    assert complete(made, store, diverged=0) == {}
    assert complete(made, store, diverged=1) == {"tiny": 2}
    finish(store, third.truth[0])
    assert complete(made, store, diverged=0) == {"tiny": 1}


def test_a_second_seed_without_the_first_does_not_count(tmp_path):
    made, store = plan(tiny({"recipe.seeds": 2})), Store(tmp_path)
    for transfer in made.transfers:
        finish(store, transfer.truth[1])
    assert complete(made, store, diverged=0) == {}
