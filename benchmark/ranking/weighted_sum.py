"""A weighted sum of what models did elsewhere, what scores say and what a look at fine-tuning saw: weights learned.

    table = standardised(known, ("list", "scores", "look"))
    weights = learned(table, ("list", "look"))
    table[["list", "look"]].to_numpy() @ weights          # higher is better within a target

A row is a model on a target of a table: table, target, model, oracle (percent), and a column a part. Parts and
accuracies (as angles) count in deviations from their mean within the target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmark.ranking.transfers import angle
from benchmark.stats import measures

CELL = ["table", "target"]
REACHED = "reached"
"""The column of standardised accuracies."""
CLIP = 3.0
"""Deviations beyond which a part says no more: one that breaks down on a model must not decide."""
ROWS_A_UNIT = 36
"""Rows per unit of the ridge: a thirty-sixth of the weight of the data, whatever their number."""
ENOUGH = 6
"""Targets of a table, to learn from that table alone."""


def standardised(known: pd.DataFrame, parts: Sequence[str]) -> pd.DataFrame:
    """The table with each part, and the accuracies as REACHED, in deviations within the target, clipped.

    A part that is missing or the same for all models of a target says 0. Without a column oracle there is no REACHED.
    """
    made = known.copy()
    columns = {part: known[part].to_numpy(float) for part in parts}
    if "oracle" in known:
        columns[REACHED] = angle(known["oracle"])
    groups = known.groupby(CELL, sort=False).indices.values()
    for name, values in columns.items():
        z = np.zeros(len(known))
        for rows in groups:
            z[rows] = np.clip(np.nan_to_num(measures.standardise(values[rows])), -CLIP, CLIP)
        made[name] = z
    return made


def learned(table: pd.DataFrame, parts: Sequence[str]) -> np.ndarray:
    """A weight a part: ridge least squares of REACHED on the parts of a standardised table, λ = rows / ROWS_A_UNIT."""
    X, y = table[[*parts]].to_numpy(), table[REACHED].to_numpy()
    return np.linalg.solve(X.T @ X + len(X) / ROWS_A_UNIT * np.eye(len(parts)), X.T @ y)


def from_others(table: pd.DataFrame, parts: Sequence[str], name: str, held: object, unit: str = "target") -> np.ndarray:
    """`learned` for a target of the table of that name, without the rows whose `unit` is `held`, in any table.

    From the others of the same table where there are ENOUGH targets, else from those of all tables.
    unit  what is left out together: the column target, or one of kinds of targets
    """
    others = table[table[unit] != held]
    own = others[others["table"] == name]
    return learned(own if own["target"].nunique() >= ENOUGH else others, parts)


def left_out(table: pd.DataFrame, parts: Sequence[str], unit: str = "target") -> pd.Series:
    """The sum of each row of a standardised table, its weights learned without all rows of the row's `unit`."""
    found = pd.Series(np.nan, table.index)
    for (name, held), rows in table.groupby(["table", unit], sort=False).groups.items():
        found[rows] = table.loc[rows, [*parts]].to_numpy() @ from_others(table, parts, name, held, unit)
    return found
