"""What it costs to choose by a score: target by target, and two scores against each other over targets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmark.ranking.weighted_sum import CELL
from benchmark.stats import measures, resampling


def judged(table: pd.DataFrame, scores: Mapping[str, pd.Series], best: pd.Series) -> pd.DataFrame:
    """CELL, method, regret in points and τ_w: of each target, choosing among the rows of a table.

    best  of each row's target: the accuracy that the regret is counted from
    A model without a score is never chosen before one with a score; equal ones share.
    """
    rows = []
    for (name, target), here in table.groupby(CELL, sort=True).groups.items():
        oracle = table.loc[here, "oracle"].to_numpy()
        for method, values in scores.items():
            value = np.nan_to_num(values[here].to_numpy(float), nan=-np.inf)
            regret = best[here].iloc[0] - oracle[value == value.max()].mean()
            tau = float(np.nan_to_num(measures.weighted_kendall(values[here].to_numpy(float), oracle)))
            rows.append({"table": name, "target": target, "method": method, "regret": regret, "tau": tau})
    return pd.DataFrame(rows)


def between(judgements: pd.DataFrame, column: str, method: str, other: str) -> tuple[float, float, float]:
    """Mean difference of two methods over targets and tables, with a 95 % interval over resampled targets."""
    wide = judgements.pivot(index=CELL, columns="method", values=column)
    difference = (wide[method] - wide[other]).to_numpy()
    target = pd.factorize(wide.index.get_level_values("target"))[0]
    count = target.max() + 1
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=resampling.RESAMPLES)
    weight = drawn[:, target]
    low, high, _ = resampling.interval(weight @ difference / weight.sum(1))
    return float(difference.mean()), low, high
