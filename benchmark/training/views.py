"""Images on a device: cropping, flipping, normalising a batch at a time, from orders and crops drawn beforehand.

Order and crops are drawn by numpy from one seed, the same on every device."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from benchmark.config.model import ModelSpec

ASPECT = 4 / 3
"""Widest aspect ratio of a crop, and its inverse the narrowest: those of Inception training."""
SMALL = 64  # pixels a side
PIXELS_AT_ONCE = 64 * SMALL**2


def to_device(module: nn.Module, spec: ModelSpec, device: torch.device) -> nn.Module:
    """The module on the device, channels last for the convolutional families (faster there, and on CPUs)."""
    layout = torch.contiguous_format if spec.family == "transformer" else torch.channels_last
    return module.to(device).to(memory_format=layout)


def normaliser(spec: ModelSpec, device: torch.device) -> Callable[[Tensor], Tensor]:
    """A function from pixels (n, 3, h, w), 0 to 255, to the model's input: float32, its mean and deviation.

    It keeps the layout, works in place on float pixels, and leaves uint8 ones alone. For a network of grey images the
    input is (n, 1, h, w), the luma of ITU-R BT.601 as Pillow has it, not rounded.
    """
    std = torch.tensor(spec.std, device=device).view(1, -1, 1, 1)
    mean = torch.tensor(spec.mean, device=device).view(1, -1, 1, 1)
    scale, shift = 1 / (255 * std), mean / std

    def normalise(pixels: Tensor) -> Tensor:
        values = pixels.to(torch.float32)
        if spec.in_chans == 1:
            red, green, blue = values.unbind(1)
            return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(1).mul_(scale).sub_(shift)
        if values.is_cuda or values.stride(1) != 1:
            return values.mul_(scale).sub_(shift)
        # channels last: a CPU goes along rows of pixels many times as fast as along three values at a time
        width = values.shape[-1]
        values.permute(0, 2, 3, 1).mul_(scale.view(3).repeat(width, 1)).sub_(shift.view(3).repeat(width, 1))
        return values

    return normalise


def orders(n: int, batch: int, steps: int, generator: np.random.Generator) -> np.ndarray:
    """Image indices (steps, batch): one permutation of n images per epoch, each epoch's last partial batch dropped.

    Needs batch ≤ n.
    """
    per_epoch = n // batch
    epochs = math.ceil(steps / per_epoch)
    shuffled = np.stack([generator.permutation(n)[: per_epoch * batch] for _ in range(epochs)])
    return shuffled.reshape(-1, batch)[:steps]


def even_orders(labels: np.ndarray, batch: int, steps: int, generator: np.random.Generator) -> np.ndarray:
    """Image indices (steps, batch), drawn so that every class of labels (n,) comes equally often, with replacement."""
    _, members, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return generator.choice(len(labels), (steps, batch), p=1.0 / (len(counts) * counts[members]))


def views(
    shape: tuple[int, ...], crop: float, flip: bool, generator: np.random.Generator, middle: float = 1.0
) -> np.ndarray | None:
    """Random crops and flips as affine maps (*shape, 2, 3) from output to input coordinates in [−1, 1].

    crop  smallest area of a crop as a share of the image's (0 or 1: no crop); its aspect ratio lies between 3/4
          and 4/3, its place is anywhere inside
    flip  mirror every other view, left to right
    middle  share of the side that is seen where nothing is cropped at random
    Returns None where neither is wanted.
    """
    cropped = 0 < crop < 1
    if not cropped and not flip:
        return None
    width = height = np.full(shape, float(middle))
    if cropped:
        area = generator.uniform(crop, 1, shape)
        ratio = np.exp(generator.uniform(-math.log(ASPECT), math.log(ASPECT), shape) / 2)
        width, height = np.minimum(np.sqrt(area) * ratio, 1), np.minimum(np.sqrt(area) / ratio, 1)
    maps = np.zeros((*shape, 2, 3), np.float32)
    maps[..., 0, 0], maps[..., 1, 1] = width, height
    maps[..., 0, 2] = cropped * (1 - width) * generator.uniform(-1, 1, shape)
    maps[..., 1, 2] = cropped * (1 - height) * generator.uniform(-1, 1, shape)
    if flip:
        maps[..., 0, 0] *= np.where(generator.random(shape) < 0.5, -1, 1)
    return maps


def quarter_turns(maps: np.ndarray | None, turns: np.ndarray) -> np.ndarray:
    """The views turned by 90° × turns (same leading shape), as torch.rot90 turns images."""
    if maps is None:
        maps = np.zeros((*turns.shape, 2, 3), np.float32)
        maps[..., 0, 0] = maps[..., 1, 1] = 1
    cos, sin = np.array([1, 0, -1, 0])[turns], np.array([0, 1, 0, -1])[turns]
    turned = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2).astype(np.float32)
    return np.concatenate([maps[..., :2] @ turned, maps[..., 2:]], axis=-1)


def look(pixels: Tensor, maps: Tensor | None, size: int | None = None) -> Tensor:
    """Pixels (n, 3, s, s) seen through affine maps (n, 2, 3), bilinear; their middle without maps.

    size  side in pixels of what is returned; None for s
    """
    size = size or pixels.shape[-1]
    if maps is None:
        return middle_of(pixels, size)
    points = grid(maps, size)
    return functional.grid_sample(pixels.to(torch.float32), points, padding_mode="border", align_corners=False)


def grid(maps: Tensor, size: int) -> Tensor:
    """The points (n, size, size, 2) that views (n, 2, 3) sample, as torch's affine_grid gives them.

    That one multiplies each point by a matrix. A view scales, mirrors and turns by quarters, so that each coordinate
    follows from the row or from the column alone: a sum of two lines, the same numbers in a twentieth of the time.
    """
    centres = torch.linspace(-1, 1, size, device=maps.device) * (size - 1) / size  # of pixels
    across = maps[:, :, 0, None] * centres + maps[:, :, 2, None]
    down = maps[:, :, 1, None] * centres
    return (across[:, :, None, :] + down[:, :, :, None]).permute(0, 2, 3, 1)


def at_once(most: int, size: int, device: torch.device) -> int:
    """How many images a forward pass takes: `most`, but on a processor fewer of those larger than 64 pixels.

    What a layer puts out then stays in the caches: at 224 pixels five images at once pass twice as fast as 64.
    """
    return most if device.type != "cpu" or size <= SMALL else max(1, min(most, PIXELS_AT_ONCE // size**2))


def middle_of(pixels: Tensor, size: int) -> Tensor:
    """The middle (…, size, size) of pixels (…, s, s); themselves where s is size."""
    start = (pixels.shape[-1] - size) // 2
    return pixels if not start else pixels[..., start : start + size, start : start + size]
