"""docs/method.md names what a method is given, and nothing else: shapes, types, the keys of `model`."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import methods
from benchmark.api import evaluate
from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.config.compose import compose
from benchmark.config.functions import ARRAYS, GivenMethod
from benchmark.config.validation import experiment
from benchmark.scoring.metadata import Metadata
from benchmark.scoring.score import score_probe
from tests.running import ROOT, TINY

PAGE = (Path(ROOT) / "docs" / "method.md").read_text()


def rows(after: str) -> dict[str, list[str]]:
    """A table of the page: first cell -> the others."""
    table = PAGE[PAGE.index(after) :].split("\n\n", 1)[0].splitlines()[2:]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in table]
    return {name.strip("`"): rest for name, *rest in cells}


INPUTS = rows("| name | shape")
FACTS = rows("| key | type")


def test_every_input_is_on_the_page():
    assert list(INPUTS) == list(ARRAYS)


@pytest.fixture(scope="module")
def given(finished):
    """What a method is given in a run: the first of the tiny experiment whose model was trained here."""
    seen: dict = {}

    def looks(features, labels, source_probs, source_logits, model, seed, n_classes):
        seen.update(locals())
        return 0.0

    composed = compose([*TINY, f"paths.cache={finished}/cache"])
    made, store = plan(experiment(composed)), Store(finished / "cache")
    transfer = next(t for t in made.transfers if t.model.name == "trained")
    method = GivenMethod(name="looks", _target_="given.looks", call=looks)
    facts = {"name": "trained", "arch": "resnet10t", "layers": 10, "source": "tiny_source", "target": "tiny"}
    done = score_probe([method], [facts], store.read("probe", transfer.probe), None, lambda r: 1010 + 2131 * r)
    assert done[0][0]["status"] == ["ok", "ok"]
    return seen


def test_arrays_have_the_shapes_and_types_of_the_page(given):
    n = len(given["labels"])
    for name, array in given.items():
        if isinstance(array, np.ndarray):
            shape, kind = re.match(r"\((.*?)\) (\w+)", INPUTS[name][0]).groups()
            assert array.ndim == len([part for part in shape.split(",") if part.strip()]), name
            assert str(array.dtype) == kind, name
            assert len(array) == n
            assert not array.flags.writeable
    np.testing.assert_allclose(given["source_probs"].sum(axis=1), 1)
    assert given["seed"] == 1010 + 2131
    assert given["n_classes"] >= len(np.unique(given["labels"]))


def test_the_keys_of_model_are_those_of_the_page(given):
    assert set(given["model"]) == set(FACTS)
    for key, value in given["model"].items():
        assert isinstance(value, {"str": str, "int": int, "float": float}[FACTS[key][0]]), key
    assert given["model"]["feature_dim"] == given["features"].shape[1]
    assert 0 < given["model"]["source_accuracy"] <= 100


def test_a_plan_tells_a_method_only_facts_of_the_page():
    made = plan(experiment(compose([*TINY, "method=[layers]"])))
    told = {key for c in made.cells.values() if c.stage == "score" for key in c.work["facts"]}
    assert told <= set(FACTS)
    assert "parameters" not in told  # counted when the probe is made


def test_the_name_of_before_finds_the_parameters():
    facts = Metadata(parameters=7, name="m")
    assert (facts["params"], facts.get("params"), facts.get("parameters")) == (7, 7, 7)
    assert "params" not in facts
    assert (Metadata().get("params"), Metadata().get("layers", 3)) == (None, 3)
    with pytest.raises(KeyError):
        Metadata()["params"]
    assert json.loads(json.dumps(facts)) == {"parameters": 7, "name": "m"}
    assert methods.parameters({"params": 7}) == methods.parameters({"parameters": 7}) == 7


def test_of_ones_own_tables_model_has_what_their_columns_say():
    seen = {}

    def looks(model):
        seen.update(model)
        return 0.0

    arrays = {"pets/labels": np.arange(8) % 2, "pets/net/features": np.eye(8)}
    facts = {"Layers": 9, "Parameters": 7, "Source Size": 5, "Source Accuracy": 60.5, "Target Size": 99}
    truth = pd.DataFrame([{"Model": "net", "Target Dataset": "pets", "Oracle": 60.0, **facts}])
    evaluate(arrays, truth, {"looks": looks}, resamples=10)
    assert set(seen) == set(FACTS)
    assert (seen["target"], seen["target_size"], seen["parameters"]) == ("pets", 99, 7)


def test_the_pages_estimator_runs(tmp_path):
    code = re.findall(r"^```python\n(def my_score.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0]
    held: dict = {"np": np}
    exec(code, held)
    labels = np.arange(30) % 3
    features = np.random.default_rng(0).normal(size=(30, 5)) + 4 * np.eye(3, 5)[labels]
    assert 0.5 < held["my_score"](features, labels) < 1
