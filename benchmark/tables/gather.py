"""Finished cells as tables with the paper's columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import pandas as pd

from benchmark.cells.plan import Plan, Transfer
from benchmark.cells.store import Store
from benchmark.tables.bank import Banks
from benchmark.tables.columns import KEYS, index_of

Row = dict[str, object]


@dataclass(frozen=True)
class Tables:
    """Everything a report is made of.

    scores   Run, Model, Architecture, Source Dataset, Target Dataset, Layers, Parameters, <method>…
    truth    the same model columns and Oracle: per cent on the test split, mean over seeds (multi-label: mean
             average precision, with the paper's per-label accuracy beside it); Lineage where the bank states any
    seeds    truth seed by seed, with all its measures
    status   one row per score that is not `ok`, and per cell that failed, with the reason; one per cell that ran out
             of memory once and was made with halved batches
    timings  Milliseconds per score, what methods share counted once, and Milliseconds Alone, of the method with nothing
             computed before; seconds and images/s per trained cell; not reproducible to the byte
    times    milliseconds a method where others took them (`benchmark.tables.against`), and notes on what was joined
    """

    scores: pd.DataFrame
    truth: pd.DataFrame
    seeds: pd.DataFrame
    status: pd.DataFrame
    timings: pd.DataFrame
    times: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


def gather(made: Plan, store: Store, failed: Mapping[str, str], columns: Sequence[Mapping[str, str]] = ()) -> Tables:
    """Read the cells of a plan. `columns` names each transfer's methods, in a sweep."""
    scores: dict[tuple[object, ...], Row] = {}
    seeds: dict[tuple[str, str], Row] = {}
    status: list[Row] = [_missing_model(model, reason) for model, reason in made.unavailable.items()]
    timings: list[Row] = []
    banks = Banks()
    for transfer, names in zip(made.transfers, columns or repeat({}), strict=False):
        row = _row(transfer)
        for key in transfer.truth:
            if key in failed:
                status.append(row | {"Stage": "truth", "Status": "failed", "Reason": failed[key]})
            elif (transfer.model.name, key) not in seeds:  # models of one specification share their cells
                entry = store.read("truth", key)
                facts = {"Layers": transfer.model.layers} | _lineage(transfer)
                seeds[transfer.model.name, key] = row | facts | _truth_columns(entry.values)
                timings.append(row | {"Stage": "truth", "Seconds": entry.record["seconds"]})
                status += _retried(row, "truth", entry.record.get("note"))
        for method in transfer.prepared:
            column = names.get(method, method)
            timings.append(row | {"Stage": "preparation", "Method": column} | _preparation(store, transfer))
        for method, key in transfer.scores.items():
            column = names.get(method, method)
            if key in failed:
                status.append(row | {"Stage": "score", "Method": column, "Status": "failed", "Reason": failed[key]})
                continue
            entry = store.read("score", key)
            spent, alone = entry.record["milliseconds"], entry.record.get("milliseconds_alone")
            status += _retried(row, "probe", entry.values.get("note"))
            facts = {"Layers": transfer.model.layers, "Parameters": entry.values["parameters"]}
            for run, value in enumerate(entry.values["scores"]):
                images = {"Images": entry.values["images"][run]}
                at = scores.setdefault((run, *row.values()), {"Run": run} | row | facts | images)
                at[column] = value
                if "parts" in entry.values:
                    function = made.cells[key].work["method"].function
                    banks.add(function, column, at, entry.values["status"][run], entry.values["parts"][run])
                times = {"Milliseconds": spent[run], "Milliseconds Alone": alone[run] if alone else None}
                timings.append(row | {"Stage": "score", "Method": column, "Run": run, **times})
                if entry.values["status"][run] != "ok":
                    problem = {"Status": entry.values["status"][run], "Reason": entry.values["reasons"][run]}
                    status.append(row | {"Stage": "score", "Method": column, "Run": run} | problem)
    banks.finish()
    per_seed = pd.DataFrame(seeds.values())
    return Tables(
        scores=_ordered(scores.values(), ["Run", *KEYS]),
        truth=_mean_over_seeds(per_seed),
        seeds=per_seed,
        status=_ordered(status, [*KEYS, "Stage", "Method", "Run", "Status", "Reason"]),
        timings=_ordered(timings, [*KEYS, "Stage", "Method", "Run", "Milliseconds", "Milliseconds Alone", "Seconds"]),
    )


def _row(transfer: Transfer) -> Row:
    model = transfer.model
    return {
        "Model": model.name,
        "Architecture": model.arch_name,
        "Source Dataset": model.source_name,
        "Target Dataset": transfer.target.name,
    }


def _lineage(transfer: Transfer) -> Row:
    """What the bank says of the model's relatives: a column that exists where it says something of any."""
    return {"Lineage": transfer.model.lineage} if transfer.model.lineage else {}


def _preparation(store: Store, transfer: Transfer) -> Row:
    """What training the reference model took, where this store saw it."""
    if transfer.reference is None or not store.has("weights", transfer.reference):
        return {"Seconds": None}
    return {"Seconds": store.read("weights", transfer.reference).record["seconds"]}


def _truth_columns(values: Mapping[str, object]) -> Row:
    named = {
        "oracle": "Oracle",
        "accuracy": "Accuracy",
        "mean_per_class": "Mean Per Class",
        "map": "Mean Average Precision",
        "per_label": "Per Label",
        "rate": "Rate",
    }
    return {"Seed": values["seed"]} | {column: values[k] for k, column in named.items() if k in values}


def _mean_over_seeds(per_seed: pd.DataFrame) -> pd.DataFrame:
    if per_seed.empty:
        return pd.DataFrame(columns=[*KEYS, "Layers", "Oracle", "Seeds"])
    beside = {"Per Label": ("Per Label", "mean")} if "Per Label" in per_seed else {}
    if "Lineage" in per_seed:
        beside["Lineage"] = ("Lineage", "first")
    groups = per_seed.groupby([*KEYS, "Layers"], sort=False)
    return groups.agg(Oracle=("Oracle", "mean"), Seeds=("Oracle", "count"), **beside).reset_index()


def _retried(row: Row, stage: str, note: str | None) -> list[Row]:
    return [row | {"Stage": stage, "Status": "retried", "Reason": note}] if note else []


def _missing_model(model: str, reason: str) -> Row:
    return {"Model": model, "Stage": "weights", "Status": "unavailable", "Reason": reason}


def _ordered(rows: Iterable[Row], first: Sequence[str]) -> pd.DataFrame:
    """The rows, each once (points of a sweep share some), with some columns first, be they empty."""
    table = pd.DataFrame(rows).drop_duplicates()
    for column in first:
        if column not in table:
            table[column] = pd.Series(dtype=object)
    return table[[*first, *(c for c in table.columns if c not in first)]]


def without_vacuous(scores: pd.DataFrame, status: pd.DataFrame | None) -> pd.DataFrame:
    """The score table with the scores that have a status other than ok made missing."""
    if status is None or status.empty or "Method" not in status:
        return scores
    scores = scores.copy()
    keys = [c for c in ("Run", *KEYS) if c in scores and c in status]
    row = pd.Series(range(len(scores)), index_of(scores, keys))
    told = status[(status["Stage"] == "score") & status["Run"].notna() & status["Method"].isin(scores.columns)]
    where = row.reindex(index_of(told.astype({"Run": scores["Run"].dtype}), keys))
    for method, places in where.groupby(told["Method"].to_numpy()):
        scores.loc[scores.index[places.dropna().astype(int)], method] = float("nan")
    return scores
