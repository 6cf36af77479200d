"""Counts of what a model takes for what are scikit-learn's."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmark.reporting.pictures import confusion
from benchmark.reporting.pictures.title import put_title


def test_confusion_counts_are_scikit_learns(tmp_path: Path) -> None:
    from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix

    rng = np.random.default_rng(0)
    labels, outputs = rng.integers(0, 4, 60), rng.normal(size=(60, 4))
    expected = confusion_matrix(labels, outputs.argmax(axis=1), labels=range(4))
    counts = confusion.count(outputs, labels)
    np.testing.assert_array_equal(counts, expected)
    table = tmp_path / "c.csv"
    confusion.write(counts, ["a,b", "c", "d", "e"], False, table, tmp_path / "c.png", "title")
    rows = list(csv.reader(table.open()))
    assert rows[1][0] == "a,b"
    np.testing.assert_array_equal(np.array([r[1:] for r in rows[1:]], int), expected)
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"
    many = rng.integers(0, 2, (60, 4))
    counts = confusion.count(outputs, many)
    cells = multilabel_confusion_matrix(many, outputs > 0)  # [[tn, fp], [fn, tp]]
    np.testing.assert_array_equal(counts, np.stack([cells[:, 1, 1], cells[:, 0, 1], cells[:, 1, 0], cells[:, 0, 0]], 1))


@pytest.mark.parametrize("width", [3.3, 4.5, 9.0])
def test_a_title_of_any_length_is_inside_its_picture(width: float) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure).draw()
    put_title(
        figure, "photographs of a museum: mobilenetv2_100-imagenet_torchvision, 86.8 % (accuracy), 1,387 test images"
    )
    figure.canvas.draw()
    (title,) = [text for text in figure.texts if text.get_text()]
    extent = title.get_window_extent()
    assert extent.x0 >= 0
    assert extent.x1 <= figure.bbox.width
