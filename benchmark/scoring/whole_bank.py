"""Scoring by methods that see a whole bank: called once a target and draw, one score a model returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.config.functions import Known, MethodSpec
from benchmark.scoring.call import Lost, Result
from benchmark.scoring.draws import scoring_seed
from benchmark.scoring.isolation import score_bank
from benchmark.scoring.metadata import Metadata
from benchmark.scoring.score import Probe, Values, cell_of, entered, facts_of
from benchmark.tables.bank import Banks


def score_probes(
    methods: Sequence[MethodSpec],
    facts: Sequence[Sequence[Mapping[str, object]]],
    probes: Sequence[Probe],
    seed_of_draw: Callable[[int], int],
    known: Sequence[Known | None],
) -> list[list[tuple[Values, Values]] | Lost]:
    """Per method, (values, record) of each model over all draws, or why there is nothing to keep of it.

    facts   what each method is told of each model, beside what its probe says
    probes  the models' on one target: draws of the same images
    known   what each method is told of other targets

    values and records are those of `benchmark.scoring.score.score_probe`; a model's milliseconds are its share of one
    call.
    """
    from threadpoolctl import threadpool_limits

    counted = [facts_of(probe.values) for probe in probes]
    models = [tuple(_metadata(c, own) for c, own in zip(counted, told, strict=True)) for told in facts]
    made: list[list[tuple[Result, ...]]] = [[] for _ in methods]
    lost: dict[int, Lost] = {}
    with threadpool_limits(1):
        for r in range(len(probes[0].values["images"])):
            arrays = _draw(probes, r)
            for i, method in enumerate(methods):
                more = {
                    "models": models[i],
                    "known": known[i],
                    "seed": seed_of_draw(r),
                    "n_classes": probes[0].values["classes"],
                }
                if i not in lost:
                    try:
                        made[i].append(score_bank(method, arrays, more))
                    except Lost as error:
                        lost[i] = Lost(f"{error} (probe draw {r})")
    return [
        lost.get(i) or [cell_of([draw[at] for draw in draws], probe) for at, probe in enumerate(probes)]
        for i, draws in enumerate(made)
    ]


@dataclass(frozen=True)
class Member:
    """A model of a bank on one draw, of tables of one's own.

    features (n, d); model, what is known of it; row, of the score table, in which its scores are put
    """

    features: np.ndarray
    model: Mapping[str, object]
    row: dict[str, object]


def score_members(
    methods: Sequence[MethodSpec],
    run: int,
    bank: Sequence[Member],
    labels: np.ndarray,
    more: Mapping[str, object],
    banks: Banks,
) -> list[tuple[list[dict[str, object]], list[dict[str, object]]]]:
    """Put every method's scores into the rows of a bank; returns per model what is not ok, and the times.

    labels  (n,) of the images of every model's features; more: n_classes and known
    """
    arrays = drawn([member.features for member in bank], labels)
    found: list[tuple[list[dict[str, object]], list[dict[str, object]]]] = [([], []) for _ in bank]
    given = {**more, "models": tuple(member.model for member in bank), "seed": scoring_seed(run)}
    for method in methods:
        try:
            results = score_bank(method, arrays, given)
        except Lost as error:
            results = (Result(None, "failed", str(error)),) * len(bank)
        for member, result, (problems, spent) in zip(bank, results, found, strict=True):
            problem, taken = entered(method, result, member.row, banks)
            problems += problem
            spent.append(taken)
    return found


def drawn(features: Sequence[np.ndarray], labels: np.ndarray) -> dict[str, object]:
    """The arrays of a draw by the names that methods of the whole bank know, read-only.

    features  of each model, (n, d) of its own d; labels (n,), or multi-hot (n, c): the same images for all
    """
    for array in (*features, labels):
        array.flags.writeable = False
    return {"bank_features": tuple(features), "bank_labels": labels}


def _metadata(counted: Mapping[str, object], told: Mapping[str, object]) -> Metadata:
    return Metadata({**counted, **{name: value for name, value in told.items() if value is not None}})


def _draw(probes: Sequence[Probe], r: int) -> dict[str, object]:
    rows = [probe.arrays[f"draw_{r}"] for probe in probes]
    features = [probe.arrays["features"][own] for probe, own in zip(probes, rows, strict=True)]
    return drawn(features, probes[0].arrays["labels"][rows[0]])
