"""A ranking as one self-contained HTML page: the answer, its table, accuracy against speed, a look at the data.

No script from elsewhere and no request to anywhere: pictures are data URIs, the plot is SVG. What the page looks like
is in templates/ranking.html.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import provenance
from benchmark.data.packs import Pack
from benchmark.data.packs import load as load_pack
from benchmark.files import put
from benchmark.models import snippet
from benchmark.ranking import accuracy_speed, next_step, pictures, to_check
from benchmark.ranking.terminal import interval, millions
from benchmark.reporting import html_pages
from benchmark.reporting.html_pages import Cell, Heading, Table

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.ranking.answer import Answer

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


def write(answer: Answer, path: Path) -> Path:
    """Write the page; returns its path."""
    put(path, page(answer).encode(errors="backslashreplace"))  # a file's name need not be UTF-8
    return path


def page(answer: Answer) -> str:
    """The whole document as text."""
    table, about = answer.table, answer.about
    first = table.iloc[0]
    pack = load_pack(answer.store.folder("pack", answer.pack))
    probe = answer.store.read("probe", answer.transfers[first["model"]].probe).arrays
    shown = pictures.classes(pack)
    return html_pages.render(
        "ranking/templates/ranking.html",
        title=f"Which model for {answer.data.name}?",
        subtitle=f"{about['train']} training and {about['test']} test images, {len(about['classes'])} classes, "
        f"{len(table)} candidates. The images did not leave this machine.",
        winner=first["model"],
        figure=f"{interval(first)} %",
        measure=about["measure"],
        why=first["why"],
        load="\n".join(load_lines(answer)),
        stakes=answer.stakes + _constant(answer),
        notes=answer.notes,
        table=_table(table),
        plot=accuracy_speed.plot(table, about["measure"]),
        findings=[finding.sentence for finding in answer.findings],
        classes=shown,
        more_classes=pack.n_classes - len(shown),
        side=pictures.SIDE,
        confused=pictures.confused(pack, answer.names, probe["features"], probe["labels"], probe["image_ids"]),
        curve=answer.learning_curve,
        check=answer.to_check.sentence,
        suspects=_shown(answer, pack, to_check.MISLABELLED),
        conflicts=_shown(answer, pack, to_check.CONFLICT),
        left_out=answer.left_out,
        step=None if answer.trained else next_step.of(answer),
        trained=answer.trained,
        provenance=json.dumps(provenance.record(), indent=1, sort_keys=True, default=str),
    )


def _shown(answer: Answer, pack: Pack, reason: str) -> list[tuple[to_check.Row, list[str]]]:
    """The first rows to check of a reason, each with its pictures."""
    found = answer.to_check.about(reason, pictures.PAIRS)
    return [(row, [pictures.picture(pack, i) for i in images]) for row, images in found]


def load_lines(answer: Answer) -> list[str]:
    """Lines of Python that load the first model with a head for these classes."""
    transfer = answer.transfers[answer.table.iloc[0]["model"]]
    cells = answer.store.read("probe", transfer.probe)
    key = answer.weights[transfer.model.name]
    weights = answer.store.folder("weights", key) if key else None
    logits = cells.arrays.get("logits")
    classes = None if logits is None else int(logits.shape[1])
    return snippet.lines(transfer.model, len(answer.about["classes"]), weights, classes)


def _constant(answer: Answer) -> list[str]:
    constant = answer.about["constant"]
    return [] if constant is None else [f"Always answering the largest class is right for {constant:.0f} %."]


def _table(found: pd.DataFrame) -> Table:
    heads = [Heading(name, about, words=column in WORDS) for name, column, _, about in COLUMNS]
    rows = [
        ("", [Cell(str(say(row)), None if c in WORDS else float(row[c])) for _, c, say, _ in COLUMNS])
        for row in found.to_dict("records")
    ]
    return Table("candidates", heads, rows)
