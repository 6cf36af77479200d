"""How far the ground truths of two recipes agree on the same models and targets.

    python scripts/results/recipe_agreement.py recipes=[fast,head] bank=demo target=[digits,glyphs] seeds=1

Fine-tunes what the recipes have no ground truth for yet (finished cells are kept, released ones taken), and writes
<out>.md, a table for every pair of recipes and target, and <out>.csv, the accuracies behind it. With `models` and
`seeds` it stays small.
"""

from __future__ import annotations

import itertools
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
from pydantic import Field
from scipy import stats

from benchmark.cells.plan import Plan
from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.config import cli, compose
from benchmark.config.experiment import Experiment
from benchmark.config.spec import Spec
from benchmark.config.validation import experiment
from benchmark.errors import ConfigError
from benchmark.execution.compute import run as execute
from benchmark.execution.progress import Display

TEXT = """# Do recipes agree on which model is best?

Ground truth is what a recipe says it is. Here the same models are trained by two recipes on the same targets: Kendall's
τ-b and Pearson's correlation (×100) of their accuracies over models, and what picking by one costs under the other:
points between the best accuracy of the second recipe and that of the model which the first one ranks highest.

{table}

Mean over targets: {mean}.

{seeds} and recipe, at most {models} models a target: a swapped pair of 8 models is 0.07 of τ. Two seeds of one recipe
do not agree fully either (results/diverse/targets.csv, split_half).

`{command}`
"""


class Settings(Spec):
    recipes: tuple[str, ...] = Field(("fast", "head"), description="names of conf/recipe, two or more")
    bank: str = Field("demo", description="a bank")
    target: str | list[str] = Field("demo", description="targets: an option, or several as [a,b]")
    seeds: int = Field(1, ge=1, description="trainings per model, target and recipe; the first ones that are stored")
    models: list[str] | None = Field(None, description="some models of the bank; null for all")
    workers: int | None = Field(None, description="null: one per core")
    data: Path = Field(Path("data"), description="folder of real data sets")
    cache: Path = Field(Path(".cache"), description="the store")
    out: Path = Field(Path("results/recipes"), description="files to write, without their ending")


def composed(settings: Settings, recipe: str) -> Experiment:
    target = settings.target if isinstance(settings.target, str) else f"[{','.join(settings.target)}]"
    data = compose.compose(
        [
            *(f"bank={settings.bank}", f"target={target}", f"recipe={recipe}", f"recipe.seeds={settings.seeds}"),
            *(f"paths.data={settings.data}", f"paths.cache={settings.cache}"),
            *([f"executor.workers={settings.workers}"] if settings.workers is not None else []),
        ]
    )
    if settings.models:
        if strange := sorted(set(settings.models) - set(data["bank"])):
            raise ConfigError(f"models must be models of bank {settings.bank}. Got {', '.join(strange)}.")
        data["bank"] = {name: data["bank"][name] for name in settings.models}
    return experiment(data)


def without_scores(made: Plan) -> Plan:
    """The plan for its ground truth alone."""
    made.transfers = [replace(transfer, scores={}) for transfer in made.transfers]
    return made


def truths(spec: Experiment, recipe: str) -> pd.DataFrame:
    """Recipe, target, model, accuracy in percent: the mean over seeds; what is missing is trained."""
    store = Store(spec.paths.cache, spec.paths.released)
    made = without_scores(plan(spec))
    missing = made.missing(store)
    with Display(len(missing)) as display:
        execute(missing, made.cells, store, spec.executor, display)
    rows = []
    for transfer in made.transfers:
        if all(store.has("truth", key) for key in transfer.truth):
            values = [store.read("truth", key).values["oracle"] for key in transfer.truth]
            accuracy = round(sum(values) / len(values), 4)
            rows.append({"recipe": recipe, "target": transfer.target.name, "model": transfer.model.name,
                         "accuracy": accuracy})  # fmt: skip
    return pd.DataFrame(rows)


def agreement(found: pd.DataFrame) -> pd.DataFrame:
    """A row for each pair of recipes and target: τ-b, Pearson ×100, points lost by picking with one for the other."""
    rows = []
    for one, other in itertools.combinations(dict.fromkeys(found["recipe"]), 2):
        for target, here in found.groupby("target", sort=False):
            wide = here.pivot(index="model", columns="recipe", values="accuracy").reindex(columns=[one, other]).dropna()
            if len(wide) < 3:
                continue
            a, b = wide[one], wide[other]
            rows.append(
                {
                    "recipes": f"{one}, {other}",
                    "target": target,
                    "models": len(wide),
                    "tau": stats.kendalltau(a, b).statistic,
                    "pearson": 100 * stats.pearsonr(a, b).statistic,
                    f"best under {one}": a.max(),
                    f"lost there by {other}": a.max() - a[b.idxmax()],
                    f"best under {other}": b.max(),
                    f"lost there by {one}": b.max() - b[a.idxmax()],
                }
            )
    return pd.DataFrame(rows)


def write(settings: Settings, found: pd.DataFrame, table: pd.DataFrame) -> None:
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    found.to_csv(settings.out.with_suffix(".csv"), index=False)
    means = table.groupby("recipes", sort=False)[["tau", "pearson"]].mean()
    mean = "; ".join(f"{pair}: τ {row.tau:.2f}, Pearson {row.pearson:.1f}" for pair, row in means.iterrows())
    shown = table.to_markdown(index=False, floatfmt=("", "", "", ".2f", *[".1f"] * (table.shape[1] - 4)))
    given = [a for a in sys.argv[1:] if a.partition("=")[0] not in ("cache", "workers", "data", "out")]
    command = shlex.join(["python", "scripts/results/recipe_agreement.py", *given])
    seeds = "One training a model" if settings.seeds == 1 else f"The mean of {settings.seeds} trainings a model"
    text = TEXT.format(table=shown, mean=mean, command=command, seeds=seeds, models=int(table["models"].max()))
    settings.out.with_suffix(".md").write_text(text, encoding="utf-8")


def run(settings: Settings) -> int:
    if len(settings.recipes) < 2:
        raise ConfigError(f"recipes must be two or more. Got {', '.join(settings.recipes)}. Write [fast,head].")
    found = pd.concat([truths(composed(settings, recipe), recipe) for recipe in settings.recipes])
    table = agreement(found) if len(found) else found
    if table.empty:
        raise ConfigError("recipes must have ground truth of three models on a target. Got none: see above why.")
    write(settings, found, table)
    print(settings.out.with_suffix(".md").read_text(encoding="utf-8"))
    return 0


def main() -> int:
    return cli.settings(run, Settings, __doc__ or "")


if __name__ == "__main__":
    raise SystemExit(main())
