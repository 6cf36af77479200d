"""Pretraining: the source models that the harness makes itself, on a source's classes or on rotations."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmark.models import architecture, loading
from benchmark.provenance import seed_of
from benchmark.training import ground_truth, judging, loop, views
from benchmark.training.batches import Examples

if TYPE_CHECKING:
    from torch import nn

    from benchmark.config.model import ModelSpec
    from benchmark.data.packs import Pack

TURNS = 4
"""Classes of rotation prediction: 0°, 90°, 180°, 270°."""


def pretrain(
    spec: ModelSpec, pack: Pack, device: str = "cpu"
) -> tuple[nn.Module, dict[str, object], dict[str, object]]:
    """Train a model on the training split of a source, from `spec.init` or from its random initialisation.

    spec.objective  "classes": the source's labels. "rotation": which of four quarter turns an image was given,
                    no labels needed; wants images with a right way up
    returns         (module on the CPU with its source head, values: `source_accuracy` on the source's test split
                    in percent (rotation: over all four turns of each image; multi-label: mean average precision),
                    classes, steps, rate, n_train, n_test, curve; record)
    The first of the optimiser's rates is used. Raises TrainingFailed, and ValueError for rotation prediction on
    data without a right way up.
    Source of rotation prediction: Gidaris et al., ICLR 2018, arXiv 1803.07728.
    """
    rotations = spec.objective == "rotation"
    if rotations and not pack.meta.get("upright", False):
        raise ValueError(
            f"objective 'rotation' must have images with a right way up. Got data set '{pack.name}'. Take another "
            f"source, or objective: classes."
        )
    recipe, place = spec.pretrain, torch.device(device)
    classes = TURNS if rotations else pack.n_classes
    rate = recipe.optimisers[spec.family].rates[0]
    train, test = ground_truth.splits(spec, pack, pack.indices("train"), pack.indices("test"))
    seed = seed_of("pretrain", spec.seed)

    def attempt(parts: int) -> tuple[nn.Module, loop.Course, float, float]:
        module = loading.load(spec.initial, None, classes)[0] if spec.initial else architecture.build(spec, classes)
        module = views.to_device(module, spec, place)
        here = train.on(place) if parts == 1 else train
        flip = bool(pack.meta.get("flip", False)) or rotations
        course = loop.fit(module, spec, here, recipe, rate, seed, flip, rotations, parts)
        start = time.perf_counter()
        accuracy = _accuracy(module, spec, test, rotations, parts)
        return module, course, accuracy, time.perf_counter() - start

    (module, course, accuracy, evaluation), retried = loop.twice_for_memory(attempt)
    values: dict[str, object] = {
        "source_accuracy": accuracy,
        "objective": spec.objective,
        "classes": classes,
        "steps": recipe.steps,
        "rate": rate,
        "n_train": len(train.pixels),
        "n_test": len(test.pixels),
        "curve": course.curve,
    }
    return module.cpu().eval(), values, loop.record([course], retried, evaluation, device)


def _accuracy(module: nn.Module, spec: ModelSpec, test: Examples, rotations: bool, parts: int) -> float:
    """Accuracy in percent on the source's test split; for rotations over all four turns of every image."""
    if not rotations:
        outputs = loop.predict(module, spec, test.pixels, spec.pretrain, parts)
        return judging.accuracies(outputs, test.targets.numpy())["oracle"]
    found = []
    for turn in range(TURNS):
        turned = torch.rot90(test.pixels, turn, dims=(1, 2)).contiguous()
        outputs = loop.predict(module, spec, turned, spec.pretrain, parts)
        found.append(outputs.argmax(axis=1) == turn)
    return 100 * float(np.mean(found))
