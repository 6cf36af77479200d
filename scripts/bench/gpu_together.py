"""Several processes that fine-tune small models on one device: images per second of them all."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from gpu_sections import Bench, Row, row_of
from training_loops import (
    CLASSES,
    Case,
    steps_for,
)

from benchmark.config.model import ModelSpec
from benchmark.data import packs
from benchmark.models import architecture
from benchmark.models import loading as models_loading
from benchmark.training import ground_truth, loop, views


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
        row = row_of(case, "cells", f"{count} processes", images_per_second=round(speed, 1))
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
