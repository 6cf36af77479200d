"""What a path of a user's holds, in whatever form, before any image is read: names, labels, splits.

A folder, a labels file, Parquet files, a data set that the package `datasets` saved.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from benchmark.config import did_you_mean
from benchmark.files import record
from benchmark.findings import TO_SPLIT, DataError
from benchmark.hub import Shards, labelled
from benchmark.packs import (
    SUFFIXES,
    TEST,
    TEST_NAMES,
    TRAIN,
    class_files,
    is_image,
    read_class_names,
    some,
    stratified,
    told,
    visible,
)

SEPARATOR = "|"
LEFT_BEHIND = 254
"""The split of a row of a table that belongs to neither train nor test."""
IMAGE_COLUMNS = ("image", "img", "file_name", "filename", "path", "file")
LABEL_COLUMNS = ("label", "labels", "class", "fine_label")
TABLES = (".csv", ".tsv")
PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
PARTS |= {name: name for name in TEST_NAMES}
LOOSE = "image beside the class folders"


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
    found = _tables(root)
    return found[0] if len(found) == 1 and not any(class_files(root).values()) else None


def _tables(*folders: Path) -> list[Path]:
    return [p for folder in folders for p in visible(folder) if p.suffix.lower() in TABLES and p.is_file()]


# --- a folder ----------------------------------------------------------------------------------------------------


def from_folder(root: Path, image: str | None = None, label: str | None = None) -> Listing:
    """<class>/* or train/<class>/* with test/<class>/* (or val); train/ alone is split here.

    The parts may be called otherwise: Training, Test, VALID, train_images … (see `_part`).
    """
    folders = [p for p in visible(root) if p.is_dir()]
    parts, remarks = _parts(root, folders)
    passed: Counter[str] = Counter()
    rows: list[tuple[str, int, Path]] = []
    for folder, split in parts:
        files = class_files(folder, passed)
        if empty := sorted(name for name, found in files.items() if not found):
            remarks.append(f"Folders without images are passed over: {some(empty)}.")
        passed[LOOSE] += sum(map(is_image, visible(folder)))
        rows += [(name, split, file) for name, found in files.items() for file in found]
    names = sorted({name for name, _, _ in rows})
    tables = _tables(root)
    if not rows:
        raise _no_classes(root, f"{passed[LOOSE]} images without one" if passed[LOOSE] else "no image", tables)
    if parts[0][0] == root and (strange := [t for t in tables if not _speaks_of(t, names)]):
        raise DataError(
            f"data must say in one way what the classes are. Got the folders {some(names)} and beside them "
            f"{some([t.name for t in strange])} in {root}. Give data={_likeliest(strange)} if that holds the labels; "
            "move it away if the folders are the classes."
        )
    if tables:
        remarks.append(f"Not looked at, beside the folders: {some([t.name for t in tables])}.")
    if line := told(+passed):
        remarks.append(line)
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


def _part(name: str) -> str | None:
    """train, or one of TEST_NAMES, where a folder is called so: Train, testing, val_images, "training set" …"""
    return PARTS.get(re.sub(r"[ _-]?(images?|imgs?|set|data)$", "", name.lower()))


def _parts(root: Path, folders: list[Path]) -> tuple[list[tuple[Path, int]], list[str]]:
    """The folders that hold the class folders, each with its split, and what is to be said about others.

    DataError where folders are called train, test … and hold images without class folders.
    """
    by_part: dict[str, Path] = {}
    for folder in sorted(folders, key=lambda p: (p.name != _part(p.name), p.name)):  # test before Test
        if part := _part(folder.name):
            by_part.setdefault(part, folder)
    bare = {part: folder for part, folder in by_part.items() if not any(p.is_dir() for p in visible(folder))}
    loose = [f for f in bare.values() if any(map(is_image, visible(f)))]
    if loose and len(by_part) > 1 and ("train" in bare or len(by_part) == len(folders) == len(bare)):
        where = " and ".join(f"{f.name}/" for f in loose)
        raise _no_classes(root, f"images without a class folder in {where}", _tables(root, *by_part.values()))
    if "train" not in by_part or "train" in bare:
        return [(root, TO_SPLIT)], []  # a class may be called "train"
    train = by_part["train"]
    test = next((by_part[name] for name in TEST_NAMES if name in by_part and name not in bare), None)
    others = sorted(f.name for f in folders if f not in (train, test))
    beside = f"{train.name}/{f' and {test.name}/' if test else ''}"
    remarks = [f"Left out: {', '.join(others)}/, beside {beside}."] if others else []
    return [(train, TRAIN if test else TO_SPLIT)] + ([(test, TEST)] if test else []), remarks


def _no_classes(root: Path, got: str, tables: list[Path]) -> DataError:
    beside = "or a labels.csv with the columns image,label beside the images"
    if tables:
        beside = f"or give data={_likeliest(tables)} if that table names the images and their labels"
    return DataError(
        f"an image folder must hold <class>/<image> ({', '.join(sorted(SUFFIXES))}). Got {got} in {root}. "
        f"Put every class into a folder of its own, {beside}."
    )


def _likeliest(tables: list[Path]) -> Path:
    """The first with columns for image and label, else the first."""
    for table in tables:
        head = re.split(r"[,;\t]", table.read_text(encoding="utf-8-sig", errors="replace").partition("\n")[0].lower())
        columns = {column.strip(' "\r') for column in head}
        if columns & {*IMAGE_COLUMNS} and columns & {*LABEL_COLUMNS}:
            return table
    return tables[0]


def _speaks_of(table: Path, classes: Sequence[str]) -> bool:
    """Whether every class is a cell of the table: then the folders are the classes there, too."""
    cells = re.split(r"[,;\t\r\n]", table.read_text(encoding="utf-8-sig", errors="replace").lower())
    return {c.lower() for c in classes} <= {cell.strip(' "') for cell in cells}


# --- a CSV -------------------------------------------------------------------------------------------------------


def from_table(path: Path, image: str | None = None, label: str | None = None) -> Listing:
    """Rows of image,label (and split): paths relative to the file; several labels of an image as a|b."""
    rows, columns = _rows(path)
    image, label = _column(columns, image, IMAGE_COLUMNS, path), _column(columns, label, LABEL_COLUMNS, path)
    named = {_beside(path, row[image]).resolve() for row in rows}
    kept, split, remarks = _used([row.get("split") for row in rows], path.name)
    rows = [rows[i] for i in kept]
    files = [_beside(path, row[image]) for row in rows]
    _complain(path, files, [row[image] for row in rows], [row[label] for row in rows])
    texts = [(row[label] or "").strip() for row in rows]
    several = any(SEPARATOR in text for text in texts)
    raw = [[part.strip() for part in t.split(SEPARATOR) if part.strip()] for t in texts] if several else texts
    class_names, labels = _classes(raw, None, path.name)
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
            f"that are not: {some(absent)}. Correct the paths."
        )
    if bare := [n for n, text in zip(names, labels, strict=True) if not (text or "").strip(f" {SEPARATOR}")]:
        raise DataError(f"{path.name} must give every image a label. Got none for {some(bare)}. Add them.")
    if twice := [str(f.name) for f, n in Counter(files).items() if n > 1]:
        raise DataError(
            f"{path.name} must name an image once. Got several rows for {some(twice)}. "
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


SAVE = "Save the data set again."


def from_saved(path: Path, image: str | None = None, label: str | None = None) -> Listing:
    """A folder that `datasets` wrote (save_to_disk), read without that package."""
    import pyarrow

    parts: list[str | None] = [None]
    if (path / "dataset_dict.json").is_file():
        parts = record(path / "dataset_dict.json", "splits", remedy=SAVE)["splits"]
    tables, files, owners = [], [], []
    for part in parts:
        folder = path / part if part else path
        for entry in record(folder / "state.json", "_data_files", remedy=SAVE)["_data_files"]:
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
    kept, split, remarks = _used(splits, path.name)
    where = f"{path.name}, column {label}"
    for table in tables:
        _refuse_type(table.schema.field(label).type, where)
    class_names, labels = _classes([raw[i] for i in kept], read_class_names(metadata, label), where)

    def read(row: int) -> bytes:
        value = cell(row)
        data = value.get("bytes") if isinstance(value, dict) else value
        if not data and isinstance(value, dict) and value.get("path"):
            return ((path if path.is_dir() else path.parent) / value["path"]).read_bytes()
        return data or b""

    paths = [v for t in tables for v in (_paths(t[image]) if image in t.column_names else [None] * t.num_rows)]
    return Listing(
        [int(i) for i in kept],
        read,
        [f"row {i}{f', {paths[i]}' if paths[i] else ''}" for i in kept],
        labels,
        split,
        class_names,
        files,
        metadata.get(b"source", path.name.encode()).decode(),
        remarks,
        json.loads(metadata.get(b"facts", b"{}")),
    )


def _paths(column: Any) -> list[str | None]:
    import pyarrow
    import pyarrow.compute

    if pyarrow.types.is_struct(column.type) and "path" in [f.name for f in column.type]:
        return pyarrow.compute.struct_field(column, "path").to_pylist()
    return [None] * len(column)


def _refuse_type(kind: Any, where: str) -> None:
    """DataError for a column that can hold no labels: dates, bytes, structs …"""
    from pyarrow import types

    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    inner = kind.value_type if any(holds(kind) for holds in lists) else kind
    inner = inner.value_type if types.is_dictionary(inner) else inner
    asked = (types.is_integer, types.is_floating, types.is_boolean, types.is_string, types.is_large_string)
    if not any(holds(inner) for holds in (*asked, types.is_null)):
        raise DataError(
            f"{where} must hold whole numbers or texts, or lists of them. Got {kind}. Name another with label=<column>."
        )


# --- labels and splits -------------------------------------------------------------------------------------------


def _classes(raw: list[Any], names: list[str] | None, where: str) -> tuple[list[str], np.ndarray]:
    """Class names, and the labels as ids or multi-hot rows; DataError for what is no label."""
    try:
        class_names, labels, _ = labelled(raw, names, where)
    except ValueError as error:
        said = str(error)
        raise DataError(said if said.startswith(where) else f"{where}: {said}") from None
    return class_names, labels


def _used(splits: list[str | None], where: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The rows that are used, their split, and what is to be said: rows of a third split go before labels are read."""
    split = _splits(splits, where)
    kept = np.flatnonzero(split != LEFT_BEHIND)
    left = len(split) - len(kept)
    said = f"{left} {'row' if left == 1 else 'rows'} of other splits than train and test {'is' if left == 1 else 'are'}"
    return kept, split[kept], [f"{said} left out."] if left else []


def _splits(values: list[str | None], where: str) -> np.ndarray:
    """(n,) split of each row: as named, all to be split where no test part is named; others are left behind."""
    named = [str(v).strip().lower() if v is not None else "" for v in values]
    test = next((name for name in TEST_NAMES if name in named), None)
    if test is None or "train" not in named:
        if strange := sorted(set(named) - {"", "train", *TEST_NAMES}):
            raise DataError(
                f"{where}: split must be train or one of {', '.join(TEST_NAMES)}. Got {some(strange)}. Correct them."
            )
        return np.full(len(named), TO_SPLIT, np.uint8)
    return np.array([{"train": TRAIN, test: TEST}.get(v, LEFT_BEHIND) for v in named], np.uint8)
