"""What a method of the whole bank must withstand: tried on made-up features of the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.config.functions import MethodSpec
from benchmark.scoring.call import Result
from benchmark.scoring.conformance.probes import probe
from benchmark.scoring.conformance.subject import NEAR, SAME, Finding, Verdict
from benchmark.scoring.isolation import guarded
from methods.shared.score import STATUSES

MODELS, IMAGES, CLASSES = 6, 60, 4
Bank = dict[str, Any]
"""A made-up bank by the names of `benchmark.config.functions.ARRAYS`."""


def bank() -> Bank:
    """Models that tell the classes apart the better the later they come, and what is known of them elsewhere."""
    each = [probe(IMAGES, 8 + 4 * i, CLASSES, 0.1 + 0.3 * i, seed=i) for i in range(MODELS)]
    models = tuple({**one["model"], "name": f"checked {i}"} for i, one in enumerate(each))
    return {
        "bank_features": tuple(one["features"].astype(np.float32) for one in each),
        "bank_labels": each[0]["labels"],
        "models": models,
        "known": known([m["name"] for m in models]),
        "seed": 0,
        "n_classes": CLASSES,
    }


def known(names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Made-up accuracies of some models on three other targets."""
    return {f"target {t}": {name: 60.0 + 5 * t + (7 * i) % 5 for i, name in enumerate(names)} for t in range(3)}


def examine(method: MethodSpec) -> list[Finding]:
    """All checks, in order: a score a model, inputs unchanged, determinism, and orders that must not matter."""
    first = _run(method, bank())
    changed = [r.reason for r in first if r.status == "failed" and r.reason.startswith("it wrote to")]
    found = [
        _defined(first),
        Finding("inputs unchanged", "fails" if changed else "ok", "", changed[0] if changed else ""),
    ]
    if found[0].verdict == "fails":
        return found
    again = _run(method, bank())
    same = [r.value for r in first] == [r.value for r in again]
    found.append(Finding("determinism", "ok" if same else "fails", "", "" if same else "two calls differ"))
    draws = "seed" in method.needs
    order, images = np.arange(MODELS)[::-1], np.random.default_rng(3).permutation(IMAGES)
    renamed = 7 - 2 * bank()["bank_labels"]
    return [
        *found,
        _compared("order of models", [first[i] for i in order], _run(method, _of_models(bank(), order)), draws),
        _compared("order of images", first, _run(method, _of_images(bank(), images)), draws),
        _compared("names of classes", first, _run(method, bank() | {"bank_labels": renamed}), draws),
    ]


def _run(method: MethodSpec, given: Mapping[str, object]) -> Sequence[Result]:
    results = guarded(method, given)
    return results if isinstance(results, tuple) else (results,)


def _defined(results: Sequence[Result]) -> Finding:
    """A finite score or a named status for every model, and a finite one for most."""
    bad = [r for r in results if r.status == "failed" or r.status not in STATUSES]
    scored = sum(r.status == "ok" for r in results)
    verdict: Verdict = "fails" if bad or 2 * scored < len(results) else "ok"
    text = bad[0].reason if bad else next((r.reason for r in results if r.status != "ok"), "")
    return Finding("a score a model", verdict, f"{scored} of {len(results)}", text)


def _of_models(whole: Bank, order: np.ndarray) -> Bank:
    return whole | {name: tuple(whole[name][i] for i in order) for name in ("bank_features", "models")}


def _of_images(whole: Bank, order: np.ndarray) -> Bank:
    features = tuple(np.ascontiguousarray(one[order]) for one in whole["bank_features"])
    return whole | {"bank_features": features, "bank_labels": whole["bank_labels"][order]}


def _compared(check: str, one: Sequence[Result], other: Sequence[Result], drawn: bool) -> Finding:
    """Whether the scores of the same models are the same, but for rounding; `drawn`: by a method that draws."""
    if [r.status for r in one] != [r.status for r in other]:
        return Finding(check, "fails", "", "statuses differ")
    pairs = [(a.value, b.value) for a, b in zip(one, other, strict=True) if a.value is not None and b.value is not None]
    size = max((abs(a) for a, _ in pairs), default=0.0) or 1.0
    gap = max((abs(a - b) for a, b in pairs), default=0.0) / size
    verdict: Verdict = "ok" if gap <= SAME else "deviates" if gap <= NEAR or drawn else "fails"
    return Finding(check, verdict, f"{gap:.1e}", "" if verdict == "ok" else "scores change")
