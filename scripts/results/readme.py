"""Puts the committed tables into the pages that show them: `python scripts/results/readme.py [check=true]`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "results/diverse.md", "results/small.md", "results/public.md")
MARK = re.compile(r"(<!-- table: (?P<file>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """A page's text with the first table of each marked file; that file's other tables and notes stay there."""
    return MARK.sub(lambda m: f"{m[1]}{table(ROOT / m['file'])}\n{m[3]}", text)


def table(file: Path) -> str:
    """A CSV file as a Markdown table, to one decimal; of a Markdown file its first table."""
    if file.suffix == ".csv":
        import pandas as pd

        return pd.read_csv(file).to_markdown(index=False, floatfmt=".1f")
    lines = file.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    stop = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    return "\n".join(lines[start:stop])


def main(arguments: list[str]) -> int:
    stale = []
    for page in (ROOT / name for name in PAGES):
        text = filled(page.read_text(encoding="utf-8"))
        if text != page.read_text(encoding="utf-8"):
            stale.append(page.name)
            if "check=true" not in arguments:
                page.write_text(text, encoding="utf-8")
    print(f"{', '.join(stale)} changed" if stale else "up to date")
    return int(bool(stale) and "check=true" in arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
