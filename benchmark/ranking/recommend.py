"""Which model will be best after fine-tuning: estimators' scores and what is known of the models, in one list.

    recommender = fit(known())            # the committed ground truth, or a table of your own
    ranking = recommender.predict(new)    # best first: model, predicted_accuracy, low, high, why, …
    stakes = recommender.stakes(new)      # how much the choice matters

Within a target, a model's accuracy is a sum: its scores there, its facts, and what it, its architecture and its source
did on other targets (the static list, shrunk towards zero where little is known). How much each part is trusted is
learned with the sum (`benchmark.ranking.variance_components`): on a bank of like models the list carries it, on a
diverse one the scores do. Unless the sum's first place loses clearly less than the static list's on known targets,
models that stand on the list are placed by that alone; a model of which nothing is known, its architecture neither, is
placed by its scores and facts. Where the accuracies of a target lie is learned from the probes' accuracy. Accuracies
are treated as angles (`benchmark.ranking.transfers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmark.ranking import learning, looks
from benchmark.ranking.prediction import FromStaticList, Learned
from benchmark.ranking.reasons import Stakes, favourite, reasons
from benchmark.ranking.transfers import (
    EFFECTS,
    METHODS,
    Columns,
    Design,
    angle,
    checked,
    completed,
    elsewhere,
    percent,
    standings,
)

LEVEL = 0.8  # of the interval
CLEAR = 1.0  # standard errors: the simpler one of two is kept where the other is not better by more
ENOUGH = 6  # targets of one group of data, to learn from them alone
_STRANGE = "stranger: "  # before a name, nobody has seen it


@dataclass(frozen=True)
class Recommender:
    """What `fit` learned. `without` holds a fit without each known target, `away` how far off that was there.

    listed  what a place on the static list is worth: slope and variance of a standardised accuracy
    regret  points that the first of the list alone, and of the sum, lost on targets left out
    gain    the difference, with its standard error over targets
    Where the gain is not clear, the list keeps the models that it knows. A smaller error over all models is no reason
    to leave it: that is about the bulk of them, and what is asked for is the first.
    """

    columns: Columns
    learned: Learned
    known: pd.DataFrame
    without: Mapping[str, Learned]
    away: Mapping[str, np.ndarray]  # target -> |a - predicted| / predicted deviation, of its known transfers
    shape: tuple[float, float]  # of the noise: see `Joint.sharpened`
    listed: tuple[float, float]
    gain: tuple[float, float]
    regret: tuple[float, float]

    @property
    def scores_help(self) -> bool:
        """Whether scores and facts clearly improve on the list; taken for granted where nothing could be left out."""
        return self.gain[0] > CLEAR * self.gain[1] or not self.without

    @property
    def case(self) -> str:
        """Which case this is, in a sentence."""
        if not self.without:
            return "One target is known: how far scores can be trusted is a guess."
        gain, error = self.gain
        said = (
            f"On {len(self.without)} known targets, each left out in turn, the first place with them loses "
            f"{self.regret[1]:.1f} points, by what models did elsewhere alone {self.regret[0]:.1f}: {abs(gain):.1f} ± "
            f"{error:.1f} {'more' if gain < 0 else 'less'}"
        )
        if self.scores_help:
            return f"Scores help. {said}."
        return f"Scores do not clearly help. {said}: models that were tried before stand where that list puts them."

    @threadpool_limits.wrap(limits=1)
    def predict(self, new: pd.DataFrame) -> pd.DataFrame:
        """The candidates of one target, best first.

        new      a row a candidate: model, and as far as known architecture, source, parameters, source_accuracy, the
                 scores METHODS on the target's training images, group (real where it lacks: see `fit`), and look at
                 the fine-tuning of some of them (see `benchmark.ranking.looks`)
        returns  model; predicted_accuracy with low and high, an 80 % interval, in percent; expected_regret, points
                 that picking it is expected to lose against the best candidate; best, the probability that it is the
                 best; relative_sd, points by which its distance from the candidates' mean may be off; why, in words
        The interval is jackknife+ with targets as the units (a whole target is exchangeable, its models are not; only
        whether scores help is decided on all of them): from fewer than four targets nothing follows, 0 to 100.
        Source: Barber et al., Annals of Statistics 2021; Lee, Barber and Willett, arXiv 2306.06342.
        """
        cell = completed(new, self.columns.methods)
        design = self.columns.design(cell)
        standing = standings(self.known, cell["model"])
        on_list = self._listed(standing, cell)
        look = cell[looks.LOOK].to_numpy(float) if looks.LOOK in cell else None
        joint = looks.moved(self.learned.joint(self.columns, design, on_list).sharpened(self.shape), look)
        predicted = percent(joint.angles)
        low, high = self._interval(design, cell, standing, look)
        listed = design.X @ np.where(self.columns.parts["list"], self.learned.rank.mean, 0.0)
        if on_list is not None:
            listed = np.where(np.isfinite(on_list.mean), on_list.mean, listed)
        draws = joint.draws()
        best = draws.max(1, keepdims=True)
        ties = draws == best
        apart = draws - draws.mean(1, keepdims=True)
        made = pd.DataFrame(
            {
                "model": cell["model"].to_numpy(),
                "predicted_accuracy": predicted,
                "low": np.minimum(low, predicted),
                "high": np.maximum(high, predicted),
                "expected_regret": (best - draws).mean(0),
                "best": (ties / ties.sum(1, keepdims=True)).mean(0),
                "relative_sd": apart.std(0),
                "why": reasons(self.columns, cell, listed),
            }
        )
        if look is not None:
            made["why"] += [looks.in_words(look, i) for i in range(len(made))]
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

    def _listed(self, standing: pd.DataFrame, cell: pd.DataFrame, without: str | None = None) -> FromStaticList | None:
        """The list without a target; None where scores help: it is a part of the sum then."""
        if self.scores_help:
            return None
        return FromStaticList.of(elsewhere(standing, cell["model"], without), self.listed)

    def _interval(
        self, design: Design, cell: pd.DataFrame, standing: pd.DataFrame, look: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(low, high) in percent: see `predict`."""
        lower, upper, weights = [], [], []
        for target, without in self.without.items():
            joint = looks.moved(without.joint(self.columns, design, self._listed(standing, cell, target)), look)
            reach = self.away[target][:, None] * joint.deviations
            lower.append(joint.angles - reach)
            upper.append(joint.angles + reach)
            weights.append(np.full(len(reach), 1 / len(reach)))
        if not lower:
            return np.zeros(len(design.X)), np.full(len(design.X), 100.0)
        weight = np.concatenate(weights) / (len(weights) + 1)
        low = -learning.quantile(-np.concatenate(lower), weight, LEVEL)
        return percent(low), percent(learning.quantile(np.concatenate(upper), weight, LEVEL))


@threadpool_limits.wrap(limits=1)  # the matrices are small: threads would wait for each other
def fit(known: pd.DataFrame, methods: Sequence[str] = METHODS, group: str = "real") -> Recommender:
    """Learn from known transfers, a row each, for candidates on a target of a group of data.

    known    target, model, oracle (accuracy after fine-tuning in percent), and as far as known architecture, source,
             parameters, source_accuracy, a column of scores for each of `methods`; group (of data, real where it
             lacks), table (which bank and recipe: accuracies are compared within a table's target only)
    group    where ENOUGH of its targets are known, they are learned from alone: what is good for photographs and what
             for drawings by programs differ
    Missing scores and facts (a method that failed, a fact that nobody states) say nothing for or against a model.
    Raises ValueError for no row, a row twice, or an oracle outside 0 to 100.
    """
    known = checked(completed(known, methods))
    own = known[known["group"] == group]
    known = own.reset_index(drop=True) if own["target"].nunique() >= ENOUGH else known
    columns = Columns.of(known, tuple(methods))
    cells = []
    for (_, target), rows in known.groupby(["table", "target"], sort=True):
        places = elsewhere(standings(known, rows["model"]), rows["model"], target)
        cells.append(learning.Cell(target, columns.design(rows), angle(rows["oracle"]), places))
    whole = [learning.total([cell.sums[i] for cell in cells]) for i in range(3)]
    learned, without = learning.learned(columns, whole), {}
    targets = sorted({cell.target for cell in cells})
    for target in targets if len(targets) > 1 else []:
        own = [cell.sums for cell in cells if cell.target == target]
        without[target] = learning.learned(columns, [whole[i] - learning.total([s[i] for s in own]) for i in range(3)])
    listed = learning.worth(cells)
    gain, regret = _compared(columns, cells, without, listed)
    made = Recommender(columns, learned, known, without, {}, (0.0, 0.0), listed, gain, regret)
    return _with_misses(made, cells) if without else made


def _compared(
    columns: Columns, cells: Sequence[learning.Cell], without: Mapping[str, Learned], listed: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """`gain` and `regret` of a recommender: over targets, each the mean over its tables."""
    found: dict[str, list[list[float]]] = {}
    for cell in cells if without else []:
        accuracy, lost = percent(cell.angles), []
        for rules in (FromStaticList.of(cell.places, listed), None):
            mean = without[cell.target].joint(columns, cell.design, rules).mean
            lost.append(float(accuracy.max() - accuracy[mean.argmax()]))
        found.setdefault(cell.target, []).append(lost)
    each = np.array([np.mean(values, 0) for values in found.values()]).reshape(-1, 2)
    if len(each) < 2:
        return (0.0, 0.0), (0.0, 0.0)
    gains, regret = each[:, 0] - each[:, 1], each.mean(0)
    return (float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))), (float(regret[0]), float(regret[1]))


def _with_misses(made: Recommender, cells: Sequence[learning.Cell]) -> Recommender:
    """The recommender with `away` and `shape`, from each target's cells under the fit without it."""
    away: dict[str, list[np.ndarray]] = {}
    misses = []
    for cell in cells:
        rules = None if made.scores_help else FromStaticList.of(cell.places, made.listed)
        joint = made.without[cell.target].joint(made.columns, cell.design, rules)
        away.setdefault(cell.target, []).append(np.abs(cell.angles - joint.angles) / joint.deviations)
        squared = (cell.standardised - joint.mean) ** 2
        misses.append(np.stack([joint.mean, squared, joint.covariance.diagonal(), joint.noise]))
    joined = {target: np.concatenate(parts) for target, parts in away.items()}
    return replace(made, away=joined, shape=learning.shape(np.concatenate(misses, 1)))


def leave_one_out(
    known: pd.DataFrame,
    methods: Sequence[str] = METHODS,
    only: Sequence[str] | None = None,
    strangers: bool = False,
    unit: str = "target",
) -> pd.DataFrame:
    """Each known target in turn as the user's images: table, group, target, oracle beside `Recommender.predict`.

    only       these targets and no others
    strangers  the candidates' names, architectures and sources are new to the recommender, which has their scores and
               facts alone: as for models that nobody has tried
    unit       what is left out with a target: all rows that are equal in this column, such as a kind of targets
    Nothing of the target that is left out, in whichever table, is learned from.
    """
    known, made = completed(known, methods), []
    for (group, held), cells in known.groupby(["group", unit], sort=True):
        wanted = cells if only is None else cells[cells["target"].isin(only)]
        if wanted.empty:
            continue
        recommender = fit(known[known[unit] != held], methods, group)
        for (target, table), cell in wanted.groupby(["target", "table"], sort=True):
            new = cell.drop(columns="oracle")
            if strangers:
                new = new.assign(**{effect: _STRANGE + new[effect].astype(str) for effect in EFFECTS})
            found = recommender.predict(new)
            found["model"] = found["model"].str.removeprefix(_STRANGE)
            oracle = found["model"].map(cell.set_index("model")["oracle"])
            made.append(found.assign(table=table, group=group, target=target, oracle=oracle))
    first = ["table", "group", "target", "oracle"]
    whole = pd.concat(made, ignore_index=True)
    return whole[[*first, *(c for c in whole if c not in first)]]
