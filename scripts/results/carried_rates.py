"""What it costs to carry a model's learning rate from some targets to others instead of choosing it on each.

    python scripts/results/carried_rates.py data=<packs> weights=<networks> [paths.cache=<cache>]

Reads finished cells of experiment=public and trains nothing: the choices of rate on the targets of `recipe.rate_on` and
on one more, and that one's accuracies with its own rates and with carried ones. Writes results/rates.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from pydantic import Field  # noqa: E402
from scipy import stats  # noqa: E402

from benchmark.cells.plan import Plan  # noqa: E402
from benchmark.cells.planner import plan  # noqa: E402
from benchmark.cells.store import Store  # noqa: E402
from benchmark.config import cli  # noqa: E402
from benchmark.config.compose import compose  # noqa: E402
from benchmark.config.spec import Spec  # noqa: E402
from benchmark.config.validation import experiment  # noqa: E402
from benchmark.errors import ConfigError  # noqa: E402

MEASURED = "pets3"
"""The target whose fine-tunings were made both ways."""

RESAMPLES = 10_000

TEXT = """# What a carried learning rate costs

A choice of rate on every target is three quarters of the work of [the public bank](public.md)'s ground truth. So a
model's rate is chosen on {pooled}, by its mean validation accuracy there, and
carried to the other targets (`recipe.rate_on`). Made from finished cells by
`python scripts/results/carried_rates.py data=<packs> weights=<networks>`.

## On validation images, each target in turn

Points of validation accuracy below the rate that is best there, over {models} models × {targets} targets
({names}). The best of three rates on {least} to {most} images is flattered
by chance, so these are upper bounds.

{validation}

A rate belongs to a model more than to a target, and to its weights more than to its architecture.

## On test images of {measured}, which had no part in the choice

{compared} networks were fine-tuned with their own and with the carried rate, which were the same for {same} of them.

| | |
|---|---|
| mean change of accuracy, points | {change} (95 % {low} to {high} over models) |
| standard deviation of the change, where rates differ | {spread} |
| the same, where rates are the same: head and order of images alone | {luck} |
| Pearson ×100 and τ_b over models, own against carried | {pearson}, {kendall} |
| best model | {best_own}; carried: {best_carried} |
"""


class Settings(Spec):
    data: Path = Field(description="folder of the packs of real images (docs/data.md)")
    weights: Path = Field(description="folder of the networks of the public bank (docs/public.md)")
    cache: Path = Field(Path(".cache"), description="folder of what a run computed; results/released is read as well")


Choices = Mapping[str, Mapping[str, np.ndarray]]
"""{target: {model: validation accuracy at each rate, 0 where it failed}}."""


def chosen(made: Plan, store: Store) -> dict[str, dict[str, np.ndarray]]:
    """The choices of rate that are finished, by target and model."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for t in made.transfers:
        if store.has("tune", t.tune):
            values = store.read("tune", t.tune).values
            found.setdefault(t.target.name, {})[t.model.name] = np.array([v or 0.0 for v in values["validation"]])
    return found


def policies(choices: Choices, architecture: Mapping[str, object]) -> dict[str, Callable[[str, str], int | None]]:
    """{what is done instead of choosing: (target, model) → place of the rate, None where it cannot be said}."""

    def carried(target: str, model: str) -> int | None:
        others = [c[model] for t, c in choices.items() if t != target and model in c]
        return int(np.argmax(np.mean(others, axis=0))) if others else None

    def of_architecture(target: str, model: str) -> int | None:
        alike = [m for m in choices[target] if m != model and architecture[m] == architecture[model]]
        return int(np.argmax(choices[target][alike[0]])) if alike else None

    def of_target(target: str, model: str) -> int:
        return int(np.argmax(np.mean([c - c.max() for m, c in choices[target].items() if m != model], axis=0)))

    rates = range(len(next(iter(next(iter(choices.values())).values()))))
    return {
        "the model's best mean on the other targets": carried,
        "the rate of another network of its architecture, same target": of_architecture,
        "the other networks' best mean, same target": of_target,
        **{f"rate {k + 1} of {len(rates)} for all": partial(_always, k) for k in rates},
    }


def _always(place: int, target: str, model: str) -> int:
    return place


def losses(choices: Choices, architecture: Mapping[str, object]) -> pd.DataFrame:
    rows = []
    for name, place in policies(choices, architecture).items():
        lost = [
            accuracy.max() - accuracy[k]
            for target, models in choices.items()
            for model, accuracy in models.items()
            if (k := place(target, model)) is not None
        ]
        if not lost:
            continue
        points = [f"{np.mean(lost):.1f}", f"{np.quantile(lost, 0.9):.1f}", f"{np.max(lost):.1f}"]
        rows.append((name, len(lost), *points, f"{100 * np.mean(np.equal(lost, 0)):.0f} %"))
    return pd.DataFrame(rows, columns=["instead of a choice", "n", "mean loss", "9 of 10 below", "worst", "none lost"])


def accuracies(made: Plan, store: Store) -> pd.DataFrame:
    """Test accuracy and rate on MEASURED, a row a model."""
    rows = {}
    for t in made.transfers:
        if t.target.name == MEASURED and store.has("truth", t.truth[0]):
            values = store.read("truth", t.truth[0]).values
            rows[t.model.name] = {"oracle": values["oracle"], "rate": values["rate"]}
    return pd.DataFrame.from_dict(rows, orient="index")


def main(settings: Settings) -> int:
    places = [f"paths.data={settings.data.resolve()}", f"paths.weights={settings.weights.resolve()}"]
    carried = experiment(compose(["experiment=public", "method=[parc]", *places]))
    own = carried.model_copy(update={"recipe": carried.recipe.model_copy(update={"rate_on": ()})})
    store, plans = Store(settings.cache, ROOT / "results" / "released"), {"own": plan(own), "carried": plan(carried)}
    wanted = (*carried.recipe.rate_on, MEASURED)
    choices = {t: models for t, models in chosen(plans["own"], store).items() if t in wanted}
    architecture = {m.name: m.architecture for m in carried.bank.values()}
    one, other = accuracies(plans["own"], store), accuracies(plans["carried"], store)
    both = one.add_suffix("_own").join(other.add_suffix("_carried"), how="inner")
    if not len(both):
        raise ConfigError(f"{MEASURED} must be fine-tuned with and without recipe.rate_on. Got neither in the cells.")
    held = [
        store.read("tune", t.tune).values["n_validation"]
        for t in plans["own"].transfers
        if t.model.name in choices.get(t.target.name, ())
    ]
    text = TEXT.format(
        pooled=", ".join(carried.recipe.rate_on),
        models=max(len(c) for c in choices.values()),
        targets=len(choices),
        names=", ".join(choices),
        least=min(held),
        most=max(held),
        validation=losses(choices, architecture).to_markdown(index=False, disable_numparse=True),
        **comparison(both),
    )
    (ROOT / "results" / "rates.md").write_text(text, encoding="utf-8")
    return 0


def comparison(both: pd.DataFrame) -> dict[str, object]:
    """How accuracies with carried rates differ from those with a model's own."""
    change = (both["oracle_carried"] - both["oracle_own"]).to_numpy()
    drawn = np.random.default_rng(0).integers(len(change), size=(RESAMPLES, len(change)))
    low, high = np.quantile(change[drawn].mean(axis=1), [0.025, 0.975])
    differ = both["rate_own"] != both["rate_carried"]
    return {
        "measured": MEASURED,
        "compared": len(both),
        "same": int((~differ).sum()),
        "change": f"{change.mean():+.1f}",
        "low": f"{low:+.1f}",
        "high": f"{high:+.1f}",
        "spread": f"{change[differ].std(ddof=1):.1f}",
        "luck": f"{change[~differ].std(ddof=1):.1f}",
        "pearson": f"{100 * np.corrcoef(both['oracle_own'], both['oracle_carried'])[0, 1]:.1f}",
        "kendall": f"{stats.kendalltau(both['oracle_own'], both['oracle_carried']).statistic:.2f}",
        "best_own": both["oracle_own"].idxmax(),
        "best_carried": both["oracle_carried"].idxmax(),
    }


if __name__ == "__main__":
    raise SystemExit(cli.settings(main, Settings, (__doc__ or "").strip()))
