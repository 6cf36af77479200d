"""The labels of Arrow tables, as far as their types can be labels: every row's, and the names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.data.labels import Cell, Label, from_multi_hot, read_class_names
from benchmark.data.user.findings import DataError


def is_absent(value: Cell) -> bool:
    """Whether a row has no label: nothing, not a number, or -1, as in test parts of which labels are kept back."""
    return value is None or value == -1 or (isinstance(value, float) and np.isnan(value))


def labels_in(tables: Sequence[Any], column: str, where: str) -> tuple[list[Cell], list[str] | None, list[str]]:
    """The labels of every row, the names of classes where the files have them, and what is to be said."""
    for table in tables:
        _refuse_type(table.schema.field(column).type, where)
    own = [read_class_names(t.schema.metadata or {}, column) for t in tables]
    names, remarks, raw = own[0], list[str](), list[Cell]()
    if len({None if n is None else tuple(n) for n in own}) > 1 and all(own):
        names = list(dict.fromkeys(name for n in own for name in n or ()))
        remarks = [f"{where}: files have their classes in different orders; they are matched by name."]
    for table, of_file in zip(tables, own, strict=True):
        values, of_file, said = from_multi_hot(table[column].to_pylist(), of_file)
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
