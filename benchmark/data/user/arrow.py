"""A listing from Parquet files or a data set that the package `datasets` saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from benchmark.data.labels import read_class_names
from benchmark.data.parquet import ImageCell, Shards
from benchmark.data.user.findings import DataError
from benchmark.data.user.rows import Listing, classes_and_labels, rows_used
from benchmark.data.user.table import IMAGE_COLUMNS, LABEL_COLUMNS, column_named
from benchmark.files import record

if TYPE_CHECKING:
    import pyarrow


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
    single = len(files) == 1 and path.is_file()
    parts = [None if single else file.stem.partition("-")[0] for file in files]
    shards, lock = Shards(files, image), Lock()

    def cell(row: int) -> ImageCell:
        with lock:  # threads share the row group that is in memory
            return shards[row]

    return _from_arrow(tables, parts, files, path, image, label, cell)


def _names(columns: Sequence[str], image: str | None, label: str | None, path: Path) -> tuple[str, str]:
    return column_named(columns, image, IMAGE_COLUMNS, path), column_named(columns, label, LABEL_COLUMNS, path)


def _path_column(schema: pyarrow.Schema, image: str) -> list[str]:
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

    def cell(row: int) -> ImageCell:
        part = int(np.searchsorted(ends, row, side="right"))
        return tables[part][image][int(row - (ends[part - 1] if part else 0))].as_py()

    return _from_arrow(tables, owners, files, path, image, label, cell)


def _from_arrow(
    tables: list[pyarrow.Table],
    parts: list[str | None],
    files: list[Path],
    path: Path,
    image: str,
    label: str,
    cell: Callable[[int], ImageCell],
) -> Listing:
    metadata = tables[0].schema.metadata or {}
    given = "split" in tables[0].column_names
    splits = [
        v
        for t, part in zip(tables, parts, strict=True)
        for v in (t["split"].to_pylist() if given else [part] * t.num_rows)
    ]
    raw = [value for t in tables for value in t[label].to_pylist()]
    kept, split, remarks = rows_used(splits, path.name)
    where = f"{path.name}, column {label}"
    for table in tables:
        _refuse_type(table.schema.field(label).type, where)
    class_names, labels = classes_and_labels([raw[i] for i in kept], read_class_names(metadata, label), where)

    def read(row: int) -> bytes:
        value = cell(row)
        data = value.get("bytes") if isinstance(value, dict) else value
        if not data and isinstance(value, dict) and (file := value.get("path")):
            return ((path if path.is_dir() else path.parent) / file).read_bytes()
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


def _paths(column: pyarrow.ChunkedArray) -> list[str | None]:
    import pyarrow
    import pyarrow.compute

    if pyarrow.types.is_struct(column.type) and "path" in [f.name for f in column.type]:
        return pyarrow.compute.struct_field(column, "path").to_pylist()
    return [None] * len(column)


def _refuse_type(kind: pyarrow.DataType, where: str) -> None:
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
