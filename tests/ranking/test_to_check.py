"""What to look at again: files, reasons, pictures' images; as rows and as a CSV."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from benchmark.data.packs import Pack
from benchmark.ranking import to_check

NAMES = [f"{k}.png" for k in range(14)]


def pack(labels: np.ndarray, groups: np.ndarray | None, multilabel: bool = False) -> Pack:
    n = len(labels)
    split = np.array([0] * (n - 2) + [1, 2], np.uint8)  # the last is left out
    shapes, offsets = np.zeros((n, 2), np.int32), np.zeros(n + 1, np.int64)
    names = ["cat", "dog"]
    return Pack("p", np.zeros(0, np.uint8), offsets, shapes, labels, split, names, multilabel, {}, groups)


def test_every_kind_of_row() -> None:
    labels = np.array([0] * 6 + [1] * 6 + [0, 1])
    labels[5] = 1  # it looks as a cat
    groups = np.arange(14)
    groups[[0, 5]] = 0  # and is a copy of one
    groups[[1, 13]] = 1  # 13 is left out
    features = np.array([[1.0, 0.02 * k] for k in range(6)] + [[-1.0, 0.02 * k] for k in range(6)])
    found = to_check.to_check(pack(labels, groups), NAMES, features, labels[:12], np.arange(12))
    assert (found.judged, found.of) == (12, 12)
    rows = {
        reason: [r for r in found.rows if r.reason == reason] for reason in dict.fromkeys(r.reason for r in found.rows)
    }
    assert list(rows) == [to_check.MISLABELLED, to_check.CONFLICT, to_check.ALIKE]
    (wrong,) = rows[to_check.MISLABELLED]
    assert (wrong.file, wrong.label, wrong.suggested, wrong.other_file) == ("5.png", "dog", "cat", "")
    assert wrong.p_label < wrong.p_suggested
    conflicts = [(r.file, r.label, r.other_file, r.suggested) for r in rows[to_check.CONFLICT]]
    assert conflicts == [("0.png", "cat", "5.png", "dog"), ("5.png", "dog", "0.png", "cat")]
    assert len(found.about(to_check.CONFLICT, 9)) == 1, "a pair is shown once"
    near = {(r.file, r.other_file) for r in rows[to_check.ALIKE]}
    assert ("5.png", "4.png") in near
    assert found.sentence == (
        f"To check: 1 image probably mislabelled, 2 near-duplicates with another label, {len(near)} that look most "
        "like another class (12 of 12 training images were judged)."
    )


def test_the_csv_is_what_was_found(tmp_path: Path) -> None:
    row = to_check.Row("a, b.png", "cat", to_check.ALIKE, "dog", other_file="c.png")
    to_check.write_csv(to_check.ToCheck([row], [(0, 1)], 2, 2), tmp_path / "to_check.csv")
    (read,) = csv.DictReader((tmp_path / "to_check.csv").open())
    expected = {"file": "a, b.png", "label": "cat", "reason": to_check.ALIKE, "suggested": "dog"}
    assert read == expected | {"p_label": "", "p_suggested": "", "other_file": "c.png"}


def test_several_labels_say_which_is_in_question() -> None:
    rng = np.random.default_rng(0)
    labels = np.array([[1, 0]] * 7 + [[0, 1]] * 7, np.uint8)
    labels[0] = [1, 1]
    features = np.where(labels[:, :1] == 1, 1.0, -1.0) + 0.01 * rng.normal(size=(14, 1))
    features = np.c_[features, features]
    found = to_check.to_check(pack(labels, None, True), NAMES, features[:12], labels[:12], np.arange(12))
    (wrong,) = [r for r in found.rows if r.reason == to_check.MISLABELLED]
    assert (wrong.file, wrong.label, wrong.suggested) == ("0.png", "cat, dog", "without dog")
