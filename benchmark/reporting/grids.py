"""What stands in a report's tables: the columns, how each reads, which matter most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.errors import did_you_mean
from benchmark.reporting.layout import Grid, between, number, spread

if TYPE_CHECKING:
    from benchmark.reporting.report import Report


@dataclass(frozen=True)
class Column:
    """A column of the summary.

    key     its name for `latex.columns`, and in table.csv where it is there
    cell    a row of `Report.summary` (with its times) as text, None where there is nothing to say
    better  high, low, or nothing
    known   whether a report has it
    """

    key: str
    heading: str
    cell: Callable[[Any], str | None]
    better: str = ""
    known: Callable[[Report], bool] = lambda report: True


def _mean(key: str, digits: int = 1) -> Callable[[Any], str | None]:
    """Mean ± sd over draws. A yardstick draws nothing, so that its sd would be an empty 0."""
    return lambda r: spread(getattr(r, key), np.nan if r.yardstick else getattr(r, f"{key}_sd"), digits)


def _plain(key: str, digits: int = 1) -> Callable[[Any], str | None]:
    return lambda r: number(getattr(r, key), digits)


def _of_scores(cell: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    """What says nothing of a yardstick: the static list's specific part is minus the truth's by construction."""
    return lambda r: None if r.yardstick else cell(r)


def _has(key: str) -> Callable[[Report], bool]:
    return lambda report: key in report.summary


def _spent(key: str) -> Callable[[Report], bool]:
    return lambda report: report.times is not None and key in report.times


def _incomplete(report: Report) -> bool:
    summary = report.summary
    return bool((summary["scored"] < summary["cells"]).any() or summary["undefined"].any())


COLUMNS = (
    Column("method", "method", lambda r: r.method),
    Column(
        "input",
        "input",
        lambda r: r.input if isinstance(r.input, str) else None,
        known=lambda report: bool(report.summary["input"].notna().any()),
    ),
    Column("pearson", "Mean PC", _mean("pearson"), "high"),
    Column("interval", "95 %", lambda r: between(r.pearson_low, r.pearson_high), known=_has("pearson_low")),
    Column("pooled", "+ℓ", _of_scores(_mean("pooled")), "high", _has("pooled")),
    Column("per_target", "+ℓ per target", _of_scores(_mean("per_target")), "high", _has("per_target")),
    Column("kendall", "τ_b", _plain("kendall", 3), "high"),
    Column("weighted_kendall", "τ_w", _plain("weighted_kendall", 3), "high"),
    Column("spearman", "ρ", _plain("spearman", 3), "high"),
    Column("pearson_specific", "specific PC", _of_scores(_plain("pearson_specific")), "high"),
    Column("kendall_specific", "specific τ_b", _of_scores(_plain("kendall_specific", 3)), "high"),
    Column("partial", "PC∣static", _of_scores(_plain("partial")), "high", _has("partial")),
    Column("regret1", "regret@1", _plain("regret1"), "low", _has("regret1")),
    Column("scored", "scored", lambda r: f"{r.scored}/{r.cells}", known=_incomplete),
)
TIMES = (
    Column("milliseconds", "ms", _mean("milliseconds"), "low", _spent("milliseconds")),
    Column(
        "shared_milliseconds",
        "ms shared",
        _mean("shared_milliseconds"),
        "low",
        _spent("shared_milliseconds"),
    ),
    Column("preparation_seconds", "preparation s", _plain("preparation_seconds"), "low", _spent("preparation_seconds")),
)
IMPORTANCE = (  # what a narrow terminal or page keeps, from the first on
    *("method", "pearson", "interval", "kendall", "regret1", "pearson_specific", "scored", "pooled", "milliseconds"),
    *("weighted_kendall", "partial", "input", "per_target", "spearman", "kendall_specific", "shared_milliseconds"),
    "preparation_seconds",
)


def columns_of(report: Report, times: bool = True) -> list[Column]:
    """The columns that a report has, in the order in which they stand."""
    return [c for c in (*COLUMNS, *(TIMES if times else ())) if c.known(report)]


def summary_grid(report: Report, times: bool = False, chosen: Sequence[str] = ()) -> Grid:
    """Mean over targets: method, input, Pearson, with ℓ, rank measures, the part that is about the target.

    times   with the times of a score, which differ from run to run
    chosen  keys of the columns after the method, in this order, instead of all; raises ValueError for a key that the
            report lacks
    """
    known = {c.key: c for c in columns_of(report, times or bool(chosen))}
    if lacking := [key for key in chosen if key not in known]:
        raise ValueError(
            f"latex.columns must name columns of this report. Got {lacking[0]!r}. "
            f"{did_you_mean(lacking[0], list(known))}"
        )
    wanted = ["method", *(key for key in chosen if key != "method")] if chosen else known
    return _grid(report, report.title, [known[key] for key in wanted])


def target_grid(report: Report) -> Grid:
    """Pearson per target, mean ± sd over draws."""
    values = report.by_target
    columns = [Column("method", "method", lambda r: r.method), Column("pearson", "mean", _mean("pearson"), "high")]
    for target in report.correlations.aligned.targets:
        mean, sd = values["mean", target], values["sd", target]
        cell = lambda r, m=mean, s=sd: spread(m[r.method], np.nan if r.yardstick else s[r.method])  # noqa: E731
        columns.append(Column("target", target, cell, "high"))
    return _grid(report, "Pearson ×100 per target", columns, continues=True)


def times_grid(report: Report) -> Grid:
    """Accuracy of the prediction against time, as the paper's Tables 1 and 4."""
    shown = ("method", "pearson", "pooled", *(c.key for c in TIMES))
    return _grid(report, "Milliseconds per score", [c for c in columns_of(report) if c.key in shown])


def legend(report: Report) -> list[str]:
    """What the columns mean, a line each."""
    draws = len(report.correlations.aligned.runs)
    over = f"± sd over {draws} draws" if draws > 1 else "of one draw, so without an sd"
    lines = [
        f"Mean PC: Pearson ×100 between score and accuracy over models, mean over targets; {over}. "
        "τ_b, τ_w, ρ: Kendall, weighted τ, Spearman.",
        "specific: after each model's mean over the other targets is taken out of score and accuracy. "
        "static_list: each model's mean standardised accuracy on the other targets. "
        "random: the mean over all orders of the models.",
    ]
    if report.evidence is not None:
        lines.append(
            "95 %: bootstrap over models, targets and draws. PC∣static: partial correlation given the static list. "
            "regret@1: points lost by taking the top-scored model."
        )
    if "pooled" in report.summary:
        lines.append(
            "+ℓ: layers/50 added to the score, standardised over all rows (the paper's release) or per target."
        )
    if len(report.problems) or report.correlations.coverage["missing"].any():
        lines.append("A score that is missing or not ok leaves its model out of that correlation; it is never zero.")
    return lines


def times_legend(report: Report) -> list[str]:
    """What the columns of the times mean; of what the report has."""
    known = {c.key for c in columns_of(report)}
    lines = {
        "milliseconds": "ms: milliseconds of a score on one thread, of the method alone (the paper's column).",
        "shared_milliseconds": "ms shared: what several methods need of a probe (factorisation, principal components) "
        "is computed once and counted for the method that asks first.",
        "preparation_seconds": "preparation s: seconds to train the reference model, per target.",
    }
    return [line for key, line in lines.items() if key in known]


def latex_grids(report: Report, chosen: Sequence[str] = ()) -> list[Grid]:
    """The summary and the table per target with captions and labels."""
    aligned = report.correlations.aligned
    counts = f"{len(aligned.models)} models, {len(aligned.targets)} targets, {len(aligned.runs)} probe draws"
    counts = counts.removesuffix("s") if len(aligned.runs) == 1 else counts
    bold = "Bold: the best estimator."
    first = f"{report.title}: how well scores predict accuracy after fine-tuning ({counts}). {bold}"
    second = f"{report.title}: Pearson ×100 per target ({counts}). {bold}"
    return [
        replace(summary_grid(report, chosen=chosen), caption=first, label=report.title),
        replace(target_grid(report), caption=second, label=f"{report.title} targets"),
    ]


def _grid(report: Report, title: str, columns: Sequence[Column], continues: bool = False) -> Grid:
    summary = report.summary
    if report.times is not None:
        summary = summary.merge(report.times, how="left", on="method")
    blocks = [
        [[c.cell(row) for c in columns] for row in summary.itertuples() if row.yardstick == which]
        for which in (False, True)
    ]
    keys = [c.key for c in columns]
    return Grid(
        title,
        [c.heading for c in columns],
        blocks,
        left=sum(key in ("method", "input") for key in keys[:2]) or 1,
        better=[c.better for c in columns],
        order=() if continues else sorted(range(len(keys)), key=lambda i: IMPORTANCE.index(keys[i])),
        breaks=range(1, len(keys)) if continues else (),
    )
