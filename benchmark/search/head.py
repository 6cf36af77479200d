"""The head only: a network as it is with a logistic head on its frozen features, a whole model within seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark import provenance
from benchmark.data import packs
from benchmark.models import classifiers
from benchmark.provenance import seed_of
from benchmark.search import linear
from benchmark.search.division import aside
from benchmark.search.job import Job
from benchmark.search.keeping import Judges, keep
from benchmark.search.trainee import trainee
from benchmark.training import features

if TYPE_CHECKING:
    import torch
    from torch import nn

    from benchmark.data.packs import Pack

BATCH = 64
LEAST = 512
"""Training images whose features are taken though that takes longer than `job.seconds`: as many as a probe has."""
LATEST = 0.3
"""Share of the time until the end after which no further features are taken, on a machine that is too slow for that."""
AGREES = 0.05
"""Share of the outputs' size by which the network with its head may differ from the head alone: half precision does."""


def head(job: Job, device: torch.device, parts: int = 1) -> dict[str, Any]:
    """Fit a logistic head to features of the training images, of as many as `job.seconds` allow; test and keep it."""
    from benchmark.training.loop import TrainingFailed

    start, pack = time.monotonic(), packs.load(job.pack)
    trained, kept = aside(pack, job.recipe.validation, job.calibrate)
    judges = Judges(pack, pack.indices("test"), kept)
    module = trainee(job, pack.n_classes, device).eval()
    loaded = time.monotonic()
    order = np.random.Generator(np.random.PCG64(seed_of("head", "order"))).permutation(len(trained))
    used, seen = trained[order], 0
    found = []
    for cut in _cuts(used, BATCH // parts):
        gone = time.monotonic() - loaded
        if seen and (gone > LATEST * (job.until - loaded) or (seen >= LEAST and gone > job.seconds)):
            break
        found.append(_features(module, job, pack, cut))
        seen += len(cut)
    used, x = used[:seen], np.concatenate(found)
    image = (time.monotonic() - loaded) / seen
    groups = pack.groups_of(used)
    last = linear.chosen(x, np.asarray(pack.labels[used]), groups, pack.n_classes, job.recipe.validation)
    _put(module, last)
    fitted = time.monotonic()
    answered = np.concatenate([_features(module, job, pack, cut) for cut in _cuts(judges.indices, BATCH // parts)])
    outputs = last.outputs(answered)
    few = judges.indices[:8]
    frame = job.model.frame(pack.meta.get("size", job.model.input_size))
    _, said = features.forward(module, job.model, [_pixels(pack, few, frame)])
    if float(np.abs(said - outputs[: len(few)]).max()) > AGREES * max(1.0, float(np.abs(said).max())):
        raise TrainingFailed("its last layer is no linear map of its features, so that no head can be put in its place")
    history = {"head_only": True, "penalty": last.penalty, "images": seen} | provenance.record(str(device))
    return {
        "status": "done",
        **keep(job, module, judges, outputs, history),
        "images": seen,
        "penalty": last.penalty,
        "steps": 0,
        "epochs": 0.0,
        "start": loaded - start,
        "image": image,
        "fitting": fitted - loaded - image * seen,
        "seconds": time.monotonic() - start,
    }


def _cuts(indices: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for first in range(0, len(indices), size):
        yield indices[first : first + size]


def _pixels(pack: Pack, indices: np.ndarray, frame: int) -> torch.Tensor:
    import torch

    return torch.from_numpy(pack.stack(indices, frame))


def _features(module: nn.Module, job: Job, pack: Pack, indices: np.ndarray) -> np.ndarray:
    frame = job.model.frame(pack.meta.get("size", job.model.input_size))
    return features.forward(module, job.model, [_pixels(pack, indices, frame)])[0]


def _put(module: nn.Module, last: linear.Head) -> None:
    """The head in the place of the network's last layer; of several, which are averaged, in the place of each."""
    import torch

    with torch.no_grad():
        for part in classifiers.heads(module):
            weight = part.get_parameter("weight")
            weight.copy_(torch.from_numpy(last.weights).reshape(weight.shape))
            part.get_parameter("bias").copy_(torch.from_numpy(last.offsets))
