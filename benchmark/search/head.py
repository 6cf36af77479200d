"""The head only: a network as it is with a logistic head on its frozen features, a whole model within seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark import provenance
from benchmark.cells.contents import arrays_of
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

    from benchmark.config.model import ModelSpec
    from benchmark.data.packs import Pack

BATCH = 64
LEAST = 512
"""Training images whose features are taken though that takes longer than `job.seconds`: as many as a probe has."""
CHECKED = 16
"""Images on which the network with its head is timed and compared with the head alone."""
LATEST = 0.3
"""Share of the time until the end after which no further features are taken, on a machine that is too slow for that."""
AGREES = 0.05
"""Share of the outputs' size by which the network with its head may differ from the head alone: half precision does."""


def head(job: Job, device: torch.device, parts: int = 1) -> dict[str, Any]:
    """Fit a logistic head to features of the training images, of as many as `job.seconds` allow; test and keep it.

    Features that the model's probe holds are taken from there, and count for no time.
    """
    start, pack = time.monotonic(), packs.load(job.pack)
    trained, kept = aside(pack, job.recipe.validation, job.calibrate)
    judges = Judges(pack, pack.indices("test"), kept)
    module = trainee(job, pack.n_classes, device).eval()
    extract = _Features(module, job, pack, BATCH // parts)
    loaded = time.monotonic()
    used, x = _training(extract, job, trained)
    extracted = time.monotonic()
    last = linear.chosen(x, np.asarray(pack.labels[used]), pack.groups_of(used), pack.n_classes, job.recipe.validation)
    _put(module, last)
    fitted = time.monotonic()
    outputs = last.outputs(np.concatenate([extract(cut) for cut in extract.cuts(judges.indices)]))
    image = _checked(module, job, pack, judges.indices[:CHECKED], outputs[:CHECKED])
    history = {"head_only": True, "penalty": last.penalty, "images": len(used)} | provenance.record(str(device))
    return {
        "status": "done",
        **keep(job, module, judges, outputs, history),
        "images": len(used),
        "penalty": last.penalty,
        "steps": 0,
        "epochs": 0.0,
        "start": loaded - start,
        "image": image,
        "extracting": extracted - loaded,
        "fitting": fitted - extracted,
        "seconds": time.monotonic() - start,
    }


class _Features:
    """Features (n, d) of images of a pack: those that the model's probe holds, others by the network for inference."""

    def __init__(self, module: nn.Module, job: Job, pack: Pack, batch: int):
        self.forward, self.spec, self.pack, self.batch = features.forward, job.model, pack, batch
        self.ids, self.known = _probed(job)
        self.swift = features.swift(
            module, job.model, _pixels(pack, job.model, pack.indices("train")[: features.EXAMPLES])
        )

    def __call__(self, indices: np.ndarray) -> np.ndarray:
        there = np.isin(indices, self.ids)
        known = self.known[np.searchsorted(self.ids, indices[there])]
        if there.all():
            return known
        new = self.forward(self.swift, self.spec, [_pixels(self.pack, self.spec, indices[~there])])[0]
        found = np.empty((len(indices), new.shape[1]), new.dtype)
        found[~there] = new
        if len(known):
            found[there] = known
        return found

    def cuts(self, indices: np.ndarray) -> Iterator[np.ndarray]:
        for first in range(0, len(indices), self.batch):
            yield indices[first : first + self.batch]


def _training(extract: _Features, job: Job, trained: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Training images (n,) and their features (n, d): those of the probe, then as many others as time allows."""
    begun, seen, found = time.monotonic(), 0, []
    used = trained[np.random.Generator(np.random.PCG64(seed_of("head", "order"))).permutation(len(trained))]
    used = used[np.argsort(~np.isin(used, extract.ids), kind="stable")]
    for cut in extract.cuts(used):
        gone = time.monotonic() - begun
        if seen and (gone > LATEST * (job.until - begun) or (seen >= LEAST and gone > job.seconds)):
            break
        found.append(extract(cut))
        seen += len(cut)
    return used[:seen], np.concatenate(found)


def _probed(job: Job) -> tuple[np.ndarray, np.ndarray]:
    """Images (n,), ascending, and their features (n, d), of the model's probe; none without one."""
    if job.probed is None:
        return np.empty(0, np.int64), np.empty((0, 0), np.float32)
    arrays = arrays_of(job.probed)
    return arrays["image_ids"], arrays["features"]


def _checked(module: nn.Module, job: Job, pack: Pack, few: np.ndarray, outputs: np.ndarray) -> float:
    """Seconds an image that the network with its head takes; TrainingFailed where it says otherwise than the head."""
    from benchmark.training.loop import TrainingFailed

    batches = _pixels(pack, job.model, few).split(max(1, len(few) // 2))
    parts = [features.forward(module, job.model, [batches[0]])[1]]  # the first call also prepares what later ones use
    start = time.monotonic()
    parts += [features.forward(module, job.model, [batch])[1] for batch in batches[1:]]
    seconds = (time.monotonic() - start) / max(1, len(few) - len(batches[0]))
    said = np.concatenate(parts)
    if float(np.abs(said - outputs).max()) > AGREES * max(1.0, float(np.abs(said).max())):
        raise TrainingFailed("its last layer is no linear map of its features, so that no head can be put in its place")
    return seconds


def _pixels(pack: Pack, model: ModelSpec, indices: np.ndarray) -> torch.Tensor:
    import torch

    return torch.from_numpy(pack.stack(indices, model.frame(pack.meta.get("size", model.input_size))))


def _put(module: nn.Module, last: linear.Head) -> None:
    """The head in the place of the network's last layer; of several, which are averaged, in the place of each."""
    import torch

    with torch.no_grad():
        for part in classifiers.heads(module):
            weight = part.get_parameter("weight")
            weight.copy_(torch.from_numpy(last.weights).reshape(weight.shape))
            part.get_parameter("bias").copy_(torch.from_numpy(last.offsets))
