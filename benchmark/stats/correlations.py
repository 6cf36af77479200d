"""How well scores predict accuracies: a correlation a target, its mean, what was left out.

Rules. Rows with Oracle ≤ 0 or missing, self-transfers and excluded sources are dropped, score rows are joined to
what is left. A missing score leaves that model out of that correlation, and is counted; it is never zero. A
correlation is undefined for fewer than three models or a constant side; a mean over targets or draws is over those
where it is defined, and `coverage` says how many were not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.files import put, together
from benchmark.stats import measures
from benchmark.stats.alignment import Aligned, align
from benchmark.tables.columns import TARGET, at_random, save

CAPACITIES = ("none", "pooled", "per_target")
MEASURES = (*measures.MEASURES, "pearson_specific", "kendall_specific")

MODES = {  # the paper's Table 2: what varies inside a correlation, and the columns that are held fixed
    "source & arch": [TARGET],
    "architecture": [TARGET, "Source Dataset"],
    "source dataset": [TARGET, "Architecture"],
    "target dataset": ["Source Dataset", "Architecture"],
}


@dataclass(frozen=True)
class Correlations:
    """table (method, target, measure, capacity, mean, sd), coverage, notes, and the values per draw and target."""

    table: pd.DataFrame
    coverage: pd.DataFrame
    notes: tuple[str, ...]
    aligned: Aligned
    values: dict[tuple[str, str], np.ndarray]  # (capacity, measure) -> (k, r, t)

    def mean(self, method: str, measure: str = "pearson", capacity: str = "none", target: str = "mean") -> float:
        """One number of the table; NaN where there is none."""
        return self._lookup(method, measure, capacity, target)[0]

    def sd(self, method: str, measure: str = "pearson", capacity: str = "none", target: str = "mean") -> float:
        """The standard deviation over draws (ddof 0) beside it."""
        return self._lookup(method, measure, capacity, target)[1]

    def _lookup(self, method: str, measure: str, capacity: str, target: str) -> tuple[float, float]:
        if (capacity, measure) not in self.values:
            return float("nan"), float("nan")
        per_draw = self.values[capacity, measure][self.aligned.methods.index(method)]
        column = measures.nanmean(per_draw, -1) if target == "mean" else per_draw[:, self.aligned.targets.index(target)]
        mean, sd = measures.over_draws(column)
        return float(mean), float(sd)


def correlate(
    scores: pd.DataFrame, oracle: pd.DataFrame, exclude_sources: Iterable[str] = (), capacity: bool = True
) -> Correlations:
    """Correlations of every score column with the accuracies, per target and as their mean over targets.

    measures  Pearson ×100, Kendall's τ_b, weighted τ (scipy's), Spearman; `*_specific`: after each model's mean
              over the other targets is taken out of truth and score (stats.specific)
    capacity  none; pooled: (score - mean)/sd over *all* rows of the score table before any filter (the
              release); per_target: within each target and run, over its rows before any filter (Eq. 6);
              both ddof 1, plus layers/50
    mean, sd  over draws (Run), ddof 0; for target `mean` of each draw's mean over targets
    """
    aligned = align(scores, oracle, exclude_sources, capacity)
    values = {}
    for name, score in aligned.scores.items():
        for measure, value in measures.measures(score, aligned.truth).items():
            values[name, measure] = value
        x, y = measures.specific(score, aligned.truth)
        for measure in ("pearson", "kendall"):
            value = getattr(measures, measure)(x, y)
            plain = values.get(("none", f"{measure}_specific"), value)  # ℓ adds nothing about a target
            values[name, f"{measure}_specific"] = np.where(np.isnan(plain), np.nan, value)
    chance = at_random(aligned.methods)
    for measure in measures.MEASURES:
        values["none", measure][chance] = measures.of_random_orders(aligned.truth)
    coverage = _coverage(aligned, values["none", "pearson"])
    return Correlations(_long(aligned, values), coverage, (*aligned.notes, *_gaps(coverage)), aligned, values)


def evaluation_modes(
    scores: pd.DataFrame, oracle: pd.DataFrame, exclude_sources: Iterable[str] = (), measure: str = "pearson"
) -> pd.DataFrame:
    """The paper's Table 2: method, mode, groups, undefined, mean, sd of the correlation when only some factors vary.

    In each mode the correlation is computed inside every group that shares the columns MODES holds fixed, then
    averaged over groups and over draws. Groups with fewer than three rows or a constant side are undefined.
    """
    aligned = align(scores, oracle, exclude_sources, capacity=False)
    rows, records = aligned.rows, []
    run = pd.factorize(rows["Run"], sort=True)[0]
    for mode, fixed in MODES.items():
        group = rows.groupby(fixed, sort=False).ngroup().to_numpy()
        member = rows.groupby(["Run", *fixed], sort=False).cumcount().to_numpy()
        shape = (len(aligned.methods), len(aligned.runs), group.max() + 1, member.max() + 1)
        x, y = np.full(shape, np.nan), np.full(shape[1:], np.nan)
        x[:, run, group, member] = rows[list(aligned.methods)].to_numpy(float).T
        y[run, group, member] = rows["Oracle"]
        values = getattr(measures, measure)(x, y)
        values[at_random(aligned.methods)] = measures.of_random_orders(y)
        mean, sd = measures.over_draws(np.moveaxis(measures.nanmean(values, -1), 1, 0))
        undefined = np.isnan(values).sum((-1, -2))
        records += [
            (method, mode, shape[2], int(undefined[k]), mean[k], sd[k]) for k, method in enumerate(aligned.methods)
        ]
    return pd.DataFrame(records, columns=["method", "mode", "groups", "undefined", "mean", "sd"])


def _coverage(aligned: Aligned, pearson: np.ndarray) -> pd.DataFrame:
    """Per method and target: draws, models with an accuracy, finite scores over all draws, undefined draws."""
    models = np.isfinite(aligned.truth).sum(-1)
    finite = (np.isfinite(aligned.scores["none"]) & np.isfinite(aligned.truth)).sum((1, 3))
    index = pd.MultiIndex.from_product([aligned.methods, aligned.targets], names=["method", "target"])
    return pd.DataFrame(
        {
            "draws": len(aligned.runs),
            "models": np.tile(models, len(aligned.methods)),
            "missing": (models * len(aligned.runs) - finite).ravel(),
            "undefined": np.isnan(pearson).sum(1).ravel(),
        },
        index=index,
    ).reset_index()


def _gaps(coverage: pd.DataFrame) -> list[str]:
    """A sentence for each method with missing scores or undefined correlations."""
    sums = coverage.assign(cells=coverage["models"] * coverage["draws"]).groupby("method", sort=False)
    notes = []
    for method, row in sums[["cells", "missing", "undefined", "draws"]].sum().iterrows():
        if row["missing"]:
            notes.append(f"{method}: {row['missing']} of {row['cells']} scores are missing; those models are left out.")
        if row["undefined"]:
            notes.append(
                f"{method}: {row['undefined']} of {row['draws']} correlations (target × draw) are undefined: constant "
                f"or fewer than {measures.FEWEST} scores; means are over the others."
            )
    return notes


def _long(aligned: Aligned, values: dict[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """The long table: method, target (and `mean`), measure, capacity, mean, sd."""
    capacities = [c for c in CAPACITIES if c in aligned.scores]
    stack = np.stack([np.stack([values[c, m] for c in capacities], -1) for m in MEASURES], -2)  # (k, r, t, measure, c)
    stack = np.concatenate([stack, measures.nanmean(stack, 2)[:, :, None]], 2)
    mean, sd = measures.over_draws(np.moveaxis(stack, 1, 0))
    index = pd.MultiIndex.from_product(
        [aligned.methods, [*aligned.targets, "mean"], MEASURES, capacities],
        names=["method", "target", "measure", "capacity"],
    )
    return pd.DataFrame({"mean": mean.ravel(), "sd": sd.ravel()}, index=index).reset_index()


def write(found: Correlations, modes: pd.DataFrame, out: Path) -> None:
    """Put correlations.csv, coverage.csv, modes.csv and notes.txt into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    with together():
        for name, table in (("correlations", found.table), ("coverage", found.coverage), ("modes", modes)):
            save(table, out / f"{name}.csv")
        put(out / "notes.txt", "".join(f"{note}\n" for note in found.notes))
