"""Fine-tuning and extraction on a CUDA device: images/s, shares of the bare step, and what would make them faster.

    python scripts/bench/gpu_bench.py --out results/bench                      # all sections, all models
    python scripts/bench/gpu_bench.py speeds --only resnet50 vit_base          # one section, some models
    BENCHMARK_BENCH=1 python scripts/gpu.py                              # after the tests, on a machine that is lent

ResNet-50, ViT-B/16 and ConvNeXt-T at 224 pixels in batches of 64, the small models of the banks at 64 pixels in
batches of 32. In sections, each row is written as soon as it is there:

speeds    bare, own and loader as in bench_training.py, in bfloat16 (extraction in float32); the bare step with
          whatever kernels cuDNN finds fastest (`bare`) and with the deterministic ones that fine-tuning uses (`bare,
          deterministic`). The loader has a process a core
idle      the share of a fine-tuning's and of an extraction's wall time in which the device runs no kernel and copies
          nothing: kernels' times from a profiled run, wall time from one without the profiler
loading   seconds to load a model onto the device, beside 500 steps and the extraction of 1,000 images
graphs    the step with forward and backward pass in one CUDA graph, seconds to capture it, and from how many steps on
          that pays
compile   the step with the module compiled, seconds to compile, seconds for a second target (new weights put into the
          same module, a head as wide), and from how many steps on that pays
together  images/s of 1, 2, 4 and 8 processes that each load, fine-tune and test one small model after another: also
          what loading the next model meanwhile is worth

A variant is for the harness where it pays within the 125 to 2,500 steps of the recipes; what is not measured is not
claimed. Wall times with the device waited for at both ends; the median of rounds in which variants take turns.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "bench")]

from training_loops import (  # noqa: E402, I001  before numpy: it sets the threads
    CLASSES,
    Case,
    Turn,
    bare_training,
    clock,
    in_turns,
    own_extraction,
    own_training,
    photographs,
    rows_of,
    speeds_of,
    steps_for,
)
import numpy as np  # noqa: E402
import torch  # noqa: E402
from bench_training import architectures, made_by, save  # noqa: E402
from torch.nn import functional  # noqa: E402

from benchmark.data import packs  # noqa: E402
from benchmark.models import architecture, loading as models_loading  # noqa: E402
from benchmark.training import ground_truth, loop, views  # noqa: E402
from benchmark.config.model import ModelSpec  # noqa: E402

Row = dict[str, Any]
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SHAPES = {64: (96, 128), 224: (256, 340)}
ON_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
LONG_RUN, PROBE = 500, 1000
"""Steps and images beside which loading is put."""


@dataclass(frozen=True)
class Bench:
    """What all sections share."""

    rounds: int
    seconds: float
    workers: int
    folder: Path
    processes: tuple[int, ...] = (1, 2, 4, 8)


def full_size() -> list[ModelSpec]:
    """The models at 224 pixels, untrained."""
    shared = {"weights": "random", "input_size": 224, **IMAGENET}
    of_each = (
        {"name": "resnet50", "arch": "resnet50", "layers": 50},
        {"name": "vit_base", "arch": "vit_base_patch16_224", "layers": 50, "family": "transformer"},
        {"name": "convnext_tiny", "arch": "convnext_tiny", "layers": 59, "family": "convnext"},
    )
    return [ModelSpec.model_validate(shared | own) for own in of_each]


def small() -> list[ModelSpec]:
    """The small models at 64 pixels, untrained."""
    return [spec for spec in architectures() if spec.input_size == 64]


# --- sections ---------------------------------------------------------------------------------------------------------


def speeds(case: Case, bench: Bench) -> Iterator[Row]:
    torch.backends.cudnn.benchmark = True  # for bare and loader; our own choose for themselves
    try:
        yield from speeds_of(case, bench.rounds, bench.seconds, bench.workers)
        steps = steps_for(case, bench.seconds)
        turns = {"bare": bare_training(case, steps), "bare, deterministic": _deterministic(bare_training(case, steps))}
        found = in_turns(turns, bench.rounds, clock(case.device))
        yield from (row for row in rows_of(case, "fine-tuning", found) if row["variant"] != "bare")
    finally:
        torch.backends.cudnn.benchmark = False


def _deterministic(turn: Turn) -> Turn:
    def run() -> int:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=True):
            return turn()

    return run


def idle(case: Case, bench: Bench) -> Iterator[Row]:
    steps = steps_for(case, bench.seconds)
    for stage, turn in (("fine-tuning", own_training(case, steps)), ("extraction", own_extraction(case, PROBE))):
        wall = _seconds(turn, case.device, bench.rounds)
        busy = _busy(turn, case.device)
        if busy is None:
            print(f"{case.name}: the profiler saw nothing on {case.device}; no share of idle time", flush=True)
            return
        yield _row(case, stage, "idle share", value=round(max(0.0, 1 - busy / wall), 4))


def _seconds(turn: Turn, device: torch.device, rounds: int) -> float:
    """The median time of a turn, after one that does not count."""
    now, spent = clock(device), []
    for _ in range(rounds + 1):
        start = now()
        turn()
        spent.append(now() - start)
    return sorted(spent[1:])[len(spent[1:]) // 2]


def _busy(turn: Turn, device: torch.device) -> float | None:
    """Seconds in which the device ran or copied something during a turn; None where no profiler can tell."""
    from torch.profiler import ProfilerActivity, profile

    if device.type != "cuda":
        return None
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        turn()
        torch.cuda.synchronize(device)
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiled.export_chrome_trace(str(trace))
        return covered(json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]) or None


def covered(events: Iterable[dict[str, Any]]) -> float:
    """Seconds that lie within at least one kernel or copy of a trace (times in microseconds)."""
    spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in events if e.get("cat") in ON_DEVICE and "dur" in e)
    total, end = 0.0, float("-inf")
    for start, stop in spans:
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total / 1e6


def loading(case: Case, bench: Bench) -> Iterator[Row]:
    folder = bench.folder / "weights"
    models_loading.save(architecture.build(case.spec, CLASSES), folder)
    trained, now = case.spec.model_copy(update={"weights": "pretrain:photographs"}), clock(case.device)
    spent = []
    for _ in range(bench.rounds):
        start = now()
        views.to_device(models_loading.load(trained, folder)[0], case.spec, case.device)
        spent.append(now() - start)
    load = sorted(spent)[len(spent) // 2]
    steps = steps_for(case, bench.seconds)
    training = _seconds(own_training(case, steps), case.device, 1) * LONG_RUN / steps
    extraction = own_extraction(case, PROBE)
    passed = _seconds(extraction, case.device, 1) * PROBE / extraction()
    yield _row(case, "loading", "seconds", value=round(load, 4))
    yield _row(case, "loading", f"share of {LONG_RUN} steps", value=round(load / training, 4))
    yield _row(case, "loading", f"share of {PROBE} images extracted", value=round(load / passed, 4))


def graphs(case: Case, bench: Bench) -> Iterator[Row]:
    """The harness's own step, its forward and backward pass launched as one graph."""
    if case.device.type != "cuda":
        print(f"{case.name}: CUDA graphs need a CUDA device", flush=True)
        return
    steps = steps_for(case, bench.seconds)
    start = time.perf_counter()
    graphed = graph_training(case, steps)
    torch.cuda.synchronize(case.device)
    yield from _variant(case, bench, steps, "graph", graphed, time.perf_counter() - start)


def graph_training(case: Case, steps: int, module: torch.nn.Module | None = None) -> Turn:
    """Fine-tuning as `finetune.fit` does it, except that forward and backward pass are captured once and replayed."""
    module, examples, recipe = (module or case.module()).train(), case.examples().on(case.device), case.recipe(steps)
    update, normalise = loop.optimiser(module, case.spec, recipe), views.normaliser(case.spec, case.device)
    generator = np.random.Generator(np.random.PCG64(1))
    order = views.orders(len(examples.pixels), case.batch, steps, generator)
    maps = torch.from_numpy(views.views(order.shape, recipe.crop, True, generator)).to(case.device)
    index, layout = torch.from_numpy(order).to(case.device), torch.channels_last
    if case.spec.family == "transformer":
        layout = torch.contiguous_format

    def inputs(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = index[step]
        seen = views.look(examples.pixels.index_select(0, chosen).permute(0, 3, 1, 2), maps[step], case.spec.input_size)
        return normalise(seen).contiguous(memory_format=layout), examples.targets.index_select(0, chosen)

    def backward() -> None:
        with torch.autocast("cuda", dtype=torch.bfloat16, cache_enabled=False):
            outputs = module(images)
        functional.cross_entropy(outputs.float(), targets).backward()

    images, targets = inputs(0)
    aside = torch.cuda.Stream(case.device)
    aside.wait_stream(torch.cuda.current_stream(case.device))
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=True):
        with torch.cuda.stream(aside):  # what the first passes set up must not be captured
            for _ in range(3):
                update.zero_grad(set_to_none=True)
                backward()
        torch.cuda.current_stream(case.device).wait_stream(aside)
        update.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            backward()  # allocates the gradients in the graph's own memory; each replay writes them anew

    def run() -> int:
        for step in range(steps):
            for group in update.param_groups:
                group["lr"] = 1e-4 * loop.rate_at(step, steps, recipe.warmup)
            next_images, next_targets = inputs(step)
            images.copy_(next_images)
            targets.copy_(next_targets)
            graph.replay()
            update.step()
        return order.size

    return run


def compiled(case: Case, bench: Bench) -> Iterator[Row]:
    """The harness's own step with a compiled module, which serves a second target too."""
    steps = steps_for(case, bench.seconds)
    module, examples, recipe = case.module(), case.examples().on(case.device), case.recipe(steps)
    fresh = {k: v.clone() for k, v in module.state_dict().items()}

    def run() -> int:
        return loop.fit(module, case.spec, examples, recipe, 1e-4, seed=1, flip=True).images

    torch.compiler.reset()
    module.compile(dynamic=False)
    first = _once(run, case.device)
    steady = _seconds(run, case.device, 1)
    module.load_state_dict(fresh)  # the next target: other weights in the same tensors, nothing to compile again
    again = _once(run, case.device)
    yield _row(case, "fine-tuning", "compiled: seconds more on a second target", value=round(again - steady, 3))
    yield from _variant(case, bench, steps, "compiled", run, max(0.0, first - steady))
    torch.compiler.reset()


def _once(turn: Turn, device: torch.device) -> float:
    now = clock(device)
    start = now()
    turn()
    return now() - start


def _variant(case: Case, bench: Bench, steps: int, name: str, turn: Turn, cost: float) -> Iterator[Row]:
    """A variant's speed beside our own, what setting it up costs, and after how many steps that is earned."""
    turns = {"bare": bare_training(case, steps), "own": own_training(case, steps), name: turn}
    found = in_turns(turns, bench.rounds, clock(case.device))
    (row,) = (r for r in rows_of(case, "fine-tuning", found) if r["variant"] == name)
    yield row
    own, other = (sorted(found[n])[len(found[n]) // 2] for n in ("own", name))
    yield _row(case, "fine-tuning", f"{name}: seconds to set up", value=round(cost, 3))
    steps_to_earn = pays_from(own, other, cost, case.batch)
    yield _row(case, "fine-tuning", f"{name}: pays from so many steps on", value=steps_to_earn or "never")


def pays_from(own: float, other: float, cost: float, batch: int) -> int | None:
    """Steps after which a variant of `other` images/s has earned the seconds that it cost, against `own` images/s.

    None where it never does.
    """
    saved = batch / own - batch / other
    return None if saved <= 0 else max(1, math.ceil(cost / saved))


def together(case: Case, bench: Bench) -> Iterator[Row]:
    """Several processes on the one device."""
    if case.spec.input_size != 64 and case.device.type == "cuda":
        return  # one of these fills the device
    folder = bench.folder / "together"
    models_loading.save(architecture.build(case.spec, CLASSES), folder)
    first = None
    for count in bench.processes:
        speed = images_per_second(case, folder, count, bench.seconds)
        first = first or speed
        row = _row(case, "cells", f"{count} processes", images_per_second=round(speed, 1))
        yield row | {"share": round(speed / first, 3)}


def images_per_second(case: Case, weights: Path, count: int, seconds: float) -> float:
    """Images that so many processes fine-tune on in a second, models being loaded and tested in between."""
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(count), context.Queue()
    arguments = (case.spec.model_dump(), case.files, str(case.device), case.batch, weights, seconds, ready, results)
    children = [context.Process(target=_cells, args=arguments, daemon=True) for _ in range(count)]
    for child in children:
        child.start()
    try:
        found = [results.get(timeout=240) for _ in children]
    finally:
        for child in children:
            child.join(10)
            if child.is_alive():
                child.terminate()
    return sum(images / spent for images, spent in found)


def _cells(
    fields: dict[str, Any],
    files: Path,
    device: str,
    batch: int,
    weights: Path,
    seconds: float,
    ready: Any,
    results: Any,
) -> None:
    """A process's life: load, fine-tune, test, until the time is over."""
    torch.set_num_threads(1)
    spec = ModelSpec(**fields)
    case = Case(spec, packs.load(files.parent / "pack"), files, torch.device(device), batch)
    trained = spec.model_copy(update={"weights": "pretrain:photographs"})
    train, test = ground_truth.splits(spec, case.pack, case.pack.indices("train"), case.pack.indices("test"))
    recipe = case.recipe(steps_for(case, seconds / 2))

    def cell() -> int:
        module = views.to_device(models_loading.load(trained, weights, CLASSES)[0], spec, case.device)
        images = loop.fit(module, spec, train.on(case.device), recipe, 1e-4, seed=1, flip=True).images
        loop.predict(module, spec, test.pixels, recipe)
        return images

    cell()
    ready.wait(240)
    start, images = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < 2 * seconds or not images:
        images += cell()
    results.put((images, spent))


SECTIONS: dict[str, Callable[[Case, Bench], Iterator[Row]]] = {
    "speeds": speeds,
    "idle": idle,
    "loading": loading,
    "graphs": graphs,
    "together": together,
    "compile": compiled,
}


def _row(case: Case, stage: str, variant: str, **values: Any) -> Row:
    return {
        "stage": stage,
        "architecture": case.name,
        "pixels": case.spec.input_size,
        "variant": variant,
        **values,
    }


# --- command ----------------------------------------------------------------------------------------------------------


def page(rows: list[Row]) -> str:
    """All rows as one table in Markdown."""
    lines = ["| model | pixels | stage | variant | images/s | share of bare | value |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        share = f"{row['share']:.2f}" if row.get("share") is not None else ""
        if "low" in row:
            share += f" ({row['low']:.2f}–{row['high']:.2f})"
        shown = (row["architecture"], row["pixels"], row["stage"], row["variant"], row.get("images_per_second", ""))
        lines.append("| " + " | ".join(map(str, (*shown, share, row.get("value", "")))) + " |")
    return "\n".join(lines)


def main(argv: list[str], specs: list[ModelSpec] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", default=list(SECTIONS), help=", ".join(SECTIONS))
    parser.add_argument("--out", type=Path, default=Path("outputs/gpu"), help="folder for gpu_training.csv and .md")
    parser.add_argument("--only", nargs="*", default=[], help="models, by a part of their names")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a bare training of one round")
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4, 8], help="for the section together")
    given = parser.parse_args(argv)
    if strange := set(given.sections) - set(SECTIONS):
        parser.error(f"sections must be of {', '.join(SECTIONS)}. Got {', '.join(sorted(strange))}.")
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error(
            "--device must be one that is here. Got cuda, and PyTorch finds none. Take --device cpu to try it."
        )
    torch.set_num_threads(1)
    every = specs or [*full_size(), *small()]
    specs = [s for s in every if not given.only or any(part in s.arch for part in given.only)]
    if not specs:
        known = ", ".join(s.arch for s in every)
        parser.error(f"--only must name some of the models. Got {', '.join(given.only)}. Known: {known}.")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workers = len(os.sched_getaffinity(0)) if device.type == "cuda" else 0
        bench = Bench(given.rounds, given.seconds, workers, folder, tuple(given.processes))
        images = {
            size: photographs(folder / str(size), *SHAPES.get(size, (size, size)), given.images)
            for size in dict.fromkeys(spec.input_size for spec in specs)
        }
        for section in given.sections:
            for spec in specs:
                case = Case(spec, *images[spec.input_size], device, batch=64 if spec.input_size == 224 else 32)
                for row in measured(section, case, bench):
                    rows.append(row)
                    print(page([row]).splitlines()[-1], flush=True)
                    body = f"{made_by(device)}\n\n{page(rows)}"
                    save(rows, given.out, "gpu_training", "Fine-tuning and extraction on one device", body)
    return 0


def measured(section: str, case: Case, bench: Bench) -> Iterator[Row]:
    """The rows of one section for one model; what fails is a row that says why, and the rest goes on."""
    try:
        yield from SECTIONS[section](case, bench)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200].replace("|", "/")
        yield _row(case, section, f"failed: {reason}")
    if case.device.type == "cuda":
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
