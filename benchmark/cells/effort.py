"""How much work a fine-tuning is: the images that it trains on, and its cost in that of a usual cell of its stage.

Known before anything runs, from a recipe and what the bank states of a model: for estimates and the order of cells.
"""

from __future__ import annotations

from benchmark.cells.plan import IMAGES, SECONDS
from benchmark.config.functions import DataSpec
from benchmark.config.model import ModelSpec
from benchmark.config.recipe import RecipeSpec

PACE = 5.6
"""Multiply-adds in 10⁹ of forward passes that one core trains in a second, for models whose bank counts them: the 41
of bank=public at 96 pixels, one thread each on two busy cores; from 2 (MCUNet) to 11 (CIFAR ResNets)."""

FORWARD = 1 / 3
"""The cost of looking at an image, in that of training on it: a backward pass costs two forward ones."""

LOOK = 40 * 32
"""Images that a short look at a fine-tuning trains on (`methods.look`); a guess for other methods that train."""


def cost_of(stage: str, recipe: RecipeSpec, model: ModelSpec, target: DataSpec) -> float:
    """The cost of a model's choice of rate ("tune") or fine-tuning ("truth") on a target, as of a cell's weight."""
    known = target.images[0] if target.images else None
    return weigh(stage, passes(stage, recipe, model, target, known)[0], model)


def passes(stage: str, recipe: RecipeSpec, model: ModelSpec, data: DataSpec, images: int | None) -> tuple[int, int]:
    """Images that fine-tuning trains on, each as often as it is seen, and those held out that it looks at in between.

    stage   "tune": every trial, on what is not held out, nothing where there is no choice; "truth": the last training
    images  in the training split, on which rules and the largest batch depend; None where not known
    """
    if images is not None:
        images = min(images, recipe.train_cap or images)
        recipe = recipe.on(images, data.size)
    if stage == "truth":
        return recipe.steps * min(recipe.batch, images or recipe.batch), 0
    trials, held = recipe.trials(model.family), max(1, round(recipe.validation * images)) if images else 0
    if len(trials) == 1:
        return 0, 0
    batch = min(recipe.batch, images - held) if images else recipe.batch
    return sum(trial.steps for _, trial in trials) * batch, held * len(trials)


def weigh(stage: str, trained: float, model: ModelSpec) -> float:
    """The cost of a fine-tuning that trains on so many images, in that of a usual cell of its stage."""
    if model.gmacs:
        return trained * model.gmacs / PACE / SECONDS[stage]
    return trained / IMAGES[stage] * (model.input_size / 32) ** 1.5
