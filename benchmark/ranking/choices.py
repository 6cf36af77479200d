"""What it costs to choose by a score: target by target, and two scores against each other over targets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmark.ranking.weighted_sum import CELL
from benchmark.stats import measures, resampling, weighted

SURE, SEEN = 1.96, 0.84
"""Standard errors: of an interval of 95 %, and beyond it so that four of five repetitions exclude zero."""


def judged(
    table: pd.DataFrame, scores: Mapping[str, pd.Series], best: pd.Series, halves: np.ndarray | None = None
) -> pd.DataFrame:
    """CELL, method, regret, regret3, crossed in points, τ_w, Pearson ×100: of each target, among the rows of a table.

    best    of each row's target: the accuracy that the regret is counted from
    halves  (rows, 2s) accuracies of each row in percent on s splits of its target's test images, half beside half
    regret3 is that of the best of the three with the highest scores; crossed the regret against the best of one half,
    both judged on the other, mean over halves: the best of many by one measurement owes a part of it to chance. NaN
    without halves. A model without a score is never chosen before one with a score; equal ones share.
    """
    rows = []
    for (name, target), here in table.groupby(CELL, sort=True).groups.items():
        oracle = table.loc[here, "oracle"].to_numpy()
        parts = None if halves is None else halves[table.index.get_indexer(here)]
        for method, values in scores.items():
            given = values[here].to_numpy(float)
            value = np.nan_to_num(given, nan=-np.inf)
            chosen, top = value == value.max(), best[here].iloc[0]
            rows.append(
                {
                    "table": name,
                    "target": target,
                    "method": method,
                    "regret": top - oracle[chosen].mean(),
                    "regret3": top - oracle[np.argsort(-value, kind="stable")[:3]].max(),
                    "crossed": np.nan if parts is None else crossed(parts, chosen),
                    "tau": float(np.nan_to_num(measures.weighted_kendall(given, oracle))),
                    "pearson": float(np.nan_to_num(measures.pearson(given, oracle))),
                }
            )
    return pd.DataFrame(rows)


def crossed(halves: np.ndarray, chosen: np.ndarray) -> float:
    """Points that the chosen models (n,) lose on halves (n, 2s) against the one that is best on the other half."""
    swapped = halves.reshape(len(halves), -1, 2)[:, :, ::-1].reshape(halves.shape)
    best = np.take_along_axis(halves, swapped.argmax(0)[None], 0)[0]
    return float((best - halves[chosen].mean(0)).mean())


def between(judgements: pd.DataFrame, column: str, method: str, other: str) -> tuple[float, float, float]:
    """Mean difference of two methods over targets and tables, with a 95 % interval over resampled targets."""
    wide = judgements.pivot(index=CELL, columns="method", values=column)
    difference = (wide[method] - wide[other]).to_numpy()
    weight = _targets_drawn(wide.index, resampling.RESAMPLES)
    low, high, _ = resampling.interval(weight @ difference / weight.sum(1))
    return float(difference.mean()), low, high


def between_models_too(
    table: pd.DataFrame, first: pd.Series, second: pd.Series, number: int = 2000
) -> tuple[float, float, float]:
    """Mean difference in regret@1 of two scores (rows of a table), 95 % over resampled targets and models of a table.

    A model that is drawn for a table is a candidate on all of its targets; the best is that of those drawn.
    """
    cells, found = [], []
    for name, rows in table.groupby("table", sort=True):
        wide = {k: rows.assign(v=v[rows.index]).pivot(index="target", columns="model", values="v")
                for k, v in {"oracle": table["oracle"], "first": first, "second": second}.items()}  # fmt: skip
        oracle = wide["oracle"].to_numpy(float)
        m = oracle.shape[1]
        counts = np.random.default_rng(0).multinomial(m, np.full(m, 1 / m), size=number)
        regret = [
            weighted.under_counts(counts, _ranked(wide[k], oracle), oracle, wanted=("regret1",))["regret1"]
            for k in ("first", "second")
        ]
        found.append(regret[0] - regret[1])
        cells += [(name, target) for target in wide["oracle"].index]
    difference = np.concatenate(found, 1)
    weight = _targets_drawn(pd.MultiIndex.from_tuples(cells, names=CELL), number)
    low, high, _ = resampling.interval((weight * difference).sum(1) / weight.sum(1))
    plain = judged(table, {"first": first, "second": second}, table.groupby(CELL)["oracle"].transform("max"))
    mean = plain.groupby("method")["regret"].mean()
    return float(mean["first"] - mean["second"]), low, high


def targets_needed(differences: np.ndarray, points: float) -> int:
    """How many targets show a mean difference of so many points (95 %, four times in five), at the spread of these."""
    spread = float(np.std(differences, ddof=1))
    return int(np.ceil(((SURE + SEEN) * spread / points) ** 2))


def _ranked(scores: pd.DataFrame, oracle: np.ndarray) -> np.ndarray:
    """Scores with the lowest place of all for a candidate that lacks one, and nothing for what is no candidate."""
    values = scores.to_numpy(float)
    lowest = np.nanmin(values, initial=0.0) - 1.0
    return np.where(np.isfinite(oracle), np.nan_to_num(values, nan=lowest), np.nan)


def _targets_drawn(index: pd.MultiIndex, number: int) -> np.ndarray:
    """(number, cells) how often each cell counts when targets are drawn; a target's tables go together."""
    target = pd.factorize(index.get_level_values("target"))[0]
    count = target.max() + 1
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=number)
    return drawn[:, target]
