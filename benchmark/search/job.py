"""One piece of a search: what to do with a model, until when, and where its result goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.config.model import ModelSpec
from benchmark.config.recipe import RecipeSpec
from benchmark.files import put_record


@dataclass(frozen=True)
class Job:
    """A model at a rate, and what to do with it.

    kind     "head" (a logistic head on frozen features), "compete" (a trial on a part of the training images) or
             "finish" (the final training, then the test)
    seconds  of a trial, or of a head's features of training images; a final ends so that its test is over at `until`
    until    when to stop at the latest, in seconds of time.monotonic
    result   the file for what it found
    probed   of a head, the folder of the model's probe, which holds features of training images
    begin    weights to go on from, as a trial left them; None: the pretrained ones
    threads  at most so many; what is faster is found out
    keep     the checkpoint of a finished model, its test outputs beside it; `history`: what its provenance holds
    calibrate  whether images are kept aside on which probabilities are calibrated
    """

    kind: str
    model: ModelSpec
    weights: Path | None
    pack: Path
    recipe: RecipeSpec
    rate: float
    until: float
    result: Path
    seconds: float = 0.0
    probed: Path | None = None
    begin: Path | None = None
    threads: int = 1
    keep: Path | None = None
    history: Mapping[str, Any] = field(default_factory=dict)
    calibrate: bool = True

    @property
    def checkpoint(self) -> Path:
        """Where the finished model goes."""
        if self.keep is None:
            raise ValueError(f"keep must say where the finished model goes. Got none for {self.model.name}. Give it.")
        return self.keep

    @property
    def outputs(self) -> Path:
        """The finished model's outputs for the test images, with their labels."""
        return self.checkpoint.with_name("outputs.safetensors")

    @property
    def snapshot(self) -> Path:
        """Weights as a trial leaves them, or a final training from time to time."""
        return self.result.with_name(f"{self.result.stem}-snapshot.safetensors")

    def due(self, now: float) -> bool:
        """Whether it may start: its time is not over, or a killed final training left what can be tested still."""
        return now < self.until or (self.kind == "finish" and self.snapshot.exists())


def write(file: Path, facts: Mapping[str, Any]) -> None:
    """A record of a search, there whole or not at all; `benchmark.files.record` reads it."""
    put_record(file, facts)
