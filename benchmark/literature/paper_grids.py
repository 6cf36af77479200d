"""The paper's tables laid out as there: each figure of ours beside the printed one and the difference."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmark.reporting.layout import Grid, number, spread
from benchmark.stats import correlations


def grids(table: pd.DataFrame, targets: Sequence[str]) -> dict[str, Grid]:
    """The paper's tables, laid out as there, ours first, then the published figure and the difference."""
    held = {key: rows.set_index(["row", "column"]) for key, rows in table.groupby("table", sort=False)}
    made = {
        "table1": _simple(
            held.get("1"), "Table 1. Controlled bank, no tweaks", [("mean", "Mean PC", 1), ("ms", "ms", 1)]
        ),
        "table2": _simple(
            held.get("2"), "Table 2. What varies inside the correlation", [(m, m, 1) for m in correlations.MODES]
        ),
        "figure2b": _simple(held.get("2b"), "Figure 2b. PCA to f", [("mean", "Mean PC", 1), ("ms", "ms", 1)]),
        "table3": _simple(held.get("3"), "Table 3. With ℓ", [("+l", "Mean PC +ℓ", 1)]),
        "table4": _simple(held.get("4"), "Table 4. What it adds up to", [("mean", "Mean PC", 1), ("ms", "ms", 1)]),
        "table5": _simple(held.get("5"), "Table 5. Crowd-sourced bank, +ℓ", [("mean", "Mean PC", 2), ("ms", "ms", 1)]),
    }
    titles = {"S1": "no tweaks", "S2": "PCA to f", "S3": "+ℓ", "S4": "PCA to f, +ℓ"}
    for name, title in titles.items():
        made[f"table{name}"] = _per_target(held.get(name), f"Table {name}. Per target, {title}", targets)
    ways = [("none", "none", 1), ("z-score", "z + ℓ/50", 1), ("min-max", "min-max + ℓ/50", 1)]
    made["tableS5"] = _simple(held.get("S5"), "Table S5. Ways to add ℓ", [*ways, ("min-max/4", "min-max + ℓ/200", 1)])
    ks = ["k=1", "k=3", "tricks k=1", "tricks k=3", "tricks k=5"]
    made["tableS7"] = _simple(held.get("S7"), "Table S7. Top-k relative accuracy, %", [(k, k, 2) for k in ks])
    for name, title, digits in (
        ("fig1a", "Figure 1a. Change of Mean PC against 500 images, no tweaks", 1),
        ("S-fig2a", "Figure S2a. Mean PC by probe size, all tweaks", 1),
        ("S-fig2b", "Figure S2b. Milliseconds by probe size, in the forms of Table 4", 1),
    ):
        rows = held.get(name)
        columns = sorted({int(c) for _, c in rows.index}) if rows is not None else []
        made[name.replace("-", "")] = _simple(rows, title, [(str(n), str(n), digits) for n in columns])
    return {name: grid for name, grid in made.items() if grid is not None}


def _simple(rows: pd.DataFrame | None, title: str, columns: Sequence[tuple[str, str, int]]) -> Grid | None:
    if rows is None or not columns:
        return None
    head = ["method"]
    for _, shown, _ in columns:
        head += [shown, "paper", "Δ"]
    body = []
    for row in dict.fromkeys(r for r, _ in rows.index):
        cells: list[str | None] = [row.replace("+l", "+ℓ")]
        for column, _, digits in columns:
            if (row, column) not in rows.index:
                cells += [None, None, None]
                continue
            at = rows.loc[(row, column)]
            cells += [spread(at["ours"], at["ours_sd"], digits), spread(at["paper"], at["paper_sd"], digits)]
            cells.append(signed(at["difference"], digits))
        body.append(cells)
    better = ["", *(way for _, shown, _ in columns for way in (_better(shown), _better(shown), ""))]
    return Grid(title, head, [body], better=better, breaks=range(1, len(head), 3))


def _better(heading: str) -> str:
    return "low" if heading == "ms" or "Milliseconds" in heading else "high"


def _per_target(rows: pd.DataFrame | None, title: str, targets: Sequence[str]) -> Grid | None:
    if rows is None:
        return None
    body = []
    for row in dict.fromkeys(r for r, _ in rows.index):
        cells: list[str | None] = [row]
        for target in targets:
            at = rows.loc[(row, target)] if (row, target) in rows.index else None
            text = None if at is None else spread(at["ours"], at["ours_sd"])
            theirs = None if at is None else number(at["paper"])
            cells.append(f"{text} ({theirs})" if text and theirs else text)
        at = rows.loc[(row, "mean")]
        cells += [spread(at["ours"], at["ours_sd"]), spread(at["paper"], at["paper_sd"]), signed(at["difference"], 1)]
        body.append(cells)
    head, better = ["method", *targets, "mean", "paper", "Δ"], ["", *["high"] * (len(targets) + 2), ""]
    return Grid(title, head, [body], better=better, breaks=range(1, len(targets) + 2))


def signed(value: float, digits: int) -> str | None:
    text = number(value, digits)
    return None if text is None else text if text.startswith("-") or float(text) == 0 else f"+{text}"
