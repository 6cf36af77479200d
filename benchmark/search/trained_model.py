"""A checkpoint ready to predict: the bytes of images in, probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.config.recipe import RecipeSpec
from benchmark.data.images import decode
from benchmark.data.user.look import ENOUGH
from benchmark.errors import ConfigError
from benchmark.search import checkpoint
from benchmark.search.checkpoint import Checkpoint
from benchmark.search.prediction import probabilities_of, view

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class TrainedModel:
    """about  what the checkpoint says of itself; `module` on its device, in evaluation mode when it predicts"""

    about: Checkpoint
    module: nn.Module

    @classmethod
    def load(cls, file: Path, trust: str | None = None, device: str = "auto") -> TrainedModel:
        """From a checkpoint's file. device: auto, cpu or cuda; ConfigError for one that is not there."""
        import torch

        from benchmark.training import views

        if device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("device must be one that PyTorch sees. Got 'cuda', and it sees none. Take device=cpu.")
        module, about = checkpoint.load(file, trust)
        place = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
        return cls(about, views.to_device(module, about.spec, torch.device(place)))

    def seen(self, data: bytes | Path, where: str) -> np.ndarray:
        """(s, s, 3) uint8 pixels of an image as the model sees it; UnreadableImageError, which names it `where`."""
        return view(decode(data, where, ENOUGH, self.about.levels), self.about.spec, self.about.pack_size)

    def outputs(self, seen: Sequence[np.ndarray]) -> np.ndarray:
        """Outputs (n, c) for n images as they are seen."""
        import torch

        from benchmark.training import loop

        return loop.predict(self.module, self.about.spec, torch.from_numpy(np.stack(seen)), RecipeSpec())

    def probabilities(self, seen: Sequence[np.ndarray]) -> np.ndarray:
        """(n, c), calibrated where the checkpoint is."""
        return probabilities_of(self.outputs(seen), self.about)
