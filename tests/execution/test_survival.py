"""A run survives what happens to runs: each test does it for real, with processes."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest

from tests import running
from tests.running import Started, eventually, gone, here, records, tables, values, workers

FINISHED_LINE = re.compile(r"^\[\d+/\d+\] (?P<label>.+?)  (?P<took>[\d.]+ s|by another run), ", re.MULTILINE)


def cell(folder: Path, stage: str, **facts) -> Path:
    """The one cell of a stage whose spec.json holds these facts, at any depth."""
    found = [p.parent for p in (folder / "cache" / stage).glob("*/spec.json") if _holds(p.read_text(), facts)]
    assert len(found) == 1, (stage, facts, len(found))
    return found[0]


def _holds(spec: str, facts: dict) -> bool:
    return all(f"{json.dumps(k)}: {json.dumps(v)}" in spec for k, v in facts.items())


def test_kill_at_any_moment_and_go_on(finished, tmp_path):
    """Killed while workers start, while models train and while scores are due; then once to the end."""
    done: dict = {}
    for moment, count in (("workers", 2), ("pretrain trained", 1), ("choose rate", 1)):
        started = Started(tmp_path, f"executor.workers={count}")
        started.until_workers(2) if moment == "workers" else started.until(moment)
        of_this_run = workers(started.process.pid)
        started.process.kill()
        assert started.end() == -signal.SIGKILL
        eventually(lambda pids=of_this_run: gone(pids))  # no worker outlives its run
        now = records(tmp_path)
        assert done.items() <= now.items()  # what was finished was not computed again
        done = now
    assert done
    last = here(tmp_path)
    assert last.returncode == 0, last.stderr
    assert done.items() <= records(tmp_path).items()
    assert f"/{18 - len(done)}] " in last.stderr  # just the rest was to do
    assert values(tmp_path) == values(finished)
    assert tables(tmp_path) == tables(finished)
    assert not list((tmp_path / "cache" / "unfinished").iterdir())


def test_two_runs_at_once_share_the_work(finished, tmp_path):
    """Each cell is computed by one of them; a method that counts its calls says so for the scores."""
    (tmp_path / "counting.py").write_text(
        "import os\n"
        "def count(features):\n"
        "    with open(os.environ['COUNT'], 'a') as file:\n"
        "        file.write('x')\n"
        "    return float(features.mean())\n"
    )
    counted = {"PYTHONPATH": f"{running.ROOT}:{tmp_path}", "COUNT": str(tmp_path / "count")}
    both = [Started(tmp_path, "+method.mine._target_=counting.count", **counted) for _ in range(2)]
    assert [started.end() for started in both] == [0, 0], both[0].text + both[1].text
    computed, taken = {}, 0
    for started in both:
        for line in FINISHED_LINE.finditer(started.text):
            if line["took"] == "by another run":
                taken += 1
            else:
                computed[line["label"]] = computed.get(line["label"], 0) + 1
    assert set(computed.values()) == {1}
    assert len(computed) == 15  # 2 packs, 1 pretraining, 3 probes, 3 rates, 3 truths, the scores of 3 probes
    assert (tmp_path / "count").read_text() == "x" * 6  # 3 models × 2 draws
    mine = {k: v for k, v in values(tmp_path).items() if "counting.count" not in _spec(tmp_path, k)}
    assert mine == values(finished)


def _spec(folder: Path, name: str) -> str:
    return (folder / "cache" / name).with_name("spec.json").read_text()


def test_damaged_cells_of_every_stage_are_named_and_made_again(finished, copied):
    of_vit, of_random = cell(copied, "probe", arch="vit_tiny_patch16_224"), cell(copied, "tune", arch="resnet10t")
    weights = cell(copied, "weights")
    tune = cell(copied, "tune", weights=weights.name)
    harmed = {
        "pack": cell(copied, "pack", seed=0) / "images.bin",
        "weights": weights / "weights.safetensors",
        "tune": tune / "values.json",
        "truth": cell(copied, "truth", tune=of_random.name) / "arrays.safetensors",
        "probe": of_vit / "arrays.safetensors",
        "score": cell(copied, "score", function="methods.parc", probe=of_vit.name) / "values.json",
    }
    for stage, path in harmed.items():
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes(content[:-1] if stage in ("pack", "truth") else content)
    shutil.rmtree(cell(copied, "truth", tune=tune.name))  # so that tune, weights and pack are read
    before = records(copied)
    again = here(copied)
    assert again.returncode == 0, again.stderr
    for stage, path in harmed.items():
        assert f"{stage} cell {path.parent.name[:12]} is damaged" in again.stderr, stage
    assert values(copied) == values(finished)
    assert tables(copied) == tables(finished)
    remade = {k for k, v in records(copied).items() if before.get(k) != v}
    lost = cell(copied, "truth", tune=tune.name)
    assert remade == {str((p.parent / "record.json").relative_to(copied / "cache")) for p in harmed.values()} | {
        str((lost / "record.json").relative_to(copied / "cache"))
    }


@pytest.mark.parametrize("whom", ["group", "main"])
def test_ctrl_c_ends_cleanly(tmp_path, whom):
    """As a terminal sends it, to all processes of the group, workers that are just starting among them."""
    started = Started(tmp_path, "executor.workers=2")
    pids = started.until_workers(2)
    if whom == "main":
        started.until("pretrain")
    (os.killpg if whom == "group" else os.kill)(started.process.pid, signal.SIGINT)
    assert started.end() == 130
    said = [line for line in started.lines if not line.startswith("[")]
    assert said == ["interrupted: nothing that was finished is lost; the same command goes on from there.\n"]
    eventually(lambda: gone(pids))
    assert not list((tmp_path / "cache").glob("unfinished/*"))
    done = records(tmp_path)
    going_on = here(tmp_path, "dry_run=true")
    assert f"{18 - len(done)} cells to do" in going_on.stdout  # what was finished stays
    assert len(done) >= (1 if whom == "main" else 0)


def test_a_worker_that_is_killed_costs_its_cell_only(finished, tmp_path):
    started = Started(tmp_path)
    started.until("] tiny")  # packs are there: the workers are at models now
    os.kill(workers(started.process.pid)[0], signal.SIGKILL)
    assert started.end() == 1
    died = [line for line in started.lines if line.startswith("failed: ")]
    assert len(died) == 1, started.text
    assert "the worker process died (killed, perhaps for want of memory)" in died[0]
    assert "Run the same command again to try them once more" in started.text
    status = pd.read_csv(tmp_path / "out" / "status.csv")
    assert status["Reason"].str.contains("the worker process died").any()
    done = records(tmp_path)
    last = here(tmp_path)
    assert last.returncode == 0, last.stderr
    assert done.items() <= records(tmp_path).items()
    assert values(tmp_path) == values(finished)
    assert tables(tmp_path) == tables(finished)


def test_a_model_that_fails_is_a_row_and_the_rest_goes_on(finished, copied):
    rates = "{cnn: {name: sgd, rates: [1.0e30], weight_decay: 0.0}}"
    like = "arch: resnet10t, args: {channels: [8, 8, 16, 16]}, layers: 10, input_size: 16"
    hot = f"{{{like}, weights: 'pretrain:tiny_source', pretrain: {{steps: 4, optimisers: {rates}}}}}"
    absent = "{arch: resnet10t, weights: 'file:/nowhere/w.pth', layers: 10}"
    odd = "{arch: resnet10t, args: {no_such: 1}, weights: random, layers: 10}"
    before = records(copied)
    done = here(copied, f"+bank.hot={hot}", f"+bank.absent={absent}", f"+bank.odd={odd}")
    assert done.returncode == 1
    assert "unavailable: weights of model 'absent' must be available. Got no file /nowhere/w.pth" in done.stderr
    assert "failed: pretrain hot: loss became NaN or infinite within 4 steps at rate 1e+30" in done.stderr
    assert re.search(r"failed: probe odd → tiny: .*must fit architecture 'resnet10t'", done.stderr)
    status = pd.read_csv(copied / "out" / "status.csv")
    reasons = {m: " | ".join(rows["Reason"]) for m, rows in status.groupby("Model")}
    assert set(reasons) == {"hot", "absent", "odd"}
    assert "needs pretrain hot, which failed: loss became NaN" in reasons["hot"]
    assert "/nowhere/w.pth" in reasons["absent"]
    assert records(copied) == before  # a failure is no cell, and nothing else was computed
    assert tables(copied)["scores.csv"] == tables(finished)["scores.csv"]
    assert tables(copied)["truth.csv"] == tables(finished)["truth.csv"]
