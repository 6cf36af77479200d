"""A campaign of torture: the undisturbed run, the rounds of each part, and what was counted and found."""

from __future__ import annotations

import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.errors import ConfigError
from tests import running


@dataclass
class Campaign:
    """The undisturbed run, and what has been counted and found since."""

    folder: Path
    seed: int
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    """Of the machine, when the campaign began."""
    seconds: float = 0.0
    values: dict[str, bytes] = field(default_factory=dict)
    tables: dict[str, bytes] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Run the experiment once with nothing in its way."""
        start, done = time.monotonic(), running.run(self.folder / "undisturbed")
        if done.returncode:
            raise ConfigError(
                f"the tiny experiment must run undisturbed. Got exit code {done.returncode}: {done.stderr}"
            )
        self.seconds = time.monotonic() - start
        self.values = running.values(self.folder / "undisturbed")
        self.tables = running.tables(self.folder / "undisturbed")

    def rounds(self, part: str, do: Callable[[Campaign, str, random.Random], None], seconds: float) -> None:
        """Rounds of one part until its time is over, one at least; each has a generator of its own."""
        end, number = time.monotonic() + seconds, 0
        while not number or time.monotonic() < end:
            name = f"{part} {number}"
            try:
                do(self, name, random.Random(f"{self.seed} {name}"))
            except Exception as error:  # a fault in the harness or in this script: the other rounds go on
                self.fault(name, "".join(traceback.format_exception(error)))
            number += 1
            self.counts[f"rounds of {part}"] += 1

    def fault(self, name: str, what: str) -> None:
        self.faults.append(f"{name}: {what}")
        print(f"FAULT in {name}: {what}", file=sys.stderr, flush=True)

    def expect(self, name: str, holds: bool, what: str) -> bool:
        if not holds:
            self.fault(name, what)
        return holds

    def ended_well(self, name: str, folder: Path) -> None:
        """A last run over what is there: it ends, and every value is the undisturbed run's."""
        done = running.run(folder)
        self.expect(name, done.returncode == 0, f"the last run ended with {done.returncode}: {done.stderr[-2000:]}")
        self.compared(name, folder)

    def compared(self, name: str, folder: Path) -> None:
        self.expect(name, running.values(folder) == self.values, "values differ from the undisturbed run's")
        self.expect(name, running.tables(folder) == self.tables, "tables differ from the undisturbed run's")
        self.expect(name, not list((folder / "cache").glob("unfinished/*")), "something unfinished is left")
