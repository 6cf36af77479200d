"""Scoring a probe with any number of methods, a stranger's own among them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.config import MethodSpec


def score_probe(
    methods: Sequence[MethodSpec],
    metadata: Sequence[Mapping[str, Any]],
    probe: Any,
    reference: Any | None,
    seed_of_draw: Callable[[int], int],
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(values, record) per method over all draws of a probe.

    values  scores (draws,), status and reason per draw; a score that is not a number is null; images (draws,), the
            model's parameters and a note on the probe where it has one, so that a table needs no probe
    record  milliseconds per draw, with a shared factorisation counted for the method that first asked for it; and
            milliseconds_alone, as if the method had been the only one: with all the factorisations that it uses
    """
    from threadpoolctl import threadpool_limits

    from methods.linalg import Features
    from methods.metering import metered

    facts_kept = {name: probe.values[name] for name in ("images", "parameters", "note") if name in probe.values}
    collected = [{"scores": [], "status": [], "reasons": [], "parts": [], **facts_kept} for _ in methods]
    records: list[dict[str, Any]] = [{"milliseconds": [], "milliseconds_alone": []} for _ in methods]
    with threadpool_limits(1):  # as in the paper's timings: one CPU thread
        for r in range(len(probe.values["images"])):
            arrays = _draw(probe, r, Features)
            if reference is not None:
                arrays["reference_features"] = _draw(reference, r, Features)["features"]
            for method, facts, values, record in zip(methods, metadata, collected, records, strict=True):
                arrays["model"] = {**_facts(probe.values), **{k: v for k, v in facts.items() if v is not None}}
                arrays["seed"] = seed_of_draw(r)
                arrays["n_classes"] = probe.values["classes"]  # of the data set: a draw may hold fewer
                with metered() as times:
                    value, status, reason, parts = call(method, arrays)
                record["milliseconds"].append(round(1000 * times.seconds, 4))
                record["milliseconds_alone"].append(round(1000 * times.alone, 4))
                values["scores"].append(value)
                values["status"].append(status)
                values["reasons"].append(reason)
                values["parts"].append(parts)
    for values in collected:
        if not any(values["parts"]):
            del values["parts"]
    return list(zip(collected, records, strict=True))


def call(method: MethodSpec, arrays: Mapping[str, Any]) -> tuple[float | None, str, str, dict[str, float]]:
    """(score, status, reason, parts) of one method on one draw; a crash is a status, not an exception."""
    absent = [n for n in method.needs if arrays.get(n) is None]
    if absent:
        reason = "the model has no source head" if absent[0].startswith("source_") else f"{absent[0]} is not given"
        return None, "not_applicable", reason, {}
    try:
        given = {n: arrays[n] for n in method.needs}
        if not shares(method.function):
            given = {n: getattr(v, "given", v) for n, v in given.items()}
        result = method.function(**given, **method.parameters)
        value = float(result)
    except Exception as error:  # a method's crash becomes a row
        return None, "failed", f"{type(error).__name__}: {error}", {}
    status, reason = getattr(result, "status", "ok"), getattr(result, "reason", "") or ""
    if not np.isfinite(value):
        return None, status if status != "ok" else "degenerate", reason or f"the score is {value}", {}
    parts = {name: float(part) for name, part in (getattr(result, "parts", None) or {}).items() if np.isfinite(part)}
    return value, str(status), str(reason), parts


def shares(function: Callable[..., Any]) -> bool:
    """Whether a method takes the shared `methods.Features`: by its annotation, or by declaring capabilities.

    Any other gets the plain array, so that a stranger's numpy code runs as it is.
    """
    annotations = [str(p.annotation) for p in inspect.signature(function).parameters.values()]
    return hasattr(function, "capabilities") or any("Features" in a for a in annotations)


def _facts(values: Mapping[str, Any]) -> dict[str, Any]:
    known = {"params": values["parameters"], "feature_dim": values["feature_dim"], "target_size": values["target_size"]}
    return known | {k: values[k] for k in ("source_accuracy", "source_size") if k in values}


def _draw(probe: Any, r: int, features: Callable[[np.ndarray], Any]) -> dict[str, Any]:
    arrays, rows = probe.arrays, probe.arrays[f"draw_{r}"]
    drawn = {"features": features(arrays["features"][rows]), "labels": arrays["labels"][rows]}
    if "logits" in arrays:
        logits = arrays["logits"][rows].astype(np.float64)
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        drawn |= {"source_logits": logits, "source_probs": exp / exp.sum(axis=1, keepdims=True)}
    return drawn
