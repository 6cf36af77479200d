"""What an estimator must withstand: probes that are poor, say nothing, or are wrong. Each check returns findings."""

from __future__ import annotations

import dataclasses

import numpy as np

from benchmark.scoring.conformance.probes import probe, rows
from benchmark.scoring.conformance.subject import (
    Finding,
    Subject,
    Verdict,
    withstands,
)


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


def unknown_metadata(subject: Subject) -> Finding | None:
    """A model of which nothing is known gives a named status, not an exception."""
    if "model" not in subject.needs:
        return None
    return withstands(subject, "unknown model", probe() | {"model": {"name": "unknown"}})
