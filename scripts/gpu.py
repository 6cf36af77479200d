"""On a machine with a CUDA device: the `gpu` tests, then an experiment's missing cells, packed to be taken home.

    python scripts/gpu.py [experiment=diverse …]       # overrides as for benchmark.run

Ends by itself after BENCHMARK_MINUTES (default 9) and goes on from there when called again. What it made goes to
the folder BENCHMARK_OUT (default outputs/gpu): cells-*.zip of at most 15 MB each for scripts/results/import_results.py,
the tables, and a log. Tests can be left out with BENCHMARK_TESTS=0. BENCHMARK_BENCH=1 times fine-tuning and extraction
(scripts/bench/gpu_bench.py, to which the arguments then go) in place of the experiment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import TextIO

from benchmark.config import compose
from benchmark.config.experiment import PathsSpec
from benchmark.config.validation import validate
from benchmark.errors import ConfigError

OUT = Path(os.environ.get("BENCHMARK_OUT", "outputs/gpu"))
MINUTES = float(os.environ.get("BENCHMARK_MINUTES", "9"))
PART_BYTES = 15_000_000
STAGES = ("weights", "tune", "truth")


def main(overrides: list[str]) -> int:
    if {"-h", "--help"} & set(overrides):
        print(__doc__)
        return 0
    try:
        cache = cache_of(overrides)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    OUT.mkdir(parents=True, exist_ok=True)
    deadline, code = time.monotonic() + 60 * MINUTES, 0
    with (OUT / "log.txt").open("w", encoding="utf-8") as log:
        if os.environ.get("BENCHMARK_TESTS", "1") != "0":
            code |= _call([sys.executable, "-m", "pytest", "-m", "gpu", "-rs"], log, deadline)
        if os.environ.get("BENCHMARK_BENCH", "0") != "0":
            return code | _call(
                [sys.executable, "scripts/bench/gpu_bench.py", *overrides, "--out", str(OUT)], log, deadline
            )
        workers = os.environ.get("BENCHMARK_WORKERS", str(min(8, os.cpu_count() or 1)))
        device = os.environ.get("BENCHMARK_DEVICE", "cuda")
        given = {o.partition("=")[0].lstrip("+") for o in overrides}
        defaults = {"experiment": "diverse", "executor.device": device, "executor.workers": workers}
        defaults |= {"paths.released": "null", "paths.out": str(OUT / "tables")}
        chosen = overrides + [f"{k}={v}" for k, v in defaults.items() if k not in given]
        code |= _call([sys.executable, "-m", "benchmark.run", *chosen], log, deadline)
    parts = pack(cache, OUT)
    print(f"{len(parts)} parts in {OUT}")
    return code


def cache_of(overrides: list[str]) -> Path:
    """The cache folder that the overrides choose; also where they sweep over other things."""
    paths = compose.compose([o for o in overrides if o.lstrip("+").startswith("paths.")])["paths"]
    return validate(PathsSpec, paths).cache


def pack(cache: Path, out: Path) -> list[Path]:
    """All trained cells of a cache as zip files of at most PART_BYTES; returns their paths."""
    parts: list[list[Path]] = []
    size = PART_BYTES
    for cell in sorted(p.parent for s in STAGES for p in (cache / s).glob("*/manifest.json")):
        bytes_here = sum(p.stat().st_size for p in cell.iterdir())
        if size + bytes_here > PART_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(cell)
        size += bytes_here
    paths = [out / f"cells-{number:02d}.zip" for number in range(len(parts))]
    for path, cells in zip(paths, parts, strict=True):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in (file for cell in cells for file in sorted(cell.iterdir())):
                archive.write(file, "/".join(file.parts[-3:]))
    return paths


def _call(command: list[str], log: TextIO, deadline: float) -> int:
    """Run a command, its output to the terminal and the log; at the deadline an interrupt lets it end cleanly."""
    print("+", " ".join(command), flush=True)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8")
    alarm = threading.Timer(max(deadline - time.monotonic(), 0), process.send_signal, [signal.SIGINT])
    alarm.start()
    for line in process.stdout or ():
        print(line, end="", flush=True)
        log.write(line)
    alarm.cancel()
    code = process.wait()
    return 0 if code == 130 else code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
