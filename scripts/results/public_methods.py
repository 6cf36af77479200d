"""What the public bank says of methods, of sources, and of itself: parts of the page results/public.md."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.config.experiment import Experiment
from benchmark.literature.paper_tables import column_of, published
from benchmark.stats import measures
from benchmark.wording import some

RESULTS = Path(__file__).resolve().parents[2] / "results"
PUBLIC = RESULTS / "public"
OTHERS = {"small": "small", "rank": "rank", "diverse_all": "the embedded diverse bank"}
SHOWN = ("lda_loo", "ridge", "hscore_f32", "parc_f32", "logistic", "knn", "logme", "leep", "nce")
KEYS = ["Model", "Target Dataset"]


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


def listed(names: Iterable[str]) -> str:
    """`none`, or the first of the names and how many more there are."""
    return some(list(names), 8) or "none"
