"""How well scores predict accuracies: tables in, correlations out.

Tables have the paper's columns: scores `Run, Architecture, Source Dataset, Target Dataset, <method>…`, accuracies
`Architecture, Source Dataset, Target Dataset, Oracle` in percent. A model is an Architecture × Source Dataset, or
the `Model` column where both tables have one. Further known columns (ATTRIBUTES) are never methods.

Rules. Rows with Oracle ≤ 0 or missing, self-transfers and excluded sources are dropped, score rows are joined to
what is left. A missing score leaves that model out of that correlation, and is counted; it is never zero. A
correlation is undefined for fewer than three models or a constant side; a mean over targets or draws is over those
where it is defined, and `coverage` says how many were not.

`random` is the name of a yardstick, whatever values its column holds: the mean over all random orders of the models,
which every correlation has exactly (0) and every regret (a pick among all). One order alone is an accident.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import reading, stats
from benchmark.files import put, together

MODEL = ["Architecture", "Source Dataset"]
TARGET = "Target Dataset"
ATTRIBUTES = (
    *("Run", "Seed", "Seeds", "Model", "Architecture", "Source Dataset", "Target Dataset", "Oracle"),
    *("Layers", "Parameters", "Family", "Lineage", "Licence", "Status", "Images", "Source Size", "Target Size"),
    *("Source Accuracy", "Probe Size", "Input Size", "Feature Dim"),
)
NAMES = ("Model", *MODEL, TARGET)
FACTS = ("Layers", "Parameters", "Source Size", "Target Size", "Source Accuracy")
"""Columns that must be finite numbers where they are not empty."""
RANDOM = "random"
CAPACITIES = ("none", "pooled", "per_target")
MEASURES = (*stats.MEASURES, "pearson_specific", "kendall_specific")
MODES = {  # the paper's Table 2: what varies inside a correlation, and the columns that are held fixed
    "source & arch": [TARGET],
    "architecture": [TARGET, "Source Dataset"],
    "source dataset": [TARGET, "Architecture"],
    "target dataset": ["Source Dataset", "Architecture"],
}

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


@dataclass(frozen=True)
class Aligned:
    """Scores and accuracies of one table on common axes: k methods, r draws, t targets, m models."""

    methods: tuple[str, ...]
    runs: tuple[int, ...]
    targets: tuple[str, ...]
    models: tuple[str, ...]
    scores: dict[str, np.ndarray]  # per capacity (k, r, t, m)
    truth: np.ndarray  # (t, m), NaN where there is no score row
    rows: pd.DataFrame  # the joined rows, with Oracle
    notes: tuple[str, ...]


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
        column = stats.nanmean(per_draw, -1) if target == "mean" else per_draw[:, self.aligned.targets.index(target)]
        mean, sd = stats.over_draws(column)
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
        for measure, value in stats.measures(score, aligned.truth).items():
            values[name, measure] = value
        x, y = stats.specific(score, aligned.truth)
        for measure in ("pearson", "kendall"):
            value = getattr(stats, measure)(x, y)
            plain = values.get(("none", f"{measure}_specific"), value)  # ℓ adds nothing about a target
            values[name, f"{measure}_specific"] = np.where(np.isnan(plain), np.nan, value)
    chance = at_random(aligned.methods)
    for measure in stats.MEASURES:
        values["none", measure][chance] = stats.of_random_orders(aligned.truth)
    coverage = _coverage(aligned, values["none", "pearson"])
    return Correlations(_long(aligned, values), coverage, (*aligned.notes, *_gaps(coverage)), aligned, values)


def align(
    scores: pd.DataFrame, oracle: pd.DataFrame, exclude_sources: Iterable[str] = (), capacity: bool = True
) -> Aligned:
    """Join a score table to an accuracy table and put both on common axes, with the capacity terms added."""
    scores, notes = scores.reset_index(drop=True), []
    methods = method_columns(scores)
    scores = scores.assign(**dict.fromkeys(np.array(methods)[at_random(methods)], 0.0))  # all tied: any order
    by = model_columns(scores, oracle)
    truth = usable(oracle, exclude_sources, notes, by)
    if "Run" not in scores:
        scores = scores.assign(Run=0)
    _refuse_doubles(scores, ["Run", *by, TARGET], "scores")
    joined = scores[["Run", *by, TARGET]].merge(
        truth[[*by, TARGET, "Oracle"]], how="left", on=[*by, TARGET], validate="many_to_one"
    )
    kept = joined["Oracle"].notna().to_numpy()
    if "mean" in set(joined.loc[kept, TARGET]):
        raise ValueError("a target must not be called 'mean', which stands for the mean over targets. Rename it.")
    if not kept.any():
        raise ValueError(
            f"scores must share models and targets with oracle. Got no row in common (joined by {', '.join(by)}, "
            f"{TARGET}). Compare the spelling of the two tables."
        )
    notes += _join_notes(scores, truth, kept, by)
    values = scores[list(methods)].to_numpy(float, copy=True, na_value=np.nan)  # of one column it would be a view
    values[~np.isfinite(values)] = np.nan
    stacks = {"none": values}
    layers = _layers(scores, oracle, notes) if capacity else None
    if layers is not None:
        stacks["pooled"] = _z(pd.DataFrame(values)).to_numpy() + layers[:, None] / PAPER_LONGEST
        groups = [scores["Run"].to_numpy(), scores[TARGET].to_numpy()]
        stacks["per_target"] = _z(pd.DataFrame(values), groups).to_numpy() + layers[:, None] / PAPER_LONGEST

    joined = joined[kept]
    run, runs = pd.factorize(joined["Run"], sort=True)
    target, targets = pd.factorize(joined[TARGET])
    model, models = pd.factorize(model_names(joined, by))
    shape = (len(methods), len(runs), len(targets), len(models))
    tensors = {}
    for name, stack in stacks.items():
        tensors[name] = np.full(shape, np.nan)
        tensors[name][:, run, target, model] = stack[kept].T
    accuracy = np.full(shape[2:], np.nan)
    accuracy[target, model] = joined["Oracle"]
    rows = scores[kept].assign(Oracle=joined["Oracle"].to_numpy())
    return Aligned(tuple(methods), tuple(runs), tuple(targets), tuple(models), tensors, accuracy, rows, tuple(notes))


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
        values = getattr(stats, measure)(x, y)
        values[at_random(aligned.methods)] = stats.of_random_orders(y)
        mean, sd = stats.over_draws(np.moveaxis(stats.nanmean(values, -1), 1, 0))
        undefined = np.isnan(values).sum((-1, -2))
        records += [
            (method, mode, shape[2], int(undefined[k]), mean[k], sd[k]) for k, method in enumerate(aligned.methods)
        ]
    return pd.DataFrame(records, columns=["method", "mode", "groups", "undefined", "mean", "sd"])


def static_list(oracle: pd.DataFrame, exclude_sources: Iterable[str] = ()) -> pd.Series:
    """The static list's score for each row of an accuracy table, on that table's index.

    Accuracies are standardised within each target over its models; a model's score on a target is its mean over
    all other targets of the table. Rows that are not usable (Oracle ≤ 0, self-transfer, excluded) get NaN.
    """
    by = model_columns(oracle, oracle)
    rows = usable(oracle, exclude_sources, [], by)
    model, models = pd.factorize(pd.MultiIndex.from_frame(rows[by]))
    target, targets = pd.factorize(rows[TARGET])
    truth = np.full((len(targets), len(models)), np.nan)
    truth[target, model] = rows["Oracle"]
    values = pd.Series(stats.static_list(truth)[target, model], pd.MultiIndex.from_frame(rows[[*by, TARGET]]))
    return pd.Series(values.reindex(pd.MultiIndex.from_frame(oracle[[*by, TARGET]])).to_numpy(), oracle.index)


def yardsticks(oracle: pd.DataFrame, exclude_sources: Iterable[str] = ()) -> pd.DataFrame:
    """Scores that never look at the target's images, as a score table: one row per row of the accuracy table.

    layers       depth: a `Layers` column or the paper's table
    parameters   the `Parameters` column
    heuristic    the paper's Eq. 4, ℓ + ln(|Dˢ| + |Dᵗ|), with `Source Size` and `Target Size` columns or the
                 release's image counts
    static_list  see `static_list`
    A yardstick whose inputs are not all there is left out.
    """
    keys = [name for name in ("Model", *MODEL, TARGET) if name in oracle]
    seedless = oracle.drop_duplicates(keys).reset_index(drop=True) if "Seed" in oracle else oracle
    table = seedless[keys].copy()
    layers = _layers(seedless, seedless, [])
    if layers is not None:
        table["layers"] = layers
    if "Parameters" in seedless and seedless["Parameters"].notna().all():
        table["parameters"] = seedless["Parameters"].astype(float)
    sizes = [
        seedless[f"{which} Size"] if f"{which} Size" in seedless else seedless[f"{which} Dataset"].map(PAPER_IMAGES)
        for which in ("Source", "Target")
    ]
    if layers is not None and all(size.notna().all() for size in sizes):
        table["heuristic"] = layers + np.log(sizes[0].astype(float) + sizes[1].astype(float))
    lists = static_list(oracle, exclude_sources)
    table["static_list"] = lists[~oracle.duplicated(keys)].to_numpy() if "Seed" in oracle else lists.to_numpy()
    return table


def at_random(methods: Sequence[str]) -> np.ndarray:
    """Positions of the columns that are the yardstick `random` (in a sweep there may be several)."""
    return np.array([k for k, name in enumerate(methods) if str(name).split(" @ ")[0] == RANDOM], int)


def method_columns(scores: pd.DataFrame) -> list[str]:
    """The columns of a score table that hold methods; raises ValueError where there are none or one is text."""
    _refuse_missing(scores, [*MODEL, TARGET], "scores")
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


def of_models(aligned: Aligned, column: str) -> list[str]:
    """What a column of the joined rows says about each model of `aligned.models`."""
    rows = aligned.rows.drop_duplicates(model_columns(aligned.rows, aligned.rows))
    values = rows[column].astype(str)
    known = dict(zip(model_names(rows, MODEL), values, strict=True))
    if "Model" in rows:  # the names where the accuracies have that column too
        known |= dict(zip(rows["Model"], values, strict=True))
    return [known[name] for name in aligned.models]


def usable(
    oracle: pd.DataFrame, exclude_sources: Iterable[str], notes: list[str], by: Sequence[str] | None = None
) -> pd.DataFrame:
    """Accuracies that count, seeds averaged: a known Oracle above 0, no self-transfer, no excluded source."""
    _refuse_missing(oracle, [*MODEL, TARGET, "Oracle"], "oracle")
    refuse_malformed(oracle, "oracle")
    by = by or model_columns(oracle, oracle)
    exclude = list(exclude_sources)
    unknown = sorted(set(exclude) - set(oracle["Source Dataset"]))
    if unknown:
        raise ValueError(f"exclude_sources must name sources of the oracle. Got {', '.join(unknown)}.")
    excluded = oracle["Source Dataset"].isin(exclude)
    if exclude:
        notes.append(f"Excluded {excluded.sum()} oracle rows of the sources {', '.join(exclude)}.")
    itself = ~excluded & (oracle["Source Dataset"] == oracle[TARGET])
    if itself.any():
        notes.append(f"Dropped {itself.sum()} oracle rows where source and target are the same (self-transfer).")
    absent = ~excluded & ~itself & ~(oracle["Oracle"] > 0)
    if absent.any():
        notes.append(f"Dropped {absent.sum()} oracle rows with Oracle ≤ 0 or missing.")
    rows = oracle[~(excluded | itself | absent)]
    if rows.empty:
        raise ValueError("oracle must have accuracies above 0 that count. Got none." + "".join(f" {n}" for n in notes))
    if "Seed" not in rows:
        _refuse_doubles(rows, [*by, TARGET], "oracle")
        return rows
    _refuse_doubles(rows, [*by, TARGET, "Seed"], "oracle")
    first = rows.drop_duplicates([*by, TARGET]).set_index([*by, TARGET])
    first["Oracle"] = rows.groupby([*by, TARGET])["Oracle"].mean()
    return first.reset_index()


def read(path: Path) -> pd.DataFrame:
    """A CSV or Parquet table; what names a model or a target is text in it."""
    return reading.table(path, text=NAMES)


def _z(values: pd.DataFrame, groups: list[np.ndarray] | None = None) -> pd.DataFrame:
    """Standardised columns (ddof 1), missing values passed over; a constant column has no z and becomes NaN."""
    if groups is None:
        return (values - values.mean()) / values.std().replace(0, np.nan)
    grouped = values.groupby(groups)
    return (values - grouped.transform("mean")) / grouped.transform("std").replace(0, np.nan)


def _layers(scores: pd.DataFrame, oracle: pd.DataFrame, notes: list[str]) -> np.ndarray | None:
    """Layers on the longest path for each score row, or None and a note that says for which models they lack."""
    for name, table in (("scores", scores), ("oracle", oracle)):
        if "Layers" in table:
            by = ["Model"] if "Model" in table and "Model" in scores else list(MODEL)
            known = table.dropna(subset="Layers").drop_duplicates(by).set_index(by)["Layers"]
            index = pd.MultiIndex.from_frame(scores[by]) if len(by) > 1 else pd.Index(scores[by[0]])
            layers, origin = pd.Series(known.reindex(index).to_numpy(), scores.index), f"the Layers column of {name}"
            break
    else:
        layers, origin = pd.Series(np.nan, scores.index), "the paper's table"
    layers = layers.fillna(scores["Architecture"].map(PAPER_LAYERS)).astype(float)
    if layers.isna().any():
        lacking = scores.loc[layers.isna(), "Architecture"].drop_duplicates().tolist()
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        notes.append(
            f"No capacity rows: layers are not known for {', '.join(map(str, lacking[:5]))}{more}. "
            "Add a Layers column to either table."
        )
        return None
    notes.append(f"Capacity: layers from {origin}.")
    return layers.to_numpy()


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
                f"or fewer than {stats.FEWEST} scores; means are over the others."
            )
    return notes


def _long(aligned: Aligned, values: dict[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """The long table: method, target (and `mean`), measure, capacity, mean, sd."""
    capacities = [c for c in CAPACITIES if c in aligned.scores]
    stack = np.stack([np.stack([values[c, m] for c in capacities], -1) for m in MEASURES], -2)  # (k, r, t, measure, c)
    stack = np.concatenate([stack, stats.nanmean(stack, 2)[:, :, None]], 2)
    mean, sd = stats.over_draws(np.moveaxis(stack, 1, 0))
    index = pd.MultiIndex.from_product(
        [aligned.methods, [*aligned.targets, "mean"], MEASURES, capacities],
        names=["method", "target", "measure", "capacity"],
    )
    return pd.DataFrame({"mean": mean.ravel(), "sd": sd.ravel()}, index=index).reset_index()


def _join_notes(scores: pd.DataFrame, truth: pd.DataFrame, kept: np.ndarray, by: Sequence[str]) -> list[str]:
    notes = [f"Joined {kept.sum()} of {len(kept)} score rows to the oracle by {', '.join(by)}, {TARGET}."]
    targets = set(scores.loc[kept, TARGET])
    elsewhere = sorted(set(truth[TARGET]) - targets)
    if elsewhere:
        notes.append(f"Targets of the oracle without scores, left out: {', '.join(map(str, elsewhere))}.")
    here = truth[truth[TARGET].isin(targets)]
    scored = pd.MultiIndex.from_frame(scores.loc[kept, [*by, TARGET]])
    unscored = (~pd.MultiIndex.from_frame(here[[*by, TARGET]]).isin(scored)).sum()
    if unscored:
        notes.append(f"{unscored} oracle rows of the scored targets have no score row and are left out.")
    return notes


def _refuse_missing(table: pd.DataFrame, columns: Sequence[str], name: str) -> None:
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


def _refuse_doubles(table: pd.DataFrame, by: Sequence[str], name: str) -> None:
    doubled = table.duplicated(list(by))
    if doubled.any():
        first = table.loc[doubled, list(by)].iloc[0]
        raise ValueError(
            f"{name} must have one row per {', '.join(by)}. Got {doubled.sum()} repeated, first "
            f"{', '.join(map(str, first))}. {'Average them first.' if name == 'scores' else 'Add a Seed column.'}"
        )


def write(found: Correlations, modes: pd.DataFrame, out: Path) -> None:
    """Put correlations.csv, coverage.csv, modes.csv and notes.txt into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    with together():
        for name, table in (("correlations", found.table), ("coverage", found.coverage), ("modes", modes)):
            save(table, out / f"{name}.csv")
        put(out / "notes.txt", "".join(f"{note}\n" for note in found.notes))


def save(table: pd.DataFrame, path: Path) -> None:
    """A table as CSV with twelve digits: fewer than processors differ in; missing values are empty."""
    put(path, as_csv(table))


def as_csv(table: pd.DataFrame) -> str:
    """The text that `save` writes."""
    return table.round(12).to_csv(index=False, lineterminator="\n", float_format="%.12g")


def main(argv: list[str] | None = None) -> int:
    """`python -m benchmark.correlate scores=<csv> oracle=<csv> out=<dir>`."""
    from pydantic import Field, field_validator

    from benchmark import cli, report
    from benchmark.config import ConfigError, Spec

    class Settings(Spec):
        scores: Path = Field(description="CSV or Parquet: Run, Architecture, Source Dataset, Target Dataset, methods")
        oracle: Path = Field(
            description="CSV or Parquet: Architecture, Source Dataset, Target Dataset, Oracle in percent"
        )
        out: Path = Field(description="folder for correlations.csv and what explains it")
        exclude_sources: tuple[str, ...] = Field(
            (), description="sources to leave out, or `paper` for the release's five"
        )

        @field_validator("exclude_sources", mode="before")
        @classmethod
        def _several(cls, value: object) -> object:
            if value == "paper":
                return PAPER_EXCLUDED
            return (value,) if isinstance(value, str) else value or ()

    def run(settings: Settings) -> int:
        try:
            scores, oracle = read(settings.scores), read(settings.oracle)
            found = correlate(scores, oracle, settings.exclude_sources)
            modes = evaluation_modes(scores, oracle, settings.exclude_sources)
            shown = report.build(scores, oracle, exclude_sources=settings.exclude_sources)
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from None
        write(found, modes, settings.out)
        report.show(shown, where=f"{settings.out}/correlations.csv, {settings.out}/coverage.csv")
        return 0

    usage = "python -m benchmark.correlate scores=<csv> oracle=<csv> out=<folder>: how well scores predict accuracies"
    return cli.settings(run, Settings, usage, argv)


if __name__ == "__main__":
    sys.exit(main())
