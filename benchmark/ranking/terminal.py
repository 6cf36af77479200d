"""A ranking on the terminal and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import provenance
from benchmark.files import put
from benchmark.ranking import next_step
from benchmark.reporting.layout import Grid, printer
from benchmark.reporting.layout import show as layout_show

if TYPE_CHECKING:
    from benchmark.ranking.answer import Answer

FACTS = ("architecture", "source", "weights", "licence", "parameters", "input_size", "feature_dim", "images_per_second")
ROWS = 15  # of the table on the terminal; all are in the files


def show(answer: Answer, rows: int = ROWS) -> None:
    """Print the table, what is at stake, and the blind spots."""
    table, measure = answer.table, answer.about["measure"]
    cells = [
        [
            *(str(row.rank), row.model, interval(row), f"{row.images_per_second:.0f}"),
            *(millions(row.parameters), row.licence, row.why),
        ]
        for row in table.head(rows).itertuples()
    ]
    head = ("", "model", "predicted", "images/s", "params", "licence", "why")
    title = f"Predicted {measure} after fine-tuning on {answer.data.name} (%, with an 80 % interval)"
    grid = Grid(title, head, [cells], left=2, order=(1, 2, 0, 3, 4, 5, 6), words=(1, 5, 6))
    console = printer()
    layout_show(grid, console, "ranking.json")
    if len(table) > rows:
        console.print(f"{len(table) - rows} more in ranking.json.", highlight=False)
    for line in answer.stakes:
        console.print(line, highlight=False, markup=False)
    if answer.about["constant"] is not None:
        console.print(f"Always answering the largest class: {answer.about['constant']:.0f} %.", highlight=False)
    for note in answer.notes:
        console.print(f"note: {note}", highlight=False, markup=False)
    if answer.learning_curve:
        console.print(answer.learning_curve.sentence, highlight=False, markup=False)
    print(answer.to_check.sentence)
    if answer.asked.budget is None:
        step = next_step.of(answer)
        print(f"\n{step.command}\n{step.sentence}")  # the command in one line, to be copied
        print(step.commercial_use)


def interval(row: Any) -> str:
    """`83.1 (70 to 92)`."""
    return f"{row.predicted_accuracy:.1f} ({row.low:.0f} to {row.high:.0f})"


def millions(parameters: float) -> str:
    """`0.59 M`, `25.6 M`."""
    return f"{parameters / 1e6:.{2 if parameters < 1e7 else 1}f} M"


def as_data(answer: Answer, asked: dict[str, Any]) -> dict[str, Any]:
    """The ranking as plain data."""
    table, curve = answer.table, answer.learning_curve
    models = json.loads(table.to_json(orient="records", double_precision=6))
    return {
        "models": models,
        "measure": f"{answer.about['measure']} after fine-tuning, percent; low and high: an 80 % interval",
        "stakes": answer.stakes,
        "notes": answer.notes,
        "next": None if answer.trained else asdict(next_step.of(answer)),
        "trained": asdict(answer.trained) if answer.trained else None,
        "data": {"name": answer.data.name, **answer.about, "findings": [asdict(f) for f in answer.findings]},
        "learning_curve": asdict(curve) | {"helps": curve.helps, "sentence": curve.sentence} if curve else None,
        "to_check": [asdict(row) for row in answer.to_check.rows],
        "left_out": answer.left_out,
        "asked": asked,
        "provenance": provenance.record(),
    }


def write_json(answer: Answer, path: Path, asked: dict[str, Any]) -> None:
    """Write ranking.json: `models` best first, and everything else that was found."""
    text = json.dumps(as_data(answer, asked), indent=1, ensure_ascii=False) + "\n"
    put(path, text.encode(errors="backslashreplace"))  # a file's name need not be UTF-8
