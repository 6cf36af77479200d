"""What stands on the leaderboard: a method on a bank, its figures with intervals, from the committed tables alone."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmark.stats.pairs import REFERENCE  # noqa: E402
from benchmark.tables.committed import Committed  # noqa: E402

RESULTS = ROOT / "results"
MEASURES = (("pearson", 1), ("weighted_kendall", 2), ("regret1", 1))
"""Measures of the leaderboard and their digits."""


@dataclass(frozen=True)
class Entry:
    """A method on a bank.

    link      the file under results/ that its figures are in
    figures   measure -> mean over targets; limits: measure -> its 95 % interval, where there is one
    verdict   better or worse than the static list, where a paired test supports it
    ahead     targets on which its Pearson is above the list's, of how many where both have one
    cost      milliseconds of the method alone; scored: share of the models and targets that it has scores of
    """

    bank: str
    method: str
    yardstick: bool
    link: str
    models: int
    targets: int
    figures: Mapping[str, float]
    limits: Mapping[str, tuple[float, float]]
    verdict: str = ""
    ahead: tuple[int, int] | None = None
    cost: float | None = None
    scored: float = 1.0


def entries(name: str, held: Committed) -> list[Entry]:
    """Every method of a bank, in the order of its table."""
    rows, limits, ahead, verdict = summary(name), intervals(name), targets_ahead(name), verdicts(name)
    cost = costs(held)
    return [
        Entry(
            bank=name,
            method=str(method),
            yardstick=bool(row["yardstick"]),
            link=f"{name}/table.md",
            models=held.scores["Model"].nunique(),
            targets=held.scores["Target Dataset"].nunique(),
            figures={measure: float(row[measure]) for measure, _ in MEASURES},
            limits={m: limits[str(method), m] for m, _ in MEASURES if (str(method), m) in limits},
            verdict=verdict.get(str(method), ""),
            ahead=ahead.get(str(method)) if method != REFERENCE else None,
            cost=cost.get(str(method)),
            scored=row["scored"] / row["cells"],
        )
        for method, row in rows.iterrows()
    ]


def published() -> list[Entry]:
    """The scores that others published with a table or for one, the static list on the same cells first."""
    folder = RESULTS / "published"
    if not (folder / "methods.csv").is_file():
        return []
    means = pd.read_csv(folder / "methods.csv").query("target == 'mean'")
    lists = pd.read_csv(folder / "list.csv").pivot(index="source", columns="measure", values="list_value")
    found = []
    for size in pd.read_csv(folder / "scored.csv").itertuples():
        wide = means[means["source"] == size.source].pivot(index="method", columns="measure", values="value")
        rows = [(REFERENCE, lists.loc[size.source]), *wide.sort_values("pearson", ascending=False).iterrows()]
        found += [
            Entry(
                bank=str(size.source),
                method=str(method),
                yardstick=method == REFERENCE,
                link="published.md",
                models=int(size.models),
                targets=int(size.targets),
                figures={measure: float(row[measure]) for measure, _ in MEASURES},
                limits={},
            )
            for method, row in rows
        ]
    return found


def costs(held: Committed) -> dict[str, float]:
    """Milliseconds of each method alone, where they were taken so."""
    if held.times is None:
        return {}
    return {m: float(ms) for m, ms in held.times.set_index("method")[cost_column(held)].dropna().items()}


def cost_column(held: Committed) -> str:
    return "milliseconds" if held.times is not None and "milliseconds" in held.times else "shared_milliseconds"


def summary(name: str) -> pd.DataFrame:
    """table.csv, by method; estimators first."""
    return pd.read_csv(RESULTS / name / "table.csv").set_index("method")


def intervals(name: str) -> dict[tuple[str, str], tuple[float, float]]:
    """(method, measure) -> the 95 % interval of its mean over targets."""
    table = pd.read_csv(RESULTS / name / "intervals.csv")
    rows = table[(table["target"] == "mean") & (table["over"] == "all")].dropna(subset=["low", "high"])
    return {(r.method, r.measure): (r.low, r.high) for r in rows.itertuples()}


def verdicts(name: str) -> dict[str, str]:
    """Method -> better or worse than the static list, where a paired test supports it."""
    tests = pd.read_csv(RESULTS / name / "tests.csv")
    found = tests[(tests["measure"] == "pearson") & (tests["family"] == "static list") & tests["supported"]]
    better = {
        first: "better" for first, second in zip(found["first"], found["second"], strict=True) if second == REFERENCE
    }
    return better | {s: "worse" for f, s in zip(found["first"], found["second"], strict=True) if f == REFERENCE}


def targets_ahead(name: str) -> dict[str, tuple[int, int]]:
    """Method -> on how many targets its Pearson is above the static list's, of how many where both have one."""
    table = pd.read_csv(RESULTS / name / "correlations.csv")
    plain = table[(table["measure"] == "pearson") & (table["capacity"] == "none") & (table["target"] != "mean")]
    wide = plain.pivot(index="method", columns="target", values="mean")
    if REFERENCE not in wide.index:
        return {}
    both = wide.notna() & wide.loc[REFERENCE].notna()
    above = both & (wide > wide.loc[REFERENCE])
    return {str(m): (int(above.loc[m].sum()), int(both.loc[m].sum())) for m in wide.index}
