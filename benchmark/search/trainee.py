"""A network that a search trains: its weights and new head, its training by a clock, how long its evaluation takes.

Times are of `time.monotonic`, one clock for all processes of a machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.files import put_tensors
from benchmark.models import classifiers, loading
from benchmark.provenance import seed_of
from benchmark.search.job import Job

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from benchmark.training.batches import Examples
    from benchmark.training.loop import Course

SAMPLE = 64
"""Images whose evaluation is timed."""
MARGIN = 1.3
"""Seconds kept for a second of evaluation."""


def trainee(job: Job, n_classes: int, device: torch.device) -> nn.Module:
    """The job's network with a head of n_classes on the device; with the weights that it goes on from, if any."""
    from safetensors.torch import load_file

    from benchmark.training import views

    module, _ = loading.load(job.model, job.weights)
    module = classifiers.new_head(module, n_classes, seed_of("halving", "head"))
    if job.begin is not None:
        module.load_state_dict(load_file(job.begin))
    return views.to_device(module, job.model, device)


def keep_state(module: nn.Module, file: Path, **more: Tensor) -> None:
    """The network's weights, and what else is given, in a file."""
    state = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in module.state_dict().items()}
    put_tensors(file, state | more)


def fit(
    job: Job,
    module: nn.Module,
    examples: Examples,
    flip: bool,
    watch: Callable[[int], float],
    steps: int,
    device: torch.device,
    parts: int = 1,
    balanced: bool = False,
) -> Course:
    """Train until `watch` says so, for so many steps at most; `balanced`: on classes in equal shares."""
    from benchmark.training import loop

    here = examples.on(device) if parts == 1 else examples
    recipe = job.recipe.model_copy(update={"steps": steps})
    seed = seed_of("halving", job.kind, "order")
    return loop.fit(module, job.model, here, recipe, job.rate, seed, flip, parts=parts, watch=watch, balanced=balanced)


def most_steps(seconds: float, image: float, batch: int) -> int:
    """More steps than fit into a time: each takes as long as `batch` evaluations, `image` seconds each, and more."""
    return max(1, math.ceil(seconds / max(image * batch, 1e-4)))


def clock(device: torch.device) -> float:
    """The time when the device is done with what it was given."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)
    return time.monotonic()


def now(step: int, device: torch.device) -> float:
    """The time at a step: the first ones wait for the device, so that what it takes is known; later ones seldom do."""
    return clock(device) if step < 20 or step % 10 == 0 else time.monotonic()


def seconds_an_image(job: Job, module: nn.Module, pixels: Tensor, device: torch.device, parts: int = 1) -> float:
    """How long the evaluation of an image takes now."""
    from benchmark.training import loop

    few = pixels[:SAMPLE]
    before: Any = clock(device)
    loop.predict(module, job.model, few, job.recipe, parts)
    return float(clock(device) - before) / len(few)
