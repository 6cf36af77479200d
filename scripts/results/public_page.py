"""What results/public says, computed from its tables, into the marked part of results/public.md.

    python scripts/results/public_page.py data=<packs> weights=<networks> [check=true]

With `check` the exit code is 1 where the page is not up to date. The packs and the networks are asked for since what is
done is counted by the keys of the experiment's plan, which hold their checksums.

Counts of finished fine-tunings, what the static list reaches and who beats it, targets, what sources learned, whether
other banks agree, and what Singh et al. (How NOT to benchmark your SITE metric, ICLR 2026) ask of a bank.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from page_files import renewed  # noqa: E402
from public_methods import PUBLIC, RESULTS, checklist, elsewhere, listed, markdown_table, objectives  # noqa: E402
from pydantic import Field  # noqa: E402

from benchmark.cells.planner import plan  # noqa: E402
from benchmark.cells.store import Store  # noqa: E402
from benchmark.config import cli  # noqa: E402
from benchmark.config.compose import compose  # noqa: E402
from benchmark.config.experiment import Experiment  # noqa: E402
from benchmark.config.spec import Spec  # noqa: E402
from benchmark.config.validation import experiment  # noqa: E402
from benchmark.ranking import recommend, transfers  # noqa: E402
from benchmark.stats import measures  # noqa: E402

PAGE = RESULTS / "public.md"
MARK = re.compile(r"(<!-- computed -->\n).*?(<!-- end -->)", re.DOTALL)


class Settings(Spec):
    data: Path = Field(description="folder of the packs of real images (docs/data.md)")
    weights: Path = Field(description="folder of the networks of the public bank (docs/public.md)")
    check: bool = Field(False, description="whether nothing is written, and the page is compared")


def page(data: Path, weights: Path) -> str:
    spec = experiment(compose(["experiment=public", f"paths.data={data}", f"paths.weights={weights}"]))
    truth = pd.read_parquet(PUBLIC / "truth.parquet")
    scores = pd.read_parquet(PUBLIC / "scores.parquet")
    table = pd.read_csv(PUBLIC / "table.csv").set_index("method")
    parts = [
        done(spec, truth),
        against_the_list(table),
        targets(table, truth),
        recommended(),
        objectives(spec, truth, scores),
        elsewhere(table),
        checklist(spec, truth, scores),
    ]
    return "\n".join(parts)


def done(spec: Experiment, truth: pd.DataFrame) -> str:
    """How many of the fine-tunings are in the released layer, and what varies among those of the table."""
    store = Store(ROOT / ".nowhere", RESULTS / "released")
    released = store.released_keys("truth")
    made = plan(spec)
    keys = {key for t in made.transfers for key in t.truth}
    names = truth["Target Dataset"].unique()
    planned = list(dict.fromkeys(t.target.name for t in made.transfers))
    missing = [name for name in planned if name not in names]
    parts = [
        f"**{len(keys & released)} of {len(keys)} fine-tunings are done** and in `results/released/`; the table is of "
        f"the {len(names)} targets that are complete: {', '.join(names)}.",
        f"Not complete: {', '.join(missing)}." if missing else "The bank is complete.",
        f"Variance of standardised accuracy on all of them: {shares(truth, names)}.",
    ]
    seeds = pd.read_parquet(PUBLIC / "seeds.parquet")
    runs = seeds.groupby("Target Dataset")["Seed"].nunique()
    repeated = [name for name in names if runs[name] > 1]
    if repeated:
        parts.append(f"On those with several seeds ({', '.join(repeated)}): {shares(seeds, repeated)}.")
    if len(repeated) < len(names):
        parts.append(
            "Where there is one seed, model × target holds the seed, too, and a target's ceiling is not known."
        )
    return " ".join(parts) + "\n"


def shares(rows: pd.DataFrame, targets: Sequence[str]) -> str:
    """The shares of model, of model × target and, where a fine-tuning was repeated, of the seed."""
    rows = rows[rows["Target Dataset"].isin(targets)]
    rows = rows if "Seed" in rows else rows.assign(Seed=0)
    seeds = [part for _, part in rows.groupby("Seed")]
    models = rows["Model"].unique()
    cube = [part.pivot(index="Target Dataset", columns="Model", values="Oracle") for part in seeds]
    found = measures.variance_shares(np.stack([part.reindex(targets, columns=models).to_numpy(float) for part in cube]))
    words = {"specific": "model × target", "noise": "seed"}
    return ", ".join(f"{words.get(n, n)} {100 * value:.0f} %" for n, value in found.items() if np.isfinite(value))


def against_the_list(table: pd.DataFrame) -> str:
    """What the static list reaches, and with what certainty anything is told apart from it."""
    tests = pd.read_csv(PUBLIC / "tests.csv")
    tests = tests[tests["family"] == "static list"]
    lines = ["## Beside the static list", ""]
    of_list = table.loc["static_list"]
    lines.append(
        f"The static list reaches a Mean PC of {of_list['pearson']:.1f}, τ_w {of_list['weighted_kendall']:.3f} and "
        f"loses {of_list['regret1']:.1f} points. Told apart from it at 5 % (paired bootstrap over models, targets and "
        "draws, Holm over all methods):\n"
    )
    for measure, name in (("pearson", "Mean PC"), ("kendall", "τ_b")):
        rows = tests[(tests["measure"] == measure) & tests["supported"].astype(bool)]
        better: list[str] = []
        worse: list[str] = []
        for row in rows.itertuples():
            method = row.first if row.second == "static_list" else row.second
            ahead = (row.difference > 0) == (row.first == method)
            (better if ahead else worse).append(method)
        lines.append(f"- {name}: better {listed(better)}; worse {listed(worse)}.")
    methods = table[~table["yardstick"].astype(bool)]
    regret = methods[methods["regret1"] < of_list["regret1"]].index
    lines.append(f"- regret@1, by the mean and without a test: lower than the list's {listed(regret)}.")
    return "\n".join([*lines, ""])


def targets(table: pd.DataFrame, truth: pd.DataFrame) -> str:
    """Target by target: how far apart the models are, the best one, the method that follows them best, the list."""
    found = pd.read_csv(PUBLIC / "correlations.csv")
    found = found[(found["measure"] == "pearson") & (found["capacity"] == "none")]
    methods = set(table.index[~table["yardstick"].astype(bool) & (table["scored"] == table["cells"])])
    rows = []
    for target, group in truth.groupby("Target Dataset", sort=False):
        own = found[found["target"] == target].set_index("method")["mean"]
        best = own[own.index.isin(methods)].idxmax()
        first = group.loc[group["Oracle"].idxmax()]
        spread = f"{group['Oracle'].min():.1f} to {group['Oracle'].max():.1f}"
        rows.append((target, spread, first["Model"], f"{best} ({own[best]:.1f})", f"{own['static_list']:.1f}"))
    head = ["target", "accuracies", "best model", "best method that scores all (PC)", "static list"]
    return "\n".join(["## Target by target", "", markdown_table(head, rows), ""])


def recommended() -> str:
    """What the first place of bank=practical loses, with and without this table among what is known."""
    names = list(experiment(compose(["bank=practical", "target=digits", "method=knn"])).bank)
    without, both = transfers.known(RESULTS), transfers.known(RESULTS, names)
    own = both[both["table"].isin(transfers.WHERE_NEEDED) & both["model"].isin(names)]
    rows, means = [], []
    for target, cell in own.groupby("target", sort=True):
        found = [first(known[known["target"] != target], cell) for known in (both, without)]
        rows.append((target, len(cell), *(text for model, lost in found for text in (model, f"{lost:.1f}"))))
        means.append([lost for _, lost in found])
    with_it, without_it = np.mean(means, axis=0)
    head = ["target", "models", "first, with this table", "points lost", "first, without", "points lost"]
    return "\n".join(
        [
            "## Which of bank=practical is recommended?",
            "",
            "`benchmark.rank` learns from this table where a candidate is known from it alone. Each target left out of "
            f"all tables in turn, the first place loses {with_it:.1f} points on average, and {without_it:.1f} without "
            f"this table; {len(means)} targets say little.",
            "",
            markdown_table(head, rows),
            "",
        ]
    )


def first(known: pd.DataFrame, cell: pd.DataFrame) -> tuple[str, float]:
    """The first place among one target's models, and the points that it loses against the best of them."""
    model = recommend.fit(known).predict(cell.drop(columns="oracle"))["model"].iloc[0]
    return model, float(cell["oracle"].max() - cell.set_index("model")["oracle"][model])


def main(settings: Settings) -> int:
    computed = page(settings.data.resolve(), settings.weights.resolve())
    text = MARK.sub(lambda m: f"{m[1]}\n{computed}{m[2]}", PAGE.read_text(encoding="utf-8"))
    return renewed({PAGE: text}, settings.check)


if __name__ == "__main__":
    raise SystemExit(cli.settings(main, Settings, (__doc__ or "").strip()))
