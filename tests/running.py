"""Real runs of the tiny experiment, in processes of their own or here, for the tests of what a run promises."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from benchmark.scoring.isolation import isolation

ROOT = Path(__file__).resolve().parents[1]
TINY = (f"hydra.searchpath=[file://{ROOT}/tests/conf]", "experiment=tiny")
VALUES = ("values.json", "arrays.safetensors", "spec.json", "weights.safetensors", "weights.json", "images.bin")
"""The files of a cell that must be the same bytes from run to run; timings and places are in others."""


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | more


def command(folder: Path, *overrides: str, tiny: bool = True) -> list[str]:
    """The command line of a run whose cache and output lie in a folder."""
    places = (f"paths.cache={folder}/cache", f"paths.out={folder}/out")
    return [sys.executable, "-m", "benchmark.run", *(TINY if tiny else ()), *places, *overrides]


def run(folder: Path, *overrides: str, tiny: bool = True, **more: str) -> subprocess.CompletedProcess:
    """A run to its end, in a working directory of its own."""
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    call = command(folder, *overrides, tiny=tiny)
    return subprocess.run(call, cwd=work, env=environment(**more), capture_output=True, text=True, timeout=600)


def here(folder: Path, *overrides: str, tiny: bool = True, code: Path | None = None) -> subprocess.CompletedProcess:
    """A run to its end within this process, which has loaded PyTorch already, without pictures: a sixth of the time.

    code  a folder from which a stranger's modules can be imported, as PYTHONPATH would have it
    """
    from benchmark.config import cli
    from benchmark.reporting import folder as report
    from benchmark.run import USAGE
    from benchmark.run import run as commanded

    work, said, told = folder / "work", io.StringIO(), io.StringIO()
    work.mkdir(parents=True, exist_ok=True)
    _, _, _, *arguments = command(folder, *overrides, "executor.workers=0", tiny=tiny)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        patch.chdir(work)
        patch.setattr(report, "_pictures", lambda *_: None)
        patch.setattr(sys, "argv", ["benchmark.run", *arguments])
        if code:
            patch.syspath_prepend(code)
            isolation().close()  # the next one sees this path
        with threadpool_limits(1):
            returned = cli.experiments(commanded, USAGE, arguments)
    return subprocess.CompletedProcess(arguments, returned, said.getvalue(), told.getvalue())


class Started:
    """A run that goes on while the test does something to it; its lines are read as they come."""

    def __init__(self, folder: Path, *overrides: str, **more: str):
        call = command(folder, *overrides)
        self.process = subprocess.Popen(
            call,
            cwd=ROOT,
            env=environment(**more),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # a shell's background job ignores SIGINT and hands that on: as from a terminal, it is heard here
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            start_new_session=True,
        )
        self.lines: list[str] = []

    def until(self, word: str) -> None:
        """Wait for a line that holds a word."""
        for line in self.process.stderr or ():
            self.lines.append(line)
            if word in line:
                return
        raise AssertionError(f"'{word}' never came:\n{''.join(self.lines)}")

    def until_workers(self, count: int) -> list[int]:
        """Wait until so many workers have been started; their process ids."""
        return eventually(lambda: w if len(w := workers(self.process.pid)) >= count else None)

    def end(self) -> int:
        """Wait for the end; the exit code."""
        rest, _ = self.process.communicate(timeout=600)[::-1]
        self.lines += (rest or "").splitlines(keepends=True)
        return self.process.returncode

    @property
    def text(self) -> str:
        return "".join(self.lines)


def eventually(look, seconds: float = 30.0):
    """What `look` returns as soon as it is true; fails after some seconds."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)
    return found


def children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def workers(parent: int) -> list[int]:
    """The worker processes of a run (multiprocessing's own tracker is its child too)."""
    found = []
    for pid in children(parent):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"spawn_main" in line:
            found.append(pid)
    return found


def gone(pids: list[int]) -> bool:
    def alive(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return not any(alive(pid) for pid in pids)


def values(folder: Path) -> dict[str, bytes]:
    """Every file of values in a run's cache, by stage/key/name."""
    cache = folder / "cache"
    paths = (p for stage in ("pack", "weights", "tune", "truth", "probe", "score") for p in cache.glob(f"{stage}/*/*"))
    return {str(p.relative_to(cache)): p.read_bytes() for p in paths if p.name in VALUES}


def records(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time stamp and bytes of every finished cell's record: they change when a cell is computed again."""
    cache = folder / "cache"
    finished = (p.parent / "record.json" for p in cache.glob("[!du]*/*/manifest.json"))
    return {str(p.relative_to(cache)): (p.stat().st_mtime_ns, p.read_bytes()) for p in finished}


def tables(folder: Path) -> dict[str, bytes]:
    """The tables of values that a run wrote."""
    names = ("scores.csv", "truth.csv", "correlations.csv", "table.csv", "status.csv")
    return {name: (folder / "out" / name).read_bytes() for name in names}
