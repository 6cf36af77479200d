"""One self-contained HTML file of a report: readable offline, plotly's script inside once, no request to anywhere."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from benchmark.files import put
from benchmark.reporting import html_pages, layout
from benchmark.reporting.focal import focal_grids, focal_legend
from benchmark.reporting.grids import legend
from benchmark.reporting.html_pages import Cell, Heading, Table
from benchmark.reporting.pictures.colours import GREY, palette
from benchmark.stats import measures, robustness

CITE = """@inproceedings{bolya2021scalable,
  title     = {Scalable Diverse Model Selection for Accessible Transfer Learning},
  author    = {Bolya, Daniel and Mittapalli, Rohit and Hoffman, Judy},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2021}
}"""
COLUMNS = (  # heading, column of the summary, digits, what it says
    ("Mean PC", "pearson", 1, "Pearson ×100 between score and accuracy, mean over targets and draws"),
    ("95 % low", "pearson_low", 1, "bootstrap over models, targets and draws"),
    ("95 % high", "pearson_high", 1, "bootstrap over models, targets and draws"),
    ("sd draws", "pearson_sd", 1, "standard deviation over probe draws"),
    ("+ℓ", "pooled", 1, "layers/50 added to the score standardised over all rows"),
    ("τ_b", "kendall", 3, "Kendall's τ_b"),
    ("τ_w", "weighted_kendall", 3, "weighted τ as scipy defines it"),
    ("ρ", "spearman", 3, "Spearman"),
    ("specific PC", "pearson_specific", 1, "after each model's mean over the other targets is taken out"),
    ("PC∣static", "partial", 1, "partial correlation given the static list"),
    ("regret@1", "regret1", 2, "points lost by taking the top-scored model"),
    ("near best", "near_best", 2, "probability that the pick is within half a point of the best"),
    ("ms", "milliseconds", 2, "milliseconds per score of the method alone, one thread"),
    ("ms shared", "shared_milliseconds", 2, "with what several methods need counted once, for the first that asks"),
    ("scored", "scored", 0, "finite scores"),
)
OF_SCORES = ("pearson_sd", "pooled", "pearson_specific", "partial")
"""What says nothing of a yardstick: it draws nothing, and the static list's specific part is minus the truth's."""


def write(report: Any, path: Path, provenance: Mapping[str, Any] | None = None) -> Path:
    """Write a `benchmark.reporting.report.Report` as HTML; the same bytes for the same report. Returns the path.

    Raises ValueError where plotly, whose script the page carries, is not installed.
    """
    put(path, page(report, provenance, script()))
    return path


def script() -> str:
    """Plotly's JavaScript, from the installed package, which is not imported for it."""
    found = importlib.util.find_spec("plotly")
    source = Path(found.origin).parent / "package_data/plotly.min.js" if found and found.origin else None
    if source is None or not source.is_file():
        raise ValueError("plotly must be installed for the HTML report. Got no such package. pip install plotly.")
    return source.read_text(encoding="utf-8")


def page(report: Any, provenance: Mapping[str, Any] | None, plotly: str) -> str:
    """The whole document as text."""
    data = json.dumps(_data(report), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    sentences = report.evidence.sentences if report.evidence else ()
    return html_pages.render(
        "reporting/templates/report.html",
        title=report.title,
        subtitle=_subtitle(report, provenance),
        focal=_focal(report),
        focal_legend=focal_legend(report),
        summary=_summary(report),
        legend=legend(report),
        supported=sentences,
        tests=_tests(report),
        targets=_table("targets", report.targets, 2, ("target",)),
        notes=[note for note in report.notes if note not in sentences],
        cite=CITE,
        provenance=json.dumps(provenance or {}, indent=1, sort_keys=True, default=str),
        plotly=Markup(plotly),
        data=Markup(data.replace("<", "\\u003c")),  # nothing in a name can end or open an element
    )


def _subtitle(report: Any, provenance: Mapping[str, Any] | None) -> str:
    aligned = report.correlations.aligned
    counted = f"{len(aligned.methods)} methods, {len(aligned.models)} models, {len(aligned.targets)} targets, "
    counted += f"{len(aligned.runs)} probe draws."
    command = " ".join(map(str, (provenance or {}).get("command", ())))
    return counted + (f" Made by: {command}" if command else "")


def _frame(report: Any) -> pd.DataFrame:
    """The summary with times, a row a method."""
    summary = report.summary
    if report.times is not None:
        summary = summary.merge(report.times, how="left", on="method")
    return summary


def _summary(report: Any) -> Table:
    frame = _frame(report)
    columns = [c for c in COLUMNS if c[1] in frame and frame[c[1]].notna().any()]
    why = problems(report)
    heads = [Heading("method", words=True), *(Heading(name, about) for name, _, _, about in columns)]
    if why:
        heads.append(Heading("not scored", "scores that failed, are degenerate or do not apply, and why", words=True))
    rows = []
    for row in frame.to_dict("records"):
        cells = [Cell(row["method"])]
        for _, name, digits, _ in columns:
            mute = row["yardstick"] and name in OF_SCORES
            text = None if mute else layout.number(float(row[name]), digits)
            cells.append(Cell(layout.MISSING if text is None else text, None if text is None else float(row[name])))
        rows.append(
            ("yardstick" if row["yardstick"] else "method", cells + [Cell(why.get(row["method"], ""))] * bool(why))
        )
    return Table("summary", heads, rows)


def _focal(report: Any) -> list[tuple[str, Table]]:
    """The tables of methods in question, with their headings; none where no method is."""
    found = []
    for i, grid in enumerate(focal_grids(report)):
        words = {0, *grid.words}
        heads = [Heading(name, words=k in words) for k, name in enumerate(grid.head)]
        rows = [
            ("yardstick" if b else "method", [_as_cell(c) for c in row])
            for b, rows in enumerate(grid.blocks)
            for row in rows
        ]
        found.append((grid.title, Table(f"focal-{i}", heads, rows)))
    return found


def _as_cell(text: str | None) -> Cell:
    """A grid's text, sorted by the number with which it begins."""
    number = re.match(r"[+<-]?\d*\.?\d+", text or "")
    return Cell(layout.MISSING if text is None else text, float(number[0].lstrip("<")) if number else None)


def problems(report: Any, shown: int = 1) -> dict[str, str]:
    """method -> how many of its scores are not ok, and the most frequent reasons."""
    said: dict[str, list[str]] = {}
    for (method, status), rows in report.problems.groupby(["method", "status"], sort=True):
        if status in ("retried", "unavailable"):  # of a model, and made good or said in the notes
            continue
        reasons = "; ".join(rows["reason"].head(shown))
        more = f"; and {len(rows) - shown} more of the kind" if len(rows) > shown else ""
        said.setdefault(method, []).append(f"{rows['count'].sum()} × {status.replace('_', ' ')}: {reasons}{more}")
    return {method: ". ".join(lines) for method, lines in said.items()}


def _table(label: str, frame: pd.DataFrame, digits: int, words: Sequence[str]) -> Table:
    """A frame whose first column names the row."""
    heads = [Heading(str(n).replace("_", " "), words=n in words) for n in frame]
    rows = []
    for row in frame.itertuples(index=False):
        cells = []
        for name, value in zip(frame, row, strict=True):
            text = str(value) if name in words else layout.number(float(value), 0 if name == "models" else digits)
            number = None if name in words or text is None else float(value)
            cells.append(Cell(text or layout.MISSING, number))
        rows.append(("", cells))
    return Table(label, heads, rows)


def _tests(report: Any) -> Table | None:
    if report.evidence is None or report.evidence.tests.empty:
        return None
    tests = report.evidence.tests[report.evidence.tests["measure"] == "pearson"]
    shown = tests.assign(supported=np.where(tests["supported"], "yes", "no")).drop(columns="measure")
    names = ["first", "second", *(c for c in shown if c not in ("first", "second"))]
    return _table("tests", shown[names], 3, ("first", "second", "family", "supported"))


def _data(report: Any) -> dict[str, Any]:
    """What the pictures draw, rounded; missing values are null."""
    aligned = report.correlations.aligned
    scores = measures.nanmean(aligned.scores["none"], 1)  # (k, t, m)
    frame = _frame(report).set_index("method")
    order = [m for m in frame.index if m in aligned.methods]
    targets = list(aligned.targets)
    alone, groups = "milliseconds" in frame, robustness.families(aligned)
    which = "milliseconds" if alone else "shared_milliseconds"
    times = frame[which] if which in frame else pd.Series(np.nan, frame.index)
    return {
        "methods": order,
        "yardstick": [bool(frame.at[m, "yardstick"]) for m in order],
        "targets": targets,
        "models": list(aligned.models),
        "groups": groups,
        "truth": _numbers(aligned.truth),
        "scores": {m: _numbers(scores[aligned.methods.index(m)]) for m in order},
        "pearson": {m: _numbers(report.by_target["mean"].loc[m, targets].to_numpy(float)) for m in order},
        "mean": {m: _numbers(frame.at[m, "pearson"]) for m in order},
        "low": {m: _numbers(frame.at[m, "pearson_low"]) if "pearson_low" in frame else None for m in order},
        "high": {m: _numbers(frame.at[m, "pearson_high"]) if "pearson_high" in frame else None for m in order},
        "ms": {m: _numbers(times[m]) for m in order},
        "sizes": _sizes(order, frame),
        "timed": f"ms per score, {'the method alone' if alone else 'shared work once'}",
        "colours": palette(max(len(order), len(set(groups)))),
        "grey": GREY,
    }


def _sizes(methods: list[str], frame: pd.DataFrame) -> dict[str, list[list[float]]]:
    """Probe-size curves, from a sweep's columns `<method> @ probe.size=<n>`: method -> [[n, Pearson], …]."""
    curves: dict[str, list[list[float]]] = {}
    for name in methods:
        found = re.fullmatch(r"(.+) @ (?:.*, )?probe\.size=(\d+)(?:,.*)?", name)
        if found and np.isfinite(frame.at[name, "pearson"]):
            curves.setdefault(found[1], []).append([int(found[2]), round(float(frame.at[name, "pearson"]), 4)])
    return {name: sorted(points) for name, points in curves.items() if len(points) > 1}


def _numbers(values: Any) -> Any:
    """Floats rounded to six digits for JSON, null where there is none."""
    array = np.asarray(values, float)
    if array.ndim == 0:
        return float(f"{array:.6g}") if np.isfinite(array) else None
    return [_numbers(v) for v in array]
