"""What gpu_bench.py measures of a model in one process: speed, idle time, loading, steps as graphs or compiled."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from training_loops import (
    CLASSES,
    Case,
    Turn,
    bare_training,
    clock,
    in_turns,
    own_extraction,
    own_training,
    rows_of,
    speeds_of,
    steps_for,
)

from benchmark.models import architecture
from benchmark.models import loading as models_loading
from benchmark.training import loop, views

Row = dict[str, Any]
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
        yield row_of(case, stage, "idle share", value=round(max(0.0, 1 - busy / wall), 4))


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
    yield row_of(case, "loading", "seconds", value=round(load, 4))
    yield row_of(case, "loading", f"share of {LONG_RUN} steps", value=round(load / training, 4))
    yield row_of(case, "loading", f"share of {PROBE} images extracted", value=round(load / passed, 4))


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
    """Fine-tuning as `loop.fit` does it, except that forward and backward pass are captured once and replayed."""
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
    yield row_of(case, "fine-tuning", "compiled: seconds more on a second target", value=round(again - steady, 3))
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
    yield row_of(case, "fine-tuning", f"{name}: seconds to set up", value=round(cost, 3))
    steps_to_earn = pays_from(own, other, cost, case.batch)
    yield row_of(case, "fine-tuning", f"{name}: pays from so many steps on", value=steps_to_earn or "never")


def pays_from(own: float, other: float, cost: float, batch: int) -> int | None:
    """Steps after which a variant of `other` images/s has earned the seconds that it cost, against `own` images/s.

    None where it never does.
    """
    saved = batch / own - batch / other
    return None if saved <= 0 else max(1, math.ceil(cost / saved))


def row_of(case: Case, stage: str, variant: str, **values: Any) -> Row:
    return {
        "stage": stage,
        "architecture": case.name,
        "pixels": case.spec.input_size,
        "variant": variant,
        **values,
    }
