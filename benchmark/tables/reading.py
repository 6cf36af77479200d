"""Files that somebody else made, as tables or arrays: whatever is wrong with one is a ValueError that says it."""

from __future__ import annotations

import csv
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.wording import said

KINDS = {
    b"PAR1": "a Parquet file. Call it .parquet",
    b"PK\x03\x04": "a zip file (Excel's .xlsx and NumPy's .npz are some). Save a CSV table",
    b"\x1f\x8b": "a file compressed with gzip. Unpack it",
    b"\xff\xfe": "text in UTF-16. Save it as UTF-8",
    b"\xfe\xff": "text in UTF-16. Save it as UTF-8",
    b"\xd0\xcf\x11\xe0": "an old Excel file. Save a CSV table",
    b"version https://git-lfs": "a pointer of git-lfs. Fetch what it points to with `git lfs pull`",
}


def table(path: Path, text: Iterable[str] = (), rows: bool = True) -> pd.DataFrame:
    """A CSV (UTF-8, commas, a header) or Parquet table with at least one row.

    rows  whether it must have any
    text  columns that are names: numbers in them are kept as they are written, and "None" or "NA" are names, too
    """
    _is_file(path, "a CSV or Parquet table")
    found = _parquet(path) if path.suffix == ".parquet" else _csv(path, set(text))
    if rows and not len(found):
        raise ValueError(f"{path} must have rows below its header. Got none.")
    for name in set(text) & set(found):
        known = found[name].notna()
        found[name] = found[name].astype(object).where(~known, found[name].astype(str))
    return found


def arrays(path: Path) -> list[tuple[str, np.ndarray]]:
    """The named arrays of a .npz or .safetensors file."""
    if path.suffix not in (".npz", ".safetensors"):
        raise ValueError(f"features must be .npz or .safetensors. Got {path.name}.")
    _is_file(path, "a file of arrays")
    try:
        return _safetensors(path) if path.suffix == ".safetensors" else _npz(path)
    except MemoryError:
        raise ValueError(f"{path} must fit into memory. Got arrays that do not. Score fewer at a time.") from None


def _is_file(path: Path, kind: str) -> None:
    if path.is_dir():
        raise ValueError(f"{path} must be {kind}. Got a folder.")
    if not path.is_file():
        raise ValueError(f"{path} must be a file. Got nothing there.")
    if not path.stat().st_size:
        raise ValueError(f"{path} must be {kind}. Got an empty file.")


def _csv(path: Path, text: set[str]) -> pd.DataFrame:
    content = path.read_bytes()
    for start, kind in KINDS.items():
        if content.startswith(start):
            raise ValueError(f"{path} must be a CSV table. Got {kind}.")
    if b"\x00" in content:
        raise ValueError(f"{path} must be a CSV table in UTF-8. Got binary data, or text in another encoding.")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be text in UTF-8. Got byte {error.start}, which is none. Save it so.") from None
    try:
        header = next(csv.reader(lines), [])
        _refuse_doubled(header, path)
        missing = {name: ["", "nan", "NaN", "NA", "N/A", "n/a", "null", "NULL", "None"] for name in header}
        named = {name: "str" for name in header if name in text}
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows that are longer than the header
            return pd.read_csv(
                path,
                encoding="utf-8-sig",
                index_col=False,
                dtype=named,
                keep_default_na=False,
                na_values=missing | {name: [""] for name in named},
                low_memory=False,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, csv.Error) as error:
        raise ValueError(
            f"{path} must be a CSV table, as many fields in each row as in the header. Got {said(error)}."
        ) from None


def _parquet(path: Path) -> pd.DataFrame:
    import pyarrow

    try:
        found = pd.read_parquet(path)
        for name in range(found.shape[1]):
            found.iloc[:, name].to_numpy(object)  # text that is none is noticed only here
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} must be a whole Parquet file. Got one that cannot be read: {said(error)}.") from None
    found.columns = [str(name) for name in found.columns]
    _refuse_doubled(found.columns, path)
    for name, kind in found.dtypes.items():  # numbers that know of missing ones in a way of pandas' own
        if pd.api.types.is_extension_array_dtype(kind) and pd.api.types.is_numeric_dtype(kind):
            found[name] = found[name].to_numpy(float, na_value=np.nan)
    return found


def _refuse_doubled(names: Iterable[str], path: Path) -> None:
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise ValueError(f"{path} must have each column once. Got '{doubled[0]}' several times.")


def _npz(path: Path) -> list[tuple[str, np.ndarray]]:
    try:
        with np.load(path, allow_pickle=False) as held:
            return [(key, held[key]) for key in held.files]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, AttributeError, TypeError, NotImplementedError) as error:
        what = f"one that cannot be read: {said(error)}"
    except (ValueError, SyntaxError, KeyError) as error:
        words = said(error)
        what = f"an object array, which is not read: {words}" if "llow_pickle" in words else f"something else: {words}"
    raise ValueError(f"{path} must hold plain arrays, as numpy.savez writes them. Got {what}.")


def _safetensors(path: Path) -> list[tuple[str, np.ndarray]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return list(load_file(path).items())
    except (SafetensorError, OSError, ValueError) as error:
        what = f"one that cannot be read: {said(error)}"
    except (KeyError, TypeError, AttributeError) as error:
        what = f"numbers that NumPy has no type for ({said(error)}). Save them as float32"
    raise ValueError(f"{path} must be a whole safetensors file. Got {what}.")
