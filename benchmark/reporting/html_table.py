"""What the HTML pages of this project share: how they look in light and dark, and tables that sort and scroll.

A table scrolls inside its box, its first column and its head stay in sight, and each heading is a button, so that a
keyboard sorts it, too; `aria-sort` tells a screen reader by which column.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    """A column's heading, what it says when pointed at, and whether it holds words (to the left, sorted as text)."""

    name: str
    about: str = ""
    words: bool = False


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and what it is sorted by; None comes last."""

    text: str
    value: float | None = None


def table(name: str, heads: Sequence[Heading], rows: Iterable[tuple[str, Sequence[Cell]]]) -> str:
    """A table in its box. name: its id and what a screen reader calls the box; rows: (class, cells)."""
    head = "".join(
        f'<th scope="col" data-kind="{"text" if h.words else "number"}" aria-sort="none"><button type="button"'
        f"{f' title={chr(34)}{html.escape(h.about)}{chr(34)}' if h.about else ''}>{html.escape(h.name)}</button></th>"
        for h in heads
    )
    body = "".join(
        f'<tr class="{kind}">{"".join(_cell(h, c, i) for i, (h, c) in enumerate(zip(heads, cells, strict=True)))}</tr>'
        for kind, cells in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{html.escape(name)}">'
        f'<table id="{html.escape(name)}" class="sortable"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(head: Heading, cell: Cell, position: int) -> str:
    text = html.escape(cell.text)
    if head.words:
        return f'<th scope="row">{text}</th>' if position == 0 else f'<td class="word">{text}</td>'
    return f'<td data-value="{"" if cell.value is None else repr(float(cell.value))}">{text}</td>'


PAGE_START = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{title}}</title>
<link rel="icon" href="data:,">
<style>
:root { --page: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --back: #f6f8fa; --accent: #0072B2;
  --dim: #656d76; }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --ink: #e6edf3; --soft: #aab4bf; --line: #30363d;
  --back: #161b22; --accent: #56B4E9; --dim: #8b949e; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: var(--ink); background: var(--page);
  margin: 0 auto; max-width: 1180px; padding: clamp(12px, 3vw, 24px); }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p, li { color: var(--soft); overflow-wrap: anywhere; } ul { padding-left: 1.2rem; }
select { font: inherit; color: inherit; background: var(--back); border: 1px solid var(--line); padding: 2px 6px;
  margin: 0 1em .5em .3em; max-width: 100%; }
pre { background: var(--back); padding: 12px; overflow: auto; max-height: 340px; font-size: .8rem; }
.wide { overflow: auto; max-height: min(80vh, 720px); border: 1px solid var(--line); border-radius: 4px; }
.wide:focus-visible, button:focus-visible, select:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; font-size: .84rem; }
th, td { padding: 4px 9px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
tbody th { font-weight: 400; } tbody tr:last-child > * { border-bottom: 0; }
th[data-kind=text], tbody th, td.word { text-align: left; }
td.word { white-space: normal; min-width: 8rem; color: var(--soft); }
td.word:last-child:not(:empty) { min-width: min(26rem, 70vw); }
thead th { position: sticky; top: 0; z-index: 1; background: var(--back); padding: 0; }
tr > :first-child { position: sticky; left: 0; z-index: 2; background: var(--page);
  border-right: 1px solid var(--line); max-width: 45vw; overflow: hidden; text-overflow: ellipsis; }
tbody tr > :first-child { overflow-wrap: anywhere; white-space: normal; min-width: min(11rem, 38vw); }
thead tr > :first-child { z-index: 3; background: var(--back); }
th button { all: unset; display: block; box-sizing: border-box; width: 100%; padding: 4px 9px; cursor: pointer;
  font-weight: 600; }
th button:hover { color: var(--accent); } th button:focus-visible { outline: 2px solid var(--accent);
  outline-offset: -2px; }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
"""
"""How every page begins; the page's own style goes on from here and closes the element."""

SORT = """
function sort(table, column) {
  const head = table.tHead.rows[0].cells[column];
  const up = head.getAttribute("aria-sort") === "descending";
  for (const cell of table.tHead.rows[0].cells) cell.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const number = head.dataset.kind === "number";
  const key = row => { const cell = row.cells[column];
    return number && "value" in cell.dataset ? cell.dataset.value : cell.textContent; };
  const rows = Array.from(table.tBodies[0].rows);
  rows.sort((a, b) => {
    const x = key(a), y = key(b);
    if (x === "" || y === "") return (x === "") - (y === "");  // what is missing comes last
    const order = number ? Number(x) - Number(y) : x.localeCompare(y);
    return up ? order : -order;
  });
  table.tBodies[0].append(...rows);
}
document.querySelectorAll(".sortable").forEach(table => Array.from(table.tHead.rows[0].cells).forEach(
  (cell, i) => cell.querySelector("button").addEventListener("click", () => sort(table, i))));
"""
"""JavaScript that sorts the tables of the page."""
