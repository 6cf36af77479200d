"""Puts the committed tables into the pages that show them: `python scripts/results/readme.py [check=true]`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from page_files import command  # noqa: E402

PAGES = ("README.md", "results/diverse.md", "results/small.md", "results/public.md")
MARK = re.compile(
    r"(<!-- table: (?P<file>\S+)(?: columns: (?P<columns>[^;]+); rows: (?P<rows>.+?))? -->\n).*?(<!-- end -->)",
    re.DOTALL,
)
"""Where a table stands in a page: its file, and the columns and rows that are shown where not all are."""


def filled(text: str) -> str:
    """A page's text with the first table of each marked file; that file's other tables and notes stay there."""

    def put(mark: re.Match[str]) -> str:
        shown = table(ROOT / mark["file"])
        if mark["columns"]:
            shown = part(shown, mark["columns"].split(", "), mark["rows"].split(", "))
        return f"{mark[1]}{shown}\n<!-- end -->"

    return MARK.sub(put, text)


def part(text: str, columns: Sequence[str], rows: Sequence[str]) -> str:
    """Some columns of a Markdown table, and the rows that begin with the given words, in its own order."""
    head, rule, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines())
    if unknown := [name for name in columns if name not in head] + [r for r in rows if r not in {c[0] for c in body}]:
        raise ValueError(f"a marked table must have its columns and rows. Got no {', '.join(unknown)}.")
    places = [head.index(name) for name in columns]
    kept = [head, rule, *(cells for cells in body if cells[0] in rows)]
    return "\n".join(f"| {' | '.join(cells[i] for i in places)} |" for cells in kept)


def table(file: Path) -> str:
    """A CSV file as a Markdown table, to one decimal; of a Markdown file its first table."""
    if file.suffix == ".csv":
        import pandas as pd

        return pd.read_csv(file).to_markdown(index=False, floatfmt=".1f")
    lines = file.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    stop = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    return "\n".join(lines[start:stop])


def pages() -> dict[Path, str]:
    return {ROOT / name: filled((ROOT / name).read_text(encoding="utf-8")) for name in PAGES}


if __name__ == "__main__":
    sys.exit(command(pages, sys.argv[1:]))
