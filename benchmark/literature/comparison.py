"""Published scores and simple yardsticks measured on published ground truths; agreement between tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from benchmark.literature.banks import everything
from benchmark.literature.published_tables import Bank
from benchmark.literature.sources import NAMES, SHARED_MODELS, SPIDER_REPORTED
from benchmark.stats import measures, resampling
from benchmark.tables.columns import TARGET

MEASURES = ("pearson", "kendall", "weighted_kendall", "regret1")
FLAG = 0.01  # a correlation that is further from the one reported is flagged; rounding of the inputs moves less
RESAMPLES = 2000


def measure(bank: Bank) -> pd.DataFrame:
    """source, target, method, measure, value: yardsticks on every target, their mean, and mean6, mean7 for PARC.

    pearson ×100, kendall τ_b, weighted_kendall (scipy's), regret1 in points with ties broken at random. `random` is
    the mean over all orders of the models. A mean is over the targets where the measure is defined.
    """
    records = []
    for method, scores in everything(bank).items():
        values = (
            _random(bank) if method == "random" else {n: v[0] for n, v in _measured(scores[None], bank.truth).items()}
        )
        for name in MEASURES:
            rows = list(zip(bank.targets, values[name], strict=True))
            mean = float(measures.nanmean(values[name], 0))
            rows.append(("mean", mean))
            if bank.name.startswith("parc_"):
                others = np.array([t != "voc2007" for t in bank.targets])
                rows += [("mean6", float(measures.nanmean(values[name][others], 0))), ("mean7", mean)]
            records += [(bank.name, target, method, name, value) for target, value in rows]
    return pd.DataFrame(records, columns=["source", "target", "method", "measure", "value"])


def of_methods(bank: Bank) -> pd.DataFrame:
    """source, target, method, measure, value of the published scores against a bank's accuracies."""
    records = []
    for method, scores in bank.methods.items():
        found = _measured(scores[None], bank.truth)
        for name in MEASURES:
            values = found[name]
            rows = [*zip(bank.targets, values[0], strict=True), ("mean", float(measures.nanmean(values[0], 0)))]
            records += [(bank.name, target, method, name, value) for target, value in rows]
    return pd.DataFrame(records, columns=["source", "target", "method", "measure", "value"])


def agreement(first: Bank, second: Bank) -> pd.DataFrame:
    """first, second, target, models, measure, value: two ground truths of the same models and data sets."""
    targets = [t for t in first.targets if t in second.targets]
    models = [m for m in first.models if m in second.models]
    a, b = (pd.DataFrame(x.truth, x.targets, x.models).loc[targets, models].to_numpy() for x in (first, second))
    records = []
    for name in ("pearson", "kendall", "weighted_kendall"):
        values = getattr(measures, name)(a, b)
        rows = [*zip(targets, values, strict=True), ("mean", float(measures.nanmean(values, 0)))]
        records += [(first.name, second.name, target, len(models), name, value) for target, value in rows]
    return pd.DataFrame(records, columns=["first", "second", "target", "models", "measure", "value"])


def agreements(made: Sequence[Bank]) -> list[pd.DataFrame]:
    """`agreement` of each pair of tables with SHARED_MODELS models and a target in common.

    Left out: variants that keep what is normally left out (`_with_`), a table against one that goes on from it (its
    name begins with the other's), and a table that repeats an earlier one's accuracies but against that one.
    """
    found: list[pd.DataFrame] = []
    repeats: set[str] = set()
    for first, second in combinations([bank for bank in made if "_with_" not in bank.name], 2):
        shared = len(set(first.models) & set(second.models)) >= SHARED_MODELS and set(first.targets) & set(
            second.targets
        )
        if not shared or second.name.startswith(first.name) or {first.name, second.name} & repeats:
            continue
        found.append(agreement(first, second))
        if _same(first, second):
            repeats.add(second.name)
    return found


def _same(first: Bank, second: Bank) -> bool:
    a, b = (pd.DataFrame(x.truth, x.targets, x.models) for x in (first, second))
    rows, columns = a.index.intersection(b.index), a.columns.intersection(b.columns)
    return np.allclose(a.loc[rows, columns], b.loc[rows, columns], rtol=0, atol=1e-9, equal_nan=True)


def against_list(bank: Bank) -> pd.DataFrame:
    """source, method, measure, method_value, list_value: published scores beside the static list, on the same cells.

    Targets for which a method has no score are left out for all, so that the means are over the same targets.
    """
    methods = np.stack(list(bank.methods.values()))
    sound = (np.isfinite(bank.truth) & np.isfinite(methods).all(axis=0)).sum(axis=1) >= 2
    truth = np.where(np.isfinite(methods).all(axis=0), bank.truth, np.nan)[sound]
    found = _measured(np.concatenate([methods[:, sound], measures.static_list(bank.truth)[None, sound]]), truth)
    means = {name: measures.nanmean(found[name], 1) for name in MEASURES}
    return pd.DataFrame(
        [
            (bank.name, method, name, float(means[name][k]), float(means[name][-1]))
            for k, method in enumerate(bank.methods)
            for name in MEASURES
        ],
        columns=["source", "method", "measure", "method_value", "list_value"],
    )


def list_wins(rows: pd.DataFrame) -> pd.DataFrame:
    """source, measure, list_value, best, best_value, beaten, methods: how many methods the static list is ahead of."""
    records = []
    for (source, name), part in rows.groupby(["source", "measure"], sort=False):
        sign = -1.0 if name == "regret1" else 1.0
        best = part.loc[(sign * part["method_value"]).idxmax()]
        beaten = int((sign * part["list_value"] > sign * part["method_value"]).sum())
        records.append((source, name, best["list_value"], best["method"], best["method_value"], beaten, len(part)))
    columns = ["source", "measure", "list_value", "best", "best_value", "beaten", "methods"]
    return pd.DataFrame(records, columns=columns)


def beside_reported(recomputed: pd.DataFrame, reported: pd.DataFrame, source: str) -> pd.DataFrame:
    """source, target, method, measure, reported, recomputed, difference, flagged (|difference| > FLAG).

    reported  target, method, measure, reported; correlations in [-1, 1] (pearson is divided by 100 to compare)
    """
    scale = recomputed["measure"].map({"pearson": 100}).fillna(1)
    mine = recomputed.assign(recomputed=recomputed["value"] / scale)[["target", "method", "measure", "recomputed"]]
    both = reported.merge(mine, how="left", on=["target", "method", "measure"])
    both["difference"] = both["recomputed"] - both["reported"]
    both["flagged"] = both["difference"].abs() > FLAG + 1e-9
    both.insert(0, "source", source)
    return both[["source", "target", "method", "measure", "reported", "recomputed", "difference", "flagged"]]


def tllib_reported(table: pd.DataFrame) -> pd.DataFrame:
    """TLLib's page as target, method, measure, reported."""
    names = {"Pearson Corr": "pearson", "Weighted Tau": "weighted_kendall"}
    long = table.melt([TARGET, "Measure"], var_name="method", value_name="reported")
    return pd.DataFrame(
        {
            "target": long[TARGET].map(NAMES),
            "method": long["method"],
            "measure": long["Measure"].map(names),
            "reported": long["reported"],
        }
    )


def spider_reported() -> pd.DataFrame:
    rows = [("mean", method, "weighted_kendall", value) for method, value in SPIDER_REPORTED.items()]
    return pd.DataFrame(rows, columns=["target", "method", "measure", "reported"])


def intervals(
    bank: Bank, methods: Mapping[str, np.ndarray], number: int = RESAMPLES
) -> dict[tuple[str, str], tuple[float, float]]:
    """(method, measure) -> (low, high) of the mean over targets; models and targets resampled."""
    counts = resampling.resamples(len(bank.models), len(bank.targets), 1, number)
    scores, names = np.stack(list(methods.values()))[:, None], list(methods)
    found = resampling.distributions(scores, bank.truth, counts, ("pearson", "kendall"), keep=("all",))
    return {(names[k], name): resampling.interval(means["all"])[:2] for k, name, _, means in found}


def _measured(scores: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """name -> (k, t) for scores (k, t, m): correlations are undefined for a constant score, regret is not."""
    agreed = measures.measures(scores, truth)
    return {**agreed, "regret1": resampling.estimates(scores[:, None], truth, ("regret1",))["regret1"][:, 0]}


def _random(bank: Bank) -> dict[str, np.ndarray]:
    """The mean over all orders, as in every report: no correlation, and the regret of any pick."""
    regret = _measured(np.zeros((1, *bank.truth.shape)), bank.truth)["regret1"][0]
    return {**dict.fromkeys(measures.MEASURES, measures.of_random_orders(bank.truth)), "regret1": regret}
