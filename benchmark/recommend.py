"""Which model will be best after fine-tuning: estimators' scores and what is known of the models, in one list.

    recommender = fit(known())            # the committed ground truth, or a table of your own
    ranking = recommender.predict(new)    # best first: model, predicted_accuracy, low, high, why, …
    stakes = recommender.stakes(new)      # how much the choice matters

Within a target, a model's accuracy is a sum: its scores there, its facts, and what it, its architecture and its source
did on other targets (the static list, shrunk towards zero where little is known). How much each part is trusted is
learned with the sum (`benchmark.mixed`): on a bank of like models the list carries it, on a diverse one the scores do.
Where the accuracies of a target lie is learned from the probes' cross-validated accuracy.

Accuracies are treated on the scale a = 2·arcsin √(accuracy/100), on which noise of counting is alike everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import correlate, mixed

METHODS = ("parc_f32", "logme", "knn", "logistic", "hscore_f32")
"""The estimators that `known` and `new` should hold (conf/method): robust and cheap, chosen beforehand."""
PROBES = ("knn", "logistic")  # of METHODS, those in percent of right answers: they place the target's level
FACTS = ("parameters", "source_accuracy")
EFFECTS = ("model", "architecture", "source")
LEVEL = 0.8  # of the interval
RESULTS = Path(__file__).resolve().parents[1] / "results"
TABLES = {"diverse": ("diverse", "embedded"), "rank": ("rank", "real"), "small": ("small", "real")}
"""Table -> folder of results/ and group of data: made by programs (embedded) or photographed (real)."""

EXPECTED = {"scores": 0.05, "facts": 0.02, "model": 0.2, "architecture": 0.2, "source": 0.2}  # variances, beforehand
NOISE = 0.4  # of a standardised accuracy within its target
SPREAD, SPREAD_WEIGHT = 0.2, 2.0  # a target's spread of accuracies (in a), and how many models that guess is worth
SCORE_WEIGHT = 4.0  # how many models the usual spread of a score is worth where few candidates are compared
PLACED = {"level": np.array([1.0, 0.2, 0.2]), "spread": np.array([1.0, 0.1, 0.1])}  # variances: constant, probes, group
PLACED_NOISE = {"level": 0.1, "spread": 0.1}
DRAWS = 4000  # of the joint prediction, for expected regrets


def angle(accuracy: np.ndarray) -> np.ndarray:
    """2·arcsin √(accuracy / 100), accuracy in percent."""
    return 2.0 * np.arcsin(np.sqrt(np.clip(np.asarray(accuracy, float), 0.0, 100.0) / 100.0))


def percent(a: np.ndarray) -> np.ndarray:
    """The accuracy in percent of an angle; what lies beyond is 0 or 100."""
    return 100.0 * np.sin(np.clip(a, 0.0, np.pi) / 2.0) ** 2


@dataclass(frozen=True)
class Columns:
    """How a table becomes numbers: which columns, which labels are known, and how far scores usually spread."""

    methods: tuple[str, ...]
    labels: Mapping[str, pd.Index]
    groups: pd.Index
    spreads: Mapping[str, float]  # of scores and facts within a target
    places: Mapping[str, tuple[float, float]]  # of each probe: usual mean, usual log spread (in a)

    @cached_property
    def blocks(self) -> np.ndarray:
        sizes = [len(self.methods), len(FACTS), *(len(self.labels[e]) for e in EFFECTS)]
        return np.repeat(np.arange(len(sizes)), sizes)

    @cached_property
    def parts(self) -> dict[str, np.ndarray]:
        """Part of the sum -> its columns: scores, facts, and the list (what is known of model and relatives)."""
        return {"scores": self.blocks == 0, "facts": self.blocks == 1, "list": self.blocks > 1}

    def rows(self, cell: pd.DataFrame) -> np.ndarray:
        """(n, q) of one target's models, centred over them; an unknown label is a row of zeros before that."""
        scores = [standardised(cell[m], self.spreads[m], SCORE_WEIGHT) for m in self.methods]
        facts = [standardised(_fact(cell, f), self.spreads[f], SCORE_WEIGHT) for f in FACTS]
        effects = [(self.labels[e].get_indexer(cell[e])[:, None] == np.arange(len(self.labels[e]))) for e in EFFECTS]
        X = np.column_stack([*scores, *facts, *effects]).astype(float)
        return X - X.mean(0)

    def unknown(self, cell: pd.DataFrame) -> list[np.ndarray]:
        """Per effect (n, n): which two models share a label that no known transfer has; zero for known labels."""
        shared = []
        for e in EFFECTS:
            new = ~cell[e].isin(self.labels[e]).to_numpy()
            names = cell[e].to_numpy()
            shared.append((new[:, None] & (names[:, None] == names)).astype(float))
        return shared

    def place(self, cell: pd.DataFrame) -> dict[str, np.ndarray]:
        """What level and spread of the target's accuracies are predicted from: 1, the probes, the group of data."""
        levels, spreads = [], []
        for probe in PROBES:
            a = angle(cell[probe]) if probe in cell else np.full(len(cell), np.nan)
            a = a[np.isfinite(a)]
            level, spread = self.places[probe]
            levels.append(a.mean() - level if len(a) else 0.0)
            spreads.append(np.log(max(a.std(), _LEAST)) - spread if len(a) > 1 else 0.0)
        group = (self.groups == cell["group"].iloc[0]).astype(float)
        return {"level": np.array([1.0, *levels, *group]), "spread": np.array([1.0, *spreads, *group])}


_LEAST = 0.02  # angle: no target's spread counts as less


def standardised(values: pd.Series, usual: float, weight: float) -> np.ndarray:
    """Less their mean, over their deviation mixed with the usual one (worth `weight` models); 0 where not finite."""
    v = values.to_numpy(float)
    known = np.isfinite(v)
    if not known.any():
        return np.zeros(len(v))
    centred = np.where(known, v - v[known].mean(), 0.0)
    n = known.sum()
    spread = np.sqrt((n * v[known].var() + weight * usual**2) / (n + weight))
    return centred / spread if spread > 1e-12 * np.abs(v[known]).max() else np.zeros(len(v))


def _fact(cell: pd.DataFrame, fact: str) -> pd.Series:
    """Size as a logarithm; accuracy on the source less its mean over the candidates of the same source."""
    values = cell[fact].astype(float)
    if fact == "parameters":
        return np.log(values.where(values > 0))
    return values - values.groupby(cell["source"]).transform("mean")


@dataclass(frozen=True)
class Joint:
    """A prediction for the n candidates of one target: level and spread (in a), standardised mean and covariance."""

    level: float
    level_variance: float
    spread: float
    mean: np.ndarray
    covariance: np.ndarray

    @property
    def angles(self) -> np.ndarray:
        return self.level + self.spread * self.mean

    @property
    def deviations(self) -> np.ndarray:
        return np.sqrt(self.level_variance + self.spread**2 * self.covariance.diagonal())

    def draws(self, number: int = DRAWS) -> np.ndarray:
        """(number, n) accuracies in percent, the level at its mean; the same at every call."""
        values, vectors = np.linalg.eigh(self.covariance)
        noise = np.random.default_rng(0).standard_normal((number, len(values)))
        moved = noise * np.sqrt(np.clip(values, 0, None)) @ vectors.T
        return percent(self.level + self.spread * (self.mean + moved))


@dataclass(frozen=True)
class Learned:
    """One fit: what makes a model better than its rivals, where a target's accuracies lie, how far they spread."""

    rank: mixed.Posterior
    level: mixed.Posterior
    spread: mixed.Posterior

    def joint(self, columns: Columns, cell: pd.DataFrame) -> Joint:
        X, place, n = columns.rows(cell), columns.place(cell), len(cell)
        covariance = X @ self.rank.covariance @ X.T
        for effect, shared in zip(EFFECTS, columns.unknown(cell), strict=True):
            centred = shared - shared.mean(0)
            variance = self.rank.variances[2 + EFFECTS.index(effect)]
            covariance += variance * (centred - centred.mean(1, keepdims=True))
        covariance[np.diag_indices(n)] += self.rank.noise
        at = place["level"]
        group = 0.0 if at[-len(columns.groups) :].any() else self.level.variances[-1]
        variance = float(at @ self.level.covariance @ at) + group + self.level.noise
        spread = float(np.exp(place["spread"] @ self.spread.mean))
        return Joint(float(at @ self.level.mean), variance, spread, X @ self.rank.mean, covariance)


@dataclass(frozen=True)
class Recommender:
    """What `fit` learned. `without` holds a fit without each known target, `scores` how far off that was there."""

    columns: Columns
    learned: Learned
    known: pd.DataFrame
    without: Mapping[str, Learned]
    scores: Mapping[str, np.ndarray]  # target -> |a - predicted| / predicted deviation, of its known transfers

    def predict(self, new: pd.DataFrame) -> pd.DataFrame:
        """The candidates of one target, best first.

        new      a row a candidate: model, and as far as known architecture, source, parameters, source_accuracy, the
                 scores METHODS on the target's training images, and group (real where it lacks: see `known`)
        returns  model; predicted_accuracy with low and high, an 80 % interval, in percent; expected_regret, points
                 that picking it is expected to lose against the best candidate; best, the probability that it is the
                 best; why, in words
        The interval is jackknife+ with targets as the units (a whole target is exchangeable, its models are not):
        from fewer than four known targets nothing follows, and it is 0 to 100.
        Source: Barber et al., Annals of Statistics 2021; Lee, Barber and Willett, arXiv 2306.06342.
        """
        cell = completed(new, self.columns.methods)
        joint = self.learned.joint(self.columns, cell)
        predicted = percent(joint.angles)
        low, high = self._interval(cell)
        draws = joint.draws()
        best = draws.max(1, keepdims=True)
        ties = draws == best
        made = pd.DataFrame(
            {
                "model": cell["model"].to_numpy(),
                "predicted_accuracy": predicted,
                "low": np.minimum(low, predicted),
                "high": np.maximum(high, predicted),
                "expected_regret": (best - draws).mean(0),
                "best": (ties / ties.sum(1, keepdims=True)).mean(0),
                "why": reasons(self, cell),
            }
        )
        order = np.lexsort((made["model"].astype(str), -joint.mean))
        return made.iloc[order].reset_index(drop=True)

    def stakes(self, new: pd.DataFrame) -> Stakes:
        """What it is expected to cost to pick another candidate than the first: see `Stakes`."""
        cell, ranking = completed(new, self.columns.methods), self.predict(new)
        picks = {"first": 0, "second": min(1, len(ranking) - 1), "median": (len(ranking) - 1) // 2}
        imagenet = cell[cell["source"].astype(str).str.contains("imagenet", case=False)]
        if len(imagenet):
            favourite = imagenet.sort_values(["source_accuracy", "parameters"], na_position="first")["model"].iloc[-1]
            picks["ImageNet's favourite"] = int(np.flatnonzero(ranking["model"] == favourite)[0])
        regret = {name: float(ranking["expected_regret"].iloc[at]) for name, at in picks.items()}
        models = {name: str(ranking["model"].iloc[at]) for name, at in picks.items()}
        return Stakes(models, regret, float(ranking["best"].iloc[0]))

    def _interval(self, cell: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """(low, high) in percent: see `predict`."""
        calibrating = self._calibrating(str(cell["group"].iloc[0]))
        lower, upper, weights = [], [], []
        for target in calibrating:
            joint, scores = self.without[target].joint(self.columns, cell), self.scores[target]
            away = scores[:, None] * joint.deviations
            lower.append(joint.angles - away)
            upper.append(joint.angles + away)
            weights.append(np.full(len(scores), 1 / len(scores)))
        if not calibrating:
            return np.zeros(len(cell)), np.full(len(cell), 100.0)
        weight = np.concatenate(weights) / (len(calibrating) + 1)
        low = -_quantile(-np.concatenate(lower), weight, LEVEL)
        return percent(low), percent(_quantile(np.concatenate(upper), weight, LEVEL))

    def _calibrating(self, group: str) -> list[str]:
        """The known targets that intervals are taken from: those of the same group of data where they are enough."""
        own = self.known.loc[self.known["group"] == group, "target"].unique()
        return [t for t in self.without if len(own) < ENOUGH or t in own]


@dataclass(frozen=True)
class Stakes:
    """How much the choice matters: pick -> its model, and the points it is expected to lose against the best.

    Picks: first, second and median of the ranking, and ImageNet's favourite, the candidate from ImageNet with the
    highest accuracy there (the largest where none states one), where there is one. `best`: the probability that the
    first is the best.
    """

    models: Mapping[str, str]
    regret: Mapping[str, float]
    best: float

    def __str__(self) -> str:
        first = self.regret["first"]
        others = ", ".join(
            f"the {name} ({self.models[name]})" if name != "ImageNet's favourite" else f"{name} ({self.models[name]})"
            for name in self.regret
            if name != "first"
        )
        points = ", ".join(f"{self.regret[name]:.1f}" for name in self.regret if name != "first")
        return (
            f"{self.models['first']} is the best of these with a probability of {100 * self.best:.0f} % and is "
            f"expected to be {first:.1f} points below the best; {others}: {points}."
        )


ENOUGH = 8  # targets of one group of data, to take intervals from them alone


def _quantile(values: np.ndarray, weights: np.ndarray, level: float) -> np.ndarray:
    """Per column of values (k, m): the least that weights (k,) of `level` do not exceed; infinite beyond their sum."""
    order = np.argsort(values, 0, kind="stable")
    reached = np.cumsum(weights[order], 0) >= level - 1e-12
    first = np.take_along_axis(np.take_along_axis(values, order, 0), reached.argmax(0)[None], 0)[0]
    return np.where(reached.any(0), first, np.inf)


def fit(known: pd.DataFrame, methods: Sequence[str] = METHODS) -> Recommender:
    """Learn from known transfers, a row each.

    known    target, model, oracle (accuracy after fine-tuning in percent), and as far as known architecture, source,
             parameters, source_accuracy, a column of scores for each of `methods`; group (of data, real where it
             lacks), table (which bank and recipe: accuracies are compared within a table's target only)
    Missing scores and facts (a method that failed, a fact that nobody states) say nothing for or against a model.
    Raises ValueError for no row, a row twice, or an oracle outside 0 to 100.
    """
    known = _checked(completed(known, methods))
    columns = _columns(known, tuple(methods))
    cells = [cell for _, cell in known.groupby(["table", "target"], sort=True)]
    sums = [_sums(columns, cell) for cell in cells]
    targets = sorted(set(known["target"]))
    total = [_total([s[i] for s in sums]) for i in range(3)]
    learned, without, scores = _learn(columns, total), {}, {}
    for target in targets if len(targets) > 1 else []:
        own = [(cell, s) for cell, s in zip(cells, sums, strict=True) if cell["target"].iloc[0] == target]
        without[target] = _learn(columns, [total[i] - _total([s[i] for _, s in own]) for i in range(3)])
        away = []
        for cell, _ in own:
            joint = without[target].joint(columns, cell)
            away.append(np.abs(angle(cell["oracle"]) - joint.angles) / joint.deviations)
        scores[target] = np.concatenate(away)
    return Recommender(columns, learned, known, without, scores)


def leave_one_out(known: pd.DataFrame, methods: Sequence[str] = METHODS) -> pd.DataFrame:
    """Each known target in turn as the user's images: table, group, target, oracle beside `Recommender.predict`.

    Nothing of the target that is left out, in whichever table, is learned from.
    """
    known, made = completed(known, methods), []
    for target in sorted(set(known["target"])):
        recommender = fit(known[known["target"] != target], methods)
        for (table, group), cell in known[known["target"] == target].groupby(["table", "group"], sort=True):
            found = recommender.predict(cell.drop(columns="oracle"))
            found.insert(0, "oracle", found["model"].map(cell.set_index("model")["oracle"]))
            for name, value in (("target", target), ("group", group), ("table", table)):
                found.insert(0, name, value)
            made.append(found)
    return pd.concat(made, ignore_index=True)


def completed(table: pd.DataFrame, methods: Sequence[str] = METHODS) -> pd.DataFrame:
    """The table with every column that is looked for: a model is its own architecture and source where they lack."""
    if "model" not in table or not len(table):
        raise ValueError(f"candidates must be rows with a column model. Got {', '.join(map(str, table.columns[:8]))}.")
    table = table.reset_index(drop=True)
    lacking = {"architecture": table["model"], "source": "unknown", "group": "real", "table": ""}
    table = table.assign(**{name: value for name, value in lacking.items() if name not in table})
    for name in (*FACTS, *methods):
        values = pd.to_numeric(table[name], errors="coerce") if name in table else np.nan
        table[name] = pd.Series(values, table.index, dtype=float).replace([np.inf, -np.inf], np.nan)
    return table


def _checked(known: pd.DataFrame) -> pd.DataFrame:
    lacking = [c for c in ("target", "oracle") if c not in known]
    if lacking:
        raise ValueError(f"known must have the columns target, model, oracle. Got no {', '.join(lacking)}.")
    known = known[known["oracle"].notna()]
    if not len(known):
        raise ValueError("known must hold at least one accuracy. Got none.")
    off = known[(known["oracle"] < 0) | (known["oracle"] > 100)]
    if len(off):
        raise ValueError(f"oracle must be an accuracy from 0 to 100. Got {off['oracle'].iloc[0]:g}.")
    doubled = known.duplicated(["table", "target", "model"])
    if doubled.any():
        row = known[doubled].iloc[0]
        raise ValueError(
            f"known must have one row per table, target and model. Got {row['model']} on {row['target']} twice. "
            "Average seeds first."
        )
    return known.reset_index(drop=True)


def _columns(known: pd.DataFrame, methods: tuple[str, ...]) -> Columns:
    cells = [cell for _, cell in known.groupby(["table", "target"], sort=True)]
    spreads = {}
    for name in (*methods, *FACTS):
        values = [(_fact(c, name) if name in FACTS else c[name]).to_numpy(float) for c in cells]
        within = [v[np.isfinite(v)].std() for v in values if np.isfinite(v).sum() > 1]
        spreads[name] = float(np.median(within)) if within else 0.0
    places = {}
    for probe in PROBES:
        each = [angle(c[probe].dropna()) for c in cells if probe in c and c[probe].notna().sum() > 1]
        levels, logs = [a.mean() for a in each], [np.log(max(a.std(), _LEAST)) for a in each]
        places[probe] = (float(np.mean(levels)), float(np.mean(logs))) if each else (0.0, 0.0)
    labels = {e: pd.Index(sorted(set(known[e].astype(str)))) for e in EFFECTS}
    return Columns(methods, labels, pd.Index(sorted(set(known["group"]))), spreads, places)


def _sums(columns: Columns, cell: pd.DataFrame) -> tuple[mixed.Sums, mixed.Sums, mixed.Sums]:
    """One target's part in what the three fits need: rank, level, spread."""
    a, place = angle(cell["oracle"]), columns.place(cell)
    spread = np.sqrt((len(a) * a.var() + SPREAD_WEIGHT * SPREAD**2) / (len(a) + SPREAD_WEIGHT))
    return (
        mixed.Sums.of(columns.rows(cell), (a - a.mean()) / spread, means=1),
        mixed.Sums.of(place["level"][None], a.mean()[None]),
        mixed.Sums.of(place["spread"][None], np.log(spread)[None]),
    )


def _total(sums: Sequence[mixed.Sums]) -> mixed.Sums:
    total = sums[0]
    for other in sums[1:]:
        total = total + other
    return total


def _learn(columns: Columns, sums: Sequence[mixed.Sums]) -> Learned:
    rank = mixed.fit(sums[0], columns.blocks, np.array(list(EXPECTED.values())), NOISE)
    blocks = np.repeat([0, 1, 2], [1, len(PROBES), len(columns.groups)])
    level, spread = (mixed.fit(s, blocks, PLACED[n], PLACED_NOISE[n]) for n, s in zip(PLACED, sums[1:], strict=True))
    return Learned(rank, level, spread)


TITLES = {"parc_f32": "PARC", "logme": "LogME", "knn": "kNN", "logistic": "logistic", "hscore_f32": "H-score"}
UNDERSTATED = ("mae", "beit", "beitv2", "simmim", "data2vec", "ijepa", "hiera_mae")  # words of masked-image models


def reasons(recommender: Recommender, cell: pd.DataFrame) -> list[str]:
    """A few words a candidate: its place by what happened on other targets, and the scores that speak most for it."""
    columns, n = recommender.columns, len(cell)
    X, mean = columns.rows(cell), recommender.learned.rank.mean
    listed = (X[:, columns.parts["list"]] @ mean[columns.parts["list"]]).round(9)
    elsewhere = _places(listed)
    scores = {TITLES.get(m, m): _places(cell[m].to_numpy(float)) for m in columns.methods if cell[m].notna().any()}
    words = []
    for i, row in enumerate(cell.itertuples(index=False)):
        if str(row.model) in columns.labels["model"]:
            parts = [f"{_ordinal(elsewhere[i])} of {n} on other targets"]
        elif str(row.architecture) in columns.labels["architecture"] or str(row.source) in columns.labels["source"]:
            parts = [f"not tried before; its like {_ordinal(elsewhere[i])} of {n} on other targets"]
        else:
            parts = ["not tried before"]
        own = sorted((p[i], name) for name, p in scores.items() if p[i] > 0)
        parts += [f"{name} {_ordinal(place)}" for place, name in own[:2]] or ["no score"]
        if set(re.split(r"[^a-z0-9]+", f"{row.model} {row.architecture}".lower())) & set(UNDERSTATED):
            parts.append("frozen features understate masked-image models")
        words.append("; ".join(parts))
    return words


def _places(values: np.ndarray) -> np.ndarray:
    """1 for the highest; equal values share a place; 0 where there is none."""
    known = np.isfinite(values)
    return np.where(known, 1 + (values[known][None] > values[:, None]).sum(1), 0)


def _ordinal(place: int) -> str:
    ending = "th" if 10 <= place % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def known(folder: Path = RESULTS) -> pd.DataFrame:
    """The committed ground truth and scores of `folder` (results/): see `fit` for the columns.

    Tables that are not there are passed over; raises ValueError where none is. Scores are means over probe draws,
    accuracies over seeds; self-transfers are left out.
    """
    found = []
    for table, (name, group) in TABLES.items():
        paths = {kind: folder / name / f"{kind}.parquet" for kind in ("truth", "scores")}
        if all(path.is_file() for path in paths.values()):
            found.append(table_of(correlate.read(paths["truth"]), correlate.read(paths["scores"]), table, group))
    if not found:
        folders = ", ".join(name for name, _ in TABLES.values())
        raise ValueError(f"{folder} must hold truth.parquet and scores.parquet in one of {folders}. Got none.")
    return pd.concat(found, ignore_index=True)


def table_of(truth: pd.DataFrame, scores: pd.DataFrame, table: str = "", group: str = "real") -> pd.DataFrame:
    """A ground truth and a score table (`benchmark.correlate`) as known transfers."""
    truth = correlate.usable(truth, (), [])
    methods = [m for m in correlate.method_columns(scores) if m not in ("layers", "heuristic", "random")]
    mean = scores.groupby(["Model", correlate.TARGET])[methods].mean().reset_index()
    names = {"Model": "model", correlate.TARGET: "target", "Oracle": "oracle"}
    names |= dict(zip(correlate.MODEL, ("architecture", "source"), strict=True))
    both = truth[[*names]].merge(mean, how="left", on=["Model", correlate.TARGET], validate="one_to_one")
    return both.rename(columns=names).assign(table=table, group=group)
