"""Score against accuracy, a panel per target and a point per model, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.reporting.pictures.colours import palette
from benchmark.reporting.pictures.png import MARKS, VERSION, digest_of, save, shows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Shown:
    """What a picture shows.

    scores    (t, m) mean score over draws, truth (t, m) accuracy in percent; NaN leaves a point out
    groups    (m,) what colours a model, usually its architecture
    captions  (t,) a line under each panel's name
    """

    title: str
    targets: Sequence[str]
    scores: np.ndarray
    truth: np.ndarray
    groups: Sequence[str]
    captions: Sequence[str]

    @property
    def digest(self) -> str:
        numbers = [self.scores.round(9).tolist(), self.truth.round(9).tolist()]
        return digest_of([VERSION, self.title, *self.targets, *self.groups, *self.captions, *numbers])


def draw(path: Path, shown: Shown) -> bool:
    """Write the picture unless the file there shows the same numbers already; returns whether it was drawn.

    The picture holds a digest of what it shows and neither date nor version: the same numbers, the same bytes.
    """
    if shows(path, shown.digest):
        return False
    save(_figure(shown), path, shown.digest)
    return True


def _figure(shown: Shown) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    targets = shown.targets
    columns = min(4, max(1, len(targets)))
    rows = -(-len(targets) // columns)
    names = sorted(set(shown.groups))
    per_line = 1 + columns
    legend = 0.1 + 0.2 * -(-len(names) // per_line)  # inches; margins by hand, as the layout engine takes longer
    width, height = 0.7 + 3 * columns, 0.9 + 2.75 * rows + legend
    figure = Figure(figsize=(width, height), dpi=110)
    FigureCanvasAgg(figure)
    sides = {"left": 0.65 / width, "right": 1 - 0.15 / width}
    ends = {"bottom": (legend + 0.5) / height, "top": 1 - 0.75 / height}
    figure.subplots_adjust(**sides, **ends, wspace=0.22, hspace=0.42)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for t, panel in enumerate(panels):
        if t >= len(targets):
            panel.axis("off")
            continue
        _points(panel, shown.scores[t], shown.truth[t], shown.groups)
        panel.set_title(f"{targets[t]}\n{shown.captions[t]}", fontsize=9)
        if t % columns == 0:
            panel.set_ylabel("accuracy (%)", fontsize=9)
        if t + columns >= len(targets):
            panel.set_xlabel("score", fontsize=9)
    figure.suptitle(shown.title, fontsize=11, y=1 - 0.12 / height, va="top")
    marks, labels = panels[0].get_legend_handles_labels()
    figure.legend(marks, labels, loc="lower center", ncols=min(len(names), per_line), fontsize=8, frameon=False)
    return figure


def _points(panel: Axes, scores: np.ndarray, truth: np.ndarray, groups: Sequence[str]) -> None:
    """One target's models, a colour and a mark a group."""
    names = sorted(set(groups))
    for name, colour, mark in zip(names, palette(len(names)), cycle(MARKS)):
        member = np.array([g == name for g in groups])
        x, y = scores[member], truth[member]
        panel.scatter(x, y, s=24, alpha=0.85, linewidths=0, label=name, color=colour, marker=mark)
    panel.tick_params(labelsize=8)
    panel.locator_params(nbins=5)
    panel.grid(alpha=0.25, linewidth=0.6)
