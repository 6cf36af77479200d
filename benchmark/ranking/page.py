"""A ranking as one self-contained HTML page: the answer, its table, accuracy against speed, a look at the data.

No script from elsewhere and no request to anywhere: pictures are data URIs, the plot is SVG.
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from benchmark import provenance
from benchmark.data.examples import LEFT_OUT
from benchmark.data.packs import Pack
from benchmark.data.packs import load as load_pack
from benchmark.files import put
from benchmark.models import snippet
from benchmark.ranking.terminal import interval, millions
from benchmark.reporting.html_table import PAGE_START, SORT, Cell, Heading
from benchmark.reporting.html_table import table as html_table

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.ranking.answer import Answer

CLASSES, EXAMPLES, PAIRS = 12, 6, 12
SIDE = 96  # of an example on the page, pixels
BEYOND = 20  # points that the plot shows above and below the predictions; longer intervals are cut


def write(answer: Answer, path: Path) -> Path:
    """Write the page; returns its path."""
    put(path, page(answer).encode(errors="backslashreplace"))  # a file's name need not be UTF-8
    return path


def page(answer: Answer) -> str:
    """The whole document as text."""
    table, about = answer.table, answer.about
    first = table.iloc[0]
    pack = load_pack(answer.store.folder("pack", answer.pack))
    parts = {
        "title": html.escape(f"Which model for {answer.data.name}?"),
        "subtitle": html.escape(
            f"{about['train']} training and {about['test']} test images, {len(about['classes'])} classes, "
            f"{len(table)} candidates. The images did not leave this machine."
        ),
        "winner": html.escape(first["model"]),
        "figure": f"{interval(first)} %",
        "measure": html.escape(about["measure"]),
        "why": html.escape(first["why"]),
        "load": html.escape("\n".join(load_lines(answer))),
        "stakes": _items(answer.stakes + _constant(answer)),
        "notes": _items(answer.notes) or "<li>None of the known ones applies.</li>",
        "table": _table(table),
        "front": front(table, about["measure"]),
        "findings": _items(f.sentence for f in answer.findings) or "<li>Nothing was found wrong with the images.</li>",
        "classes": _classes(pack),
        "confused": _confused(answer, pack),
        "left_out": _left_out(answer.left_out),
        "provenance": html.escape(json.dumps(provenance.record(), indent=1, sort_keys=True, default=str)),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m[1]], _DOCUMENT)


def load_lines(answer: Answer) -> list[str]:
    """Lines of Python that load the first model with a head for these classes."""
    transfer = answer.transfers[answer.table.iloc[0]["model"]]
    cells = answer.store.read("probe", transfer.probe)
    key = answer.weights[transfer.model.name]
    weights = answer.store.folder("weights", key) if key else None
    logits = cells.arrays.get("logits")
    classes = None if logits is None else int(logits.shape[1])
    return snippet.lines(transfer.model, len(answer.about["classes"]), weights, classes)


def _items(lines: Any) -> str:
    return "".join(f"<li>{html.escape(line)}</li>" for line in lines)


def _constant(answer: Answer) -> list[str]:
    constant = answer.about["constant"]
    return [] if constant is None else [f"Always answering the largest class is right for {constant:.0f} %."]


def _left_out(left_out: dict[str, str]) -> str:
    if not left_out:
        return ""
    rows = "".join(f"<li><b>{html.escape(m)}</b>: {html.escape(why)}</li>" for m, why in left_out.items())
    return (
        f"<h2>Not considered</h2><details><summary>{len(left_out)} models, and why</summary><ul>{rows}</ul></details>"
    )


WORDS = ("model", "source", "licence", "why")
COLUMNS = (  # heading, column, how it reads, what it says
    ("model", "model", lambda r: r["model"], ""),
    ("rank", "rank", lambda r: str(r["rank"]), ""),
    ("predicted", "predicted_accuracy", lambda r: f"{r['predicted_accuracy']:.1f}", "percent after fine-tuning"),
    ("80 % interval", "low", lambda r: f"{r['low']:.0f} to {r['high']:.0f}", "sorted by its lower end"),
    ("regret", "expected_regret", lambda r: f"{r['expected_regret']:.1f}", "points lost against the best candidate"),
    ("best", "best", lambda r: f"{100 * r['best']:.0f} %", "probability that it is the best candidate"),
    ("images/s", "images_per_second", lambda r: f"{r['images_per_second']:.0f}", "one thread of this machine"),
    ("params", "parameters", lambda r: millions(r["parameters"]), ""),
    ("pixels", "input_size", lambda r: str(r["input_size"]), "side of its input"),
    ("trained on", "source", lambda r: r["source"], ""),
    ("licence", "licence", lambda r: r["licence"], ""),
    ("why", "why", lambda r: r["why"], ""),
)


def _table(found: pd.DataFrame) -> str:
    heads = [Heading(name, about, words=column in WORDS) for name, column, _, about in COLUMNS]
    rows = [
        ("", [Cell(str(say(row)), None if c in WORDS else float(row[c])) for _, c, say, _ in COLUMNS])
        for row in found.to_dict("records")
    ]
    return html_table("candidates", heads, rows)


# --- accuracy against speed --------------------------------------------------------------------------------------


def on_front(speed: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """(n,) whether no other candidate is at least as fast and as good, and better in one of the two."""
    as_good = (speed[None] >= speed[:, None]) & (accuracy[None] >= accuracy[:, None])
    better = (speed[None] > speed[:, None]) | (accuracy[None] > accuracy[:, None])
    return ~(as_good & better).any(axis=1)


def front(table: pd.DataFrame, measure: str, width: int = 1000, height: int = 420) -> str:
    """Predicted accuracy with its interval against images/s (logarithmic), the Pareto front joined, as SVG."""
    speed, accuracy = table["images_per_second"].to_numpy(float), table["predicted_accuracy"].to_numpy(float)
    best = on_front(speed, accuracy)
    left, right, top, bottom = 56, 16, 14, 46
    lows = math.floor(np.log10(speed.min()) * 4) / 4 - 0.05, math.ceil(np.log10(speed.max()) * 4) / 4 + 0.05
    floor = max(0.0, table["low"].min() - 2, accuracy.min() - BEYOND)
    roof = min(100.0, table["high"].max() + 2, accuracy.max() + BEYOND)

    def x(value: float) -> float:
        return left + (math.log10(value) - lows[0]) / (lows[1] - lows[0]) * (width - left - right)

    def y(value: float) -> float:
        return top + (roof - min(max(value, floor), roof)) / max(roof - floor, 1e-9) * (height - top - bottom)

    marks = [
        f'<rect x="{left}" y="{top}" width="{width - left - right}" height="{height - top - bottom}" class="box"/>'
    ]
    for value in _ticks_log(10 ** lows[0], 10 ** lows[1]):
        marks.append(f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{top}" y2="{height - bottom}" class="grid"/>')
        marks.append(f'<text x="{x(value):.1f}" y="{height - bottom + 18}" text-anchor="middle">{value:g}</text>')
    for value in range(0, 101, 10 if roof - floor > 40 else 5):
        if floor <= value <= roof:
            marks.append(
                f'<line x1="{left}" x2="{width - right}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/>'
            )
            marks.append(f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value}</text>')
    across, down = (left + width - right) / 2, (top + height - bottom) / 2
    marks.append(
        f'<text x="{across}" y="{height - 8}" text-anchor="middle">images/s, one thread of this machine</text>'
    )
    turned = f'transform="translate(14 {down}) rotate(-90)" text-anchor="middle"'
    marks.append(f"<text {turned}>predicted {html.escape(measure)} (%)</text>")
    order = [i for i in np.argsort(speed) if best[i]]
    path = " ".join(f"{x(speed[i]):.1f},{y(accuracy[i]):.1f}" for i in order)
    marks.append(f'<polyline points="{path}" class="front"/>')
    for i, row in enumerate(table.to_dict("records")):
        kind, px, py = "best" if best[i] else "other", x(speed[i]), y(accuracy[i])
        what = f"{row['model']}: {row['predicted_accuracy']:.1f} % ({row['low']:.0f} to {row['high']:.0f}), "
        what += f"{speed[i]:.0f} images/s, {millions(row['parameters'])} parameters, {row['licence']}"
        ends = f'y1="{y(row["low"]):.1f}" y2="{y(row["high"]):.1f}"'
        bar = f'<line x1="{px:.1f}" x2="{px:.1f}" {ends} class="range {kind}"/>'
        dot = f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{6 if best[i] else 4.5}" class="{kind}"/>'
        marks.append(f"<g><title>{html.escape(what)}</title>{bar}{dot}</g>")
    dots = [(x(s), y(a)) for s, a in zip(speed, accuracy, strict=True)]
    taken: list[tuple[float, float, float]] = []
    for i in sorted(order, key=lambda i: -accuracy[i]):
        marks.append(_named(table.iloc[i]["model"], *dots[i], width - right, taken, dots))
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="accuracy against speed">{"".join(marks)}</svg>'


def _named(
    name: str,
    x: float,
    y: float,
    end: float,
    taken: list[tuple[float, float, float]],
    dots: Sequence[tuple[float, float]] = (),
) -> str:
    """A name beside its dot where it covers no name and no dot that is there, nothing where there is no room."""
    wide = 6.6 * len(name)
    for start, down in ((x + 9, -8), (x - 9 - wide, -8), (x + 9, 18), (x - 9 - wide, 18)):
        clear = all(start + wide < l or start > r or abs(y + down - h) > 14 for l, r, h in taken)
        middle = y + down - 4  # of the letters, which stand on y + down
        clear &= all(start + wide < dx - 6 or start > dx + 6 or abs(middle - dy) > 11 for dx, dy in dots)
        if clear and start > 60 and start + wide < end:
            taken.append((start, start + wide, y + down))
            return f'<text x="{start:.1f}" y="{y + down:.1f}" class="name">{html.escape(name)}</text>'
    return ""


def _ticks_log(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [m * 10.0**d for d in decades for m in (1, 2, 5) if low <= m * 10.0**d <= high]


# --- a look at the data ------------------------------------------------------------------------------------------


def picture(pack: Pack, i: int, side: int = SIDE) -> str:
    """An image of the pack as an <img> element of `side` pixels, its middle cut out square."""
    pixels = pack.image(i)
    short = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - short) // 2, (pixels.shape[1] - short) // 2
    square = Image.fromarray(np.ascontiguousarray(pixels[top : top + short, left : left + short]))
    out = io.BytesIO()
    square.resize((side, side), Image.Resampling.BICUBIC).save(out, "JPEG", quality=80)
    data = base64.b64encode(out.getvalue()).decode()
    return f'<img width="{side}" height="{side}" alt="" src="data:image/jpeg;base64,{data}">'


def members(pack: Pack, k: int) -> np.ndarray:
    """Indices of the images of class k that are in either part."""
    has = pack.labels == k if pack.labels.ndim == 1 else pack.labels[:, k] == 1
    return np.flatnonzero(has & (pack.split != LEFT_OUT))


def _classes(pack: Pack) -> str:
    counts = [len(members(pack, k)) for k in range(pack.n_classes)]
    order = np.argsort(counts, kind="stable")[::-1]
    shown = order if len(order) <= CLASSES else np.concatenate([order[: CLASSES // 2], order[-CLASSES // 2 :]])
    rows = []
    for k in shown:
        own = members(pack, int(k))
        some = own[np.linspace(0, len(own) - 1, min(EXAMPLES, len(own))).round().astype(int)]
        pictures = "".join(picture(pack, int(i)) for i in some)
        name = html.escape(pack.class_names[k])
        rows.append(f'<div class="row"><div class="label"><b>{name}</b><br>{counts[k]} images</div>{pictures}</div>')
    more = pack.n_classes - len(shown)
    return "".join(rows) + (f"<p>The {CLASSES // 2} largest and smallest classes; {more} more.</p>" if more > 0 else "")


def confusions(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each image's nearest other image by cosine of centred features, where that has another label.

    features  (n, d), labels (n,) ids or (n, c) multi-hot
    returns   (images, neighbours, cosines), the most alike first
    """
    centred = features.astype(np.float64) - features.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    near = unit @ unit.T
    np.fill_diagonal(near, -np.inf)
    neighbour = near.argmax(axis=1)
    other = labels != labels[neighbour]
    wrong = np.flatnonzero(other.any(axis=1) if labels.ndim == 2 else other)
    cosine = near[wrong, neighbour[wrong]]
    order = np.argsort(-cosine, kind="stable")
    return wrong[order], neighbour[wrong[order]], cosine[order]


def _confused(answer: Answer, pack: Pack) -> str:
    model = answer.table.iloc[0]["model"]
    arrays = answer.store.read("probe", answer.transfers[model].probe).arrays
    ids, labels = arrays["image_ids"], arrays["labels"]
    images, neighbours, _ = confusions(arrays["features"], labels)
    share = 100 * len(images) / len(ids)
    said = f"<p>For {len(images)} of {len(ids)} training images ({share:.0f} %) the image that looks most alike to "
    said += f"{html.escape(model)} before any fine-tuning has another label. "
    if not len(images):
        return said + "</p>"
    if not pack.multilabel:
        pairs = Counter(
            tuple(sorted((int(labels[a]), int(labels[b])))) for a, b in zip(images, neighbours, strict=True)
        )
        worst = "; ".join(f"{_name(pack, a)} and {_name(pack, b)} ({n})" for (a, b), n in pairs.most_common(5))
        said += f"Most often: {html.escape(worst)}. "
    said += "Below, those it finds most alike: wrong labels show here too.</p>"
    shown, seen = [], set()
    for a, b in zip(images, neighbours, strict=True):
        if frozenset((a, b)) in seen:
            continue
        seen.add(frozenset((a, b)))
        shown.append(
            f"<figure>{picture(pack, int(ids[a]))}{picture(pack, int(ids[b]))}<figcaption>"
            f"{html.escape(_label(pack, labels[a]))} / {html.escape(_label(pack, labels[b]))}</figcaption></figure>"
        )
        if len(shown) == PAIRS:
            break
    return f'{said}<div class="pairs">{"".join(shown)}</div>'


def _name(pack: Pack, k: int) -> str:
    return pack.class_names[k]


def _label(pack: Pack, label: np.ndarray) -> str:
    if np.ndim(label) == 0:
        return pack.class_names[int(label)]
    return ", ".join(pack.class_names[k] for k in np.flatnonzero(label)) or "none"


_DOCUMENT = (
    PAGE_START
    + """.label, figcaption { color: var(--soft); }
.answer { background: var(--back); border-left: 4px solid var(--accent); padding: 12px 18px; margin: 1rem 0; }
.answer b { font-size: 1.3rem; overflow-wrap: anywhere; } .answer p { margin: .2rem 0; }
svg { width: 100%; min-width: 640px; height: auto; display: block; font: 12px system-ui, sans-serif; }
svg text { fill: var(--soft); }
svg .box { fill: none; stroke: var(--line); } svg .grid { stroke: var(--line); opacity: .6; }
svg .name { fill: var(--ink); }
svg .front { fill: none; stroke: var(--accent); stroke-width: 1.5; } svg circle.best { fill: var(--accent); }
svg circle.other { fill: var(--dim); opacity: .7; } svg .range { stroke: var(--dim); opacity: .18; }
svg .range.best { stroke: var(--accent); opacity: .45; } svg g:hover .range { opacity: 1; stroke-width: 2; }
.row { display: flex; flex-wrap: wrap; gap: 4px; align-items: center; margin-bottom: 4px; }
.label { width: 190px; overflow-wrap: anywhere; } @media (max-width: 600px) { .label { width: 100%; } }
.pairs { display: flex; flex-wrap: wrap; gap: 14px; } figure { margin: 0; width: 196px; }
figure img { margin-right: 2px; } figcaption { font-size: .8rem; } img { border-radius: 3px; max-width: 100%; }
</style>
</head>
<body>
<h1>{{title}}</h1>
<p>{{subtitle}}</p>
<div class="answer"><p><b>{{winner}}</b></p>
<p>predicted {{measure}} after fine-tuning {{figure}}; {{why}}</p></div>
<pre>{{load}}</pre>
<h2>How much the choice matters</h2>
<ul>{{stakes}}</ul>
<h2>Accuracy against speed</h2>
<p>Joined: the candidates that none beats in both. Bars: 80 % intervals, mostly of how hard these images are, which all
candidates share. A pointer on a dot says which it is.</p>
<div class="wide" tabindex="0" role="region" aria-label="accuracy against speed">{{front}}</div>
<h2>All candidates</h2>
<p>A heading sorts. Regret: points that picking this one is expected
to lose against the best candidate; best: the probability that it is that one.</p>
{{table}}
<h2>Where this ranking may be wrong</h2>
<ul>{{notes}}</ul>
<h2>The data</h2>
<ul>{{findings}}</ul>
{{classes}}
<h2>What the first model confuses</h2>
{{confused}}
{{left_out}}
<details><summary>Provenance</summary><pre>{{provenance}}</pre></details>
<script>
"use strict";"""
    + SORT
    + """</script>
</body>
</html>
"""
)
