"""One self-contained HTML file of a report: readable offline, plotly's script inside once, no request to anywhere."""

from __future__ import annotations

import html
import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.files import put
from benchmark.reporting import layout
from benchmark.reporting.html_table import PAGE_START, SORT, Cell, Heading, table
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
    parts = {
        "title": html.escape(report.title),
        "focal": _focal(report),
        "summary": _summary(report),
        "targets": _table("targets", report.targets, 2, ("target",)),
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
    from benchmark.reporting.grids import legend

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
    return table("summary", heads, rows)


def _focal(report: Any) -> str:
    """The tables of methods in question, with headings; nothing where none is."""
    from benchmark.reporting.focal import focal_grids, focal_legend

    parts = []
    for i, grid in enumerate(focal_grids(report)):
        words = {0, *grid.words}
        heads = [Heading(name, words=k in words) for k, name in enumerate(grid.head)]
        rows = [
            ("yardstick" if b else "method", [_as_cell(c) for c in row])
            for b, rows in enumerate(grid.blocks)
            for row in rows
        ]
        parts.append(f"<h2>{html.escape(grid.title)}</h2>\n{table(f'focal-{i}', heads, rows)}")
    legend = _items(focal_legend(report))
    return "\n".join(parts) + (f"<ul>{legend}</ul>" if legend else "")


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


def _table(label: str, frame: pd.DataFrame, digits: int, words: Sequence[str]) -> str:
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
    return table(label, heads, rows)


def _tests(report: Any) -> str:
    if report.evidence is None or report.evidence.tests.empty:
        return "<p>No pair of methods to compare.</p>"
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


_DOCUMENT = (
    PAGE_START
    + """.yardstick > * { color: var(--soft); font-style: italic; }
.plot { width: 100%; height: 460px; }
</style>
</head>
<body>
<h1>{{title}}</h1>
<p>{{subtitle}}</p>
{{focal}}
<h2>Summary</h2>
<p>A heading sorts. In italics: yardsticks, which never look at the target's images.</p>
{{summary}}
<ul>{{legend}}</ul>
<h2>What is supported</h2>
<ul>{{supported}}</ul>
<details><summary>Paired tests (Pearson ×100; Holm's correction)</summary>{{tests}}</details>
<h2>Score against accuracy</h2>
<label>method<select id="method"></select></label><label>target<select id="target"></select></label>
<p id="said" aria-live="polite"></p>
<div id="scatter" class="plot"></div>
<div id="timebox"><h2>Time against correlation</h2>
<p>Names stand where they cover nothing; a pointer on a dot says the others.</p>
<div id="time" class="plot"></div></div>
<h2>Correlation with its interval</h2><div id="forest" class="plot"></div>
<h2>Rank changes between targets</h2><div id="ranks" class="plot"></div>
<div id="sizebox"><h2>Probe size</h2><div id="sizes" class="plot"></div></div>
<h2>Targets</h2>
{{targets}}
<h2>Notes</h2>
<ul>{{notes}}</ul>
<h2>How to cite</h2>
<pre>{{cite}}</pre>
<details><summary>Provenance</summary><pre>{{provenance}}</pre></details>
<script>{{plotly}}</script>
<script id="data" type="application/json">{{data}}</script>
<script>
"use strict";
"""
    + SORT
    + """
const D = JSON.parse(document.getElementById("data").textContent);
const config = {displaylogo: false};
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const box = id => document.getElementById(id);
const narrow = () => window.innerWidth < 700;
const axis = more => Object.assign({gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--line"),
  automargin: true}, more);
const margins = more => Object.assign({l: narrow() ? 44 : 60, r: 16, t: 36, b: 50}, more);  // above: the plot's buttons
function style(id, more, entries = 0) {  // entries of the legend: beside a wide plot, below a narrow one
  const below = narrow() && entries > 0;
  const base = {margin: margins({}), hovermode: "closest", autosize: false,
    modebar: {bgcolor: "rgba(0,0,0,0)", color: css("--dim"), activecolor: css("--ink")},
    font: {family: "system-ui, sans-serif", size: 13, color: css("--ink")}, paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)", hoverlabel: {bgcolor: css("--back"), font: {color: css("--ink")}},
    legend: below ? {orientation: "h", y: -0.18, yanchor: "top", font: {size: 11}} : {font: {size: 11}}};
  return Object.assign(base, {width: box(id).clientWidth, height: box(id).clientHeight}, more);
}
function height(id, plot, entries = 0) {  // of the plot, and of the legend where that stands below
  const below = narrow() ? 20 * Math.ceil(entries / 2) + 40 : 0;
  box(id).style.height = plot + below + "px";
}
const fill = (id, names) => { const s = box(id);
  names.forEach(n => { const o = document.createElement("option"); o.textContent = n; s.append(o); }); return s; };

const method = fill("method", D.methods), target = fill("target", D.targets);
const groups = Array.from(new Set(D.groups)).sort();
function scatter() {
  const t = target.selectedIndex, scores = D.scores[method.value][t], truth = D.truth[t];
  const traces = groups.map((g, i) => {
    const at = D.groups.map((n, j) => n === g && scores[j] !== null && truth[j] !== null ? j : -1).filter(j => j >= 0);
    return {type: "scatter", mode: "markers", name: g, showlegend: true, x: at.map(j => scores[j]),
      y: at.map(j => truth[j]), text: at.map(j => D.models[j]),
      marker: {size: 10, opacity: .85, color: D.colours[i], symbol: i % 5},
      hovertemplate: "<b>%{text}</b><br>score %{x:.4g}<br>accuracy %{y:.2f} %<extra></extra>"};
  });
  const r = D.pearson[method.value][t];
  box("said").textContent = `${method.value} on ${target.value}: Pearson ×100 = ` +
    (r === null ? "undefined" : r.toFixed(1));
  height("scatter", 460, groups.length);
  Plotly.react("scatter", traces, style("scatter", {xaxis: axis({title: {text: "score"}}),
    yaxis: axis({title: {text: "accuracy after fine-tuning (%)"}})},
    groups.length), config);
}
method.addEventListener("change", scatter); target.addEventListener("change", scatter);

// where names go so that none covers a name or a dot: `textposition` for each point, and no text where there is no room
const AROUND = [["top center", -.5, -1.5], ["bottom center", -.5, .5], ["middle right", .5, -.5],
  ["middle left", -1.5, -.5], ["top right", 0, -1.5], ["top left", -1, -1.5], ["bottom right", 0, .5],
  ["bottom left", -1, .5]];
function named(names, x, y, width, height) {
  const tall = 14, gap = 7, taken = [], out = names.map(() => null);
  const order = names.map((_, i) => i).sort((a, b) => y[a] - y[b]);
  for (const i of order) for (const [where, across, down] of AROUND) {
    const wide = 6.6 * names[i].length + 4;
    const left = x[i] + (across === -.5 ? -wide / 2 : across >= 0 ? gap : -wide - gap);
    const top = y[i] + (down === -.5 ? -tall / 2 : down < 0 ? -tall - gap : gap);
    const free = taken.every(b => left + wide < b[0] || left > b[2] || top + tall < b[1] || top > b[3]) &&
      names.every((_, j) => x[j] + 5 < left || x[j] - 5 > left + wide || y[j] + 5 < top || y[j] - 5 > top + tall);
    if (!free || left < 0 || left + wide > width || top < 0 || top + tall > height) continue;
    taken.push([left, top, left + wide, top + tall]); out[i] = where; break;
  }
  return out;
}
const timed = D.methods.filter(m => D.ms[m] > 0 && D.mean[m] !== null);
const grey = m => D.yardstick[D.methods.indexOf(m)] ? D.grey : css("--accent");
function time() {
  const margin = margins({}), xs = timed.map(m => D.ms[m]);
  const logs = xs.map(Math.log10), ys = timed.map(m => D.mean[m]);
  const span = (v, share) => { const a = Math.min(...v), b = Math.max(...v), pad = share * (b - a) || 1;
    return [a - pad, b + pad]; };
  const across = span(logs, .06), up = span(ys, .08), width = box("time").clientWidth - margin.l - margin.r;
  const tall = box("time").clientHeight - margin.t - margin.b;
  const at = named(timed, logs.map(v => (v - across[0]) / (across[1] - across[0]) * width),
    ys.map(v => (up[1] - v) / (up[1] - up[0]) * tall), width, tall);
  Plotly.react("time", [{type: "scatter", mode: "markers+text", x: xs, y: ys, customdata: timed,
    text: timed.map((m, i) => at[i] ? m : ""), textposition: at.map(v => v || "top center"), cliponaxis: false,
    textfont: {size: 11}, marker: {size: 10, color: timed.map(grey)},
    hovertemplate: "<b>%{customdata}</b><br>%{x:.3g} ms<br>Mean PC %{y:.1f}<extra></extra>"}],
    style("time", {margin, xaxis: axis({type: "log", range: across, automargin: false, title: {text: D.timed}}),
    yaxis: axis({range: up, automargin: false, title: {text: "Mean PC"}})}), config);
}

const known = D.methods.filter(m => D.mean[m] !== null).sort((a, b) => D.mean[a] - D.mean[b]);
function forest() {
  height("forest", 120 + 24 * known.length);
  Plotly.react("forest", [{type: "scatter", mode: "markers", y: known, x: known.map(m => D.mean[m]),
    marker: {size: 9, color: known.map(grey)},
    error_x: {type: "data", symmetric: false, color: css("--dim"), thickness: 1.3,
      array: known.map(m => D.high[m] === null ? 0 : D.high[m] - D.mean[m]),
      arrayminus: known.map(m => D.low[m] === null ? 0 : D.mean[m] - D.low[m])},
    hovertemplate: "<b>%{y}</b><br>Mean PC %{x:.1f}<extra></extra>"}],
    style("forest", {margin: margins({l: 10}), xaxis: axis({title: {text: "Mean PC, 95 % bootstrap interval"}}),
    yaxis: axis({tickmode: "linear", dtick: 1, tickfont: {size: narrow() ? 10 : 12}})}), config);
}

const rank = D.targets.map((_, t) => {
  const values = D.methods.map(m => D.pearson[m][t]);
  return values.map(v => v === null ? null : 1 + values.filter(w => w !== null && w > v).length);
});
function ranks() {
  height("ranks", 160 + 20 * D.methods.length, D.methods.length);
  Plotly.react("ranks", D.methods.map((m, k) => ({type: "scatter", mode: "lines+markers", name: m, x: D.targets,
    y: rank.map(r => r[k]), line: {width: 2, color: D.colours[k], dash: D.yardstick[k] ? "dot" : "solid"},
    hovertemplate: "<b>" + m + "</b><br>%{x}: rank %{y}<extra></extra>"})),
    style("ranks", {yaxis: axis({range: [D.methods.length + .6, .4], zeroline: false, tick0: 1,
      title: {text: "rank by Pearson (1 = best)"}, dtick: Math.ceil(D.methods.length / 12)}),
    xaxis: axis({type: "category"})}, D.methods.length), config);
}

const curves = Object.entries(D.sizes);
function sizes() {
  height("sizes", 460, curves.length);
  Plotly.react("sizes", curves.map(([m, points], i) => ({type: "scatter", mode: "lines+markers",
    name: m, x: points.map(p => p[0]), y: points.map(p => p[1]), line: {color: D.colours[i]}})),
    style("sizes", {xaxis: axis({type: "log", title: {text: "images in the probe set"}}),
    yaxis: axis({title: {text: "Mean PC"}})}, curves.length), config);
}

if (!timed.length) box("timebox").remove();
if (!curves.length) box("sizebox").remove();
function draw() {
  scatter(); forest(); ranks();
  if (timed.length) time();
  if (curves.length) sizes();
}
let wide = 0;
function redraw() { if (wide !== window.innerWidth) { wide = window.innerWidth; draw(); } }
redraw();
window.addEventListener("resize", redraw);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
document.body.dataset.ready = "yes";
</script>
</body>
</html>
"""
)
