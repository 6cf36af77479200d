"""What a search leaves: a trained model, its files in a folder of their own and in the output, a log of its course."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from benchmark.files import record

LOGS = ("log.txt", "log.jsonl")
MODEL, TABLE, PICTURE, RELIABILITY = "model.safetensors", "confusion.csv", "confusion.png", "reliability.png"
FILES = (MODEL, TABLE, PICTURE, RELIABILITY)
"""What there is of a finished model."""
PRODUCTS = (*FILES, *LOGS)
"""What a search leaves in its folder, and shows in `out`."""


@dataclass(frozen=True)
class Result:
    """What a search ends with; accuracies in percent (multi-label: mean average precision), times in seconds.

    rate       None for a head only
    optimiser  None for the recipe's
    tried      a row a candidate that was tried, the head among them: what it was, its accuracy on how many images that
               it was not trained on (None: it failed, or was not judged)
    """

    model: str
    rate: float | None
    test_accuracy: float
    measure: str
    validation_accuracy: float | None
    epochs: float
    steps: int
    seconds: float
    budget_seconds: float
    checkpoint: Path
    confusion_matrix: Path
    confusion_picture: Path
    log: Path
    notes: tuple[str, ...]
    calibration: Mapping[str, Any] | None = None
    reliability_picture: Path | None = None
    optimiser: str | None = None
    head_only: bool = False
    tried: tuple[Mapping[str, Any], ...] = ()


def show(folder: Path, out: Path, names: Sequence[str] = PRODUCTS) -> None:
    """Files of a search's folder in `out`, in place of another search's: hard links, copies where there are none."""
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        part = out / f".{name}.{os.getpid()}"
        part.unlink(missing_ok=True)
        try:
            os.link(folder / name, part)
        except OSError:
            shutil.copy2(folder / name, part)
        part.replace(out / name)
        part.unlink(missing_ok=True)  # it stays where both are the same file already


def finished(folder: Path, out: Path) -> Result | None:
    """The result of an earlier search, where all its files are in its folder still; they are put into `out` again."""
    if not all((folder / name).exists() for name in ("result.json", *PRODUCTS)):
        return None
    facts = record(folder / "result.json", *(field.name for field in fields(Result)))
    show(folder, out)
    kept = ("checkpoint", "confusion_matrix", "confusion_picture", "reliability_picture", "log")
    paths = {k: out / Path(facts[k]).name for k in kept}
    return Result(**facts | paths | {k: tuple(facts[k]) for k in ("notes", "tried")})


class Log:
    """Events of a search: a line of text and a line of JSON each, with the seconds used; to the terminal as well."""

    def __init__(self, folder: Path, used: Callable[[], float], anew: bool):
        (self.text, self.lines), self.used = (folder / name for name in LOGS), used
        for file in (self.text, self.lines):
            file.open("w" if anew else "a", encoding="utf-8").close()

    def __call__(self, event: str, text: str, **facts: Any) -> None:
        seconds = self.used()
        line = f"[{seconds:7.1f} s] {text}"
        print(line, file=sys.stderr, flush=True)
        with self.text.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        with self.lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at": round(seconds, 2), "event": event, "text": text} | facts) + "\n")
