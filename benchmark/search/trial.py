"""Trials of a search: measure a model's speed, or train it on a part of the training images and judge it on the rest.

Times are of `time.monotonic`, one clock for all processes of a machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmark.data import packs
from benchmark.files import record
from benchmark.models import architecture, loading
from benchmark.provenance import seed_of
from benchmark.search.arithmetic import CHECKS, held_out, hopeless
from benchmark.search.job import Job, write
from benchmark.training.judging import parts

TIMED_STEPS = 3
"""Steps of a measurement; the first is not counted."""


def rivals(job: Job) -> list[list[float]]:
    """The curves so far of the other jobs of this rung."""
    files = (f for f in job.result.parent.glob(f"rung{job.rung}-*.json") if f != job.result)
    return [record(f).get("curve", []) for f in files]


def parts_of(labels: np.ndarray, validation: float, groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the training images that a rung trains on and of those that judge it, the same in every rung.

    groups  (n,) near-duplicates share a number: see benchmark.training.judging.parts
    """

    return parts(labels, lambda n: held_out(n, validation), groups)


def trainee(job: Job, n_classes: int, device: Any) -> Any:
    from benchmark.training import views

    module, _ = loading.load(job.model, job.weights)
    seed = seed_of("halving", job.kind, "head")
    return views.to_device(architecture.new_head(module, n_classes, seed), job.model, device)


def fit(
    job: Job,
    module: Any,
    examples: Any,
    device: Any,
    pack: Any,
    watch: Callable[[int], float],
    parts: int,
    balanced: bool = False,
) -> Any:
    from benchmark.training import loop

    here = examples.on(device) if parts == 1 else examples
    recipe = job.recipe.model_copy(update={"steps": job.steps})
    flip, seed = bool(pack.meta.get("flip", False)), seed_of("halving", job.kind, "order")
    return loop.fit(module, job.model, here, recipe, job.rate, seed, flip, parts=parts, watch=watch, balanced=balanced)


def clock(device: Any) -> float:
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)
    return time.monotonic()


def measure(job: Job, device: Any, parts: int = 1) -> dict[str, Any]:
    """Seconds to start, of a step, and of an image of the evaluation, one thread each."""
    from benchmark.training import ground_truth, loop

    start, pack = time.monotonic(), packs.load(job.pack)
    train = pack.indices("train")
    few = train[: job.recipe.batch * TIMED_STEPS]
    examples, judges = ground_truth.splits(job.model, pack, few, few[: job.recipe.batch])
    module, ticks = trainee(job, pack.n_classes, device), []

    def watch(step: int) -> float:
        ticks.append(clock(device))
        return 1.0 if step == TIMED_STEPS else step / (TIMED_STEPS + 1)

    fit(replace(job, steps=TIMED_STEPS + 1), module, examples, device, pack, watch, parts)
    looked = time.monotonic()
    loop.predict(module, job.model, judges.pixels, job.recipe, parts)
    step = float(np.median(np.diff(ticks)[1:]))
    return {  # what the first step took beyond the others belongs to the start
        "status": "done",
        "start": ticks[1] - start - step,
        "step": step,
        "image": (time.monotonic() - looked) / len(judges.pixels),
        "batch": min(job.recipe.batch, len(examples.pixels)),
    }


def compete(job: Job, device: Any, parts: int = 1) -> dict[str, Any]:
    """A whole fine-tuning with its validation curve; given up where it is hopeless or time is up."""
    from benchmark.training import ground_truth, judging, loop

    start, pack = time.monotonic(), packs.load(job.pack)
    train = pack.indices("train")
    rest, held = parts_of(pack.labels[train], job.recipe.validation, pack.groups_of(train))
    if len(rest) > (seen := job.steps * job.recipe.batch):
        rest = rest[judging.stratified(pack.labels[train[rest]], seen, seed_of("halving", "seen"))]
    examples, judges = ground_truth.splits(job.model, pack, train[rest], train[held])
    labels = np.asarray(pack.labels[train[held]])
    module = trainee(job, pack.n_classes, device)
    begun, looking = time.monotonic(), 0.0
    facts: dict[str, Any] = {"status": "done", "curve": [], "start": begun - start}
    curve = facts["curve"]

    def look() -> None:
        nonlocal looking
        before = time.monotonic()
        outputs = loop.predict(module, job.model, judges.pixels, job.recipe, parts)
        curve.append(judging.accuracies(outputs, labels)["oracle"])
        looking += time.monotonic() - before

    def place(step: int) -> float:
        if job.seconds is None:
            return step / job.steps
        last_look = looking / len(curve) if curve else 0.0
        return max((time.monotonic() - begun) / (job.seconds - (begun - start) - last_look), step / job.steps)

    def watch(step: int) -> float:
        if place(step) >= (len(curve) + 1) / CHECKS and len(curve) < CHECKS - 1:
            look()
            write(job.result, facts | {"status": "running"})
            leader = max((c for c in rivals(job) if len(c) >= len(curve)), key=lambda c: c[len(curve) - 1], default=[])
            if hopeless(curve, leader, len(labels)):
                facts.update(status="stopped", reason=f"{curve[-1]:.1f}, the leader {leader[len(curve) - 1]:.1f}")
                return 1.0
        if time.monotonic() >= job.until:
            facts["status"] = "cut"
            return 1.0
        return place(step)

    course = fit(job, module, examples, device, pack, watch, parts)
    between = looking
    if facts["status"] == "done":
        look()
    facts |= {
        "steps": course.images // course.batch,
        "step": max(course.seconds - between, 1e-6) * course.batch / max(course.images, 1),
        "image": looking / max(1, len(curve)) / len(labels),
        "batch": course.batch,
        "losses": course.curve,
        "seconds": time.monotonic() - start,
    }
    return facts
