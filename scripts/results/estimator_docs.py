"""docs/estimators.md from the estimators' docstrings and declared capabilities, and from docs/methods_found.yaml.

python scripts/results/estimator_docs.py [check=true]   # check: exit code 1 where the page is not up to date
"""

from __future__ import annotations

import csv
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from page_files import command  # noqa: E402

from methods.shared.capabilities import EVERY, Capabilities, Estimator, estimators  # noqa: E402

PAGE = ROOT / "docs" / "estimators.md"
MEASURED = ROOT / "docs" / "kernels.csv"
FOUND = ROOT / "docs" / "methods_found.yaml"
HEAD = """# Estimators

Made by `python scripts/results/estimator_docs.py` from the docstrings in `methods/`; change those, not this page.

Every estimator is a function `methods.<name>` of the arrays that it needs, by name, and returns a `Score`: a float
with a status, of which higher predicts a better accuracy after fine-tuning. Features may be an array or a
`methods.Features`, which many estimators share. Letters: n images, d features, r their rank, c target classes,
z source classes. `insufficient` says that there are too few images or classes, `not_applicable` that the method does
not take such labels or lacks an input, `degenerate` that the value says nothing about the model.
`compat="<whose>"` computes what a released code does where that differs from the definition, on the classes that the
labels hold: a code that loops to the largest id and scores empty classes too is not followed in that.
`python -m benchmark.check <name>` examines any of them, and any function of your own. Its
exit code is 1 where one fails, or deviates and is not expected to (`expected=[<check>]`).

Cost is time after what the estimators share: one Gram product and one decomposition of the features. What was measured
is in [results/bench/estimators.md](../results/bench/estimators.md) and
[results/bench/conformance.md](../results/bench/conformance.md).

[In or out](#in-or-out) lists every method of the literature that was looked at, with the reason where it is not here.

"""
FOUND_HEAD = """## In or out

From `docs/methods_found.yaml`: every method of the literature that was looked at.

| method | paper | here |
|---|---|---|"""


def page() -> str:
    """The whole page."""
    found = sorted(estimators().items())
    return "\n".join([HEAD, *table(found), "", *(section(name, f) for name, f in found), *in_or_out()])


def table(found: list[tuple[str, Estimator]]) -> list[str]:
    lines = [
        "| estimator | needs | labels | invariant under | draws | per bank | kernels | cost |",
        "|---|---|---|---|---|---|---|---|",
    ]
    measured = between_kernels()
    for name, function in found:
        own = function.capabilities
        cells = [
            f"[{name}](#{name})",
            ", ".join(f"({n})" if n in own.optional else n for n in own.needs),
            ", ".join(own.labels) or "none",
            ", ".join(own.invariant) or "",
            "" if own.deterministic else "by seed",
            "yes" if own.bank else "",
            measured.get(name, ""),
            own.cost,
        ]
        lines.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    notes = (
        "In parentheses: an input that may be missing. Kernels: by how much the score differs between kernels of "
        "OpenBLAS, relative to itself, at most, on small probes with images that occur twice exactly or nearly and "
        "with classes that hold the same images (`python scripts/kernels.py figures`, "
        f"{kernels_tried()}); empty where by no more than 1e-6."
    )
    return [*lines, "", notes]


def between_kernels() -> dict[str, str]:
    """Each estimator's largest difference between kernels, where it is more than 1e-6."""
    with MEASURED.open(encoding="utf-8", newline="") as file:
        return {row["method"]: row["difference"] for row in csv.DictReader(file) if float(row["difference"]) > 1e-6}


def kernels_tried() -> str:
    with MEASURED.open(encoding="utf-8", newline="") as file:
        return ", ".join(next(csv.DictReader(file))["kernels"].split())


def methods_found() -> list[dict[str, Any]]:
    """Methods of the literature: name, paper, and `in` (estimators here) or `out` (why not)."""
    return yaml.safe_load(FOUND.read_text(encoding="utf-8"))


def in_or_out() -> list[str]:
    """The section on what is here and what is not, by name."""
    lines = []
    for entry in sorted(methods_found(), key=lambda entry: str(entry["name"]).lower()):
        here = ", ".join(f"[{name}](#{name})" for name in entry.get("in", []))
        said = "; ".join(filter(None, (here, f"out: {entry['out']}" if "out" in entry else "", entry.get("note", ""))))
        lines.append(
            "| " + " | ".join(str(c).replace("|", "\\|") for c in (entry["name"], entry["paper"], said)) + " |"
        )
    return [FOUND_HEAD, *lines, ""]


def section(name: str, function: Estimator) -> str:
    """One estimator: its sentence, facts, and the rest of the docstring as it is written."""
    own = function.capabilities
    sentence, _, rest = (inspect.getdoc(function) or "").partition("\n")
    facts = [f"- needs: {', '.join(own.needs)}", f"- labels: {', '.join(own.labels) or 'not looked at'}"]
    facts += [f"- at least {own.min_samples} images, {own.min_classes} classes"] if own.labels else []
    facts += [f"- classes of fewer than {own.min_per_class} images add little or nothing"] * (own.min_per_class > 1)
    facts += ["- goes by the order of the images"] * own.ordered
    facts += [] if own.deterministic else ["- depends on the seed"]
    facts += [f"- parts, normalised over the bank: {_weights(own)}"] if own.bank else []
    facts += [f"- cost: {own.cost}"] * bool(own.cost) + [f"- source: {own.source}"] * bool(own.source)
    body = f"```\n{rest.strip()}\n```\n" if rest.strip() else ""
    return f"## {name}\n\n{sentence}\n\n`{name}({_parameters(function)})`\n\n" + "\n".join(facts) + f"\n\n{body}"


def _parameters(function: Callable[..., Any]) -> str:
    shown = [
        name if p.default is inspect.Parameter.empty else f"{name}={_default(p.default)}"
        for name, p in inspect.signature(function).parameters.items()
    ]
    return ", ".join(shown)


def _default(value: Any) -> str:
    value = dict(value) if isinstance(value, Mapping) else value
    return value.__name__ if callable(value) else re.sub(r"\s+", " ", repr(value))


def _weights(own: Capabilities) -> str:
    by = {"minmax": "each moved to [0, 1]", "z": "each standardised", "rank": "each ranked"}[own.bank_by]
    if EVERY in own.bank:
        return f"mean of all, {by}"
    return f"{by}: " + ", ".join(f"{weight:+g} · {part}" for part, weight in own.bank.items())


def pages() -> dict[Path, str]:
    return {PAGE: page()}


if __name__ == "__main__":
    sys.exit(command(pages, sys.argv[1:]))
