"""How the time and the memory of each estimator grow: a process of its own for each, so that none helps another."""

from __future__ import annotations

import csv
import inspect
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bench_against import FUSIONS
from bench_probes import anew, call, probe, timed, wrapped

from methods.shared.capabilities import estimators

COMMAND = Path(__file__).with_name("bench.py")
PAIRS = ("parc", "knn", "rsa", "dds", "silhouette", "tmi", *FUSIONS)  # quadratic in n; the rest linear beyond d
OTHER = {"model", "network", "source_features"}  # what a method takes that is not measured over n and d
GIB = 4.0
SECONDS = 15.0  # a method that takes longer at one size is not tried at the next
NS, DS = (100, 200, 500, 1000, 2000, 5000), (64, 128, 256, 512, 1024, 2048, 4096, 8192)


def growth(out: Path | None, jobs: int) -> tuple[str, bool]:
    """Seconds of each method on fresh features over n and d; fitted exponents beside those expected."""
    names = [n for n, f in estimators().items() if not OTHER & set(f.capabilities.needs)]
    with ThreadPoolExecutor(jobs) as pool:
        rows = [row for found in pool.map(lambda n: _child("growth", n), names) for row in found["rows"]]
    if out:
        with (out / "growth.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["method", "axis", "n", "d", "seconds"], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        _plot(rows, out / "growth.png")
    lines = [
        "## Growth",
        "",
        "Exponents fitted to the times of growth.csv: over n for n ≥ 1000 at d = 512, over d for d ≥ 2048 at "
        "n = 500; each call on fresh features, 20 classes, 100 source classes. Expected: at most 1 in n beyond d (one "
        "decomposition, n d²), 2 for what compares all pairs of images (and a log factor); at most 1 in d (the Gram "
        "product), and for the source head's 0. A dash: too few sizes within the time.",
        "",
        "| method | n: expected | n: measured | d: expected | d: measured |",
        "|---|---|---|---|---|",
    ]
    for name in names:
        over_features = "features" in estimators()[name].capabilities.needs
        expected = (2 if name in PAIRS else 1, 1 if over_features else 0)
        fitted = [_slope([r for r in rows if r["method"] == name and r["axis"] == a], a) for a in ("n", "d")]
        shown = [f"{s:.2f}" if s is not None else "–" for s in fitted]
        lines.append(f"| {name} | {expected[0]} | {shown[0]} | {expected[1]} | {shown[1]} |")
    return "\n".join(lines), True


def growth_of(name: str) -> dict[str, Any]:
    """In a process of its own: the times of one method."""
    function, rows = estimators()[name], []
    call(function, probe(100, 64, 20, 100))
    sizes = [("n", n, 512) for n in NS] + [("d", 500, d) for d in DS]
    spent = {"n": 0.0, "d": 0.0}
    for axis, n, d in sizes:
        if spent[axis] > SECONDS:
            continue
        arrays = {k: v for k, v in probe(n, d, 20, 100).items() if k in inspect.signature(function).parameters}
        repeats = 3 if spent[axis] < 2 else 1
        seconds = min(timed(partial(anew, function, arrays))[0] for _ in range(repeats))
        spent[axis] = seconds
        rows.append({"method": name, "axis": axis, "n": n, "d": d, "seconds": round(seconds, 6)})
    return {"rows": rows}


def _slope(rows: list[dict[str, Any]], axis: str) -> float | None:
    points = [(r[axis], r["seconds"]) for r in rows if r[axis] >= (1000 if axis == "n" else 2048)]
    if len(points) < 3:
        return None
    x, y = np.log(np.array(points)).T
    return float(np.polyfit(x, y, 1)[0])


def _plot(rows: list[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(r["method"] for r in rows))
    colours = plt.get_cmap("tab20")(np.linspace(0, 1, 20))
    figure, panels = plt.subplots(1, 2, figsize=(13, 6.5), sharey=True)
    for panel, axis, exponents in zip(panels, ("n", "d"), ((1, 2), (0, 1)), strict=True):
        for i, name in enumerate(names):
            line = [(r[axis], 1000 * r["seconds"]) for r in rows if r["method"] == name and r["axis"] == axis]
            style = {"color": colours[i % 20], "marker": "o" if i < 20 else "s", "markersize": 3, "linewidth": 1}
            panel.loglog(*zip(*line, strict=True), label=name, **style)
        sizes = np.array(NS[2:] if axis == "n" else DS[4:], dtype=float)
        for exponent in exponents:
            guide = 2000.0 * (sizes / sizes[-1]) ** exponent
            panel.loglog(sizes, guide, color="black", linestyle="--", linewidth=1.5)
            panel.annotate(f"{axis}^{exponent}" if exponent else "constant", (sizes[0], guide[0]), fontsize=9)
        panel.set_xlabel("images n, at d = 512" if axis == "n" else "features d, at n = 500")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("milliseconds on fresh features, one thread")
    panels[1].legend(fontsize=7, ncol=2, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})


def memory(jobs: int) -> tuple[str, bool]:
    """Peak memory of each method on 10,000 × 2048 float32 features, 100 classes, 1000 source classes."""
    names = [n for n, f in estimators().items() if not OTHER & set(f.capabilities.needs)]
    with ThreadPoolExecutor(jobs) as pool:
        found = dict(zip(names, pool.map(lambda n: _child("memory", n), names), strict=True))
    lines = [
        "## Memory",
        "",
        "Peak resident memory of a process that makes a probe of 10,000 × 2048 float32 features, 100 classes and 1000 "
        f"source classes and scores it with one method (limit {GIB:.0f} GiB); `before` is the peak without the "
        "method. Seconds on one thread, several processes beside each other.",
        "",
        "| method | before, GiB | peak, GiB | seconds | status |",
        "|---|---|---|---|---|",
    ]
    good = True
    for name, row in found.items():
        if "error" in row:
            good = False
            lines.append(f"| {name} | | | | {row['error']} |")
            continue
        good &= row["peak"] <= GIB
        status = row["status"] + (f": {row['reason']}" if row["status"] != "ok" else "")
        lines.append(f"| {name} | {row['before']:.2f} | {row['peak']:.2f} | {row['seconds']:.1f} | {status} |")
    return "\n".join(lines), good


def memory_of(name: str) -> dict[str, Any]:
    """In a process of its own: peak memory before and after one call, in GiB."""
    arrays = probe(10_000, 2048, 100, 1000)
    function = estimators()[name]
    arrays = wrapped({k: v for k, v in arrays.items() if k in inspect.signature(function).parameters})
    before = _peak()
    seconds, score = timed(lambda: call(function, arrays))
    status, reason = getattr(score, "status", "ok"), getattr(score, "reason", "")
    return {"before": before, "peak": _peak(), "seconds": seconds, "status": status, "reason": reason}


def _peak() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _child(section: str, name: str) -> dict[str, Any]:
    command = [sys.executable, str(COMMAND), section, "--only", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=560)
    except subprocess.TimeoutExpired:
        return {"rows": [], "error": "took longer than 560 s"}
    if done.returncode:
        return {"rows": [], "error": done.stderr.strip().splitlines()[-1] if done.stderr else f"exit {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])
