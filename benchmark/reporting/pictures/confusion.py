"""What a model takes for what: a table of counts as CSV, and its picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.files import put
from benchmark.reporting.pictures.title import put_title

WRITTEN = 25
"""Classes up to which the picture names them and writes the counts."""
OUTCOMES = ("true positive", "false positive", "false negative", "true negative")


def ready() -> None:
    """Import what draws, ahead of the time when every second counts."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401


def count(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts of decisions from outputs (n, c).

    For class ids (n,): (c, c), row the true class, column the predicted one. For multi-hot labels (n, c): (c, 4), a
    row per label with its `OUTCOMES`, where an output above 0 says that the label is there.
    """
    if labels.ndim == 2:
        said, true = outputs > 0, labels > 0
        return np.stack([m.sum(axis=0) for m in (said & true, said & ~true, ~said & true, ~said & ~true)], axis=1)
    c = outputs.shape[1]
    found = np.zeros((c, c), np.int64)
    np.add.at(found, (labels, outputs.argmax(axis=1)), 1)
    return found


def write(
    counts: np.ndarray, class_names: Sequence[str], multilabel: bool, table: Path, picture: Path, title: str
) -> None:
    """The counts as CSV and PNG; colours show shares of a row."""
    columns = OUTCOMES if multilabel else class_names
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["label" if multilabel else "true \\ predicted", *columns])
    out.writerows([name, *map(int, row)] for name, row in zip(class_names, counts, strict=True))
    put(table, text.getvalue().encode(errors="backslashreplace"))
    _draw(counts, class_names, columns, picture, title)


def _draw(counts: np.ndarray, rows: Sequence[str], columns: Sequence[str], picture: Path, title: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    named = len(rows) <= WRITTEN
    side = 2.5 + 0.4 * len(rows) if named else 9
    figure = Figure(figsize=(2.5 + 0.4 * len(columns) if named else 9, side), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    put_title(figure, title)
    axes.set_ylabel("label" if columns is OUTCOMES else "true class")
    if named:
        axes.set_xticks(range(len(columns)), [str(c)[:24] for c in columns], rotation=90, fontsize=8)
        axes.set_yticks(range(len(rows)), [str(r)[:24] for r in rows], fontsize=8)
        for i, j in np.argwhere(counts):
            colour = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, str(int(counts[i, j])), ha="center", va="center", fontsize=7, color=colour)
    else:
        axes.set_xlabel("predicted class, by number")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    put(picture, drawn.getvalue())
