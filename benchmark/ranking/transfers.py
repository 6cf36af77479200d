"""Known transfers as one long table, and how a table of one target's models becomes numbers to learn from.

A row is a model on a target: target, model, oracle (accuracy after fine-tuning, percent), architecture, source, the
FACTS, a column of scores for each estimator, group (of data) and table (which bank and recipe it was measured with).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.places import shipped
from benchmark.stats import alignment, measures
from benchmark.tables import columns
from benchmark.tables.gather import without_vacuous

METHODS = ("parc_f32", "logme", "knn", "logistic", "hscore_f32")
"""The estimators that are learned from (conf/method): robust and cheap, chosen beforehand."""
PROBES = ("ridge",)
"""Heads on frozen features, judged by leave-one-out in the measure of the accuracies: they place a target's level."""
FACTS = ("parameters", "source_accuracy")
EFFECTS = ("model", "architecture", "source")
RESULTS = shipped("results")
TABLES = {"diverse": ("diverse_all", "embedded"), "rank": ("rank", "real"), "small": ("small", "real")}
"""Table -> folder of results/ and group of data: made by programs (embedded) or photographed (real)."""
WHERE_NEEDED = {"public": ("public", "real")}
"""Likewise, of banks that are taken only where a candidate is known from them alone."""

BOUND = 1.5  # of a standardised score
USUAL_WEIGHT = 4.0  # how many models the usual spread of a score is worth where few candidates are compared
LEAST_SPREAD = 0.02  # of a probe's accuracies, as angles


def angle(accuracy: np.ndarray | pd.Series) -> np.ndarray:
    """2·arcsin √(accuracy / 100), accuracy in percent: a scale on which noise of counting is alike everywhere."""
    return 2.0 * np.arcsin(np.sqrt(np.clip(np.asarray(accuracy, float), 0.0, 100.0) / 100.0))


def percent(a: np.ndarray) -> np.ndarray:
    """The accuracy in percent of an angle; what lies beyond is 0 or 100."""
    return 100.0 * np.sin(np.clip(a, 0.0, np.pi) / 2.0) ** 2


def known(folder: Path = RESULTS, candidates: Iterable[str] = ()) -> pd.DataFrame:
    """The committed ground truth and scores of `folder` (results/), as `recommend.fit` takes them.

    candidates  names of models: a table of WHERE_NEEDED is taken, too, where it holds one that no table of TABLES does
    Tables that are not there are passed over; raises ValueError where none is. Scores are means over probe draws,
    accuracies over seeds; self-transfers are left out. A score that says nothing (status.parquet) counts as missing.
    """
    found = list(_held(folder, TABLES))
    if new := set(candidates).difference(*(table["model"] for table in found)):
        found += [table for table in _held(folder, WHERE_NEEDED) if new & set(table["model"])]
    if not found:
        folders = ", ".join(name for name, _ in TABLES.values())
        raise ValueError(f"{folder} must hold truth.parquet and scores.parquet in one of {folders}. Got none.")
    return pd.concat(found, ignore_index=True)


def _held(folder: Path, tables: Mapping[str, tuple[str, str]]) -> Iterator[pd.DataFrame]:
    """Those of some tables that a folder of results has."""
    for table, (name, group) in tables.items():
        truth, scores = (folder / name / f"{kind}.parquet" for kind in ("truth", "scores"))
        if truth.is_file() and scores.is_file():
            status = folder / name / "status.parquet"
            sound = without_vacuous(columns.read(scores), pd.read_parquet(status) if status.is_file() else None)
            yield table_of(columns.read(truth), sound, table, group)


def table_of(truth: pd.DataFrame, scores: pd.DataFrame, table: str = "", group: str = "real") -> pd.DataFrame:
    """A ground truth and a table of scores, both with a column Model (`benchmark.tables`), as known transfers."""
    keys = ["Model", columns.TARGET]
    truth = alignment.usable(truth, (), [])
    mean = scores.groupby(keys)[columns.method_columns(scores)].mean().reset_index()
    names = dict(zip([*keys, *columns.MODEL, "Oracle"], ["model", "target", *EFFECTS[1:], "oracle"], strict=True))
    both = truth[[*names]].merge(mean, how="left", on=keys, validate="one_to_one")
    return both.rename(columns=names).assign(table=table, group=group)


def standings(known: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """(table, target) × models: how they did against each other there, accuracies standardised over these models.

    NaN for a model that a target's row lacks; no row for a target where no two of them differ: nothing was compared.
    """
    names = list(dict.fromkeys(map(str, models)))
    here = known[known["model"].astype(str).isin(names)]
    wide = here.pivot(index=["table", "target"], columns="model", values="oracle").reindex(columns=names).astype(float)
    return pd.DataFrame(measures.standardise(wide.to_numpy()), wide.index, wide.columns).dropna(how="all")


def elsewhere(standing: pd.DataFrame, models: Sequence[str], without: str | None = None) -> np.ndarray:
    """(n,) the static list: each model's mean of `standings`, without one target; NaN for one that is not on it."""
    others = standing[standing.index.get_level_values("target") != without]
    return others.mean().reindex(list(map(str, models))).to_numpy()


def static_list(known: pd.DataFrame) -> pd.Series:
    """What a list that never looks at the target says of each row: mean standardised accuracy on the other targets.

    Those of the same group of data; standardised over the models that are candidates on the target, so that a table
    of stronger rivals says no less of a model. NaN where nothing is known of it.
    """
    found = pd.Series(np.nan, known.index, name="static_list")
    for (_, target), cell in known.groupby(["table", "target"], sort=False):
        group = known[known["group"] == cell["group"].iloc[0]]
        found[cell.index] = elsewhere(standings(group, cell["model"]), cell["model"], target)
    return found


def completed(table: pd.DataFrame, methods: Sequence[str] = METHODS) -> pd.DataFrame:
    """The table with every column that is looked for: a model is its own architecture and source where they lack.

    Scores and facts become finite numbers or NaN. Raises ValueError for no row or no column model.
    """
    if "model" not in table or not len(table):
        raise ValueError(
            f"candidates must be rows with a column model. Got {len(table)} rows with the columns "
            f"{', '.join(map(str, table.columns[:8])) or 'none'}."
        )
    lacking = {"architecture": table["model"], "source": "unknown", "group": "real", "table": ""}
    table = table.assign(**{name: value for name, value in lacking.items() if name not in table})
    numbers = {}
    for name in dict.fromkeys((*FACTS, *methods, *PROBES)):
        values = pd.to_numeric(table[name], errors="coerce") if name in table else pd.Series(np.nan, table.index)
        numbers[name] = values.astype(float).replace([np.inf, -np.inf], np.nan)
    return table.assign(**numbers).reset_index(drop=True)


def checked(table: pd.DataFrame) -> pd.DataFrame:
    """Known transfers, completed, with an accuracy each; raises ValueError for none, one twice, one out of range."""
    lacking = [c for c in ("target", "oracle") if c not in table]
    if lacking:
        raise ValueError(f"known must have the columns target, model, oracle. Got no {' and no '.join(lacking)}.")
    table = table[table["oracle"].notna()]
    if not len(table):
        raise ValueError("known must hold at least one accuracy. Got none.")
    off = table.loc[(table["oracle"] < 0) | (table["oracle"] > 100), "oracle"]
    if len(off):
        raise ValueError(f"oracle must be an accuracy from 0 to 100 percent. Got {off.iloc[0]:g}.")
    doubled = table.duplicated(["table", "target", "model"])
    if doubled.any():
        row = table[doubled].iloc[0]
        raise ValueError(
            f"known must have one row per table, target and model. Got {row['model']} on {row['target']} twice. "
            "Average the seeds first."
        )
    return table.reset_index(drop=True)


@dataclass(frozen=True)
class Design:
    """One target's n models as numbers.

    X        (n, q) scores, facts and effects, centred over the models
    unknown  per effect (n, n), centred: which two models share a label that no known transfer has
    place    what level and spread of the accuracies are predicted from: 1, the probes, the group of data
    strange  (n,) whether neither the model nor its architecture is in a known transfer
    heads    (n,) angles that the best head on frozen features reaches; NaN where there is none
    """

    X: np.ndarray
    unknown: tuple[np.ndarray, ...]
    place: Mapping[str, np.ndarray]
    strange: np.ndarray
    heads: np.ndarray


@dataclass(frozen=True)
class Columns:
    """How a table becomes numbers: its methods, the labels that are known, and how far scores usually spread."""

    methods: tuple[str, ...]
    labels: Mapping[str, pd.Index]  # per effect
    groups: pd.Index
    spreads: Mapping[str, float]  # of scores and facts within a target
    places: Mapping[str, tuple[float, float]]  # per probe: usual mean and usual log spread of its angles

    @classmethod
    def of(cls, table: pd.DataFrame, methods: tuple[str, ...]) -> Columns:
        """From known transfers; no accuracy after fine-tuning enters."""
        cells = [cell for _, cell in table.groupby(["table", "target"], sort=True)]
        spreads, places = {}, {}
        for name in (*methods, *FACTS):
            values = [_fact(c, name) if name in FACTS else c[name].to_numpy() for c in cells]
            within = [v[np.isfinite(v)].std() for v in values if np.isfinite(v).sum() > 1]
            spreads[name] = float(np.median(within)) if within else 0.0
        placed = [cell for cell in cells if _probed(cell)]
        for probe in PROBES:
            each = [angle(c[probe].dropna()) for c in placed]
            logs = [np.log(max(a.std(), LEAST_SPREAD)) for a in each]
            places[probe] = (float(np.mean([a.mean() for a in each])), float(np.mean(logs))) if each else (0.0, 0.0)
        labels = {e: pd.Index(sorted(set(table[e].astype(str)))) for e in EFFECTS}
        return cls(methods, labels, pd.Index(sorted(set(table["group"]))), spreads, places)

    @cached_property
    def blocks(self) -> np.ndarray:
        """(q,) 0 scores, 1 facts, then one block an effect."""
        sizes = [len(self.methods), len(FACTS), *(len(self.labels[e]) for e in EFFECTS)]
        return np.repeat(np.arange(len(sizes)), sizes)

    @cached_property
    def parts(self) -> dict[str, np.ndarray]:
        """Part of the sum -> its columns: scores, facts, and the list (what model and relatives did elsewhere)."""
        return {"scores": self.blocks == 0, "facts": self.blocks == 1, "list": self.blocks > 1}

    def design(self, cell: pd.DataFrame) -> Design:
        """Of one target's rows; all that fits and predictions need of them."""
        tried = [cell[e].astype(str).isin(self.labels[e]).to_numpy() for e in ("model", "architecture")]
        heads = angle(cell[[*PROBES]].max(axis=1))
        return Design(self._rows(cell), self._unknown(cell), self._place(cell), ~(tried[0] | tried[1]), heads)

    def _rows(self, cell: pd.DataFrame) -> np.ndarray:
        """An unknown label is a row of zeros before centring."""
        raw = cell[[*self.methods]].to_numpy(float)
        scores = completed_scores(raw, [self.spreads[m] for m in self.methods])
        facts = [standardised(_fact(cell, f), self.spreads[f]) for f in FACTS]
        effects = [self.labels[e].get_indexer(cell[e])[:, None] == np.arange(len(self.labels[e])) for e in EFFECTS]
        X = np.column_stack([*scores, *facts, *effects]).astype(float)
        return X - X.mean(0)

    def _unknown(self, cell: pd.DataFrame) -> tuple[np.ndarray, ...]:
        shared = []
        for e in EFFECTS:
            names = cell[e].to_numpy()
            new = ~cell[e].isin(self.labels[e]).to_numpy()
            both = (new[:, None] & (names[:, None] == names)).astype(float)
            both -= both.mean(0)
            shared.append(both - both.mean(1, keepdims=True))
        return tuple(shared)

    def _place(self, cell: pd.DataFrame) -> dict[str, np.ndarray]:
        levels, spreads = [], []
        for probe in PROBES:
            a, (level, spread) = angle(cell[probe].dropna()) if _probed(cell) else np.empty(0), self.places[probe]
            levels.append(a.mean() - level if len(a) else 0.0)
            spreads.append(np.log(max(a.std(), LEAST_SPREAD)) - spread if len(a) > 1 else 0.0)
        group = (self.groups == cell["group"].iloc[0]).astype(float)
        return {"level": np.array([1.0, *levels, *group]), "spread": np.array([1.0, *spreads, *group])}


def standardised(values: np.ndarray, usual: float) -> np.ndarray:
    """Less their mean, over their deviation mixed with the usual one (worth USUAL_WEIGHT models), softly bounded.

    0 where not finite, and everywhere where constant: nothing is known. Bounded, since a method that breaks down on
    one model must not decide.
    """
    values = np.asarray(values, float)
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values))
    centred = np.where(known, values - values[known].mean(), 0.0)
    count = known.sum()
    spread = np.sqrt((count * values[known].var() + USUAL_WEIGHT * usual**2) / (count + USUAL_WEIGHT))
    if spread <= 1e-12 * np.abs(values[known]).max():
        return np.zeros(len(values))
    return BOUND * np.tanh(centred / spread / BOUND)


def completed_scores(raw: np.ndarray, usual: Sequence[float]) -> list[np.ndarray]:
    """Columns of raw (n, k) `standardised`; what a model lacks is the mean of the scores that it has (of none: 0).

    Scores that agree are weighed against each other, so one that is absent must not leave its counterweight alone:
    without H-score, which several labels do not have, LogME alone would speak for the model that it finds worst.
    """
    z = np.column_stack([np.empty((len(raw), 0)), *(standardised(raw[:, i], u) for i, u in enumerate(usual))])
    given = np.isfinite(raw) & z.any(0)
    mean = np.where(given, z, 0.0).sum(1) / np.maximum(given.sum(1), 1)
    return list(np.where(given, z, mean[:, None]).T)


def _probed(cell: pd.DataFrame) -> bool:
    """Whether all probes are there."""
    return all(probe in cell and cell[probe].notna().any() for probe in PROBES)


def _fact(cell: pd.DataFrame, fact: str) -> np.ndarray:
    """Size as a logarithm; accuracy on the source less its mean over the candidates of the same source."""
    values = cell[fact]
    if fact == "parameters":
        return np.log(values.where(values > 0)).to_numpy()
    return (values - values.groupby(cell["source"]).transform("mean")).to_numpy()
