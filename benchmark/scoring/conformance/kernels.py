"""Scores under every kernel of the linear algebra that the processor runs, each in a process of its own.

OpenBLAS has one kernel a family of processors, and each rounds in its own way. What is decided by the last bit of a
rounding (a tie, a sign, a rank) comes out differently on another processor; here that shows on one machine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import SupportsFloat, TypedDict

import numpy as np

from benchmark.config.functions import resolve
from benchmark.scoring.conformance.probes import ordinary, repeated, twins
from benchmark.scoring.conformance.subject import Arrays, Finding, Outcome, Subject, compared
from methods.shared.capabilities import estimators

KERNELS = ("Prescott", "Nehalem", "Sandybridge", "Haswell", "SkylakeX")
REPORTED = {"Katmai": "Prescott"}
"""Kernels that threadpoolctl knows by another name than OPENBLAS_CORETYPE does."""

Values = dict[str, dict[str, tuple[float, str, str, str]]]
"""Value, status, reason and complaint of each estimator on each probe."""


class Done(TypedDict):
    """What a process says that scored under one kernel: the kernels that it used, and the values."""

    taken: list[str]
    values: Values


def findings(
    names: Mapping[str, str], parameters: Mapping[str, object], functions: Mapping[str, Callable[..., SupportsFloat]]
) -> tuple[dict[str, Finding], list[str]]:
    """What each estimator's scores do from kernel to kernel, and a line on each kernel that could not be tried.

    names  of the estimators -> dotted paths, by which another process finds them
    """
    with ThreadPoolExecutor(2) as pool:
        made = dict(zip(KERNELS, pool.map(lambda k: under(k, names, parameters), KERNELS), strict=True))
    skipped = [f"{kernel}: {result}" for kernel, result in made.items() if isinstance(result, str)]
    tried = {kernel: result for kernel, result in made.items() if not isinstance(result, str)}
    if len(tried) < 2:
        return {}, skipped
    text = f"largest difference between {', '.join(tried)}"
    found = {}
    for name in names:
        subject = Subject(name, functions[name], parameters)
        per_kernel = {k: {p: _outcome(*v) for p, v in values[name].items()} for k, values in tried.items()}
        found[name] = compared(subject, "kernels", list(per_kernel.values()), text)
    return found, skipped


def probes() -> dict[str, Arrays]:
    """The probes that are scored: ordinary ones, and such with images that occur twice, exactly or nearly."""
    return ordinary() | repeated() | twins()


def under(kernel: str, names: Mapping[str, str], parameters: Mapping[str, object]) -> Values | str:
    """What each estimator makes of each probe, or why the kernel could not be tried."""
    done = _run(kernel, {"names": dict(names), "parameters": dict(parameters)})
    if isinstance(done, str):
        return done
    return done["values"] if done["taken"] == [kernel] else _instead(done["taken"])


def unavailable(kernel: str) -> str:
    """Why this processor does not run a kernel; empty where it does."""
    done = _run(kernel, {"names": {}, "parameters": {}})
    return done if isinstance(done, str) else "" if done["taken"] == [kernel] else _instead(done["taken"])


def _run(kernel: str, given: Mapping[str, object]) -> Done | str:
    environment = os.environ | {"OPENBLAS_CORETYPE": kernel, "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path)}
    command = [sys.executable, "-m", "benchmark.scoring.conformance.kernels"]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, env=environment)
    if done.returncode == -signal.SIGILL:
        return "this processor does not run it"
    if done.returncode:
        raise RuntimeError(f"scoring under the kernel {kernel} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _instead(taken: list[str]) -> str:
    return f"{' and '.join(taken)} is taken instead" if taken else "there is no OpenBLAS here"


def taken() -> list[str]:
    """The kernels of OpenBLAS that this process uses, by the names of OPENBLAS_CORETYPE; empty without OpenBLAS."""
    import scipy.linalg  # noqa: F401 - loads the second copy, scipy's own
    from threadpoolctl import threadpool_info

    found = {i["architecture"] for i in threadpool_info() if i.get("internal_api") == "openblas"}
    return sorted(REPORTED.get(name, name) for name in found)


def _outcome(value: float, status: str, reason: str, complaint: str) -> Outcome:
    return Outcome(value, status, reason, RuntimeError(complaint) if complaint else None)


def _child() -> None:
    """Reads names and parameters from standard input; prints the kernels in use and the scores as one line."""
    from threadpoolctl import threadpool_limits

    given = json.load(sys.stdin)
    values: Values = {}
    with threadpool_limits(1):
        for name, path in given["names"].items():
            function = estimators().get(path) or resolve(path, "an estimator")
            subject = Subject(name, function, given["parameters"])
            outcomes = {p: subject.run(arrays) for p, arrays in probes().items()}
            values[name] = {
                p: (o.value, o.status, o.reason, str(o.error) if o.error else "") for p, o in outcomes.items()
            }
    print("\n" + json.dumps({"taken": taken(), "values": values}))


if __name__ == "__main__":
    np.seterr(all="ignore")
    _child()
