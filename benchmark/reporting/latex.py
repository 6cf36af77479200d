"""Tables as LaTeX that pdflatex sets with booktabs and nothing else, within the text width of an article.

Every character that comes out is ASCII. A symbol that the tables use becomes its command, an accented letter its
accent, and any other character its code point, as U+4E2D, so that no name of a model or a data set stops the compiler.
"""

from __future__ import annotations

import re
import unicodedata

from benchmark.reporting.layout import MISSING, Grid, continued, fitted

TEXT_WIDTH = 345.0  # points: \textwidth of the article class at 10 pt on letter paper, its narrowest
_SEPARATION = 4.0  # points on either side of a column, \tabcolsep
_SIZES = ((42, r"\small"), (52, r"\footnotesize"), (1000, r"\scriptsize"))  # up to so many rows: a page holds them
_LINE, _TALL = 80, 2  # characters of a line of a caption; rows that each further line takes the place of

COMMANDS = {
    **{"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
    **{"<": "$<$", ">": "$>$", "|": "$|$", '"': "''", "`": r"\textasciigrave{}"},
    **{"±": r"$\pm$", "×": r"$\times$", "≤": r"$\leq$", "≥": r"$\geq$", "−": "$-$", "∣": r"$\mid$", "′": r"$'$"},
    **{
        "ℓ": r"$\ell$",
        "τ": r"$\tau$",
        "ρ": r"$\rho$",
        "Δ": r"$\Delta$",
        "µ": r"$\mu$",
        "μ": r"$\mu$",
        "→": r"$\rightarrow$",
    },
    **{"–": "--", "—": "---", "…": r"\ldots{}", "’": "'", "‘": "`", "“": "``", "”": "''", "·": r"$\cdot$"},
    **{"ß": r"\ss{}", "ø": r"\o{}", "Ø": r"\O{}", "æ": r"\ae{}", "Æ": r"\AE{}", "å": r"\aa{}", "Å": r"\AA{}"},
    **{"ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "²": "$^2$", "³": "$^3$", "°": r"$^\circ$"},
}
_ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327", "`'^~=u.\"rHvc"))  # noqa: B905
_WIDTHS = (  # points of a character at 9 pt, from cmr9.tfm, rounded up
    ("il.,:;'!", 2.6),
    ("fj- ", 3.1),
    ("()[]trsI", 3.7),
    ("0123456789acegoz/*?", 4.65),
    ("m%#±+=@&×≤−Δw", 7.8),
    ("MW", 9.6),
    ("ABCDEFGHKLNOPQRTUVXYZ", 7.3),
)
_OTHER = 5.15
_BOLD = 3.0  # what a bold number takes more


def latex(grid: Grid, whole: bool = False) -> str:
    """The grid as one booktabs table, or several where its columns do not fit beside each other and it has `breaks`.

    A grid without breaks loses its least important columns instead, unless `whole`. In columns where more or
    less is better (`grid.better`) the best of the first block is bold. Caption and label are the grid's.
    """
    if grid.breaks:
        parts = continued(grid, TEXT_WIDTH, width)
    else:
        parts = [grid if whole else fitted(grid, TEXT_WIDTH, width)[0]]
    return "\n".join(_table(part, i, len(parts)) for i, part in enumerate(parts))


def width(grid: Grid) -> float:
    """Points that the grid takes, a little more rather than less."""
    rows = [grid.head, *(row for block in grid.blocks for row in block)]
    columns = [max(_points(row[i]) for row in rows) for i in range(len(grid.head))]
    bold = sum(_BOLD for way in grid.better if way)
    return sum(columns) + bold + 2 * _SEPARATION * (len(columns) - 1)


def tex(text: str) -> str:
    """Plain text with LaTeX's special characters escaped, in ASCII."""
    out = "".join(COMMANDS.get(c) or _ascii(c) for c in unicodedata.normalize("NFC", str(text)))
    out = re.sub(r"\$\\tau\$\\_([bw])", r"$\\tau_\1$", out)
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", out)  # a minus, no hyphen


def _ascii(character: str) -> str:
    if " " <= character <= "~":
        return character
    if character.isspace():
        return " "
    base, *marks = list(unicodedata.normalize("NFD", character))
    if base.isascii() and base.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
        return f"\\{_ACCENTS[marks[0]]}{{{base}}}"
    return f"U+{ord(character):04X}"


def _table(grid: Grid, part: int, parts: int) -> str:
    best = _best(grid)
    blocks = [
        [_row([_cell(c, (b, r, i) in best) for i, c in enumerate(row)]) for r, row in enumerate(block)]
        for b, block in enumerate(grid.blocks)
        if block
    ]
    columns = "l" * grid.left + "r" * (len(grid.head) - grid.left)
    more = f" ({part + 1} of {parts})" if parts > 1 else ""
    label = f"tab:{_slug(grid.label or grid.title)}" + (f"-{part + 1}" if parts > 1 else "")
    caption = (grid.caption or grid.title) + more
    high = sum(map(len, blocks)) + _TALL * (len(caption) // _LINE)
    lines = [
        r"\begin{table}[tp]",
        r"  \centering",
        f"  {next(size for rows, size in _SIZES if high <= rows)}",
        f"  \\setlength{{\\tabcolsep}}{{{_SEPARATION:g}pt}}",
        f"  \\caption{{{tex(caption)}}}",
        f"  \\label{{{label}}}",
        f"  \\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"    \toprule",
        _row([tex(name) for name in grid.head]),
        r"    \midrule",
        "\n    \\midrule\n".join("\n".join(rows) for rows in blocks),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _row(cells: list[str]) -> str:
    return "    " + " & ".join(cells) + r" \\"


def _cell(text: str | None, bold: bool) -> str:
    if text is None:
        return tex(MISSING)
    if not bold:
        return tex(text)
    found = re.match(r"[+-]?[\d.]+", text)
    value = found[0] if found else ""
    return f"\\textbf{{{tex(value)}}}{tex(text.removeprefix(value))}"


def _best(grid: Grid) -> set[tuple[int, int, int]]:
    """(block, row, column) of the cells that are the best of their column, to the digits shown, in the first block."""
    found: set[tuple[int, int, int]] = set()
    for first, block in [(b, block) for b, block in enumerate(grid.blocks) if block][:1]:
        for i, way in enumerate(grid.better):
            values = {r: v for r, row in enumerate(block) if (v := _value(row[i])) is not None}
            if way and len(values) > 1:
                best = (max if way == "high" else min)(values.values())
                found |= {(first, r, i) for r, v in values.items() if v == best}
    return found


def _value(cell: str | None) -> float | None:
    number = re.match(r"[+-]?\d+(\.\d+)?", cell or "")
    return float(number[0]) if number else None


def _points(cell: str | None) -> float:
    return sum(next((w for which, w in _WIDTHS if c in which), _OTHER) for c in (MISSING if cell is None else cell))


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "table"
