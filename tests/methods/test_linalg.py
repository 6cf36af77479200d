"""Features: each shared quantity against its textbook form."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from scipy.stats import rankdata

from methods import Features, as_features
from methods.shared.linalg import class_sums, reduced
from methods.shared.ranks import average_ranks, condensed

SHAPES = [(40, 15), (15, 40), (20, 20), (21, 20), (20, 21), (2, 5)]


def drawn(n: int, d: int, offset: float = 3.0) -> np.ndarray:
    rng = np.random.default_rng(n * 100 + d)
    return rng.normal(size=(n, d)) * rng.uniform(0.5, 2.0, size=d) + offset


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("which", ["centred", "uncentred"])
def test_factorisation_is_the_thin_svd(n, d, which):
    x = drawn(n, d)
    rows = x - x.mean(axis=0) if which == "centred" else x
    found = getattr(Features(x), which)
    s = np.linalg.svd(rows, compute_uv=False)
    rank = min(n - 1, d) if which == "centred" else min(n, d)
    assert found.rank == rank
    np.testing.assert_allclose(found.s, s[:rank], rtol=1e-9)
    np.testing.assert_allclose(found.U.T @ found.U, np.eye(rank), atol=1e-12)
    np.testing.assert_allclose(found.R @ found.R.T, rows @ rows.T, atol=1e-10 * s[0] ** 2)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_gram_and_distances(n, d):
    x = drawn(n, d)
    features = Features(x)
    np.testing.assert_allclose(features.gram, x @ x.T, rtol=1e-12)
    np.testing.assert_allclose(features.sq_distances, cdist(x, x, "sqeuclidean"), rtol=1e-10, atol=1e-12)


def test_distances_survive_a_mean_far_from_zero():
    """A Gram of uncentred rows would lose all of its digits to a mean of 1e6."""
    x = drawn(20, 8, offset=0.0)
    np.testing.assert_allclose(Features(x + 1e6).sq_distances, cdist(x, x, "sqeuclidean"), rtol=1e-7, atol=1e-9)
    assert Features(x + 1e6).centred.rank == 8


def test_low_rank_is_found():
    rng = np.random.default_rng(0)
    for n, d in [(30, 50), (50, 30)]:
        x = rng.normal(size=(n, 4)) @ rng.normal(size=(4, d)) + rng.normal(size=d)
        assert Features(x).centred.rank == 4
        assert Features(x).uncentred.rank == 5


@pytest.mark.parametrize("shape", [(10, 20), (20, 10)])
def test_constant_features_have_rank_zero_not_rounding(shape):
    features = Features(np.full(shape, 0.1))
    assert features.centred.rank == 0
    assert not features.sd.any()
    assert not features.pca(3).x.any()
    assert not features.pca(3, "exact").x.any()


@pytest.mark.parametrize(("n", "d"), SHAPES[:5])
def test_correlation_ranks(n, d):
    x = drawn(n, d)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    found = Features(x).correlation_ranks
    expected = rankdata(pdist(z, "correlation"))
    np.testing.assert_array_equal(found.values, expected)
    assert found.sd == pytest.approx(expected.std(), rel=1e-12)
    assert found.undefined == 0


def test_ranks_average_ties_and_what_differs_by_rounding():
    values = np.array([0.3, 0.1, 0.1 + 1e-15, 0.3, 0.2, 0.3])
    assert average_ranks(values).values.tolist() == [5, 1.5, 1.5, 5, 3, 5]
    assert average_ranks(values, tie=0.0).values.tolist() == [5, 1, 2, 5, 3, 5]
    rng = np.random.default_rng(1)
    many = rng.integers(0, 9, size=500).astype(float)
    np.testing.assert_array_equal(average_ranks(many).values, rankdata(many))


def test_kept_and_fresh_matrices_agree(monkeypatch):
    """Beyond KEEP images the standardised Gram is consumed in place: the ranks are the same."""
    x = drawn(30, 12)
    kept = Features(x)
    monkeypatch.setattr("methods.shared.linalg.KEEP", 10)
    fresh = Features(x)
    np.testing.assert_array_equal(fresh.correlation_ranks.values, kept.correlation_ranks.values)
    np.testing.assert_array_equal(fresh.standardised_gram[0], kept.standardised_gram[0])


def test_condensed_is_the_upper_triangle():
    square = np.arange(25).reshape(5, 5)
    assert condensed(square).tolist() == square[np.triu_indices(5, 1)].tolist()


def test_class_sums_leave_absent_classes_zero():
    rows = np.arange(12.0).reshape(6, 2)
    codes = np.array([3, 0, 3, 1, 0, 3])
    sums = class_sums(rows, codes, 5)
    assert sums.tolist() == [rows[codes == c].sum(axis=0).tolist() for c in range(5)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_randomised_pca_is_scikit_learns_in_float64(dtype):
    from sklearn.decomposition import PCA

    x = drawn(60, 40).astype(dtype)
    solver = PCA(n_components=8, svd_solver="randomized", iterated_power=1, random_state=1919)
    expected, found = solver.fit_transform(x.astype(np.float64)), Features(x).pca(8).x
    # Up to signs, in which versions of scikit-learn differ: the largest loading, over the columns of x, is positive.
    np.testing.assert_allclose(found * np.sign((found * expected).sum(axis=0)), expected, atol=1e-11)
    loadings = (x - x.mean(axis=0)).T @ found
    assert (loadings[np.abs(loadings).argmax(axis=0), np.arange(8)] > 0).all()
    scores = Features(x).pca(8, signs="scores").x
    np.testing.assert_array_equal(np.abs(scores), np.abs(found))
    assert (scores[np.abs(scores).argmax(axis=0), np.arange(8)] > 0).all()


@pytest.mark.parametrize("kind", ["randomised", "exact"])
def test_components_that_features_do_not_have_are_no_rounding(kind):
    """Rank 4, and the last two images equal: z-scoring would blow rounding up to the size of a component."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 4)) @ rng.normal(size=(4, 50))
    x[-1] = x[-2]
    found = Features(x).pca(8, kind).x
    assert np.count_nonzero(found.any(axis=0)) == 4
    np.testing.assert_array_equal(found[-1], found[-2])


def test_of_two_equally_large_loadings_the_first_decides_the_sign():
    """Columns 1 and 3 are each other's negative: which has the larger loading is rounding."""
    x = np.random.default_rng(1).normal(size=(20, 1)) * [[0.5, 2.0, 0.1, -2.0]]
    found = Features(x).pca(1).x[:, 0]
    assert np.sign(found @ x[:, 1]) == 1


@pytest.mark.parametrize(("n", "d"), SHAPES[:5])
def test_exact_pca_is_the_truncated_decomposition(n, d):
    from sklearn.decomposition import PCA

    x = drawn(n, d)
    exact = PCA(n_components=5, svd_solver="full").fit_transform(x)
    np.testing.assert_allclose(np.abs(Features(x).pca(5, "exact").x), np.abs(exact), atol=1e-9)


def test_dimensions_are_capped_and_projections_kept():
    features = Features(drawn(12, 30))
    assert features.pca(100).d == 12
    assert features.pca(100) is features.pca(12)
    assert reduced(features, None) is features
    assert as_features(features) is features


def test_input_is_neither_changed_nor_changeable():
    x = drawn(10, 5)
    before = x.copy()
    features = Features(x)
    with pytest.raises(ValueError, match="read-only"):
        features.x[0, 0] = 1.0
    features.centred, features.correlation_ranks, features.pca(2)
    np.testing.assert_array_equal(x, before)
    x[0, 0] = 9.0  # the caller's own array stays writeable


def test_interpolation_is_general_position_not_shape():
    x = drawn(10, 30)
    assert Features(x).interpolates
    assert Features(drawn(31, 30)).interpolates  # n = d + 1
    assert not Features(drawn(32, 30)).interpolates
    x[:, 5:] = 1.0  # thirty columns, of which five move
    assert not Features(x).interpolates


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(3), "matrix"),
        (np.zeros((0, 3)), "matrix"),
        (np.array([[1.0, np.nan]]), "finite. Got NaN or infinity in 1 of 1 rows"),
        (np.array([[1j]]), "real"),
        (np.array([["a"]]), "real"),
    ],
)
def test_malformed_features_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        Features(x)


@pytest.mark.parametrize("n_dims", [0, -1, 2.5, True])
def test_malformed_n_dims_is_refused(n_dims):
    with pytest.raises(ValueError, match="n_dims must be a whole number"):
        Features(drawn(5, 5)).pca(n_dims)


def test_exact_components_do_not_depend_on_the_order_of_rows_or_a_rotation():
    rng = np.random.default_rng(0)
    x, turn = rng.exponential(size=(40, 9)), np.linalg.qr(rng.normal(size=(9, 9)))[0]
    order = rng.permutation(40)
    once = Features(x).pca(4, "exact").x
    assert ((once**3).sum(axis=0) > 0).all()
    np.testing.assert_allclose(Features(x[order]).pca(4, "exact").x, once[order], atol=1e-9)
    np.testing.assert_allclose(Features(x @ turn).pca(4, "exact").x, once, atol=1e-9)
