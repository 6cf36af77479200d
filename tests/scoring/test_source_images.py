"""Images of a model's own source: which models have them, and that a method is given these and nothing else."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

import methods
from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.config.compose import compose
from benchmark.config.validation import experiment
from benchmark.errors import ConfigError
from benchmark.run import run
from tests.running import TINY

NAMED = "+bank.random.source_images=tiny_source"


@cache
def composed(*overrides):
    return experiment(compose([*TINY, *overrides]))


def scores(made, method) -> dict[str, str]:
    return {t.model.name: t.scores[method] for t in made.transfers}


def test_a_run_gives_each_model_its_own_source_and_says_of_the_others_that_they_have_none(tmp_path):
    places = (f"paths.cache={tmp_path}/cache", f"paths.out={tmp_path}/out", "executor.workers=0")
    asked = composed("method=[parc,f_otce,jc_otce]", NAMED, *places)
    run([asked])
    made, store = plan(asked), Store(tmp_path / "cache")
    for transfer in made.transfers:
        if transfer.model.name == "vit":
            continue
        cell = made.cells[transfer.scores["f_otce"]]
        target, source = (store.read("probe", cell.work[name]) for name in ("scored", "source"))
        assert made.cells[cell.work["source"]].work["model"].name == transfer.model.name
        kept = store.read("score", cell.key).values
        for draw in range(2):
            ours, theirs = (p.arrays[f"draw_{draw}"] for p in (target, source))
            expected = methods.f_otce(
                target.arrays["features"][ours],
                target.arrays["labels"][ours],
                source.arrays["features"][theirs],
                source.arrays["labels"][theirs],
            )
            assert kept["status"][draw] == expected.status
            assert kept["scores"][draw] == (float(expected) if np.isfinite(float(expected)) else None)
    table = pd.read_csv(tmp_path / "out/scores.csv")
    status = pd.read_csv(tmp_path / "out/status.csv")
    without = status[status["Architecture"] == "vit_tiny_patch16_224"]
    assert set(without["Method"]) == {"f_otce", "jc_otce"}
    assert set(without["Status"]) == {"not_applicable"}
    assert set(without["Reason"]) == {"no images of the model's source are given (source_images in its bank)"}
    assert table["parc"].notna().all()
    assert "failed" not in set(status["Status"])
    assert table.loc[table["Architecture"] == "resnet10t", "f_otce"].notna().any()


def test_what_a_model_was_trained_on_here_needs_no_word_and_what_is_named_counts_for_no_other_key():
    plain, asked = (plan(composed(f"method=[parc{also}]")) for also in ("", ",f_otce"))
    named = plan(composed("method=[parc,f_otce]", NAMED))
    assert plain.cells.keys() < asked.cells.keys()
    assert scores(plain, "parc") == scores(named, "parc")
    sources = {t.model.name: asked.cells[t.scores["f_otce"]].work["source"] is not None for t in asked.transfers}
    assert sources == {"trained": True, "random": False, "vit": False}
    before, after = scores(asked, "f_otce"), scores(named, "f_otce")
    assert {name for name in before if before[name] != after[name]} == {"random"}
    assert [t.truth for t in plain.transfers] == [t.truth for t in named.transfers]
    assert [t.probe for t in plain.transfers] == [t.probe for t in named.transfers]


def test_a_name_that_no_data_set_has_is_refused():
    said = r"bank.random.source_images must name a data set .* Did you mean 'tiny_source'"
    with pytest.raises(ConfigError, match=said):
        composed("+bank.random.source_images=tiny_sourc")
