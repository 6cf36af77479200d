"""Yardsticks: the arithmetic, the paper's row for Eq. 4, and that chance is chance."""

from pathlib import Path

import numpy as np
import pytest

from methods import heuristic, layers, parameters, random, source_accuracy

MODEL = {
    "name": "resnet50-cifar10",
    "arch": "resnet50",
    "layers": 50,
    "parameters": 23_508_032,
    "source": "cifar10",
    "source_size": 50_000,
    "target_size": 3669,
    "source_accuracy": 94.5,
}
PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "published" / "parc_controlled.csv"
LAYERS = {"resnet50": 50, "resnet18": 18, "googlenet": 22, "alexnet": 8}
SIZES = {
    "nabird": 24633, "oxford_pets": 3669, "cub200": 5794, "caltech101": 2630,
    "stanford_dogs": 8580, "voc2007": 2501, "cifar10": 50000, "imagenet": 150000,
}  # fmt: skip


def test_entries_are_handed_through():
    assert layers(MODEL) == 50
    assert parameters(MODEL) == 23_508_032
    assert source_accuracy(MODEL) == 94.5


def test_heuristic_is_equation_four_or_the_released_difference():
    assert heuristic(MODEL) == pytest.approx(50 + np.log(53_669))
    assert heuristic(MODEL, compat="parc") == pytest.approx(50 + np.log(50_000) - np.log(3669))


@pytest.mark.parametrize(
    ("compat", "expected"), [(None, 51.063633120), ("parc", 50.760013010)], ids=["Eq. 4", "released"]
)
@pytest.mark.skipif(not PUBLISHED.is_file(), reason="the published ground truth is not beside this checkout")
def test_heuristic_correlates_with_the_papers_truth_as_the_paper_says(compat, expected):
    """Table 2, "source & arch": 51.05; recomputed from the released accuracies to nine digits."""
    import pandas as pd

    truth = pd.read_csv(PUBLISHED)
    correlations = []
    for target, rows in truth.groupby("Target Dataset"):
        if target == "voc2007":
            continue
        scores = [
            heuristic({"layers": LAYERS[arch], "source_size": SIZES[source], "target_size": SIZES[target]}, compat)
            for arch, source in zip(rows["Architecture"], rows["Source Dataset"], strict=True)
        ]
        correlations.append(100 * np.corrcoef(scores, rows["Oracle"])[0, 1])
    assert len(correlations) == 6
    assert np.mean(correlations) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("method", [layers, parameters, source_accuracy, heuristic])
def test_a_missing_entry_is_not_applicable_and_named(method):
    score = method({"name": "somebody's", "layers": None})
    assert score.status == "not_applicable"
    assert "is not known" in score.reason


def test_random_is_uniform_and_repeats_for_the_same_model_target_and_seed():
    assert random(MODEL, 3) == random(dict(reversed(MODEL.items())), 3)
    drawn = [random({**MODEL, "name": f"m{i}"}, 0) for i in range(400)]
    assert len(set(drawn)) == 400
    assert 0 <= min(drawn) < max(drawn) < 1
    # Mean of 400 uniforms: 1/2 ± 4 · sqrt(1/12/400).
    assert np.mean(drawn) == pytest.approx(0.5, abs=4 * np.sqrt(1 / 4800))
    assert random(MODEL, 3) != random(MODEL, 4)
    assert random(MODEL, 3) != random({**MODEL, "target": "cub200"}, 3)
