"""The estimate of a dry run: counted by hand, without network, data or weights; and what it says is missing."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from benchmark import run as running
from benchmark.cells import cost
from benchmark.cells.plan import SECONDS
from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.config import cli
from benchmark.config.compose import compose
from benchmark.config.validation import experiment
from benchmark.errors import ConfigError
from tests.cells.test_plan import tiny

GMACS = 2.0
SPEED = cost.SUSTAINED * 1e12 / (GMACS * 1e9 * 2 * 3)
"""Training images/s: 2 FLOP a multiply-add, and a backward pass costs two forward ones."""


def works(changes: dict, folder: Path) -> dict[str, cost.Work]:
    made, store = plan(tiny(changes)), Store(folder / "cache")
    estimator = cost.Estimator(made, store)
    stages = {stage: cost.Work() for stage in ("pack", "weights", "tune", "truth", "probe", "score")}
    for cell in made.missing(store):
        estimator.add(stages[cell.stage], cell)
    return stages


def test_gpu_hours_are_passes_over_images_at_the_stated_speed(tmp_path):
    known = {"target.tiny.images": [60, 40], "source.tiny_source.images": [50, 30]}
    found = works({"bank.random.gmacs": GMACS, **known}, tmp_path)
    # rates 0.05 and 0.15, four steps of 16 each; a fifth of 60 images is looked at for each of them
    assert found["tune"].gpu_hours == pytest.approx((2 * 4 * 16 + 2 * 12 / 3) / SPEED / 3600)
    assert found["truth"].gpu_hours == pytest.approx((4 * 16 + 40 / 3) / SPEED / 3600)
    assert found["probe"].gpu_hours == pytest.approx(40 / 3 / SPEED / 3600)  # two draws of 20 at most
    assert found["tune"].images == 3 * (2 * 4 * 16 + 2 * 12)  # three models
    assert found["truth"].images == 3 * (4 * 16 + 40)
    assert found["weights"].images == 4 * 16 + 30
    assert found["pack"].images == 60 + 40 + 50 + 30
    assert not any(work.blind for work in found.values())


def test_a_frozen_body_costs_a_forward_pass_alone(tmp_path):
    changes = {"bank.random.gmacs": GMACS, "target.tiny.images": [60, 40]}
    whole, head = works(changes, tmp_path), works(changes | {"recipe.freeze": "backbone"}, tmp_path)
    difference = whole["truth"].gpu_hours - head["truth"].gpu_hours
    assert difference == pytest.approx(4 * 16 * 2 / 3 / SPEED / 3600)


def test_grids_and_rules_by_size_are_counted(tmp_path):
    changes = {"target.tiny.images": [60, 40], "recipe.optimisers.cnn.decay_products": [0.0, 1e-4, 1e-3]}
    found = works(changes, tmp_path)
    assert found["tune"].images == (6 + 6 + 2) * (4 * 16 + 12)  # two residual networks, a transformer without that grid
    found = works({"target.tiny.images": [60, 40], "recipe.by_data": [{"images_below": 61, "steps": 7}]}, tmp_path)
    assert found["truth"].images == 3 * (7 * 16 + 40)
    found = works({"target.tiny.images": [61, 40], "recipe.by_data": [{"images_below": 61, "steps": 7}]}, tmp_path)
    assert found["truth"].images == 3 * (4 * 16 + 40)


def test_a_batch_is_no_larger_than_the_images(tmp_path):
    known = {"target.tiny.images": [10, 40], "source.tiny_source.images": [9, 30]}
    found = works(known, tmp_path)
    assert found["truth"].images == 3 * (4 * 10 + 40)  # three models, four steps
    assert found["tune"].images == 3 * 2 * (4 * 8 + 2)  # two rates on 8, of which 2 are looked at
    assert found["weights"].images == 4 * 9 + 30
    found = works({"target.tiny.images": [60, 40], "recipe.train_cap": 10}, tmp_path)
    assert found["truth"].images == 3 * (4 * 10 + 40)


def test_minutes_follow_rules_batches_and_trials(tmp_path):
    """The stated seconds are for 4,000 images of 32 pixels (to choose: 8,000 in all trials); these have 16."""
    known, pixels = {"target.tiny.images": [10, 40]}, (16 / 32) ** 1.5
    found = works(known | {"recipe.by_data": [{"images_below": 20, "steps": 7}]}, tmp_path)
    assert found["truth"].minutes == pytest.approx(3 * SECONDS["truth"] * 7 * 10 / 4000 * pixels / 60)
    assert found["tune"].minutes == pytest.approx(3 * SECONDS["tune"] * 2 * 7 * 8 / 8000 * pixels / 60)
    cells = plan(tiny(known | {"recipe.by_data": [{"images_below": 20, "steps": 7}]})).cells.values()
    assert {c.weight for c in cells if c.stage == "truth"} == {7 * 10 / 4000 * pixels}
    one_rate = {f"recipe.optimisers.{family}.rates": [0.01] for family in ("cnn", "transformer")}
    assert works(known | one_rate, tmp_path)["tune"].minutes == 0  # nothing to choose
    found = works({}, tmp_path)
    assert found["truth"].minutes == pytest.approx(3 * SECONDS["truth"] * 4 * 16 / 4000 * pixels / 60)


def test_a_pack_in_the_store_is_believed_before_the_configuration(tmp_path):
    changes = {"target.tiny.images": [60, 40]}
    cell = next(c for c in plan(tiny(changes)).cells.values() if c.label == "tiny")
    Store(tmp_path / "cache").write("pack", cell.key, cell.identity, {"train": 10, "test": 30}, {})
    found = works(changes, tmp_path)
    assert found["truth"].images == 3 * (4 * 10 + 30)
    assert found["truth"].minutes == pytest.approx(3 * SECONDS["truth"] * 4 * 10 / 4000 * (16 / 32) ** 1.5 / 60)


def test_bit_hyperrule_on_the_embedded_targets_takes_few_steps_and_small_batches(tmp_path):
    """At most 520 images each: 500 steps, not 20,000, of at most 512 of them; only its one rate is tried."""
    spec = experiment(compose(["bank=controlled", "target=embedded", "recipe=bit_hyperrule", "method=[ncc]"]))
    made, store = plan(spec), Store(tmp_path / "cache")
    estimator, work = cost.Estimator(made, store), {"tune": cost.Work(), "truth": cost.Work()}
    for cell in (c for c in made.missing(store) if c.stage in work):
        estimator.add(work[cell.stage], cell)
    sizes = {"digits": 300, "mnist": 150, "glyphs": 520, "sprites": 144, "fractals": 160, "photos": 360}
    sizes |= {"textures": 480, "leaves": 480}
    tests = {"digits": 600, "mnist": 700, "glyphs": 780, "sprites": 720, "fractals": 800, "photos": 640}
    tests |= {"textures": 800, "leaves": 800}
    targets = [t.target.name for t in made.transfers]
    assert len(targets) == 8 * 28 - 4  # four were trained on the digits of `mnist`
    assert work["truth"].images == sum(500 * min(512, sizes[name]) + tests[name] for name in targets)
    assert work["tune"].images == work["tune"].minutes == 0
    assert not work["truth"].blind
    seconds = SECONDS["truth"] * sum(500 * min(512, sizes[name]) for name in targets) / 4000
    assert work["truth"].minutes == pytest.approx(seconds / 60)


def test_unknown_sizes_are_said(tmp_path):
    made = plan(tiny({"bank.random.gmacs": GMACS, "source.tiny_source.images": [50, 30]}))
    said = cost.describe(made, Store(tmp_path / "cache"), 2)
    assert "Evaluation on tiny is not counted: how many images they hold is not known here." in said
    assert "GPU hours (a rough estimate: one GPU, 60 TFLOP/s sustained" in said


def test_measured_speeds_take_the_place_of_the_stated_one(tmp_path):
    made, store = plan(tiny({"bank.random.gmacs": GMACS, "recipe.seeds": 2})), Store(tmp_path / "cache")
    cell = next(c for c in made.cells.values() if c.stage == "truth" and c.work["model"].name == "random")
    record = {"images_per_second": 640.0, "device": "some GPU", "hardware": {"processor": "some CPU"}}
    store.write("truth", cell.key, cell.identity, {"oracle": 1.0}, record)
    estimator, work = cost.Estimator(made, store), cost.Work()
    assert estimator.measured == {("resnet10t", 16): 640.0}
    other = next(c for c in made.missing(store) if c.stage == "truth" and c.work["model"].name == "random")
    estimator.add(work, other)
    assert work.gpu_hours == pytest.approx(4 * 16 / 640 / 3600)
    assert "measured for 1 kinds of network" in cost.describe(made, store, 1)
    made, store = plan(tiny({"bank.random.gmacs": GMACS})), Store(tmp_path / "of a CPU")
    store.write("truth", cell.key, cell.identity, {"oracle": 1.0}, record | {"device": "some CPU"})
    assert not cost.Estimator(made, store).measured


def test_what_is_missing_keeps_its_own_cells(tmp_path):
    """Two absent files of one kind are two packs and two models, not one."""
    pack = {"_target_": "benchmark.data.parquet.parquet", "task": "a", "size": 16, "path": str(tmp_path / "a.parquet")}
    model = {"arch": "resnet10t", "layers": 10, "weights": f"file:{tmp_path}/a.pth"}
    changes = {
        "target": {"a": pack, "b": pack | {"task": "b", "path": str(tmp_path / "b.parquet")}},
        "bank": {"a": model, "b": model | {"weights": f"file:{tmp_path}/b.pth"}},
        "source": {},
        "method": {"parc": {"_target_": "methods.parc"}},
    }
    made = plan(tiny(changes), estimate=True)
    assert sorted(made.absent) == ["bank.a", "bank.b", "target.a", "target.b"]
    assert sum(c.stage == "pack" for c in made.cells.values()) == 2
    assert sum(c.stage == "truth" for c in made.cells.values()) == 4
    with pytest.raises(ConfigError, match=r"target\.a: Parquet file must exist"):
        plan(tiny(changes))


def test_a_mistyped_architecture_is_refused_before_anything_runs():
    cells = list(plan(tiny({"bank.random.arch": "resnet10x"})).cells.values())
    with pytest.raises(ConfigError, match=r"arch of model 'random' must be .* Got 'resnet10x'\. Did you mean 'resnet"):
        running._refuse_unknown_architectures(cells)


@pytest.fixture
def nothing_here(tmp_path, monkeypatch):
    """No data, no caches of weights, and a network whose use fails the test."""
    asked = []

    def refuse(*arguments, **_):
        asked.append(arguments)
        raise OSError("the network was asked")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    yield [f"paths.data={tmp_path}/data", f"paths.weights={tmp_path}/weights", f"paths.cache={tmp_path}/cache"]
    assert asked == []
    assert sorted(p.name for p in tmp_path.iterdir()) == []


def dry(capsys, *overrides: str) -> tuple[int, str]:
    code = cli.experiments(running.run, "", ["dry_run=true", *overrides])
    return code, capsys.readouterr().out


def stage(said: str, name: str) -> list[str]:
    return next(line.split() for line in said.splitlines() if line.startswith(name))


def test_the_papers_experiment_is_planned_where_nothing_of_it_is(nothing_here, capsys):
    code, said = dry(capsys, "experiment=paper", *nothing_here)
    assert code == 0
    # seven data sets; 28 trained sources; 6 targets × 4 architectures share a rate; 28 transfers a target, two seeds
    assert [stage(said, s)[1] for s in ("pack", "weights", "tune", "truth", "probe")] == ["7", "28", "24", "336", "174"]
    steps = 5000 * 64
    assert int(stage(said, "weights")[3].replace(",", "")) >= 28 * steps
    assert float(stage(said, "truth")[5]) > 0
    assert "GPU hours (a rough estimate: one GPU, 60 TFLOP/s sustained" in said
    assert f"{nothing_here[0].partition('=')[2]}/oxford-iiit-pet must hold the files of the official layout" in said
    assert "Fetch https://download.pytorch.org/models/resnet50-0676ba61.pth and put it at" in said


def test_the_whole_bank_of_the_paper_says_where_its_checkpoints_are(nothing_here, capsys):
    code, said = dry(capsys, "experiment=paper_diverse", *nothing_here)
    assert code == 0
    # the VOC detector counts as a self-transfer on VOC 2007
    assert stage(said, "truth")[1] == str(2 * (7 * 28 + 7 * 39 - 1))
    assert "Fetch https://dl.fbaipublicfiles.com/detectron2/COCO-Detection/retinanet_R_50_FPN_1x/190397773/" in said
    assert "Fetch it from VISSL's model zoo" in said, "once for all files of its folder"


def test_the_hub_is_planned_without_asking_it(nothing_here, capsys):
    code, said = dry(capsys, "bank=hub", "target=oxford_pets", *nothing_here)
    assert code == 0
    assert "not in the cache of the Hugging Face hub" in said
    assert int(stage(said, "truth")[1]) >= 2 * 60
