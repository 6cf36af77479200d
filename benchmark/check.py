"""Check an estimator, one's own too: python -m benchmark.check my_package.my_score

The battery of `benchmark.scoring.conformance.examine` on any function that takes arrays by name and returns a number,
and its scores under each kernel of the linear algebra that this processor runs
(`benchmark.scoring.conformance.kernels`). Exit code 1 when something fails, or deviates and is not expected to: by the
estimator's own declaration, or by `expected=[<check>, …]`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, SupportsFloat

from pydantic import Field

from benchmark.config.cli import settings
from benchmark.config.functions import ARRAYS, BANK
from benchmark.config.spec import Spec
from benchmark.config.validation import check_parameters
from benchmark.errors import ConfigError, did_you_mean
from benchmark.files import put
from benchmark.scoring.conformance.verdicts import COLOURS, find, markdown, print_findings, summary_line, without_markup

if TYPE_CHECKING:
    from benchmark.scoring.conformance.subject import Finding

USAGE = """python -m benchmark.check <estimator> … [key=value …]

<estimator> is a dotted path to a function (my_package.my_score), a name of `methods` (parc), or `all` of those."""


class Settings(Spec):
    """What to check."""

    methods: tuple[str, ...] = Field(min_length=1, description="dotted paths, names of `methods`, or all")
    parameters: dict[str, object] = Field({}, description="the estimator's parameters, for example {k: 5}")
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

    from benchmark.scoring.conformance.subject import overall

    functions = find(chosen.methods)
    checked = (check_parameters(f, chosen.parameters, f"{name}.parameters", ARRAYS) for name, f in functions.items())
    if problems := [problem for found in checked for problem in found]:
        raise ConfigError("\n".join(problems))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    verdicts, skipped = _examined(functions, chosen)
    for line in skipped:
        console.print(f"kernel not tried: {without_markup(line)}")
    known = {f.check for found in verdicts.values() for f in found}
    for check in chosen.expected:
        if check not in known:
            raise ConfigError(f"expected must name checks. Got '{check}'. " + did_you_mean(check, known))
    show = summary_line if len(functions) > 1 else print_findings
    for name, said in verdicts.items():
        show(console, name, said)
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


def _examined(
    functions: dict[str, Callable[..., SupportsFloat]], chosen: Settings
) -> tuple[dict[str, list[Finding]], list[str]]:
    """The findings of every estimator, and the kernels that could not be tried."""
    from threadpoolctl import threadpool_limits

    from benchmark.scoring.conformance.examine import examine
    from benchmark.scoring.conformance.kernels import findings

    verdicts = {}
    with threadpool_limits(1):
        for name, function in functions.items():
            try:
                verdicts[name] = examine(function, name, chosen.parameters)
            except ValueError as error:
                raise ConfigError(str(error)) from None
    paths = {name: name for name, f in functions.items() if BANK.isdisjoint(signature(f).parameters)}
    if not (chosen.kernels and paths):
        return verdicts, []
    found, skipped = findings(paths, chosen.parameters, functions)
    for name, finding in found.items():
        verdicts[name].append(finding)
    return verdicts, skipped


if __name__ == "__main__":
    sys.exit(main())
