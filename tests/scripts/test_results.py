"""The committed tables are those that today's code makes, and `make results` knows how to make them all."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark import run
from benchmark.config import cli

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import make_results  # noqa: E402

sys.path.insert(0, str(ROOT / "scripts" / "results"))
import public_methods  # noqa: E402
import public_page  # noqa: E402

SHARED = ROOT.parent / "shared"
COMMITTED = ROOT / "results" / "demo_all"
TARGET = "digits"
DRAWN = {"random", "nleep"}  # a generator's draws, and an iteration that starts from them
TOLERANCE = 0.05
"""In standard deviations of a method's scores over the bank. Features are float32, and another processor adds in
another order: scores move by some 1e-4 of that spread. A changed definition moves them by more."""


def test_a_committed_table_is_what_todays_code_makes_of_the_released_models(tmp_path, no_pictures):
    """Every method, on the demo's bank and one of its targets: a changed definition asks for `make results`."""
    overrides = ["experiment=demo", "method=all", f"target={TARGET}", "probe.draws=1", "executor.workers=0"]
    places = ["paths.released=results/released", f"paths.cache={tmp_path}/cache", f"paths.out={tmp_path}/out"]
    assert cli.experiments(run.run, "", [*overrides, *places]) == 0
    index = ["Model", "Target Dataset"]
    committed = pd.read_parquet(COMMITTED / "scores.parquet").drop_duplicates(index).set_index(index)  # the first draw
    committed = committed[committed.index.get_level_values(1) == TARGET]
    today = pd.read_parquet(tmp_path / "out" / "scores.parquet").set_index(index).loc[committed.index]
    methods = list(committed.columns[committed.columns.get_loc("random") :])
    assert set(methods) == set(today.columns[today.columns.get_loc("random") :])
    off = {}
    for method in set(methods) - DRAWN:
        now, then = (table[method].to_numpy(float) for table in (today, committed))
        assert (np.isfinite(now) == np.isfinite(then)).all(), method
        off[method] = np.nanmax(np.abs(now - then), initial=0.0) / (np.nanstd(then) or 1.0)
    assert {m: round(x, 4) for m, x in off.items() if x > TOLERANCE} == {}


def test_results_are_made_on_a_clean_commit_only(monkeypatch, capsys):
    monkeypatch.setattr(make_results.provenance, "commit", lambda: "0123abc-dirty")
    assert cli.settings(make_results.make, make_results.Settings, "", []) == 2
    assert "Got 0123abc-dirty. Commit or stash the changes first." in capsys.readouterr().err


def test_a_step_whose_data_are_not_given_is_named_and_the_rest_is_made(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(make_results.provenance, "commit", lambda: "0123abc")
    monkeypatch.setattr(make_results, "_run", lambda step, given, environment: ran.append(step.name))
    assert cli.settings(make_results.make, make_results.Settings, "", []) == 1
    assert {"diverse_all", "paper_mini", "pages"} <= set(ran)
    assert "left out: rank (needs data=<folder>); " in capsys.readouterr().err
    assert cli.settings(make_results.make, make_results.Settings, "", ["only=[diverse]"]) == 0
    assert cli.settings(make_results.make, make_results.Settings, "", ["only=[divers]"]) == 2


@pytest.mark.parametrize("step", make_results.STEPS, ids=lambda step: step.name)
def test_what_a_step_runs_and_keeps_is_committed(step):
    """A step that writes elsewhere than what is committed would leave an old table behind in silence."""
    into = {a.partition("=")[2] for c in step.commands for a in c if a.startswith(("paths.out=results", "out=results"))}
    for _, folder, files in step.keep:
        assert [f for f in files if not (ROOT / "results" / folder / f).is_file()] == []
    assert [folder for folder in into if not (ROOT / folder).is_dir()] == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared: released networks and packs are not part of the project")
def test_the_page_of_the_public_bank_says_what_its_tables_say():
    given = public_page.Settings(data=SHARED / "data", weights=SHARED / "weights", check=True)
    assert public_page.main(given) == 0, "python scripts/results/public_page.py data=<packs> weights=<networks>"


def test_a_pair_of_models_with_near_scores_is_told_from_one_with_far_scores():
    """Three models at scores 0, 0.1 and 10: the near pair is in the wrong order, the two far ones are right."""
    keys = {"Model": ["a", "b", "c"], "Target Dataset": "t"}
    near, far = public_methods.gap(
        pd.DataFrame(keys | {"m": [0.0, 0.1, 10.0]}), pd.DataFrame(keys | {"Oracle": [2.0, 1.0, 3.0]}), "m"
    )
    assert (near, far) == (0, 100)
