"""All checks of an estimator in their order, and those of its value, its response and its cost."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmark.scoring.call import shares
from benchmark.scoring.conformance.inputs import awkward, extreme, malformed, multi_hot, unknown_metadata
from benchmark.scoring.conformance.probes import ordinary, probe
from benchmark.scoring.conformance.subject import (
    SAME,
    Finding,
    Subject,
    Verdict,
    judge,
    relative_difference,
    spread_over_seeds,
    worst_of,
)
from benchmark.scoring.conformance.symmetries import duplicates, float32, invariances, relabelling, row_order
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
