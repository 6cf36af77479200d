"""What each step of a training sees: which images, from which view, mixed in which shares, drawn before the first step.

All is drawn by numpy from one seed, so that the same training on another device sees the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from benchmark.training.views import even_orders, look, normaliser, orders, quarter_turns, views

if TYPE_CHECKING:
    from benchmark.config.model import ModelSpec
    from benchmark.config.recipe import PretrainSpec, RecipeSpec


@dataclass(frozen=True)
class Examples:
    """What a training sees: pixels (n, s, s, 3) uint8, targets (n,) int64 or (n, c) float32 for multi-label."""

    pixels: Tensor
    targets: Tensor

    def on(self, device: torch.device) -> Examples:
        return Examples(self.pixels.to(device), self.targets.to(device))


@dataclass(frozen=True)
class Drawing:
    """How images and their views are drawn; each field as in `benchmark.training.loop.fit`."""

    seed: int
    flip: bool
    rotations: bool = False
    balanced: bool = False


class Batches:
    """The batches of all steps, a part of one at a time.

    `shares`, one a step: of an image beside its partner, which stands as far from the end of the part as it from the
    beginning; 1 where nothing is mixed.
    """

    def __init__(
        self,
        spec: ModelSpec,
        examples: Examples,
        recipe: RecipeSpec | PretrainSpec,
        drawing: Drawing,
        device: torch.device,
    ):
        n = len(examples.pixels)
        self.size = min(recipe.batch, n)
        if self.size < 2:
            raise ValueError(f"training images must be at least 2. Got {n}. Take a larger split.")
        self.spec, self.examples, self.device = spec, examples, device
        generator = np.random.Generator(np.random.PCG64(drawing.seed))
        if drawing.balanced:
            order = even_orders(examples.targets.cpu().numpy(), self.size, recipe.steps, generator)
        else:
            order = orders(n, self.size, recipe.steps, generator)
        middle = spec.input_size / examples.pixels.shape[1]
        maps = views(order.shape, recipe.crop, drawing.flip and recipe.flip, generator, middle)
        self.turns: Tensor | None = None
        if drawing.rotations:
            drawn = generator.integers(0, 4, order.shape)
            maps, self.turns = quarter_turns(maps, drawn), torch.from_numpy(drawn).to(device)
        blend = getattr(recipe, "mixup", 0.0)
        self.mixed = bool(blend)
        self.shares = generator.beta(blend, blend, recipe.steps) if blend else np.ones(recipe.steps)
        self.index = torch.from_numpy(order).to(examples.pixels.device)
        self.maps = None if maps is None else torch.from_numpy(maps).to(device)
        self.normalise = normaliser(spec, device)

    def part(self, step: int, cut: slice) -> tuple[Tensor, Tensor]:
        """Images (k, channels, h, w) as the network takes them, mixed, and their targets, not mixed."""
        chosen = self.index[step, cut]
        pixels = self.examples.pixels.index_select(0, chosen).to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        seen = look(pixels, None if self.maps is None else self.maps[step, cut], self.spec.input_size)
        images = self.normalise(seen).contiguous(memory_format=self._layout)
        if self.turns is not None:
            targets = self.turns[step, cut]
        else:
            targets = self.examples.targets.index_select(0, chosen).to(self.device, non_blocking=True)
        if self.mixed:
            share = float(self.shares[step])
            images = images * share + images.flip(0) * (1 - share)
        return images, targets

    @cached_property
    def _layout(self) -> torch.memory_format:
        return torch.contiguous_format if self.spec.family == "transformer" else torch.channels_last
