"""What a short look at fine-tuning adds to the static list: from recorded losses, and from looks of its own.

    python scripts/results/look_table.py [places=5] [tables=[diverse,small]] [minutes=60] [data=data]

Every known target (results/diverse_all, results/rank, results/small) in turn, its sum learned without it. Recorded: the
losses that the committed fine-tunings kept, at the rate that was chosen for each model. Looks (`methods.look`, one draw
of 500 images): of the models that list and scores place first on each target, all first places before the second ones,
as many as `minutes` allow; finished ones are kept, and the same command goes on. Writes <out>.csv, a row a model and
target, and <out>.md.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmark import provenance  # noqa: E402
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
from benchmark.files import put  # noqa: E402
from benchmark.ranking import recommend, transfers, weighted_sum  # noqa: E402
from benchmark.ranking.choices import between, judged  # noqa: E402
from benchmark.ranking.weighted_sum import CELL  # noqa: E402
from benchmark.reporting import layout  # noqa: E402
from benchmark.stats import measures  # noqa: E402
from benchmark.tables.columns import save  # noqa: E402

WINDOWS = {"recorded 15–25 %": (3, 5), "recorded 10–30 %": (2, 6), "recorded 10–50 %": (2, 10), "warm-up": (0, 2)}
"""Points of the twenty that a fine-tuning keeps of its loss, each a twentieth of its steps: from, to."""
PLAIN = ("regret", "list"), ("regret", "recommendation")
KEYS = [*CELL, "model"]
KEPT = [*KEYS, "oracle", "place", "list", "scores", "recommendation", "parc_f32"]
OWN = ["look", "status", "seconds", "pixels"]

TEXT = """# What a short look at fine-tuning adds to the static list

The static list (mean standardised accuracy on the other targets) is what every score of frozen features has to beat.
Here the mean training loss of the first steps of a fine-tuning, each batch's before its update, is added to it. Parts
count in deviations within the target, clipped at ±3; weights are learned by ridge least squares on the other targets of
the same table (λ = rows/36), or fixed. Accuracies are treated as angles. regret@1: points lost by taking the first;
intervals are 95 % over resampled targets, all tables of a target together; τ_w: the weighted Kendall correlation.

## From the losses that fine-tunings kept

{recorded}
{cells} targets and tables, {rows} models in all. The losses are those of the very fine-tunings whose accuracies are
predicted, at the rate that was chosen for each model; nothing of the target's accuracies enters. The recommendation is
today's `benchmark.ranking.recommend`; scores are the mean of its five ({five}).

## From looks of their own

`methods.look` as it is by default (40 steps of 32, peak rate 0.05, one head, batches and crops for all models), on one
draw of 500 training images (half of the training part where that has fewer than 1,000), for the first {places} of each
target by list and scores (weights from the other targets): {looks} looks. The sums choose among these {places}, with
weights learned among the first {places} of other targets; `list` is the list's first of all. Regrets are against the
best of all candidates; recorded losses beside it are of the same models.

{own}
Correlation of a score with accuracy among these {places}, mean over targets: {correlations}.

Seconds of a look on the clock, weights and images loaded, one thread, while a dozen other processes shared the two
cores: {seconds}.

{lines}
`{command}` on {hardware}, {versions}, commit {commit}. Per model and target: look.csv.
"""


class Settings(Spec):
    places: int = Field(5, ge=2, description="models of each target that are looked at: the first by list and scores")
    minutes: float = Field(60.0, ge=0, description="after so many no further look is begun; 0: none at all")
    tables: tuple[str, ...] = Field(tuple(transfers.TABLES), description="ground truths whose targets are looked at")
    known: Path = Field(ROOT / "results", description="folder with the ground truths' folders")
    data: Path = Field(Path("data"), description="folder of real data sets")
    cache: Path = Field(Path(".cache"), description="the store")
    out: Path = Field(ROOT / "results/look", description="files to write, without their ending")


def composed(settings: Settings, table: str) -> Experiment:
    own = f"paths.data={settings.data}", f"paths.cache={settings.cache}", "executor.workers=0", "probe.draws=1"
    return experiment(compose.compose([f"experiment={table}", "method=look", *own]))


def recorded(made: Plan, store: Store, table: str) -> pd.DataFrame:
    """KEYS and minus the mean loss in each of WINDOWS, of the first seed's fine-tuning, where it is finished."""
    rows = []
    for transfer in made.transfers:
        if not store.has("truth", transfer.truth[0]):
            continue
        curve = store.read("truth", transfer.truth[0]).values["curve"]
        seen = {name: -float(np.mean(curve[a:b])) for name, (a, b) in WINDOWS.items()}
        rows.append({"table": table, "target": transfer.target.name, "model": transfer.model.name, **seen})
    return pd.DataFrame(rows)


def candidates(known: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Known transfers with recorded losses, the list, the mean of the scores, today's recommendation, and their place.

    The place is by list and scores, weighted as the other targets say: what is known before any look.
    """
    both = known.merge(curves, on=KEYS, validate="1:1").reset_index(drop=True)
    both["list"] = transfers.static_list(both)
    both["scores"] = weighted_sum.standardised(both, transfers.METHODS)[[*transfers.METHODS]].mean(axis=1)
    today = recommend.leave_one_out(both)
    today["recommendation"] = -today.groupby(CELL).cumcount().astype(float)
    both = both.merge(today[[*KEYS, "recommendation"]], on=KEYS, validate="1:1")
    z = weighted_sum.standardised(both, ("list", "scores"))
    both["known before"] = weighted_sum.left_out(z, ("list", "scores"))
    both["place"] = both.groupby(CELL)["known before"].rank(ascending=False, method="first").astype(int)
    return both


def look_at(
    plans: Mapping[str, tuple[Experiment, Plan]], store: Store, table: pd.DataFrame, settings: Settings
) -> None:
    """Look at the first places of every target, then at the second ones, until time is up."""
    end = time.monotonic() + 60 * settings.minutes
    for place in range(1, settings.places + 1):
        for name, (spec, made) in ((n, plans[n]) for n in settings.tables):
            rows = table[(table["table"] == name) & (table["place"] == place)]
            wanted = set(zip(rows["target"], rows["model"], strict=True))
            for transfer in (t for t in made.transfers if (t.target.name, t.model.name) in wanted):
                if time.monotonic() > end:
                    return
                one = replace(made, transfers=[replace(transfer, truth=())])
                missing = one.missing(store)
                with Display(len(missing)) as display:
                    execute(missing, made.cells, store, spec.executor, display)


def looked(made: Plan, store: Store, table: str) -> pd.DataFrame:
    """KEYS, look (missing where it has a status), status, seconds, pixels of the model's images."""
    rows = []
    for transfer in made.transfers:
        if store.has("score", key := transfer.scores["look"]):
            found = store.read("score", key)
            named = table, transfer.target.name, transfer.model.name
            score = found.values["scores"][0], found.values["status"][0], found.record["milliseconds"][0] / 1000
            rows.append((*named, *score, transfer.model.input_size))
    return pd.DataFrame(rows, columns=[*KEYS, *OWN])


def sums(table: pd.DataFrame, look: str) -> dict[str, pd.Series]:
    """The list with a look, learned and fixed, and with the scores too."""
    z = weighted_sum.standardised(table, ("list", "scores", look))
    return {
        f"list + {look}": weighted_sum.left_out(z, ("list", look)),
        f"2 · list + {look}": 2 * z["list"] + z[look],
        f"list + scores + {look}": weighted_sum.left_out(z, ("list", "scores", look)),
    }


def grid(title: str, judgements: pd.DataFrame, differences: tuple[tuple[str, str], ...]) -> str:
    """A row a method: its regret, differences to other methods in regret or tau, its regret by table."""
    tables = sorted(judgements["table"].unique())
    named = {"regret": "minus {}", "tau": "τ_w minus {}'s"}
    cells = []
    for method, part in judgements.groupby("method", sort=False):
        row = [method, layout.number(part["regret"].mean(), 2)]
        for column, other in differences:
            mean, low, high = between(judgements, column, method, other)
            row.append(None if method == other else f"{mean:+.2f} ({low:+.2f} to {high:+.2f})")
        cells.append(row + [layout.number(part.loc[part["table"] == t, "regret"].mean(), 2) for t in tables])
    head = ["method", "regret@1", *(named[column].format(other) for column, other in differences), *tables]
    return layout.markdown(layout.Grid(title, head, [cells]))


def from_records(table: pd.DataFrame) -> pd.DataFrame:
    """Judgements of what recorded losses would have added."""
    scores = {"list": table["list"], "recommendation": table["recommendation"], "parc_f32": table["parc_f32"]}
    first = next(iter(WINDOWS))
    scores |= {first: table[first]}
    for window in WINDOWS:
        scores |= sums(table, window)
    z = weighted_sum.standardised(table, ("list", "scores"))
    scores["list + scores"] = weighted_sum.left_out(z, ("list", "scores"))
    return judged(table, scores, table.groupby(CELL)["oracle"].transform("max"))


def from_looks(table: pd.DataFrame, every: pd.DataFrame) -> pd.DataFrame:
    """Judgements among the models that were looked at; the list, the recommendation and PARC among all of them."""
    best = every.groupby(CELL)["oracle"].transform("max")
    alone, first = ("list", "recommendation", "parc_f32"), next(iter(WINDOWS))
    whole = judged(every, {n: every[n] for n in alone}, best)
    scores = {"list + scores": table["known before"], "look": table["look"], first: table[first]}
    scores |= sums(table, "look") | sums(table, first)
    return pd.concat([whole, judged(table, scores, best[table.index])], ignore_index=True)


def correlations(table: pd.DataFrame) -> str:
    """Each score's mean correlation with the accuracies of a target's models that were looked at."""
    said = []
    for name in ("list", "parc_f32", next(iter(WINDOWS)), "look"):
        each = [
            float(np.nan_to_num(measures.pearson(cell[name].to_numpy(float), cell["oracle"].to_numpy())))
            for _, cell in table.groupby(CELL)
        ]
        said.append(f"{name} {np.mean(each) / 100:.2f}")
    return ", ".join(said)


def spent(table: pd.DataFrame) -> str:
    """Seconds of the looks, by the size of the models' images."""
    said = []
    for pixels, seconds in table.groupby("pixels")["seconds"]:
        low, middle, high = seconds.quantile([0.25, 0.5, 0.75])
        half = f"half of {len(seconds)} looks {low:.1f} to {high:.1f}, the fastest {seconds.min():.1f}"
        said.append(f"{middle:.1f} at {pixels:.0f} pixels ({half})")
    return ", ".join(said)


def page(table: pd.DataFrame, settings: Settings) -> str:
    """results/look.md of the table of candidates, those with a look among them."""
    every = from_records(table)
    seen = table[table["look"].notna() | table["status"].notna()]
    whole = seen[seen.groupby(CELL)["place"].transform("size") >= settings.places]
    own, said, seconds, lines = "No looks yet.\n", "–", "–", ""
    if len(whole):
        same = table[table.set_index(CELL).index.isin(whole.set_index(CELL).index)]
        own = grid(f"Choice among the first {settings.places}", from_looks(whole, same), PLAIN)
        said, seconds, odd = correlations(whole), spent(whole), whole[whole["status"] != "ok"]
        lines = f"{len(odd)} of {len(whole)} looks have a status other than ok.\n"
        done, cells = whole.groupby(CELL).ngroups, table.groupby(CELL).ngroups
        shown = ", ".join(sorted(whole["table"].unique()))
        lines += f"{done} of {cells} targets and tables have all {settings.places} looks ({shown}).\n" * (done < cells)
    machine, versions = provenance.hardware(), provenance.versions()
    return TEXT.format(
        recorded=grid("Regret@1 in points", every, (*PLAIN, ("tau", "list"))),
        cells=table.groupby(CELL).ngroups,
        rows=len(table),
        five=", ".join(transfers.METHODS),
        places=settings.places,
        looks=len(whole),
        own=own,
        correlations=said,
        seconds=seconds,
        lines=lines,
        command=shlex.join(["python", "scripts/results/look_table.py", *_own(settings)]),
        hardware=f"{machine['processor']} ({machine['cores']} cores)",
        versions=", ".join(f"{n} {versions[n]}" for n in ("python", "torch", "timm", "numpy") if n in versions),
        commit=provenance.commit() or "unknown",
    )


def _own(settings: Settings) -> list[str]:
    """The overrides that matter to what is measured."""
    some = [f"tables=[{','.join(settings.tables)}]"] if settings.tables != tuple(transfers.TABLES) else []
    return [f"places={settings.places}", *some]


def run(settings: Settings) -> int:
    if strange := sorted(set(settings.tables) - set(transfers.TABLES)):
        raise ConfigError(f"tables must be of {', '.join(transfers.TABLES)}. Got {', '.join(strange)}.")
    known = transfers.known(settings.known)
    plans = {name: (spec := composed(settings, name), plan(spec)) for name in transfers.TABLES}
    released = next(iter(plans.values()))[0].paths.released
    store = Store(settings.cache, released)
    curves = pd.concat([recorded(made, store, name) for name, (_, made) in plans.items()], ignore_index=True)
    table = candidates(known, curves)
    look_at(plans, store, table, settings)
    looks = pd.concat([looked(made, store, name) for name, (_, made) in plans.items()], ignore_index=True)
    table = table.merge(looks, on=KEYS, how="left", validate="1:1")
    table.loc[table["status"] != "ok", "look"] = np.nan
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    save(table[[*KEPT, *WINDOWS, *OWN]], settings.out.with_suffix(".csv"))
    put(settings.out.with_suffix(".md"), text := page(table, settings))
    print(text)
    return 0


def main(argv: list[str] | None = None) -> int:
    return cli.settings(run, Settings, __doc__ or "", argv)


if __name__ == "__main__":
    raise SystemExit(main())
