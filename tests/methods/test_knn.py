"""Nearest neighbours against scikit-learn and loops, and the tie rules by hand."""

from importlib import import_module

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from methods import Features, knn


def probe(n: int = 60, d: int = 8, c: int = 4, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    labels = np.arange(n) % c
    return rng.normal(size=(n, d)) + spread * rng.normal(size=(c, d))[labels], labels


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "correlation"])
def test_nearest_neighbour_equals_scikit_learns_leave_one_out(metric):
    x, labels = probe()
    model = KNeighborsClassifier(1, metric=metric, algorithm="brute")
    expected = (cross_val_predict(model, x, labels, cv=LeaveOneOut()) == labels).mean()
    assert knn(x, labels, metric=metric) == pytest.approx(100 * expected)
    assert 30 < 100 * expected < 100  # a case that could fail


@pytest.mark.parametrize("k", [1, 2, 3, 5, 13])
def test_votes_equal_a_loop(k):
    x, labels = probe()
    distances = cdist(x, x)
    np.fill_diagonal(distances, np.inf)
    hard = soft = 0.0
    for i, row in enumerate(distances):
        near = np.argsort(row)[:k]
        votes = {y: [row[j] for j in near if labels[j] == y] for y in set(labels[near])}
        best = min(votes, key=lambda y: (-len(votes[y]), min(votes[y])))
        hard += best == labels[i]
        soft += np.mean(labels[near] == labels[i])
    assert knn(x, labels, k=k) == pytest.approx(100 * hard / 60)
    assert knn(x, labels, k=k, vote="soft") == pytest.approx(100 * soft / 60)


@pytest.mark.parametrize(("k", "expected"), [(1, 0.96), (3, 0.96), (5, 0.9667), (13, 0.9667)])
def test_iris(k, expected):
    """transformer-ranker's published test values, to their four digits."""
    from sklearn.datasets import load_iris

    x, labels = load_iris(return_X_y=True)
    assert knn(x, labels, k=k) == pytest.approx(100 * expected, abs=0.005)


def test_split_takes_neighbours_from_the_first_half():
    x, labels = probe()
    for k in (1, 3):
        model = KNeighborsClassifier(k, algorithm="brute").fit(x[:30], labels[:30])
        if k == 1:
            assert knn(x, labels, split=True) == pytest.approx(100 * model.score(x[30:], labels[30:]))
        share = model.predict_proba(x[30:])[np.arange(30), labels[30:]].mean()
        assert knn(x, labels, k=k, split=True, vote="soft") == pytest.approx(100 * share)


def test_released_rule_where_all_votes_differ():
    """One query, three neighbours at 1, 2, 3: all different scores the mean, else the commonest, smallest id first."""
    x = np.array([[0.0], [1.0], [2.0], [3.0], [0.0]])  # halves 0,1 | 2,3,4; the fifth image makes n = 5
    labels = np.array([1, 0, 0, 1, 1])
    # Leave-one-out, k = 2. Votes: 0 -> (4: 1, 1: 0) differ, mean 1/2. 1 -> (0: 1, 2: 0) or (4, 2): ties at 1.
    # 2 -> (1: 0, 3: 1) mean 1/2. 3 -> (2: 0, 1: 0) commonest 0, wrong. 4 -> (0: 1, 1: 0) mean 1/2.
    # 1 -> the smallest indices, 0 and 2: labels 1 and 0, mean 1/2.
    assert knn(x, labels, k=2, compat="parc") == pytest.approx(100 * (0.5 + 0.5 + 0.5 + 0 + 0.5) / 5)


def test_ties_in_distance_share_the_vote():
    """Image 0 sees two equal neighbours of different classes: half credit, whatever their order."""
    x = np.array([[0.0, 0], [1, 0], [-1, 0], [1, 0.1], [-1, 0.1]])
    labels = np.array([0, 0, 1, 0, 1])
    expected = 100 * (0.5 + 4) / 5
    for order in ([0, 1, 2, 3, 4], [2, 1, 0, 4, 3], [4, 3, 2, 1, 0]):
        assert knn(x[order], labels[order]) == pytest.approx(expected)
        assert knn(x[order], 1 - labels[order]) == pytest.approx(expected)


def test_duplicates_are_neighbours_and_an_image_is_not_its_own():
    x, labels = probe(40)
    twice, both = np.vstack([x, x]), np.r_[labels, labels]
    assert knn(twice, both) == 100
    assert knn(twice, np.r_[labels, (labels + 1) % 4]) == 0


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_near_duplicates_are_told_apart_far_from_the_origin(offset):
    """Neighbours at 1e-6 and 2e-6 among points 1 apart: a Gram matrix alone could not tell which is nearer."""
    rng = np.random.default_rng(0)
    base = np.rint(rng.normal(size=(20, 6)) * 64) / 64
    step = 2.0**-20
    x = np.vstack([base, base + step, base - 2 * step]) + offset
    labels = np.r_[np.zeros(20, int), np.zeros(20, int), np.ones(20, int)]
    # base's nearest is base + step (right); base + step's is base (right); base - 2 step's is base (wrong).
    assert knn(x, labels) == pytest.approx(100 * 40 / 60)


def test_multi_hot_scores_agreement_over_all_labels():
    x, _ = probe()
    hot = np.random.default_rng(3).random((60, 5)) < 0.4
    distances = cdist(x, x)
    np.fill_diagonal(distances, np.inf)
    near = np.argsort(distances, axis=1)
    assert knn(x, hot) == pytest.approx(100 * (hot == hot[near[:, 0]]).mean())
    majority = hot[near[:, :3]].sum(axis=1) >= 2
    assert knn(x, hot, k=3) == pytest.approx(100 * (hot == majority).mean())


def test_blocks_of_queries_agree(monkeypatch):
    x, labels = probe()
    whole = [knn(x, labels, k=3), knn(x, labels, k=3, split=True), knn(x, labels, k=3, metric="cosine")]
    monkeypatch.setattr(import_module("methods.knn"), "ROWS", 7)  # methods.knn itself is the function
    assert [knn(x, labels, k=3), knn(x, labels, k=3, split=True), knn(x, labels, k=3, metric="cosine")] == whole


def test_projection():
    x, labels = probe(60, 30)
    features = Features(x)
    assert knn(features, labels, n_dims=4) == knn(features.pca(4).x, labels)


def test_degenerate_and_malformed_cases_are_named():
    x, labels = probe()
    assert knn(x, labels, k=60).status == "insufficient"
    assert knn(x, labels, k=31, split=True).status == "insufficient"
    assert knn(x, np.zeros(60, dtype=int)).status == "insufficient"
    hot = np.ones((60, 2), dtype=int)
    assert knn(x, hot, k=3, compat="parc").status == "not_applicable"
    # All images in one place: every other image is the nearest, the vote is the commonest other label's.
    assert knn(np.ones((60, 3)), labels).status == "degenerate"
    for wrong in ({"k": 0}, {"k": 1.5}, {"metric": "l1"}, {"vote": "all"}, {"compat": "logme"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            knn(x, labels, **wrong)
