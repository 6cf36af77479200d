"""Classes in equal shares: when it is considered, what decides, and what a training then sees."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.search import balance
from benchmark.training.views import even_orders


@pytest.mark.parametrize(
    ("counts", "uneven"),
    [
        ((50, 50), False),
        ((90, 10), True),
        ((95, 10), True),
        ((100, 60, 10), True),
        ((100, 60, 11), False),
        ((70,), False),
    ],
)
def test_uneven_is_ten_times_the_smallest_or_four_fifths_of_all(counts, uneven):
    assert balance.is_uneven(np.repeat(range(len(counts)), counts)) == uneven


def test_every_class_comes_equally_often():
    """Of 12,000 draws each of three classes has 4,000 ± 52 (one standard deviation)."""
    labels = np.repeat([0, 1, 2], [970, 20, 10])
    drawn = labels[even_orders(labels, 40, 300, np.random.default_rng(0))]
    assert drawn.shape == (300, 40)
    assert np.abs(np.bincount(drawn.ravel()) - 4000).max() < 5 * 52


def overlapping(distance: float, rare: int = 40, n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.zeros(n, np.int64)
    labels[:rare] = 1
    return distance * labels[:, None] * np.array([1.0, 0, 0]) + rng.standard_normal((n, 3)), labels


def test_equal_shares_are_taken_where_the_rare_class_is_hardly_ever_named():
    """Unit Gaussians 1.5 apart: with shares of 14 to 1 the boundary leaves the rare class out; with equal ones half the
    distance, 0.75 deviations, gives both classes 77 %."""
    found = balance.compared(*overlapping(1.5))
    assert found is not None
    assert found.use
    assert found.plain < 65
    assert found.even == pytest.approx(77, abs=6)
    assert found.sentence.startswith(
        "the classes are uneven, and are trained on in equal shares: on 600 training images"
    )


def test_classes_that_are_told_apart_are_trained_on_as_they_come():
    found = balance.compared(*overlapping(12.0))
    assert found is not None
    assert (found.use, found.plain, found.even) == (False, 100.0, 100.0)


def test_too_few_images_or_one_class_that_can_be_judged_say_nothing():
    features, labels = overlapping(1.5)
    assert balance.compared(features[:50], labels[:50]) is None
    assert balance.compared(features[38:], labels[38:]) is None  # two of the rare class for three folds


def test_a_sample_has_what_there_is_of_rare_classes():
    labels = np.repeat([0, 1, 2], [3000, 200, 25])
    counts = np.bincount(labels[balance._sample(labels)])
    assert counts.sum() <= balance.MOST
    assert counts[2] == 25
    assert counts[1] >= 100


def test_a_decision_is_kept_for_a_training_that_goes_on(tmp_path, monkeypatch):
    labels = np.repeat([0, 1], [190, 10])
    pack = SimpleNamespace(labels=labels, multilabel=False)
    job = SimpleNamespace(result=tmp_path / "final-00.json", until=1e12)
    monkeypatch.setattr(
        balance, "_features", lambda job, module, pack, chosen, device: overlapping(1.5)[0][: len(chosen)]
    )
    first = balance.decided(job, None, pack, np.arange(200), None)
    monkeypatch.setattr(balance, "_features", None)
    assert balance.decided(job, None, pack, np.arange(200), None) == first
    assert first is not None


def test_several_labels_and_even_classes_are_left_alone(tmp_path):
    job = SimpleNamespace(result=tmp_path / "x.json", until=1e12)
    several = SimpleNamespace(labels=np.ones((20, 2)), multilabel=True)
    even = SimpleNamespace(labels=np.arange(20) % 2, multilabel=False)
    assert balance.decided(job, None, several, np.arange(20), None) is None
    assert balance.decided(job, None, even, np.arange(20), None) is None


def test_a_balanced_training_sees_a_rare_class_as_often_as_the_others(monkeypatch):
    """Bright images of one class among dark ones of the other, 3 of 60: a step of 20 sees ten ± 2.2, not one."""
    import torch

    from benchmark.config.recipe import RecipeSpec
    from benchmark.models import classifiers, loading
    from benchmark.training import loop
    from benchmark.training.batches import Examples
    from tests.tiny import spec

    labels = torch.zeros(60, dtype=torch.int64)
    labels[:3] = 1
    pixels = (labels[:, None, None, None] * 255).expand(60, 32, 32, 3).to(torch.uint8).contiguous()
    seen: list[int] = []
    measured = loop.loss_of
    monkeypatch.setattr(loop, "loss_of", lambda out, y, s: seen.append(int(y.sum())) or measured(out, y, s))
    for balanced in (False, True):
        module = classifiers.new_head(loading.load(spec(), None)[0], 2, 0)
        recipe = RecipeSpec(steps=3, batch=20)
        loop.fit(module, spec(), Examples(pixels, labels), recipe, 0.01, 0, flip=False, balanced=balanced)
    assert sum(seen[:3]) == 3
    assert all(4 <= count <= 16 for count in seen[3:])
