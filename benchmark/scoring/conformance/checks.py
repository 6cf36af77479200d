"""The checks themselves, each a function of an estimator under examination that returns a finding."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from benchmark.scoring.call import shares
from benchmark.scoring.conformance.probes import ordinary, probe, repeated, rows, transformed
from benchmark.scoring.conformance.subject import (
    SAME,
    Finding,
    Subject,
    Verdict,
    compare_runs,
    explained,
    judge,
    relative_difference,
    spread_over_seeds,
    withstands,
    worst_of,
)
from methods.shared.capabilities import INVARIANCES
from methods.shared.linalg import Features

SLOW = 100.0  # shared factorisations that a score may take before its cost is remarked upon


def defined(subject: Subject) -> list[Finding]:
    """A number where there are many images, a number or a named status where there are fewer than dimensions."""
    found = []
    for name, arrays in ordinary().items():
        outcome = subject.run(arrays)
        verdict: Verdict = "fails" if outcome.complaint else "ok"
        if name == "n > d" and not outcome.complaint and outcome.status != "ok":
            verdict = "fails"
        found.append(Finding(name, verdict, str(outcome), outcome.complaint or outcome.reason))
    return found


def unchanged(subject: Subject) -> Finding:
    """Inputs keep their bytes."""
    changed = {k for arrays in ordinary().values() for k in subject.run(arrays).changed}
    return Finding("inputs unchanged", "fails" if changed else "ok", "", _list("writes to", changed))


def deterministic(subject: Subject) -> list[Finding]:
    """Equal inputs, and an equal seed, give equal bits."""
    outcomes = [subject.run(probe()) for _ in range(2)]
    same = repr(outcomes[0].value) == repr(outcomes[1].value)
    gap = f"{relative_difference(outcomes[0].value, outcomes[1].value):.1e}"
    found = [Finding("determinism", "ok" if same else "fails", "" if same else gap, "" if same else "two calls differ")]
    spread = spread_over_seeds(subject, probe())
    if spread:
        noisy = subject.declared is None or not subject.declared.deterministic
        text = "range over seeds / value" if noisy else "declared deterministic, yet the seed matters"
        found.append(Finding("seeds", "ok" if noisy else "fails", f"{spread:.1e}", text))
    return found


def row_order(subject: Subject) -> Finding | None:
    """The order of the images is no information, unless the method's split is declared to go by it."""
    if not subject.of_images:
        return None
    found = []
    for arrays in ordinary().values():
        order = np.random.default_rng(3).permutation(len(arrays["labels"]))
        found.append(
            compare_runs(subject, "row order", arrays, rows(arrays, order), slack=spread_over_seeds(subject, arrays))
        )
    worst = worst_of(found)
    if worst.verdict != "ok" and subject.declared is not None and subject.declared.ordered:
        return dataclasses.replace(worst, verdict="ok", text="goes by the order of the images, as declared")
    return worst


def duplicates(subject: Subject) -> list[Finding]:
    """Images that occur twice, exactly or nearly, wherever they stand: a score, and the same one in any order."""
    if not subject.of_images:
        return []
    ordered = subject.declared is not None and subject.declared.ordered
    several = subject.declared is not None and "multi" in subject.declared.labels
    worst: dict[str, list[Finding]] = {"exact duplicates": [], "near duplicates": []}
    for name, arrays in repeated().items():
        check = f"{name.split()[0]} duplicates"
        cases = [arrays]
        if several and subject.of_classes:
            hot = np.eye(4, dtype=np.int64)[arrays["labels"]]
            hot[::3, 0] = 1
            cases.append(arrays | {"labels": hot})
        for case in cases:
            before = subject.run(case)
            if ordered or before.complaint:
                worst[check].append(judge(check, before, before, name, 0.0))
                continue
            after = subject.run(rows(case, np.random.default_rng(3).permutation(len(case["labels"]))))
            worst[check].append(judge(check, before, after, "", spread_over_seeds(subject, case)))
    return [worst_of(found) for found in worst.values()]


def relabelling(subject: Subject) -> list[Finding] | None:
    """Class ids are names: other ids, gaps between them and text give the same score."""
    if "labels" not in subject.needs or not subject.of_classes:
        return None
    arrays = probe()
    names = np.array([2, 0, 3, 1])
    slack = spread_over_seeds(subject, arrays)
    swapped = compare_runs(
        subject, "relabelling", arrays, arrays | {"labels": names[arrays["labels"]]}, "class ids permuted", slack
    )
    gaps = compare_runs(
        subject, "gaps in ids", arrays, arrays | {"labels": 7 * arrays["labels"] + 3}, "ids 3, 10, 17, 24", slack
    )
    if gaps.verdict == "fails" and subject.declared is None:
        gaps = dataclasses.replace(gaps, verdict="deviates", text=f"needs ids 0..c-1; {gaps.text}")
    return [swapped, gaps]


def float32(subject: Subject) -> Finding | None:
    """Features in single precision are computed with in double."""
    if "features" not in subject.needs:
        return None
    single = probe()
    single["features"] = single["features"].astype(np.float32)
    double = single | {"features": single["features"].astype(np.float64)}
    found = compare_runs(subject, "float32", double, single, "the same values in single precision")
    return dataclasses.replace(found, verdict="deviates") if found.verdict == "fails" and explained(found) else found


def awkward(subject: Subject) -> list[Finding]:
    """Images that any real probe may hold: a number or a named status, never an exception or a bare NaN."""
    if not subject.of_images:
        return []
    ordinary, few = probe(), probe(n=48, d=120, seed=1)
    twice = np.r_[np.arange(96), np.arange(20)]
    alone = np.flatnonzero((ordinary["labels"] > 0) | (np.arange(96) == 0))
    cases = {"twenty images twice": rows(ordinary, twice), "one image in a class": rows(ordinary, alone)}
    if subject.sees_features:
        for name, arrays in (("constant columns", ordinary), ("constant columns, n < d", few)):
            n = len(arrays["labels"])
            more = np.c_[np.zeros((n, 2)), np.full((n, 2), 3.7)]
            wider = {of: np.c_[arrays[of], more] for of in ("features", "source_features")}
            cases[name] = arrays | wider
        sparse = np.maximum(ordinary["features"] - 2.5, 0.0)
        cases["mostly zeros"] = ordinary | {"features": sparse}
        for scale in (1e-20, 1e20):
            cases[f"scale {scale:.0e}"] = ordinary | {"features": scale * ordinary["features"]}
    if "source_probs" in subject.needs:
        certain = np.eye(12)[ordinary["source_probs"].argmax(axis=1)]
        cases["certain source head"] = ordinary | {"source_probs": certain, "source_logits": 1000.0 * certain}
    return [withstands(subject, name, arrays) for name, arrays in cases.items()]


def extreme(subject: Subject) -> list[Finding]:
    """Images that say nothing. What declares its capabilities must name the status; a stranger's NaN is remarked."""
    if not subject.of_images:
        return []
    ordinary = probe()
    cases = {f"{n} images": rows(ordinary, np.arange(n)) for n in (1, 2, 3)}
    if "labels" in subject.needs:
        cases["one class"] = ordinary | {"labels": np.zeros(96, dtype=np.int64)}
        cases["a class an image"] = ordinary | {"labels": np.arange(96)}
    if subject.sees_features:
        cases["constant features"] = ordinary | {"features": np.full((96, 16), 0.1)}
        cases["zero features"] = ordinary | {"features": np.zeros((96, 16))}
    found = [withstands(subject, name, arrays) for name, arrays in cases.items()]
    if subject.declared is None:
        return [dataclasses.replace(f, verdict="deviates") if f.verdict == "fails" else f for f in found]
    silent = "the same for every model, yet called ok"
    vacuous = {"constant features", "zero features"} | ({"one class"} if subject.of_classes else set())
    if "labels" not in subject.needs and "reference_features" not in subject.needs:
        vacuous = set()  # a rank of one is an answer
    return [
        dataclasses.replace(f, verdict="deviates", text=silent)
        if f.check in vacuous and f.verdict == "ok" and "(" not in f.figure
        else f
        for f in found
    ]


def malformed(subject: Subject) -> list[Finding]:
    """ValueError for input that is wrong, not merely poor."""
    arrays = probe()
    cases = {}
    if "features" in subject.needs:
        holed = arrays["features"].copy()
        holed[3, 2] = np.nan
        cases["NaN in features"] = arrays | {"features": holed}
    if "labels" in subject.needs and subject.of_images:
        cases["too few labels"] = arrays | {"labels": arrays["labels"][:-1]}
    if "source_probs" in subject.needs:
        cases["logits for probabilities"] = arrays | {"source_probs": arrays["source_logits"]}
    found = []
    for name, case in cases.items():
        outcome = subject.run(case)
        if isinstance(outcome.error, ValueError):
            found.append(Finding(name, "ok", "ValueError"))
            continue
        verdict: Verdict = "fails" if subject.declared is not None else "deviates"
        figure = type(outcome.error).__name__ if outcome.error else str(outcome)
        found.append(Finding(name, verdict, figure, "must raise ValueError"))
    return found


def multi_hot(subject: Subject) -> Finding | None:
    """Multi-hot labels are scored where declared, declined by name where not; a stranger may do as it likes."""
    if subject.declared is None or "labels" not in subject.needs or not subject.of_classes:
        return None
    arrays = probe()
    hot = np.eye(4, dtype=np.int64)[arrays["labels"]]
    hot[::3, 0] = 1
    outcome = subject.run(arrays | {"labels": hot})
    takes = "multi" in subject.declared.labels
    right = not outcome.complaint and (outcome.status == "ok" if takes else outcome.status == "not_applicable")
    expected = "declared to take them" if takes else "must be not_applicable"
    return Finding("multi-hot labels", "ok" if right else "fails", str(outcome), outcome.complaint or expected)


def invariances(subject: Subject) -> list[Finding]:
    """Declared changes of the features leave the value alone; of the others it is said what they do."""
    if "features" not in subject.needs:
        return []
    arrays, few = probe(), probe(n=48, d=120, seed=1)
    found = []
    for kind in INVARIANCES:
        tried = [arrays] if kind == "linear" else [arrays, few]
        declared = subject.declared is not None and kind in subject.declared.invariant
        compared = [
            compare_runs(
                subject,
                kind,
                a,
                a | {"features": transformed(a["features"], kind)},
                slack=spread_over_seeds(subject, a),
            )
            for a in tried
        ]
        worst = worst_of(compared)
        if declared:
            found.append(dataclasses.replace(worst, text=worst.text or "invariant, as declared"))
        elif all(f.verdict == "ok" for f in compared):
            found.append(dataclasses.replace(worst, text="invariant"))
        else:
            broken = any(f.figure == "" for f in compared)  # no number came out: not a matter of invariance
            found.append(
                Finding(kind, "deviates" if broken else "ok", worst.figure, worst.text if broken else "varies")
            )
    return found


def monotone(subject: Subject) -> Finding | None:
    """Classes further apart score higher, on the mean of three probes."""
    if not subject.of_images or not {"labels", "reference_features"} & set(subject.needs):
        return None
    levels = (0.0, 0.25, 0.5, 1.0, 2.0)
    outcomes = [[subject.run(probe(separation=s, seed=seed)) for s in levels] for seed in range(3)]
    values = np.array([[o.value for o in line] for line in outcomes])
    if not np.isfinite(values).all():
        return Finding("monotone", "fails", "", next(o.complaint or o.reason for line in outcomes for o in line))
    mean = values.mean(axis=0)
    rises = int((np.diff(mean) > 0).sum())
    figure = f"{mean[0]:.4g} to {mean[-1]:.4g}"
    noise = SAME * float(np.abs(mean).max())
    if mean[-1] < mean[0] - noise:
        return Finding("monotone", "fails", figure, "classes further apart score lower")
    if mean[-1] <= mean[0] + noise:
        return Finding("monotone", "deviates", figure, "does not respond to classes further apart")
    if rises < len(levels) - 1:
        return Finding("monotone", "deviates", figure, f"rises in {rises} of {len(levels) - 1} steps")
    return Finding("monotone", "ok", figure, "classes further apart score higher")


def shared_factorisation(subject: Subject) -> Finding | None:
    """The value on `Features` that other methods have used already is the value on the plain array."""
    if "features" not in subject.needs or not shares(subject.function):
        return None
    found = []
    for arrays in ordinary().values():
        used = Features(arrays["features"])
        for name in ("centred", "uncentred", "gram", "standardised_gram", "correlation_ranks"):
            getattr(used, name)
        plain, after = subject.run(arrays), subject.run(arrays, shared=used)
        found.append(judge("shared factorisation", plain, after, "", 0.0))
    return worst_of(found)


def cost(subject: Subject) -> Finding | None:
    """Time on 500 × 1024 features, over that of one factorisation of them."""
    if not subject.of_images:
        return None
    arrays = probe(n=500, d=1024, c=20, z=100)
    arrays["features"] = arrays["features"].astype(np.float32)
    unit = min(_seconds(lambda: Features(arrays["features"]).centred) for _ in range(2))
    shared = Features(arrays["features"]) if "features" in subject.needs and shares(subject.function) else None
    cold = _seconds(lambda: subject.run(arrays, shared=shared))
    warm = min([_seconds(lambda: subject.run(arrays, shared=shared)) for _ in range(2)] if cold < 5 else [cold])
    verdict: Verdict = "ok" if warm <= SLOW * unit else "deviates"
    text = f"factorisations of 500 × 1024 ({1000 * warm:.1f} ms)"
    return Finding(
        "time", verdict, f"{warm / unit:.2g}", text if shared is None else text + f", {cold / unit:.2g} at first"
    )


def unknown_metadata(subject: Subject) -> Finding | None:
    """A model of which nothing is known gives a named status, not an exception."""
    if "model" not in subject.needs:
        return None
    return withstands(subject, "unknown model", probe() | {"model": {"name": "unknown"}})


CHECKS: tuple[Callable[[Subject], Finding | list[Finding] | None], ...] = (
    defined,
    deterministic,
    unchanged,
    row_order,
    duplicates,
    relabelling,
    float32,
    shared_factorisation,
    awkward,
    extreme,
    unknown_metadata,
    malformed,
    multi_hot,
    invariances,
    monotone,
    cost,
)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _list(lead: str, names: set[str]) -> str:
    return f"{lead} {', '.join(sorted(names))}" if names else ""
