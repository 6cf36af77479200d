"""The page of published tables: yardsticks, do ground truths agree, scores recomputed and as they are reported."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.literature import further_banks
from benchmark.literature.banks import everything
from benchmark.literature.comparison import FLAG, MEASURES, intervals
from benchmark.literature.published_tables import Bank
from benchmark.literature.sources import SOURCES
from benchmark.reporting.layout import Grid, between, markdown, number

NAMES = {"pearson": "Pearson", "kendall": "τ_b", "weighted_kendall": "τ_w", "regret1": "regret@1"}
DIGITS = {"pearson": 1, "kendall": 3, "weighted_kendall": 3, "regret1": 2}
HEAD = """# Everybody's numbers

Made by `python -m benchmark.published path=<folder of the tables> out=<dir> page=results/published.md`.
The tables are not part of this project; where each comes from is at the end.

## What never looks at the target's images

A yardstick is a score that anybody has before seeing a single image of the target. `static_list`: each \
model's mean standardised accuracy on the other targets of the same table. `layers`, `parameters`, \
`source_accuracy`, `source_size` belong to the model; `imagenet`: whether it was trained on ImageNet; \
`heuristic`: the paper's Eq. 4, `heuristic_released` its code's formula; `random`: mean over all \
orders of the models. Pearson ×100 and Kendall's τ_b with 95 % bootstrap intervals over models and targets, \
scipy's weighted τ, and regret@1: how many points the model at the top of the list loses against the best.
"""
AGREE = "\n## Do the ground truths agree?\n"
RECIPES = """Where the same networks, fine-tuned on the same data sets by two groups, come out in another order, the \
recipe is part of the benchmark, and a score tuned to one table can be wrong on the other.

## Published scores, recomputed
"""
SPIDER = """Model Spider's scores come without its own accuracies, which its reported means are over; TLLib's \
stand in, so a difference here is one of ground truth.
"""
ORIGINS = "## Where the tables come from\n"


def page(
    banks: Sequence[Bank], tables: Mapping[str, pd.DataFrame], warnings: Sequence[str], stems: Sequence[str]
) -> str:
    """results/published.md.

    tables  by the names of their files: yardsticks, methods, list, agreement, reported
    stems   the names of the files that were read
    """
    lines = [HEAD, *_yardsticks(banks, tables["yardsticks"]), *map(_about, banks), *_six(tables["yardsticks"])]
    lines += [AGREE, *_agreement(tables["agreement"]), RECIPES, _recomputed(tables["methods"])]
    lines += [*_list_against_methods(tables["list"]), *_beside_reported(tables["reported"])]
    rows = [[f"{s}.csv", SOURCES[s].about, SOURCES[s].origin, SOURCES[s].sha256[:12]] for s in stems]
    lines += [ORIGINS, markdown(Grid("Files", ["file", "what", "source", "SHA-256"], [rows], left=4))]
    out = "; ".join(f"{stem} ({why})" for stem, why in further_banks.OUT.items())
    lines += ["", f"Looked at and not read, since they hold no ground truth of fine-tuning of that size: {out}."]
    lines += [f"- Warning: {w}" for w in warnings]
    return "\n".join(lines).rstrip() + "\n"


def _yardsticks(banks: Sequence[Bank], yardsticks: pd.DataFrame) -> list[str]:
    """Bank by bank, the mean over targets of every yardstick and published score, with intervals."""
    mean = yardsticks[yardsticks["target"] == "mean"].set_index(["source", "method", "measure"])["value"]
    blocks: list[list[list[str | None]]] = []
    for bank in banks:
        held = everything(bank)
        limits = intervals(bank, {n: s for n, s in held.items() if n != "random"})
        block: list[list[str | None]] = []
        for method in held:
            shown = {n: number(float(mean[bank.name, method, n]), digits) for n, digits in DIGITS.items()}
            pearson, kendall = (limits.get((method, name), (np.nan, np.nan)) for name in ("pearson", "kendall"))
            row = [bank.name, method, shown["pearson"], between(*pearson), shown["kendall"], between(*kendall, 2)]
            block.append([*row, shown["weighted_kendall"], shown["regret1"]])
        blocks.append(block)
    head = ["table", "yardstick", "Pearson", "95 %", "τ_b", "95 %", "τ_w", "regret@1"]
    return [markdown(Grid("Mean over targets", head, blocks, left=2)), ""]


def _about(bank: Bank) -> str:
    accuracies = int(np.isfinite(bank.truth).sum())
    size = f"{len(bank.targets)} targets × {len(bank.models)} models, {accuracies} accuracies"
    return f"- {bank.name}: {size}. {bank.note}".rstrip()


def _six(yardsticks: pd.DataFrame) -> list[str]:
    """The yardsticks over the six targets of the paper, where its banks are among the tables."""
    six = yardsticks[yardsticks["target"] == "mean6"].set_index(["source", "method", "measure"])["value"]
    rows = {(s, m): {n: six[s, m, n] for n in MEASURES} for s, m, _ in six.index}
    title = "The paper's banks over its six targets (without VOC2007 as a target, which still counts for the list)"
    return ["", _measures(title, "yardstick", rows)] if rows else []


def _measures(title: str, of: str, rows: Mapping[tuple[Hashable, Hashable], Mapping[str, float]]) -> str:
    """A table of the measures of (source, yardstick or method)."""
    cells = [[str(s), str(m), *(number(float(v[n]), d) for n, d in DIGITS.items())] for (s, m), v in rows.items()]
    return markdown(Grid(title, ["table", of, *NAMES.values()], [cells], left=2))


def _agreement(agreed: pd.DataFrame) -> list[str]:
    """How far two ground truths order the models that they share alike, target by target."""
    lines = []
    for (first, second), part in agreed.groupby(["first", "second"], sort=False):
        if (part["value"] > np.where(part["measure"] == "pearson", 100, 1) - 1e-9).all():
            lines += [f"{first} and {second} give the same accuracies for the models that they share.", ""]
            continue
        wide = part.pivot(index="target", columns="measure", values="value")
        ranked = ("kendall", "weighted_kendall")
        cells = [
            [t, number(wide.at[t, "pearson"]), *(number(wide.at[t, n], 2) for n in ranked)]
            for t in [*(t for t in wide.index if t != "mean"), "mean"]
        ]
        title = f"{first} against {second}: the same {part['models'].iloc[0]} models, accuracies after fine-tuning"
        lines += [markdown(Grid(title, ["target", "Pearson", "τ_b", "τ_w"], [cells[:-1], cells[-1:]])), ""]
    return lines


def _recomputed(methods: pd.DataFrame) -> str:
    """Mean over targets of what was published as scores, the best first."""
    means = methods[methods["target"] == "mean"].pivot(index=["source", "method"], columns="measure", values="value")
    ordered = means.reindex(columns=list(MEASURES)).sort_values(["source", "weighted_kendall"], ascending=[True, False])
    rows = {(source, method): value for (source, method), value in ordered.iterrows()}
    return _measures("Mean over targets", "method", rows) + "\n"


def _list_against_methods(wins: pd.DataFrame) -> list[str]:
    """The page's answer to: does a list that ignores the target beat what was published with each table?"""
    if wins.empty:
        return []
    sources = wins["source"].nunique()
    ahead = wins[wins["beaten"] == wins["methods"]].groupby("measure").size()
    counts = ", ".join(f"{NAMES[m]} on {ahead.get(m, 0)}" for m in MEASURES)
    cells = [
        [
            r.source,
            NAMES[r.measure],
            *(number(v, DIGITS[r.measure]) for v in (r.list_value, r.best_value)),
            r.best,
            f"{r.beaten} of {r.methods}",
        ]
        for r in wins.itertuples()
    ]
    head = ["table", "measure", "static list", "best method", "which", "list ahead of"]
    grid = Grid("The static list beside the scores published with a table, on the same cells", head, [cells], 2)
    return [
        f"Of the {sources} tables that come with scores, the static list is ahead of every method that was published "
        f"with it in {counts}.",
        "",
        markdown(grid),
        "",
    ]


def _beside_reported(reported: pd.DataFrame) -> list[str]:
    """Which of the correlations that papers report come out again, and those that do not."""
    lines = []
    head = ["target", "method", "measure", "reported", "recomputed", "difference"]
    for source, part in reported.groupby("source", sort=False):
        flagged = part[part["flagged"]]
        lines += [SPIDER] if source.startswith("model_spider") else []
        lines.append(
            f"{source}: {len(part)} correlations are reported, {len(part) - len(flagged)} come out again within "
            f"{FLAG}, {len(flagged)} do not{':' if len(flagged) else '.'}"
        )
        if len(flagged):
            cells = [
                [r.target, r.method, r.measure, *(number(v, 3) for v in (r.reported, r.recomputed, r.difference))]
                for r in flagged.itertuples()
            ]
            lines += ["", markdown(Grid("Flagged", head, [cells], left=3))]
        lines.append("")
    return lines
