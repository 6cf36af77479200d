"""Scoring a probe with any number of methods, a stranger's own among them."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmark.config import MethodSpec
from benchmark.wording import one_line, printable

TRACEBACK = 6000
"""Characters of a traceback that are kept."""


class Lost(Exception):
    """A method of which nothing is left to keep, not even a failure: its process died, or there was no memory."""


@dataclass(frozen=True)
class Result:
    """What a method made of one draw.

    value            higher predicts better; None where it is no number, and `status` and `reason` say why
    parts            of a score that is put together over the models of a bank (see `methods.bank`)
    seconds, alone   the time of the call; and as if nothing shared had been computed before (see `methods.metering`)
    given            where it raised an exception, what the method was given, in words; and the exception's traceback
    """

    value: float | None
    status: str
    reason: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    alone: float = 0.0
    given: str = ""
    traceback: str = ""


def score_probe(
    methods: Sequence[MethodSpec],
    metadata: Sequence[Mapping[str, Any]],
    probe: Any,
    reference: Any | None,
    seed_of_draw: Callable[[int], int],
) -> list[tuple[dict[str, Any], dict[str, Any]] | Lost]:
    """(values, record) per method over all draws of a probe, or why there is nothing to keep of one.

    values  scores (draws,), status and reason per draw; a score that is not a number is null; images (draws,), the
            model's parameters and a note on the probe where it has one, so that a table needs no probe
    record  milliseconds per draw, with a shared factorisation counted for the method that first asked for it; and
            milliseconds_alone, as if the method had been the only one: with all the factorisations that it uses. Where
            the method raised exceptions, the first as `failure`: the draw, what it was given, and the traceback
    """
    from threadpoolctl import threadpool_limits

    from benchmark.isolation import score

    made: list[list[Result]] = [[] for _ in methods]
    lost: dict[int, Lost] = {}
    with threadpool_limits(1):  # as in the paper's timings: one CPU thread
        for r in range(len(probe.values["images"])):
            arrays = _draw(probe, r)
            if reference is not None:
                arrays["reference_features"] = _draw(reference, r)["features"]
            for i, (method, facts) in enumerate(zip(methods, metadata, strict=True)):
                if i in lost:
                    continue
                more = {
                    "model": {**_facts(probe.values), **{k: v for k, v in facts.items() if v is not None}},
                    "seed": seed_of_draw(r),
                    "n_classes": probe.values["classes"],  # of the data set: a draw may hold fewer
                }
                try:
                    made[i].append(score(method, arrays, more))
                except Lost as error:
                    lost[i] = Lost(f"{error} (probe draw {r})")
    facts = {name: probe.values[name] for name in ("images", "parameters", "note") if name in probe.values}
    return [lost.get(i) or (_values(results) | facts, _record(results)) for i, results in enumerate(made)]


def _values(results: Sequence[Result]) -> dict[str, Any]:
    parts = {"parts": [dict(r.parts) for r in results]} if any(r.parts for r in results) else {}
    return {
        "scores": [r.value for r in results],
        "status": [r.status for r in results],
        "reasons": [r.reason for r in results],
    } | parts


def _record(results: Sequence[Result]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "milliseconds": [round(1000 * r.seconds, 4) for r in results],
        "milliseconds_alone": [round(1000 * r.alone, 4) for r in results],
    }
    failed = next(((number, r) for number, r in enumerate(results) if r.status == "failed"), None)
    if failed:
        number, first = failed
        record["failure"] = {"draw": number, "given": first.given, "traceback": first.traceback}
    return record


def call(method: MethodSpec, arrays: Mapping[str, Any]) -> Result:
    """What one method makes of one draw; an exception becomes a status. Raises Lost where there is no memory for it."""
    from methods.metering import metered

    absent = [n for n in method.needs if arrays.get(n) is None]
    if absent:
        reason = "the model has no source head" if absent[0].startswith("source_") else f"{absent[0]} is not given"
        return Result(None, "not_applicable", reason)
    given = {n: arrays[n] for n in method.needs}
    if not shares(method.function):
        given = {n: getattr(v, "given", v) for n, v in given.items()}
    try:
        with metered() as times:
            result = method.function(**given, **method.parameters)
            value = float(result)
    except MemoryError as error:
        raise Lost(f"there was not enough memory for it ({one_line(error) or 'MemoryError'})") from None
    except (Exception, SystemExit) as error:  # a method's crash becomes a row
        reason = f"{type(error).__name__}: {error}"
        if "read-only" in reason:
            reason += ". What a method is given must stay as it is: let it copy first"
        return Result(
            None,
            "failed",
            one_line(reason),
            seconds=times.seconds,
            alone=times.alone,
            given=described(given | method.parameters),
            traceback=_traceback(error),
        )
    status, reason = str(getattr(result, "status", "ok")), one_line(getattr(result, "reason", "") or "")
    if not np.isfinite(value):
        value, status, reason = None, status if status != "ok" else "degenerate", reason or f"the score is {value}"
    parts = {name: float(part) for name, part in (getattr(result, "parts", None) or {}).items() if np.isfinite(part)}
    return Result(value, status, reason, {} if value is None else parts, times.seconds, times.alone)


def described(given: Mapping[str, Any]) -> str:
    """Arguments in words: names, shapes and types of arrays, the keys of `model`, other values as they are."""
    return ", ".join(f"{name} {_describe(value)}" for name, value in given.items())


def _describe(value: Any) -> str:
    value = getattr(value, "given", value)
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    return f"{{{', '.join(value)}}}" if isinstance(value, dict) else one_line(repr(value), 60)


def _traceback(error: BaseException) -> str:
    """The traceback of an exception that a method raised, from the method's own line on."""
    lines = traceback.format_exception(type(error), error, error.__traceback__ and error.__traceback__.tb_next)
    text = printable("".join(lines))
    return text if len(text) <= TRACEBACK else f"{text[: TRACEBACK // 2]}\n…\n{text[-TRACEBACK // 2 :]}"


def shares(function: Callable[..., Any]) -> bool:
    """Whether a method takes the shared `methods.Features`: by its annotation, or by declaring capabilities.

    Any other gets the plain array, so that a stranger's numpy code runs as it is.
    """
    annotations = [str(p.annotation) for p in inspect.signature(function).parameters.values()]
    return hasattr(function, "capabilities") or any("Features" in a for a in annotations)


def _facts(values: Mapping[str, Any]) -> dict[str, Any]:
    known = {"params": values["parameters"], "feature_dim": values["feature_dim"], "target_size": values["target_size"]}
    return known | {k: values[k] for k in ("source_accuracy", "source_size") if k in values}


def drawn(
    features: np.ndarray, labels: np.ndarray, logits: np.ndarray | None = None, probs: np.ndarray | None = None
) -> dict[str, Any]:
    """The arrays of a draw by the names that methods know, read-only; features as what those methods share.

    logits, probs  (n, z) of the source head, where it is known; without `probs` they are the softmax of the logits
    """
    from scipy.special import softmax

    from methods.linalg import Features

    arrays = {"features": features, "labels": labels}
    if logits is not None:
        arrays["source_logits"] = logits.astype(np.float64)
        arrays["source_probs"] = softmax(arrays["source_logits"], axis=1)
    if probs is not None:
        probs = probs.astype(np.float64)
        arrays["source_probs"] = probs / probs.sum(axis=1, keepdims=True)
    for array in arrays.values():
        array.flags.writeable = False
    return arrays | {"features": Features(features)}


def classes_of(labels: Any) -> int:
    """The number of classes in labels (n,) or multi-hot (n, c); a data set's own, where they are all of its labels."""
    y = np.asarray(labels)
    return y.shape[1] if y.ndim == 2 else len(np.unique(y))


def _draw(probe: Any, r: int) -> dict[str, Any]:
    arrays, rows = probe.arrays, probe.arrays[f"draw_{r}"]
    return drawn(*(arrays[name][rows] for name in ("features", "labels", "logits") if name in arrays))
