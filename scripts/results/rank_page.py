"""results/rank.md: the page that scripts/results/rank_table.py makes of its tables."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from benchmark.ranking import transfers
from benchmark.reporting.layout import Grid, between, markdown, number

OURS, LIST = "recommendation", "static_list"
RIVALS = (LIST, "parc", "parc_f32")  # what the recommendation has to beat to be kept
COVERAGE = (70.0, 92.0)  # percent in which the 80 % intervals should lie
HEAD = f"""# Which model should be fine-tuned? How good the answer is

Made by `python scripts/results/rank_table.py`. `benchmark.ranking.recommend` adds up what the scores \
({", ".join(transfers.METHODS)}) say on the target, what models did on other targets (the static list), \
size and source accuracy, and learns from the committed ground truth how far to trust each. Here every known \
target is left out in turn, in all tables that hold it, and its models are ranked as a user's candidates \
would be. Models that were trained on a target's task are no candidates there.

regret@1: points that the first of the list loses against the best candidate, with a 95 % interval over \
resampled targets; `more`: how much more than the recommendation, on the same targets; top-1: how often \
the first is the best, in percent. The static list is the mean standardised accuracy on the other targets \
of the same group of data, among the models that are candidates on the target. Scores that are missing \
or all equal pick at random, with τ 0.
"""
KEPT = """Kept is a combination that loses no more points than the static list and PARC (with and without reduction \
of dimensions) and does not order clearly worse (the 95 % interval of the difference in τ_b). Of many single \
estimators some will be lower on a few targets by chance alone.
"""
TRUSTED = """
Whether scores are trusted is decided by what they add to the list on known targets, so it can come out \
otherwise for another bank. Here:
"""
PREDICTED = """
## Predicted accuracy

80 % intervals (jackknife+ over targets), each target left out of everything; coverage and width are means \
over targets. The models of a target share its level, so its intervals mostly hold or fail together.
"""
UNTRIED = """## Models that nobody has tried

The same with the candidates' names, architectures and sources hidden, so that scores, size and source \
accuracy are all there is: what to expect for a bank without ground truth, such as the hub's. Beside it, on \
the same targets, the regret of the recommendation that knows the models, of the list, and of PARC.
"""
STAKES = "## How much the choice matters: what is said and what came true\n"
PUBLISHED = """## On other people's tables

The same, learned and judged on published ground truths (see [published.md](published.md)); on banks \
without published scores the sum is the list, with architectures, sources and facts.
"""


def page(tables: Mapping[str, pd.DataFrame], cases: Mapping[str, str]) -> str:
    """The page of the tables that the script writes, by name; cases: how far scores are trusted, by group of data."""
    lines = [HEAD, *_regrets(tables["recommendation"]), KEPT, *decision(tables["recommendation"]), TRUSTED]
    lines += [f"- {name}: {case}" for name, case in cases.items()]
    lines += [PREDICTED, *_intervals(tables["predicted_intervals"])]
    lines += [UNTRIED, _strangers(tables["untried"]), STAKES, *_at_stake(tables["stakes"])]
    if "published" in tables:
        lines += [PUBLISHED, *_regrets(tables["published"])]
    return "\n".join(lines).rstrip() + "\n"


def decision(found: pd.DataFrame) -> list[str]:
    """Whether the combination is kept, block by block: regret at most that of each of RIVALS, τ not clearly below."""
    lines = []
    for block, part in found.groupby("block", sort=False):
        row = part.set_index("method")
        rivals = [m for m in RIVALS if m in row.index]
        lost = [m for m in rivals if row.at[OURS, "regret1"] > row.at[m, "regret1"] + 1e-9]
        lost += [f"{m} (τ)" for m in rivals if row.at[m, "tau_low"] > 1e-9]
        others = row.drop(index=[OURS, *rivals])
        better = others.index[others["regret1"] < row.at[OURS, "regret1"] - 1e-9]
        named = f"; of the {len(others)} others lower: {', '.join(better) or 'none'}"
        lines.append(f"- {block}: {'not kept, behind ' + ', '.join(lost) if lost else 'kept'}{named}.")
    return lines


def _intervals(wide: pd.DataFrame) -> list[str]:
    """How often and how wide the intervals of predicted accuracies are, and where that is not as it should be."""
    head = ["targets left out", "targets", "candidates", "coverage, %", "width, points", "median width", "mean error"]
    held = list(wide.itertuples(index=False))
    rows = [[r.block, str(r.targets), str(r.candidates), *(number(v) for v in r[3:])] for r in held]
    odd = [r for r in held if not COVERAGE[0] <= r.coverage <= COVERAGE[1]]
    outside = f"is outside {COVERAGE[0]:g} to {COVERAGE[1]:g} %.\n"
    return [markdown(Grid("Intervals", head, [rows])), *(f"{r.block}: {r.coverage:.0f} % {outside}" for r in odd)]


def _strangers(new: pd.DataFrame) -> str:
    """What to expect of models of which nothing is known."""
    head = ["targets left out", "targets", "regret@1", "95 %", "τ_b", "coverage, %", "width, points"]
    rows = [
        [
            *(r.block, str(int(r.targets)), number(r.regret1, 2), between(r.low, r.high, 1)),
            *(number(r.kendall, 3), number(r.coverage), number(r.width)),
            *(number(getattr(r, f"{m}_regret1"), 2) for m in (OURS, *RIVALS)),
        ]
        for r in new.itertuples()
    ]
    return markdown(Grid("Strangers", [*head, "models known", "static list", "parc", "parc_f32"], [rows]))


def _at_stake(stakes: pd.DataFrame) -> list[str]:
    """What choosing otherwise was said to cost, and what it did."""
    head, found = ["pick", "targets", "expected", "realised"], []
    for block, part in stakes.groupby("block", sort=False):
        rows = [[r.pick, str(r.targets), number(r.expected), number(r.realised)] for r in part.itertuples()]
        found.append(markdown(Grid(f"Regret in points, {block}", head, [rows])))
    return found


def _regrets(found: pd.DataFrame) -> list[str]:
    """Block by block, every method's regret and correlation, the recommendation and the list first."""
    return [_grid(str(block), part) for block, part in found.groupby("block", sort=False)]


def _grid(block: str, part: pd.DataFrame) -> str:
    head = ["method", "regret@1", "95 %", "more", "95 %", "τ_b", "τ_w", "top-1"]
    order = part.assign(own=part["method"].map({OURS: 0, LIST: 1}).fillna(2)).sort_values(["own", "regret1"])
    rows = [
        [
            r.method,
            number(r.regret1, 2),
            between(r.low, r.high, 1),
            None if r.method == OURS else number(r.more, 2),
            None if r.method == OURS else between(r.more_low, r.more_high, 1),
            number(r.kendall, 3),
            number(r.weighted_kendall, 3),
            number(r.top1, 0),
        ]
        for r in order.itertuples()
    ]
    targets = part["targets"].iloc[0]
    return markdown(Grid(f"{block}: means over {targets} targets", head, [rows[:2], rows[2:]]))
