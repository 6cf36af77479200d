"""Probe sets: which training images a draw holds, and what a model makes of them.

`draw` needs numpy only; `extract` imports PyTorch when it is called.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark import provenance
from benchmark.plan import DRAW_SEED, DRAW_STEP

if TYPE_CHECKING:
    from benchmark.config import ModelSpec
    from benchmark.packs import Pack

GENERATOR = "numpy.random.Generator(numpy.random.PCG64(seed))"
"""The random number generator of a draw; part of the protocol, so that the ids can be drawn again."""
SMALL = 1000
"""A training split with fewer images than this gives half of them."""


def seed_of_draw(number: int) -> int:
    """The official seed of probe draw 0, 1, 2 …"""
    return DRAW_SEED + DRAW_STEP * number


def draw(labels: np.ndarray, size: int, seed: int, multilabel: bool = False) -> np.ndarray:
    """Indices of a probe set, drawn as the paper draws it: class by class in rounds.

    labels      (n,) class ids of the training split, or (n, c) multi-hot with multilabel
    size        images wanted. With fewer than 1,000 training images the set is at most half of them; it is
                never more than there are
    seed        `seed_of_draw(r)` for draw r of a target; the generator is PCG64
    returns     (m,) int64 indices into `labels`, all different. Every round takes one random image of each class
                in the order of class ids, until `size`, so that any beginning of the set is balanced and a
                remainder goes to the lowest ids. With more than size/2 classes, size//2 random ones are kept,
                each with two images where it has them. Multi-label: a plain random sample
    Cost O(n log n). Raises ValueError for labels of the wrong shape and for a size below 1.
    Source: the release of Bolya et al. (FixedBudgetSampler). Differs from the authors' code in the generator.
    """
    labels = np.asarray(labels)
    if labels.ndim != (2 if multilabel else 1) or not len(labels):
        shape = "(n, c) multi-hot" if multilabel else "(n,) class ids"
        raise ValueError(f"labels must be {shape} of at least one image. Got shape {labels.shape}. Check multilabel.")
    if size < 1:
        raise ValueError(f"size must be at least 1. Got {size}. Ask for more images.")
    n = len(labels)
    size = max(1, min(size, n // 2 if n < SMALL else n))
    generator = np.random.Generator(np.random.PCG64(seed))
    if multilabel:
        return generator.permutation(n)[:size].astype(np.int64)
    classes, members = np.unique(labels, return_inverse=True)
    kept = np.ones(len(classes), bool)
    if 2 * len(classes) > size:
        kept[:] = False
        kept[generator.permutation(len(classes))[: max(1, size // 2)]] = True
    shuffled = generator.permutation(n)
    by_class = shuffled[np.argsort(members[shuffled], kind="stable")]
    counts = np.bincount(members, minlength=len(classes))
    turn = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)  # 0, 1, 2 … within each class
    in_rounds = by_class[np.lexsort((members[by_class], turn))]
    return in_rounds[kept[members[in_rounds]]][:size].astype(np.int64)


def extract(
    spec: ModelSpec,
    weights: Path | None,
    pack: Pack,
    indices: np.ndarray,
    device: str = "cpu",
    batch: int = 64,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """One forward pass over images of a pack: what enters the last classifier, and the source head's output.

    weights  folder of the trained weights, or None (see benchmark.models.load)
    indices  (n,) images of the pack, for instance the union of all draws
    returns  ({"features": (n, d) float32, "logits": (n, z) float32 where the model has a source head}, record)
    In single precision on every device, without TF32, so that features agree across machines (to about 1e-3 of
    their spread). Images are read batch by batch: memory holds a batch and the result. Raises WeightsUnavailable,
    and ValueError for features that are not finite.
    """
    import torch

    from benchmark import models
    from benchmark.finetune import middle_of, normaliser, to_device

    place = torch.device(device)
    module, has_head = models.load(spec, weights)
    module, normalise = to_device(module.eval(), spec, place), normaliser(spec, place)
    parts: list[np.ndarray] = []
    logits: list[np.ndarray] = []
    frame = spec.frame(pack.meta.get("size", spec.input_size))
    start = time.perf_counter()
    exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with torch.inference_mode(), exact:
        for first in range(0, len(indices), batch):
            pixels = torch.from_numpy(pack.stack(indices[first : first + batch], frame)).to(place)
            pixels = middle_of(pixels.permute(0, 3, 1, 2), spec.input_size)
            f, z = models.features_and_logits(module, normalise(pixels))
            parts.append(f.float().cpu().numpy())
            if has_head:
                logits.append(z.float().cpu().numpy())
    seconds = time.perf_counter() - start
    arrays = {"features": np.concatenate(parts)}
    if has_head:
        arrays["logits"] = np.concatenate(logits)
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name} of '{spec.name}' must be finite. Got NaN or infinity. Check its weights.")
    record = {"seconds": seconds, "images_per_second": len(indices) / seconds, "batch": batch}
    return arrays, record | provenance.record(device)
