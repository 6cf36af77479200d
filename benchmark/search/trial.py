"""A trial of a search: a fine-tuning by the clock on a part of the training images, judged on the rest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.data import packs
from benchmark.search.division import parts_of
from benchmark.search.job import Job
from benchmark.search.trainee import MARGIN, fit, keep_state, most_steps, now, seconds_an_image, trainee
from benchmark.training import judging

if TYPE_CHECKING:
    import torch


def compete(job: Job, device: torch.device, parts: int = 1) -> dict[str, Any]:
    """A whole fine-tuning in `job.seconds`, the evaluation among them: its schedule follows the clock.

    Its weights are kept for the training that goes on from them.
    """
    from benchmark.training import ground_truth, loop

    start, pack = time.monotonic(), packs.load(job.pack)
    train = pack.indices("train")
    rest, held = parts_of(pack.labels[train], job.recipe.validation, pack.groups_of(train))
    examples, judges = ground_truth.splits(job.model, pack, train[rest], train[held])
    labels = np.asarray(pack.labels[train[held]])
    module = trainee(job, pack.n_classes, device)
    image = seconds_an_image(job, module, judges.pixels, device, parts)
    begun = stepped = time.monotonic()
    end = min(start + job.seconds, job.until) - MARGIN * image * len(held)

    def watch(step: int) -> float:
        nonlocal stepped
        time_is = now(step, device)
        took, stepped = time_is - stepped, time_is
        return 1.0 if step and time_is + took > end else min(1.0, (time_is - begun) / max(end - begun, 1e-9))

    flip, steps = bool(pack.meta.get("flip", False)), most_steps(end - begun, image, job.recipe.batch)
    course = fit(job, module, examples, flip, watch, steps, device, parts)
    if course.images == 0:
        return {"status": "cut", "reason": "no time was left for a single step"}
    outputs = loop.predict(module, job.model, judges.pixels, job.recipe, parts)
    keep_state(module, job.snapshot)
    right = None if labels.ndim == 2 else judging.correctness(outputs, labels).tolist()
    return {
        "status": "done",
        "accuracy": judging.accuracies(outputs, labels)["oracle"],
        "judges": len(labels),
        "right": right,
        "steps": course.images // course.batch,
        "epochs": course.images / len(examples.pixels),
        "images_per_second": course.images / max(course.seconds, 1e-6),
        "losses": course.curve,
        "seconds": time.monotonic() - start,
    }
