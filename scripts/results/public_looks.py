"""Looks at fine-tuning of their own on the public bank's targets, at two rates for all and at each model's usual one.

    python scripts/results/public_looks.py weights=<folder> data=<folder> [places=5] [minutes=60] [ways=[usual,slow]]

`methods.look` on one draw of 500 images, of the models that the static list places first on each target: all first
places before the second ones. `default` looks at the peak rate of conf/method/look.yaml, `slow` at a tenth of it;
`usual` at the middle one of the rates that were chosen for the model on the other targets. Finished looks are kept,
those of <out> too while their rate is still a model's, and the same command goes on. Writes <out>: a row a look, for
scripts/results/recommendation_table.py.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmark.cells.plan import Plan  # noqa: E402
from benchmark.cells.planner import plan  # noqa: E402
from benchmark.cells.store import Store  # noqa: E402
from benchmark.config import cli, compose  # noqa: E402
from benchmark.config.experiment import Experiment  # noqa: E402
from benchmark.config.spec import Spec  # noqa: E402
from benchmark.config.validation import experiment  # noqa: E402
from benchmark.errors import ConfigError  # noqa: E402
from benchmark.execution.compute import run as execute  # noqa: E402
from benchmark.execution.progress import Display  # noqa: E402
from benchmark.ranking import transfers  # noqa: E402
from benchmark.tables import columns  # noqa: E402

DEFAULT, SLOW = 0.05, 0.005
"""The peak rate of conf/method/look.yaml; and of a look at a model that nobody fine-tuned (benchmark.ranking.looks)."""
FOUND = ["look", "status", "seconds"]
KEYS = ["target", "model", "rate"]
"""What says which look it is."""


class Settings(Spec):
    weights: Path = Field(Path("weights"), description="folder of the public bank's weight files")
    data: Path = Field(Path("data"), description="folder of real data sets")
    cache: Path = Field(Path(".cache"), description="the store")
    places: int = Field(5, ge=2, description="models of each target that are looked at: the static list's first")
    minutes: float = Field(60.0, ge=0, description="after so many no further look is begun; 0: none at all")
    ways: list[Literal["usual", "slow", "default"]] = Field(
        ["usual", "slow", "default"], min_length=1, description="how the rates are chosen"
    )
    known: Path = Field(ROOT / "results", description="folder with the ground truths' folders")
    out: Path = Field(ROOT / "results/looks_public.csv", description="the table to write")


def wanted(folder: Path) -> pd.DataFrame:
    """A row a way and known transfer of the public bank: target, model, oracle, best, list, place, way, rate."""
    public = folder / transfers.WHERE_NEEDED["public"][0]
    truth, scores, seeds = (columns.read(public / f"{n}.parquet") for n in ("truth", "scores", "seeds"))
    known = transfers.table_of(truth, scores, "public")[["table", "group", "target", "model", "oracle"]]
    known["list"] = transfers.static_list(known)
    known["place"] = known.groupby("target")["list"].rank(ascending=False, method="first").astype(int)
    known["best"] = known.groupby("target")["oracle"].transform("max")
    own = [usual(seeds, target, model) for target, model in zip(known["target"], known["model"], strict=True)]
    rates = {"usual": own, "slow": SLOW, "default": DEFAULT}
    each = pd.concat([known.assign(way=way, rate=rate) for way, rate in rates.items()], ignore_index=True)
    return each.sort_values(["place", "way", "target"], ascending=[True, False, True], ignore_index=True)


def usual(seeds: pd.DataFrame, target: str, model: str) -> float:
    """The middle one of the rates that were chosen for a model on the other targets, the lower of two."""
    rates = sorted(seeds[(seeds["Model"] == model) & (seeds[columns.TARGET] != target)]["Rate"])
    return float(rates[(len(rates) - 1) // 2]) if rates else DEFAULT


def planned(settings: Settings, rate: float) -> tuple[Experiment, Plan]:
    paths = [f"paths.{name}={getattr(settings, name)}" for name in ("data", "weights", "cache")]
    own = [f"method.look.rate={rate}", "executor.workers=0", "probe.draws=1"]
    spec = experiment(compose.compose(["experiment=public", "method=look", *paths, *own]))
    return spec, plan(spec)


def look(rows: pd.DataFrame, plans: dict[float, tuple[Experiment, Plan]], store: Store, minutes: float) -> None:
    """Make the looks that are missing, one after the other, until time is up."""
    end = time.monotonic() + 60 * minutes
    at = {(t.target.name, t.model.name, rate): t for rate, (_, made) in plans.items() for t in made.transfers}
    for row in rows.itertuples():
        if time.monotonic() >= end:
            return
        spec, made = plans[row.rate]
        if row.model in made.unavailable:
            raise ConfigError(f"{row.model}: {made.unavailable[row.model]}")
        one = replace(made, transfers=[replace(at[row.target, row.model, row.rate], truth=())])
        if missing := one.missing(store):
            with Display(len(missing)) as display:
                execute(missing, made.cells, store, spec.executor, display)


def looked(
    rows: pd.DataFrame, plans: dict[float, tuple[Experiment, Plan]], store: Store, before: pd.DataFrame
) -> pd.DataFrame:
    """The rows that have a look, here or in a table of `before`, with look (missing where its status says why), status
    and seconds."""
    keys = {
        (t.target.name, t.model.name, rate): t.scores["look"]
        for rate, (_, made) in plans.items()
        for t in made.transfers
    }
    kept = before.drop_duplicates(KEYS).set_index(KEYS)[FOUND].to_dict("index")
    found = []
    for row in rows.to_dict("records"):
        name = row["target"], row["model"], row["rate"]
        if (key := keys.get(name)) and store.has("score", key):
            cell = store.read("score", key)
            values = cell.values["scores"][0], cell.values["status"][0], cell.record["milliseconds"][0] / 1000
            found.append(row | dict(zip(FOUND, values, strict=True)))
        elif name in kept:
            found.append(row | kept[name])
    return pd.DataFrame(found)


def run(settings: Settings) -> int:
    rows = wanted(settings.known)
    before = pd.read_csv(settings.out) if settings.out.is_file() else pd.DataFrame(columns=[*KEYS, *FOUND])
    plans = {rate: planned(settings, rate) for rate in sorted(set(rows["rate"]))}
    store = Store(settings.cache, next(iter(plans.values()))[0].paths.released)
    first = rows[(rows["place"] <= settings.places) & rows["way"].isin(settings.ways)]
    there = pd.MultiIndex.from_frame(before[KEYS])
    look(first[~pd.MultiIndex.from_frame(first[KEYS]).isin(there)], plans, store, settings.minutes)
    found = looked(rows, plans, store, before)
    columns.save(found.drop(columns=["table", "group"], errors="ignore"), settings.out)
    print(f"{len(found)} looks in {settings.out}")
    return 0


def main(argv: list[str] | None = None) -> int:
    return cli.settings(run, Settings, __doc__ or "", argv)


if __name__ == "__main__":
    raise SystemExit(main())
