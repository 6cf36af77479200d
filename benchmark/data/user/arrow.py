"""A listing from Parquet files or a data set that the package `datasets` saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from benchmark.data.images import is_tool
from benchmark.data.labels import Cell, Label, from_multi_hot, read_class_names
from benchmark.data.parquet import Shards
from benchmark.data.user.cells import is_none, labels_of, unlabelled
from benchmark.data.user.findings import DataError
from benchmark.data.user.locate import Images
from benchmark.data.user.parts import part_of
from benchmark.data.user.reading import Reading
from benchmark.data.user.rows import Listing, classes_and_labels, rows_used
from benchmark.data.user.split_column import split_column, split_of
from benchmark.data.user.table import IMAGE_COLUMNS, LABEL_COLUMNS, column_named
from benchmark.files import record
from benchmark.wording import some

SAVE = "Save the data set again."


@dataclass(frozen=True)
class Source:
    """Tables of one path, in order: their labels and splits without images, and how an image's cell is had.

    parts  per table, the part of a split that its file is named after; None where it names none
    named  whether cells hold paths of images instead of their bytes
    """

    path: Path
    image: str
    label: str
    split: str | None
    tables: list[Any]
    parts: list[str | None]
    files: list[Path]
    cell: Callable[[int], Any]
    named: bool


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
    named = _is_text(kind) or empty or any(_lacks_bytes(file, image) for file in files)
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
    if _is_text(kind):
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
    named = any(_is_text(t.schema.field(image).type) or _bytes_missing(t[image]) for t in tables)
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
    raw, names, remarks = _labels(source, where)
    texts = {i: v for i, v in enumerate(raw) if isinstance(v, str)}
    if names is None and len(texts) == sum(v is not None for v in raw):
        labelled = [i for i, v in texts.items() if not is_none(v)]
    else:
        labelled = [i for i, v in enumerate(raw) if not _absent(v)]
    remarks += unlabelled([f"row {i}" for i in sorted(set(range(len(raw))) - set(labelled))], "row")
    split, said = _split(source, reading, labelled)
    kept, split = rows_used(split)
    at = [labelled[i] for i in kept]
    values = [raw[i] for i in at]
    if names is None and values and all(isinstance(v, str) for v in values):
        values, told = labels_of(values, [], ",", reading.separator, where)
        remarks += told
    class_names, labels = classes_and_labels(values, names, where)
    paths = _paths(source)
    return Listing(
        at,
        _reader(source),
        [f"row {i}{f', {paths[i]}' if paths[i] else ''}" for i in at],
        labels,
        split,
        class_names,
        [*source.files, *_outside(source, paths, at)],
        metadata.get(b"source", path.name.encode()).decode(),
        remarks + said,
        json.loads(metadata.get(b"facts", b"{}")),
    )


def _absent(value: Cell) -> bool:
    """Whether a row has no label: nothing, not a number, or -1, as in test parts of which labels are kept back."""
    return value is None or value == -1 or (isinstance(value, float) and np.isnan(value))


def _labels(source: Source, where: str) -> tuple[list[Cell], list[str] | None, list[str]]:
    """The labels of every row, the names of classes where the files have them, and what is to be said."""
    for table in source.tables:
        _refuse_type(table.schema.field(source.label).type, where)
    own = [read_class_names(t.schema.metadata or {}, source.label) for t in source.tables]
    names, remarks, raw = own[0], list[str](), list[Cell]()
    if len({None if n is None else tuple(n) for n in own}) > 1 and all(own):
        names = list(dict.fromkeys(name for n in own for name in n or ()))
        remarks = [f"{where}: files have their classes in different orders; they are matched by name."]
    for table, of_file in zip(source.tables, own, strict=True):
        values, of_file, said = from_multi_hot(table[source.label].to_pylist(), of_file)
        names = of_file if names is None else names
        remarks += [f"{where}: {said}"] if said else []
        raw += values if of_file == names else [_renamed(v, of_file or [], names or []) for v in values]
    return raw, names, list(dict.fromkeys(remarks))


def _renamed(value: Cell, of_file: list[str], names: list[str]) -> Cell:
    """The ids of one file's classes as those of all."""
    if isinstance(value, list):
        return [_as_of_all(v, of_file, names) for v in value]
    return _as_of_all(value, of_file, names)


def _as_of_all(value: Label, of_file: list[str], names: list[str]) -> Label:
    known = isinstance(value, int) and 0 <= value < len(of_file)
    return names.index(of_file[value]) if isinstance(value, int) and known else value


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


def _reader(source: Source) -> Callable[[int], Any]:
    below = source.path if source.path.is_dir() else source.path.parent
    images: list[Images] = []

    def file(name: str) -> bytes:
        if not images:
            images.append(Images(below))
        found = images[0].find(name)
        if found is None:
            raise FileNotFoundError(2, f"no file {name} beside the table")
        return found.read_bytes()

    def read(row: int) -> Any:
        value = source.cell(row)
        if isinstance(value, str):
            return file(value)
        if isinstance(value, list):
            return np.array(value)
        data = value.get("bytes") if isinstance(value, dict) else value
        if not data and isinstance(value, dict) and value.get("path"):
            return file(value["path"])
        return data or b""

    return read


def _outside(source: Source, paths: list[str | None], at: list[int]) -> list[Path]:
    """The files that cells name instead of holding images: their bytes decide the result, too."""
    if not source.named:
        return []
    images = Images(source.path if source.path.is_dir() else source.path.parent)
    found = [(name, images.find(name)) for i in at if (name := paths[i])]
    if not _is_text(source.tables[0].schema.field(source.image).type):
        return list(dict.fromkeys(file for _, file in found if file))  # of some, the bytes may be there
    if absent := [name for name, file in found if file is None]:
        raise DataError(
            f"{source.path.name}, column {source.image}, must name images that are there. Got {len(absent)} of "
            f"{len(at)} that are not: {some(absent)}. Correct the paths."
        )
    return list(dict.fromkeys(file for _, file in found if file))


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return types.is_string(kind) or types.is_large_string(kind)


def _paths(source: Source) -> list[str | None]:
    """The path that each row's image cell holds, as far as it does."""
    import pyarrow
    import pyarrow.compute

    out: list[str | None] = []
    for table in source.tables:
        column = table[source.image] if source.image in table.column_names else None
        if column is not None and _is_text(column.type):
            out += column.to_pylist()
        elif column is not None and pyarrow.types.is_struct(column.type) and "path" in [f.name for f in column.type]:
            out += pyarrow.compute.struct_field(column, "path").to_pylist()
        else:
            out += [None] * table.num_rows
    return out


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
