"""A finished model is judged on the images kept aside, tested once, calibrated, and kept with what is known of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.files import ordinary
from benchmark.search import calibration, checkpoint
from benchmark.search.job import Job
from benchmark.training import judging

if TYPE_CHECKING:
    from torch import nn

    from benchmark.data.packs import Pack


@dataclass(frozen=True)
class Judges:
    """Images of a pack that a finished model answers for: those of the test, and those kept aside."""

    pack: Pack
    tested: np.ndarray
    aside: np.ndarray

    @property
    def indices(self) -> np.ndarray:
        """The test images, then those kept aside."""
        return np.concatenate([self.tested, self.aside])

    def labels(self, of: np.ndarray) -> np.ndarray:
        return np.asarray(self.pack.labels[of])


def keep(
    job: Job, module: nn.Module, judges: Judges, outputs: np.ndarray, history: Mapping[str, Any]
) -> dict[str, Any]:
    """The model's checkpoint and its test outputs beside it; returns what a result says of them.

    outputs  (n, c) for `judges.indices`
    history  how it was trained, for the checkpoint
    returns  test: accuracies; calibration; judged: accuracy on the images kept aside, percent, None for none of them;
             aside: how many these are; keeping: the seconds that all this took
    """
    from safetensors.numpy import save_file as save_arrays

    start, pack, n = time.monotonic(), judges.pack, len(judges.tested)
    tested, beside = outputs[:n], outputs[n:]
    labels, own = judges.labels(judges.tested), judges.labels(judges.aside)
    enough = len(own) >= calibration.ASIDE_LEAST
    calibrated = asdict(calibration.calibrate(beside, own, tested, labels)) if enough else None
    test = judging.accuracies(tested, labels) | {"images": len(labels)}
    job.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    save_arrays({"outputs": tested, "labels": labels}, job.outputs)
    ordinary(job.outputs)
    known = {"source": job.model.source_name, "weights": job.model.weights, "recipe": job.recipe.identity()}
    about = checkpoint.Checkpoint(
        job.model,
        pack.class_names,
        pack.multilabel,
        pack.meta["size"],
        test,
        {**history, **job.history, **known},
        calibrated,
        pack.meta.get("levels"),
    )
    origin = {name: pack.meta[name] for name in ("name", "licence", "origin")}
    checkpoint.save(module, about, origin, job.checkpoint)
    said = {"judged": judged(beside, own), "aside": len(own), "keeping": time.monotonic() - start}
    return {"test": test, "calibration": calibrated, **said}


def judged(outputs: np.ndarray, labels: np.ndarray) -> float | None:
    """Accuracy on images kept aside, percent; None where there are none, or no label of several occurs in them."""
    if not len(labels) or (labels.ndim == 2 and not labels.any()):
        return None
    return judging.accuracies(outputs, labels)["oracle"]
