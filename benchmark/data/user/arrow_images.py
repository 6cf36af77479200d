"""The images of Arrow tables: read from their cells, or from the files that cells name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.user.findings import DataError
from benchmark.data.user.locate import Images
from benchmark.wording import some


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


def reader_of(source: Source) -> Callable[[int], Any]:
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


def files_outside(source: Source, paths: list[str | None], at: list[int]) -> list[Path]:
    """The files that cells name instead of holding images: their bytes decide the result, too."""
    if not source.named:
        return []
    images = Images(source.path if source.path.is_dir() else source.path.parent)
    found = [(name, images.find(name)) for i in at if (name := paths[i])]
    if not is_text(source.tables[0].schema.field(source.image).type):
        return list(dict.fromkeys(file for _, file in found if file))  # of some, the bytes may be there
    if absent := [name for name, file in found if file is None]:
        raise DataError(
            f"{source.path.name}, column {source.image}, must name images that are there. Got {len(absent)} of "
            f"{len(at)} that are not: {some(absent)}. Correct the paths."
        )
    return list(dict.fromkeys(file for _, file in found if file))


def is_text(kind: Any) -> bool:
    from pyarrow import types

    return types.is_string(kind) or types.is_large_string(kind)


def paths_of(source: Source) -> list[str | None]:
    """The path that each row's image cell holds, as far as it does."""
    import pyarrow
    import pyarrow.compute

    out: list[str | None] = []
    for table in source.tables:
        column = table[source.image] if source.image in table.column_names else None
        if column is not None and is_text(column.type):
            out += column.to_pylist()
        elif column is not None and pyarrow.types.is_struct(column.type) and "path" in [f.name for f in column.type]:
            out += pyarrow.compute.struct_field(column, "path").to_pylist()
        else:
            out += [None] * table.num_rows
    return out
