"""Scores and accuracies on common axes: which rows count, which models and targets, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.tables.columns import (
    MODEL,
    PAPER_LAYERS,
    PAPER_LONGEST,
    TARGET,
    at_random,
    method_columns,
    model_columns,
    model_names,
    refuse_doubles,
    refuse_malformed,
    refuse_missing,
)
from benchmark.wording import some


@dataclass(frozen=True)
class Aligned:
    """Scores and accuracies of one table on common axes: k methods, r draws, t targets, m models."""

    methods: tuple[str, ...]
    runs: tuple[int, ...]
    targets: tuple[str, ...]
    models: tuple[str, ...]
    scores: dict[str, np.ndarray]  # per capacity (k, r, t, m)
    truth: np.ndarray  # (t, m), NaN where there is no score row
    rows: pd.DataFrame  # the joined rows, with Oracle
    notes: tuple[str, ...]


def align(
    scores: pd.DataFrame, oracle: pd.DataFrame, exclude_sources: Iterable[str] = (), capacity: bool = True
) -> Aligned:
    """Join a score table to an accuracy table and put both on common axes, with the capacity terms added."""
    scores, notes = scores.reset_index(drop=True), list[str]()
    methods = method_columns(scores)
    scores = scores.assign(**dict.fromkeys(np.array(methods)[at_random(methods)], 0.0))  # all tied: any order
    by = model_columns(scores, oracle)
    truth = usable(oracle, exclude_sources, notes, by)
    if "Run" not in scores:
        scores = scores.assign(Run=0)
    refuse_doubles(scores, ["Run", *by, TARGET], "scores")
    joined = scores[["Run", *by, TARGET]].merge(
        truth[[*by, TARGET, "Oracle"]], how="left", on=[*by, TARGET], validate="many_to_one"
    )
    kept = joined["Oracle"].notna().to_numpy()
    if "mean" in set(joined.loc[kept, TARGET]):
        raise ValueError("a target must not be called 'mean', which stands for the mean over targets. Rename it.")
    if not kept.any():
        raise ValueError(
            f"scores must share models and targets with oracle. Got no row in common (joined by {', '.join(by)}, "
            f"{TARGET}). Compare the spelling of the two tables."
        )
    notes += _join_notes(scores, truth, kept, by)
    values = scores[list(methods)].to_numpy(float, copy=True, na_value=np.nan)  # of one column it would be a view
    values[~np.isfinite(values)] = np.nan
    stacks = {"none": values}
    layers = layers_of_rows(scores, oracle, notes) if capacity else None
    if layers is not None:
        stacks["pooled"] = _z(pd.DataFrame(values)).to_numpy() + layers[:, None] / PAPER_LONGEST
        groups = [scores["Run"].to_numpy(), scores[TARGET].to_numpy()]
        stacks["per_target"] = _z(pd.DataFrame(values), groups).to_numpy() + layers[:, None] / PAPER_LONGEST

    joined = joined[kept]
    run, runs = pd.factorize(joined["Run"], sort=True)
    target, targets = pd.factorize(joined[TARGET])
    model, models = pd.factorize(model_names(joined, by))
    shape = (len(methods), len(runs), len(targets), len(models))
    tensors = {}
    for name, stack in stacks.items():
        tensors[name] = np.full(shape, np.nan)
        tensors[name][:, run, target, model] = stack[kept].T
    accuracy = np.full(shape[2:], np.nan)
    accuracy[target, model] = joined["Oracle"]
    rows = scores[kept].assign(Oracle=joined["Oracle"].to_numpy())
    return Aligned(tuple(methods), tuple(runs), tuple(targets), tuple(models), tensors, accuracy, rows, tuple(notes))


def of_models(aligned: Aligned, column: str) -> list[str]:
    """What a column of the joined rows says about each model of `aligned.models`."""
    rows = aligned.rows.drop_duplicates(model_columns(aligned.rows, aligned.rows))
    values = rows[column].astype(str)
    known = dict(zip(model_names(rows, MODEL), values, strict=True))
    if "Model" in rows:  # the names where the accuracies have that column too
        known |= dict(zip(rows["Model"], values, strict=True))
    return [known[name] for name in aligned.models]


def usable(
    oracle: pd.DataFrame, exclude_sources: Iterable[str], notes: list[str], by: Sequence[str] | None = None
) -> pd.DataFrame:
    """Accuracies that count, seeds averaged: a known Oracle above 0, no self-transfer, no excluded source."""
    refuse_missing(oracle, [*MODEL, TARGET, "Oracle"], "oracle")
    refuse_malformed(oracle, "oracle")
    by = by or model_columns(oracle, oracle)
    exclude = list(exclude_sources)
    unknown = sorted(set(exclude) - set(oracle["Source Dataset"]))
    if unknown:
        raise ValueError(f"exclude_sources must name sources of the oracle. Got {', '.join(unknown)}.")
    excluded = oracle["Source Dataset"].isin(exclude)
    if exclude:
        notes.append(f"Excluded {excluded.sum()} oracle rows of the sources {', '.join(exclude)}.")
    itself = ~excluded & (oracle["Source Dataset"] == oracle[TARGET])
    if itself.any():
        notes.append(f"Dropped {itself.sum()} oracle rows where source and target are the same (self-transfer).")
    absent = ~excluded & ~itself & ~(oracle["Oracle"] > 0)
    if absent.any():
        notes.append(f"Dropped {absent.sum()} oracle rows with Oracle ≤ 0 or missing.")
    rows = oracle[~(excluded | itself | absent)]
    if rows.empty:
        raise ValueError("oracle must have accuracies above 0 that count. Got none." + "".join(f" {n}" for n in notes))
    if "Seed" not in rows:
        refuse_doubles(rows, [*by, TARGET], "oracle")
        return rows
    refuse_doubles(rows, [*by, TARGET, "Seed"], "oracle")
    first = rows.drop_duplicates([*by, TARGET]).set_index([*by, TARGET])
    first["Oracle"] = rows.groupby([*by, TARGET])["Oracle"].mean()
    return first.reset_index()


def _z(values: pd.DataFrame, groups: list[np.ndarray] | None = None) -> pd.DataFrame:
    """Standardised columns (ddof 1), missing values passed over; a constant column has no z and becomes NaN."""
    if groups is None:
        return (values - values.mean()) / values.std().replace(0, np.nan)
    grouped = values.groupby(groups)
    return (values - grouped.transform("mean")) / grouped.transform("std").replace(0, np.nan)


def layers_of_rows(scores: pd.DataFrame, oracle: pd.DataFrame, notes: list[str]) -> np.ndarray | None:
    """Layers on the longest path for each score row, or None and a note that says for which models they lack."""
    for name, table in (("scores", scores), ("oracle", oracle)):
        if "Layers" in table:
            by = ["Model"] if "Model" in table and "Model" in scores else list(MODEL)
            known = table.dropna(subset="Layers").drop_duplicates(by).set_index(by)["Layers"]
            index = pd.MultiIndex.from_frame(scores[by]) if len(by) > 1 else pd.Index(scores[by[0]])
            layers, origin = pd.Series(known.reindex(index).to_numpy(), scores.index), f"the Layers column of {name}"
            break
    else:
        layers, origin = pd.Series(np.nan, scores.index), "the paper's table"
    layers = layers.fillna(scores["Architecture"].map(PAPER_LAYERS)).astype(float)
    if layers.isna().any():
        lacking = scores.loc[layers.isna(), "Architecture"].drop_duplicates().tolist()
        notes.append(
            f"No capacity rows: layers are not known for {some(lacking, 5)}. Add a Layers column to either table."
        )
        return None
    notes.append(f"Capacity: layers from {origin}.")
    return layers.to_numpy()


def _join_notes(scores: pd.DataFrame, truth: pd.DataFrame, kept: np.ndarray, by: Sequence[str]) -> list[str]:
    notes = [f"Joined {kept.sum()} of {len(kept)} score rows to the oracle by {', '.join(by)}, {TARGET}."]
    targets = set(scores.loc[kept, TARGET])
    elsewhere = sorted(set(truth[TARGET]) - targets)
    if elsewhere:
        notes.append(f"Targets of the oracle without scores, left out: {', '.join(map(str, elsewhere))}.")
    here = truth[truth[TARGET].isin(targets)]
    scored = pd.MultiIndex.from_frame(scores.loc[kept, [*by, TARGET]])
    unscored = (~pd.MultiIndex.from_frame(here[[*by, TARGET]]).isin(scored)).sum()
    if unscored:
        notes.append(f"{unscored} oracle rows of the scored targets have no score row and are left out.")
    return notes
