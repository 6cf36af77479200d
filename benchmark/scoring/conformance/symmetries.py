"""What must leave a score as it is: another order, names, precision, and the changes that a method declares."""

from __future__ import annotations

import dataclasses

import numpy as np

from benchmark.scoring.conformance.probes import ordinary, probe, repeated, rows, transformed
from benchmark.scoring.conformance.subject import (
    Finding,
    Subject,
    compare_runs,
    explained,
    judge,
    spread_over_seeds,
    worst_of,
)
from methods.shared.capabilities import INVARIANCES


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
