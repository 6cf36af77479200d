"""Methods in question against all others: a row each, within 80 columns, and target by target how they stand.

Empty for a report in which no method is in question (`Report.focal`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmark.errors import ConfigError, did_you_mean
from benchmark.reporting.layout import Grid, between, number
from benchmark.stats.pairs import LEVEL

if TYPE_CHECKING:
    from benchmark.reporting.report import Report

HEAD = ("method", "Mean PC", "Δ", "95 %", "p", "τ_b", "won", "it is", "scored")
IMPORTANCE = (0, 2, 3, 4, 7, 1, 6, 5, 8)


def refuse_unknown(focal: Sequence[str], methods: Sequence[str]) -> None:
    """ConfigError for a method in question that is not there."""
    if unknown := [name for name in focal if name not in methods]:
        raise ConfigError(
            f"focal must name methods of this table. Got {unknown[0]}. {did_you_mean(unknown[0], methods)}"
        )


def focal_grids(report: Report) -> list[Grid]:
    """For each method in question its comparisons, then its standing target by target."""
    return [grid for name in report.focal for grid in (_against(report, name), _by_target(report, name))]


def focal_legend(report: Report) -> list[str]:
    """What the columns mean, a line each."""
    if not report.focal:
        return []
    pairs = _pairs(report)
    return [
        f"Δ: Mean PC of {' or '.join(report.focal)} less that of the row, in the same models, targets and draws; 95 %: "
        "its interval from resampling all three together.",
        f"p: of a difference of 0, paired; corrected by Holm for the {len(pairs)} pairs that are tested, no others. "
        f"it is: better or worse than the row where p < {LEVEL:g}.",
        "won: targets on which its Pearson is higher than the row's. τ_b: the row's mean Kendall correlation.",
    ]


def focal_notes(report: Report) -> list[str]:
    """The lines below the table on a terminal: the legend, what is supported, where the others' scores are from."""
    about = [note for note in report.notes if any(note.startswith(f"{name}:") for name in report.focal)]
    sentences = report.evidence.sentences if report.evidence else ()
    kept = [
        note for note in report.notes if note in sentences or note.startswith(("Scores and times", "Checked", "Left"))
    ]
    return [*focal_legend(report), *kept, *about]


def _pairs(report: Report) -> pd.DataFrame:
    if report.evidence is None:
        raise ValueError("report must have evidence. Got none. Call supported(report, focal=…) first.")
    tests = report.evidence.tests
    return tests[(tests["family"] == "focal") & (tests["measure"] == "pearson")]


def _against(report: Report, name: str) -> Grid:
    summary, pairs = report.summary.set_index("method"), _pairs(report)
    turned = pairs[(pairs["second"] == name) & pairs["first"].isin(report.focal)]
    swapped = turned.assign(first=name, second=turned["first"], difference=-turned["difference"])
    swapped = swapped.assign(low=-turned["high"], high=-turned["low"])
    tested = pd.concat([pairs[pairs["first"] == name], swapped]).set_index("second")
    values = report.by_target["mean"][list(report.correlations.aligned.targets)]
    blocks: list[list[list[str | None]]] = [[], []]
    for other in summary.index:
        row = summary.loc[other]
        cells = [other, number(row["pearson"]), None, None, None, number(row["kendall"], 3), None, None]
        if other in tested.index:
            test = tested.loc[other]
            cells[2] = f"{test['difference']:+.1f}"
            cells[3] = between(test["low"], test["high"])
            cells[4] = _p(test["p_holm"])
            cells[7] = ("better" if test["difference"] > 0 else "worse") if test["supported"] else None
            cells[6] = _won(values.loc[name], values.loc[other])
        cells.append(f"{row['scored']:.0f}/{row['cells']:.0f}")
        blocks[int(row["yardstick"])].append(cells)
    complete = bool((summary["scored"] == summary["cells"]).all())
    whole = Grid(f"{report.title}: {name} against all others", HEAD, blocks, words=(7,), order=IMPORTANCE)
    grid = whole.only(range(8)) if complete else whole
    count = f"{len(report.correlations.aligned.models)} models, {values.shape[1]} targets"
    caption = (
        f"{name} against each other method ({count}). Δ: its mean Pearson ×100 less that of the row, with a 95 % "
        f"interval; p: paired, Holm's correction over {len(pairs)} pairs; won: targets on which it is higher."
    )
    return replace(grid, caption=caption, label=f"{report.title} {name}")


def _by_target(report: Report, name: str) -> Grid:
    """Pearson of the method on each target beside the static list, and the best and the median of the others."""
    targets = list(report.correlations.aligned.targets)
    values = report.by_target["mean"][targets]
    estimators = report.summary.loc[~report.summary["yardstick"], "method"]
    others = values.loc[[m for m in estimators if m not in report.focal]]
    rows = []
    for target in targets:
        column, mine = others[target].dropna(), values.at[name, target]
        rank = f"{1 + (column > mine).sum()} of {1 + len(column)}" if np.isfinite(mine) else None
        listed = values.at["static_list", target] if "static_list" in values.index else np.nan
        best = (number(column.max()), str(column.idxmax())) if len(column) else (None, None)
        rows.append([target, number(mine), rank, number(listed), number(column.median()), *best])
    head = ("target", name, "rank", "static list", "median", "best", "which")
    caption = f"{name} target by target: Pearson ×100, beside the static list and the {len(others)} other estimators."
    title = f"{name}, Pearson ×100 target by target"
    return Grid(
        title,
        head,
        [rows],
        words=(6,),
        order=(0, 1, 2, 3, 5, 4, 6),
        caption=caption,
        label=f"{report.title} {name} targets",
    )


def _p(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.3f}"


def _won(mine: pd.Series, other: pd.Series) -> str:
    both = mine.notna() & other.notna()
    return f"{(mine[both] > other[both]).sum()}/{both.sum()}"
