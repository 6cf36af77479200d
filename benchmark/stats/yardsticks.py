"""What any estimator must beat: the static list of the other targets, sizes, source accuracies, chance.

`random` is the name of a yardstick, whatever values its column holds: the mean over all random orders."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from benchmark.stats import measures
from benchmark.stats.alignment import layers_of_rows, usable
from benchmark.tables import columns as tables_columns
from benchmark.tables.columns import MODEL, PAPER_IMAGES, TARGET, index_of, model_columns


def static_list(oracle: pd.DataFrame, exclude_sources: Iterable[str] = ()) -> pd.Series:
    """The static list's score for each row of an accuracy table, on that table's index.

    Accuracies are standardised within each target over its models; a model's score on a target is its mean over
    all other targets of the table. Rows that are not usable (Oracle ≤ 0, self-transfer, excluded) get NaN.
    """
    by = model_columns(oracle, oracle)
    rows = usable(oracle, exclude_sources, [], by)
    model, models = pd.factorize(pd.MultiIndex.from_frame(rows[by]))
    target, targets = pd.factorize(rows[TARGET])
    truth = np.full((len(targets), len(models)), np.nan)
    truth[target, model] = rows["Oracle"]
    values = pd.Series(measures.static_list(truth)[target, model], pd.MultiIndex.from_frame(rows[[*by, TARGET]]))
    return pd.Series(values.reindex(pd.MultiIndex.from_frame(oracle[[*by, TARGET]])).to_numpy(), oracle.index)


def yardsticks(oracle: pd.DataFrame, exclude_sources: Iterable[str] = ()) -> pd.DataFrame:
    """Scores that never look at the target's images, as a score table: one row per row of the accuracy table.

    layers       depth: a `Layers` column or the paper's table
    parameters   the `Parameters` column
    heuristic    the paper's Eq. 4, ℓ + ln(|Dˢ| + |Dᵗ|), with `Source Size` and `Target Size` columns or the
                 release's image counts
    static_list  see `static_list`
    A yardstick whose inputs are not all there is left out.
    """
    keys = [name for name in ("Model", *MODEL, TARGET) if name in oracle]
    seedless = oracle.drop_duplicates(keys).reset_index(drop=True) if "Seed" in oracle else oracle
    table = seedless[keys].copy()
    layers = layers_of_rows(seedless, seedless, [])
    if layers is not None:
        table["layers"] = layers
    if "Parameters" in seedless and seedless["Parameters"].notna().all():
        table["parameters"] = seedless["Parameters"].astype(float)
    sizes = [
        seedless[f"{which} Size"] if f"{which} Size" in seedless else seedless[f"{which} Dataset"].map(PAPER_IMAGES)
        for which in ("Source", "Target")
    ]
    if layers is not None and all(size.notna().all() for size in sizes):
        table["heuristic"] = layers + np.log(sizes[0].astype(float) + sizes[1].astype(float))
    lists = static_list(oracle, exclude_sources)
    table["static_list"] = lists[~oracle.duplicated(keys)].to_numpy() if "Seed" in oracle else lists.to_numpy()
    return table


YARDSTICKS = (
    tables_columns.RANDOM,
    "layers",
    "parameters",
    "heuristic",
    "source_accuracy",
    "source_size",
    "static_list",
)


def with_yardsticks(scores: pd.DataFrame, truth: pd.DataFrame, exclude_sources: Iterable[str] = ()) -> pd.DataFrame:
    """The score table with the yardsticks it lacks, as far as the tables allow; `random` always.

    A yardstick without a single value is left out: on one target there is no static list.
    """
    by = tables_columns.model_columns(scores, truth)
    facts = truth.copy()
    for name in ("Layers", "Parameters"):
        if name not in facts and name in scores:
            known = scores.dropna(subset=name).drop_duplicates(by).set_index(by)[name]
            facts[name] = known.reindex(index_of(facts, by)).to_numpy()
    found = yardsticks(facts, exclude_sources)
    lacking = [name for name in YARDSTICKS if name in found and name not in scores and found[name].notna().any()]
    scores = scores.merge(found[[*by, TARGET, *lacking]], how="left", on=[*by, TARGET])
    return scores if tables_columns.RANDOM in scores else scores.assign(**{tables_columns.RANDOM: 0.0})
