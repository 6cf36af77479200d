"""Whether what a table of scores says rests on models that descend from one another: each lineage left out in turn.

Models of one lineage (a bank's `lineage`) were trained one from another, or are variants of one training: they are
near-copies, which a correlation counts as if they were independent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from benchmark.reporting import layout
from benchmark.stats import correlations, measures, resampling
from benchmark.stats.yardsticks import with_yardsticks
from benchmark.wording import some

LINEAGE = "Lineage"
WHOLE, OF_LINEAGE, OF_FAMILY = "none", "lineage", "largest family"
MEASURES = ("pearson", "kendall", "regret1")


def left_out(
    scores: pd.DataFrame,
    truth: pd.DataFrame,
    lineages: Mapping[str, str] | None = None,
    exclude_sources: Iterable[str] = (),
) -> pd.DataFrame:
    """The mean agreement of each method with the accuracies, with each lineage and the largest family left out in turn.

    scores, truth  tables with the paper's columns and `Model` (see `benchmark.tables`); scores that count as missing
                   must be missing
    lineages       {model: lineage}; None: the column `Lineage` of truth, empty for models without relatives
    returns        a row for each case and method: factor (none, lineage, largest family), left_out, models (left),
                   method, pearson (×100, higher is better), kendall (τ_b, higher is better), regret1 (points between
                   the best model and the one that is picked, lower is better), each a mean over targets and draws, and
                   rank (1 = the highest Pearson)
    The yardsticks are worked out anew without the models, so the static list is the one that somebody without them
    would have. Scores that are combined over the bank (such as rank fusions) are those of the whole bank.
    Raises ValueError where no model has a lineage, and where too few models are left for a correlation.
    """

    for name, table in (("scores", scores), ("truth", truth)):
        if "Model" not in table:
            raise ValueError(f"{name} must have a column 'Model'. Got {', '.join(map(str, table.columns[:6]))}.")
    if lineages is None:
        known = truth.dropna(subset=LINEAGE) if LINEAGE in truth else truth.iloc[:0]
        lineages = dict(zip(known["Model"], known[LINEAGE], strict=True)) if len(known) else {}
    groups: dict[str, set[str]] = {}
    for model in dict.fromkeys(truth["Model"]):
        if lineages.get(model):
            groups.setdefault(lineages[model], set()).add(model)
    if not groups:
        raise ValueError("truth must state the lineage of some model. Got none. Add a column 'Lineage'.")
    cases = [(WHOLE, "", set()), *((OF_LINEAGE, name, groups[name]) for name in sorted(groups))]
    cases.append((OF_FAMILY, *largest_family(truth["Model"])))
    parts = []
    for factor, name, gone in cases:
        few = truth[~truth["Model"].isin(gone)]
        if few["Model"].nunique() < measures.FEWEST:
            raise ValueError(
                f"at least {measures.FEWEST} models must be left. Got {few['Model'].nunique()} without {factor} {name}."
            )
        kept = with_yardsticks(_bare(scores[~scores["Model"].isin(gone)]), few, exclude_sources)
        found = correlations.correlate(kept, few, exclude_sources, capacity=False)
        regret = resampling.estimates(found.aligned.scores["none"], found.aligned.truth, ("regret1",))["regret1"]
        one = pd.DataFrame({"method": found.aligned.methods})
        for measure in ("pearson", "kendall"):
            one[measure] = [found.mean(method, measure) for method in one["method"]]
        one["regret1"] = measures.nanmean(measures.nanmean(regret, -1), -1)
        one["rank"] = one["pearson"].rank(ascending=False, method="min").astype("Int64")
        one.insert(0, "models", len(found.aligned.models))
        one.insert(0, "left_out", name)
        one.insert(0, "factor", factor)
        parts.append(one)
    return pd.concat(parts, ignore_index=True)


def _bare(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores without yardsticks that depend on which models there are."""
    return scores.drop(columns=["static_list", LINEAGE], errors="ignore")


def largest_family(models: Iterable[str]) -> tuple[str, set[str]]:
    """The family with most models, and these: names up to their first number, `tf_` and the v of a version aside.

    mobilenetv1_025_128-imagenet and mobilenetv2_100 are `mobilenet`; of families of one size the first by name.
    """
    family = {name: _family(name) for name in models}
    count = Counter(family.values())
    largest = min(count, key=lambda name: (-count[name], name))
    return largest, {name for name, own in family.items() if own == largest}


def _family(model: str) -> str:
    found = re.match(r"(?:tf_)?([a-z]+?)(?:v?\d|[^a-z]|$)", model.lower())
    return found[1] if found else model


def verdict(table: pd.DataFrame, against: str = "static_list") -> list[str]:
    """In sentences: in which cases which methods are ahead of a yardstick, in mean Pearson and in regret."""
    said = []
    for (factor, name), rows in table.groupby(["factor", "left_out"], sort=False):
        own = rows[rows["method"] == against]
        if own.empty or not np.isfinite(own["pearson"].iloc[0]):
            continue
        ahead = rows[rows["pearson"] > own["pearson"].iloc[0]]["method"].tolist()
        cheaper = rows[rows["regret1"] < own["regret1"].iloc[0]]["method"].tolist()
        what = "All models" if factor == WHOLE else f"Without {factor} {name}"
        said.append(
            f"{what} ({rows['models'].iloc[0]}): ahead of {against} in mean Pearson {_some(ahead)}; in regret "
            f"{_some(cheaper)}."
        )
    return said


def _some(names: list[str]) -> str:
    return some(names, 4) or "no method"


def grid(table: pd.DataFrame, measure: str = "pearson") -> pd.DataFrame:
    """A measure with a row a method, the best of the whole bank first, and a column a case."""
    cases = list(dict.fromkeys(zip(table["factor"], table["left_out"], strict=True)))
    wide = table.pivot(index="method", columns=["factor", "left_out"], values=measure)[cases]
    return wide.sort_values(cases[0], ascending=measure.startswith("regret"), kind="stable")


def markdown(table: pd.DataFrame) -> str:
    """The three measures as tables, and the verdicts."""
    titles = {
        "pearson": "Mean Pearson ×100 (higher is better)",
        "kendall": "Mean Kendall's τ_b (higher is better)",
        "regret1": "Mean regret of the one pick in points (lower is better)",
    }
    digits = {"pearson": 1, "kendall": 3, "regret1": 2}
    models = table.drop_duplicates(["factor", "left_out"]).set_index(["factor", "left_out"])["models"]
    lines = [*(f"- {sentence}" for sentence in verdict(table)), ""]
    for measure in MEASURES:
        wide = grid(table, measure)
        heads = [f"{'all' if factor == WHOLE else f'without {name}'} ({models[factor, name]})" for factor, name in wide]
        lines += [f"{titles[measure]}; in brackets the models that are left:", ""]
        lines += [f"| method | {' | '.join(heads)} |", f"|:--|{'--:|' * len(heads)}"]
        for method, row in wide.iterrows():
            shown = (layout.number(v, digits[measure]) or layout.MISSING for v in row)
            lines.append(f"| {method} | {' | '.join(shown)} |")
        lines.append("")
    return "\n".join(lines)
