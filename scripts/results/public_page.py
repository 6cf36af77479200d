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
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from page_files import renewed  # noqa: E402
from pydantic import Field  # noqa: E402

from benchmark.cells.planner import plan  # noqa: E402
from benchmark.cells.store import Store  # noqa: E402
from benchmark.config import cli  # noqa: E402
from benchmark.config.compose import compose  # noqa: E402
from benchmark.config.experiment import Experiment  # noqa: E402
from benchmark.config.spec import Spec  # noqa: E402
from benchmark.config.validation import experiment  # noqa: E402
from benchmark.literature.paper_tables import column_of, published  # noqa: E402
from benchmark.ranking import recommend, transfers  # noqa: E402
from benchmark.stats import measures  # noqa: E402

RESULTS = ROOT / "results"
PUBLIC, PAGE = RESULTS / "public", RESULTS / "public.md"
MARK = re.compile(r"(<!-- computed -->\n).*?(<!-- end -->)", re.DOTALL)
OTHERS = {"small": "small", "rank": "rank", "diverse_all": "the embedded diverse bank"}
SHOWN = ("lda_loo", "ridge", "hscore_f32", "parc_f32", "logistic", "knn", "logme", "leep", "nce")
KEYS = ["Model", "Target Dataset"]


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
    own = both[both["table"].isin(transfers.GROWING) & both["model"].isin(names)]
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


def objectives(spec: Experiment, truth: pd.DataFrame, scores: pd.DataFrame) -> str:
    """What a source learned: accuracies, and how methods follow the models of one objective alone."""
    kind = {name: model.objective for name, model in spec.bank.items()}
    z = truth.assign(z=truth.groupby("Target Dataset")["Oracle"].transform(lambda a: (a - a.mean()) / a.std(ddof=0)))
    z = z.assign(objective=z["Model"].map(kind))
    rows = [
        (objective, group["Model"].nunique(), f"{group['z'].mean():+.2f}", f"{group['Oracle'].mean():.1f}")
        for objective, group in sorted(z.groupby("objective"), key=lambda g: -g[1]["z"].mean())
    ]
    mean = scores.groupby(KEYS, sort=False)[list(SHOWN)].mean().reset_index().merge(truth[[*KEYS, "Oracle"]], on=KEYS)
    scored = mean["leep"].notna().groupby(mean["Model"]).any()  # on a multi-label target no model has a LEEP
    lacking = scored[~scored].index
    classes = mean[mean["Model"].map(kind) == "classes"]
    followed = [
        (
            name,
            correlation(mean, name),
            correlation(mean[~mean["Model"].isin(lacking)], name),
            correlation(classes, name),
        )
        for name in SHOWN
    ]
    return "\n".join(
        [
            "## What the sources learned",
            "",
            "Accuracy in standard deviations within a target, and in percent, by objective:",
            "",
            markdown_table(["objective", "models", "mean z", "mean accuracy"], rows),
            "",
            f"LEEP, NCE and what else needs the source's classes do not apply to {len(lacking)} of {len(spec.bank)} "
            "networks: those that give coordinates, masks or ages, and those whose head was not converted. Pearson "
            "×100 of methods on all models that each scores, on those with source classes, and on classifiers alone:",
            "",
            markdown_table(["method", "all", "with source classes", "trained on classes"], followed),
            "",
        ]
    )


def correlation(rows: pd.DataFrame, method: str) -> str:
    """Mean over targets of the Pearson correlation ×100 between a score and accuracy, of the rows that are scored."""
    found = []
    for _, group in rows.dropna(subset=method).groupby("Target Dataset"):
        found.append(float(measures.pearson(group[method].to_numpy(), group["Oracle"].to_numpy())))
    value = float(np.mean(found)) if found else float("nan")
    return f"{value:.1f}" if np.isfinite(value) else "–"


def elsewhere(table: pd.DataFrame) -> str:
    """Whether methods stand in the same order on other banks."""
    own = table[~table["yardstick"].astype(bool)]["pearson"]
    rows = []
    for folder, name in OTHERS.items():
        other = pd.read_csv(RESULTS / folder / "table.csv").set_index("method")
        rows.append(agreement(name, own, other[~other["yardstick"].astype(bool)]["pearson"]))
    printed = {
        column_of(row)[0]: value
        for (name, row, column), (value, _) in published().items()
        if (name, column) == ("1", "mean")
    }
    paper = pd.Series({method: value for method, value in printed.items() if method})
    rows.append(agreement("the paper (Table 1)", own, paper))
    head = ["bank", "methods in common", "ρ of their Mean PC", "highest there", "its place here"]
    return "\n".join(["## Does the picture of other banks hold?", "", markdown_table(head, rows), ""])


def agreement(name: str, own: pd.Series, other: pd.Series) -> tuple[str, int, str, str, str]:
    both = pd.concat([own.rename("own"), other.rename("other")], axis=1, join="inner").dropna()
    rho = float(measures.spearman(both["own"].to_numpy(), both["other"].to_numpy()))
    top = both["other"].idxmax()
    place = int((both["own"] > both["own"][top]).sum()) + 1
    return name, len(both), f"{rho:.2f}", top, f"{place} of {len(both)}"


def checklist(spec: Experiment, truth: pd.DataFrame, scores: pd.DataFrame) -> str:
    """What Singh et al. ask of a bank."""
    sizes = np.array([model.parameters for model in spec.bank.values() if model.parameters], float)
    winners = truth.loc[truth.groupby("Target Dataset")["Oracle"].idxmax(), "Model"]
    lineage = pd.read_csv(PUBLIC / "lineage.csv").fillna({"left_out": ""})
    verdicts = []
    for (factor, left_out), group in lineage.groupby(["factor", "left_out"], sort=False):
        of = group.set_index("method")["pearson"]
        ahead = of.index[(of > of["static_list"]) & ~of.index.isin(["random", "static_list"])]
        case = "all models" if factor == "none" else f"without {left_out}"
        verdicts.append(f"{case}: {listed(ahead)}")
    gaps = [f"{name} {near:.0f} % and {far:.0f} %" for name in SHOWN[:5] for near, far in [gap(scores, truth, name)]]
    return "\n".join(
        [
            "## The checklist of Singh et al.",
            "",
            f"- **Spread of sizes.** {sizes.min() / 1e6:.2f} to {sizes.max() / 1e6:.2f} million parameters, a factor "
            f"of {sizes.max() / sizes.min():.0f}.",
            f"- **Does the best model change?** {winners.nunique()} models are best on {len(winners)} targets: "
            f"{listed(winners.unique())}.",
            f"- **Does the largest family decide?** Ahead of the static list in Mean PC, {'; '.join(verdicts)}.",
            "- **Do gaps in score mean gaps in accuracy?** Pairs of models in the right order, where their scores are "
            "less than half a standard deviation apart, and where more than one: "
            f"{'; '.join(gaps)} (50 % is chance).",
            "",
        ]
    )


def gap(scores: pd.DataFrame, truth: pd.DataFrame, method: str) -> tuple[float, float]:
    """Percent of pairs of models in the right order, of those with near scores and of those with far ones."""
    mean = scores.groupby(KEYS, sort=False)[method].mean().reset_index().merge(truth[[*KEYS, "Oracle"]], on=KEYS)
    near, far = [], []
    for _, group in mean.dropna().groupby("Target Dataset"):
        x = group[method].to_numpy()
        x, y = (x - x.mean()) / x.std(), group["Oracle"].to_numpy()
        for i, j in combinations(range(len(x)), 2):
            apart = abs(x[i] - x[j])
            right = ((x[i] > x[j]) == (y[i] > y[j])) if y[i] != y[j] else 0.5
            if apart < 0.5:
                near.append(right)
            elif apart > 1:
                far.append(right)
    return 100 * float(np.mean(near)), 100 * float(np.mean(far))


def markdown_table(head: list[str], rows: list[tuple]) -> str:
    return pd.DataFrame(rows, columns=head).to_markdown(index=False, disable_numparse=True)


def listed(names: Iterable[str], most: int = 8) -> str:
    """`none`, or the first of the names and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "none"


def main(settings: Settings) -> int:
    computed = page(settings.data.resolve(), settings.weights.resolve())
    text = MARK.sub(lambda m: f"{m[1]}\n{computed}{m[2]}", PAGE.read_text(encoding="utf-8"))
    return renewed({PAGE: text}, settings.check)


if __name__ == "__main__":
    raise SystemExit(cli.settings(main, Settings, (__doc__ or "").strip()))
