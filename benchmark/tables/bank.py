"""Scores of methods that see a whole bank, joined to those of one model at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any


class Banks:
    """Scores that exist only beside other models: collected while rows are made, then combined over the bank."""

    def __init__(self) -> None:
        self._members: dict[tuple, list[tuple[dict, Any]]] = {}

    def add(self, function: Callable[..., Any], column: str, row: dict, status: str, parts: Mapping) -> None:
        """A model's parts on one draw, where the function declares bank weights; `row` is the table's own row."""
        if getattr(getattr(function, "capabilities", None), "bank", None):
            member = SimpleNamespace(status=status, parts=parts)
            key = (function, column, row["Run"], row["Target Dataset"])
            self._members.setdefault(key, []).append((row, member))

    def finish(self) -> None:
        """Put into each row its score over the bank, per column, draw and target; None where it has none."""
        for (function, column, *_), members in self._members.items():
            from methods.shared.bank import finished

            for (row, _), value in zip(members, finished(function, [m for _, m in members]), strict=True):
                row[column] = float(value) if math.isfinite(value) else None
