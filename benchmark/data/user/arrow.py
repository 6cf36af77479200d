"""A listing from Parquet files or a data set that the package `datasets` saved."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from benchmark.data.images import is_tool
from benchmark.data.parquet import Shards
from benchmark.data.user.arrow_images import Source, files_outside, is_text, paths_of, reader_of
from benchmark.data.user.arrow_labels import is_absent, labels_in
from benchmark.data.user.cells import is_none, labels_of, unlabelled
from benchmark.data.user.findings import DataError
from benchmark.data.user.parts import part_of
from benchmark.data.user.reading import Reading
from benchmark.data.user.rows import Listing, classes_and_labels, rows_used
from benchmark.data.user.split_column import split_column, split_of
from benchmark.data.user.table import IMAGE_COLUMNS, LABEL_COLUMNS, column_named
from benchmark.files import record
from benchmark.wording import some

SAVE = "Save the data set again."


def parquet_files(root: Path) -> list[Path]:
    """The Parquet files of a folder, at any depth, in the order of their paths."""
    found = (p for p in root.rglob("*.parquet") if p.is_file())
    return sorted(p for p in found if not any(map(is_tool, p.relative_to(root).parts)))


def from_parquet(path: Path, reading: Reading) -> Listing:
    """A Parquet file, or a folder of them (train-*.parquet, train/*.parquet …), read a row group at a time."""
    import pyarrow.parquet

    files = [path] if path.is_file() else parquet_files(path)
    try:
        schema = pyarrow.parquet.read_schema(files[0])
        image, label = _names(schema.names, reading, path)
        split = split_column(schema.names, reading, path.name)
        wanted = [label, *([split] if split else []), *_path_column(schema, image)]
        tables = [pyarrow.parquet.ParquetFile(file).read(columns=wanted) for file in files]
    except DataError:
        raise
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise DataError(f"{path.name} must be a Parquet file. Got one that cannot be read ({error}).") from None
    shards, lock = Shards(files, image), Lock()

    def cell(row: int) -> Any:
        with lock:  # threads share the row group that is in memory
            return shards[row]

    parts = [None if file is path else _part(file.relative_to(path)) for file in files]
    kind = schema.field(image).type
    empty = pyarrow.types.is_struct(kind) and any(f.name == "bytes" and pyarrow.types.is_null(f.type) for f in kind)
    named = is_text(kind) or empty or any(_lacks_bytes(file, image) for file in files)
    return _from_arrow(Source(path, image, label, split, tables, parts, files, cell, named), reading)


def _part(file: Path) -> str | None:
    """The part that a shard's name speaks of, or else the nearest folder above it."""
    names = (file.stem.partition("-")[0], *reversed(file.parent.parts), file.stem)
    found = [part for name in names if (part := part_of(name))]
    return next((part.part for part in sorted(found, key=lambda part: not part.sure)), None)


def _lacks_bytes(file: Path, image: str) -> bool:
    """Whether the file says that some of its images' structs hold no bytes."""
    import pyarrow.parquet

    facts = pyarrow.parquet.read_metadata(file)
    columns = [facts.row_group(g).column(c) for g in range(facts.num_row_groups) for c in range(facts.num_columns)]
    held = [c.statistics for c in columns if c.path_in_schema == f"{image}.bytes"]
    return any(s is not None and s.null_count for s in held)


def _names(columns: Sequence[str], reading: Reading, path: Path) -> tuple[str, str]:
    return (
        column_named(columns, reading.image, IMAGE_COLUMNS, path),
        column_named(columns, reading.label, LABEL_COLUMNS, path),
    )


def _path_column(schema: Any, image: str) -> list[str]:
    """The part of the image column that holds paths, as a list of one, none where it has no such part."""
    from pyarrow import types

    kind = schema.field(image).type
    if is_text(kind):
        return [image]
    return [f"{image}.path"] if types.is_struct(kind) and "path" in [f.name for f in kind] else []


def from_saved(path: Path, reading: Reading) -> Listing:
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
    image, label = _names(tables[0].column_names, reading, path)
    ends = np.cumsum([t.num_rows for t in tables])

    def cell(row: int) -> Any:
        part = int(np.searchsorted(ends, row, side="right"))
        return tables[part][image][int(row - (ends[part - 1] if part else 0))].as_py()

    split = split_column(tables[0].column_names, reading, path.name)
    named = any(is_text(t.schema.field(image).type) or _bytes_missing(t[image]) for t in tables)
    return _from_arrow(Source(path, image, label, split, tables, owners, files, cell, named), reading)


def _bytes_missing(column: Any) -> bool:
    import pyarrow
    import pyarrow.compute

    held = pyarrow.types.is_struct(column.type) and "bytes" in [f.name for f in column.type]
    return held and pyarrow.compute.struct_field(column, "bytes").null_count > 0


def _from_arrow(source: Source, reading: Reading) -> Listing:
    path, tables = source.path, source.tables
    metadata = tables[0].schema.metadata or {}
    where = f"{path.name}, column {source.label}"
    raw, names, remarks = labels_in(tables, source.label, where)
    texts = {i: v for i, v in enumerate(raw) if isinstance(v, str)}
    if names is None and len(texts) == sum(v is not None for v in raw):
        labelled = [i for i, v in texts.items() if not is_none(v)]
    else:
        labelled = [i for i, v in enumerate(raw) if not is_absent(v)]
    remarks += unlabelled([f"row {i}" for i in sorted(set(range(len(raw))) - set(labelled))], "row")
    split, said = _split(source, reading, labelled)
    kept, split = rows_used(split)
    at = [labelled[i] for i in kept]
    values = [raw[i] for i in at]
    if names is None and values and all(isinstance(v, str) for v in values):
        values, told = labels_of(values, [], ",", reading.separator, where)
        remarks += told
    class_names, labels = classes_and_labels(values, names, where)
    paths = paths_of(source)
    return Listing(
        at,
        reader_of(source),
        [f"row {i}{f', {paths[i]}' if paths[i] else ''}" for i in at],
        labels,
        split,
        class_names,
        [*source.files, *files_outside(source, paths, at)],
        metadata.get(b"source", path.name.encode()).decode(),
        remarks + said,
        json.loads(metadata.get(b"facts", b"{}")),
    )


def _split(source: Source, reading: Reading, rows: list[int]) -> tuple[np.ndarray, list[str]]:
    """The split of the rows: by the column, or by the files' names."""
    if source.split is not None:
        values = [v for t in source.tables for v in t[source.split].to_pylist()]
        return split_of(source.split, [values[i] for i in rows], reading, source.path.name)
    known = [part for part in source.parts if part]
    if known and len(known) < len(source.parts):
        strange = [f.name for f, part in zip(source.files, source.parts, strict=True) if not part]
        raise DataError(
            f"{source.path.name} must hold files called train-… and test-… Got {some(strange)} beside them. "
            "Move them away, or rename them."
        )
    parts = [part for t, part in zip(source.tables, source.parts, strict=True) for _ in range(t.num_rows)]
    return split_of("split" if known else None, [parts[i] for i in rows], reading, source.path.name)
