"""The picture of a ranking: predicted accuracy with its interval against images a second, the Pareto front joined.

What is computed here is where things stand; templates/accuracy_speed.svg draws them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.ranking.terminal import millions

BEYOND = 20  # points that the picture shows above and below the predictions; longer intervals are cut
MARGINS = {"left": 56, "right": 16, "top": 14, "bottom": 46}
LETTER = 6.6  # width of a letter of a name


@dataclass(frozen=True)
class Dot:
    """A candidate: its place, the ends of its interval, `best` on the Pareto front or `other`, what a pointer says."""

    x: float
    y: float
    low: float
    high: float
    kind: str
    about: str


@dataclass(frozen=True)
class Plot:
    """All that is drawn, in units of the picture; y counts downwards.

    across, up  (place, label) of the grid's lines: images/s, logarithmic, and accuracy in percent
    front       places of the Pareto front, the slowest first
    names       (x, y, name) where a name covers nothing
    """

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    measure: str
    across: Sequence[tuple[float, str]]
    up: Sequence[tuple[float, str]]
    front: Sequence[tuple[float, float]]
    dots: Sequence[Dot]
    names: Sequence[tuple[float, float, str]]


def on_front(speed: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """(n,) whether no other candidate is at least as fast and as good, and better in one of the two."""
    as_good = (speed[None] >= speed[:, None]) & (accuracy[None] >= accuracy[:, None])
    better = (speed[None] > speed[:, None]) | (accuracy[None] > accuracy[:, None])
    return np.logical_not((as_good & better).any(axis=1))


def plot(table: pd.DataFrame, measure: str, width: int = 1000, height: int = 420) -> Plot:
    """Where the candidates of a ranking's table stand in a picture of that size."""
    speed, accuracy = table["images_per_second"].to_numpy(float), table["predicted_accuracy"].to_numpy(float)
    best = on_front(speed, accuracy)
    left, right = MARGINS["left"], width - MARGINS["right"]
    top, bottom = MARGINS["top"], height - MARGINS["bottom"]
    slow, fast = math.floor(np.log10(speed.min()) * 4) / 4 - 0.05, math.ceil(np.log10(speed.max()) * 4) / 4 + 0.05
    floor = max(0.0, table["low"].min() - 2, accuracy.min() - BEYOND)
    roof = min(100.0, table["high"].max() + 2, accuracy.max() + BEYOND)

    def x(value: float) -> float:
        return round(left + (math.log10(value) - slow) / (fast - slow) * (right - left), 1)

    def y(value: float) -> float:
        inside = min(max(value, floor), roof)
        return round(top + (roof - inside) / max(roof - floor, 1e-9) * (bottom - top), 1)

    dots = [
        Dot(x(s), y(a), y(row["low"]), y(row["high"]), "best" if b else "other", _about(row))
        for s, a, b, row in zip(speed, accuracy, best, table.to_dict("records"), strict=True)
    ]
    front, models = [int(i) for i in np.argsort(speed) if best[i]], table["model"].tolist()
    percent = range(0, 101, 10 if roof - floor > 40 else 5)
    return Plot(
        width,
        height,
        left,
        right,
        top,
        bottom,
        measure,
        across=[(x(v), f"{v:g}") for v in _ticks_log(10**slow, 10**fast)],
        up=[(y(v), str(v)) for v in percent if floor <= v <= roof],
        front=[(dots[i].x, dots[i].y) for i in front],
        dots=dots,
        names=_names([(models[i], dots[i]) for i in sorted(front, key=lambda i: -accuracy[i])], dots, right),
    )


def _about(row: dict) -> str:
    said = f"{row['model']}: {row['predicted_accuracy']:.1f} % ({row['low']:.0f} to {row['high']:.0f}), "
    said += f"{row['images_per_second']:.0f} images/s, {millions(row['parameters'])} parameters, {row['licence']}"
    return said


def _names(named: Sequence[tuple[str, Dot]], dots: Sequence[Dot], end: float) -> list[tuple[float, float, str]]:
    """Each name beside its dot where it covers no other name and no dot; it is left out where there is no room."""
    placed: list[tuple[float, float, str]] = []
    for name, dot in named:
        width = LETTER * len(name)
        for x, y in (
            (dot.x + 9, dot.y - 8),
            (dot.x - 9 - width, dot.y - 8),
            (dot.x + 9, dot.y + 18),
            (dot.x - 9 - width, dot.y + 18),
        ):
            if x > MARGINS["left"] + 4 and x + width < end and _is_free(x, y, width, placed, dots):
                placed.append((round(x, 1), round(y, 1), name))
                break
    return placed


def _is_free(x: float, y: float, width: float, placed: Sequence[tuple[float, float, str]], dots: Sequence[Dot]) -> bool:
    names = (x + width < left or x > left + LETTER * len(name) or abs(y - base) > 14 for left, base, name in placed)
    middle = y - 4  # of the letters, which stand on y
    others = (x + width < d.x - 6 or x > d.x + 6 or abs(middle - d.y) > 11 for d in dots)
    return all(names) and all(others)


def _ticks_log(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [m * 10.0**d for d in decades for m in (1, 2, 5) if low <= m * 10.0**d <= high]
