"""What a method may learn from on a target: accuracies after fine-tuning on targets that are not akin to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from benchmark.config.functions import Known, MethodSpec
from benchmark.tables.columns import FAMILY, MODEL, TARGET


def of_table(truth: pd.DataFrame, target: str) -> Known:
    """The accuracies that an accuracy table has of targets that are not akin to one, mean over seeds.

    Akin is the target itself, and what has the same entry in the column Target Family, where there is one. Left out
    are models that were trained on the target in question of their row.
    """
    families = truth.groupby(TARGET)[FAMILY].first() if FAMILY in truth else pd.Series(dtype=object)
    akin = {target, *(families.index[families == families[target]] if target in families else ())}
    rows = truth[~truth[TARGET].isin(akin) & (truth["Oracle"] > 0) & (truth[MODEL[1]] != truth[TARGET])]
    found: dict[str, dict[str, float]] = {}
    for (other, model), mean in rows.groupby([TARGET, "Model"], sort=False)["Oracle"].mean().items():
        found.setdefault(str(other), {})[str(model)] = float(mean)
    return found


def refuse_none(methods: Sequence[MethodSpec], truth: pd.DataFrame, targets: Iterable[str]) -> None:
    """ValueError where a method learns from other targets and there are none to any target."""
    learning = [method.name for method in methods if method.learns]
    if learning and not any(of_table(truth, target) for target in targets):
        raise ValueError(
            f"truth must have targets that are not akin, for {', '.join(learning)}, which learns on each from "
            f"the others. Got {', '.join(map(str, truth[TARGET].unique()))}. Add a target, or leave that method out."
        )
