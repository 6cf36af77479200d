"""Adapters for Parquet files: one file with images and labels, and the shards of a data set on the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypedDict

import numpy as np
from PIL import Image

from benchmark.data.examples import TEST, TEST_NAMES, TRAIN, Examples, Lazy, adapter
from benchmark.data.images import UnreadableImageError, decode
from benchmark.data.labels import each, encode, from_multi_hot, labelled, name_classes, read_class_names
from benchmark.data.splits import stratified
from benchmark.wording import SHOWN

if TYPE_CHECKING:
    import pyarrow


class ImageStruct(TypedDict, total=False):
    bytes: bytes | None
    path: str | None


ImageCell = ImageStruct | bytes | None
"""What a row of an image column holds."""


class Scalar(Protocol):
    """A value of a column of Arrow's."""

    def as_py(self) -> ImageCell: ...


def shard_files(path: str, **_: object) -> list[Path]:
    """The Parquet files of a folder, or of its `data` folder, named <split>-*.parquet."""
    root = Path(path).expanduser()
    for folder in (root, root / "data"):
        found = sorted(folder.glob("*.parquet"))
        splits = {file.name.partition("-")[0] for file in found}
        test = next((name for name in TEST_NAMES if name in splits), None)
        if "train" in splits and test:
            return [file for file in found if file.name.partition("-")[0] in ("train", test)]
    raise FileNotFoundError(
        f"{root} must hold train-*.parquet and test-*.parquet (or validation-*), also under data/. "
        f"Got {[p.name for p in sorted(root.glob('*'))][:SHOWN]}. Put the shards of a data set there."
    )


class Shards:
    """Cells of one column of several Parquet files, of which one row group at a time is in memory."""

    def __init__(self, files: Sequence[Path], column: str):
        import pyarrow.parquet

        self.column = column
        self.part, self.cells = -1, list[Scalar]()  # of the row group that is held
        about = [(file, pyarrow.parquet.read_metadata(file)) for file in files]
        self.parts = [(file, group) for file, facts in about for group in range(facts.num_row_groups)]
        self.ends = np.cumsum([facts.row_group(g).num_rows for _, facts in about for g in range(facts.num_row_groups)])

    def __getitem__(self, row: int) -> ImageCell:
        import pyarrow.parquet

        part = int(np.searchsorted(self.ends, row, side="right"))
        if self.part != part:
            file, group = self.parts[part]
            table = pyarrow.parquet.ParquetFile(file, memory_map=True).read_row_group(group, columns=[self.column])
            self.part, self.cells = part, table[self.column]
        start = int(self.ends[part - 1]) if part else 0
        return self.cells[row - start].as_py()


def from_cell(value: ImageCell, where: str) -> Image.Image:
    """The image in a cell: bytes, or a struct with `bytes`."""
    data = value.get("bytes") if isinstance(value, dict) else value
    if not data:
        raise UnreadableImageError(f"{where} (no bytes)")
    return decode(data, where)


@adapter(version=1, inputs=shard_files)
def shards(path: str, image: str = "image", label: str = "label", flip: bool = True, upright: bool = True) -> Examples:
    """A folder of Parquet shards in the layout of the Hugging Face hub: train-*.parquet with test-*.parquet.

    path   the folder, or the one above its `data`
    image  the column with the images (struct<bytes, path> or binary)
    label  the column with class ids, text, or lists of them (multi-label)
    flip, upright  see benchmark.data.examples.Examples
    """
    import pyarrow.parquet

    root = Path(path).expanduser()
    files = sorted(shard_files(path), key=lambda file: not file.name.startswith("train-"))
    columns = pyarrow.parquet.read_schema(files[0]).names
    if missing := [name for name in (image, label) if name not in columns]:
        raise ValueError(f"{files[0]} must have the columns {image} and {label}. Got {columns}. Set {missing[0]}.")
    tables = [pyarrow.parquet.read_table(file, columns=[label]) for file in files]
    split = np.repeat([TRAIN if f.name.startswith("train-") else TEST for f in files], [t.num_rows for t in tables])
    raw = [value for table in tables for value in table[label].to_pylist()]
    names = read_class_names(tables[0].schema.metadata or {}, label)
    names, labels, multilabel = labelled(raw, names, f"{root.name}, column {label}")
    cells = Shards(files, image)
    return Examples(
        images=Lazy(range(len(raw)), lambda row: from_cell(cells[row], f"row {row}")),
        labels=labels,
        split=split,
        class_names=names,
        multilabel=multilabel,
        licence="see the data set's card",
        origin=f"Parquet shards {root.name}",
        flip=flip,
        upright=upright,
    )


def parquet_inputs(path: str, **_: object) -> list[Path]:
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(
            f"Parquet file must exist. Got {file}. Give the path of a .parquet file, or of the folder of the data sets "
            f"(paths.data) where a target names its file there."
        )
    return [file]


@adapter(version=1, inputs=parquet_inputs)
def parquet(
    path: str,
    max_train: int | None = None,
    max_test: int | None = None,
    flip: bool | None = None,
    upright: bool | None = None,
) -> Examples:
    """A Parquet file in the Hugging Face image convention.

    path       a file with the columns `image` (struct<bytes, path>, or binary), `label` (int, or text) or `labels`
               (list of int: multi-label) and `split` ("train", "test"; "validation" serves where there is no test)
    max_train  at most so many training images, classes in proportion, the same ones every time; None for all
    max_test   the same for the test split
    flip, upright  see Examples; None for what the file says, true where it says nothing

    Class names come from the schema metadata (`class_names`, a JSON list, or `huggingface`), licence, flip and
    upright from its `facts` (a JSON mapping, written by scripts/pack.py). A corrupt image is named, with its row,
    when the pack is built.
    """
    import pyarrow.parquet

    (file,) = parquet_inputs(path)
    table = pyarrow.parquet.read_table(file, memory_map=True)
    where = f"Parquet file {file.name}"
    require(table.column_names, where)
    multilabel = "labels" in table.column_names
    column = "labels" if multilabel else "label"
    split, kept = read_split(table["split"].to_pylist(), where)
    images = table["image"]
    paths = read_paths(images, table.num_rows)
    raw = table[column].to_pylist()
    bad = [int(i) for i in kept if raw[i] is None or raw[i] == -1]
    if bad:
        raise ValueError(f"{where}: every row must have a label. Got none in rows {bad[:SHOWN]}. Remove those rows.")
    names = read_class_names(table.schema.metadata or {}, column)
    raw, names, _ = from_multi_hot(raw, names)
    if names is None:
        names = name_classes({k for i in kept for k in each(raw[i], multilabel)})
    labels = encode(raw, kept, names, multilabel, where)
    rows = []
    for value, cap in ((TRAIN, max_train), (TEST, max_test)):
        part = kept[split[kept] == value]
        if cap is not None and cap < len(part):
            part = part[stratified(labels[part], [paths[i] for i in part], cap)]
        rows.append(part)
    chosen = np.concatenate(rows)

    def read(row: int) -> Image.Image:
        return from_cell(images[int(row)].as_py(), f"row {row}, {paths[row]}")

    facts = json.loads((table.schema.metadata or {}).get(b"facts", b"{}"))
    return Examples(
        images=Lazy(chosen, read),
        labels=labels[chosen],
        split=split[chosen],
        class_names=names,
        multilabel=multilabel,
        licence=facts.get("licence", "see the file's source"),
        flip=facts.get("flip", True) if flip is None else flip,
        upright=facts.get("upright", True) if upright is None else upright,
        origin=(table.schema.metadata or {}).get(b"source", file.name.encode()).decode(),
    )


def require(columns: list[str], where: str) -> None:
    """ValueError unless the columns image, split and one of label, labels are there."""
    missing = [name for name in ("image", "split") if name not in columns]
    if not {"label", "labels"} & set(columns):
        missing.append("label (or labels)")
    if missing:
        raise ValueError(
            f"{where} must have the columns image, label (or labels) and split. Got {columns}. "
            f"Add {', '.join(missing)}."
        )


def read_split(values: list[str], where: str) -> tuple[np.ndarray, np.ndarray]:
    """(n,) split of every row, and the rows that are train or test, ascending."""
    test = next((name for name in TEST_NAMES if name in values), None)
    if test is None or "train" not in values:
        raise ValueError(
            f"{where}: split must have rows of train and of one of {', '.join(TEST_NAMES)}. "
            f"Got {sorted({str(v) for v in values})[:SHOWN]}. Name the rows of both parts so."
        )
    known = np.array([value in ("train", test) for value in values])
    return np.array([TEST if value == test else TRAIN for value in values], np.uint8), np.flatnonzero(known)


def read_paths(images: pyarrow.ChunkedArray, n: int) -> list[str]:
    """The path inside its source of every image, or its row number where the file does not say."""
    import pyarrow
    import pyarrow.compute

    if pyarrow.types.is_struct(images.type) and "path" in [field.name for field in images.type]:
        paths = pyarrow.compute.struct_field(images, "path").to_pylist()
        return [str(i) if path is None else path for i, path in enumerate(paths)]
    return [str(i) for i in range(n)]
