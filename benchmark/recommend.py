"""Which model will be best after fine-tuning: estimators' scores and what is known of the models, in one list.

    recommender = fit(known())            # the committed ground truth, or a table of your own
    ranking = recommender.predict(new)    # best first: model, predicted_accuracy, low, high, why, …
    stakes = recommender.stakes(new)      # how much the choice matters

Within a target, a model's accuracy is a sum: its scores there, its facts, and what it, its architecture and its source
did on other targets (the static list, shrunk towards zero where little is known). How much each part is trusted is
learned with the sum (`benchmark.mixed`): on a bank of like models the list carries it, on a diverse one the scores do.
Where the accuracies of a target lie is learned from the probes' accuracy. Accuracies are treated as angles
(`benchmark.transfers`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmark import mixed
from benchmark.transfers import EFFECTS, FACTS, METHODS, PROBES, Columns, angle, checked, completed, known, percent

__all__ = ["FACTS", "METHODS", "Recommender", "Stakes", "fit", "known", "leave_one_out"]

LEVEL = 0.8  # of the interval
ENOUGH = 8  # targets of one group of data, to take intervals from them alone
DRAWS = 4000  # of the joint prediction, for expected regrets

EXPECTED = np.array([0.05, 0.02, 0.2, 0.2, 0.2])  # variances beforehand: a score, a fact, model, architecture, source
NOISE = 0.4  # of a standardised accuracy within its target
SPREAD, SPREAD_WEIGHT = 0.2, 2.0  # a target's spread of accuracies (angle), and how many models that guess is worth
PLACED = {"level": np.array([1.0, 0.2, 0.2]), "spread": np.array([1.0, 0.1, 0.1])}  # a constant, probes, the group
PLACED_NOISE = {"level": 0.1, "spread": 0.1}


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
        """(number, n) accuracies in percent, the same at every call."""
        values, vectors = np.linalg.eigh(self.covariance)
        noise = np.random.default_rng(0).standard_normal((number, 1 + len(values)))
        level = self.level + np.sqrt(self.level_variance) * noise[:, :1]
        moved = noise[:, 1:] * np.sqrt(np.clip(values, 0, None)) @ vectors.T
        return percent(level + self.spread * (self.mean + moved))

    def sharpened(self, noise: float, shape: tuple[float, float]) -> Joint:
        """With the noise of each candidate times e^(a + b·mean): of the best, less is left open than of the worst."""
        covariance = self.covariance.copy()
        covariance[np.diag_indices(len(self.mean))] += noise * (np.exp(shape[0] + shape[1] * self.mean) - 1)
        return replace(self, covariance=covariance)


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
    """What `fit` learned. `without` holds a fit without each known target, `away` how far off that was there."""

    columns: Columns
    learned: Learned
    known: pd.DataFrame
    without: Mapping[str, Learned]
    away: Mapping[str, np.ndarray]  # target -> |a - predicted| / predicted deviation, of its known transfers
    shape: tuple[float, float] = (0.0, 0.0)  # of the noise: see `Joint.sharpened`

    @threadpool_limits.wrap(limits=1)
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
        joint = self.learned.joint(self.columns, cell).sharpened(self.learned.rank.noise, self.shape)
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
        if (best_there := favourite(cell)) is not None:
            picks["ImageNet's favourite"] = int(np.flatnonzero(ranking["model"] == best_there)[0])
        regret = {name: float(ranking["expected_regret"].iloc[at]) for name, at in picks.items()}
        models = {name: str(ranking["model"].iloc[at]) for name, at in picks.items()}
        return Stakes(models, regret, float(ranking["best"].iloc[0]))

    def _interval(self, cell: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """(low, high) in percent: see `predict`."""
        calibrating = self._calibrating(str(cell["group"].iloc[0]))
        lower, upper, weights = [], [], []
        for target in calibrating:
            joint = self.without[target].joint(self.columns, cell)
            reach = self.away[target][:, None] * joint.deviations
            lower.append(joint.angles - reach)
            upper.append(joint.angles + reach)
            weights.append(np.full(len(reach), 1 / len(reach)))
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

    Picks: first, second and median of the ranking, and ImageNet's `favourite` where there is one. `best`: the
    probability that the first is the best.
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


def favourite(cell: pd.DataFrame) -> str | None:
    """Of the candidates from ImageNet the one with the highest accuracy there, the largest where none states one."""
    imagenet = cell[cell["source"].astype(str).str.contains("imagenet", case=False)]
    ordered = imagenet.sort_values(["source_accuracy", "parameters", "model"], na_position="first")
    return str(ordered["model"].iloc[-1]) if len(imagenet) else None


def _quantile(values: np.ndarray, weights: np.ndarray, level: float) -> np.ndarray:
    """Per column of values (k, m): the least that weights (k,) of `level` do not exceed; infinite beyond their sum."""
    order = np.argsort(values, 0, kind="stable")
    reached = np.cumsum(weights[order], 0) >= level - 1e-12
    first = np.take_along_axis(np.take_along_axis(values, order, 0), reached.argmax(0)[None], 0)[0]
    return np.where(reached.any(0), first, np.inf)


@threadpool_limits.wrap(limits=1)  # the matrices are small: threads would wait for each other
def fit(known: pd.DataFrame, methods: Sequence[str] = METHODS) -> Recommender:
    """Learn from known transfers, a row each.

    known    target, model, oracle (accuracy after fine-tuning in percent), and as far as known architecture, source,
             parameters, source_accuracy, a column of scores for each of `methods`; group (of data, real where it
             lacks), table (which bank and recipe: accuracies are compared within a table's target only)
    Missing scores and facts (a method that failed, a fact that nobody states) say nothing for or against a model.
    Raises ValueError for no row, a row twice, or an oracle outside 0 to 100.
    """
    known = checked(completed(known, methods))
    columns = Columns.of(known, tuple(methods))
    cells = [cell for _, cell in known.groupby(["table", "target"], sort=True)]
    sums = [_sums(columns, cell) for cell in cells]
    targets = sorted(set(known["target"]))
    total = [_total([s[i] for s in sums]) for i in range(3)]
    learned, without, away, misses = _learn(columns, total), {}, {}, []
    for target in targets if len(targets) > 1 else []:
        own = [(cell, s) for cell, s in zip(cells, sums, strict=True) if cell["target"].iloc[0] == target]
        without[target] = _learn(columns, [total[i] - _total([s[i] for _, s in own]) for i in range(3)])
        off = []
        for cell, _ in own:
            joint, a = without[target].joint(columns, cell), angle(cell["oracle"])
            off.append(np.abs(a - joint.angles) / joint.deviations)
            noise = without[target].rank.noise
            missed = (a - a.mean()) / _spread(a) - joint.mean
            misses.append(np.stack([joint.mean, missed**2, joint.covariance.diagonal() - noise, noise + 0 * a]))
        away[target] = np.concatenate(off)
    shape = _shape(np.concatenate(misses, 1)) if misses else (0.0, 0.0)
    return Recommender(columns, learned, known, without, away, shape)


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


def _sums(columns: Columns, cell: pd.DataFrame) -> tuple[mixed.Sums, mixed.Sums, mixed.Sums]:
    """One target's part in what the three fits need: rank, level, spread."""
    a, place = angle(cell["oracle"]), columns.place(cell)
    spread = _spread(a)
    return (
        mixed.Sums.of(columns.rows(cell), (a - a.mean()) / spread, means=1),
        mixed.Sums.of(place["level"][None], a.mean()[None]),
        mixed.Sums.of(place["spread"][None], np.log(spread)[None]),
    )


def _spread(a: np.ndarray) -> float:
    """Deviation of a target's accuracies; of few models, mixed with the one expected beforehand."""
    return float(np.sqrt((len(a) * a.var() + SPREAD_WEIGHT * SPREAD**2) / (len(a) + SPREAD_WEIGHT)))


def _shape(misses: np.ndarray) -> tuple[float, float]:
    """(a, b) of `Joint.sharpened`, from left-out targets: (4, n) mean, error², variance beside noise, noise.

    Gaussian likelihood with standard normal priors on both.
    """
    from scipy import optimize

    mean, squared, beside, noise = misses

    def objective(at: np.ndarray) -> tuple[float, np.ndarray]:
        own = noise * np.exp(at[0] + at[1] * mean)
        variance = beside + own
        slope = own / variance * (1 - squared / variance)
        value = float((np.log(variance) + squared / variance).sum() + at @ at)
        return value, np.array([slope.sum(), (slope * mean).sum()]) + 2 * at

    found = optimize.minimize(objective, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(-3, 3)] * 2)
    return float(found.x[0]), float(found.x[1])


def _total(sums: Sequence[mixed.Sums]) -> mixed.Sums:
    total = sums[0]
    for other in sums[1:]:
        total = total + other
    return total


def _learn(columns: Columns, sums: Sequence[mixed.Sums]) -> Learned:
    rank = mixed.fit(sums[0], columns.blocks, EXPECTED, NOISE)
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
