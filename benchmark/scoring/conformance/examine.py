"""What an estimator must withstand before its numbers are believed, tried on small made-up probes.

`examine` takes any function that takes arrays by the names of `benchmark.config.functions.ARRAYS` and returns one
finding a check. A function with declared capabilities (`methods.shared.capabilities.estimator`) is held to what it
declares; a stranger's plain function of features and labels to what any table needs; one of the whole bank to what
`benchmark.scoring.conformance.whole_bank` asks. Nothing is printed here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import SupportsFloat

from benchmark.config.functions import ARRAYS, GivenMethod
from benchmark.scoring.conformance import whole_bank
from benchmark.scoring.conformance.checks import CHECKS
from benchmark.scoring.conformance.subject import Finding, Subject, as_declared


def examine(
    function: Callable[..., SupportsFloat],
    name: str = "",
    parameters: Mapping[str, object] | None = None,
    timed: bool = True,
) -> list[Finding]:
    """All checks that apply to the function, in order; `timed` adds what it costs.

    Raises ValueError where it takes no array by a known name.
    """
    title = name or getattr(function, "__name__", "score")
    given = GivenMethod(name=title, _target_=f"given.{title}", call=function, parameters=dict(parameters or {}))
    if given.over_bank:
        return whole_bank.examine(given)
    subject = Subject(title, function, parameters or {})
    if not set(subject.needs) - {"seed", "n_classes"}:
        raise ValueError(
            f"{subject.name} must take its inputs by name: {', '.join(ARRAYS)}. "
            f"Got parameters {', '.join(inspect.signature(function).parameters) or 'none'}."
        )
    found: list[Finding] = []
    for check in CHECKS if timed else CHECKS[:-1]:
        result = check(subject)
        found += result if isinstance(result, list) else [result] if result else []
    return [as_declared(subject, finding) for finding in found]
