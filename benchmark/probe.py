"""Probe sets: which training images a draw holds, and what a model makes of them.

`draw` needs numpy only; `extract` imports PyTorch when it is called.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark import provenance
from benchmark.plan import DRAW_SEED, DRAW_STEP

if TYPE_CHECKING:
    from torch import Tensor, nn

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
    returns  ({"features": (n, d) float32, "logits": (n, z) float32 where the model has a source head}, record: speed,
             `parameters` without the last classifier, and where it ran)
    In single precision on every device, without TF32, so that features agree across machines (to about 1e-3 of
    their spread). When memory runs out, it is tried once more with half the batch, images read batch by batch. Raises
    WeightsUnavailable, TrainingFailed when memory runs out again, and ValueError for features that are not finite.
    """
    import torch

    from benchmark import models
    from benchmark.finetune import to_device, twice_for_memory

    place = torch.device(device)
    frame = spec.frame(pack.meta.get("size", spec.input_size))

    def attempt(parts: int) -> tuple[dict[str, np.ndarray], float, int]:
        module, has_head = models.load(spec, weights)
        module = to_device(module.eval(), spec, place)
        start = time.perf_counter()
        if parts == 1:
            images = _images(pack, np.asarray(indices, np.int64).tobytes(), frame)
            batches = torch.from_numpy(images).to(place).split(batch)
        else:
            at_once = max(1, batch // parts)
            cuts = (indices[first : first + at_once] for first in range(0, len(indices), at_once))
            batches = (torch.from_numpy(pack.stack(cut, frame)) for cut in cuts)
        features, logits = forward(module, spec, batches)
        arrays = {"features": features} | ({"logits": logits} if has_head else {})
        return arrays, time.perf_counter() - start, models.body_parameters(module)

    (arrays, seconds, parameters), retried = twice_for_memory(attempt)
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name} of '{spec.name}' must be finite. Got NaN or infinity. Check its weights.")
    record = {
        "seconds": seconds,
        "images_per_second": len(indices) / seconds,
        "batch": batch // 2 if retried else batch,
        "retried": retried,
        "note": "out of memory once; batches in two parts" if retried else "",
        "parameters": parameters,
    }
    return arrays, record | provenance.record(device)


@lru_cache(maxsize=1)
def _images(pack: Pack, indices: bytes, size: int) -> np.ndarray:
    """Images of a pack at one size, kept for the next model: a worker takes a target's models one after another."""
    return pack.stack(np.frombuffer(indices, np.int64), size)


def forward(module: nn.Module, spec: ModelSpec, batches: Iterable[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d) and outputs (n, z), float32, of a module in evaluation mode for batches (b, s, s, 3) uint8.

    The batches may lie on the host; the results come from the device when all is done.
    """
    import torch

    from benchmark.finetune import middle_of, normaliser
    from benchmark.models import features_and_logits

    place = next(module.parameters()).device
    normalise = normaliser(spec, place)
    exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    found = []
    with torch.inference_mode(), exact:
        for batch in batches:
            pixels = batch.to(place, non_blocking=True).permute(0, 3, 1, 2)
            found.append(features_and_logits(module, normalise(middle_of(pixels, spec.input_size))))
        features, logits = (torch.cat(parts).float().cpu().numpy() for parts in zip(*found, strict=True))
    return features, logits
