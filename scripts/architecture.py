"""The picture and the table of docs/architecture.md, drawn from the import graph: `python scripts/architecture.py`.

A floor is a line of the import contract in pyproject.toml; a room's purpose is the first sentence of its docstring;
what it uses is what its modules import. So the page cannot say what the code does not do; a test compares them.
"""

from __future__ import annotations

import ast
import html
import re
import sys
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PAGE, PICTURE = ROOT / "docs" / "architecture.md", ROOT / "docs" / "architecture.svg"
MARKS = ("<!-- rooms -->", "<!-- /rooms -->")
WIDTH, LINE, GAP = 960, 13, 10  # pixels
INK, SOFT, BOX = "#1b1f24", "#57606a", "#f6f8fa"


def floors() -> list[list[str]]:
    """The rooms of `benchmark/`, floor by floor from the top, as the contract names them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(c["layers"] for c in contracts if c["type"] == "layers")
    return [re.split(r"\s*[|:]\s*", line) for line in layers]


def purpose(room: str) -> str:
    """The first sentence of a room's docstring."""
    path = ROOT / "benchmark" / room / "__init__.py"
    file = path if path.is_file() else ROOT / "benchmark" / f"{room}.py"
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return re.split(r"(?<=\.)\s", " ".join(text.split()), maxsplit=1)[0]


def uses() -> dict[str, list[str]]:
    """room → the rooms whose modules its modules import, by name."""
    sys.path.insert(0, str(ROOT))
    graph = grimp.build_graph("benchmark", cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in graph.modules:
        room = module.split(".")[1] if "." in module else ""
        for other in graph.find_modules_directly_imported_by(module) if room else ():
            if "." in other and other.split(".")[1] != room:
                found.setdefault(room, set()).add(other.split(".")[1])
    return {room: sorted(others) for room, others in found.items()}


def picture(above: list[list[str]], used: Mapping[str, list[str]]) -> str:
    """The floors as an SVG document: a box a room, with its purpose and the rooms that it imports."""
    parts, top = [], GAP
    for level, rooms in enumerate(above):
        folders = [r for r in rooms if (ROOT / "benchmark" / r).is_dir()]
        boxes = [(r, purpose(r), [o for o in used.get(r, []) if (ROOT / "benchmark" / o).is_dir()]) for r in folders]
        if not folders:  # single files: the commands, and the ground
            boxes = [(", ".join(rooms), "the commands" if level == 0 else "the ground that all stand on", [])]
        each = (WIDTH - GAP * (len(boxes) + 1)) / len(boxes)
        broad = int(each / 5.4)  # characters on a line
        texts = []
        for _, says, others in boxes:
            lines = [(line, INK) for line in textwrap.wrap(says, broad)]
            texts.append(lines + [(x, SOFT) for x in textwrap.wrap(f"uses {', '.join(others)}", broad) if others])
        height = 30 + LINE * max(map(len, texts))
        for number, ((name, _, _), lines) in enumerate(zip(boxes, texts, strict=True)):
            left = GAP + number * (each + GAP)
            place = f'x="{left:.0f}" y="{top}" width="{each:.0f}" height="{height}"'
            parts.append(f'<rect {place} rx="5" fill="{BOX}" stroke="{SOFT}"/>')
            parts.append(f'<text x="{left + 10:.0f}" y="{top + 18}" font-weight="bold">{html.escape(name)}</text>')
            for i, (line, colour) in enumerate(lines):
                y = top + 33 + LINE * i
                parts.append(f'<text x="{left + 10:.0f}" y="{y}" fill="{colour}">{html.escape(line)}</text>')
        top += height + GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" font-family="sans-serif" font-size="11">'
    )
    return "\n".join([head, f'<rect width="{WIDTH}" height="{top}" fill="#ffffff"/>', *parts, "</svg>", ""])


def table(above: list[list[str]], used: Mapping[str, list[str]]) -> str:
    """The rooms as a Markdown table, from the top."""
    lines = ["| room | what it does | modules | imports |", "|:--|:--|--:|:--|"]
    for room in (r for rooms in above for r in rooms if (ROOT / "benchmark" / r).is_dir()):
        count = sum(f.name != "__init__.py" for f in (ROOT / "benchmark" / room).rglob("*.py"))
        others = [o for o in used.get(room, []) if (ROOT / "benchmark" / o).is_dir()]
        lines.append(f"| `{room}/` | {purpose(room)} | {count} | {', '.join(others) or 'the ground only'} |")
    return "\n".join(lines)


def page(text: str, rooms: str) -> str:
    """The page's text with another table between its marks."""
    before, rest = text.split(MARKS[0])
    return f"{before}{MARKS[0]}\n{rooms}\n{MARKS[1]}{rest.split(MARKS[1])[1]}"


def main() -> None:
    above, used = floors(), uses()
    PICTURE.write_text(picture(above, used), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), table(above, used)), encoding="utf-8")


if __name__ == "__main__":
    main()
