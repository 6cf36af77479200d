"""results/recommendation.md from what scripts/results/recommendation_table.py judged."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmark.ranking import weighted_sum
from benchmark.ranking.choices import between, judged, targets_needed
from benchmark.ranking.transfers import METHODS
from benchmark.ranking.weighted_sum import CELL
from benchmark.reporting import layout
from benchmark.stats import measures

KEYS = [*CELL, "model"]
LIST, OURS = "list", "recommendation"
FULL = "list + scores + look 15–25 %"
LEAST = 3
"""Looks at a target that are compared."""
PARTS = (
    ("the five scores", "list + scores", LIST),
    ("targets alike count more", "similarity-weighted list", LIST),
    ("relatives, facts, and when scores count", OURS, "list + scores"),
    ("all of the recommendation", OURS, LIST),
    ("a look", "list + look 15–25 %", LIST),
    ("a look", FULL, "list + scores"),
    ("a look, less relatives and facts", FULL, OURS),
)
"""A part, the method that has it, and the one that does not."""
ON_PUBLIC = (LIST, OURS, "list + scores", FULL)
SHOWN = ("regret3", "crossed", "tau", "pearson")

TEXT = """# What each part of the recommendation adds

Every known target in turn as the user's images, nothing of it learned from, in whichever table; then once more with its
whole kind left out (animals, strokes, scenes …: KINDS of the script). What competes: the static list (mean standardised
accuracy on the other targets); the same with targets counting more whose scores order the models alike; the mean of the
five scores ({five}); a look at the fine-tuning, the mean
training loss of some of its steps; sums of them, weights by ridge least squares on the other targets (those of the same
table where it has six, λ = rows/36; or fixed, 2 : 1); the recommendation of `python -m benchmark.rank`, which weighs
scores, size, source accuracy and what model, architecture and source did elsewhere, and keeps to the list unless on the
other targets of its group of data its own first place loses less by more than a standard error (the usual rule for the
simpler of two; nothing else was tuned on these figures); single scores. `chosen on other targets` takes the row that
lost least on the others.

**Looks here are the losses that the committed fine-tunings kept**, at the rate that was chosen for each model, between
15 and 25 (or 10 and 30) percent of its steps: what a look could tell at best, not what a look of forty steps tells.
That is further down.

regret@1, @3: points that the first, or the best of the first three, loses against the best. cross-fitted: the best is
chosen on one half of the test images and both are judged on the other, mean over forty halves, since the best of many
by one measurement owes a part of it to chance (below zero: on that half it is behind the one that was chosen).
Intervals are 95 %, over resampled targets (all tables of a target
together), and over targets and models (a model that is drawn is a candidate on all targets of its table). τ_w: the
weighted Kendall correlation. PC: Pearson ×100.

## What each part adds

{parts}
## Each target left out

{target}
{public}
## Each kind of target left out

{kind}
## Looks of their own on the public bank

{looks}
## Predicted accuracy

80 % intervals of the recommendation, means over targets; level: how far the mean of the predicted accuracies is from
that of the true ones.

{intervals}
## What follows

{decision}

`{command}` on {hardware}, {versions}, commit {commit}. Per method and target: recommendation.csv.
"""


def page(made: Mapping[str, Mapping[str, pd.DataFrame]], looks: pd.DataFrame | None, about: Mapping[str, str]) -> str:
    """The page of judgements, differences and predictions, of each target and of each kind left out."""
    every = made["target"]["judgements"]
    said, own = own_looks(looks) if looks is not None and len(looks) else ("No looks yet.\n", None)
    return TEXT.format(
        five=", ".join(METHODS),
        parts=added(made),
        target=grid("Each target left out", every, made["target"]["differences"]),
        kind=grid("Each kind left out", made["kind"]["judgements"], made["kind"]["differences"]),
        public=on_public(every),
        looks=said,
        intervals=intervals(made),
        decision=decision(every, own),
        **about,
    )


def grid(title: str, judgements: pd.DataFrame, differences: pd.DataFrame) -> str:
    """A row a method: what it lost, how much less than the list and the recommendation, and by table."""
    tables, more = sorted(judgements["table"].unique()), differences.set_index("method")
    cells = []
    for method, part in judgements.groupby("method", sort=False):
        row = [method, layout.number(part["regret"].mean(), 2)]
        row.append(None if method == LIST else spoken(between(judgements, "regret", method, LIST)))
        row.append(
            None if method not in more.index else layout.between(more.at[method, "low"], more.at[method, "high"], 2)
        )
        row.append(None if method == OURS else spoken(between(judgements, "regret", method, OURS)))
        row += [layout.number(part[c].mean(), 3 if c == "tau" else 2 if c != "pearson" else 1) for c in SHOWN]
        cells.append(row + [layout.number(part.loc[part["table"] == t, "regret"].mean(), 2) for t in tables])
    head = ["method", "regret@1", "minus list", "models too", "minus recommendation"]
    head += ["regret@3", "cross-fitted", "τ_w", "PC", *tables]
    return layout.markdown(
        layout.Grid(f"{title}: {judgements.groupby(CELL).ngroups} targets and tables", head, [cells])
    )


def added(made: Mapping[str, Mapping[str, pd.DataFrame]]) -> str:
    """A row a part: what it changes in regret, cross-fitted regret and τ_w where it is added."""
    cells = []
    for unit, parts in made.items():
        for part, method, beside in PARTS:
            row = [between(parts["judgements"], column, method, beside) for column in ("regret", "crossed")]
            tau = between(parts["judgements"], "tau", method, beside)
            cells.append([f"each {unit}", part, beside, *map(spoken, row), spoken(tau, 3)])
    half = len(PARTS)
    head = ["left out", "part", "added to", "regret@1", "cross-fitted regret", "τ_w"]
    return layout.markdown(layout.Grid("Points that are lost more or less", head, [cells[:half], cells[half:]]))


def spoken(difference: tuple[float, float, float], digits: int = 2) -> str:
    mean, low, high = (f"{value:+.{digits}f}" for value in difference)
    return f"{mean} ({low} to {high})"


def on_public(judgements: pd.DataFrame) -> str:
    """Whether the static list is beaten on the public bank, and how many targets it takes to see a difference."""
    here = judgements[judgements["table"] == "public"]
    if here.empty:
        return ""
    wide = judgements.pivot(index=CELL, columns="method", values="regret")
    own = wide.loc["public"]
    lost, cells = own[LIST], wide[FULL] - wide[LIST]
    line = (
        f"**On the public bank** ({len(own)} targets: {', '.join(own.index)}) the static list loses {lost.mean():.2f} "
        f"points, the recommendation {own[OURS].mean():.2f}, {FULL} {own[FULL].mean():.2f}. "
    )
    if lost.max() == 0:
        line += "Its first is the best on each of them, so nothing can beat it in regret@1 there. "
    else:
        mean, low, high = between(here, "regret", FULL, LIST)
        line += f"The difference of the last to the list is {mean:+.2f} (95 % {low:+.2f} to {high:+.2f}). "
    ours = between(here, "regret", OURS, LIST)
    line += f"That of the recommendation to the list is {spoken(ours)}"
    same = int((own[OURS] == own[LIST]).sum())
    line += f"; on {same} of {len(own)} targets both choose models that are equally good. "
    everywhere = targets_needed(cells.to_numpy(), 1.0), targets_needed(cells.to_numpy(), 0.5)
    return (
        line
        + (
            f"At the spread that the first difference has over all targets and tables, seeing 1 point (95 % interval "
            f"without zero, four times in five) takes {everywhere[0]} targets, half a point {everywhere[1]}.\n\n"
        )
        + layout.markdown(_each_target(own))
    )


def _each_target(lost: pd.DataFrame) -> layout.Grid:
    """A row a target of `lost` (points, a column a method): what each of ON_PUBLIC loses there."""
    methods = [m for m in ON_PUBLIC if m in lost]
    rows = [[str(t), *(layout.number(lost.at[t, m], 2) for m in methods)] for t in lost.index]
    return layout.Grid("Points that the first place loses, public bank", ["target", *methods], [rows])


def own_looks(looks: pd.DataFrame) -> tuple[str, pd.DataFrame | None]:
    """What looks of forty steps say of the models that were looked at, on targets with LEAST and more of them."""
    parts, found = [], []
    for way, rows in looks.groupby("way", sort=False):
        counts = rows["target"].value_counts()
        same = rows[rows["target"].map(counts) >= LEAST].assign(table="public")
        if same.empty:
            parts.append(f"- {way}: {len(rows)} looks, too few of any target as yet.")
            continue
        same["look"] = same["look"].where(same["status"] == "ok", same["look"].min() - 1)  # as bad as none
        z = weighted_sum.standardised(same, ("list", "look"))
        scores = {LIST: same["list"], "look": same["look"], "2 · list + look": 2 * z["list"] + z["look"]}
        targets = same["target"].nunique()
        if targets > 1:
            scores["list + look, weights learned"] = weighted_sum.left_out(z, ("list", "look"))
        best = same.groupby("target")["oracle"].transform("max")
        found.append(judged(same, scores, best).assign(way=way, looks=len(same), targets=targets))
        parts.append(_said_of(way, same))
    if not found:
        return "\n".join([*parts, ""]), None
    whole = pd.concat(found, ignore_index=True)
    head = ["rate", "looks", "targets", "method", "regret@1", "minus list", "τ_w", "PC"]
    cells = []
    for (way, count, targets, method), part in whole.groupby(["way", "looks", "targets", "method"], sort=False):
        difference = between(whole[whole["way"] == way], "regret", method, LIST) if method != LIST else None
        row = [layout.number(part[c].mean(), 2) for c in ("regret", "tau", "pearson")]
        row.insert(1, None if difference is None else spoken(difference))
        cells.append([way, str(count), str(targets), method, *row])
    table = layout.markdown(layout.Grid("Choice among those looked at", head, [cells]))
    return "\n".join([*parts, "", table]), whole


def _said_of(way: str, looks: pd.DataFrame) -> str:
    """One way's looks in a line: their number, correlation with accuracy by target, loss and seconds."""
    r = looks.groupby("target").apply(_correlation, include_groups=False)
    low, middle, high = looks["seconds"].quantile([0.25, 0.5, 0.75])
    return (
        f"- {way}: {len(looks)} looks. Correlation with accuracy among those of a target {r.mean():+.2f} "
        f"({', '.join(f'{t} {v:+.2f}' for t, v in r.items())}). Mean loss {-looks['look'].mean():.2f}. A look took "
        f"{middle:.0f} s (half of them {low:.0f} to {high:.0f}; the fastest {looks['seconds'].min():.1f}), with others "
        "at work."
    )


def _correlation(cell: pd.DataFrame) -> float:
    r = measures.pearson(cell["look"].to_numpy(float), cell["oracle"].to_numpy(float))
    return float(np.nan_to_num(r)) / 100


def intervals(made: Mapping[str, Mapping[str, pd.DataFrame]]) -> str:
    """Coverage, width and level of what was predicted, by table and by what was left out."""
    cells = []
    for unit, parts in made.items():
        wide = parts["predictions"]
        inside = (wide["low"] <= wide["oracle"]) & (wide["oracle"] <= wide["high"])
        wide = wide.assign(inside=100.0 * inside, width=wide["high"] - wide["low"])
        each = wide.groupby(CELL)[["inside", "width", "predicted_accuracy", "oracle"]].mean()
        each["level"] = (each["predicted_accuracy"] - each["oracle"]).abs()
        for name, part in each.groupby("table"):
            row = [layout.number(part[c].mean(), 1) for c in ("inside", "width", "level")]
            cells.append([f"each {unit}", str(name), str(len(part)), *row])
    head = ["left out", "table", "targets", "coverage, %", "width, points", "level, points"]
    return layout.markdown(layout.Grid("Intervals", head, [cells]))


def decision(judgements: pd.DataFrame, own: pd.DataFrame | None) -> str:
    """Whether looks belong into the recommendation by default, by the figures above."""
    best = between(judgements, "regret", FULL, OURS)
    text = (
        f"With the losses that fine-tunings kept, the sum of list, scores and look differs from today's recommendation "
        f"by {spoken(best)} points: {'clearly less' if best[2] < 0 else 'not clearly less'} is lost. "
    )
    if own is None:
        return text + "Looks of their own were not made on this bank: looking stays an option that is off."
    said, helps = [], []
    for way, part in own.groupby("way", sort=False):
        wide = part.pivot(index=CELL, columns="method", values="regret")
        lost = wide.mean()
        sums = [m for m in wide if m not in (LIST, "look")]
        helps += [between(part, "regret", m, LIST)[2] < 0 for m in sums]
        needed = max(targets_needed((wide[m] - wide[LIST]).to_numpy(), 1.0) for m in sums) if len(wide) > 1 else None
        said.append(
            f"at the {way} rate, on {len(wide)} targets, the list {lost[LIST]:.2f}, the look alone {lost['look']:.2f}, "
            + ", ".join(f"{m} {lost[m]:.2f}" for m in sums)
            + (f" (at this spread {needed} targets show a point)" if needed else "")
        )
    text += f"Looks of forty steps on the public bank lose, among the models that were looked at: {'; '.join(said)}. "
    if any(helps):
        return text + "Looking may be worth its minute where that was measured."
    return text + (
        "No sum with them loses clearly less than the list: what the first quarter of a whole fine-tuning tells is not "
        "seen in forty steps of their own. So looking is an option of `rank` (`looks=5`, `looks=60s`) that is off "
        "unless asked for."
    )
