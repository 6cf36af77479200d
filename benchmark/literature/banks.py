"""Published tables as ground truths on common axes: model, target, accuracy, and scores where they were published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from benchmark.literature import further_banks
from benchmark.literature.published_tables import Bank, bank_of
from benchmark.literature.sources import CLASSES, IMAGENET_CNNS, NAMES, PARC_PARAMETERS
from benchmark.stats import alignment, measures
from benchmark.tables.columns import MODEL, PAPER_EXCLUDED, PAPER_IMAGES, PAPER_LAYERS, TARGET

FAILED_AT = 2.0  # times the chance of guessing among equally frequent classes


def parc(table: pd.DataFrame, name: str, exclude: Iterable[str] = ()) -> Bank:
    """One of the paper's banks, rows with Oracle ≤ 0 dropped; VOC2007 is one of the targets."""
    notes: list[str] = []
    rows = alignment.usable(table, exclude, notes)
    truth = rows.assign(model=rows[MODEL[0]] + "/" + rows[MODEL[1]]).pivot(
        index=TARGET, columns="model", values="Oracle"
    )
    architecture, source = zip(*(name.split("/", 1) for name in truth.columns), strict=True)
    layers = np.array([PAPER_LAYERS[a] for a in architecture], float)
    sizes = np.array([PAPER_IMAGES.get(s, np.nan) for s in source])
    targets = np.array([PAPER_IMAGES[t] for t in truth.index], float)[:, None]
    scores = {
        "layers": layers,
        "parameters": np.array([PARC_PARAMETERS[a] for a in architecture], float),
        "imagenet": np.array([s == "imagenet" for s in source], float),
    }
    if np.isfinite(sizes).all():
        scores["source_size"] = sizes
        scores["heuristic"] = layers + np.log(sizes + targets)
        scores["heuristic_released"] = layers + np.log(sizes) - np.log(targets)
    return bank_of(name, truth, scores, note=" ".join(notes))


def cnns(table: pd.DataFrame, name: str) -> Bank:
    """A long table Model, Target Dataset, Accuracy with, perhaps, columns of scores, under common names."""
    table = table.replace({"Model": NAMES, TARGET: NAMES})
    truth = table.pivot(index=TARGET, columns="Model", values="Accuracy")
    scores = {}
    if set(truth.columns) <= set(IMAGENET_CNNS):
        facts = np.array([IMAGENET_CNNS[m] for m in truth.columns], float).T
        scores = dict(zip(("parameters", "source_accuracy", "layers"), facts, strict=True))
    methods = {
        str(column): table.pivot(index=TARGET, columns="Model", values=column).loc[truth.index, truth.columns]
        for column in table.columns
        if column not in ("Model", TARGET, "Accuracy")
    }
    return bank_of(name, truth, scores, methods)


def with_scores(bank: Bank, table: pd.DataFrame) -> Bank:
    """Model Spider's scores on the models and targets that a ground truth shares with them."""
    table = table.replace({"Model": NAMES, "Dataset": NAMES})
    methods = [c for c in table.columns if c not in ("Dataset", "Model")]
    wide = {c: table.pivot(index="Dataset", columns="Model", values=c) for c in methods}
    targets = [t for t in bank.targets if t in wide[methods[0]].index]
    models = [m for m in bank.models if m in wide[methods[0]].columns]
    truth = pd.DataFrame(bank.truth, bank.targets, bank.models).loc[targets, models]
    made = {c: frame.loc[targets, models] for c, frame in wide.items()}
    return bank_of(f"model_spider_scores × {bank.name}", truth, {}, made)


def transfergraph(records: pd.DataFrame, models: pd.DataFrame, clean: bool = True) -> Bank:
    """TransferGraph's runs in percent; `clean` leaves out failed runs and targets where most failed.

    A run failed where its test accuracy is at most FAILED_AT / classes: twice what guessing among equally frequent
    classes gives. A target with more failed than other runs is left out whole.
    """
    rows = records.rename(columns={"finetuned_dataset": TARGET, "model": "Model"})
    rows = rows.assign(failed=rows["test_accuracy"] <= FAILED_AT / rows[TARGET].map(CLASSES))
    note = "All runs as published."
    if clean:
        share = rows.groupby(TARGET)["failed"].mean()
        gone = share.index[share > 0.5]
        kept = rows[~rows["failed"] & ~rows[TARGET].isin(gone)]
        others = int((rows["failed"] & ~rows[TARGET].isin(gone)).sum())
        lost = ", ".join(f"{t} ({(rows[TARGET] == t).sum()} runs, {share[t]:.0%} failed)" for t in gone)
        note = (
            f"A run at or below {FAILED_AT:g}/classes counts as failed: {others} left out of {len(rows)}; "
            f"targets with more failed than other runs left out whole: {lost or 'none'}."
        )
        rows = kept
    truth = 100 * rows.pivot(index=TARGET, columns="Model", values="test_accuracy")
    known = models.drop_duplicates("model").set_index("model").reindex(truth.columns)
    scores = {
        "parameters": pd.to_numeric(known["number_of_parameters"], errors="coerce").to_numpy(float),
        "source_accuracy": pd.to_numeric(known["accuracy"], errors="coerce").to_numpy(float),
    }
    return bank_of("transfergraph_records", truth, scores, note=note)


def banks(tables: Mapping[str, pd.DataFrame]) -> list[Bank]:
    """Every ground truth of a folder's tables; the variants that keep what is normally left out stand beside."""
    made: list[Bank] = []
    if "parc_controlled" in tables:
        made.append(parc(tables["parc_controlled"], "parc_controlled"))
    if "parc_all" in tables:
        made.append(parc(tables["parc_all"], "parc_all", PAPER_EXCLUDED))
        made.append(parc(tables["parc_all"], "parc_all_with_excluded"))
    made += [cnns(tables[n], n) for n in ("sfda_supervised", "sfda_selfsupervised", "tllib") if n in tables]
    if "transfergraph_records" in tables and "transfergraph_models" in tables:
        for clean in (True, False):
            bank = transfergraph(tables["transfergraph_records"], tables["transfergraph_models"], clean)
            named = bank.name if clean else f"{bank.name}_with_failed"
            made.append(replace(bank, name=named))
    return made + further_banks.banks(tables)


def everything(bank: Bank) -> dict[str, np.ndarray]:
    """All yardsticks of a bank, the static list first; `random` has no scores of its own."""
    return {"static_list": measures.static_list(bank.truth), **bank.yardsticks, "random": np.zeros_like(bank.truth)}
