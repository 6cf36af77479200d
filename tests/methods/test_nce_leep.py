"""NCE and LEEP against loops over their definitions, and each other."""

from math import log

import numpy as np
import pytest

from methods import leep, nce


def probe(n: int = 50, z: int = 12, c: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % c
    logits = rng.normal(size=(n, z)) + rng.normal(size=(c, z))[labels]
    probs = np.exp(logits)
    return probs / probs.sum(axis=1, keepdims=True), labels


def slow_leep(probs: np.ndarray, labels: np.ndarray) -> float:
    n, z = probs.shape
    total = 0.0
    for i in range(n):
        expected = 0.0
        for k in range(z):
            joint = sum(probs[j, k] for j in range(n) if labels[j] == labels[i]) / n
            expected += probs[i, k] * joint / (sum(probs[:, k]) / n)
        total += log(expected)
    return total / n


def slow_nce(probs: np.ndarray, labels: np.ndarray) -> float:
    hard = [int(np.argmax(row)) for row in probs]
    total = 0.0
    for z in set(hard):
        members = [labels[i] for i in range(len(hard)) if hard[i] == z]
        for y in set(members):
            share = members.count(y) / len(members)
            total += len(members) / len(hard) * share * log(share)
    return total


def test_leep_equals_its_definition():
    probs, labels = probe()
    assert leep(probs, labels) == pytest.approx(slow_leep(probs, labels), rel=1e-12)


def test_nce_is_minus_the_conditional_entropy():
    probs, labels = probe()
    assert nce(probs, labels) == pytest.approx(slow_nce(probs, labels), rel=1e-12)


def test_leep_of_one_hot_rows_is_nce():
    probs, labels = probe()
    hard = np.eye(probs.shape[1])[probs.argmax(axis=1)]
    assert leep(hard, labels) == pytest.approx(nce(probs, labels), rel=1e-12)


def test_both_are_at_most_zero_and_reach_it_for_a_source_that_names_the_class():
    labels = np.arange(30) % 3
    assert leep(np.eye(5)[labels + 1], labels) == 0
    assert nce(np.eye(5)[labels + 1], labels) == 0
    for seed in range(5):
        probs, labels = probe(seed=seed)
        assert leep(probs, labels) < 0
        assert nce(probs, labels) <= 0


def test_a_source_that_knows_nothing_gives_minus_the_label_entropy():
    labels = np.array([0] * 30 + [1] * 10)
    flat = np.full((40, 8), 1 / 8)
    entropy = -(0.75 * log(0.75) + 0.25 * log(0.25))
    assert leep(flat, labels) == pytest.approx(-entropy, rel=1e-12)
    assert nce(flat, labels) == pytest.approx(-entropy, rel=1e-12)


@pytest.mark.parametrize("method", [leep, nce])
def test_source_classes_without_mass_change_nothing(method):
    probs, labels = probe()
    wider = np.hstack([probs[:, :5], np.zeros((50, 7)), probs[:, 5:]])
    assert method(wider, labels) == pytest.approx(method(probs, labels), rel=1e-13)
    assert method(wider, labels).status == "ok"


def test_released_forms():
    """parc: 1e-5 in each of c·z cells of the joint and z of the marginal. sfda: the mean without its log."""
    probs, labels = probe()
    joint = np.zeros((4, 12))
    for y, z in zip(labels, probs.argmax(axis=1), strict=True):
        joint[y, z] += 1 / 50
    joint, marginal = joint + 1e-5, joint.sum(axis=0) + 1e-5
    assert nce(probs, labels, compat="parc") == pytest.approx((joint * np.log(joint / marginal)).sum(), rel=1e-12)
    rest = 1e-5 * np.log(1e-5 / marginal).sum()  # of each class of the data set that the probe does not hold
    released = nce(probs, labels, compat="parc", n_classes=9)
    assert released == pytest.approx((joint * np.log(joint / marginal)).sum() + 5 * rest, rel=1e-12)
    assert nce(probs, labels, n_classes=9) == nce(probs, labels)
    with pytest.raises(ValueError, match=r"n_classes must be at least the number of classes .*, 4\. Got 3"):
        nce(probs, labels, compat="parc", n_classes=3)
    conditional = np.eye(4)[labels].T @ probs / probs.sum(axis=0)
    mean = np.mean([probs[i] @ conditional[labels[i]] for i in range(50)])
    assert leep(probs, labels, compat="sfda") == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("method", [leep, nce])
def test_degenerate_and_malformed_cases_are_named(method):
    probs, labels = probe()
    assert method(probs, np.zeros(50, dtype=int)).status == "insufficient"
    assert method(probs, np.ones((50, 3), dtype=int)).status == "not_applicable"
    for wrong in (np.log(probs), 2 * probs, np.where(probs > 0.5, np.nan, probs)):
        with pytest.raises(ValueError, match="source_probs must be probabilities"):
            method(wrong, labels)
    with pytest.raises(ValueError, match=r"as many as the images, 50\. Got 49"):
        method(probs, labels[:-1])
    with pytest.raises(ValueError, match="compat must be one of"):
        method(probs, labels, compat="logme")
