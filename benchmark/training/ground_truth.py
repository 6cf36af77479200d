"""Ground truth: all weights of a model are fine-tuned with a new head on a target, and it is tested there.

The images lie decoded on the device as uint8. On a CPU a result is the same to the last bit for one machine and thread
count; on CUDA it is close, not equal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

import numpy as np
import torch

from benchmark.models import classifiers, loading
from benchmark.provenance import seed_of
from benchmark.training.batches import Examples
from benchmark.training.judging import accuracies, correctness, parts, training_indices
from benchmark.training.loop import Course, TrainingFailed, fit, predict, record, twice_for_memory
from benchmark.training.views import middle_of, to_device

if TYPE_CHECKING:
    from benchmark.config.model import ModelSpec
    from benchmark.config.recipe import RecipeSpec
    from benchmark.data.packs import Pack


class Tuned(TypedDict):
    """What `tune` chose and what it tried, a list entry a trial; the last four for a grid alone."""

    rate: float
    measure: str
    rates: list[float]
    validation: list[float | None]
    failed: dict[str, str]
    curves: list[list[float]]
    n_train: int
    n_validation: int
    weight_decay: NotRequired[float]
    steps: NotRequired[int]
    weight_decays: NotRequired[list[float]]
    steps_tried: NotRequired[list[int]]


def examples_of(pack: Pack, indices: np.ndarray, size: int, middle: int | None = None) -> Examples:
    """Images of a pack as the training wants them, on the CPU: short side scaled to size, the centre square.

    middle  side in pixels of the part of that square that is kept, as for evaluation; None for all of it
    """
    targets = torch.from_numpy(np.asarray(pack.labels[indices]))
    targets = targets.float() if pack.multilabel else targets.long()
    pixels = torch.from_numpy(pack.stack(indices, size))
    if middle and middle < size:
        pixels = middle_of(pixels.permute(0, 3, 1, 2), middle).permute(0, 2, 3, 1).contiguous()
    return Examples(pixels, targets)


def splits(spec: ModelSpec, pack: Pack, train: np.ndarray, test: np.ndarray) -> tuple[Examples, Examples]:
    """What a model trains on (its whole frame, out of which views are cropped) and is tested on (its centre crop)."""
    frame = spec.frame(pack.meta.get("size", spec.input_size))
    return examples_of(pack, train, frame), examples_of(pack, test, frame, spec.input_size)


def _trained(
    spec: ModelSpec,
    weights: Path | None,
    examples: Examples,
    test: Examples,
    pack: Pack,
    recipe: RecipeSpec,
    rate: float,
    seeds: tuple[int, int],
    device: str,
) -> tuple[np.ndarray, Course, bool, float]:
    """Fine-tune once and predict: outputs, course, whether memory forced a retry, seconds of evaluation."""
    place = torch.device(device)

    def attempt(parts: int) -> tuple[np.ndarray, Course, float]:
        module, _ = loading.load(spec, weights)
        module = to_device(classifiers.new_head(module, pack.n_classes, seeds[0]), spec, place)
        here = examples.on(place) if parts == 1 else examples
        flip = bool(pack.meta.get("flip", False))
        course = fit(module, spec, here, recipe, rate, seeds[1], flip, parts=parts)
        start = time.perf_counter()
        outputs = predict(module, spec, test.pixels, recipe, parts)
        return outputs, course, time.perf_counter() - start

    (outputs, course, evaluation), retried = twice_for_memory(attempt)
    return outputs, course, retried, evaluation


def tune(
    spec: ModelSpec, weights: Path | None, pack: Pack, recipe: RecipeSpec, device: str = "cpu"
) -> tuple[Tuned, dict[str, object]]:
    """Choose the learning rate on a stratified validation part of the training split; the test split is not read.

    Every rate of the recipe trains on the rest with the same head and the same order of images. The best
    validation accuracy wins (multi-label: mean average precision); of equal ones the smaller rate. One rate is
    taken as it is. A recipe with several weight decays or numbers of steps tries all of them with every rate.
    returns  (what was chosen, with "validation" in percent, None where it failed, and "failed" the reasons; record)
    Raises TrainingFailed when every rate failed.
    """
    indices = training_indices(pack, recipe)
    recipe = recipe.on(len(indices), pack.meta.get("size", spec.input_size))
    trials = recipe.trials(spec.family)
    rates = [rate for rate, _ in trials]
    rest, held = parts(pack.labels[indices], lambda n: max(1, round(recipe.validation * n)), pack.groups_of(indices))
    rest = indices[rest]
    values: Tuned = {
        "rate": rates[0],
        "measure": "map" if pack.multilabel else "accuracy",
        "rates": rates,
        "validation": [None] * len(rates),
        "failed": {},
        "curves": [[] for _ in rates],
        "n_train": len(rest),
        "n_validation": len(held),
    }
    if recipe.is_grid:
        values["weight_decays"] = [trial.optimisers[spec.family].weight_decay for _, trial in trials]
        values["steps_tried"] = [trial.steps for _, trial in trials]
        values["weight_decay"], values["steps"] = values["weight_decays"][0], values["steps_tried"][0]
    if len(rates) == 1:
        return values, record([], False, 0.0, device)
    train_part, validation = splits(spec, pack, rest, indices[held])
    labels = np.asarray(pack.labels[indices[held]])
    courses, retried, evaluation = list[Course](), False, 0.0
    for k, (rate, trial) in enumerate(trials):
        seeds = (seed_of("tune", "head"), seed_of("tune", "order"))
        try:
            outputs, course, again, seconds = _trained(
                spec, weights, train_part, validation, pack, trial, rate, seeds, device
            )
        except TrainingFailed as failure:
            values["failed"][f"{rate:g}" if not recipe.is_grid else f"{rate:g} #{k}"] = str(failure)
            continue
        values["validation"][k] = accuracies(outputs, labels)["oracle"]
        values["curves"][k] = course.curve
        courses.append(course)
        retried, evaluation = retried or again, evaluation + seconds
    if not courses:
        raise TrainingFailed(f"every rate failed: {'; '.join(values['failed'].values())}")
    best = max(v for v in values["validation"] if v is not None)
    chosen = values["validation"].index(best)
    values["rate"] = rates[chosen]
    if recipe.is_grid:
        values["weight_decay"], values["steps"] = values["weight_decays"][chosen], values["steps_tried"][chosen]
    return values, record(courses, retried, evaluation, device)


def pool(choices: Sequence[Tuned], device: str = "cpu") -> tuple[Tuned, dict[str, object]]:
    """Choose by the mean of what the same trials reached on several targets, each as `tune` gives it.

    A trial that failed on a target counts as 0 % there; of equal means the smaller rate wins. Raises TrainingFailed
    where the targets did not try the same.
    """
    first = choices[0]
    tried = [(c["rates"], c.get("weight_decays"), c.get("steps_tried")) for c in choices]
    if any(t != tried[0] for t in tried):
        raise TrainingFailed(f"what was tried must be the same on every target of recipe.rate_on. Got {tried}")
    means = [float(np.mean(one)) for one in zip(*([v or 0.0 for v in c["validation"]] for c in choices), strict=True)]
    best = means.index(max(means))
    values: Tuned = {**first, "rate": first["rates"][best], "validation": [*means], "curves": [[] for _ in means]}
    values["failed"] = {rate: why for c in choices for rate, why in c["failed"].items()}
    values["n_train"], values["n_validation"] = (sum(c[n] for c in choices) for n in ("n_train", "n_validation"))
    if "weight_decays" in first and "steps_tried" in first:
        values["weight_decay"], values["steps"] = first["weight_decays"][best], first["steps_tried"][best]
    return values, record([], False, 0.0, device)


def train(
    spec: ModelSpec,
    weights: Path | None,
    pack: Pack,
    recipe: RecipeSpec,
    rate: float,
    seed_key: str,
    device: str = "cpu",
) -> tuple[dict[str, object], dict[str, np.ndarray], dict[str, object]]:
    """Fine-tune on the whole training split at one rate, then test: one ground truth.

    seed_key  any string; head and order of images derive from it
    returns   (values: accuracies in percent (see `accuracies`), rate, n_train, n_test, steps, curve;
              arrays: `correct` (see `correctness`), `predictions`: int32 class ids (n,) or float32 outputs (n, c);
              record: seconds and images/s of the training alone, evaluation apart, where it ran)
    Values and arrays are the same from call to call on one machine, thread count and a CPU. When memory runs
    out, it is tried once more with each batch in two parts whose gradients are added. Raises TrainingFailed.
    """
    indices, test_indices = training_indices(pack, recipe), pack.indices("test")
    recipe = recipe.on(len(indices), pack.meta.get("size", spec.input_size))
    examples, test = splits(spec, pack, indices, test_indices)
    seeds = (seed_of(seed_key, "head"), seed_of(seed_key, "order"))
    outputs, course, retried, evaluation = _trained(spec, weights, examples, test, pack, recipe, rate, seeds, device)
    labels = np.asarray(pack.labels[test_indices])
    values = {
        **accuracies(outputs, labels),
        "rate": rate,
        "n_train": len(indices),
        "n_test": len(test_indices),
        "steps": recipe.steps,
        "curve": course.curve,
    }
    predictions = outputs if pack.multilabel else outputs.argmax(axis=1).astype(np.int32)
    arrays = {"correct": correctness(outputs, labels), "predictions": predictions}
    return values, arrays, record([course], retried, evaluation, device)
