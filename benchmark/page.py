"""One self-contained HTML file of a report: readable offline, plotly's script inside once, no request to anywhere."""

from __future__ import annotations

import html
import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark import layout, stats
from benchmark.correlate import of_models, put

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000", "#9467BD", "#8C564B")
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
    ("ms", "milliseconds", 2, "milliseconds per score, one thread"),
    ("scored", "scored", 0, "finite scores"),
)
OF_SCORES = ("pooled", "pearson_specific", "partial")
"""What says nothing of a yardstick: the static list's specific part is minus the truth's by construction."""


def write(report: Any, path: Path, provenance: Mapping[str, Any] | None = None) -> Path:
    """Write a `benchmark.report.Report` as HTML; the same bytes for the same report. Returns the path.

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
    parts = {
        "title": html.escape(report.title),
        "summary": _summary(report),
        "targets": _table(report.targets, 2),
        "supported": _items(report.evidence.sentences if report.evidence else ()),
        "notes": _items([n for n in report.notes if not (report.evidence and n in report.evidence.sentences)]),
        "legend": _items(_legend(report)),
        "tests": _tests(report),
        "cite": html.escape(CITE),
        "provenance": html.escape(json.dumps(provenance or {}, indent=1, sort_keys=True, default=str)),
        "subtitle": html.escape(_subtitle(report, provenance)),
        "data": data.replace("<", "\\u003c"),  # nothing in a name can end or open an element
        "plotly": plotly,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m[1]], _DOCUMENT)


def _items(lines: Any) -> str:
    return "".join(f"<li>{html.escape(line)}</li>" for line in lines)


def _subtitle(report: Any, provenance: Mapping[str, Any] | None) -> str:
    aligned = report.correlations.aligned
    counted = f"{len(aligned.methods)} methods, {len(aligned.models)} models, {len(aligned.targets)} targets, "
    counted += f"{len(aligned.runs)} probe draws."
    command = " ".join(map(str, (provenance or {}).get("command", ())))
    return counted + (f" Made by: {command}" if command else "")


def _legend(report: Any) -> list[str]:
    from benchmark.report import legend

    return legend(report)


def _frame(report: Any) -> pd.DataFrame:
    """The summary with times, a row a method."""
    summary = report.summary
    if report.times is not None:
        summary = summary.merge(report.times, how="left", on="method")
    return summary


def _summary(report: Any) -> str:
    frame = _frame(report)
    columns = [c for c in COLUMNS if c[1] in frame and frame[c[1]].notna().any()]
    head = '<th data-kind="text" title="click to sort">method</th>'
    head += "".join(f'<th data-kind="number" title="{html.escape(c[3])}">{html.escape(c[0])}</th>' for c in columns)
    rows = []
    for row in frame.to_dict("records"):
        cells = f"<td>{html.escape(row['method'])}</td>"
        for _, name, digits, _ in columns:
            mute = row["yardstick"] and name in OF_SCORES
            text = None if mute else layout.number(float(row[name]), digits)
            key = "" if text is None else repr(float(row[name]))
            cells += f'<td data-value="{key}">{layout.MISSING if text is None else text}</td>'
        rows.append(f'<tr class="{"yardstick" if row["yardstick"] else "method"}">{cells}</tr>')
    return f'<table id="summary" class="sortable"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _table(frame: pd.DataFrame, digits: int) -> str:
    names = list(frame.columns)
    head = "".join(
        f'<th data-kind="{"text" if i == 0 else "number"}">{html.escape(n.replace("_", " "))}</th>'
        for i, n in enumerate(names)
    )
    rows = []
    for row in frame.itertuples(index=False):
        cells = f"<td>{html.escape(str(row[0]))}</td>"
        for name, value in zip(names[1:], row[1:], strict=True):
            if isinstance(value, str | bool):
                cells += f"<td>{html.escape(str(value))}</td>"
                continue
            text = layout.number(float(value), 0 if name in ("models", "count") else digits)
            cells += f'<td data-value="{"" if text is None else float(value)}">{text or layout.MISSING}</td>'
        rows.append(f"<tr>{cells}</tr>")
    return f'<table class="sortable"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _tests(report: Any) -> str:
    if report.evidence is None or report.evidence.tests.empty:
        return "<p>No pair of methods to compare.</p>"
    tests = report.evidence.tests[report.evidence.tests["measure"] == "pearson"]
    shown = tests.assign(supported=np.where(tests["supported"], "yes", "no")).drop(columns="measure")
    names = ["first", "second", *(c for c in shown if c not in ("first", "second"))]
    return _table(shown[names], 3)


def _data(report: Any) -> dict[str, Any]:
    """What the pictures draw, rounded; missing values are null."""
    aligned = report.correlations.aligned
    scores = stats.nanmean(aligned.scores["none"], 1)  # (k, t, m)
    frame = _frame(report).set_index("method")
    order = [m for m in frame.index if m in aligned.methods]
    targets = list(aligned.targets)
    times = frame["milliseconds"] if "milliseconds" in frame else pd.Series(np.nan, frame.index)
    return {
        "methods": order,
        "yardstick": [bool(frame.at[m, "yardstick"]) for m in order],
        "targets": targets,
        "models": list(aligned.models),
        "groups": of_models(aligned, "Architecture"),
        "truth": _numbers(aligned.truth),
        "scores": {m: _numbers(scores[aligned.methods.index(m)]) for m in order},
        "pearson": {m: _numbers(report.by_target["mean"].loc[m, targets].to_numpy(float)) for m in order},
        "mean": {m: _numbers(frame.at[m, "pearson"]) for m in order},
        "low": {m: _numbers(frame.at[m, "pearson_low"]) if "pearson_low" in frame else None for m in order},
        "high": {m: _numbers(frame.at[m, "pearson_high"]) if "pearson_high" in frame else None for m in order},
        "ms": {m: _numbers(times[m]) for m in order},
        "sizes": _sizes(order, frame),
        "colours": list(COLOURS),
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


HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{title}}</title>
<link rel="icon" href="data:,">
<style>
:root { --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --back: #f6f8fa; --accent: #0072B2; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: var(--ink); margin: 0 auto;
  max-width: 1180px; padding: 24px; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
"""
"""How every page of this project begins: its title, and the look that the rest of the style goes on from."""

_DOCUMENT = (
    HEAD
    + """p, li { color: var(--soft); } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .875rem; }
th, td { padding: 4px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.sortable th { cursor: pointer; user-select: none; background: var(--back); position: sticky; top: 0; }
.sortable th:hover { color: var(--accent); }
th[aria-sort=ascending]::after { content: " ▲"; } th[aria-sort=descending]::after { content: " ▼"; }
tr.yardstick td { color: var(--soft); font-style: italic; }
select { font: inherit; padding: 2px 6px; margin: 0 1em .5em 0; }
pre { background: var(--back); padding: 12px; overflow: auto; max-height: 340px; font-size: .8rem; }
.plot { width: 100%; height: 460px; }
</style>
</head>
<body>
<h1>{{title}}</h1>
<p>{{subtitle}}</p>
<h2>Summary</h2>
<p>A click on a heading sorts. In italics: yardsticks, which never look at the target's images.</p>
<div class="wide">{{summary}}</div>
<ul>{{legend}}</ul>
<h2>What is supported</h2>
<ul>{{supported}}</ul>
<details><summary>Paired tests (Pearson ×100; Holm's correction)</summary><div class="wide">{{tests}}</div></details>
<h2>Score against accuracy</h2>
<label>method <select id="method"></select></label><label>target <select id="target"></select></label>
<div id="scatter" class="plot"></div>
<div id="timebox"><h2>Time against correlation</h2><div id="time" class="plot"></div></div>
<h2>Correlation with its interval</h2><div id="forest" class="plot"></div>
<h2>Rank changes between targets</h2><div id="ranks" class="plot"></div>
<div id="sizebox"><h2>Probe size</h2><div id="sizes" class="plot"></div></div>
<h2>Targets</h2>
<div class="wide">{{targets}}</div>
<h2>Notes</h2>
<ul>{{notes}}</ul>
<h2>How to cite</h2>
<pre>{{cite}}</pre>
<details><summary>Provenance</summary><pre>{{provenance}}</pre></details>
<script>{{plotly}}</script>
<script id="data" type="application/json">{{data}}</script>
<script>
"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
const config = {displaylogo: false, responsive: true};
const base = {margin: {l: 60, r: 20, t: 40, b: 50}, font: {family: "system-ui, sans-serif", size: 13},
  hovermode: "closest", plot_bgcolor: "#fff", legend: {font: {size: 11}}};
const style = (...more) => Object.assign({}, base, ...more);
const show = v => v === null ? "–" : v.toPrecision(4);
const fill = (id, names) => { const s = document.getElementById(id);
  names.forEach(n => { const o = document.createElement("option"); o.textContent = n; s.append(o); }); return s; };

function sort(table, column) {
  const head = table.tHead.rows[0].cells[column];
  const up = head.getAttribute("aria-sort") === "descending";
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
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
  (cell, i) => cell.addEventListener("click", () => sort(table, i))));

const method = fill("method", D.methods), target = fill("target", D.targets);
const groups = Array.from(new Set(D.groups)).sort();
function scatter() {
  const t = target.selectedIndex, scores = D.scores[method.value][t], truth = D.truth[t];
  const traces = groups.map((g, i) => {
    const at = D.groups.map((n, j) => n === g && scores[j] !== null && truth[j] !== null ? j : -1).filter(j => j >= 0);
    return {type: "scatter", mode: "markers", name: g, x: at.map(j => scores[j]), y: at.map(j => truth[j]),
      text: at.map(j => D.models[j]), marker: {size: 10, opacity: .85, color: D.colours[i % D.colours.length],
      symbol: Math.floor(i / D.colours.length)},
      hovertemplate: "<b>%{text}</b><br>score %{x:.4g}<br>accuracy %{y:.2f} %<extra></extra>"};
  });
  const r = D.pearson[method.value][t];
  Plotly.react("scatter", traces, style({title: {text: `${method.value} on ${target.value}: Pearson ×100 = ` +
    (r === null ? "undefined" : r.toFixed(1)), font: {size: 14}},
    xaxis: {title: {text: "score"}}, yaxis: {title: {text: "accuracy after fine-tuning (%)"}}}), config);
}
method.addEventListener("change", scatter); target.addEventListener("change", scatter); scatter();

const timed = D.methods.filter(m => D.ms[m] !== null && D.mean[m] !== null);
if (timed.length) Plotly.newPlot("time", [{type: "scatter", mode: "markers+text", x: timed.map(m => D.ms[m]),
  y: timed.map(m => D.mean[m]), text: timed, textposition: "top center", textfont: {size: 11},
  marker: {size: 10, color: timed.map(m => D.yardstick[D.methods.indexOf(m)] ? "#7F7F7F" : "#0072B2")},
  hovertemplate: "<b>%{text}</b><br>%{x:.3g} ms<br>Mean PC %{y:.1f}<extra></extra>"}],
  style({xaxis: {type: "log", title: {text: "milliseconds per score"}},
  yaxis: {title: {text: "Mean PC"}}}), config);
else document.getElementById("timebox").remove();

const known = D.methods.filter(m => D.mean[m] !== null).sort((a, b) => D.mean[a] - D.mean[b]);
document.getElementById("forest").style.height = 120 + 24 * known.length + "px";
Plotly.newPlot("forest", [{type: "scatter", mode: "markers", y: known, x: known.map(m => D.mean[m]),
  marker: {size: 9, color: known.map(m => D.yardstick[D.methods.indexOf(m)] ? "#7F7F7F" : "#0072B2")},
  error_x: {type: "data", symmetric: false, color: "#57606a", thickness: 1.3,
    array: known.map(m => D.high[m] === null ? 0 : D.high[m] - D.mean[m]),
    arrayminus: known.map(m => D.low[m] === null ? 0 : D.mean[m] - D.low[m])},
  hovertemplate: "<b>%{y}</b><br>Mean PC %{x:.1f}<extra></extra>"}],
  style({margin: {l: 190, r: 20, t: 10, b: 50}, xaxis: {title: {text: "Mean PC, 95 % bootstrap interval"}},
  yaxis: {automargin: true}}), config);

const rank = D.targets.map((_, t) => {
  const values = D.methods.map(m => D.pearson[m][t]);
  return values.map(v => v === null ? null : 1 + values.filter(w => w !== null && w > v).length);
});
document.getElementById("ranks").style.height = 160 + 20 * D.methods.length + "px";
Plotly.newPlot("ranks", D.methods.map((m, k) => ({type: "scatter", mode: "lines+markers", name: m, x: D.targets,
  y: rank.map(r => r[k]), line: {width: 2, color: D.colours[k % D.colours.length],
  dash: D.yardstick[k] ? "dot" : "solid"},
  hovertemplate: "<b>" + m + "</b><br>%{x}: rank %{y}<extra></extra>"})),
  style({yaxis: {range: [D.methods.length + .6, .4], zeroline: false, tick0: 1,
    title: {text: "rank by Pearson (1 = best)"}, dtick: Math.ceil(D.methods.length / 12)},
  xaxis: {type: "category"}}), config);

const curves = Object.entries(D.sizes);
if (curves.length) Plotly.newPlot("sizes", curves.map(([m, points], i) => ({type: "scatter", mode: "lines+markers",
  name: m, x: points.map(p => p[0]), y: points.map(p => p[1]), line: {color: D.colours[i % D.colours.length]}})),
  style({xaxis: {type: "log", title: {text: "images in the probe set"}}, yaxis: {title: {text: "Mean PC"}}}), config);
else document.getElementById("sizebox").remove();
document.body.dataset.ready = "yes";
</script>
</body>
</html>
"""
)
