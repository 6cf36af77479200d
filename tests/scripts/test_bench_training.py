"""The benchmarks of training time what they say, and count and compare it as they say."""

import csv
import itertools
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "bench"))

import bench_training as bench
import gpu_bench
import gpu_sections
import training_loops as loops
import training_pages

from benchmark.training import batches, loop, views
from tests.tiny import spec

TINY = spec(args={"channels": (8, 8, 16, 16), "output_stride": 16}, input_size=32)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return loops.photographs(tmp_path_factory.mktemp("photographs"), 40, 50, 64)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def case(images, device: str = "cpu", one=TINY) -> loops.Case:
    return loops.Case(one, *images, torch.device(device), 16)


# --- what is timed ----------------------------------------------------------------------------------------------------


def test_the_files_hold_the_images_of_the_pack(images):
    pack, files = images
    assert (pack.meta["train"], pack.n_classes, len(list(files.glob("*/*.jpg")))) == (64, loops.CLASSES, 64)
    one = case(images)
    data = loops._loader(one, False, 16, 0).dataset
    own = loops.normalised(one, one.examples().pixels[:5])
    for position, pixels in enumerate(own):  # resized by another filter, and once a JPEG: nearest all the same
        nearest = min(range(64), key=lambda i: float((data[i][0] - pixels).abs().mean()))
        assert Path(data.samples[nearest][0]).stem == str(position)


def test_own_and_loader_train_and_count_their_images(images):
    one = case(images)
    for make in (loops.bare_training, loops.own_training, loops.loader_training):
        turn = make(one, 5)
        assert turn() == 5 * 16
    for make in (loops.bare_extraction, loops.own_extraction, loops.loader_extraction):
        assert make(one, 48, batch=16)() == 48


def test_the_bare_loop_trains_as_ours_does(images, monkeypatch):
    """The same images in every batch, no crop, no flip: then both are one training."""
    one, built = case(images), []
    monkeypatch.setattr(
        loops.Case, "module", lambda self: built.append(loops.architecture.build(one.spec, 8)) or built[-1]
    )
    monkeypatch.setattr(loops.Case, "recipe", lambda self, steps: loops.RecipeSpec(steps=steps, batch=16, crop=0))
    monkeypatch.setattr(batches, "orders", lambda n, batch, steps, generator: np.tile(np.arange(batch), (steps, 1)))
    monkeypatch.setattr(batches, "views", lambda *_: None)
    monkeypatch.setattr(loop, "rate_at", lambda *_: 1.0)
    monkeypatch.setattr(views, "middle_of", lambda pixels, size: pixels)
    loops.bare_training(one, 4)()
    loops.own_training(one, 4)()
    bare, own = (module.state_dict() for module in built)
    for name in bare:
        torch.testing.assert_close(bare[name], own[name], rtol=1e-4, atol=1e-6)


# --- how it is timed --------------------------------------------------------------------------------------------------


def test_rounds_alternate_and_the_first_does_not_count():
    ticks, order = itertools.count(), []
    turns = {"bare": lambda: order.append("bare") or 10, "own": lambda: order.append("own") or 5}
    speeds = loops.in_turns(turns, 3, lambda: float(next(ticks)))
    assert speeds == {"bare": [10.0] * 3, "own": [5.0] * 3}  # each turn takes one tick
    assert order == ["bare", "own", "own", "bare", "bare", "own", "own", "bare"]


def test_ratios_are_taken_round_by_round(images):
    # a machine that halves its speed for a round halves both: the ratio stays
    speeds = {"bare": [100.0, 50.0, 100.0], "own": [90.0, 45.0, 80.0]}
    bare, own = loops.rows_of(case(images), "fine-tuning", speeds)
    assert (bare["share"], own["share"], own["images_per_second"]) == (1.0, 0.9, 80.0)
    assert (own["low"], own["high"]) == (0.85, 0.9)
    assert training_pages.misses([bare, own]) == []
    assert training_pages.misses([own | {"share": 0.89}]) == [
        "fine-tuning of resnet10t at 32 pixels: 0.89 of the bare model"
    ]


def held_for_a_while() -> float:
    """The peak in MB while 50 MB are held, until that is seen or three seconds are over."""
    with bench.Peak() as peak:
        held, end = np.ones(50_000_000, np.uint8), time.monotonic() + 3
        while peak.megabytes < 45 and time.monotonic() < end:
            time.sleep(0.01)
        del held
    return peak.megabytes


def test_peak_memory_is_what_was_held_for_a_while():
    # in a process of its own, as the benchmark does: where whole runs went before, memory is kept to be used again
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        peak = pool.submit(held_for_a_while).result()
    assert 45 <= peak < 60  # the system counts pages in batches


def test_shares_of_preparation_follow_from_the_speeds():
    about = {"architecture": "a", "pixels": 64}
    rows = [
        about | {"stage": "fine-tuning", "variant": "bare", "images_per_second": 499.2},  # 156 · 32 images: 10 s
        about | {"stage": "extraction", "variant": "bare", "images_per_second": 2000.0},  # 1,000 images: 0.5 s
        about | {"stage": "preparation", "variant": "loading", "value": 20.0},
        about | {"stage": "preparation", "variant": "resizing", "value": 80.0},
    ]
    assert training_pages._preparation(rows)[-2] == "| a | 64 | 20 | 80 | 0.010 | 0.040 | 0.200 |"


def test_memory_of_a_fine_tuning_is_what_it_must_hold(images):
    found = bench.memory_of(case(images))
    pixels = (64 + loops.CLASSES) * 32 * 32 * 3
    assert found["images"] == pytest.approx(pixels / 1e6)
    weights = sum(p.numel() for p in case(images).module().parameters())
    assert found["model"] == pytest.approx(12 * weights / 1e6)
    # the first convolution's output alone, which its batch norm keeps: 16 images × 8 channels × 16 × 16 floats
    assert found["activations"] > 16 * 8 * 16 * 16 * 4 / 1e6
    assert found["evaluation"] >= 0


# --- on a device ------------------------------------------------------------------------------------------------------


def test_overlapping_kernels_count_once():
    def event(start, length, kind="kernel"):
        return {"cat": kind, "ts": start, "dur": length}

    trace = [event(10, 5), event(12, 6), event(30, 2, "gpu_memcpy"), event(13, 1), event(0, 99, "cpu_op"), {"ph": "M"}]
    assert gpu_sections.covered(trace) == pytest.approx(10e-6)  # 10 to 18, and 30 to 32
    assert gpu_sections.covered([]) == 0


def test_a_variant_pays_when_it_has_earned_its_setup():
    # 32 images: 0.32 s against 0.16 s, so that each step saves 0.16 s
    assert gpu_sections.pays_from(100.0, 200.0, 1.6, 32) == 10
    assert gpu_sections.pays_from(100.0, 200.0, 1.61, 32) == 11
    assert gpu_sections.pays_from(200.0, 100.0, 1.0, 32) is None


def written(folder: Path) -> list[dict[str, str]]:
    with (folder / "gpu_training.csv").open() as file:
        return list(csv.DictReader(file))


def run(folder: Path, device: str, *sections: str) -> list[dict[str, str]]:
    small = ("--rounds", "1", "--seconds", "0.01", "--images", "64", "--processes", "2")
    assert gpu_bench.main([*sections, "--device", device, *small, "--out", str(folder)], [TINY]) == 0
    return written(folder)


def test_the_gpu_benchmark_runs_on_a_cpu(tmp_path, monkeypatch):
    broken = lambda case, bench: (_ for _ in ()).throw(RuntimeError("no | such\nthing"))  # noqa: E731
    monkeypatch.setitem(gpu_bench.SECTIONS, "graphs", broken)
    rows = run(tmp_path, "cpu", "speeds", "graphs", "loading")
    assert [(r["stage"], r["variant"]) for r in rows] == [
        *(("fine-tuning", name) for name in ("bare", "own", "loader")),
        *(("extraction", name) for name in ("bare", "own", "loader")),
        ("fine-tuning", "bare, deterministic"),
        ("graphs", "failed: RuntimeError: no / such thing"),
        *(("loading", name) for name in ("seconds", "share of 500 steps", "share of 1000 images extracted")),
    ]
    assert all(float(r["images_per_second"]) > 0 for r in rows[:7])
    page = (tmp_path / "gpu_training.md").read_text()
    assert "commit" in page
    assert page.count("\n| resnet10t |") == len(rows)


@pytest.mark.slow
def test_processes_share_a_device(tmp_path):
    (row,) = run(tmp_path, "cpu", "together")
    assert (row["stage"], row["variant"], row["share"]) == ("cells", "2 processes", "1.0")
    assert float(row["images_per_second"]) > 0


def test_sections_and_models_that_do_not_exist_are_named(capsys):
    for arguments, said in (
        (["speed"], "sections must be of speeds, idle"),
        (["--device", "cpu", "--only", "alexnet"], "--only must name some of the models. Got alexnet. Known: resnet50"),
    ):
        with pytest.raises(SystemExit) as stopped:
            gpu_bench.main(arguments)
        assert stopped.value.code == 2
        assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.gpu
def test_every_section_on_a_cuda_device(tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    rows = run(tmp_path, "cuda")
    assert not [r["variant"] for r in rows if r["variant"].startswith("failed")]
    found = {r["variant"]: r for r in rows if r["stage"] in ("fine-tuning", "cells")}
    assert {"bare", "own", "loader", "graph", "compiled", "2 processes", "idle share"} <= set(found)
    assert 0 <= float(found["idle share"]["value"]) < 1


@pytest.mark.gpu
def test_a_graph_trains_as_the_loop_does(images):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    one = case(images, "cuda")
    looped, graphed = one.module(), one.module()
    before = [p.detach().clone() for p in looped.parameters()]
    loop.fit(looped, one.spec, one.examples().on(one.device), one.recipe(6), 1e-4, seed=1, flip=True)
    gpu_sections.graph_training(one, 6, graphed)()
    moved = [
        torch.cat([(p - b).flatten() for p, b in zip(m.parameters(), before, strict=True)]) for m in (looped, graphed)
    ]
    # bfloat16 rounds to 3 digits, and warming up has moved the batch norms' means, which training does not use
    assert torch.nn.functional.cosine_similarity(*moved, dim=0) > 0.98
    assert moved[0].norm() == pytest.approx(moved[1].norm(), rel=0.05)


def test_architectures_measured_again_stand_beside_the_others(tmp_path):
    order = [spec("resnet10"), spec("mobilenet", input_size=64), spec("densenet")]
    row = {"stage": "fine-tuning", "variant": "own", "images_per_second": 1.0, "share": 0.9, "rounds": 3}
    names = [("resnet10t", 32), ("mobilenetv3_small_050", 64), ("DenseNet", 32)]
    first = [row | {"architecture": name, "pixels": pixels} for name, pixels in names]
    training_pages.save(first, tmp_path, "training", "A page", "its text")
    again = first[1] | {"share": 0.95}
    found = training_pages.beside([again], tmp_path / "training.csv", order)
    assert [(r["architecture"], r["pixels"], r["share"]) for r in found] == [
        ("resnet10t", 32, 0.9),
        ("mobilenetv3_small_050", 64, 0.95),
        ("DenseNet", 32, 0.9),
    ]
    assert training_pages.beside([again], tmp_path / "nothing.csv", order) == [again]
