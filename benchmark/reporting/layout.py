"""One table as terminal output and Markdown (LaTeX: `reporting.latex`). Cells are text already; `None` is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

MISSING = "–"


@dataclass(frozen=True)
class Grid:
    """A titled table; blocks of rows are set apart by a line, the first `left` columns are aligned to the left.

    words   positions of further columns that are aligned to the left
    better  per column `high`, `low` or nothing: which value is the best
    order   positions of the columns, the most important first: what has no room goes from the end; as they stand
    breaks  positions of the columns that may begin a new part: what has no room is continued below, beside the left
            columns again, and nothing is left out; empty: see `order`
    caption, label  of the LaTeX table; the title where empty
    """

    title: str
    head: Sequence[str]
    blocks: Sequence[Sequence[Sequence[str | None]]]
    left: int = 1
    words: Sequence[int] = ()
    better: Sequence[str] = ()
    order: Sequence[int] = ()
    breaks: Sequence[int] = ()
    caption: str = ""
    label: str = ""

    def only(self, columns: Sequence[int]) -> Grid:
        """The grid with some of its columns, in that order."""
        new = {old: i for i, old in enumerate(columns)}
        return replace(
            self,
            head=[self.head[i] for i in columns],
            blocks=[[[row[i] for i in columns] for row in block] for block in self.blocks],
            left=sum(i < self.left for i in columns),
            words=[new[i] for i in self.words if i in new],
            better=[self.better[i] for i in columns] if self.better else (),
            order=[new[i] for i in self.order if i in new],
            breaks=[new[i] for i in self.breaks if i in new],
        )


def fitted(grid: Grid, room: float, width: Callable[[Grid], float]) -> tuple[Grid, list[str]]:
    """The grid without its least important columns, as many as have no room, and their headings.

    The two most important stay. `width` measures a grid in the unit of `room`.
    """
    keep = list(grid.order or range(len(grid.head)))
    while len(keep) > 2 and width(grid.only(sorted(keep))) > room:
        keep.pop()
    gone = [name for i, name in enumerate(grid.head) if i not in keep]
    return (grid.only(sorted(keep)) if gone else grid), gone


def continued(grid: Grid, room: float, width: Callable[[Grid], float]) -> list[Grid]:
    """The grid in as many parts as it takes, each with the left columns and as many of the others as have room."""
    lead, ends = list(range(grid.left)), [*grid.breaks[1:], len(grid.head)]
    parts: list[list[int]] = []
    for start, end in zip(grid.breaks, ends, strict=True):
        together = list(range(start, end))
        if parts and width(grid.only([*lead, *parts[-1], *together])) <= room:
            parts[-1] += together
        else:
            parts.append(together)
    return [grid.only([*lead, *part]) for part in parts] if len(parts) > 1 else [grid]


def number(value: float, digits: int = 1) -> str | None:
    """A number with a fixed count of decimals; None where there is none, and no minus before zero."""
    if value is None or value != value:
        return None
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def spread(value: float, sd: float, digits: int = 1) -> str | None:
    """`53.0 ± 0.9`; the value alone where there is no sd, as of a single draw."""
    first, second = number(value, digits), number(sd, digits)
    return first if first is None or second is None else f"{first} ± {second}"


def between(low: float, high: float, digits: int = 0) -> str | None:
    """`44 to 85`."""
    first, second = number(low, digits), number(high, digits)
    return None if first is None or second is None else f"{first} to {second}"


def markdown(grid: Grid) -> str:
    """A pipe table under its title; blocks follow each other with an empty row between."""
    empty = [""] * len(grid.head)
    body = [row for i, block in enumerate(b for b in grid.blocks if b) for row in ([empty] if i else []) + list(block)]
    rows = [[MISSING if c is None else str(c).replace("|", "\\|") for c in row] for row in [grid.head, *body]]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(grid.head))]
    rule = ["-" * w if i < grid.left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    pad = lambda row: [c.ljust(w) if i < grid.left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))]  # noqa: B905, E731
    lines = ["| " + " | ".join(line) + " |" for line in (pad(rows[0]), rule, *map(pad, rows[1:]))]
    return f"**{grid.title}**\n\n" + "\n".join(lines) + "\n"


def show(grid: Grid, console: Any, where: str = "") -> None:
    """Print a grid on a rich console: no name is cut; columns without room are continued below or left out and named.

    where  says in which file all columns are
    """
    if grid.breaks:
        parts = continued(grid, console.width, _cells)
        for i, part in enumerate(parts):
            more = f" ({i + 1} of {len(parts)})" if len(parts) > 1 else ""
            _print(replace(part, title=part.title + more), console)
        return
    seen, gone = fitted(grid, console.width, _cells)
    _print(seen, console)
    if gone:
        place = f" All columns: {where}" if where else ""
        console.print(f"No room for {', '.join(gone)}.{place}\n", style="dim", highlight=False, markup=False)


def _print(grid: Grid, console: Any) -> None:
    from rich.text import Text

    console.print(Text(grid.title, "bold"))
    console.print(_table(grid))
    console.print()


def printer() -> Any:
    """A rich console as wide as the terminal, or as `COLUMNS` says; as wide as it takes where there is no terminal."""
    import os

    from rich.console import Console

    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 10_000
    return console


def _cells(grid: Grid) -> int:
    """Terminal cells that the grid takes."""
    from rich.cells import cell_len

    rows = [grid.head, *(row for block in grid.blocks for row in block)]
    widest = [max(cell_len(MISSING if row[i] is None else str(row[i])) for row in rows) for i in range(len(grid.head))]
    return sum(widest) + 3 * (len(widest) - 1)


def _table(grid: Grid) -> Any:
    """A rich Table."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for i, name in enumerate(grid.head):
        left = i < grid.left or i in grid.words
        table.add_column(
            Text(name), justify="left" if left else "right", no_wrap=not left, overflow="fold" if left else "ellipsis"
        )
    for block in grid.blocks:
        for i, row in enumerate(block):
            cells = [Text(MISSING, "dim") if c is None else Text(str(c)) for c in row]
            table.add_row(*cells, end_section=i == len(block) - 1)
    return table
