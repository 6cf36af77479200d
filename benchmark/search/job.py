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

    kind     "measure", "compete" (on a part of the training images) or "finish" (on all of them, then the test)
    steps    of a competing trial; at most, where the clock ends it: a trial after `seconds`, a final so that its test
             is over at `until`
    rung     jobs of one rung judge each other by their curves
    until    when to stop at the latest, in seconds of time.monotonic
    result   the file for what it found; the test outputs of a finished model lie beside it
    threads  at most so many; what is faster is found out
    keep     the checkpoint of a finished model, and `history`, which its provenance holds
    calibrate  whether a final training keeps images aside on which its probabilities are calibrated
    """

    kind: str
    model: ModelSpec
    weights: Path | None
    pack: Path
    recipe: RecipeSpec
    rate: float
    steps: int
    until: float
    result: Path
    rung: int = 0
    threads: int = 1
    seconds: float | None = None
    keep: Path | None = None
    history: Mapping[str, Any] = field(default_factory=dict)
    calibrate: bool = True

    @property
    def checkpoint(self) -> Path:
        """Where the finished model goes."""
        if self.keep is None:
            raise ValueError(f"keep must say where the finished model goes. Got none for {self.model.name}. Give it.")
        return self.keep

    def due(self, now: float) -> bool:
        """Whether it may start: its time is not over, or a killed final training left what can be tested still."""
        return now < self.until or (self.kind == "finish" and self.snapshot.exists())

    @property
    def snapshot(self) -> Path:
        return self.result.with_name(f"{self.result.stem}-snapshot.safetensors")

    @property
    def outputs(self) -> Path:
        return self.result.with_name("outputs.safetensors")


def write(file: Path, facts: Mapping[str, Any]) -> None:
    """A record of a search, there whole or not at all; `benchmark.files.record` reads it."""
    put_record(file, facts)
