"""PARC against Spearman's coefficient of exact label distances, and what must leave it unchanged."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import rankdata, spearmanr

from methods import Features, parc
from methods.parc import multi_hot_ranks


def probe(n: int = 60, d: int = 20, c: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % c
    return rng.normal(size=(n, d)) + 1.5 * rng.normal(size=(c, d))[labels], labels


def slow(x: np.ndarray, label_distances: np.ndarray) -> float:
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    return 100 * spearmanr(pdist(z, "correlation"), label_distances).statistic


@pytest.mark.parametrize(("n", "d", "c"), [(60, 20, 5), (40, 90, 37), (60, 20, 6), (9, 3, 2)])
def test_single_labels_equal_spearman_with_exact_distances(n, d, c):
    x, labels = probe(n, d, c)
    unlike = np.array([labels[i] != labels[j] for i, j in combinations(range(n), 2)], dtype=float)
    assert parc(x, labels) == pytest.approx(slow(x, unlike), rel=1e-12)


def test_multi_hot_equals_spearman_with_rational_distances():
    x, _ = probe(40, 15)
    hot = np.random.default_rng(3).random((40, 7)) < 0.4
    hot[~hot.any(axis=1), 0] = True

    def squared(a, b):  # signed square of the correlation of two 0/1 rows, exact
        c, k, l, o = len(a), int(a.sum()), int(b.sum()), int((a & b).sum())
        t = c * o - k * l
        return Fraction(t * abs(t), k * (c - k) * l * (c - l))

    pairs = [squared(hot[i], hot[j]) for i, j in combinations(range(40), 2)]
    order = {value: rank for rank, value in enumerate(sorted(set(pairs)))}
    distances = -np.array([order[p] for p in pairs], dtype=float)
    np.testing.assert_array_equal(multi_hot_ranks(hot.astype(float)).values, rankdata(distances))
    assert parc(x, hot) == pytest.approx(slow(x, distances), rel=1e-12)


def test_one_hot_rows_are_single_labels():
    x, labels = probe()
    assert parc(x, np.eye(5, dtype=int)[labels]) == parc(x, labels)


def test_rows_without_a_label_are_left_out_and_said():
    x, labels = probe()
    hot = np.eye(5, dtype=int)[labels]
    hot[:, 0] |= hot[:, 1]
    without = np.vstack([hot, np.zeros((2, 5), dtype=int), np.ones((1, 5), dtype=int)])
    more = np.vstack([x, x[:3] + 1])
    score = parc(more, without)
    assert score == pytest.approx(parc(x, hot), rel=1e-12)
    assert score.status == "ok"
    assert score.reason.startswith("3 images")


def test_column_scales_and_offsets_do_not_matter():
    x, labels = probe()
    rng = np.random.default_rng(1)
    assert parc(x * rng.uniform(0.01, 100, 20) + rng.normal(size=20), labels) == pytest.approx(parc(x, labels))


def test_classes_as_features_score_as_high_as_ties_allow():
    """With two classes, one coordinate each way, distances are 0 within and 2 across: the rankings agree."""
    labels = np.array([0, 1] * 6)
    x = np.stack([labels, 1 - labels], axis=1).astype(float)
    assert parc(x, labels) == pytest.approx(100)
    # Opposed on purpose: like pairs far apart. Same and different pairs swap places.
    x, labels = np.array([[0.0, 1], [1, 0], [0, 1], [1, 0]]), np.array([0, 0, 1, 1])
    # Pairs (01)(02)(03)(12)(13)(23): far near far far near far -> Spearman of (1,0,1,1,0,1) and (0,1,1,1,1,0).
    assert parc(x, labels) == pytest.approx(-50)


def test_exact_pca_of_all_dimensions_keeps_distances_of_whitened_rows():
    x, labels = probe()
    rows = Features(x).centred.R
    assert parc(x, labels, n_dims=20, pca="exact") == pytest.approx(
        slow(
            rows * np.sign((rows**3).sum(axis=0)),  # the correlation of rows sees a component's sign
            np.array([labels[i] != labels[j] for i, j in combinations(range(60), 2)], dtype=float),
        ),
        rel=1e-9,
    )


def test_degenerate_cases_are_named():
    x, labels = probe()
    assert parc(x, np.zeros(60, dtype=int)).status == "insufficient"
    assert parc(x, np.arange(60)).status == "insufficient"
    assert parc(np.ones((60, 3)), labels).status == "degenerate"
    assert parc(x[:, :1], labels).status == "degenerate"  # one column: a row has no direction
    assert parc(x, np.zeros((60, 4), dtype=int)).status == "insufficient"
    hot = np.zeros((60, 4), dtype=int)
    hot[:, :2] = 1
    assert parc(x, hot).status == "degenerate"  # all label sets alike
    x[0] = x.mean(axis=0)
    x[0] += x[1:].mean(axis=0) - x[0]  # a row at the mean of all others is at the mean: no direction
    score = parc(x, labels)
    assert score.status == "degenerate"
    assert np.isfinite(score)


def test_duplicates_and_constant_columns_do_not_raise():
    x, labels = probe()
    x[:, 3] = 7.0
    x[10:20] = x[0:10]
    assert parc(x, labels).status == "ok"


def test_released_label_distances_are_of_rows_as_long_as_the_data_set_has_classes():
    """Of 37 classes equal distances differ in the last bit; of the few in the probe they do not."""
    x, labels = probe()
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    upper = np.triu_indices(len(x), 1)
    ids = 5 * labels + 2  # every class in its own column
    distances = [(1 - np.corrcoef(rows))[upper] for rows in (z, np.eye(37)[ids])]
    released = parc(x, ids, compat="parc", n_classes=37)
    assert released == pytest.approx(100 * spearmanr(*distances).statistic, rel=1e-9)
    assert released != pytest.approx(parc(x, ids, compat="parc"), rel=1e-2)
    assert parc(x, ids, n_classes=37) == parc(x, ids)
    hot = np.eye(37, dtype=int)[ids]
    assert parc(x, hot[:, :25], compat="parc", n_classes=37) == released
    with pytest.raises(ValueError, match=r"n_classes must be .*, 37\. Got 36"):
        parc(x, np.where(np.arange(60)[:, None] < 1, 1 - hot, hot), compat="parc", n_classes=36)


def test_unknown_compat_is_refused_with_a_hint():
    x, labels = probe()
    with pytest.raises(
        ValueError, match=r"compat must be one of None, 'parc', 'scikit-learn-1.2'. Got 'park'. Did you mean 'parc'"
    ):
        parc(x, labels, compat="park")


def test_averaged_signs_are_the_mean_over_all_choices():
    """Covariances of rows, averaged over 2^6 choices of signs, give the distances; a flip changes nothing."""
    x, labels = probe(30, 12)
    rows = Features(x).pca(6).x
    z = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    total = np.zeros((30, 30))
    for bits in range(2**6):
        flipped = z * np.where([bits >> k & 1 for k in range(6)], -1.0, 1.0)
        total += np.cov(flipped)
    sd = np.sqrt(total.diagonal())
    distances = (1 - total / sd / sd[:, None])[np.triu_indices(30, 1)]
    unlike = np.array([labels[i] != labels[j] for i, j in combinations(range(30), 2)], dtype=float)
    averaged = parc(x, labels, n_dims=6, average_signs=True)
    assert averaged == pytest.approx(100 * spearmanr(distances, unlike).statistic, rel=1e-9)
    assert averaged == pytest.approx(parc(-x, labels, n_dims=6, average_signs=True), rel=1e-9)
    # One choice is off by more than rounding, and which it is depends on the version of scikit-learn.
    kinds = [parc(x, labels, n_dims=6, compat=compat) for compat in (None, "scikit-learn-1.2")]
    assert all(abs(kind - averaged) > 0.1 for kind in kinds)
    assert abs(kinds[0] - kinds[1]) > 0.1


def test_signs_of_scikit_learn_1_2():
    """Of each component the entry of largest size over the images is positive: the left vectors decided it then."""
    from sklearn.decomposition import PCA

    x, labels = probe(50, 20)
    rows = PCA(8, svd_solver="randomized", iterated_power=1, random_state=1919).fit_transform(x)
    rows *= np.sign(rows[np.abs(rows).argmax(axis=0), np.arange(8)])
    assert parc(x, labels, n_dims=8, compat="scikit-learn-1.2") == pytest.approx(parc(rows, labels), rel=1e-9)


def test_features_themselves_have_signs():
    x, labels = probe()
    with pytest.raises(ValueError, match="average_signs must be false without n_dims"):
        parc(x, labels, average_signs=True)
