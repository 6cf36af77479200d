"""The trained model that a search ended with, as a ranking's page and file show it."""

from __future__ import annotations

import base64
import csv
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHOWN = 5  # kinds of mistakes that are named


@dataclass(frozen=True)
class Mistakes:
    """How often images of a class were taken for another; with several labels: missed, or named wrongly."""

    true: str
    predicted: str
    count: int


@dataclass(frozen=True)
class Trained:
    """A trained model: how good it is, what it confuses, how to use it.

    calibration    temperature, threshold and expected errors, as the checkpoint holds them; None where it has none
    test_accuracy  percent of `tested` images that chose nothing; `low` to `high` a 95 % interval (Wilson), None for
                   mean average precision
    use, code      a command, and lines of Python without this project
    head_only      whether it is the pretrained network with a logistic head on its frozen features
    tried          a sentence a candidate of the search: what it was and what it reached on images left out
    """

    model: str
    measure: str
    test_accuracy: float
    low: float | None
    high: float | None
    tested: int
    seconds: float
    checkpoint: str
    confusion_matrix: str
    confusion_picture: str
    reliability_picture: str
    log: str
    calibration: Mapping[str, Any] | None
    mistakes: Sequence[Mistakes]
    use: str
    code: str
    commercial_use: str
    notes: Sequence[str]
    head_only: bool = False
    tried: Sequence[str] = ()
    energy: str = ""  # and CO₂, in words; empty where nothing measured it

    @property
    def how(self) -> str:
        """How it was trained, in two words."""
        return "head only" if self.head_only else "fine-tuned"

    @property
    def sentence(self) -> str:
        """`accuracy 91.2 % (86.3 to 94.5) on 178 test images`."""
        between = "" if self.low is None else f" (95 % interval {self.low:.1f} to {self.high:.1f})"
        return f"{self.measure} {self.test_accuracy:.1f} %{between} on {self.tested} test images"

    @property
    def calibrated(self) -> str:
        """What the probabilities are worth, and from where on the model says nothing."""
        if not (found := self.calibration):
            return "Its probabilities are not calibrated."
        low = found["threshold"]
        never = "" if low is None else f" Below a probability of {low:.2f} it says none of these."
        return (
            f"Its probabilities are calibrated on {found['images']} images that were kept aside: the expected "
            f"calibration error on the test images is {found['error_after']:.1f} %, and was "
            f"{found['error_before']:.1f} %.{never}"
        )

    @property
    def picture(self) -> str:
        """The picture of the confusion matrix as base64 of a PNG file."""
        return base64.b64encode(Path(self.confusion_picture).read_bytes()).decode()

    @property
    def diagram(self) -> str:
        """The reliability diagram, likewise."""
        return base64.b64encode(Path(self.reliability_picture).read_bytes()).decode()


def interval(accuracy: float, n: int) -> tuple[float, float]:
    """A 95 % interval of an accuracy in percent on n images (Wilson 1927)."""
    from scipy.stats import binomtest

    found = binomtest(round(accuracy / 100 * n), n).proportion_ci(method="wilson")
    return 100 * float(found.low), 100 * float(found.high)


def mistakes(confusion_matrix: Path) -> list[Mistakes]:
    """The most frequent mistakes of a table of counts: a row a true class, or a label and its outcomes."""
    with confusion_matrix.open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    if head[0] == "label":
        found = [Mistakes(r[0], said, int(r[k])) for r in rows for k, said in ((2, "named wrongly"), (3, "missed"))]
    else:
        names = head[1:]
        found = [
            Mistakes(row[0], names[k], int(count))
            for i, row in enumerate(rows)
            for k, count in enumerate(row[1:])
            if k != i
        ]
    return sorted((m for m in found if m.count), key=lambda m: -m.count)[:SHOWN]


def use(checkpoint: Path, trust: str | None = None) -> str:
    """The command that predicts with a checkpoint; trust: the network of the user's own that it names."""
    named = [f"trust={trust}"] if trust else []
    return shlex.join(["python", "-m", "benchmark.predict", f"model={checkpoint}", *named, "photo.jpg"])
