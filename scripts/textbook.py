"""The paper's methods in their textbook forms: what one writes from the definition with numpy, scipy, scikit-learn.

Each takes plain arrays and stands alone, as in the field's released code: its own distances, its own
decomposition, loops over classes. They are the baselines of `scripts/bench.py` and a slow reference for the tests.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats
from scipy.spatial.distance import cdist


def project(features: np.ndarray, n_dims: int) -> np.ndarray:
    """The paper's principal components."""
    from sklearn.decomposition import PCA

    return PCA(n_dims, svd_solver="randomized", iterated_power=1, random_state=1919).fit_transform(features)


def standardise(features: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and deviation 1; constant ones 0."""
    x = features.astype(np.float64)
    sd = x.std(axis=0)
    return (x - x.mean(axis=0)) / np.where(sd > 0, sd, 1.0)


def upper(square: np.ndarray) -> np.ndarray:
    """Entries above the diagonal."""
    return square[np.triu_indices(len(square), 1)]


def parc(features: np.ndarray, labels: np.ndarray) -> float:
    """Spearman's correlation of two condensed distance matrices, both ranked by a full sort."""
    distances = 1.0 - np.corrcoef(standardise(features))
    hot = np.eye(labels.max() + 1)[labels]
    # Rounded: two label distances that are equal must not differ in the last bit.
    return 100.0 * stats.spearmanr(upper(distances), np.round(upper(1.0 - np.corrcoef(hot)), 9)).statistic


def parc_f32(features: np.ndarray, labels: np.ndarray) -> float:
    return parc(project(features, 32), labels)


def knn(features: np.ndarray, labels: np.ndarray) -> float:
    """All distances, sorted in full, the image itself left out."""
    distances = cdist(features.astype(np.float64), features.astype(np.float64))
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, 0]
    return 100.0 * float((labels[nearest] == labels).mean())


def hscore(features: np.ndarray, labels: np.ndarray) -> float:
    """Trace of the pseudo-inverse of the d × d covariance times the covariance of the class means."""
    x = features.astype(np.float64)
    means = np.zeros_like(x)
    for c in np.unique(labels):
        means[labels == c] = x[labels == c].mean(axis=0)
    return float(np.trace(np.linalg.pinv(np.cov(x, rowvar=False)) @ np.cov(means, rowvar=False)))


def hscore_f32(features: np.ndarray, labels: np.ndarray) -> float:
    return hscore(project(features, 32), labels)


def logistic(features: np.ndarray, labels: np.ndarray) -> float:
    """Scikit-learn on the first half; its tolerance is of the mean loss, the paper's of the summed one."""
    from sklearn.linear_model import LogisticRegression

    half = len(features) // 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=1.0, max_iter=20, tol=0.1 / half).fit(features[:half], labels[:half])
    return 100.0 * float((model.predict(features[half:]) == labels[half:]).mean())


def nce(source_probs: np.ndarray, labels: np.ndarray) -> float:
    """The joint distribution filled by a loop over images, then summed over classes."""
    joint = np.zeros((labels.max() + 1, source_probs.shape[1]))
    for y, z in zip(labels, source_probs.argmax(axis=1), strict=True):
        joint[y, z] += 1.0 / len(labels)
    marginal, total = joint.sum(axis=0), 0.0
    for row in joint:
        held = row > 0
        total += float((row[held] * np.log(row[held] / marginal[held])).sum())
    return total


def leep(source_probs: np.ndarray, labels: np.ndarray) -> float:
    """The joint distribution by a loop over classes, the expected prediction of every class for every image."""
    probs = source_probs.astype(np.float64)
    joint = np.stack([probs[labels == c].sum(axis=0) / len(labels) for c in range(labels.max() + 1)])
    predictions = probs @ (joint / joint.sum(axis=0)).T
    return float(np.log([predictions[i, y] for i, y in enumerate(labels)]).mean())


def rsa(features: np.ndarray, reference_features: np.ndarray) -> float:
    """Spearman's correlation of the two models' condensed distances."""
    a, b = (upper(1.0 - np.corrcoef(standardise(f))) for f in (features, reference_features))
    return 100.0 * stats.spearmanr(a, b).statistic


def dds(features: np.ndarray, reference_features: np.ndarray) -> float:
    """Centred kernel alignment of U-centred cosine distances."""
    a, b = (ucentred(cosine_distances(standardise(f))) for f in (features, reference_features))
    return 100.0 * float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def cosine_distances(x: np.ndarray) -> np.ndarray:
    directions = x / np.linalg.norm(x, axis=1, keepdims=True)
    return 1.0 - directions @ directions.T


def ucentred(square: np.ndarray) -> np.ndarray:
    """A symmetric matrix without its diagonal, rows and columns centred without bias."""
    a = square.copy()
    np.fill_diagonal(a, 0.0)
    n, sums = len(a), a.sum(axis=0)
    a = a - sums[:, None] / (n - 2) - sums / (n - 2) + a.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(a, 0.0)
    return a


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """A full SVD, then the fixed point of alpha and beta for each class in turn, to convergence."""
    x = features.astype(np.float64)
    n = len(x)
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    squares, evidences = s**2, []
    for c in np.unique(labels):
        t = (labels == c).astype(np.float64)
        z2 = (u.T @ t) ** 2
        rest = max(float(t @ t - z2.sum()), 0.0)
        alpha = beta = 1.0
        for _ in range(1000):
            q = alpha / beta
            gamma = (squares / (squares + q)).sum()
            m2 = (squares * z2 / (q + squares) ** 2).sum()
            residual = (z2 / (1 + squares / q) ** 2).sum() + rest
            alpha, beta = gamma / m2, (n - gamma) / residual
            if abs(alpha / beta - q) <= 1e-9 * q:
                break
        k = len(s)
        evidence = k * np.log(alpha) + n * np.log(beta) - n * np.log(2 * np.pi) - beta * residual - alpha * m2
        evidences.append((evidence - np.log(alpha + beta * squares).sum()) / (2 * n))
    return float(np.mean(evidences))


FORMS = {
    "parc": parc,
    "parc_f32": parc_f32,
    "knn": knn,
    "hscore": hscore,
    "hscore_f32": hscore_f32,
    "logistic": logistic,
    "nce": nce,
    "leep": leep,
    "rsa": rsa,
    "dds": dds,
    "logme": logme,
}
