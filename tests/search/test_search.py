"""Which models a search tries, and real searches of tiny models: in processes, in time, killed and gone on with."""

from __future__ import annotations

import csv
import json
import multiprocessing
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from benchmark.cells.store import Store
from benchmark.config import compose
from benchmark.config.recipe import RecipeSpec
from benchmark.config.validation import experiment
from benchmark.data import packs
from benchmark.errors import ConfigError
from benchmark.reporting.pictures import confusion
from benchmark.search import checkpoint, looks, processes
from benchmark.search import search as search_search
from benchmark.search import session as sessions
from benchmark.search.course import course
from benchmark.search.job import Job
from benchmark.search.pace import Pace
from benchmark.search.result import Result
from benchmark.search.search import MOST, contenders
from benchmark.search.session import Candidate, Given, Session, Subject
from benchmark.search.work import work
from tests import running
from tests.search.world import named
from tests.tiny import digits, spec

SMALL = {"arch": "resnet10t", "args": {"channels": [8, 8, 16, 16], "output_stride": 16}, "input_size": 16}


def test_models_that_hardly_are_the_best_are_not_tried() -> None:
    bank = {name: spec().model_copy(update={"name": name}) for name in "abcdef"}
    ranking = pd.DataFrame({"model": list("abcdef"), "best": [0.9, 0.06, 0.005, 0.004, 0.02, 0.001]})
    assert contenders(ranking, bank) == ["a", "b", "c", "e"], "a few always are"


def test_contenders_are_those_whose_interval_reaches_the_firsts() -> None:
    bank = {name: named(name) for name in "abcd"}
    table = pd.DataFrame({"model": list("abcd"), "low": [70, 60, 50, 40], "high": [90, 80, 69, 71]})
    assert contenders(table, bank) == ["a", "b", "d"]
    assert contenders(table[["model"]], bank) == ["a", "b", "c", "d"]
    many = {f"m{k}": named(f"m{k}") for k in range(20)}
    assert contenders(pd.DataFrame({"model": list(many)}), many) == list(many)[:MOST]
    with pytest.raises(ConfigError, match="Got 'e'"):
        contenders(pd.DataFrame({"model": ["e"]}), bank)
    with pytest.raises(ConfigError, match="column model"):
        contenders(pd.DataFrame({"name": ["a"]}), bank)


# --- real searches ---

RECIPE = RecipeSpec(steps=45, batch=16)
SECONDS = 5.0


def on_own_time():
    """Searches in this process by its processor time: what else the machine does moves nothing."""
    return patch.object(time, "monotonic", time.process_time)


def real(folder: Path, pack: Path, run, workers: int, budget: float, **more) -> Result:
    """A search between a model that can learn and one whose narrowest layer has one channel."""
    narrow = {"channels": [1, 1, 1, 1], "output_stride": 16}
    wide = spec(**SMALL).model_copy(update={"name": "wide"})
    bank = [wide.model_copy(update={"name": "narrow", "args": narrow}), wide]
    loaded = packs.load(pack)
    train, test = len(loaded.indices("train")), len(loaded.indices("test"))
    subject = Subject("digits", pack, train, test, loaded.class_names, loaded.multilabel)
    candidates = {s.name: Candidate(s) for s in bank}
    given = Given(candidates, subject, RECIPE, budget, folder, folder / "search", workers, workers)
    few = {"NONE_UP_TO": 0.0, "SHORT": (600.0, 0.5), "LEAST": 0.05}  # of so few seconds more is spent looking
    with on_own_time(), patch.object(sessions, "WRITING", 1.0), patch.multiple(looks, **few):
        return course(Session(given, run))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import matplotlib.figure  # noqa: F401 (not on the clock of a search that is so short)
    import sklearn.linear_model  # noqa: F401
    import timm  # noqa: F401

    path = tmp_path_factory.mktemp("digits")
    digits(path, train=300, test=60)
    return path


def inline(jobs, tick) -> None:
    processes.here(jobs, tick, "cpu")


def test_a_real_search_ends_in_time_with_a_model_that_has_learned(folder: Path, tmp_path: Path) -> None:
    start = time.process_time()
    result = real(tmp_path, folder, inline, 1, SECONDS)
    assert time.process_time() - start <= SECONDS * 1.05
    assert result.model == "wide"
    assert result.test_accuracy > 30, "of ten digits"
    module, about = checkpoint.load(result.checkpoint)
    from benchmark.training import ground_truth, loop

    pack = packs.load(folder)
    tested = ground_truth.examples_of(pack, pack.indices("test"), 16)
    outputs = loop.predict(module, about.spec, tested.pixels, RECIPE)
    labels = pack.labels[pack.indices("test")]
    assert 100 * (outputs.argmax(axis=1) == labels).mean() == pytest.approx(result.test_accuracy)
    assert about.test["oracle"] == result.test_accuracy
    assert about.calibration == result.calibration
    assert about.calibration["images"] == 30, "a tenth of 300"
    for picture in (result.reliability_picture, result.confusion_picture):
        assert picture.read_bytes()[:4] == b"\x89PNG"
    rows = list(csv.reader(result.confusion_matrix.open()))
    assert sum(int(rows[k + 1][k + 1]) for k in range(10)) == round(result.test_accuracy * 60 / 100)


KILLED = """
import matplotlib.figure, os, sys, timm
import sklearn.linear_model
from pathlib import Path
from tests.search.test_search import SECONDS, inline, real

def run(jobs, tick):
    if any(j.kind == "compete" for j in jobs):  # in the middle of the first round the power fails
        inline(jobs[:1], tick)
        os.kill(os.getpid(), 9)
    inline(jobs, tick)

real(Path(sys.argv[1]), Path(sys.argv[2]), run, 1, SECONDS)
"""


def test_kill_9_loses_nothing_that_was_finished(folder: Path, tmp_path: Path) -> None:
    call = [sys.executable, "-c", KILLED, str(tmp_path), str(folder)]
    killed = subprocess.run(call, cwd=running.ROOT, env=running.environment(), capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr
    assert checkpoint.read(tmp_path / "model.safetensors").provenance["head_only"], "a model is there already"
    finished = {p: p.read_bytes() for p in (tmp_path / "search").glob("*-*.json")}
    assert {p.name for p in finished} == {"head-00.json", "round-1.json", "round1-00.json"}
    used = json.loads((tmp_path / "search/clock.json").read_text())["seconds"]
    start = time.process_time()
    result = real(tmp_path, folder, inline, 1, SECONDS)
    assert time.process_time() - start <= SECONDS * 1.05 - used
    assert result.test_accuracy > 30
    assert {p: p.read_bytes() for p in finished} == finished


def test_a_trial_goes_on_from_another_and_is_judged_on_what_it_never_saw(folder: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    from benchmark.models import architecture

    until = time.monotonic() + 600
    job = Job("compete", spec(**SMALL), None, folder, RECIPE, 1e-9, until, tmp_path / "a.json", seconds=1e-3)
    learned = architecture.build(job.model, 10).state_dict()
    torch.nn.init.constant_(learned["fc.bias"], 7.0)
    save_file(learned, tmp_path / "begin.safetensors")
    work(replace(job, begin=tmp_path / "begin.safetensors"), "cpu")
    facts = json.loads(job.result.read_text())
    assert facts["status"] == "cut", "of a thousandth of a second nothing is left"
    work(replace(job, begin=tmp_path / "begin.safetensors", seconds=5.0), "cpu")
    facts = json.loads(job.result.read_text())
    assert (facts["status"], facts["judges"], len(facts["right"])) == ("done", 60, 60)
    assert facts["steps"] >= 1
    assert facts["accuracy"] == pytest.approx(100 * sum(facts["right"]) / 60)
    left = load_file(job.snapshot)
    torch.testing.assert_close(left["fc.bias"], learned["fc.bias"], atol=1e-3, rtol=0)


def test_a_head_is_the_network_as_it_is_with_another_last_layer(folder: Path, tmp_path: Path) -> None:
    from benchmark.models import architecture
    from benchmark.training import ground_truth, loop

    until = time.monotonic() + 600
    job = Job("head", spec(**SMALL), None, folder, RECIPE, 0.0, until, tmp_path / "head-00.json", seconds=60.0)
    job = replace(job, keep=tmp_path / "head/model.safetensors")
    work(job, "cpu")
    facts = json.loads(job.result.read_text())
    assert (facts["status"], facts["images"], facts["aside"], facts["test"]["images"]) == ("done", 270, 30, 60)
    module, about = checkpoint.load(job.checkpoint)
    pack = packs.load(folder)
    tested = ground_truth.examples_of(pack, pack.indices("test"), 16)
    outputs = loop.predict(module, about.spec, tested.pixels, RECIPE)
    assert 100 * (outputs.argmax(axis=1) == pack.labels[pack.indices("test")]).mean() == facts["test"]["oracle"]
    assert facts["test"]["oracle"] > 20, "of ten digits, by random features"
    body = architecture.build(job.model, 10).state_dict()
    assert all(bool((v == body[k]).all()) for k, v in module.state_dict().items() if not k.startswith("fc."))


def test_a_head_takes_from_the_probe_what_that_holds(folder: Path, tmp_path: Path, monkeypatch) -> None:
    from safetensors.numpy import save_file

    from benchmark.models import loading
    from benchmark.search import head
    from benchmark.training import features

    pack, model = packs.load(folder), spec(**SMALL)
    ids = pack.indices("train")[::2].copy()
    module = loading.load(model, None)[0].eval()
    known = features.forward(module, model, [head._pixels(pack, model, ids)])[0]
    save_file({"features": known, "image_ids": ids}, tmp_path / "arrays.safetensors")
    job = Job("head", model, None, folder, RECIPE, 0.0, time.monotonic() + 600, tmp_path / "head-00.json", seconds=60.0)
    job, passed, forward = replace(job, keep=tmp_path / "head/model.safetensors"), [], features.forward
    monkeypatch.setattr(features, "forward", lambda m, s, b: (passed.extend(map(len, b)), forward(m, s, b))[1])
    found = {}
    for probed in (None, tmp_path):
        passed.clear()
        work(replace(job, probed=probed), "cpu")
        found[probed] = json.loads(job.result.read_text())
        new = 270 + 30 - (len(ids) if probed else 0)
        assert sum(passed) == new + 60 + head.CHECKED, "the rest of the training part, the test, and a few to compare"
    assert found[None]["images"] == found[tmp_path]["images"] == 270
    assert min(facts["test"]["oracle"] for facts in found.values()) > 20, "of ten digits, by random features"
    some = pack.indices("train")[[7, 4, 5, 280, 3]]
    one, other = (head._Features(module, replace(job, probed=p), pack, 64)(some) for p in (None, tmp_path))
    np.testing.assert_allclose(one, other, atol=1e-4 * one.std())


def test_the_final_training_goes_on_where_it_was_killed(folder: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    from benchmark.models import architecture
    from benchmark.training import loop

    model = spec(**SMALL)
    job = Job("finish", model, None, folder, RECIPE, 0.05, time.monotonic() + 5, tmp_path / "f.json")
    job = replace(job, keep=tmp_path / "model.safetensors")
    learned = architecture.build(model, 10)
    state = learned.state_dict() | {"place": torch.tensor(0.999)}
    torch.nn.init.constant_(state["fc.bias"], 7.0)
    save_file(state, job.snapshot)
    work(job, "cpu")
    facts = json.loads(job.result.read_text())
    assert facts["resumed_at"] == pytest.approx(0.999)
    assert facts["steps"] > 0
    # at the end of the cosine the rate is nothing: the weights stay where they were
    kept = load_file(job.keep)
    assert float((kept["fc.bias"] - 7.0).abs().max()) < 0.01
    assert loop.rate_at(0.999 * 1000, 1000, RECIPE.warmup) < 1e-5


def test_a_final_training_whose_time_is_over_is_tested_as_it_is(folder: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    from benchmark.models import architecture

    over = time.monotonic() - 60
    job = Job("finish", spec(**SMALL), None, folder, RECIPE, 0.05, over, tmp_path / "f.json")
    job = replace(job, keep=tmp_path / "model.safetensors")
    inline([job], lambda: None)
    assert not job.result.exists(), "there is nothing to test"
    learned = architecture.build(job.model, 10).state_dict()
    save_file(learned | {"place": torch.tensor(0.6), "steps": torch.tensor(90)}, job.snapshot)
    inline([job, replace(job, kind="compete", result=tmp_path / "round1-00.json")], lambda: None)
    facts = json.loads(job.result.read_text())
    assert (facts["status"], facts["late"], facts["resumed_at"]) == ("done", True, pytest.approx(0.6))
    assert (facts["steps"], facts["epochs"]) == (90, 90 * 16 / 270), "a tenth is kept aside"
    assert all(bool((value == learned[name]).all()) for name, value in load_file(job.keep).items())
    assert not (tmp_path / "round1-00.json").exists(), "a trial has no such right"


def test_multilabel(tmp_path: Path) -> None:
    digits(tmp_path / "pack", train=200, test=60, multilabel=True)
    result = real(tmp_path, tmp_path / "pack", inline, 1, SECONDS)
    assert result.measure == "map"
    about = checkpoint.read(result.checkpoint)
    assert about.multilabel
    assert about.test["map"] == result.test_accuracy
    rows = list(csv.reader(result.confusion_matrix.open()))
    assert rows[0] == ["label", *confusion.OUTCOMES]
    assert all(sum(map(int, row[1:])) == 60 for row in rows[1:])


def test_processes_do_the_jobs_and_their_death_is_a_row(folder: Path, tmp_path: Path) -> None:
    soon = time.monotonic() + 600
    jobs = [
        Job("head", spec(**SMALL), None, folder, RECIPE, 0.05, soon, tmp_path / "good.json"),
        Job("head", spec(arch="nothing"), None, folder, RECIPE, 0.05, soon, tmp_path / "bad.json"),
        Job("head", spec(**SMALL), None, folder, RECIPE, 0.05, 0.0, tmp_path / "late.json"),
        Job("compete", spec(**SMALL), None, folder, RECIPE, 0.05, soon, tmp_path / "round1-00.json", seconds=600),
    ]
    jobs = [replace(job, keep=tmp_path / job.result.stem / "model.safetensors") for job in jobs]

    def kill_the_long_one() -> None:
        if (tmp_path / "good.json").exists() and (tmp_path / "bad.json").exists():
            for child in multiprocessing.active_children():
                child.kill()

    processes.in_processes(jobs, kill_the_long_one, ["cpu", "cpu"])
    assert json.loads((tmp_path / "good.json").read_text())["status"] == "done"
    assert "timm" in json.loads((tmp_path / "bad.json").read_text())["reason"]
    assert not (tmp_path / "late.json").exists(), "its time was over before it began"
    died = json.loads((tmp_path / "round1-00.json").read_text())
    assert died["status"] == "failed"
    assert "want of memory" in died["reason"]


def test_search_from_a_ranking(tmp_path: Path) -> None:
    overrides = [*running.TINY, f"paths.cache={tmp_path}/cache", "executor.workers=0"]
    one = experiment(compose.compose(overrides))
    (data,) = one.target.values()
    store, ranking = Store(one.paths.cache), pd.DataFrame({"model": ["vit", "trained"]})
    with on_own_time():
        result = search_search.search(ranking, one, store, data, SECONDS, tmp_path / "out")
    assert result.seconds <= SECONDS * 1.05
    assert result.model in ("vit", "trained")
    assert checkpoint.read(result.checkpoint).class_names == [str(d) for d in range(10)]
    assert search_search.search(ranking, one, store, data, SECONDS, tmp_path / "out") == result, "it is there already"
    files = [result.checkpoint.read_bytes(), result.log.read_bytes()]
    with on_own_time():
        alone = search_search.search(ranking, one, store, data, SECONDS, tmp_path / "out", look=False)
    assert alone.model == "vit"
    assert alone != result
    assert [alone.checkpoint.read_bytes(), alone.log.read_bytes()] != files
    assert search_search.search(ranking, one, store, data, SECONDS, tmp_path / "out") == result
    assert [result.checkpoint.read_bytes(), result.log.read_bytes()] == files, "its own are put back"
    with pytest.raises(ConfigError, match="more than 0"):
        search_search.search(ranking, one, store, data, 0, tmp_path / "out")


def test_threads_stay_where_they_help() -> None:
    import torch

    def decided(alone: float, together: list[float]) -> int:
        pace = Pace(2)
        try:
            pace(None)
            for _ in range(1 + pace.TIMED):
                pace(alone)
            assert torch.get_num_threads() == 2, "all of them have their turn"
            for seconds in together:
                pace(seconds)
            return torch.get_num_threads()
        finally:
            torch.set_num_threads(1)

    torch.set_num_threads(1)
    assert decided(1.0, [0.7] * 30) == 2
    assert decided(1.0, [0.7] * 9 + [2.0, 0.7, 0.7]) == 2, "one slow step is chance"
    assert decided(1.0, [1.2] * 5) == 1
    assert decided(1.0, [0.7] * 20 + [1.5] * 3) == 1, "the load came later"
    assert decided(1.0, [0.7, 9.0]) == 1, "a collapse is not waited for"
