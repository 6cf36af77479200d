"""Methods that see the whole bank, and those that learn from known transfers: what they are given, what they do."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmark import evaluate, run
from benchmark.check import main as check
from benchmark.config.functions import GivenMethod, MethodSpec
from benchmark.errors import ConfigError
from benchmark.scoring.call import Lost
from benchmark.scoring.draws import scoring_seed
from benchmark.scoring.isolation import isolation
from benchmark.scoring.known import of_table
from benchmark.scoring.whole_bank import score_probes
from tests.running import ROOT

PAGE = (Path(ROOT) / "docs" / "method.md").read_text()
EXAMPLES = re.findall(r"^```python\n(def (\w+).*?)^```", PAGE, re.MULTILINE | re.DOTALL)
N, DRAWS = 12, 2


def probe(d: int, seed: int) -> SimpleNamespace:
    rng, labels = np.random.default_rng(seed), np.arange(2 * N) % 3
    arrays = {"features": rng.normal(size=(2 * N, d)).astype(np.float32), "labels": labels}
    arrays |= {f"draw_{r}": np.arange(N) + r for r in range(DRAWS)}
    values = {"images": [N] * DRAWS, "parameters": 7 + d, "feature_dim": d, "target_size": 2 * N, "classes": 3}
    return SimpleNamespace(arrays=arrays, values=values)


PROBES = [probe(4, 0), probe(6, 1), probe(5, 2)]


def scored(*methods: MethodSpec, known=None) -> list:
    facts = [[{"name": f"m{i}", "layers": None} for i in range(3)]] * len(methods)
    return score_probes(methods, facts, PROBES, scoring_seed, [known] * len(methods))


def stranger(name: str, **more) -> MethodSpec:
    return MethodSpec(name=name, _target_=f"tests.bank_strangers.{name}", **more)


def test_it_is_given_every_models_features_of_the_same_images_and_what_is_known_of_each():
    seen = []

    def looks(bank_features, bank_labels, models, known, seed, n_classes):
        seen.append(locals())
        return [0.5, 1.5, 2.5]

    known = {"other": {"m0": 50.0}}
    (found,) = scored(GivenMethod(name="looks", _target_="given.looks", call=looks), known=known)
    assert [values["scores"] for values, _ in found] == [[0.5] * DRAWS, [1.5] * DRAWS, [2.5] * DRAWS]
    assert [values["parameters"] for values, _ in found] == [11, 13, 12]
    for r, given in enumerate(seen):
        for held, one in zip(given["bank_features"], PROBES, strict=True):
            np.testing.assert_array_equal(held, one.arrays["features"][r : N + r])
            assert not held.flags.writeable
        np.testing.assert_array_equal(given["bank_labels"], PROBES[0].arrays["labels"][r : N + r])
        assert [m["name"] for m in given["models"]] == ["m0", "m1", "m2"]
        assert [m["parameters"] for m in given["models"]] == [11, 13, 12]
        assert all("layers" not in m for m in given["models"])  # not known, so not there
        assert (given["known"], given["seed"], given["n_classes"]) == (known, scoring_seed(r), 3)


def test_a_stranger_runs_in_a_process_of_its_own_and_its_faults_are_its_own():
    names = ("widths", "segfaults", "hangs", "writes_through_memory", "partly")
    sound, dead, late, wrote, partly = scored(*(stranger(n, timeout=0.3 if n == "hangs" else None) for n in names))
    assert [values["scores"] for values, _ in sound] == [[d + N] * DRAWS for d in (4, 6, 5)]
    assert isinstance(dead, Lost)
    assert str(dead).startswith("its process died (Segmentation fault) at ")
    assert isinstance(late, Lost)
    assert "it took more than 0.3 s (method.hangs.timeout sets another limit)" in str(late)
    for values, _ in wrote:
        assert (
            values["reasons"] == ["it wrote to bank_features, models, which must stay as given. Copy them first."] * 2
        )
    assert [values["status"][0] for values, _ in partly] == ["ok", "degenerate", "ok"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("one_too_few", "ValueError: what is returned must be one score a model, in the order of models, 3. Got 2."),
        (
            "one_number",
            "ValueError: what is returned must be one score a model, in the order of models, 3. Got one float.",
        ),
        ("by_name", "ValueError: what is returned must be one score a model, in the order of models, 3. Got one dict."),
    ],
)
def test_what_is_not_a_score_a_model_has_failed(name, said):
    (found,) = scored(stranger(name))
    assert [values["reasons"] for values, _ in found] == [[said] * DRAWS] * 3


def test_numpy_refuses_to_write_and_the_failure_says_what_was_given():
    (found,) = scored(stranger("writes"))
    values, record = found[0]
    assert "read-only. What a method is given must stay as it is" in values["reasons"][0]
    assert record["failure"]["given"] == "bank_features 3 of (12, 4) float32"


def truth(**more: list) -> pd.DataFrame:
    rows = [("a", t, 50.0 + i) for i, t in enumerate(("pets", "cars", "birds"))]
    rows += [("b", t, 60.0 + i) for i, t in enumerate(("pets", "cars", "birds"))]
    table = pd.DataFrame(rows, columns=["Model", "Target Dataset", "Oracle"])
    return table.assign(**{"Source Dataset": ["cars"] * 3 + ["photos"] * 3}, **more)


def test_of_a_table_the_target_and_what_is_akin_to_it_are_never_known():
    assert of_table(truth(), "pets") == {"cars": {"b": 61.0}, "birds": {"a": 52.0, "b": 62.0}}  # a is trained on cars
    akin = truth(**{"Target Family": ["animals", None, "animals"] * 2})
    assert of_table(akin, "pets") == {"cars": {"b": 61.0}}
    assert of_table(akin, "cars") == {"pets": {"a": 50.0, "b": 60.0}, "birds": {"a": 52.0, "b": 62.0}}


def test_seeds_are_averaged():
    twice = pd.concat([truth().assign(Seed=0), truth().assign(Seed=1, Oracle=lambda t: t["Oracle"] + 4)])
    assert of_table(twice, "cars")["pets"] == {"a": 52.0, "b": 62.0}


def own_features() -> tuple[dict, pd.DataFrame]:
    rng, arrays, rows = np.random.default_rng(0), {}, []
    for t, target in enumerate(("pets", "cars")):
        labels = arrays[f"{target}/labels"] = np.arange(24) % 3
        for i in range(5):
            arrays[f"{target}/net{i}/features"] = rng.normal(size=(24, 6 + i)) + i * np.eye(3, 6 + i)[labels]
            rows.append((f"net{i}", target, 60.0 + 3 * i + t + (i == t)))
    return arrays, pd.DataFrame(rows, columns=["Model", "Target Dataset", "Oracle"])


def functions() -> dict:
    held: dict = {"np": np}
    for code, _ in EXAMPLES:
        exec(code, held)
    return {name: held[name] for name in ("nearest_to_bank", "ridge_on_known")}


def test_the_pages_examples_on_ones_own_features():
    arrays, accuracies = own_features()
    report = evaluate(arrays, accuracies, functions(), resamples=50)
    table = report.correlations.aligned
    place = {m: table.methods.index(m) for m in functions()}
    likeness = []
    for i in range(5):
        x = arrays[f"pets/net{i}/features"]
        x = x - x.mean(axis=0)
        likeness.append(x @ x.T / np.linalg.norm(x @ x.T))
    expected = [-np.linalg.norm(one - sum(likeness) / 5) for one in likeness]
    pets = table.targets.index("pets")
    np.testing.assert_allclose(table.scores["none"][place["nearest_to_bank"], 0, pets], expected, rtol=1e-6)
    # one architecture a model, of one source: each weight is a half of what the model is above the mean elsewhere
    elsewhere = accuracies.query("`Target Dataset` == 'cars'")["Oracle"].to_numpy()
    found = table.scores["none"][place["ridge_on_known"], 0, pets]
    np.testing.assert_allclose(np.diff(found), np.diff(elsewhere) / 2, rtol=1e-9)


def test_without_another_target_a_method_that_learns_is_refused():
    arrays, accuracies = own_features()
    one = {k: v for k, v in arrays.items() if k.startswith("pets")}
    with pytest.raises(
        ConfigError, match=r"truth must have targets that are not akin, for ridge_on_known, .* Got pets\."
    ):
        evaluate(one, accuracies.query("`Target Dataset` == 'pets'"), functions(), resamples=10)


def test_inputs_of_one_model_and_of_the_bank_do_not_mix():
    def mixed(features, bank_features):
        return 0.0

    arrays, accuracies = own_features()
    with pytest.raises(
        ConfigError, match=r"method.mixed must take what is one model's or .* Got features and bank_feat"
    ):
        evaluate(arrays, accuracies, {"mixed": mixed}, resamples=10)


BANK = ("resnet10-mnist", "resnet10-glyphs", "resnet10-random", "densenet-random", "starnet-leaves")


@pytest.fixture
def outside(tmp_path, monkeypatch) -> Path:
    """The page's examples as a file in a folder of somebody else's."""
    code = "import numpy as np\n\n\n" + "\n\n".join(code for code, name in EXAMPLES if name in functions())
    (tmp_path / "rankers_of_mine.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    isolation().close()  # it keeps the sys.path of its start
    return tmp_path


OWN = {"near": "rankers_of_mine.nearest_to_bank", "known": "rankers_of_mine.ridge_on_known"}
FEWER = ("target=[mnist,sprites]", f"include_models=[{','.join(BANK)}]", "executor.workers=0")


def test_both_kinds_run_beside_a_method_of_one_model(outside):
    report = run("diverse", methods=["parc"], own=OWN, overrides=[*FEWER, "probe.size=40", "probe.draws=2"])
    rows = report.summary.set_index("method")
    assert (rows.loc[["near", "known"], "scored"] == rows.loc["parc", "cells"]).all()
    accuracies = report.correlations.aligned
    place = accuracies.methods.index("known")
    first, second = accuracies.scores["none"][place]  # of one seed draw and another: they look at no image
    np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_both_kinds_stand_beside_all_released_scores(outside):
    report = run("diverse", own=OWN, against="released", overrides=FEWER)
    rows = report.summary.set_index("method")
    assert {"near", "known", "parc", "static_list"} <= set(rows.index)
    assert (rows.loc[["near", "known"], "scored"] == rows.loc["parc", "cells"]).all()
    assert rows.loc["near", "input"] == "f(x) of all, y"
    assert rows.loc["known", "input"] == "metadata of all, other targets"


@pytest.mark.parametrize("name", ["nearest_to_bank", "ridge_on_known"])
def test_the_check_examines_them(outside, name, capsys):
    assert check([f"rankers_of_mine.{name}"]) == 0
    said = capsys.readouterr().out
    assert "order of models" in said
    assert "verdict: ok" in said


def test_the_check_finds_what_depends_on_the_order_of_models(outside, capsys):
    (outside / "ordered_one.py").write_text("def first(models):\n    return range(len(models))\n")
    assert check(["ordered_one.first"]) == 1
    assert re.search(r"order of models\s+fails", capsys.readouterr().out)
