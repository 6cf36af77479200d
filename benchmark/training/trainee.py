"""What a method that trains is given: a network as it would be fine-tuned, and images as its fine-tuning sees them.

Nothing is read before it is asked for. A method gets a network and images of its own, made anew for every call, so that
what it does to them is nobody else's affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.data import packs
from benchmark.models import classifiers, loading
from benchmark.models.timm_alone import timm  # noqa: F401 - imported here, so that no method's time counts it
from benchmark.provenance import seed_of
from benchmark.training.ground_truth import examples_of
from benchmark.training.judging import training_indices
from benchmark.training.views import look, normaliser, to_device, views

if TYPE_CHECKING:
    from benchmark.config.model import ModelSpec
    from benchmark.config.recipe import RecipeSpec


@dataclass(frozen=True)
class Trainee:
    """A model that could be fine-tuned on a target: all by name, nothing loaded, fit to be sent to another process.

    weights  folder of the trained weights, or None (see `benchmark.models.loading.load`)
    pack     folder of the target's pack
    recipe   of the ground truth: its crops and flips are those of the images
    """

    spec: ModelSpec
    weights: Path | None
    pack: Path
    recipe: RecipeSpec
    device: str = "cpu"

    def network(self) -> nn.Module:
        """The model with its weights and a new head of the target's classes, on the device, in training mode.

        The head is drawn from one seed, the same for every model, and differs only in how many features it takes.
        Raises WeightsUnavailable.
        """
        module, _ = loading.load(self.spec, self.weights)
        module = classifiers.new_head(module, packs.load(self.pack).n_classes, seed_of("score", "head"))
        return to_device(module, self.spec, torch.device(self.device)).train()

    def images(self, indices: np.ndarray) -> Images:
        """These images of the pack, in this order."""
        pack = packs.load(self.pack)
        size = pack.meta.get("size", self.spec.input_size)
        trained_on = len(training_indices(pack, self.recipe))
        pixels = examples_of(pack, indices, self.spec.frame(size)).pixels.numpy()
        flip = bool(pack.meta.get("flip", False))
        return Images(pixels, self.spec, self.recipe.on(trained_on, size), trained_on, flip, self.device)


class Images:
    """The images of a probe draw, n of them, as the fine-tuning of one model sees them.

    pixels  (n, s, s, 3) uint8, read-only: the whole frame, out of which views are cut
    recipe  what the fine-tuning would do, as plain data (`conf/recipe`), and `images`, on how many it trains
    """

    def __init__(
        self, pixels: np.ndarray, spec: ModelSpec, recipe: RecipeSpec, trained_on: int, flip: bool, device: str
    ):
        pixels.flags.writeable = False
        self.pixels = pixels
        self.recipe: dict[str, object] = {**recipe.identity(), "images": trained_on}
        self._spec, self._crop, self._flip = spec, recipe.crop, flip and recipe.flip
        self._device = torch.device(device)

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        return f"images {self.pixels.shape}"

    def batch(self, rows: Sequence[int] | np.ndarray, generator: np.random.Generator | None = None) -> Tensor:
        """Some images as the network takes them: (b, channels, side, side) float32, normalised, on its device.

        rows       (b,) positions among the n images
        generator  draws the recipe's crops and flips; None: the centre of each image, as in evaluation
        """
        rows = np.asarray(rows, np.int64)
        pixels = torch.from_numpy(self.pixels[rows]).to(self._device).permute(0, 3, 1, 2)
        side = self._spec.input_size
        maps = None
        if generator is not None:
            maps = views(rows.shape, self._crop, self._flip, generator, side / self.pixels.shape[1])
        seen = look(pixels, None if maps is None else torch.from_numpy(maps).to(self._device), side)
        layout = torch.contiguous_format if self._spec.family == "transformer" else torch.channels_last
        return normaliser(self._spec, self._device)(seen).contiguous(memory_format=layout)
