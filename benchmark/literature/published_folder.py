"""What was found in published tables, written to a folder and as one Markdown page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.files import put, together
from benchmark.literature import further_banks
from benchmark.literature.banks import banks, everything, with_scores
from benchmark.literature.comparison import (
    FLAG,
    MEASURES,
    against_list,
    agreements,
    beside_reported,
    intervals,
    list_wins,
    measure,
    of_methods,
    spider_reported,
    tllib_reported,
)
from benchmark.literature.published_tables import Bank
from benchmark.literature.sources import SOURCES, read
from benchmark.reporting import layout
from benchmark.tables.columns import save
from benchmark.wording import said


def _page(
    made: Sequence[Bank],
    yardsticks: pd.DataFrame,
    methods: pd.DataFrame,
    wins: pd.DataFrame,
    agreed: pd.DataFrame,
    reported: pd.DataFrame,
    warnings: Sequence[str],
    stems: Sequence[str],
) -> str:
    """results/published.md."""
    mean = yardsticks[yardsticks["target"] == "mean"].set_index(["source", "method", "measure"])["value"]
    lines = [
        "# Everybody's numbers",
        "",
        "Made by `python -m benchmark.published path=<folder of the tables> out=<dir> page=results/published.md`.",
        "The tables are not part of this project; where each comes from is at the end.",
        "",
        "## What never looks at the target's images",
        "",
        "A yardstick is a score that anybody has before seeing a single image of the target. `static_list`: each "
        "model's mean standardised accuracy on the other targets of the same table. `layers`, `parameters`, "
        "`source_accuracy`, `source_size` belong to the model; `imagenet`: whether it was trained on ImageNet; "
        "`heuristic`: the paper's Eq. 4, `heuristic_released` its code's formula; `random`: mean over all "
        "orders of the models. Pearson ×100 and Kendall's τ_b with 95 % bootstrap intervals over models and targets, "
        "scipy's weighted τ, and regret@1: how many points the model at the top of the list loses against the best.",
        "",
    ]
    blocks: list[list[list[str | None]]] = []
    for bank in made:
        block: list[list[str | None]] = []
        held = everything(bank)
        limits = intervals(bank, {n: s for n, s in held.items() if n != "random"})
        for method in held:
            value = [float(mean[bank.name, method, name]) for name in MEASURES]
            pearson, kendall = (limits.get((method, name), (np.nan, np.nan)) for name in ("pearson", "kendall"))
            block.append(
                [
                    bank.name,
                    method,
                    layout.number(value[0]),
                    layout.between(*pearson),
                    layout.number(value[1], 3),
                    layout.between(*kendall, 2),
                    layout.number(value[2], 3),
                    layout.number(value[3], 2),
                ]
            )
        blocks.append(block)
    head = ["table", "yardstick", "Pearson", "95 %", "τ_b", "95 %", "τ_w", "regret@1"]
    lines += [layout.markdown(layout.Grid("Mean over targets", head, blocks, left=2)), ""]
    for bank in made:
        lines.append(
            f"- {bank.name}: {len(bank.targets)} targets × {len(bank.models)} models, "
            f"{int(np.isfinite(bank.truth).sum())} accuracies. {bank.note}".rstrip()
        )
    six = yardsticks[yardsticks["target"] == "mean6"].set_index(["source", "method", "measure"])["value"]
    if len(six):
        rows = [
            [source, method, *(layout.number(float(six[source, method, n]), d) for n, d in _DIGITS)]
            for source, method in dict.fromkeys((s, m) for s, m, _ in six.index)
        ]
        grid = layout.Grid(
            "The paper's banks over its six targets (without VOC2007 as a target, which still counts for the list)",
            ["table", "yardstick", "Pearson", "τ_b", "τ_w", "regret@1"],
            [rows],
            left=2,
        )
        lines += ["", layout.markdown(grid)]
    lines += ["", "## Do the ground truths agree?", ""]
    for first, second in dict.fromkeys(zip(agreed["first"], agreed["second"], strict=True)):
        part = agreed[(agreed["first"] == first) & (agreed["second"] == second)]
        if (part["value"] > np.where(part["measure"] == "pearson", 100, 1) - 1e-9).all():
            lines += [f"{first} and {second} give the same accuracies for the models that they share.", ""]
            continue
        wide = part.pivot(index="target", columns="measure", values="value")
        order = [t for t in wide.index if t != "mean"]
        cells = [
            [t, layout.number(wide.at[t, "pearson"]), *(layout.number(wide.at[t, n], 2) for n in _RANKED)]
            for t in [*order, "mean"]
        ]
        title = f"{first} against {second}: the same {part['models'].iloc[0]} models, accuracies after fine-tuning"
        lines += [
            layout.markdown(layout.Grid(title, ["target", "Pearson", "τ_b", "τ_w"], [cells[:-1], cells[-1:]])),
            "",
        ]
    lines += [
        "Where the same networks, fine-tuned on the same data sets by two groups, come out in another order, the "
        "recipe is part of the benchmark, and a score tuned to one table can be wrong on the other.",
        "",
        "## Published scores, recomputed",
        "",
    ]
    means = methods[methods["target"] == "mean"].pivot(index=["source", "method"], columns="measure", values="value")
    means = means.reindex(columns=list(MEASURES))
    rows = [
        [source, method, *(layout.number(value[n], d) for n, d in _DIGITS)]
        for (source, method), value in means.sort_values(
            ["source", "weighted_kendall"], ascending=[True, False]
        ).iterrows()
    ]
    grid = layout.Grid("Mean over targets", ["table", "method", "Pearson", "τ_b", "τ_w", "regret@1"], [rows], left=2)
    lines += [layout.markdown(grid), ""]
    lines += _list_against_methods(wins)
    for source, part in reported.groupby("source", sort=False):
        flagged = part[part["flagged"]]
        if source.startswith("model_spider"):
            lines += [
                "Model Spider's scores come without its own accuracies, which its reported means are over; TLLib's "
                "stand in, so a difference here is one of ground truth.",
                "",
            ]
        lines.append(
            f"{source}: {len(part)} correlations are reported, {len(part) - len(flagged)} come out again within "
            f"{FLAG}, {len(flagged)} do not{':' if len(flagged) else '.'}"
        )
        if len(flagged):
            cells = [
                [
                    r.target,
                    r.method,
                    r.measure,
                    *(layout.number(v, 3) for v in (r.reported, r.recomputed, r.difference)),
                ]
                for r in flagged.itertuples()
            ]
            head = ["target", "method", "measure", "reported", "recomputed", "difference"]
            lines += ["", layout.markdown(layout.Grid("Flagged", head, [cells], left=3))]
        lines.append("")
    lines += ["## Where the tables come from", ""]
    rows = [[f"{s}.csv", SOURCES[s].about, SOURCES[s].origin, SOURCES[s].sha256[:12]] for s in stems]
    lines.append(layout.markdown(layout.Grid("Files", ["file", "what", "source", "SHA-256"], [rows], left=4)))
    out = "; ".join(f"{stem} ({why})" for stem, why in further_banks.OUT.items())
    lines += ["", f"Looked at and not read, since they hold no ground truth of fine-tuning of that size: {out}."]
    lines += [f"- Warning: {w}" for w in warnings]
    return "\n".join(lines).rstrip() + "\n"


def _list_against_methods(wins: pd.DataFrame) -> list[str]:
    """The page's answer to: does a list that ignores the target beat what was published with each table?"""
    if wins.empty:
        return []
    sources = wins["source"].nunique()
    ahead = wins[wins["beaten"] == wins["methods"]].groupby("measure").size()
    counts = ", ".join(f"{MEASURE_NAMES[m]} on {ahead.get(m, 0)}" for m in MEASURES)
    cells = [
        [
            r.source,
            MEASURE_NAMES[r.measure],
            *(layout.number(v, dict(_DIGITS)[r.measure]) for v in (r.list_value, r.best_value)),
            r.best,
            f"{r.beaten} of {r.methods}",
        ]
        for r in wins.itertuples()
    ]
    head = ["table", "measure", "static list", "best method", "which", "list ahead of"]
    grid = layout.Grid("The static list beside the scores published with a table, on the same cells", head, [cells], 2)
    return [
        f"Of the {sources} tables that come with scores, the static list is ahead of every method that was published "
        f"with it in {counts}.",
        "",
        layout.markdown(grid),
        "",
    ]


MEASURE_NAMES = {"pearson": "Pearson", "kendall": "τ_b", "weighted_kendall": "τ_w", "regret1": "regret@1"}
_DIGITS = (("pearson", 1), ("kendall", 3), ("weighted_kendall", 3), ("regret1", 2))
_RANKED = ("kendall", "weighted_kendall")


def write(folders: Sequence[Path], out: Path, page: Path | None = None, tell: Callable[[str], None] = print) -> None:
    """yardsticks, methods, scored, list, agreement and reported.csv, and published.md, from folders' tables."""
    tables, warnings = {}, []
    for stem in SOURCES:
        if folder := next((f for f in folders if (f / f"{stem}.csv").is_file()), None):
            tables[stem], warning = read(folder, stem)
            warnings += [warning] if warning else []
    if not tables:
        places = " and ".join(map(str, folders))
        raise ValueError(f"path must be a folder with published tables. Got {places}: none of {', '.join(SOURCES)}.")
    for warning in warnings:
        tell(f"warning: {warning}")
    try:
        _write(tables, warnings, out, page, tell)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError) as error:
        if not warnings:  # the files are those that were checked: the fault is here
            raise
        files = ", ".join(warning.partition(" ")[0] for warning in warnings)
        raise ValueError(
            f"{files} must be as published. Got another content, of which nothing can be made "
            f"({said(error)}). Take it from {SOURCES[files.split('.csv')[0]].origin}."
        ) from error


def _write(
    tables: Mapping[str, pd.DataFrame],
    warnings: Sequence[str],
    out: Path,
    page: Path | None,
    tell: Callable[[str], None],
) -> None:
    made = banks(tables)
    by_name = {bank.name: bank for bank in made}
    scored = [bank for bank in made if bank.methods]
    if "model_spider_scores" in tables:
        scored += [
            with_scores(by_name[n], tables["model_spider_scores"]) for n in ("tllib", "sfda_supervised") if n in by_name
        ]
    columns = ["source", "target", "method", "measure", "value"]
    counted = [(bank.name, len(bank.models), len(bank.targets)) for bank in scored]
    sizes = pd.DataFrame(counted, columns=["source", "models", "targets"])
    yardsticks = (
        pd.concat([pd.DataFrame(columns=columns), *map(measure, made)]) if made else pd.DataFrame(columns=columns)
    )
    methods = pd.concat(map(of_methods, scored)) if scored else pd.DataFrame(columns=columns)
    nothing = pd.DataFrame(columns=["first", "second", "target", "models", "measure", "value"])
    agreed = pd.concat([nothing, *agreements(made)])
    against = [against_list(bank) for bank in scored]
    wins = list_wins(pd.concat(against)) if against else pd.DataFrame(columns=["source", "measure"])
    beside = []
    if "tllib" in by_name and "tllib_reported" in tables:
        beside.append(beside_reported(of_methods(by_name["tllib"]), tllib_reported(tables["tllib_reported"]), "tllib"))
    spider = "model_spider_scores × tllib"
    if any(bank.name == spider for bank in scored):
        beside.append(beside_reported(methods[methods["source"] == spider], spider_reported(), spider))
    reported = pd.concat(beside) if beside else pd.DataFrame(columns=["source", "flagged"])
    out.mkdir(parents=True, exist_ok=True)
    with together():
        for name, table in (
            ("yardsticks", yardsticks),
            ("methods", methods),
            ("scored", sizes),
            ("agreement", agreed),
            ("reported", reported),
            ("list", wins),
        ):
            save(table, out / f"{name}.csv")
        text = _page(made, yardsticks, methods, wins, agreed, reported, warnings, list(tables))
        put(out / "published.md", text)
        if page is not None:
            page.parent.mkdir(parents=True, exist_ok=True)
            put(page, text)
    tell(f"{len(made)} ground truths, {len(yardsticks)} values in {out}/yardsticks.csv")
