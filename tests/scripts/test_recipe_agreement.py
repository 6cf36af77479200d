"""scripts/results/recipe_agreement.py: its numbers by hand, and its page from a store that has the ground truth."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmark.config.compose import compose
from benchmark.config.recipe import RecipeSpec
from benchmark.config.validation import experiment, validate
from scripts.results import recipe_agreement as script


def frame() -> pd.DataFrame:
    rows = [("fast", "t", m, a) for m, a in zip("abcd", (10.0, 20.0, 30.0, 40.0), strict=True)]
    rows += [("head", "t", m, a) for m, a in zip("abcd", (1.0, 3.0, 4.0, 2.0), strict=True)]
    rows += [("fast", "u", "a", 1.0), ("head", "u", "a", 1.0)]  # too few models to say anything
    return pd.DataFrame(rows, columns=["recipe", "target", "model", "accuracy"])


def test_agreement_by_hand() -> None:
    (row,) = script.agreement(frame()).to_dict("records")
    assert (row["recipes"], row["target"], row["models"]) == ("fast, head", "t", 4)
    # of six pairs, those of d with b and with c are the other way round: (4 − 2) / 6
    assert row["tau"] == pytest.approx(1 / 3)
    # deviations (−15, −5, 5, 15) and (−1.5, 0.5, 1.5, −0.5): 20 / sqrt(500 · 5)
    assert row["pearson"] == pytest.approx(100 * 20 / 2500**0.5)
    assert (row["best under fast"], row["lost there by head"]) == (40.0, 10.0)  # head picks c
    assert (row["best under head"], row["lost there by fast"]) == (4.0, 2.0)  # fast picks d


def test_the_page_states_table_mean_and_command(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("sys.argv", ["x", "recipes=[fast,head]"])
    settings = script.Settings(out=tmp_path / "found")
    script.write(settings, frame(), script.agreement(frame()))
    said = (tmp_path / "found.md").read_text()
    assert "fast, head: τ 0.33, Pearson 40.0" in said
    assert "`python scripts/results/recipe_agreement.py 'recipes=[fast,head]'`" in said
    assert pd.read_csv(tmp_path / "found.csv").equals(frame())


RECIPES = ("fast", "small", "paper", "ssl_transfer_grid", "bit_hyperrule", "vtab1k", "head")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_composes_under_its_own_name(name: str) -> None:
    recipe = experiment(compose([f"recipe={name}", "bank=demo", "target=digits"])).recipe
    assert recipe.name == name
    assert set(recipe.optimisers) == {"cnn", "transformer", "convnext"}
    assert (recipe.freeze == "backbone") == (name == "head")


def recipe(name: str) -> RecipeSpec:
    data = compose([f"recipe={name}", "bank=demo", "target=digits"])
    return validate(RecipeSpec, data["recipe"])


def test_the_grids_are_those_of_their_sources() -> None:
    """ssl-transfer: rates 1e-4 … 1e-1, weight decay {0, 1e-6 … 1e-3} / rate; VTAB: two rates by two lengths."""
    trials = [(rate, r.optimisers["cnn"].weight_decay) for rate, r in recipe("ssl_transfer_grid").trials("cnn")]
    expected = [(lr, wd / lr) for lr in (1e-4, 1e-3, 1e-2, 1e-1) for wd in (0, 1e-6, 1e-5, 1e-4, 1e-3)]
    assert trials == [pytest.approx(pair) for pair in expected]
    assert [(rate, r.steps) for rate, r in recipe("vtab1k").trials("cnn")] == [
        (0.01, 2500), (0.01, 10000), (0.1, 2500), (0.1, 10000),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("images", "pixels", "steps", "milestones", "mixup", "crop"),
    [
        (3680, 256, 500, (100, 200, 300, 400), 0.0, 0.88),
        (50000, 32, 10000, (500, 3000, 6000, 9000), 0.1, 0.64),
        (1281167, 256, 20000, (500, 6000, 12000, 18000), 0.1, 0.88),
    ],
)
def test_bit_s_rule_by_size(images, pixels, steps, milestones, mixup, crop) -> None:
    """Steps, end of the warm-up and milestones of bit_hyperrule.py; mixup and the smaller views with them."""
    found = recipe("bit_hyperrule").on(images, pixels)
    shares = (found.warmup, *found.milestones)
    assert (found.steps, tuple(round(found.steps * s) for s in shares)) == (steps, milestones)
    assert (found.mixup, found.crop, found.label_smoothing) == (mixup, crop, 0.0)


def test_the_paper_s_recipe_crops_nothing_from_cifar() -> None:
    assert recipe("paper").on(50000, 32).crop == 1.0
    assert recipe("paper").on(3680, 256).crop == 0.08
    assert recipe("paper").rate_for == "architecture"
