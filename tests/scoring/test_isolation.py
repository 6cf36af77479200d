"""What strangers' estimators do to themselves, and not to others."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.config.functions import MethodSpec
from benchmark.scoring.call import Lost
from benchmark.scoring.draws import scoring_seed
from benchmark.scoring.isolation import isolated
from benchmark.scoring.score import score_probe

N, DRAWS = 12, 2


def method(name: str, **more) -> MethodSpec:
    path = name if "." in name else f"tests.misbehaving.{name}"
    return MethodSpec(name=name.rpartition(".")[2], _target_=path, **more)


@pytest.fixture(scope="module")
def probe() -> SimpleNamespace:
    rng = np.random.default_rng(0)
    labels = np.arange(2 * N) % 3
    arrays = {
        "features": (rng.normal(size=(2 * N, 4)) + labels[:, None]).astype(np.float32),
        "labels": labels,
        "logits": rng.normal(size=(2 * N, 5)).astype(np.float32),
    } | {f"draw_{r}": np.arange(N) + r for r in range(DRAWS)}
    values = {"images": [N] * DRAWS, "parameters": 7, "feature_dim": 4, "target_size": 2 * N, "classes": 3}
    return SimpleNamespace(arrays=arrays, values=values)


def scored(probe, *methods: MethodSpec) -> list:
    return score_probe(methods, [{"name": "m"}] * len(methods), probe, None, scoring_seed)


def values(results: list) -> list:
    return [result[0] for result in results]


def test_the_scores_of_others_are_those_without_it(probe):
    """Beside estimators that write, die and hang, everybody else's values are the same bytes."""
    others = [method("sound"), method("methods.parc"), method("methods.knn"), method("methods.leep")]
    alone = values(scored(probe, *others))
    first, second, third, fourth = others
    among = scored(
        probe,
        method("writes_through_memory"),
        first,
        method("segfaults"),
        second,
        method("lifts_the_ban"),
        third,
        method("hangs", timeout=0.2),
        fourth,
    )
    assert values(among[1::2]) == alone
    assert [type(faulty) for faulty in among[::2]] == [tuple, Lost, tuple, Lost]
    assert all(v["status"] == ["ok"] * DRAWS for v in alone)


@pytest.mark.parametrize(
    ("name", "changed"),
    [("writes_through_memory", "features, source_probs"), ("lifts_the_ban", "labels"), ("changes_metadata", "model")],
)
def test_writing_to_what_is_given_is_the_writers_failure(probe, name, changed):
    ((found, _),) = scored(probe, method(name))
    assert found["scores"] == [None] * DRAWS
    assert found["status"] == ["failed"] * DRAWS
    assert found["reasons"] == [f"it wrote to {changed}, which must stay as given. Copy them first."] * DRAWS


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_writing_through_a_tensor_is_no_different(probe):
    (found, _), after = scored(probe, method("writes_through_a_tensor"), method("sound"))
    assert found["reasons"] == ["it wrote to features, which must stay as given. Copy them first."] * DRAWS
    assert values([after]) == values(scored(probe, method("sound")))


def test_numpy_refuses_to_write_and_the_reason_says_what_to_do(probe):
    ((found, record),) = scored(probe, method("writes"))
    assert found["status"] == ["failed"] * DRAWS
    assert "read-only. What a method is given must stay as it is: let it copy first" in found["reasons"][0]
    assert "features -= features.mean()" in record["failure"]["traceback"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("segfaults", "its process died (Segmentation fault) at "),
        ("ends_with_a_child_left", "it ended its process with exit code 4"),
        ("killed", "its process was killed, perhaps for want of memory"),
        ("wants_memory", "there was not enough memory for it (Unable to allocate 7.11 PiB"),
    ],
)
def test_a_death_is_told_and_nothing_is_kept_of_it(probe, name, why):
    (lost,) = scored(probe, method(name))
    assert isinstance(lost, Lost)
    assert str(lost).startswith(why)
    assert str(lost).endswith("(probe draw 0)")


def test_sys_exit_is_an_exception_like_others(probe):
    ((found, record),) = scored(probe, method("exits"))
    assert found["reasons"] == ["SystemExit: 3"] * DRAWS
    assert "sys.exit(3)" in record["failure"]["traceback"]


@pytest.mark.parametrize("name", ["hangs", "hangs_in_c"])
def test_one_that_never_returns_is_ended_after_its_timeout(probe, name):
    lost, sound = scored(probe, method(name, timeout=0.2), method("sound"))
    assert str(lost).startswith(f"it took more than 0.2 s (method.{name}.timeout sets another limit) at ")
    assert "misbehaving.py" in str(lost)
    assert sound[0]["status"] == ["ok"] * DRAWS


def test_a_method_of_this_project_can_have_a_timeout_too(probe):
    limited = method("methods.parc", timeout=60.0)
    assert isolated(limited)
    assert not isolated(method("methods.parc"))
    assert values(scored(probe, limited)) == values(scored(probe, method("methods.parc")))


def test_a_message_cannot_act_on_a_terminal_and_the_first_failure_is_kept(probe):
    ((found, record),) = scored(probe, method("colourful", parameters={"weight": 2.0}))
    assert found["reasons"] == [r"ValueError: \x1b[31mred\x1b[0m and \x07 two lines \u202e"] * DRAWS
    failure = record["failure"]
    assert failure["draw"] == 0
    assert failure["given"] == "features (12, 4) float32, labels (12,) int64, weight 2.0"
    assert failure["traceback"].startswith("Traceback")
    assert all(c.isprintable() or c == "\n" for c in failure["traceback"])
    assert "score.py" not in failure["traceback"]  # its own lines alone


def test_of_several_failures_the_first_is_kept(probe):
    ((found, record),) = scored(probe, method("sometimes"))
    assert found["scores"] == [None, 1.0]
    assert record["failure"]["draw"] == 0
    assert "failure" not in scored(probe, method("sound"))[0][1]


def test_metadata_is_told_by_its_keys(probe):
    from benchmark.scoring.call import described

    given = {"model": {"name": "m", "parameters": 7}, "seed": 1010, "features": probe.arrays["features"]}
    assert described(given) == "model {name, parameters}, seed 1010, features (24, 4) float32"
