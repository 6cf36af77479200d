"""What a path of a user's holds, in whatever form, before any image is read: names, labels, splits.

A folder, a labels file, Parquet files, a data set that the package `datasets` saved.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from benchmark.config import did_you_mean
from benchmark.findings import TO_SPLIT, DataError
from benchmark.hub import Shards, labelled
from benchmark.packs import (
    SHOWN,
    SUFFIXES,
    TEST,
    TEST_NAMES,
    TRAIN,
    class_files,
    is_image,
    read_class_names,
    stratified,
    visible,
)

SEPARATOR = "|"
LEFT_BEHIND = 254
"""The split of a row of a table that belongs to neither train nor test."""
IMAGE_COLUMNS = ("image", "img", "file_name", "filename", "path", "file")
LABEL_COLUMNS = ("label", "labels", "class", "fine_label")
TABLES = (".csv", ".tsv")


@dataclass(frozen=True)
class Listing:
    """n images of a path, before any is read.

    items   what `read` takes, to give the bytes of an image
    names   how each is called in messages
    labels  (n,) class ids, or (n, c) multi-hot
    split   (n,) 0 train, 1 test, 255 to be split
    files   whose bytes decide the result
    remarks what was passed over, and why
    facts   licence, flip, upright, where the data say so
    """

    items: Sequence[Any]
    read: Callable[[Any], bytes]
    names: list[str]
    labels: np.ndarray
    split: np.ndarray
    class_names: list[str]
    files: list[Path]
    origin: str
    remarks: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def taken(self, most: int | None) -> Listing:
        """At most so many of the images, classes in proportion, the same ones every time."""
        if most is None or len(self) <= most:
            return self
        at = stratified(self.labels, self.names, most)
        files = self.files
        if len(files) >= len(self):  # a file an image: those left out need not be fingerprinted
            chosen = {self.items[i] for i in at}
            every = set(self.items)
            files = [f for f in files if f not in every or f in chosen]
        return Listing(
            [self.items[i] for i in at],
            self.read,
            [self.names[i] for i in at],
            self.labels[at],
            self.split[at],
            self.class_names,
            files,
            self.origin,
            [*self.remarks, f"{most} of {len(self)} images are taken, classes in proportion; most=null takes all."],
            self.facts,
        )


def listing(path: str | Path, image: str | None = None, label: str | None = None) -> Listing:
    """What a path holds. `image` and `label` name the columns of a table whose own are called otherwise.

    Raises DataError, with what to do, for a path that holds no labelled images or just one class.
    """
    root = Path(path).expanduser()
    found = _kind(root)(root, image, label)
    if not len(found):
        raise DataError(f"data must hold images. Got none in {root}. Give a folder with one folder a class.")
    if len(found.class_names) < 2:
        raise DataError(f"data must have at least two classes. Got {found.class_names} in {root}. Add another class.")
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
    if _label_file(root):
        return lambda folder, image, label: from_table(_label_file(folder), image, label)
    return from_folder


def _label_file(root: Path) -> Path | None:
    """The one table beside the images of a folder without class folders."""
    tables = [p for p in visible(root) if p.suffix.lower() in TABLES]
    return tables[0] if len(tables) == 1 and not any(class_files(root).values()) else None


# --- a folder ----------------------------------------------------------------------------------------------------


def from_folder(root: Path, image: str | None = None, label: str | None = None) -> Listing:
    """<class>/* or train/<class>/* with test/<class>/* (or val); train/ alone is split here."""
    remarks: list[str] = []
    folders = {p.name: p for p in visible(root) if p.is_dir()}
    test = next((name for name in TEST_NAMES if name in folders), None)
    parts = [(root, TO_SPLIT)]
    if "train" in folders and any(p.is_dir() for p in visible(folders["train"])):
        parts = [(folders["train"], TRAIN if test else TO_SPLIT)] + ([(folders[test], TEST)] if test else [])
        others = sorted(set(folders) - {"train", test})
        if others:
            remarks.append(f"Left out: {', '.join(others)}/, beside train/{f' and {test}/' if test else ''}.")
    rows: list[tuple[str, int, Path]] = []
    for folder, split in parts:
        files = class_files(folder)
        if empty := sorted(name for name, found in files.items() if not found):
            remarks.append(f"Folders without images are passed over: {_some(empty)}.")
        rows += [(name, split, file) for name, found in files.items() for file in found]
    if not rows:
        loose = sum(is_image(p) for p in visible(root))
        what = f"{loose} images without one" if loose else "no image"
        raise DataError(
            f"an image folder must hold <class>/<image> ({', '.join(sorted(SUFFIXES))}). Got {what} in {root}. "
            "Put every class into a folder of its own, or a labels.csv with the columns image,label beside the images."
        )
    names = sorted({name for name, _, _ in rows})
    files = [file for _, _, file in rows]
    return Listing(
        files,
        Path.read_bytes,
        [f.relative_to(root).as_posix() for f in files],
        np.array([names.index(name) for name, _, _ in rows], np.int64),
        np.array([split for _, split, _ in rows], np.uint8),
        names,
        files,
        f"image folder {root.name}",
        remarks,
    )


# --- a CSV -------------------------------------------------------------------------------------------------------


def from_table(path: Path, image: str | None = None, label: str | None = None) -> Listing:
    """Rows of image,label (and split): paths relative to the file; several labels of an image as a|b."""
    rows, columns = _rows(path)
    image, label = _column(columns, image, IMAGE_COLUMNS, path), _column(columns, label, LABEL_COLUMNS, path)
    files = [_beside(path, row[image]) for row in rows]
    _complain(path, files, [row[image] for row in rows], [row[label] for row in rows])
    texts = [(row[label] or "").strip() for row in rows]
    several = any(SEPARATOR in text for text in texts)
    raw = [[part.strip() for part in t.split(SEPARATOR) if part.strip()] for t in texts] if several else texts
    class_names, labels, _ = labelled(raw, None, path.name)
    folder = {p for p in path.parent.rglob("*") if is_image(p)}
    unnamed = len(folder - {f.resolve() for f in files} - set(files))
    return Listing(
        files,
        Path.read_bytes,
        [row[image] for row in rows],
        labels,
        _splits([row.get("split") for row in rows], path.name),
        class_names,
        [path, *files],
        f"labels file {path.name}",
        [f"{unnamed} images beside {path.name} are not named in it, and left out."] if unnamed else [],
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


def _column(columns: Sequence[str], given: str | None, known: Sequence[str], path: Path) -> str:
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
            f"that are not: {_some(absent)}. Correct the paths."
        )
    if bare := [n for n, text in zip(names, labels, strict=True) if not (text or "").strip(f" {SEPARATOR}")]:
        raise DataError(f"{path.name} must give every image a label. Got none for {_some(bare)}. Add them.")
    if twice := [str(f.name) for f, n in Counter(files).items() if n > 1]:
        raise DataError(
            f"{path.name} must name an image once. Got several rows for {_some(twice)}. "
            f"Write several labels of one image as a{SEPARATOR}b."
        )


# --- Parquet files and saved data sets ---------------------------------------------------------------------------


def from_parquet(path: Path, image: str | None = None, label: str | None = None) -> Listing:
    """A Parquet file, or a folder of them (train-*.parquet …), with or without a split, read a row group at a time."""
    import pyarrow.parquet

    files = [path] if path.is_file() else sorted(path.glob("*.parquet")) or sorted((path / "data").glob("*.parquet"))
    try:
        schema = pyarrow.parquet.read_schema(files[0])
        image, label = _names(schema.names, image, label, path)
        wanted = [label, *(["split"] if "split" in schema.names else []), *_path_column(schema, image)]
        tables = [pyarrow.parquet.ParquetFile(file).read(columns=wanted) for file in files]
    except DataError:
        raise
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise DataError(f"{path.name} must be a Parquet file. Got one that cannot be read ({error}).") from None
    parts = [None] if len(files) == 1 and path.is_file() else [file.stem.partition("-")[0] for file in files]
    shards, lock = Shards(files, image), Lock()

    def cell(row: int) -> Any:
        with lock:  # threads share the row group that is in memory
            return shards[row]

    return _from_arrow(tables, parts, files, path, image, label, cell)


def _names(columns: Sequence[str], image: str | None, label: str | None, path: Path) -> tuple[str, str]:
    return _column(columns, image, IMAGE_COLUMNS, path), _column(columns, label, LABEL_COLUMNS, path)


def _path_column(schema: Any, image: str) -> list[str]:
    """The part of the image column that holds paths, as a list of one, none where it has no such part."""
    import pyarrow

    kind = schema.field(image).type
    return [f"{image}.path"] if pyarrow.types.is_struct(kind) and "path" in [f.name for f in kind] else []


def from_saved(path: Path, image: str | None = None, label: str | None = None) -> Listing:
    """A folder that `datasets` wrote (save_to_disk), read without that package."""
    import pyarrow

    parts: list[str | None] = [None]
    if (path / "dataset_dict.json").is_file():
        parts = json.loads((path / "dataset_dict.json").read_text())["splits"]
    tables, files, owners = [], [], []
    for part in parts:
        folder = path / part if part else path
        for entry in json.loads((folder / "state.json").read_text())["_data_files"]:
            files.append(folder / entry["filename"])
            with pyarrow.memory_map(str(files[-1])) as source:
                tables.append(pyarrow.ipc.open_stream(source).read_all())
            owners.append(part)
    image, label = _names(tables[0].column_names, image, label, path)
    ends = np.cumsum([t.num_rows for t in tables])

    def cell(row: int) -> Any:
        part = int(np.searchsorted(ends, row, side="right"))
        return tables[part][image][int(row - (ends[part - 1] if part else 0))].as_py()

    return _from_arrow(tables, owners, files, path, image, label, cell)


def _from_arrow(
    tables: list[Any],
    parts: list[str | None],
    files: list[Path],
    path: Path,
    image: str,
    label: str,
    cell: Callable[[int], Any],
) -> Listing:
    metadata = tables[0].schema.metadata or {}
    given = "split" in tables[0].column_names
    splits = [
        v
        for t, part in zip(tables, parts, strict=True)
        for v in (t["split"].to_pylist() if given else [part] * t.num_rows)
    ]
    raw = [value for t in tables for value in t[label].to_pylist()]
    split = _splits(splits, path.name)
    kept = np.flatnonzero(split != LEFT_BEHIND)
    try:
        class_names, labels, _ = labelled(
            [raw[i] for i in kept], read_class_names(metadata, label), f"{path.name}, column {label}"
        )
    except ValueError as error:
        raise DataError(str(error)) from None

    def read(row: int) -> bytes:
        value = cell(row)
        data = value.get("bytes") if isinstance(value, dict) else value
        if not data and isinstance(value, dict) and value.get("path"):
            return ((path if path.is_dir() else path.parent) / value["path"]).read_bytes()
        return data or b""

    paths = [v for t in tables for v in (_paths(t[image]) if image in t.column_names else [None] * t.num_rows)]
    left = len(raw) - len(kept)
    return Listing(
        [int(i) for i in kept],
        read,
        [f"row {i}{f', {paths[i]}' if paths[i] else ''}" for i in kept],
        labels,
        split[kept],
        class_names,
        files,
        metadata.get(b"source", path.name.encode()).decode(),
        [f"{left} rows of other splits than train and test are left out."] if left else [],
        json.loads(metadata.get(b"facts", b"{}")),
    )


def _paths(column: Any) -> list[str | None]:
    import pyarrow
    import pyarrow.compute

    if pyarrow.types.is_struct(column.type) and "path" in [f.name for f in column.type]:
        return pyarrow.compute.struct_field(column, "path").to_pylist()
    return [None] * len(column)


# --- splits ------------------------------------------------------------------------------------------------------


def _splits(values: list[str | None], where: str) -> np.ndarray:
    """(n,) split of each row: as named, all to be split where no test part is named; others are left behind."""
    named = [str(v).strip().lower() if v is not None else "" for v in values]
    test = next((name for name in TEST_NAMES if name in named), None)
    if test is None or "train" not in named:
        if strange := sorted(set(named) - {"", "train", *TEST_NAMES}):
            raise DataError(
                f"{where}: split must be train or one of {', '.join(TEST_NAMES)}. Got {_some(strange)}. Correct them."
            )
        return np.full(len(named), TO_SPLIT, np.uint8)
    return np.array([{"train": TRAIN, test: TEST}.get(v, LEFT_BEHIND) for v in named], np.uint8)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more
