"""The paper's figures of lines and of times, as PNG."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.reporting.pictures.colours import palette
from benchmark.reporting.pictures.png import MARKS, digest_of, save, shows


def line_picture(path: Path, table: pd.DataFrame, title: str, label: str) -> None:

    data = [
        [name, *part[["x", "ours", "paper"]].to_numpy(float).round(6).tolist()]
        for name, part in table.groupby("series")
    ]
    digest = digest_of([2, title, label, data])
    if shows(path, digest):
        return
    figure, axis = _axes(7.5, 4.6, title)
    colours = palette(table["series"].nunique())
    for i, (name, part) in enumerate(table.groupby("series", sort=False)):
        part = part.sort_values("x")
        colour = colours[i]
        known = part.dropna(subset="ours")
        axis.plot(known["x"], known["ours"], "o-", color=colour, label=name, markersize=5)
        axis.plot(part["x"], part["paper"], "o--", color=colour, markerfacecolor="white", alpha=0.6, markersize=5)
    axis.set_xscale("log", base=2)
    ticks = sorted(table["x"].unique())
    axis.set_xticks(ticks, [f"{x:g}" for x in ticks])
    axis.set_xlabel(label)
    axis.set_ylabel("Mean PC")
    axis.legend(
        fontsize=8,
        frameon=False,
        title="dashed, hollow: the paper",
        title_fontsize=8,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
    )
    save(figure, path, digest)


def times_picture(path: Path, points: pd.DataFrame) -> None:

    numbers = points.drop(columns="series").to_numpy(float).round(6).tolist()
    digest = digest_of([3, points["series"].tolist(), numbers])
    if shows(path, digest):
        return
    figure, axis = _axes(8.5, 5.2, "Time against correlation (filled: this project; hollow: the paper)")
    colours = palette(len(points))
    for i, row in enumerate(points.itertuples()):
        colour, mark = colours[i], MARKS[i % len(MARKS)]
        style = {"marker": mark, "edgecolors": colour, "s": 42, "linewidths": 1.1}
        axis.scatter(row.ours_ms, row.ours_mean, facecolors=colour, label=row.series.replace("+l", "+ℓ"), **style)
        axis.scatter(row.paper_ms, row.paper_mean, facecolors="white", **style)
    axis.set_xscale("log")
    axis.set_xlabel("milliseconds per score")
    axis.set_ylabel("Mean PC")
    axis.legend(fontsize=7.5, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save(figure, path, digest)


def _axes(width: float, height: float, title: str) -> tuple:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110)
    FigureCanvasAgg(figure)
    axis = figure.add_axes((0.09, 0.13, 0.66, 0.77))
    axis.set_title(title, fontsize=11)
    axis.grid(alpha=0.25, linewidth=0.6)
    axis.tick_params(labelsize=8)
    return figure, axis
