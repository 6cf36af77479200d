"""A table of text as rows and columns: its encoding and its delimiter found, cells beyond the last column kept."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.data.images import SUFFIXES
from benchmark.data.user.findings import DataError

DELIMITERS = ("\t", ";", ",", "|")
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class Text:
    """columns  their names, as they stand
    rows      a mapping of column to cell each
    beyond    per row, the cells beyond the last column
    """

    columns: list[str]
    rows: list[dict[str, str]]
    beyond: list[list[str]]
    delimiter: str
    remarks: list[str] = field(default_factory=list)


def read_rows(path: Path) -> Text:
    """The rows of a CSV or TSV file. DataError for what is no text, or has no row."""
    text, remarks = _decoded(path)
    head = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=lambda d: (head.count(d), -DELIMITERS.index(d)))
    try:
        lines = [cells for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(cells)]
    except csv.Error as error:
        raise DataError(f"{path.name} must be a table of text. Got a line that is none ({error}). Mend it.") from None
    if not lines:
        raise DataError(f"{path.name} must have a line of column names. Got an empty file. Name images and labels.")
    columns = [c.strip() for c in lines[0]]
    if Path(columns[0]).suffix.lower() in SUFFIXES:
        columns = ["image", "label", *(f"column {i}" for i in range(3, len(columns) + 1))][: len(columns)]
        remarks.append(f"{path.name} has no line of column names: the first column is the image, the second the label.")
    else:
        lines = lines[1:]
    n = len(columns)
    rows = [dict(zip(columns, [*cells, *[""] * (n - len(cells))], strict=False)) for cells in lines]
    return Text(
        [c for c in columns if c], rows, [[c for c in cells[n:] if c.strip()] for cells in lines], delimiter, remarks
    )


def _decoded(path: Path) -> tuple[str, list[str]]:
    data = path.read_bytes()
    encoding = next((name for bom, name in BOMS if data.startswith(bom)), None)
    if encoding is None and b"\0" in data[:100]:
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    try:
        return data.decode(encoding or "utf-8"), [] if encoding in (None, "utf-8-sig") else [_said(path, "UTF-16")]
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("cp1252"), [_said(path, "Windows-1252")]
    except UnicodeDecodeError:
        raise DataError(f"{path.name} must be text in UTF-8. Got other bytes. Save it as CSV in UTF-8.") from None


def _said(path: Path, encoding: str) -> str:
    return f"{path.name} is not in UTF-8, and read as {encoding}: check the names of the classes."
