"""A listing from a labels file: which column names the images, which their labels, which the split."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmark.data.images import is_image
from benchmark.data.labels import Cell
from benchmark.data.user.findings import DataError
from benchmark.data.user.rows import Listing, classes_and_labels, rows_used
from benchmark.errors import did_you_mean
from benchmark.wording import some

SEPARATOR = "|"
IMAGE_COLUMNS = ("image", "img", "file_name", "filename", "path", "file")
LABEL_COLUMNS = ("label", "labels", "class", "fine_label")


def from_table(path: Path, image: str | None = None, label: str | None = None) -> Listing:
    """Rows of image,label (and split): paths relative to the file; several labels of an image as a|b."""
    rows, columns = _rows(path)
    image, label = column_named(columns, image, IMAGE_COLUMNS, path), column_named(columns, label, LABEL_COLUMNS, path)
    named = {_beside(path, row[image]).resolve() for row in rows}
    kept, split, remarks = rows_used([row.get("split") for row in rows], path.name)
    rows = [rows[i] for i in kept]
    files = [_beside(path, row[image]) for row in rows]
    _complain(path, files, [row[image] for row in rows], [row[label] for row in rows])
    texts = [(row[label] or "").strip() for row in rows]
    several = any(SEPARATOR in text for text in texts)
    raw: list[Cell] = [*texts]
    if several:
        raw = [[part.strip() for part in text.split(SEPARATOR) if part.strip()] for text in texts]
    class_names, labels = classes_and_labels(raw, None, path.name)
    if unnamed := len({p.resolve() for p in path.parent.rglob("*") if is_image(p)} - named):
        remarks.append(f"{unnamed} images beside {path.name} are not named in it, and left out.")
    return Listing(
        files,
        Path.read_bytes,
        [row[image] for row in rows],
        labels,
        split,
        class_names,
        [path, *files],
        f"labels file {path.name}",
        remarks,
    )


def _rows(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path.name} must be text in UTF-8. Got other bytes. Save it as CSV in UTF-8.") from None
    head = text.partition("\n")[0]
    delimiter = max(("\t", ";", ","), key=head.count)
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    return list(reader), [c for c in reader.fieldnames or [] if c]


def column_named(columns: Sequence[str], given: str | None, known: Sequence[str], path: Path) -> str:
    names = [given] if given else known
    found = next((c for name in names for c in columns if c.strip().lower() == name.lower()), None)
    if found is None:
        raise DataError(
            f"{path.name} must have a column {names[0]}. Got {', '.join(columns) or 'no columns'}. "
            f"{did_you_mean(names[0], columns) if given else f'Name yours with {known[0]}=<column>.'}"
        )
    return found


def _beside(path: Path, name: str) -> Path:
    return path.parent / (name or "").strip()


def _complain(path: Path, files: list[Path], names: list[str], labels: list[str]) -> None:
    """DataError where the table and the images do not match: absent files, empty labels, two rows that disagree."""
    absent = [name or "(empty)" for name, file in zip(names, files, strict=True) if not (name and file.is_file())]
    if absent:
        raise DataError(
            f"{path.name} must name images that are there, relative to its folder. Got {len(absent)} of {len(files)} "
            f"that are not: {some(absent)}. Correct the paths."
        )
    if bare := [n for n, text in zip(names, labels, strict=True) if not (text or "").strip(f" {SEPARATOR}")]:
        raise DataError(f"{path.name} must give every image a label. Got none for {some(bare)}. Add them.")
    if twice := [str(f.name) for f, n in Counter(files).items() if n > 1]:
        raise DataError(
            f"{path.name} must name an image once. Got several rows for {some(twice)}. "
            f"Write several labels of one image as a{SEPARATOR}b."
        )
