"""What a path of a user's holds, in whatever form, before any image is read: names, labels, splits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmark.data.user.arrow import from_parquet, from_saved, parquet_files
from benchmark.data.user.findings import DataError
from benchmark.data.user.folders import TABLES, from_folder, label_file, one_class
from benchmark.data.user.reading import Reading
from benchmark.data.user.rows import Listing
from benchmark.data.user.table import from_table
from benchmark.data.user.tree import scan

READING = Reading()


def listing(path: str | Path, reading: Reading = READING) -> Listing:
    """What a path holds; `reading` says what cannot be seen.

    Raises DataError, with what to do, for a path that holds no labelled images or just one class.
    """
    root = Path(path).expanduser()
    found = _kind(root)(root, reading)
    if not len(found):
        raise DataError(f"data must hold images. Got none in {root}. Give a folder with one folder a class.")
    if len(found.class_names) < 2:
        raise _one_class(root, found)
    return found


def _kind(root: Path) -> Callable[..., Listing]:
    if root.suffix.lower() in TABLES and root.is_file():
        return from_table
    if root.suffix.lower() == ".parquet" and root.is_file():
        return from_parquet
    if not root.is_dir():
        what = "a file of another kind" if root.exists() else "nothing"
        raise DataError(
            f"data must be a folder of images, a .parquet file, a data set saved by the package datasets, or a .csv of "
            f"image,label. Got {what} at {root}. Check the path; a data set of the hub must be downloaded first."
        )
    if (root / "dataset_dict.json").is_file() or (root / "state.json").is_file():
        return from_saved
    if any(root.glob("*.parquet")) or any((root / "data").glob("*.parquet")):
        return from_parquet
    if not scan(root).total and parquet_files(root):
        return from_parquet
    if table := label_file(root):
        return lambda _, reading: from_table(table, reading)
    return from_folder


def _one_class(root: Path, found: Listing) -> DataError:
    """The error about one class: of a folder with the tree, since the reader may be at fault."""
    (name,) = found.class_names
    if root.is_dir() and not label_file(root) and found.origin.startswith("image folder"):
        return one_class(root, name)
    said = " ".join(found.remarks)
    return DataError(
        f"data must have at least two classes. Got one, '{name}', in {root} ({found.origin}). {said} "
        "Name the column that holds the labels with label=<column>, or add images of another class."
    )
