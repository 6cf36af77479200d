"""The leaderboard as one HTML file: its entries in a table with filters, and Mean PC method by bank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leaderboard_entries import MEASURES, Entry
from markdown_it import MarkdownIt
from markupsafe import Markup

from benchmark.reporting.html_pages import Cell, Heading, Table, render
from benchmark.reporting.layout import MISSING, between, number

NAMES = {"pearson": "Mean PC", "weighted_kendall": "τ_w", "regret1": "regret@1"}
HEADS = (
    Heading("method", words=True),
    Heading("bank", "or the table of others", words=True),
    *(
        head
        for measure, _ in MEASURES
        for head in (Heading(NAMES[measure], "mean over targets"), Heading("95 %", f"interval of {NAMES[measure]}"))
    ),
    Heading("static list", "better or worse than it, by a paired test", words=True),
    Heading("ahead", "targets on which its Pearson is above the list's"),
    Heading("ms", "of the method alone, one thread"),
    Heading("scored", "per cent of models and targets that have a score"),
    Heading("models"),
    Heading("targets"),
)


def page(entries: Sequence[Entry], abouts: Mapping[str, str], introduction: str, submission: str) -> str:
    """The whole document. abouts: what each bank is; introduction, submission: Markdown, the first with the title."""
    title, text = introduction.removeprefix("# ").split("\n", 1)
    banks = list(dict.fromkeys(entry.bank for entry in entries))
    others = "what others published with a table of accuracies, or for one, recomputed; no interval and no test"
    return render(
        "reporting/templates/leaderboard.html",
        title=title,
        introduction=_html(text),
        banks=banks,
        abouts=[(name, about, f"{name}/table.md") for name, about in abouts.items()]
        + [("the rest", others, "published.md")] * (len(banks) > len(abouts)),
        entries=Table("entries", HEADS, [(_kind(entry), _cells(entry)) for entry in entries]),
        matrix=_matrix(entries, list(abouts)),
        submission=_html(submission),
    )


def _html(text: str) -> Markup:
    return Markup(MarkdownIt().render(text))  # of this project's own


def _kind(entry: Entry) -> str:
    return " ".join(part for part in ("yardstick" * entry.yardstick, entry.verdict) if part)


def _cells(entry: Entry) -> list[Cell]:
    cells = [Cell(entry.method), Cell(entry.bank, link=entry.link)]
    for measure, digits in MEASURES:
        value, limits = entry.figures[measure], entry.limits.get(measure)
        cells.append(_number(value, digits))
        inside = between(*limits, 0 if digits == 1 else digits) if limits else None
        cells.append(Cell(inside or MISSING, limits[0] if limits and inside else None))
    ahead = entry.ahead
    return [
        *cells,
        Cell(entry.verdict),
        Cell(f"{ahead[0]}/{ahead[1]}", ahead[0] / max(1, ahead[1])) if ahead else Cell(MISSING),
        _number(entry.cost, 1),
        Cell(f"{100 * entry.scored:.0f} %", entry.scored),
        Cell(str(entry.models), entry.models),
        Cell(str(entry.targets), entry.targets),
    ]


def _number(value: float | None, digits: int, link: str = "", mark: str = "") -> Cell:
    text = None if value is None else number(value, digits)
    return Cell(MISSING) if text is None else Cell(text, value, link, mark)


def _matrix(entries: Sequence[Entry], banks: Sequence[str]) -> Table:
    """A row a method, a column a bank of this project: Mean PC."""
    held = {(entry.method, entry.bank): entry for entry in entries if entry.bank in banks}
    rows = []
    for method in dict.fromkeys(method for method, _ in held):
        own = [held.get((method, bank)) for bank in banks]
        cells = [_number(one.figures["pearson"], 1, one.link, one.verdict) if one else Cell(MISSING) for one in own]
        rows.append(("yardstick" if any(one and one.yardstick for one in own) else "", [Cell(method), *cells]))
    return Table("matrix", [Heading("method", words=True), *map(Heading, banks)], rows)
