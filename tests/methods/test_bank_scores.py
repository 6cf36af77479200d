"""ncti and etran, term by term, and what is made of parts over a bank of models."""

import numpy as np
import pytest
from scipy import linalg, special, stats
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import methods
from methods import energy, etran, lda, least_squares, ncc, ncti
from methods.shared import bank

SHAPES = [(200, 30, 4), (120, 150, 6), (90, 100, 3), (60, 8, 12)]


def probe(n: int, d: int, c: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes of unequal sizes and directions of unequal spread, off the origin."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[np.arange(c), np.arange(c), rng.integers(0, c, n - 2 * c)])
    return rng.normal(size=(n, d)) * rng.uniform(0.3, 2, d) + rng.normal(size=(c, d))[labels] + 1, labels


def slow_ncti(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """By scikit-learn's full PCA and shrunk discriminant; without shrinkage by the definition, 1/(n - c)."""
    pca = PCA(min(64, len(x) - 1, x.shape[1]), svd_solver="full").fit(x)
    z = pca.transform(x)
    t = max(np.exp(-pca.explained_variance_[:32].sum()), 1e-10)
    if t == 1e-10:
        projected, p = whitened_discriminant(z, y)
    else:
        model = LinearDiscriminantAnalysis(solver="eigen", shrinkage=t).fit(z, y)
        projected, p = model.transform(z), model.predict_proba(z)
    return {
        "ncc": p[np.arange(len(y)), y].mean(),
        "seli": np.linalg.norm(projected - projected.mean(axis=0), "nuc"),
        "vc": np.log(sum(np.linalg.norm(p[y == k], "nuc") for k in np.unique(y))),
    }


def whitened_discriminant(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Projection on the principal directions of the class means, in the space where classes are round."""
    c = y.max() + 1
    means = np.stack([z[y == k].mean(axis=0) for k in range(c)])
    counts, residuals = np.bincount(y), z - means[y]
    root = np.real(linalg.sqrtm(np.linalg.inv(residuals.T @ residuals / (len(z) - c))))
    z, means = z @ root, means @ root
    vectors = np.linalg.eigh((means.T * counts) @ means)[1][:, ::-1][:, : c - 1]
    squares = ((z[:, None] - means) ** 2).sum(axis=2)
    return z @ vectors, special.softmax(np.log(counts / len(z)) - squares / 2, axis=1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [0.01, 0.1, 3.0])  # shrinkage near 1, between, at its floor
def test_ncti_is_its_discriminant(shape, scale):
    x, y = probe(*shape)
    score, expected = ncti(scale * x, y), slow_ncti(scale * x, y)
    assert dict(score.parts) == pytest.approx(expected, rel=1e-7)
    assert score == pytest.approx(expected["ncc"] + expected["seli"] - expected["vc"], rel=1e-7)
    assert "normalised" in score.reason


def test_ncti_of_as_many_classes_as_images_is_insufficient():
    assert ncti(np.eye(5), np.arange(5)).status == "insufficient"


def test_energy_is_the_mean_log_sum_exp_of_its_tail():
    logits = np.random.default_rng(0).normal(size=(50, 7)) * 5 + 800
    energies = np.sort(special.logsumexp(logits, axis=1))
    assert energy(logits) == pytest.approx(energies.mean(), rel=1e-12)
    assert energy(logits, tail=0.1) == pytest.approx(energies[:5].mean(), rel=1e-12)
    assert energy(logits, tail=1e-6) == pytest.approx(energies[0], rel=1e-12)
    assert energy(logits - 3) == pytest.approx(energy(logits) - 3, rel=1e-12)


@pytest.mark.parametrize("columns", [None, 3])
def test_least_squares_is_the_residual_without_an_intercept(columns):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(60, 9)) + 1, rng.normal(size=(60,) if columns is None else (60, columns))
    solution = np.linalg.lstsq(x, t, rcond=None)[0]
    assert least_squares(x, t) == pytest.approx(-((x @ solution - t) ** 2).mean(), rel=1e-10)
    assert least_squares(x @ rng.normal(size=(9, 9)), t) == pytest.approx(least_squares(x, t), rel=1e-9)


def test_least_squares_names_interpolation():
    rng = np.random.default_rng(0)
    score = least_squares(rng.normal(size=(30, 40)), rng.normal(size=30))
    assert (score, score.status) == (0.0, "degenerate")


def test_etran_holds_its_terms():
    x, y = probe(200, 30, 4)
    logits = np.random.default_rng(1).normal(size=(200, 9))
    score = etran(0.2 * x, y, logits)
    assert dict(score.parts) == {"energy": energy(logits), "classification": lda(0.2 * x, y)}
    assert score == pytest.approx(0.15 * energy(logits) + 0.85 * lda(0.2 * x, y), rel=1e-12)
    t = y + x[:, 0]
    parts = etran(x, t, logits, regression=True).parts
    assert dict(parts) == {"energy": energy(logits), "regression": least_squares(x, t)}


def test_etran_as_released_takes_features_and_the_identity_metric():
    x, y = probe(401, 30, 4)
    parts = etran(x, y, None, compat="etran").parts
    lowest = np.sort(special.logsumexp(x, axis=1))[:2]  # 0.5 % of 401
    assert dict(parts) == pytest.approx({"energy": lowest.mean(), "classification": ncc(x, y)}, rel=1e-12)
    few = etran(x[:50], y[:50], None, compat="etran").parts
    assert few["energy"] == pytest.approx(special.logsumexp(x[:50], axis=1).min(), rel=1e-12)


def test_etran_without_logits_or_with_a_degenerate_term_says_so():
    x, y = probe(60, 90, 3)
    assert etran(x, y, None).status == "not_applicable"
    score = etran(10 * x, y, np.zeros((60, 4)))
    assert score.status == "degenerate"
    assert "classification" in score.reason
    assert set(score.parts) == {"energy", "classification"}


NAN = float("nan")


def test_minmax_z_and_rank():
    np.testing.assert_allclose(bank.minmax([2, NAN, 6, 3]), [0, NAN, 1, 0.25])
    np.testing.assert_allclose(bank.zscore([1, 2, 3, NAN]), [*stats.zscore([1, 2, 3]), NAN])
    np.testing.assert_allclose(bank.ranked([5, 1, NAN, 5]), np.r_[2.5, 1, NAN, 2.5] / 3)
    for how in bank.NORMALISATIONS.values():
        np.testing.assert_array_equal(how([NAN, NAN]), [NAN, NAN])
    np.testing.assert_array_equal(bank.minmax([4, 4, NAN]), [0, 0, NAN])
    np.testing.assert_array_equal(bank.zscore([0.1, 0.1, 0.1]), [0, 0, 0])


def test_combine_weighs_normalised_parts():
    parts = {"a": [0, 1, 2], "b": [10, 30, 20], "other": [7, 7, 7]}
    np.testing.assert_allclose(bank.combine(parts, {"a": 2, "b": -1}), [0, 0, 1.5])
    np.testing.assert_allclose(bank.combine(parts), [0, 1.5, 1.5])
    assert np.isnan(bank.combine({"a": [0, 1, 2], "b": [NAN, 1, 0]})[0])
    with pytest.raises(ValueError, match="weights must be one of"):
        bank.combine(parts, {"c": 1})
    with pytest.raises(ValueError, match="one value a model"):
        bank.combine({"a": [1, 2], "b": [1, 2, 3]})
    with pytest.raises(ValueError, match="Did you mean 'rank'"):
        bank.combine(parts, how="ranks")


def test_fuse_averages_what_there_is():
    scores = {"parc": [1, 2, 3], "leep": [NAN, -5, -6]}
    np.testing.assert_allclose(bank.fuse(scores), [1 / 3, (2 / 3 + 1) / 2, (1 + 0.5) / 2])
    np.testing.assert_allclose(bank.fuse({"a": [NAN, 1], "b": [NAN, 2]}, how="z"), [NAN, 0])
    # Ranks do not see monotone maps of a method.
    np.testing.assert_allclose(bank.fuse({"a": np.exp([1, 2, 3]), "leep": scores["leep"]}), bank.fuse(scores))


def test_capacity_is_the_z_score_and_depth():
    np.testing.assert_allclose(
        bank.with_capacity([1, 2, 3], [50, 100, 18]), stats.zscore([1, 2, 3]) + np.array([1, 2, 0.36])
    )


def test_finished_combines_the_parts_of_those_that_declare_them_and_leaves_others():
    scores = [ncti(s * x, y) for s in (0.2, 1.0, 3.0) for x, y in [probe(200, 30, 4)]]
    ncc_, seli, vc = (bank.minmax([s.parts[k] for s in scores]) for k in ("ncc", "seli", "vc"))
    np.testing.assert_allclose(bank.finished(ncti, scores), ncc_ + seli - vc)
    np.testing.assert_array_equal(bank.finished(methods.parc, [methods.Score(3.0), methods.Score(1.0)]), [3, 1])
    absent = methods.Score(NAN, "not_applicable", "no head")
    mixed = [etran(0.2 * x, y, np.ones((200, 3)) * k) for k, (x, y) in enumerate([probe(200, 30, 4)] * 2)]
    np.testing.assert_allclose(bank.finished(etran, [*mixed, absent]), [0, 0.15, NAN])
    np.testing.assert_array_equal(bank.finished(etran, [absent]), [NAN])


def test_a_score_that_is_not_ok_takes_no_part_in_the_normalisation():
    held = [methods.Score(0.0, parts={"energy": e, "classification": k}) for e, k in ((1, 0.2), (3, 0.4), (2, 0.3))]
    vacuous = methods.Score(1.0, "degenerate", "every image is certain", {"energy": 90.0, "classification": 1.0})
    np.testing.assert_array_equal(bank.finished(etran, [*held, vacuous]), [*bank.finished(etran, held), NAN])


@pytest.mark.parametrize(("fusion", "how"), [(methods.rank_fusion, stats.rankdata), (methods.z_fusion, stats.zscore)])
def test_fusion_is_the_mean_of_what_each_estimator_says_over_the_bank(fusion, how):
    models = [probe(90, 30, 3, seed) for seed in range(5)]
    of = {"parc": {"n_dims": 4}, "logme": None, "shrunk_hscore": {}}
    scores = [fusion(x, y, of) for x, y in models]
    each = [[f(x, y, **p) for x, y in models] for f, p in
            ((methods.parc, {"n_dims": 4}), (methods.logme, {}), (methods.shrunk_hscore, {}))]  # fmt: skip
    for score, parts in zip(scores, zip(*each, strict=True), strict=True):
        np.testing.assert_allclose(list(score.parts.values()), parts, rtol=1e-12)
    expected = np.mean([how(column) / (5 if how is stats.rankdata else 1) for column in each], axis=0)
    np.testing.assert_allclose(bank.finished(fusion, scores), expected, rtol=1e-9)


def test_fusion_leaves_out_what_has_no_score_and_refuses_what_needs_a_bank():
    x, y = probe(90, 100, 3)
    score = methods.rank_fusion(x, y, {"hscore": {}, "knn": {}})
    assert (score.status, dict(score.parts)) == ("ok", {"knn": float(methods.knn(x, y))})
    assert score.reason.startswith("hscore is left out: n = 90 images")
    assert methods.rank_fusion(x, y, {"hscore": {}}).status == "degenerate"
    with pytest.raises(ValueError, match="stand on their own"):
        methods.rank_fusion(x, y, {"ncti": {}})
    with pytest.raises(ValueError, match="Got none"):
        methods.z_fusion(x, y, {})
