"""A row a candidate: its scores on the images, its facts, and what the recommender makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.cells.plan import Plan
from benchmark.cells.store import Store
from benchmark.ranking import candidates
from benchmark.ranking.candidates import Limits

if TYPE_CHECKING:
    import pandas as pd


def tabulated(made: Plan, store: Store, left_out: dict[str, str], limits: Limits) -> pd.DataFrame:
    """What the recommender learns from, and the facts that a person chooses by: a row a candidate."""
    import pandas as pd

    from benchmark.tables.gather import gather, without_vacuous

    tables = gather(made, store, {})
    scores = without_vacuous(tables.scores, tables.status).drop(columns=["Run", "Images"], errors="ignore")
    facts = ["Model", "Architecture", "Source Dataset", "Target Dataset", "Layers", "Parameters"]
    methods = [c for c in scores if c not in facts]
    mean = scores.groupby("Model")[methods].mean()
    probes = {t.model.name: store.read("probe", t.probe) for t in made.transfers}
    speeds = candidates.speeds(made.transfers, probes)
    rows = []
    for transfer in made.transfers:
        model, probe, speed = transfer.model, probes[transfer.model.name], speeds[transfer.model.name]
        if limits.speed is not None and speed < limits.speed:
            left_out[model.name] = f"{speed:.0f} images/s are measured, {limits.speed:g} asked for"
            continue
        rows.append(
            {
                "model": model.name,
                "architecture": model.arch_name,
                "source": model.source_name,
                **{name: mean.at[model.name, name] for name in methods},
                "parameters": int(probe.values["parameters"]),
                "images_per_second": speed,
                "input_size": model.input_size,
                "feature_dim": int(probe.values["feature_dim"]),
                "licence": model.licence,
                "weights": model.weights,
            }
        )
    return pd.DataFrame(rows)


def not_below(table: pd.DataFrame, constant: float | None) -> pd.DataFrame:
    """The table with no predicted accuracy below what always answering the largest class reaches, in percent."""
    if constant is None:
        return table
    columns = ["predicted_accuracy", "low", "high"]
    return table.assign(**{name: table[name].clip(lower=constant) for name in columns})


def predicted(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table best first with the recommender's columns, and in words what is at stake and what it rests on."""
    from benchmark.ranking import recommend
    from benchmark.ranking import transfers as ranking_transfers

    recommender = recommend.fit(ranking_transfers.known(candidates=table["model"]))
    found = recommender.predict(table)
    whole = found.merge(table, on="model", validate="one_to_one")
    whole.insert(0, "rank", range(1, len(whole) + 1))
    said = [str(recommender.stakes(table)), recommender.case]
    if whole["expected_regret"].max() < 1:
        said.insert(1, "All candidates are expected within a point of the best: take the fastest.")
    return whole, said
