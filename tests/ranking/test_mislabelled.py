"""Confident learning: its definition on small tables, and planted wrong labels that are found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from benchmark.ranking import mislabelled


def test_the_confident_joint_of_a_small_table_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    first = np.array([0.9, 0.8, 0.1, 0.7, 0.2, 0.3])  # probability of class 0; its threshold is 1.8 / 3 = 0.6
    p = np.stack([first, 1 - first], axis=1)  # of class 1: (0.3 + 0.8 + 0.7) / 3 = 0.6
    wrong, counted = mislabelled.off_diagonal(p, labels)
    assert wrong.tolist() == [2, 3]
    assert counted.tolist() == [1, 0]


@given(seed=st.integers(0, 10**6), n=st.integers(6, 40), c=st.integers(2, 5))
@settings(max_examples=50, deadline=None)
def test_it_is_the_definition_image_by_image(seed: int, n: int, c: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(c), rng.integers(0, c, n)])
    p = rng.dirichlet(np.ones(c), len(labels))
    expected = {}
    for i, row in enumerate(p):
        at_least = [j for j in range(c) if row[j] >= np.mean([p[k][j] for k in range(len(p)) if labels[k] == j])]
        if at_least and (likeliest := max(at_least, key=lambda j, row=row: row[j])) != labels[i]:
            expected[i] = likeliest
    wrong, counted = mislabelled.off_diagonal(p, labels)
    assert dict(zip(wrong.tolist(), counted.tolist(), strict=True)) == expected


def planted(labels: np.ndarray, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which a share was replaced by other classes, and which."""
    rng, wrong, classes = np.random.default_rng(seed), labels.copy(), np.unique(labels)
    chosen = rng.choice(len(labels), round(share * len(labels)), replace=False)
    for i in chosen:
        wrong[i] = rng.choice(classes[classes != labels[i]])
    return wrong, np.sort(chosen)


def test_planted_wrong_labels_of_digits_are_found() -> None:
    """Pixels as features, 5 % of the labels replaced at random."""
    pixels, labels = load_digits(return_X_y=True)
    pixels, labels = pixels[:1000], labels[:1000]
    given_labels, chosen = planted(labels, 0.05)
    found = mislabelled.suspects(pixels, given_labels)
    hit = np.isin([s.image for s in found], chosen)
    print(f"precision {hit.mean():.3f}, recall {hit.sum() / len(chosen):.3f}, {len(found)} found of {len(chosen)}")
    assert hit.mean() >= 0.9, "precision"
    assert hit.sum() / len(chosen) >= 0.55, "recall"
    right = [s.suggested == labels[s.image] for s in found if s.image in chosen]
    assert np.mean(right) >= 0.9, "what is suggested is what they were"
    assert all(s.given == given_labels[s.image] and s.p_suggested > s.p_given for s in found)


def test_a_label_of_several_is_judged_alone() -> None:
    pixels, digits = load_digits(return_X_y=True)
    pixels, digits = pixels[:600], digits[:600]
    labels = np.stack([digits < 5, digits % 2 == 0, digits == 0], axis=1).astype(np.uint8)
    spoilt = labels.copy()
    spoilt[np.flatnonzero(digits == 0)[:4], 2] = 0  # these do show a zero
    found = {(s.image, s.given) for s in mislabelled.suspects(pixels, spoilt)}
    assert len({(int(i), 2) for i in np.flatnonzero(digits == 0)[:4]} & found) >= 3


def test_images_of_classes_that_are_too_small_are_not_judged() -> None:
    rng = np.random.default_rng(0)
    labels = np.array([0] * 10 + [1] * 10 + [2] * (mislabelled.LEAST - 1))
    features = rng.normal(size=(len(labels), 4)) + 5 * np.eye(3)[np.minimum(labels, 2)] @ rng.normal(size=(3, 4))
    assert not [s for s in mislabelled.suspects(features, labels) if 2 in (s.given, s.suggested)]
    assert mislabelled.suspects(features[:10], labels[:10]) == [], "one class has no other"
    alone = np.array([0, 0, 0, 1, 1, 1])
    assert all(s.given in (0, 1) for s in mislabelled.suspects(features[:6], alone) or ()), "fewer images than folds"


def test_the_numbers_of_the_features_scale_and_place_do_not_matter() -> None:
    pixels, labels = load_digits(return_X_y=True)
    given_labels, _ = planted(labels[:300], 0.1)
    one = mislabelled.suspects(pixels[:300], given_labels)
    other = mislabelled.suspects(1000 * pixels[:300] + 7, given_labels)
    assert [s.image for s in one] == [s.image for s in other]
    assert [s.p_given for s in one] == pytest.approx([s.p_given for s in other], abs=1e-3)


def test_features_that_do_not_tell_classes_apart_accuse_nobody() -> None:
    rng = np.random.default_rng(0)
    assert mislabelled.suspects(rng.normal(size=(200, 20)), np.repeat(np.arange(10), 20)) is None
    several = rng.integers(0, 2, (200, 3))
    assert mislabelled.suspects(rng.normal(size=(200, 20)), several) == []
