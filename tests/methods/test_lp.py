"""lp against scikit-learn's own analysis and vote, and against the objective that its projection maximises."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis

from methods import Features, knn, lp
from methods.lp import projected


def probe(n: int = 60, d: int = 8, c: int = 3, separation: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n + d)
    labels = rng.permutation(np.arange(n) % c)
    return 0.5 * (rng.normal(size=(n, d)) + separation * rng.normal(size=(c, d))[labels]) + 2, labels


@pytest.mark.parametrize(("n", "d"), [(60, 8), (50, 80)])
def test_it_is_the_vote_after_the_analysis(n, d):
    """Of all features and from their principal components, as released: only the basis is another."""
    x, y = probe(n, d)
    analysis = NeighborhoodComponentsAnalysis(5, init="pca", random_state=42).fit(x, y)
    rows = analysis.transform(x)
    shares = KNeighborsClassifier(5).fit(rows, y).predict_proba(rows)
    assert lp(x, y, dims=5) == pytest.approx(shares[np.arange(n), y].mean(), abs=0.02)


def chosen_right(rows: np.ndarray, y: np.ndarray) -> float:
    """Sum of the probabilities that an image picks one of its own class."""
    total = 0.0
    for i in range(len(y)):
        weights = [np.exp(-((rows[i] - rows[j]) ** 2).sum()) * (i != j) for j in range(len(y))]
        total += sum(w for w, label in zip(weights, y, strict=True) if label == y[i]) / sum(weights)
    return total


def test_the_projection_raises_what_the_analysis_maximises():
    x, y = probe()
    features = Features(x)
    values = [chosen_right(projected(features, y, 3, steps), y) for steps in (1, 5, 50)]
    assert chosen_right(features.centred.R[:, :3], y) < values[0] < values[1] <= values[2]


def test_its_own_vote_counts():
    """Of two images a class, far from each other in pairs: each gets its own vote and that of the other, of 5 none."""
    x, y = np.repeat(100.0 * np.eye(4), 2, axis=0), np.repeat(np.arange(4), 2)
    assert lp(x, y, k=2) == 1.0
    assert lp(x, y, k=5) == pytest.approx(0.4, rel=1e-12)  # the three others tie among the six of other classes


def test_without_signal_it_is_optimistic_and_with_signal_it_is_high():
    noise, signal = (lp(*probe(80, 40, 4, separation=s)) for s in (0.0, 2.0))
    assert noise > (1 + 4 * knn(*probe(80, 40, 4, separation=0.0), k=4, vote="soft") / 100) / 5
    assert signal > 0.9 > noise


def test_wrong_parameters_and_too_few():
    with pytest.raises(ValueError, match="k must be a whole number of at least 2"):
        lp(*probe(), k=1)
    with pytest.raises(ValueError, match="dims must be a whole number"):
        lp(*probe(), dims=0)
    assert lp(*(a[:5] for a in probe())).status == "insufficient"
    assert lp(np.ones((9, 2)), np.arange(9) % 2).status == "degenerate"
