"""Short looks at fine-tuning the first candidates (`methods.look`), where they are asked for, and what they change.

How much they add, and why they are not made unless asked for: results/recommendation.md.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.errors import ConfigError
from benchmark.ranking.prediction import Joint
from benchmark.ranking.reasons import ordinal
from benchmark.ranking.transfers import RESULTS, TABLES, WHERE_NEEDED
from benchmark.ranking.weighted_sum import CLIP
from benchmark.stats import measures
from benchmark.tables import columns
from benchmark.wording import seconds_of

LOOK = "look"
"""The column of looks: minus a loss, higher is better; missing where there was none."""
BEFORE = 2.0
"""What is known without looks counts so many times as much: fixed, since too few looks are known to learn from."""
FEWEST = 2
"""Looks that can be compared."""
IMAGES = 40 * 32
"""Images that a look trains on (conf/method/look.yaml); fewer where the data are few."""
PASSES = 3.0
"""Seconds of a training step, as multiples of a forward pass over its images."""
STARTING = 2.0
"""Seconds of a look beside its steps: weights and images are read, and a probe set is passed through."""
RATE = 0.005
"""Peak rate for a model that nobody fine-tuned: what fits most released networks (conf/recipe/public.yaml)."""
CLOSEST = 1e-3
"""Least spread of what is predicted: of candidates that seem equal, the look decides."""


def affordable(table: pd.DataFrame, seconds: float, workers: int = 1) -> int:
    """How many of the first candidates can be looked at in that time, by their images_per_second; 0: fewer than two.

    A look is one worker's: where a single one takes longer, those before it are all that fit.
    """
    each = STARTING + IMAGES * PASSES / table["images_per_second"].to_numpy(float)
    fits = (np.cumsum(each) <= seconds * max(1, workers)) & (np.maximum.accumulate(each) <= seconds)
    fitting = int(fits.sum())
    return fitting if fitting >= FEWEST else 0


def moved(joint: Joint, look: np.ndarray | None) -> Joint:
    """The prediction with the candidates that were looked at in the order of BEFORE · what was known + their looks.

    look  (n,) of the joint's candidates, NaN where there was none; of fewer than FEWEST nothing follows
    Both count in deviations over those looked at, the look clipped; mean and spread of what is predicted of them, and
    how sure it is, stay as they were.
    """
    seen = np.zeros(len(joint.mean), bool) if look is None else np.isfinite(look)
    if seen.sum() < FEWEST or look is None:
        return joint
    before = joint.mean[seen]
    z = BEFORE * np.nan_to_num(measures.standardise(before))
    z = z + np.clip(np.nan_to_num(measures.standardise(look[seen])), -CLIP, CLIP)
    mean = joint.mean.copy()
    mean[seen] = before.mean() + max(before.std(), CLOSEST) * np.nan_to_num(measures.standardise(z))
    return replace(joint, mean=mean)


def usual_rates(folder: Path = RESULTS) -> dict[str, float]:
    """{model: the middle one of the rates that were chosen for it on the known targets}, of the committed tables."""
    paths = [folder / name / "seeds.parquet" for name, _ in (TABLES | WHERE_NEEDED).values()]
    tables = [columns.read(path) for path in paths if path.is_file()]
    known = [table[["Model", "Rate"]].dropna() for table in tables if "Rate" in table]
    if not known:
        return {}
    each = pd.concat(known).groupby("Model")["Rate"]
    return {str(name): float(np.sort(rates)[(len(rates) - 1) // 2]) for name, rates in each}


def wanted(looks: str | int | None, table: pd.DataFrame, workers: int = 1) -> list[str]:
    """The candidates to look at, of a table best first: so many of the first, or as many as fit in a time (`60s`).

    Raises ConfigError for what is neither.
    """
    if looks is None:
        return []
    if re.fullmatch(r"\d+", str(looks).strip()):
        number = int(looks)
        if number < FEWEST:
            raise ConfigError(
                f"looks must be {FEWEST} candidates or more, or a time. Got {looks}. Leave it out for none."
            )
    else:
        number = affordable(table, seconds_of(looks, "looks"), workers)
    return [str(name) for name in table["model"].head(number)]


def in_words(look: np.ndarray, number: int) -> str:
    """`look 2nd of 5`, for candidate `number`; nothing where it was not looked at."""
    if not math.isfinite(look[number]):
        return ""
    return f"; look {ordinal(1 + int((look > look[number]).sum()))} of {int(np.isfinite(look).sum())}"
