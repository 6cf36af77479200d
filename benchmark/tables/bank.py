"""Scores of methods that see a whole bank, joined to those of one model at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Row = dict[str, object]
Method = Callable[..., object]


@dataclass(frozen=True)
class _Member:
    """What a method made of one model."""

    status: str
    parts: Mapping[str, float]


class Banks:
    """Scores that exist only beside other models: collected while rows are made, then combined over the bank."""

    def __init__(self) -> None:
        self._members: dict[tuple[Method, str, object, object], list[tuple[Row, _Member]]] = {}

    def add(self, function: Method, column: str, row: Row, status: str, parts: Mapping[str, float]) -> None:
        """A model's parts on one draw, where the function declares bank weights; `row` is the table's own row."""
        if getattr(getattr(function, "capabilities", None), "bank", None):
            key = (function, column, row["Run"], row["Target Dataset"])
            self._members.setdefault(key, []).append((row, _Member(status, parts)))

    def finish(self) -> None:
        """Put into each row its score over the bank, per column, draw and target; None where it has none."""
        for (function, column, *_), members in self._members.items():
            from methods.shared.bank import finished

            for (row, _), value in zip(members, finished(function, [m for _, m in members]), strict=True):
                row[column] = float(value) if math.isfinite(value) else None
