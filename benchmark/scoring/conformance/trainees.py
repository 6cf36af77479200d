"""A made-up network and images for methods that train: a probe's features, laid out as the pixels of small images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

CHANNELS = 3
SPREAD = 0.01
"""Of the head's weights, as in `benchmark.models.classifiers.new_head`."""


def made_up(features: np.ndarray, classes: int) -> dict[str, object]:
    """A linear network of a class an output, the same every time, and images that show it the features."""
    import torch
    from torch import nn

    images = Images(features)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = nn.Linear(CHANNELS * images.pixels.shape[2], classes)
        network = nn.Sequential(nn.Flatten(), head)
        with torch.no_grad():
            head.weight.normal_(0, SPREAD)
            head.bias.zero_()
    return {"network": network, "images": images}


class Images:
    """What `benchmark.training.trainee.Images` is to a method: features as rows of pixels, without crops.

    pixels  (n, 1, w, 3) uint8, read-only: the features, rounded; `batch` gives them as they are
    """

    recipe = {"steps": 100, "batch": 32, "images": 1000}  # noqa: RUF012 - as plain as the real one

    def __init__(self, features: np.ndarray):
        n, d = features.shape
        wide = np.zeros((n, -(-d // CHANNELS) * CHANNELS), np.float32)
        with np.errstate(over="ignore"):
            wide[:, :d] = features
        self._inputs = wide.reshape(n, CHANNELS, 1, -1)
        self.pixels = np.clip(np.rint(128 + 32 * self._inputs), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
        self.pixels.flags.writeable = False

    def __len__(self) -> int:
        return len(self._inputs)

    def batch(self, rows: Sequence[int] | np.ndarray, generator: np.random.Generator | None = None) -> Tensor:
        import torch

        return torch.from_numpy(self._inputs[np.asarray(rows, np.int64)])
