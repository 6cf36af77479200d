"""What a published table is: where it comes from, and the ground truth that it holds on common axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Source:
    """A published table: where it comes from, the checksum of the file that was checked, and who reads it."""

    sha256: str
    origin: str
    about: str
    url: str | None = None


@dataclass(frozen=True)
class Bank:
    """One ground truth on common axes: accuracies (t, m) in percent, and scores that never see the target's images."""

    name: str
    targets: tuple[str, ...]
    models: tuple[str, ...]
    truth: np.ndarray
    yardsticks: dict[str, np.ndarray]  # (t, m) each; static_list and random are added by `measure`
    methods: dict[str, np.ndarray]  # published scores (t, m)
    note: str = ""


def bank_of(
    name: str,
    truth: pd.DataFrame,
    scores: Mapping[str, np.ndarray],
    methods: Mapping[str, pd.DataFrame] | None = None,
    note: str = "",
) -> Bank:
    """A ground truth from a table of targets × models in percent.

    scores   yardstick -> a value per model (m,), or per target and model (t, m)
    methods  published score -> targets × models, in the truth's order
    """
    values = truth.to_numpy(float)
    wide = {n: np.where(np.isfinite(values), np.broadcast_to(s, values.shape), np.nan) for n, s in scores.items()}
    given = {n: frame.to_numpy(float) for n, frame in (methods or {}).items()}
    return Bank(name, tuple(map(str, truth.index)), tuple(map(str, truth.columns)), values, wide, given, note)
