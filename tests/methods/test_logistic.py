"""The logistic probe's protocol, on cases whose accuracy is known."""

import numpy as np
import pytest

from methods import Features, logistic


def probe(n: int = 80, c: int = 4) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % c
    return 20 * np.eye(c)[labels] + np.random.default_rng(0).normal(size=(n, c)), labels


def test_separable_classes_are_learnt_from_the_first_half():
    x, labels = probe()
    assert logistic(x, labels) == 100
    assert logistic(x, labels + 10) == 100


def test_classes_unseen_in_training_count_as_errors():
    x, labels = probe()
    labels[40:60] += 4
    x[40:60] = x[40:60] @ np.roll(np.eye(4), 1, axis=0)
    assert logistic(x, labels) == 50


def test_the_second_half_is_only_tested_on():
    """Wrong labels there cost their share and teach nothing."""
    x, labels = probe()
    labels[60:] = (labels[60:] + 1) % 4
    assert logistic(x, labels) == 50


def test_of_an_odd_number_the_middle_image_is_trained_on():
    """It is the only one of its class to learn from."""
    x = 10.0 * np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 0]])
    assert logistic(x, [0, 0, 1, 1, 0]) == 100
    assert logistic(x, [0, 0, 1, 1, 1]) == 50  # the last one's label is wrong


def test_projection_is_of_the_whole_probe():
    rng = np.random.default_rng(1)
    features = Features(rng.normal(size=(60, 30)) + 2 * np.eye(30)[np.arange(60) % 3])
    assert logistic(features, np.arange(60) % 3, n_dims=5) == logistic(features.pca(5).x, np.arange(60) % 3)


def test_degenerate_cases_are_named():
    x, labels = probe()
    assert logistic(x, np.zeros(80, dtype=int)).status == "insufficient"
    assert logistic(x, np.repeat([0, 1], 40)).status == "insufficient"
    assert logistic(x, np.ones((80, 2), dtype=int)).status == "not_applicable"
    constant = logistic(np.ones((80, 3)), labels)
    assert (constant, constant.status) == (25.0, "degenerate")  # one class is predicted for all


@pytest.mark.parametrize("compat", [None, "scikit-learn"])
@pytest.mark.parametrize(("n", "d", "c"), [(80, 30, 4), (60, 150, 6), (60, 150, 2), (80, 10, 2), (120, 400, 40)])
@pytest.mark.filterwarnings("ignore")
def test_the_fit_is_scikit_learns(n, d, c, compat):
    """The library itself on the same half, its tolerance put to the summed loss; the same images are right."""
    from sklearn.linear_model import LogisticRegression

    labels = np.arange(n) % c
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = np.maximum(0.4 * rng.normal(size=(c, d))[labels] + rng.normal(size=(n, d)), 0)
        model = LogisticRegression(C=1.0, max_iter=20, tol=0.1 if compat else 0.1 / (n // 2))
        model.fit(x[: n // 2], labels[: n // 2])
        expected = (model.predict(x[n // 2 :]) == labels[n // 2 :]).mean()
        assert logistic(x, labels, compat=compat) == pytest.approx(100 * expected)


def test_stops_by_the_summed_loss():
    """Forty classes, two images each to learn from: the first gradient of the mean loss is below 0.1 already."""
    labels = np.arange(160) % 40
    rng = np.random.default_rng(3)
    x = 0.4 * (rng.normal(size=(40, 200))[labels] + 0.1 * rng.normal(size=(160, 200)))
    assert logistic(x, labels) == 100.0
    assert logistic(x, labels, compat="scikit-learn") == 2.5  # all images called the same


def test_classes_of_equal_images_share_them():
    """Columns 0 and 1 tie to the bit, so that an image of either is half right; told apart by nothing, not by rounding.

    Without that, twenty steps enlarge rounding to a tenth of a logit where n > d, and the processor decides.
    """
    n, d = 96, 16
    labels = np.arange(n) % 4
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(n, d)) + 3 * np.array([0, 0, 1, -1])[labels, None]) * np.exp(0.5 * rng.normal(size=d)) + 1.0
    x[labels == 1] = x[labels == 0]
    right = logistic(x, labels) / 100 * (n // 2)
    merged = logistic(x, np.maximum(labels, 1))
    assert right == pytest.approx(36.0)  # 12 of each: of the twins' 24 half, of the others all
    assert merged == 100.0
    assert logistic(x[labels < 2], labels[labels < 2]) == 50.0
