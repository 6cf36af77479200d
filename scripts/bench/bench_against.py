"""Estimators against their textbook forms and against what was released with their papers."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import textbook
from bench_probes import anew, call, probe, timed, together, wrapped

import methods
from methods.shared.capabilities import estimators

ELEVEN = {name: (name.removesuffix("_f32"), {"n_dims": 32} if name.endswith("_f32") else {}) for name in textbook.FORMS}
NINE = ("parc", "parc_f32", "knn", "hscore", "logme", "leep", "nce", "rsa", "dds")
ITERATIVE = ("nleep", "pactran_gauss", "pactran_dirichlet", "pactran_gamma", "lp", "tmi", "logistic", "silhouette")
FUSIONS = ("rank_fusion", "z_fusion")  # a mean of others, which are counted already
TOGETHER, OF_NINE, OF_ALL = 20.0, 20.0, 60.0


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
