"""A model card: what a trained model is for, how good it is and where it is not, as Markdown for whoever gets it.

The headings follow Mitchell et al., Model cards for model reporting, FAT* 2019, arXiv 1810.03993.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.files import put
from benchmark.wording import duration

if TYPE_CHECKING:
    from benchmark.ranking.answer import Answer
    from benchmark.ranking.trained import Trained

CLASSES = 100  # that are listed


def write(answer: Answer, trained: Trained, path: Path) -> None:
    """Write model_card.md."""
    licence = str(answer.experiment.bank[trained.model].licence)
    text = card(trained, answer.data.name, answer.about, licence, [f.sentence for f in answer.findings])
    put(path, text.encode(errors="backslashreplace"))


def card(trained: Trained, data: str, about: Mapping[str, Any], licence: str, findings: list[str]) -> str:
    """The card as text. about: facts of the data, see `benchmark.ranking.blind_spots.about`."""
    parts = {
        "Model": _model(trained, data, licence),
        "Intended use": _use(about),
        "Data": _data(data, about, findings),
        "Accuracy": _accuracy(trained, about),
        "Probabilities": [trained.calibrated],
        "How to use it": ["```", trained.use, "```"],
        "Notes": [f"- {note}" for note in trained.notes],
    }
    lines = [f"# {trained.model}, {trained.how} on {data}"]
    for heading, own in parts.items():
        if own:
            lines += ["", f"## {heading}", "", *own]
    return "\n".join(lines) + "\n"


def _model(trained: Trained, data: str, licence: str) -> list[str]:
    made = "the new one alone fitted" if trained.head_only else "fine-tuned"
    return [
        f"- {trained.model}, a pretrained network whose last layer was replaced, {made} on {data}",
        f"- licence of the pretrained weights: {licence}. {trained.commercial_use}",
        f"- time from the ranking to the trained model: {duration(trained.seconds)}",
        *([f"- {trained.energy}"] if trained.energy else []),
    ]


def _use(about: Mapping[str, Any]) -> list[str]:
    kind = "labels an image has" if about["multilabel"] else "classes an image shows"
    return [
        f"To say which of the {kind}, for images made as those that it was trained on. Other cameras, places or times "
        "were not tested, and other classes it does not know. Where a mistake does harm, a person must look.",
    ]


def _data(data: str, about: Mapping[str, Any], findings: list[str]) -> list[str]:
    counts = list(about["classes"].items())
    rows = [f"| {_cell(name)} | {count} |" for name, count in counts[:CLASSES]]
    more = ["", f"{len(counts) - CLASSES} more classes."] if len(counts) > CLASSES else []
    found = ["", "Found wrong with the images:", "", *(f"- {sentence}" for sentence in findings)] if findings else []
    head = f"{data}: {about['train']} training and {about['test']} test images, {len(counts)} classes."
    return [head, "", "| class | images |", "|:--|--:|", *rows, *more, *found]


def _accuracy(trained: Trained, about: Mapping[str, Any]) -> list[str]:
    said = [f"{trained.sentence[0].upper()}{trained.sentence[1:]}, which chose nothing."]
    if about["constant"] is not None:
        said.append(f"Always answering the largest class would reach {about['constant']:.1f} %.")
    if trained.mistakes:
        rows = [f"| {_cell(m.true)} | {_cell(m.predicted)} | {m.count} |" for m in trained.mistakes]
        said += ["", "| most frequent mistakes | taken for | times |", "|:--|:--|--:|", *rows]
    return said


def _cell(name: str) -> str:
    """A name inside a row of a table."""
    return " ".join(name.split()).replace("|", "\\|")
