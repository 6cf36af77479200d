"""The estimators' tests and conformance under every kernel of OpenBLAS that this processor runs.

    python scripts/kernels.py [<arguments of pytest>]
    python scripts/kernels.py figures     # docs/kernels.csv: by how much each estimator's score differs

tests/methods runs once a kernel, in a process of its own with one thread, two of them at a time; meanwhile
`python -m benchmark.check all`, which scores every estimator under each kernel and compares. A kernel that this
processor does not run is left out with a line. Exit code 1 where anything fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmark.scoring.conformance.kernels import KERNELS, findings, unavailable  # noqa: E402
from benchmark.surroundings import THREAD_VARIABLES  # noqa: E402
from methods.shared.capabilities import estimators  # noqa: E402

ONE_THREAD = dict.fromkeys(THREAD_VARIABLES, "1")


def tested(kernel: str, arguments: list[str]) -> tuple[int, str]:
    """Exit code of tests/methods under a kernel, and what to say about it."""
    if reason := unavailable(kernel):
        return 0, f"{kernel}: left out, {reason}"
    start = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "tests/methods", "-q", "-p", "no:cacheprovider", *arguments]
    environment = os.environ | ONE_THREAD | {"OPENBLAS_CORETYPE": kernel}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    outcome = "passed" if done.returncode == 0 else f"failed\n{done.stdout[-6000:]}{done.stderr[-2000:]}"
    return done.returncode, f"{kernel}: tests/methods {outcome}, {time.perf_counter() - start:.0f} s"


def conformant() -> tuple[int, str]:
    """Exit code of `benchmark.check all`, and what it says."""
    command = [sys.executable, "-m", "benchmark.check", "all"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | ONE_THREAD, capture_output=True, text=True)
    return done.returncode, f"{done.stdout}{done.stderr}".rstrip()


def figures() -> int:
    """Writes the largest relative difference of each estimator between the kernels, as `benchmark.check` has it."""
    functions = estimators()
    found, skipped = findings({name: name for name in functions}, {}, functions)
    tried = [kernel for kernel in KERNELS if not any(line.startswith(kernel) for line in skipped)]
    lines = [f"{name},{finding.figure},{' '.join(tried)}\n" for name, finding in sorted(found.items())]
    (ROOT / "docs" / "kernels.csv").write_text("method,difference,kernels\n" + "".join(lines), encoding="utf-8")
    print(f"docs/kernels.csv: {len(lines)} estimators under {', '.join(tried)}")
    return int(not found)


def main(arguments: list[str]) -> int:
    if arguments == ["figures"]:
        return figures()
    failed = False
    with ThreadPoolExecutor(2) as pool:
        checked = pool.submit(conformant)  # the longest, so it begins first
        under_kernels = [pool.submit(tested, kernel, arguments) for kernel in KERNELS]
        for task in (*under_kernels, checked):
            code, said = task.result()
            print(said, flush=True)
            failed |= code != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
