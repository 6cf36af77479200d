"""Mean ranks of methods over targets and which of them a test tells apart, as PNG (a critical-difference picture)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.reporting.pictures.png import digest_of, save, shows
from benchmark.stats import significance

VERSION = 1  # raised by hand when the same numbers are drawn differently


def cliques(ranks: np.ndarray, distance: float) -> list[tuple[int, int]]:
    """Maximal runs (first, last) of sorted ranks that lie within the critical difference, of two methods or more."""
    runs, reached = [], -1
    for i in range(len(ranks)):
        last = int(np.searchsorted(ranks, ranks[i] + distance, side="right")) - 1
        if last > i and last > reached:
            runs.append((i, last))
            reached = last
    return runs


def draw(path: Path, methods: Sequence[str], values: np.ndarray, measure: str) -> bool:
    """Write the picture unless the file shows the same numbers; returns whether it was drawn.

    values (k, t) without gaps, higher is better; targets are the blocks. Friedman's test says whether any method
    differs, Nemenyi's critical difference at 5 % which pairs do: bars join methods that it does not tell apart.
    """
    digest = digest_of([VERSION, list(methods), values.round(9).tolist(), measure])
    if shows(path, digest):
        return False
    ranks, p, distance = significance.friedman(values)
    order = np.lexsort((np.array(methods), ranks))
    names, ranks = [methods[i] for i in order], ranks[order]
    _figure(path, names, ranks, p, distance, values.shape[1], measure, digest)
    return True


def _figure(
    path: Path,
    names: Sequence[str],
    ranks: np.ndarray,
    p: float,
    distance: float,
    targets: int,
    measure: str,
    digest: str,
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    k = len(names)
    bars = cliques(ranks, distance)
    left = (k + 1) // 2
    depth = 0.16 * len(bars) + 0.2 * max(left, k - left) + 0.15  # inches below the axis
    width, height = 9.0, 1.25 + depth
    figure = Figure(figsize=(width, height), dpi=110)
    FigureCanvasAgg(figure)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_xlim(0, width)
    axis.set_ylim(0, height)
    axis.axis("off")
    margin, top = 2.3, depth + 0.2
    at = lambda rank: margin + (rank - 1) / max(1, k - 1) * (width - 2 * margin)  # noqa: E731
    axis.plot([at(1), at(k)], [top, top], color="black", linewidth=1)
    for rank in range(1, k + 1, max(1, k // 12)):
        axis.plot([at(rank)] * 2, [top, top + 0.06], color="black", linewidth=1)
        axis.text(at(rank), top + 0.09, str(rank), ha="center", va="bottom", fontsize=8)
    for i, (first, last) in enumerate(bars):
        y = top - 0.1 - 0.16 * i
        axis.plot([at(ranks[first]) - 0.04, at(ranks[last]) + 0.04], [y, y], color="#D55E00", linewidth=3)
    below = top - 0.16 * len(bars) - 0.2
    for i, (name, rank) in enumerate(zip(names, ranks, strict=True)):
        side, row = (0, i) if i < left else (1, k - 1 - i)
        y, end = below - 0.2 * row, (margin - 0.15, width - margin + 0.15)[side]
        axis.plot([at(rank), at(rank), end], [top, y, y], color="#555555", linewidth=0.7)
        words = f"{name}  {rank:.2f}"
        axis.text(end + (0.06, -0.06)[1 - side], y, words, ha=("right", "left")[side], va="center", fontsize=8)
    shown = min(distance, k - 1)
    axis.plot([at(1), at(1 + shown)], [top + 0.42] * 2, color="#0072B2", linewidth=2)
    more = "" if shown == distance else " (longer than the axis)"
    axis.text(at(1 + shown) + 0.06, top + 0.42, f"CD = {distance:.2f}{more}", va="center", fontsize=8)
    title = (
        f"Mean rank by {measure} over {targets} targets (1 = best). Friedman p = {p:.2g}; "
        "bars: not told apart by Nemenyi's test at 5 %"
    )
    axis.text(width / 2, height - 0.12, title, ha="center", va="top", fontsize=9)
    save(figure, path, digest)
