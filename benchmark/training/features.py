"""Features of a probe: what a model makes of the images of each draw. PyTorch is imported when it is called."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark import provenance
from benchmark.models import classifiers, loading
from benchmark.models.classifiers import features_and_logits
from benchmark.models.folding import folded

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from benchmark.config.model import ModelSpec
    from benchmark.data.packs import Pack

EXAMPLES = 4
"""Images on which a network is compared with what is folded of it."""


def extract(
    spec: ModelSpec,
    weights: Path | None,
    pack: Pack,
    indices: np.ndarray,
    device: str = "cpu",
    batch: int = 64,
    fold: bool = False,
) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """One forward pass over images of a pack: what enters the last classifier, and the source head's output.

    weights  folder of the trained weights, or None (see benchmark.models.loading.load)
    batch    images of a forward pass; fewer of large ones on a processor (see benchmark.training.views.at_once)
    fold     whether normalisations are folded into convolutions first (benchmark.models.folding)
    indices  (n,) images of the pack, for instance the union of all draws
    returns  ({"features": (n, d) float32, "logits": (n, z) float32 where the model has a source head}, record: speed,
             `parameters` without the last classifier, and where it ran)
    In single precision on every device, without TF32, so that features agree across machines (to about 1e-3 of
    their spread). When memory runs out, it is tried once more with half the batch, images read batch by batch. Raises
    WeightsUnavailable, TrainingFailed when memory runs out again, and ValueError for features that are not finite.
    """
    import torch

    from benchmark.training.loop import twice_for_memory
    from benchmark.training.views import at_once, to_device

    place = torch.device(device)
    batch = at_once(batch, spec.input_size, place)
    frame = spec.frame(pack.meta.get("size", spec.input_size))
    # the processor's time of this thread where it does all of the work: other programs do not make a model slower
    alone = place.type == "cpu" and torch.get_num_threads() == 1
    clock = time.thread_time if alone else time.perf_counter

    def attempt(parts: int) -> tuple[dict[str, np.ndarray], float, int]:
        module, has_head = loading.load(spec, weights)
        module = to_device(module.eval(), spec, place)
        whole = swift(module, spec, torch.from_numpy(pack.stack(indices[:EXAMPLES], frame))) if fold else module
        if parts == 1:
            images = _images(pack, np.asarray(indices, np.int64).tobytes(), frame)
            start = clock()
            batches = torch.from_numpy(images).to(place).split(batch)
        else:
            start = clock()
            few = max(1, batch // parts)
            cuts = (indices[first : first + few] for first in range(0, len(indices), few))
            batches = (torch.from_numpy(pack.stack(cut, frame)) for cut in cuts)
        features, logits = forward(whole, spec, batches)
        arrays = {"features": features} | ({"logits": logits} if has_head else {})
        return arrays, clock() - start, classifiers.body_parameters(module)

    (arrays, seconds, parameters), retried = twice_for_memory(attempt)
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name} of '{spec.name}' must be finite. Got NaN or infinity. Check its weights.")
    record = {
        "seconds": seconds,
        "images_per_second": len(indices) / seconds,
        "clock": "processor" if alone else "wall",
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


def swift(module: nn.Module, spec: ModelSpec, images: Tensor) -> nn.Module:
    """The network for `forward` alone, folded where it then says the same of some images (b, s, s, 3) uint8."""
    from benchmark.training.views import middle_of, normaliser

    place = next(module.parameters()).device
    pixels = images.to(place).permute(0, 3, 1, 2)
    with _exact():
        return folded(module, normaliser(spec, place)(middle_of(pixels, spec.input_size)))


def _exact() -> AbstractContextManager[None]:
    """Convolutions in full single precision, by the same algorithm every time."""
    import torch

    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


def forward(module: nn.Module, spec: ModelSpec, batches: Iterable[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d) and outputs (n, z), float32, of a module in evaluation mode for batches (b, s, s, 3) uint8.

    The batches may lie on the host; the results come from the device when all is done.
    """
    import torch

    from benchmark.training.views import middle_of, normaliser

    place = next(module.parameters()).device
    normalise = normaliser(spec, place)
    found = []
    with torch.inference_mode(), _exact():
        for batch in batches:
            pixels = batch.to(place, non_blocking=True).permute(0, 3, 1, 2)
            found.append(features_and_logits(module, normalise(middle_of(pixels, spec.input_size))))
        features, logits = (torch.cat(parts).float().cpu().numpy() for parts in zip(*found, strict=True))
    return features, logits
