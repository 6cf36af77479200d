"""Check an estimator, one's own too: python -m benchmark.check my_package.my_score

The battery of `benchmark.conformance` on any function that takes arrays by name and returns a number, and its scores
under each kernel of the linear algebra that this processor runs (`benchmark.kernels`). Exit code 1 when something
fails, or deviates and is not expected to: by the estimator's own declaration, or by `expected=[<check>, …]`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field

from benchmark.cli import settings
from benchmark.config import ARRAYS, ConfigError, Spec, check_parameters, did_you_mean, resolve
from benchmark.files import put

USAGE = """python -m benchmark.check <estimator> … [key=value …]

<estimator> is a dotted path to a function (my_package.my_score), a name of `methods` (parc), or `all` of those."""

COLOURS = {"ok": "green", "deviates": "yellow", "fails": "red"}


class Settings(Spec):
    """What to check."""

    methods: tuple[str, ...] = Field(min_length=1, description="dotted paths, names of `methods`, or all")
    parameters: dict[str, Any] = Field({}, description="the estimator's parameters, for example {k: 5}")
    expected: tuple[str, ...] = Field((), description="checks that may deviate without an exit code of 1")
    kernels: bool = Field(True, description="also score under each kernel of OpenBLAS, in processes of their own")
    out: Path | None = Field(None, description="also write the verdicts to this Markdown file")


def main(argv: list[str] | None = None) -> int:
    """Run the command; words without `=` are estimators."""
    argv = sys.argv[1:] if argv is None else argv
    named = [a for a in argv if "=" not in a and not a.startswith("-")]
    rest = [a for a in argv if a not in named]
    return settings(run, Settings, USAGE, rest + ([f"methods=[{','.join(named)}]"] if named else []))


def run(chosen: Settings) -> int:
    """Examine, print, and return the exit code."""
    from rich.console import Console
    from threadpoolctl import threadpool_limits

    from benchmark.conformance import examine, overall

    functions = find(chosen.methods)
    problems = [
        problem
        for name, function in functions.items()
        for problem in check_parameters(function, chosen.parameters, f"{name}.parameters", ARRAYS)
    ]
    if problems:
        raise ConfigError("\n".join(problems))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    verdicts = {}
    with threadpool_limits(1):
        for name, function in functions.items():
            try:
                verdicts[name] = examine(function, name, chosen.parameters)
            except ValueError as error:
                raise ConfigError(str(error)) from None
    if chosen.kernels:
        from benchmark.kernels import findings

        paths = {name: name for name in functions}
        found, skipped = findings(paths, chosen.parameters, functions)
        for line in skipped:
            console.print(f"kernel not tried: {_plain(line)}")
        for name, finding in found.items():
            verdicts[name].append(finding)
    known = {f.check for found in verdicts.values() for f in found}
    for check in chosen.expected:
        if check not in known:
            raise ConfigError(f"expected must name checks. Got '{check}'. " + did_you_mean(check, known))
    if len(functions) > 1:
        for name, found in verdicts.items():
            _line(console, name, found)
    if len(functions) == 1:
        ((name, found),) = verdicts.items()
        _print(console, name, found)
    if chosen.out:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        put(chosen.out, markdown(verdicts, chosen.methods))
    counts = [overall(found) for found in verdicts.values()]
    summary = ", ".join(f"{counts.count(v)} {v}" for v in COLOURS if v in counts)
    console.print(f"{len(counts)} estimators: {summary}" if len(counts) > 1 else f"verdict: {summary[2:]}")
    surprises = [
        f for found in verdicts.values() for f in found
        if f.verdict == "fails" or (f.verdict == "deviates" and not f.expected and f.check not in chosen.expected)
    ]  # fmt: skip
    if surprises and "fails" not in counts:
        checks = ", ".join(dict.fromkeys(f.check for f in surprises))
        console.print(f"deviates unexpectedly in: {checks}. Where that is as it should be: expected=\\[{checks}]")
    return int(bool(surprises))


def find(names: tuple[str, ...]) -> dict[str, Callable[..., Any]]:
    """The functions that dotted paths, names of `methods` and `all` stand for."""
    from methods.capabilities import estimators

    own = estimators()
    found: dict[str, Callable[..., Any]] = {}
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


def markdown(verdicts: dict[str, list[Any]], named: tuple[str, ...]) -> str:
    """The verdicts as a page: a row an estimator, and every finding that is not ok in words."""
    from benchmark.conformance import overall
    from benchmark.provenance import commit, hardware, versions

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


def _print(console: Any, name: str, found: list[Any]) -> None:
    from rich.table import Table

    table = Table(title=name, title_justify="left", box=None, pad_edge=False)
    for column in ("check", "verdict", "figure", ""):
        table.add_column(column, overflow="fold")
    for f in found:
        table.add_row(f.check, f"[{COLOURS[f.verdict]}]{f.verdict}[/]", _plain(f.figure), _plain(f.text))
    console.print(table)


def _line(console: Any, name: str, found: list[Any]) -> None:
    from benchmark.conformance import overall

    verdict = overall(found)
    oks = sum(f.verdict == "ok" for f in found)
    console.print(f"[{COLOURS[verdict]}]{verdict:<9}[/] {name:<18} {oks} of {len(found)} checks ok")
    for f in found:
        if f.verdict != "ok":
            console.print(f"    [{COLOURS[f.verdict]}]{f.check}[/]: {_plain(f.text)} {_plain(f.figure)}".rstrip())


def _plain(text: str) -> str:
    return re.sub(r"\[", r"\\[", text)


if __name__ == "__main__":
    sys.exit(main())
