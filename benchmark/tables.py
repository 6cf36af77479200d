"""Finished cells as tables with the paper's columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from benchmark.plan import Plan, Transfer
from benchmark.store import Store

KEYS = ["Model", "Architecture", "Source Dataset", "Target Dataset"]


@dataclass(frozen=True)
class Tables:
    """Everything a report is made of.

    scores   Run, Model, Architecture, Source Dataset, Target Dataset, Layers, Parameters, <method>…
    truth    the same model columns and Oracle: per cent on the test split, mean over seeds (multi-label: mean
             average precision)
    seeds    truth seed by seed, with all its measures
    status   one row per score that is not `ok`, and per cell that failed, with the reason
    timings  milliseconds per score; seconds and images/s per trained cell; not reproducible to the byte
    """

    scores: pd.DataFrame
    truth: pd.DataFrame
    seeds: pd.DataFrame
    status: pd.DataFrame
    timings: pd.DataFrame


def gather(made: Plan, store: Store, failed: Mapping[str, str], labels: Mapping[int, str] | None = None) -> Tables:
    """Read the cells of a plan. `labels` names a transfer's sweep point, by its position."""
    scores: dict[tuple, dict] = {}
    seeds: dict[str, dict] = {}
    status: list[dict] = [_missing_model(model, reason) for model, reason in made.unavailable.items()]
    timings: list[dict] = []
    for position, transfer in enumerate(made.transfers):
        label = (labels or {}).get(position, "")
        row = _row(transfer)
        facts = _probe_facts(store, transfer)
        for key in transfer.truth:
            if key in failed:
                status.append(row | {"Stage": "truth", "Status": "failed", "Reason": failed[key]})
            elif key not in seeds:
                entry = store.read("truth", key)
                seeds[key] = row | {"Layers": transfer.model.layers} | _truth_columns(entry.values)
                timings.append(row | {"Stage": "truth", "Seconds": entry.record["seconds"]})
        for method in transfer.prepared:
            timings.append(row | {"Stage": "preparation", "Method": method} | _preparation(store, transfer))
        for method, key in transfer.scores.items():
            column = f"{method} @ {label}" if label else method
            if key in failed:
                status.append(row | {"Stage": "score", "Method": column, "Status": "failed", "Reason": failed[key]})
                continue
            entry = store.read("score", key)
            spent = entry.record["milliseconds"]
            for run, value in enumerate(entry.values["scores"]):
                at = scores.setdefault((run, *row.values()), {"Run": run} | row | facts)
                at[column] = value
                timings.append(row | {"Stage": "score", "Method": column, "Run": run, "Milliseconds": spent[run]})
                if entry.values["status"][run] != "ok":
                    problem = {"Status": entry.values["status"][run], "Reason": entry.values["reasons"][run]}
                    status.append(row | {"Stage": "score", "Method": column, "Run": run} | problem)
    per_seed = pd.DataFrame(seeds.values())
    return Tables(
        scores=_ordered(pd.DataFrame(scores.values()), ["Run", *KEYS]),
        truth=_mean_over_seeds(per_seed),
        seeds=per_seed,
        status=_ordered(pd.DataFrame(status), [*KEYS, "Stage", "Method", "Run", "Status", "Reason"]),
        timings=_ordered(pd.DataFrame(timings), [*KEYS, "Stage", "Method", "Run", "Milliseconds", "Seconds"]),
    )


def _row(transfer: Transfer) -> dict:
    model = transfer.model
    return {
        "Model": model.name,
        "Architecture": model.arch,
        "Source Dataset": model.source_name,
        "Target Dataset": transfer.target.name,
    }


def _probe_facts(store: Store, transfer: Transfer) -> dict:
    facts: dict = {"Layers": transfer.model.layers}
    if store.has("probe", transfer.probe):
        values = store.read("probe", transfer.probe).values
        facts |= {"Parameters": values["parameters"], "Images": values["images"][0]}
    return facts


def _preparation(store: Store, transfer: Transfer) -> dict:
    """What training the reference model took, where this store saw it."""
    try:
        return {"Seconds": store.read("weights", transfer.reference).record["seconds"]}
    except KeyError:
        return {"Seconds": None}


def _truth_columns(values: Mapping) -> dict:
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
    groups = per_seed.groupby([*KEYS, "Layers"], sort=False)["Oracle"]
    return groups.agg(Oracle="mean", Seeds="count").reset_index()


def _missing_model(model: str, reason: str) -> dict:
    return {"Model": model, "Stage": "weights", "Status": "unavailable", "Reason": reason}


def _ordered(table: pd.DataFrame, first: Iterable[str]) -> pd.DataFrame:
    first = list(first)
    for column in first:
        if column not in table:
            table[column] = pd.Series(dtype=object)
    return table[[*first, *(c for c in table.columns if c not in first)]]
