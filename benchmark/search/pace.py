"""How many threads a training takes: all of them where they are faster than one."""

from __future__ import annotations

import numpy as np


class Pace:
    """Takes all threads for a training where they are faster than one: under load they may be slower by far.

    Told the seconds of every step. The first steps have one thread, the next ones all; they stay as long as they keep
    the better time.
    """

    TIMED = 4

    def __init__(self, threads: int):
        self.threads, self.over = threads, threads == 1
        self.alone: list[float] = []
        self.together: list[float] = []

    def __call__(self, seconds: float | None) -> None:
        import torch

        if self.over or seconds is None:
            return
        if len(self.alone) <= self.TIMED:
            self.alone.append(seconds)
            if len(self.alone) > self.TIMED:
                torch.set_num_threads(self.threads)
            return
        self.together = [*self.together[-self.TIMED :], seconds]
        usual = float(np.median(self.alone[1:]))
        slow = len(self.together) > self.TIMED and float(np.median(self.together[1:])) > usual
        if slow or (len(self.together) > 1 and seconds > 4 * usual):
            torch.set_num_threads(1)
            self.over = True
