"""The columns of every table: the paper's, what is known of models, which are methods, and what must hold in them.

Tables have the paper's columns: scores `Run, Architecture, Source Dataset, Target Dataset, <method>…`, accuracies
`Architecture, Source Dataset, Target Dataset, Oracle` in percent. A model is an Architecture × Source Dataset, or
the `Model` column where both tables have one. Further known columns (ATTRIBUTES) are never methods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.files import put
from benchmark.tables import reading

MODEL = ["Architecture", "Source Dataset"]
TARGET = "Target Dataset"
FAMILY = "Target Family"
"""Of an accuracy table: what a target is akin to, so that no method learns from the one on the other."""

ATTRIBUTES = (
    *("Run", "Seed", "Seeds", "Model", "Architecture", "Source Dataset", "Target Dataset", "Oracle"),
    *("Layers", "Parameters", "Family", "Lineage", "Licence", "Status", "Images", "Source Size", "Target Size"),
    *("Source Accuracy", "Probe Size", "Input Size", "Feature Dim", FAMILY),
)
NAMES = ("Model", *MODEL, TARGET)

FACTS = ("Layers", "Parameters", "Source Size", "Target Size", "Source Accuracy")
"""Columns that must be finite numbers where they are not empty."""
RANDOM = "random"
PAPER_LAYERS = {"resnet50": 50, "resnet18": 18, "googlenet": 22, "alexnet": 8, "resnet101": 101}
PAPER_LONGEST = 50  # ℓ is divided by this, also for ResNet-101

PAPER_IMAGES = {  # the release's `dataset_images`, test sets for most
    "nabird": 24633,
    "oxford_pets": 3669,
    "cub200": 5794,
    "caltech101": 2630,
    "stanford_dogs": 8580,
    "voc2007": 2501,
    "cifar10": 50000,
    "imagenet": 150000,
}

PAPER_CLASSES = {  # the release's: of PASCAL VOC the background is one
    "nabird": 555,
    "oxford_pets": 37,
    "cub200": 200,
    "caltech101": 101,
    "stanford_dogs": 120,
    "voc2007": 21,
    "cifar10": 10,
}

PAPER_EXCLUDED = tuple(f"{name}_imagenet" for name in ("swav", "deepclusterv2", "npid", "moco", "simclr"))
"""Sources that the release drops from its `all` table without saying so."""


def at_random(methods: Sequence[str]) -> np.ndarray:
    """Positions of the columns that are the yardstick `random` (in a sweep there may be several)."""
    return np.array([k for k, name in enumerate(methods) if str(name).split(" @ ")[0] == RANDOM], int)


def method_columns(scores: pd.DataFrame) -> list[str]:
    """The columns of a score table that hold methods; raises ValueError where there are none or one is text."""
    refuse_missing(scores, [*MODEL, TARGET], "scores")
    refuse_malformed(scores, "scores")
    methods = [name for name in scores.columns if name not in ATTRIBUTES and not str(name).startswith("Unnamed:")]
    if not methods:
        raise ValueError(f"scores must have a column per method beside {', '.join(['Run', *MODEL, TARGET])}. Got none.")
    for name in methods:
        if not pd.api.types.is_numeric_dtype(scores[name]) and scores[name].notna().any():
            raise ValueError(
                f"scores column '{name}' must hold numbers. Got {_first_text(scores[name])!r} among its values. "
                f"Leave the cell empty where there is no score."
            )
    return methods


def model_columns(scores: pd.DataFrame, oracle: pd.DataFrame) -> list[str]:
    """What names a model: `Model` where both tables have it, Architecture and Source Dataset otherwise."""
    return ["Model"] if "Model" in scores and "Model" in oracle else list(MODEL)


def model_names(table: pd.DataFrame, by: Sequence[str]) -> pd.Series:
    """What models are called in `Aligned`: their `Model`, or Architecture/Source Dataset."""
    if list(by) == ["Model"]:
        return table["Model"]
    return table[MODEL[0]].astype(str) + "/" + table[MODEL[1]].astype(str)


def read(path: Path) -> pd.DataFrame:
    """A CSV or Parquet table; what names a model or a target is text in it."""
    return reading.table(path, text=(*NAMES, *(old for old, new in SPELT.items() if new in NAMES)))


SPELT = {"model": "Model", "target": TARGET, "Target": TARGET, "target_dataset": TARGET, "oracle": "Oracle"}
"""Other spellings of the columns without which no table goes."""


def named(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns that name a model filled in, as far as `Model`, or the paper's two, allow.

    Without Architecture each model is one of its own, and its Source Dataset is "unknown". Other spellings (SPELT) of
    a column that is not there become its name.
    """
    table = table.rename(columns={old: new for old, new in SPELT.items() if old in table and new not in table})
    if "Model" not in table:
        return table
    filled = {MODEL[0]: table["Model"], MODEL[1]: "unknown"}
    return table.assign(**{name: value for name, value in filled.items() if name not in table})


def refuse_missing(table: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    lacking = [column for column in columns if column not in table]
    if lacking:
        raise ValueError(
            f"{name} must have the columns {', '.join(columns)}. Got {', '.join(map(str, table.columns[:8]))}: "
            f"{', '.join(lacking)} missing."
        )


def _first_text(column: pd.Series) -> object:
    """The first value of a column that is no number, for an error."""
    known = column.dropna()
    return next((value for value in known if not _is_number(value)), known.iloc[0])


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def refuse_malformed(table: pd.DataFrame, name: str) -> None:
    """ValueError for empty names, for facts and accuracies that are no finite numbers, or not in percent."""
    for column in (c for c in (*NAMES, "Run", "Seed") if c in table):
        empty = table[column].isna().to_numpy()
        if empty.any():
            raise ValueError(
                f"{name} column '{column}' must be filled in every row. Got nothing in {empty.sum()} of {len(table)}, "
                f"first in row {int(empty.argmax()) + 1}."
            )
    for column in (c for c in ("Run", "Seed") if c in table):
        if not (pd.api.types.is_numeric_dtype(table[column]) or table[column].map(type).eq(str).all()):
            raise ValueError(f"{name} column '{column}' must hold numbers. Got {table[column].iloc[0]!r}.")
    for column in (c for c in (*FACTS, "Oracle") if c in table):
        if not pd.api.types.is_numeric_dtype(table[column]) and table[column].notna().any():
            kind = "accuracies in percent" if column == "Oracle" else "numbers"
            raise ValueError(
                f"{name} column '{column}' must hold {kind}. Got text, {_first_text(table[column])!r} among it. "
                "Leave the cell empty where nothing is known."
            )
        if np.isinf(table[column].to_numpy(float, na_value=np.nan)).any():
            raise ValueError(f"{name} column '{column}' must be finite. Got infinity. Leave such a cell empty.")
    if "Oracle" in table:
        highest = np.fmax.reduce(table["Oracle"].to_numpy(float, na_value=np.nan))
        if highest > 100:
            raise ValueError(f"{name} column 'Oracle' must be in percent, at most 100. Got {highest:g}.")
        if 0 < highest <= 1:
            raise ValueError(
                f"{name} column 'Oracle' must be in percent. Got {highest:g} at most, as if in shares. Multiply by 100."
            )


def refuse_doubles(table: pd.DataFrame, by: Sequence[str], name: str) -> None:
    doubled = table.duplicated(list(by))
    if doubled.any():
        first = table.loc[doubled, list(by)].iloc[0]
        raise ValueError(
            f"{name} must have one row per {', '.join(by)}. Got {doubled.sum()} repeated, first "
            f"{', '.join(map(str, first))}. {'Average them first.' if name == 'scores' else 'Add a Seed column.'}"
        )


def save(table: pd.DataFrame, path: Path) -> None:
    """A table as CSV with twelve digits: fewer than processors differ in; missing values are empty."""
    put(path, as_csv(table))


def as_csv(table: pd.DataFrame) -> str:
    """The text that `save` writes."""
    return table.round(12).to_csv(index=False, lineterminator="\n", float_format="%.12g")


KEYS = ["Model", "Architecture", "Source Dataset", "Target Dataset"]


def index_of(table: pd.DataFrame, by: Sequence[str]) -> pd.Index:
    """The rows' values in some columns, to be looked up by."""
    return pd.MultiIndex.from_frame(table[list(by)]) if len(by) > 1 else pd.Index(table[by[0]])
