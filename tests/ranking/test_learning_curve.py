"""Would more images help: the power law, the folds, and what is said."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.ranking.learning_curve import LearningCurve, doubling, in_proportion, learning_curve


@pytest.mark.parametrize(("a", "b"), [(80.0, 0.5), (30.0, 0.1), (5.0, 1.0)])
def test_an_error_that_is_a_power_of_the_images_is_continued_exactly(a, b):
    sizes = [40, 80, 160]
    wrong = a * np.array(sizes, float) ** -b
    assert doubling(sizes, wrong) == pytest.approx(wrong[-1] - a * 320.0**-b, rel=1e-9)


def test_an_error_that_stays_gains_nothing_and_one_that_rises_less():
    assert doubling([10, 20, 40], np.array([7.0, 7.0, 7.0])) == pytest.approx(0.0, abs=1e-12)
    assert doubling([10, 20, 40], np.array([5.0, 6.0, 7.0])) < 0


def test_every_beginning_holds_the_classes_in_their_shares():
    classes = np.repeat([0, 1, 2], [80, 40, 20])
    order = in_proportion(classes)
    assert sorted(order) == list(range(140))
    for size in (7, 35, 70, 105):
        held = np.bincount(classes[order[:size]], minlength=3)
        assert np.abs(held - size * np.array([4, 2, 1]) / 7).max() <= 1


def gaussians(n: int, d: int, distance: float, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    middles = distance * rng.standard_normal((classes, d)) / np.sqrt(d)
    return middles[labels] + rng.standard_normal((n, d)), labels


def test_where_directions_must_be_learned_from_few_images_more_help():
    """150 images in 100 dimensions: the noise of the class means is what errs, and it halves with twice the images."""
    found = learning_curve("m", *gaussians(150, 100, 4.0))
    assert found is not None
    assert found.images == (30, 60, 120)
    assert found.right[0] < found.right[1] < found.right[2]
    assert found.helps
    assert found.sentence.startswith("More images would help. A linear head on the frozen features of m reaches")


def test_labels_that_features_know_nothing_of_are_not_said_to_gain():
    features, labels = gaussians(200, 10, 0.0)
    found = learning_curve("m", features, labels)
    assert found is not None
    assert not found.helps
    assert found.sentence.startswith("That more images would help is not seen.")


def test_classes_far_apart_leave_nothing_to_gain():
    found = learning_curve("m", *gaussians(200, 5, 60.0))
    assert found is not None
    assert found.right == (99.75, 99.75, 99.75)  # half an image of 200 is the least error that is said
    assert found.gain == 0


def test_several_labels_are_judged_by_average_precision():
    features, labels = gaussians(200, 60, 5.0, classes=4)
    several = np.stack([labels < 2, labels % 2 == 0], axis=1).astype(np.uint8)
    found = learning_curve("m", features, several)
    assert found is not None
    assert found.measure == "mean average precision"
    assert 50 < found.right[0] < found.right[2] < 100


def test_few_images_or_one_class_say_nothing():
    features, labels = gaussians(39, 5, 3.0)
    assert learning_curve("m", features, labels) is None
    assert learning_curve("m", np.ones((60, 3)), np.zeros(60, int)) is None


def test_rare_classes_do_not_stop_it():
    features, labels = gaussians(60, 8, 5.0)
    labels = np.concatenate([labels, [7, 8]])
    found = learning_curve("m", np.concatenate([features, features[:2] + 1]), labels)
    assert isinstance(found, LearningCurve)


@pytest.mark.parametrize(("distinct", "said"), [(66, True), (67, False)])
def test_a_probe_that_left_many_images_out_says_nothing(distinct, said):
    """60 images of 66 are nine in ten, of 67 fewer."""
    from types import SimpleNamespace

    import pandas as pd

    from benchmark.ranking.answer import Answer

    features, labels = gaussians(60, 5, 3.0)
    probe = SimpleNamespace(arrays={"features": features, "labels": labels})
    made = Answer.__new__(Answer)
    made.store = SimpleNamespace(read=lambda stage, key: probe)
    made.table, made.transfers = pd.DataFrame({"model": ["m"]}), {"m": SimpleNamespace(probe="key")}
    made.about = {"distinct": distinct}
    assert (made.learning_curve is not None) == said
