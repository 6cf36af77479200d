"""Scoring a probe with any number of methods, a stranger's own among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from benchmark.config.functions import Known, MethodSpec
from benchmark.scoring.call import Lazy, Lost, Result
from benchmark.scoring.draws import scoring_seed
from benchmark.scoring.isolation import score
from benchmark.scoring.metadata import Metadata
from benchmark.tables.bank import Banks

if TYPE_CHECKING:
    from methods.shared.linalg import Features

SOURCE = ("source_features", "source_labels")
"""Of other images than the target's: of the data set that the model was trained on."""

Values = dict[str, object]
"""What a cell keeps as JSON."""


class Probe(Protocol):
    """A finished probe: what was found out about it, and its arrays."""

    @property
    def values(self) -> Mapping[str, Any]: ...

    @property
    def arrays(self) -> Mapping[str, np.ndarray]: ...


class Trains(Protocol):
    """What a method that trains may ask for (`benchmark.training.trainee.Trainee`)."""

    def network(self) -> object: ...

    def images(self, indices: np.ndarray) -> object: ...


def arrays_of_draw(
    given: Mapping[str, np.ndarray], labels: np.ndarray, reference: np.ndarray | None, rows: np.ndarray
) -> dict[str, np.ndarray | Features]:
    """The arrays of a draw out of a data set's own, by the names that methods know."""
    from methods.shared.linalg import Features

    source = {name: given[name] for name in SOURCE if name in given}
    held = drawn(labels=labels[rows], **{name: array[rows] for name, array in given.items() if name not in SOURCE})
    if source:
        held |= of_source(**source)
    if reference is not None:
        held["reference_features"] = Features(reference[rows])
    return held


def score_methods(
    methods: Sequence[MethodSpec],
    run: int,
    held: Mapping[str, object],
    metadata: Mapping[str, object],
    row: dict[str, object],
    banks: Banks,
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Put every method's score into the row, its parts into the banks; returns what is not ok, and the times.

    run  the number of the draw
    """
    problems: list[dict[str, object]] = []
    spent: list[dict[str, object]] = []
    for method in methods:
        try:
            result = score(method, held, {"model": metadata, "seed": scoring_seed(run)})
        except Lost as error:
            result = Result(None, "failed", str(error))
        problem, taken = entered(method, result, row, banks)
        problems += problem
        spent.append(taken)
    return problems, spent


def entered(
    method: MethodSpec, result: Result, row: dict[str, object], banks: Banks
) -> tuple[list[dict[str, object]], dict[str, object]]:
    """Put a method's result into the row, its parts into the banks; returns what is not ok of it, and its times."""
    row[method.name] = np.nan if result.value is None else result.value
    banks.add(method.function, method.name, row, result.status, result.parts)
    taken = {"Milliseconds": 1000 * result.seconds, "Milliseconds Alone": 1000 * result.alone}
    taken = {name: round(value, 4) for name, value in taken.items()}
    spent: dict[str, object] = {"Stage": "score", "Method": method.name, **taken, "Seconds": None}
    if result.status == "ok":
        return [], spent
    problem = {"Status": result.status, "Reason": result.reason}
    kept = {"Given": result.given, "Traceback": result.traceback}  # no columns of a status table
    return [{"Stage": "score", "Method": method.name, **problem, **kept}], spent


def score_probe(
    methods: Sequence[MethodSpec],
    metadata: Sequence[Mapping[str, object]],
    probe: Probe,
    reference: Probe | None,
    seed_of_draw: Callable[[int], int],
    trainee: Trains | None = None,
    known: Sequence[Known | None] | None = None,
    source: Probe | None = None,
) -> list[tuple[Values, Values] | Lost]:
    """(values, record) per method over all draws of a probe, or why there is nothing to keep of one.

    trainee  for methods that take its network or images
    known    what each method is told of other targets
    source   the model's own probe of images that it was trained on, with as many draws

    values  scores (draws,), status and reason per draw; a score that is not a number is null; images (draws,), the
            model's parameters and a note on the probe where it has one, so that a table needs no probe
    record  milliseconds per draw, with a shared factorisation counted for the method that first asked for it; and
            milliseconds_alone, as if the method had been the only one: with all the factorisations that it uses. Where
            the method raised exceptions, the first as `failure`: the draw, what it was given, and the traceback
    """
    from threadpoolctl import threadpool_limits

    made: list[list[Result]] = [[] for _ in methods]
    lost: dict[int, Lost] = {}
    with threadpool_limits(1):  # as in the paper's timings: one CPU thread
        for r in range(len(probe.values["images"])):
            arrays: dict[str, object] = {**_draw(probe, r)}
            if reference is not None:
                arrays["reference_features"] = _draw(reference, r)["features"]
            if source is not None:
                theirs = source.arrays[f"draw_{r}"]
                arrays |= of_source(source.arrays["features"][theirs], source.arrays["labels"][theirs])
            if trainee is not None:
                arrays |= _lazily(trainee, probe, r)
            for i, (method, facts) in enumerate(zip(methods, metadata, strict=True)):
                if i in lost:
                    continue
                more = {
                    "model": Metadata(facts_of(probe.values) | {k: v for k, v in facts.items() if v is not None}),
                    "seed": seed_of_draw(r),
                    "n_classes": probe.values["classes"],  # of the data set: a draw may hold fewer
                    "known": known[i] if known else None,
                }
                try:
                    made[i].append(score(method, arrays, more))
                except Lost as error:
                    lost[i] = Lost(f"{error} (probe draw {r})")
    return [lost.get(i) or cell_of(results, probe) for i, results in enumerate(made)]


def cell_of(results: Sequence[Result], probe: Probe) -> tuple[Values, Values]:
    """(values, record) of a method's results on the draws of a probe."""
    kept = {name: probe.values[name] for name in ("images", "parameters", "note") if name in probe.values}
    return _values(results) | kept, _record(results)


def _values(results: Sequence[Result]) -> Values:
    parts: Values = {"parts": [dict(r.parts) for r in results]} if any(r.parts for r in results) else {}
    return {
        "scores": [r.value for r in results],
        "status": [r.status for r in results],
        "reasons": [r.reason for r in results],
    } | parts


def _record(results: Sequence[Result]) -> Values:
    record: Values = {
        "milliseconds": [round(1000 * r.seconds, 4) for r in results],
        "milliseconds_alone": [round(1000 * r.alone, 4) for r in results],
    }
    failed = next(((number, r) for number, r in enumerate(results) if r.status == "failed"), None)
    if failed:
        number, first = failed
        record["failure"] = {"draw": number, "given": first.given, "traceback": first.traceback}
    return record


def facts_of(values: Mapping[str, object]) -> Values:
    """What a probe says of its model, by the names that `model` has."""
    known = {
        "parameters": values["parameters"],
        "feature_dim": values["feature_dim"],
        "target_size": values["target_size"],
    }
    return known | {k: values[k] for k in ("source_accuracy", "source_size") if k in values}


def drawn(
    features: np.ndarray, labels: np.ndarray, logits: np.ndarray | None = None, probs: np.ndarray | None = None
) -> dict[str, np.ndarray | Features]:
    """The arrays of a draw by the names that methods know, read-only; features as what those methods share.

    logits, probs  (n, z) of the source head, where it is known; without `probs` they are the softmax of the logits
    """
    from scipy.special import softmax

    from methods.shared.linalg import Features

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


def of_source(source_features: np.ndarray, source_labels: np.ndarray) -> dict[str, np.ndarray | Features]:
    """The features (m, d) and labels (m,) of images that the model was trained on, by the names that methods know."""
    from methods.shared.linalg import Features

    features, labels = source_features.view(), source_labels.view()
    features.flags.writeable = labels.flags.writeable = False
    return {"source_features": Features(features), "source_labels": labels}


def classes_of(labels: ArrayLike) -> int:
    """The number of classes in labels (n,) or multi-hot (n, c); a data set's own, where they are all of its labels."""
    y = np.asarray(labels)
    return y.shape[1] if y.ndim == 2 else len(np.unique(y))


def _draw(probe: Probe, r: int) -> dict[str, np.ndarray | Features]:
    arrays, rows = probe.arrays, probe.arrays[f"draw_{r}"]
    return drawn(*(arrays[name][rows] for name in ("features", "labels", "logits") if name in arrays))


def _lazily(trainee: Trains, probe: Probe, r: int) -> dict[str, Lazy]:
    """Network and images of a draw, to be made by the methods that ask for them."""
    indices = probe.arrays["image_ids"][probe.arrays[f"draw_{r}"]]
    return {"network": Lazy(trainee.network), "images": Lazy(partial(trainee.images, indices))}
