"""What a recommendation says in words: why a candidate stands where it does, and how much the choice matters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.ranking.transfers import Columns

TITLES = {"parc_f32": "PARC", "logme": "LogME", "knn": "kNN", "logistic": "logistic", "hscore_f32": "H-score"}
UNDERSTATED = ("mae", "beit", "beitv2", "simmim", "data2vec", "ijepa", "hiera_mae")  # words of masked-image models


@dataclass(frozen=True)
class Stakes:
    """How much the choice matters: pick -> its model, and the points it is expected to lose against the best.

    Picks: first, second and median of the ranking, and ImageNet's `favourite` where there is one. `best`: the
    probability that the first is the best.
    """

    models: Mapping[str, str]
    regret: Mapping[str, float]
    best: float

    def __str__(self) -> str:
        said = [
            f"{'' if pick.startswith('ImageNet') else 'the '}{pick} ({self.models[pick]}) {self.regret[pick]:.1f}"
            for pick in self.regret
            if pick != "first"
        ]
        return (
            f"{self.models['first']} is the best of these with a probability of {100 * self.best:.0f} % and is "
            f"expected to lose {self.regret['first']:.1f} points against the best; {', '.join(said)}."
        )


def favourite(cell: pd.DataFrame) -> str | None:
    """Of the candidates from ImageNet the one with the highest accuracy there, the largest where none states one."""
    imagenet = cell[cell["source"].astype(str).str.contains("imagenet", case=False)]
    ordered = imagenet.sort_values(["source_accuracy", "parameters", "model"], na_position="first")
    return str(ordered["model"].iloc[-1]) if len(imagenet) else None


def reasons(columns: Columns, cell: pd.DataFrame, listed: np.ndarray) -> list[str]:
    """A few words a candidate: its place by what happened on other targets, and the scores that speak most for it.

    listed  (n,) the list's part of the prediction; equal but for rounding counts as equal
    A score that is the same for all candidates speaks for none of them, and is not named.
    """
    n, elsewhere = len(cell), _places(listed.round(9))
    known = {TITLES.get(m, m): cell[m].to_numpy(float) for m in columns.methods if cell[m].notna().any()}
    scores = {name: _places(values) for name, values in known.items() if _differ(values)}
    words = []
    for i, row in enumerate(cell.itertuples(index=False)):
        if str(row.model) in columns.labels["model"]:
            parts = [f"{ordinal(elsewhere[i])} of {n} on other targets"]
        elif str(row.architecture) in columns.labels["architecture"] or str(row.source) in columns.labels["source"]:
            parts = [f"not tried before; its like {ordinal(elsewhere[i])} of {n} on other targets"]
        else:
            parts = ["not tried before"]
        own = sorted((p[i], name) for name, p in scores.items() if p[i] > 0)
        parts += [f"{name} {ordinal(place)}" for place, name in own[:2]] or [
            "no score tells them apart" if known else "no score"
        ]
        if set(re.split(r"[^a-z0-9]+", f"{row.model} {row.architecture}".lower())) & set(UNDERSTATED):
            parts.append("frozen features understate masked-image models")
        words.append("; ".join(parts))
    return words


def _places(values: np.ndarray) -> np.ndarray:
    """1 for the highest; equal values share a place; 0 where there is none."""
    known = np.isfinite(values)
    return np.where(known, 1 + (values[known][None] > values[:, None]).sum(1), 0)


def _differ(values: np.ndarray) -> bool:
    """Whether the known of several values differ by more than rounding; a single one has nothing to differ from."""
    known = values[np.isfinite(values)]
    return len(known) > 0 and (len(values) == 1 or float(np.ptp(known)) > 1e-9 * max(1.0, float(np.abs(known).max())))


def ordinal(place: int) -> str:
    """1st, 2nd, 11th …"""
    ending = "th" if 10 <= place % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"
