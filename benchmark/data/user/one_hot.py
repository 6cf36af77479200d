"""A table with a column a class that holds 0 or 1: which columns these are, and what each image then is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.data.labels import Cell
from benchmark.data.user.findings import DataError
from benchmark.data.user.reading import Reading
from benchmark.data.user.split_column import split_column
from benchmark.data.user.text import Text
from benchmark.wording import plural, some

ONE, ZERO = {"1", "1.0", "1.", "true"}, {"0", "0.0", "0.", "false"}
RARE = 0.01
"""Share of rows below which having no 1, or several, looks like a mistake in a table of one class an image."""


@dataclass(frozen=True)
class OneHot:
    """names of the classes as the columns are called, and per row those that hold a 1; `single`: one in every row.

    what  "columns", or "places" of a cell, which have no names but their numbers
    """

    names: list[str]
    held: list[list[str]]
    single: bool
    what: str = "columns"

    def labels(self, at: Sequence[int]) -> list[Cell]:
        """One label a row, or a list of them."""
        return [self.held[i][0] if self.single else list(self.held[i]) for i in at]

    def sentence(self, where: str) -> str:
        """What is said of the reading."""
        said = f"{where}: the {self.what} {some(self.names)} hold 0 or 1 and are taken for a class each"
        if self.single:
            return f"{said}, one 1 in every row."
        several, none = sum(len(h) > 1 for h in self.held), sum(not h for h in self.held)
        return f"{said}: several labels an image ({plural(several, 'image')} with more than one, {none} with none)."


def one_hot(text: Text, used: Sequence[str | None], where: str) -> OneHot | None:
    """The classes of a table whose columns but those `used` (image, split) hold 0 or 1; None where fewer than two do.

    DataError, with what was seen, where it is doubtful: another column beside them, one that speaks of the split, or
    rows without a 1 that may be unlabelled.
    """
    rest = [c for c in text.columns if c not in used]
    odd = {c: next((v for row in text.rows if (v := _plain(row[c])) not in ONE | ZERO), None) for c in rest}
    names = [c for c in rest if odd[c] is None]
    if len(names) < 2:
        return None
    seen = f"{some(names)} with 0 or 1 in every row"
    if others := [c for c in rest if c not in names]:
        held_else = some([f"{c} with {odd[c]!r}" for c in others])
        raise DataError(
            f"{where} must have a column label, or beside image and split nothing but a column a class. Got {seen}, "
            f"and {held_else}. Name yours with label=<column>, or take the others out."
        )
    if parts := [c for c in names if split_column([c], Reading(), where)]:
        raise DataError(
            f"{where} must have one column for the split. Got {seen}, of which {some(parts)} speaks of the split, too. "
            "Name the right one with split.column=<column>, and take the other out."
        )
    return settled(names, [[c for c in names if _plain(row[c]) in ONE] for row in text.rows], seen, where)


def hot_cells(rows: Sequence[Sequence[str]], where: str) -> OneHot | None:
    """The classes of cells with a 0 or 1 a class, `1 0 1`, taken apart; they are called 0, 1, 2 … None for others.

    Fewer than three in a cell may be labels that are called so. DataError as of `one_hot`.
    """
    count = len(rows[0]) if rows else 0
    if count < 3 or any(len(row) != count or not {_plain(v) for v in row} <= ONE | ZERO for row in rows):
        return None
    held = [[str(k) for k, v in enumerate(row) if _plain(v) in ONE] for row in rows]
    return settled([str(k) for k in range(count)], held, f"{count} times 0 or 1 in every row", where, "places")


def settled(names: list[str], held: list[list[str]], seen: str, where: str, what: str = "columns") -> OneHot:
    """One class an image or several; DataError where rows leave it open."""
    several, none = (sum(test(h) for h in held) for test in (lambda h: len(h) > 1, lambda h: not h))
    if (several or none) and (not several or several + none < RARE * len(held)):
        found = [f"{count} with {what}" for count, what in ((none, "none"), (several, "several")) if count]
        raise DataError(
            f"{where} must have one 1 in every row, or several in many. Got {seen}: of {len(held)} rows "
            f"{' and '.join(found)}. Correct or remove them; what shows none of the classes needs a column of its own."
        )
    return OneHot(names, held, not several, what)


def _plain(cell: str) -> str:
    return cell.strip().lower()
