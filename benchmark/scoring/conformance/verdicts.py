"""Findings of an examination for people: on the terminal, as Markdown, in one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, SupportsFloat

from benchmark.config.functions import resolve
from benchmark.errors import ConfigError, did_you_mean
from benchmark.provenance import commit, hardware, versions

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.scoring.conformance.subject import Finding

COLOURS = {"ok": "green", "deviates": "yellow", "fails": "red"}


def find(names: tuple[str, ...]) -> dict[str, Callable[..., SupportsFloat]]:
    """The functions that dotted paths, names of `methods` and `all` stand for."""
    from methods.shared.capabilities import estimators

    own = estimators()
    found: dict[str, Callable[..., SupportsFloat]] = {}
    for name in names:
        if name == "all":
            found |= own
        elif name in own:
            found[name] = own[name]
        elif "." not in name:
            raise ConfigError(
                f"an estimator must be a dotted path, a name of methods, or all. Got '{name}'. "
                + did_you_mean(name, [*own, "all"])
            )
        else:
            found[name] = resolve(name, "an estimator")
    return found


def markdown(verdicts: dict[str, list[Finding]], named: tuple[str, ...]) -> str:
    """The verdicts as a page: a row an estimator, and every finding that is not ok in words."""
    from benchmark.scoring.conformance.subject import overall

    packages = ", ".join(f"{k} {v}" for k, v in versions().items() if k in ("python", "numpy", "scipy", "scikit-learn"))
    lines = [
        "# Conformance of the estimators",
        "",
        f"`python -m benchmark.check {' '.join(named)} out=…`, one thread, "
        f"{hardware()['processor']}, {packages}, commit {commit() or 'unknown'}. Time is in factorisations of a "
        "500 × 1024 probe, after the shared one.",
        "",
        "| estimator | verdict | ok | deviates | fails | time | what is not ok |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in verdicts.items():
        count = [sum(f.verdict == v for f in found) for v in COLOURS]
        spent = next((f.figure for f in found if f.check == "time"), "")
        words = "; ".join(
            f"{f.check}: {f.text} {f.figure and '(' + f.figure + ')'}".strip() for f in found if f.verdict != "ok"
        )
        cells = [name, overall(found), *map(str, count), spent, words.replace("|", "\\|")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def print_findings(console: Console, name: str, found: list[Finding]) -> None:
    from rich.table import Table

    table = Table(title=name, title_justify="left", box=None, pad_edge=False)
    for column in ("check", "verdict", "figure", ""):
        table.add_column(column, overflow="fold")
    for f in found:
        table.add_row(
            f.check, f"[{COLOURS[f.verdict]}]{f.verdict}[/]", without_markup(f.figure), without_markup(f.text)
        )
    console.print(table)


def summary_line(console: Console, name: str, found: list[Finding]) -> None:
    from benchmark.scoring.conformance.subject import overall

    verdict = overall(found)
    oks = sum(f.verdict == "ok" for f in found)
    console.print(f"[{COLOURS[verdict]}]{verdict:<9}[/] {name:<18} {oks} of {len(found)} checks ok")
    for f in found:
        if f.verdict != "ok":
            console.print(
                f"    [{COLOURS[f.verdict]}]{f.check}[/]: {without_markup(f.text)} {without_markup(f.figure)}".rstrip()
            )


def without_markup(text: str) -> str:
    return re.sub(r"\[", r"\\[", text)
