"""The released layer serves a run without its cells being made again."""

import shutil
import zipfile

import pytest

from benchmark.cells.keys import key_of
from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.config.compose import compose
from benchmark.config.validation import experiment
from scripts.results import release
from tests.running import TINY, here

ANOTHERS = {stage: key_of({"stage": stage}) for stage in ("weights", "tune", "truth")}
"""Keys of another experiment's cells."""


def spec(folder, *more):
    places = {"paths.cache": folder / "cache", "paths.released": folder / "released", "paths.out": folder / "out"}
    return experiment(compose([*TINY, *(f"{k}={v}" for k, v in places.items()), *more]))


def test_the_first_experiments_weights_and_everybodys_truth(tmp_path, capsys):
    one, more = spec(tmp_path), spec(tmp_path, "recipe.steps=3")
    assert here(tmp_path).returncode == 0
    assert release.release([one, more]) == 1
    assert "6 cells are not in" in capsys.readouterr().err  # three models, a rate and one seed each
    assert release.release([one, more], finished=True) == 0
    assert "6 of 13 cells are not computed yet" in capsys.readouterr().out
    assert {stage: len(keys) for stage, keys in held(tmp_path).items()} == {"weights": 1, "tune": 3, "truth": 3}
    assert here(tmp_path, "recipe.steps=3").returncode == 0
    assert release.release([more, one]) == 0
    with zipfile.ZipFile(tmp_path / "released" / "truth.zip") as archive:
        keys = {name.partition("/")[0] for name in archive.namelist()}
    plans = [plan(one), plan(more)]
    assert keys == {key for made in plans for t in made.transfers for key in t.truth}
    assert len(keys) == 6
    assert len(list((tmp_path / "released" / "weights").iterdir())) == 1
    again = here(tmp_path, f"paths.cache={tmp_path}/other", f"paths.released={tmp_path}/released")
    assert again.returncode == 0
    made = {p.name for p in (tmp_path / "other").iterdir()}
    assert "probe" in made
    assert not {"weights", "tune", "truth"} & made


@pytest.fixture
def folder(copied):
    """The finished run's cells, and a released layer of them with another experiment's cell in each stage."""
    assert release.release([spec(copied)]) == 0
    store = Store(copied / "cache")
    for stage, key in ANOTHERS.items():
        store.write(stage, key, {"stage": stage}, {}, {})
    release.export(store, {stage: [key] for stage, key in ANOTHERS.items()}, copied / "released")
    return copied


def held(folder):
    layer = Store(folder / "none", folder / "released")
    return {stage: layer.released_keys(stage) for stage in release.RELEASED_STAGES}


def call(folder, *more):
    places = {"paths.cache": folder / "cache", "paths.released": folder / "released"}
    return release.main([*TINY, *(f"{k}={v}" for k, v in places.items()), *more])


def test_one_experiment_leaves_the_others_cells(folder, capsys):
    before = {p: p.read_bytes() for p in (folder / "released").rglob("*") if p.is_file()}
    capsys.readouterr()
    assert call(folder) == 0
    counts = {stage: len(keys) for stage, keys in held(folder).items()}
    assert counts == {"weights": 2, "tune": 4, "truth": 4}
    assert {p: p.read_bytes() for p in (folder / "released").rglob("*") if p.is_file()} == before
    assert "2 weights (0 new, 1 of others), 4 tune (0 new, 1 of others), 4 truth" in capsys.readouterr().out


def test_a_fresh_clone_adds_an_experiment_to_what_is_released(folder):
    shutil.rmtree(folder / "cache")
    assert call(folder, f"paths.cache={folder}/other") == 0  # nothing is made again: all is released
    assert not (folder / "other").exists()
    assert len(held(folder)["truth"]) == 4
    with_seeds = (folder / "second", "recipe.seeds=2", f"paths.released={folder}/released")
    assert here(*with_seeds).returncode == 0
    assert len(list((folder / "second" / "cache" / "truth").iterdir())) == 3  # the second seeds
    assert call(folder, "recipe.seeds=2", f"paths.cache={folder}/second/cache") == 0
    assert {stage: len(keys) for stage, keys in held(folder).items()} == {"weights": 2, "tune": 4, "truth": 7}


def test_dropping_says_what_goes(folder, capsys):
    assert call(folder, "drop=maybe") == 2
    assert capsys.readouterr().err == "error: drop must be true or false. Got 'maybe'.\n"
    assert call(folder, "drop=true") == 0
    said = capsys.readouterr().out
    for stage, count in (("weights", 2), ("tune", 4), ("truth", 4)):
        assert f"dropped: 1 of {count} released {stage} cells: {ANOTHERS[stage][:12]}\n" in said
    assert {stage: len(keys) for stage, keys in held(folder).items()} == {"weights": 1, "tune": 3, "truth": 3}


def test_what_cannot_be_released_changes_nothing(folder, capsys):
    before = held(folder)
    assert call(folder, "paths.released=null") == 2
    assert "paths.released must be a folder. Got null." in capsys.readouterr().err
    shutil.rmtree(folder / "released" / "weights")
    damaged = next((folder / "cache" / "weights").glob("*/weights.json"))
    damaged.write_text("{}")
    assert call(folder, "drop=true") == 1
    assert "is damaged" in capsys.readouterr().err
    assert held(folder) == before | {"weights": set()}
