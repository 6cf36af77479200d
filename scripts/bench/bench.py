"""Speed and memory of the estimators, as ratios and limits that hold on any machine.

    python scripts/bench/bench.py                              # ratios against textbook forms (what `make bench` runs)
    python scripts/bench/bench.py ratios releases growth memory --out results/bench --jobs 8

ratios  500 × 2048 float32 features, 200 classes, 1000 source classes: eleven methods on one `Features` against the
        textbook forms of the same (scripts/bench/textbook.py), and everything in units of one float64 Gram product
releases  lfc, ncti, hscore, knn, logistic and pactran_gauss against the algorithms of their releases, carried on to the
        same convergence, in processor time
growth  time over n at d = 512 and over d at n = 500, each call on fresh features, with the exponents expected
memory  peak resident memory of a process that scores 10,000 × 2048 features, a process a method

Times are the least of several repetitions, single-threaded. Exit code 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import csv
import inspect
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy is loaded

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "bench")]

import numpy as np  # noqa: E402
import textbook  # noqa: E402
from scipy import special  # noqa: E402

import methods  # noqa: E402
from benchmark.provenance import commit, hardware, versions  # noqa: E402
from methods.shared.capabilities import estimators  # noqa: E402

ELEVEN = {name: (name.removesuffix("_f32"), {"n_dims": 32} if name.endswith("_f32") else {}) for name in textbook.FORMS}
NINE = ("parc", "parc_f32", "knn", "hscore", "logme", "leep", "nce", "rsa", "dds")
ITERATIVE = ("nleep", "pactran_gauss", "pactran_dirichlet", "pactran_gamma", "lp", "tmi", "logistic", "silhouette")
FUSIONS = ("rank_fusion", "z_fusion")  # a mean of others, which are counted already
PAIRS = ("parc", "knn", "rsa", "dds", "silhouette", "tmi", *FUSIONS)  # quadratic in n; the rest linear beyond d
OTHER = {"model", "network", "source_features"}  # what a method takes that is not measured over n and d
TOGETHER, OF_NINE, OF_ALL, GIB = 20.0, 20.0, 60.0, 4.0
SECONDS = 15.0  # a method that takes longer at one size is not tried at the next


def probe(n: int = 500, d: int = 2048, c: int = 200, z: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Rectified Gaussian classes, a source head that knows something of them, a reference that knows more."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % c
    logits = rng.standard_normal((n, z), dtype=np.float32)
    logits += 2 * rng.standard_normal((c, z), dtype=np.float32)[labels]
    return {
        "features": _rectified(rng, n, d, labels, c, 0.5),
        "labels": labels,
        "source_logits": logits,
        "source_probs": special.softmax(logits.astype(np.float64), axis=1),
        "reference_features": _rectified(rng, n, d, labels, c, 1.0),
        "model": {"name": "m", "layers": 50, "params": 1, "source_size": 1, "target_size": n, "source_accuracy": 1.0},
        "seed": 0,
    }


def _rectified(rng: np.random.Generator, n: int, d: int, labels: np.ndarray, c: int, gap: float) -> np.ndarray:
    x = rng.standard_normal((n, d), dtype=np.float32)
    x += gap * rng.standard_normal((c, d), dtype=np.float32)[labels]
    return np.maximum(x, 0, out=x)


def wrapped(arrays: dict[str, Any]) -> dict[str, Any]:
    """The same probe with features that are shared between methods from here on."""
    return arrays | {k: methods.Features(v) for k, v in arrays.items() if k.endswith("features")}


def call(function: Callable[..., float], arrays: dict[str, Any], /, **parameters: object) -> float:
    names = inspect.signature(function).parameters
    return function(**{k: v for k, v in arrays.items() if k in names}, **parameters)


def together(methods: Iterable[Callable[[dict[str, Any]], object]], arrays: dict[str, Any]) -> None:
    """Several methods on one probe, one after another."""
    for method in methods:
        method(arrays)


def anew(function: Callable[..., float], arrays: dict[str, Any], /, **parameters: object) -> float:
    """A method on features that nothing has used."""
    return call(function, wrapped(arrays), **parameters)


def timed(function: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


# --- ratios -----------------------------------------------------------------------------------------------------------


def ratios(repeats: int = 7) -> tuple[str, bool]:
    """Eleven methods against their textbook forms; nine, and all that need no iteration, in Gram products."""
    arrays = probe()
    x = arrays["features"].astype(np.float64)
    every = {
        n: f for n, f in estimators().items() if n not in (*ITERATIVE, *FUSIONS, "look", "layered", "f_otce", "jc_otce")
    }
    shared: dict[str, list[float]] = {n: [] for n in ELEVEN}
    alone: dict[str, list[float]] = {n: [] for n in ELEVEN}
    nine, everything, grams = [], [], []
    run = {n: partial(call, getattr(methods, own), **extra) for n, (own, extra) in ELEVEN.items()}
    for method in run.values():  # imports and caches first
        method(wrapped(arrays))
    for _ in range(repeats):
        grams.append(timed(lambda: x @ x.T)[0])
        one = wrapped(arrays)
        for name, method in run.items():
            shared[name].append(timed(partial(method, one))[0])
        for name, method in run.items():
            alone[name].append(timed(partial(method, wrapped(arrays)))[0])
        one = wrapped(arrays)
        nine.append(timed(partial(together, [run[n] for n in NINE], one))[0])
        one = wrapped(arrays)
        everything.append(timed(partial(together, [partial(call, f) for f in every.values()], one))[0])
        grams.append(timed(lambda: x @ x.T)[0])
    slow: dict[str, list[float]] = {n: [] for n in ELEVEN}
    for repeat in range(3):
        for name, form in textbook.FORMS.items():
            if repeat == 0 or min(slow[name]) < 1.0:
                slow[name].append(timed(partial(call, form, arrays))[0])
    gram = min(grams)
    total, baseline = sum(map(min, shared.values())), sum(map(min, slow.values()))
    lines = [
        "## Against textbook forms",
        "",
        "500 × 2048 float32 features, 200 classes, 1000 source classes, one thread. `shared`: in this order on one "
        "`Features`, the first to need a factorisation pays for it; `alone`: on features that nothing has used; "
        "milliseconds.",
        "",
        "| method | textbook | shared | alone | textbook / shared | textbook / alone |",
        "|---|---|---|---|---|---|",
    ]
    good = True
    for name in ELEVEN:
        a, b, s = min(slow[name]), min(shared[name]), min(alone[name])
        good &= a >= b
        lines.append(f"| {name} | {1000 * a:.2f} | {1000 * b:.2f} | {1000 * s:.2f} | {a / b:.1f} | {a / s:.1f} |")
    lines.append(f"| together | {1000 * baseline:.1f} | {1000 * total:.1f} | | {baseline / total:.1f} | |")
    without = baseline - min(slow["hscore"]), total - min(shared["hscore"])
    lines += [
        "",
        f"- together {baseline / total:.1f} times faster than the textbook forms (limit {TOGETHER:.0f}); without the "
        f"pseudo-inverse of hscore {without[0] / without[1]:.1f} times",
        f"- {'none' if good else 'some'} slower than its own textbook form",
        f"- one float64 Gram product {1000 * gram:.2f} ms; {', '.join(NINE)} together, the reference model's ranks "
        f"included, {min(nine) / gram:.1f} Gram products (limit {OF_NINE:.0f})",
        f"- all {len(every)} methods that need no iteration, together, {min(everything) / gram:.1f} Gram products "
        f"(limit {OF_ALL:.0f})",
    ]
    good &= baseline / total >= TOGETHER and min(nine) / gram <= OF_NINE and min(everything) / gram <= OF_ALL
    return "\n".join(lines), good


# --- releases ---------------------------------------------------------------------------------------------------------

SHAPES = tuple((d, c) for d in (160, 512, 2048) for c in (10, 100))
SAME_TIME = 0.8  # what two measurements of one thing may differ by on a machine that others use, too


def of_release(name: str) -> tuple[str, dict[str, Any]]:
    """The method that stands against a form of `textbook.RELEASED`, and its parameters."""
    return ("knn", {"split": True}) if name == "knn_split" else (name, {})


def processor(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def releases(repeats: int = 5) -> tuple[str, bool]:
    """Seven methods, alone, against their releases' algorithms carried on to the same convergence."""
    lines = [
        "## Against released algorithms",
        "",
        "500 images in float32, each call on features that nothing has used; milliseconds of processor time, the least "
        f"of {repeats}, ours and theirs in turn. `theirs`: the release's algorithm until it has converged as far as "
        "ours, written from its definition (scripts/bench/textbook.py). `as released`: where it stops earlier.",
        "",
        "| method | d | classes | theirs | ours | theirs / ours | as released | as released / ours |",
        "|---|---|---|---|---|---|---|---|",
    ]
    worst, missed = np.inf, []
    for name, (form, stopped) in textbook.RELEASED.items():
        own, extra = of_release(name)
        for d, c in SHAPES:
            arrays = probe(500, d, c, 2)
            calls: list[Callable[[], object]] = [
                partial(call, form, arrays),
                partial(anew, getattr(methods, own), arrays, **extra),
            ]
            calls += [partial(call, stopped, arrays)] if stopped else []
            spent: list[list[float]] = [[] for _ in calls]
            for repeat in range(repeats + 1):
                for times, one in zip(spent, calls, strict=True):
                    if repeat < 2 or sum(times) < 1.0:  # the first call pays for imports; the least counts
                        times.append(processor(one))
            theirs, ours, *early = (1000 * min(times) for times in spent)
            shown = [f"{early[0]:.1f}", f"{early[0] / ours:.2f}"] if early else ["", ""]
            lines.append(
                f"| {name} | {d} | {c} | {theirs:.1f} | {ours:.1f} | {theirs / ours:.2f} | {' | '.join(shown)} |"
            )
            worst = min(worst, theirs / ours)
            missed += [f"{name} at {d} × {c}"] if theirs < SAME_TIME * ours else []
    lines += [
        "",
        f"- at the same convergence theirs takes at least {worst:.2f} of our time (limit {SAME_TIME:.1f})"
        + (f"; slower than its release: {', '.join(missed)}" if missed else ""),
        "- the release's logistic probe stops after no step or one under today's scikit-learn, and PACTran's fit after "
        "100 steps or at 1e-6: their time buys another number",
    ]
    return "\n".join(lines), not missed


# --- growth -----------------------------------------------------------------------------------------------------------

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


# --- memory -----------------------------------------------------------------------------------------------------------


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
    command = [sys.executable, str(Path(__file__).resolve()), section, "--only", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=560, cwd=ROOT)
    except subprocess.TimeoutExpired:
        return {"rows": [], "error": "took longer than 560 s"}
    if done.returncode:
        return {"rows": [], "error": done.stderr.strip().splitlines()[-1] if done.stderr else f"exit {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


# --- command ----------------------------------------------------------------------------------------------------------


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", default=["ratios", "releases"], help="ratios, releases, growth, memory")
    parser.add_argument("--out", type=Path, help="folder for estimators.md, growth.csv and growth.png")
    parser.add_argument("--jobs", type=int, default=1, help="processes beside each other, for growth and memory")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if strange := set(given.sections) - {"ratios", "releases", "growth", "memory"}:
        parser.error(f"sections must be of ratios, releases, growth, memory. Got {', '.join(sorted(strange))}.")
    if given.only:
        print(json.dumps({"growth": growth_of, "memory": memory_of}[given.sections[0]](given.only)))
        return 0
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
    good = True
    for section in given.sections:
        made = {
            "ratios": ratios,
            "releases": releases,
            "growth": lambda: growth(given.out, given.jobs),
            "memory": lambda: memory(given.jobs),
        }
        page, met = made[section]()
        print(page + "\n", flush=True)
        if given.out:
            merge(given.out / "estimators.md", page, argv)
        good &= met
    print("all limits are met" if good else "error: a limit is missed", file=sys.stdout if good else sys.stderr)
    return 0 if good else 1


def merge(path: Path, section: str, argv: list[str]) -> None:
    """Put a section, with how it was made, into the page in place of the one with its title."""

    packages = ", ".join(f"{k} {v}" for k, v in versions().items() if k in ("python", "numpy", "scipy", "scikit-learn"))
    made = (
        f"`python scripts/bench/bench.py {' '.join(argv)}`, one thread a process, {hardware()['processor']}, "
        f"{hardware()['cores']} cores, {packages}, commit {os.environ.get('BENCHMARK_COMMIT') or commit()}."
    )
    old = path.read_text(encoding="utf-8").split("\n## ")[1:] if path.exists() else []
    title, _, body = section.removeprefix("## ").partition("\n")
    new = f"{title}\n\n{made}\n{body}\n"
    kept = {part.partition("\n")[0]: part for part in old} | {title: new}
    order = ["Against textbook forms", "Against released algorithms", "Growth", "Memory"]
    parts = ["## " + kept[t].strip() + "\n" for t in sorted(kept, key=order.index)]
    path.write_text("\n".join(["# Speed and memory of the estimators\n", *parts]), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
