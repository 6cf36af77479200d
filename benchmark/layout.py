"""One table as terminal output, Markdown and LaTeX. Cells are text already; `None` is a missing cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MISSING = "–"
_TEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}"}
_TEX |= {"^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "±": r"$\pm$", "ℓ": r"$\ell$", "×": r"$\times$"}
_TEX |= {"τ": r"$\tau$", "ρ": r"$\rho$", "–": "--", "∣": r"$\mid$", "≤": r"$\leq$", "−": "$-$"}


@dataclass(frozen=True)
class Grid:
    """A titled table; blocks of rows are set apart by a line, the first `left` columns are aligned to the left."""

    title: str
    head: Sequence[str]
    blocks: Sequence[Sequence[Sequence[str | None]]]
    left: int = 1


def number(value: float, digits: int = 1) -> str | None:
    """A number with a fixed count of decimals; None where there is none, and no minus before zero."""
    if value is None or value != value:
        return None
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def spread(value: float, sd: float, digits: int = 1) -> str | None:
    """`53.0 ± 0.9`."""
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


def latex(grid: Grid) -> str:
    """A booktabs tabular with its title as the caption."""
    line = lambda row: "    " + " & ".join(tex(MISSING if c is None else c) for c in row) + r" \\"  # noqa: E731
    blocks = [[line(row) for row in block] for block in grid.blocks if block]
    body = "\n    \\midrule\n".join("\n".join(block) for block in blocks)
    columns = "l" * grid.left + "r" * (len(grid.head) - grid.left)
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            f"  \\caption{{{tex(grid.title)}}}",
            f"  \\begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            line(grid.head),
            r"    \midrule",
            *([body] if body else []),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def tex(text: str) -> str:
    """Plain text with LaTeX's special characters escaped."""
    escaped = "".join(_TEX.get(c, c) for c in str(text))
    return escaped.replace(r"$\tau$\_b", r"$\tau_b$").replace(r"$\tau$\_w", r"$\tau_w$")


def terminal(grid: Grid) -> Any:
    """A rich Table."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(grid.title, "bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(grid.head):
        table.add_column(Text(name), justify="left" if i < grid.left else "right", no_wrap=i >= grid.left)
    for block in grid.blocks:
        for i, row in enumerate(block):
            cells = [Text(MISSING, "dim") if c is None else Text(str(c)) for c in row]
            table.add_row(*cells, end_section=i == len(block) - 1)
    return table
