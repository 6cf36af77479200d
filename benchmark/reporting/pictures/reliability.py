"""A reliability diagram: how often what is claimed with a probability is so."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmark.files import put
from benchmark.reporting.pictures.title import put_title

Curve = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of each bin: the mean probability, the share that was so, how many claims."""


def write(curves: Mapping[str, Curve], picture: Path, title: str) -> None:
    """A PNG of curves by name against the diagonal; the area of a dot is the number of claims."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for (name, (mean, share, counts)), colour in zip(curves.items(), ("tab:orange", "tab:blue"), strict=False):
        axes.plot(mean, share, color=colour, label=name)
        axes.scatter(mean, share, s=10 + 190 * counts / counts.sum(), color=colour, alpha=0.6)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability that the model gives", ylabel="share that is so")
    put_title(figure, title)
    axes.legend(loc="upper left", fontsize=8)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    put(picture, drawn.getvalue())
