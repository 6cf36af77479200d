"""What there is to see of a finished model: its confusion matrix and its reliability diagram, beside its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmark.reporting.pictures import confusion, reliability
from benchmark.search import calibration
from benchmark.search.job import Job
from benchmark.search.prediction import probabilities
from benchmark.search.result import PICTURE, RELIABILITY, TABLE
from benchmark.search.session import Subject

if TYPE_CHECKING:
    import numpy as np


def measure(subject: Subject) -> str:
    """What accuracies are."""
    return "map" if subject.multilabel else "accuracy"


def draw(subject: Subject, job: Job, facts: Mapping[str, Any]) -> None:
    """The table and the pictures of a finished job, into its folder."""
    from safetensors.numpy import load_file

    arrays, folder = load_file(job.outputs), job.checkpoint.parent
    title = f"{subject.name}: {job.model.name}, {facts['test']['oracle']:.1f}\N{NO-BREAK SPACE}% ({measure(subject)})"
    counts = confusion.count(arrays["outputs"], arrays["labels"])
    confusion.write(counts, subject.class_names, subject.multilabel, folder / TABLE, folder / PICTURE, title)
    title = f"{subject.name}: {job.model.name}, {len(arrays['labels'])} test images"
    curves = _curves(subject, arrays["outputs"], arrays["labels"], facts.get("calibration"))
    reliability.write(curves, folder / RELIABILITY, title)


def _curves(
    subject: Subject, outputs: np.ndarray, labels: np.ndarray, calibrated: Mapping[str, Any] | None
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of the test images, without the temperature and with it."""
    curves = {}
    for name, by in {"as trained": 1.0, "calibrated": (calibrated or {}).get("temperature", 1.0)}.items():
        shares = probabilities(outputs / by, subject.multilabel)
        error = 100 * calibration.expected_error(shares, labels)
        curves[f"{name}: expected error {error:.1f} %"] = calibration.reliability(shares, labels)
    return curves
