"""Put the committed tables into README.md, between their markers: `python scripts/readme.py [check=true]`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MARK = re.compile(r"(<!-- table: (?P<file>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """README text with the first table of each marked file; its other tables and notes stay in that file."""
    return MARK.sub(lambda m: f"{m[1]}{first_table((ROOT / m['file']).read_text())}\n{m[3]}", text)


def first_table(markdown: str) -> str:
    """The first run of lines that start with a bar."""
    lines = markdown.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    stop = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    return "\n".join(lines[start:stop])


def main(arguments: list[str]) -> int:
    readme = ROOT / "README.md"
    text = filled(readme.read_text())
    if "check=true" in arguments:
        same = text == readme.read_text()
        print("README.md is up to date" if same else "README.md must be made again: python scripts/readme.py")
        return int(not same)
    readme.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
