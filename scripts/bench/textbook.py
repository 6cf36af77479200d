"""The paper's methods in their textbook forms: what one writes from the definition with numpy, scipy, scikit-learn.

Each takes plain arrays and stands alone, as in the field's released code: its own distances, its own decomposition,
loops over classes. They are the baselines of `scripts/bench/bench.py` and a slow reference for the tests. `RELEASED`
holds seven whose released algorithm is quicker than the textbook's, or stops earlier: steps, solvers and stops are the
release's, the code is not.
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
    return _logistic(features, labels, 0.1 / (len(features) - len(features) // 2))


def logistic_released(features: np.ndarray, labels: np.ndarray) -> float:
    """As `logistic`, with the tolerance as scikit-learn reads it today: it stops after no step or one."""
    return _logistic(features, labels, 0.1)


def _logistic(features: np.ndarray, labels: np.ndarray, tolerance: float) -> float:
    from sklearn.linear_model import LogisticRegression

    half = len(features) - len(features) // 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=1.0, max_iter=20, tol=tolerance).fit(features[:half], labels[:half])
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


def lfc(features: np.ndarray, labels: np.ndarray) -> float:
    """Both n × n matrices, each less its grand mean, entry by entry."""
    x = features.astype(np.float64)
    kernel = x @ x.T
    agree = np.where(labels[:, None] == labels, 1.0, -1.0)
    kernel, agree = kernel - kernel.mean(), agree - agree.mean()
    return float((kernel * agree).sum() / (np.linalg.norm(kernel) * np.linalg.norm(agree)))


def hscore_standardised(features: np.ndarray, labels: np.ndarray) -> float:
    """The H-score as the paper's release has it: columns are z-scored first."""
    return hscore(standardise(features), labels)


def knn_sorted(features: np.ndarray, labels: np.ndarray) -> float:
    """Distances from one Gram product, sorted in full, the first neighbour dropped."""
    nearest = np.argsort(_distances(features, features), axis=1)[:, 1]
    return 100.0 * float((labels[nearest] == labels).mean())


def knn_split(features: np.ndarray, labels: np.ndarray) -> float:
    """Neighbours of the second half in the first, sorted in full."""
    half = len(features) - len(features) // 2
    nearest = np.argsort(_distances(features[half:], features[:half]), axis=1)[:, 0]
    return 100.0 * float((labels[:half][nearest] == labels[half:]).mean())


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2.0 * a @ b.T
    return np.sqrt(np.maximum(squares, 0.0))


def ncti(features: np.ndarray, labels: np.ndarray) -> float:
    """Scikit-learn's components and discriminant, a nuclear norm a class; the sum of the parts as they are."""
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    pca = PCA(64, random_state=0)
    rows = pca.fit_transform(features.astype(np.float64))
    shrinkage = max(float(np.exp(-pca.explained_variance_[:32].sum())), 1e-10)
    solver = {"solver": "svd"} if shrinkage == 1e-10 else {"solver": "eigen", "shrinkage": shrinkage}
    model = LinearDiscriminantAnalysis(**solver).fit(rows, labels)
    projection, posteriors = model.transform(rows), model.predict_proba(rows)
    collapse = sum(np.linalg.norm(posteriors[labels == c], "nuc") for c in np.unique(labels))
    own = posteriors[np.arange(len(labels)), labels].mean()
    return float(own + np.linalg.norm(projection - projection.mean(axis=0), "nuc") - np.log(collapse))


def pactran_gauss(features: np.ndarray, labels: np.ndarray, released: bool = False) -> float:
    """L-BFGS-B on all d × c weights from a random start, to a gradient of 1e-10; released: 100 steps, or 1e-6."""
    from scipy import optimize, special

    x = features.astype(np.float64)
    x = x - x.mean(axis=0)
    (n, d), c, g, s = x.shape, labels.max() + 1, 1.0, 10.0
    hot = np.eye(c)[labels]

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = theta[: d * c].reshape(d, c), theta[d * c :]
        log_p = special.log_softmax(x @ w + b, axis=1)
        error = (np.exp(log_p) - hot) / n
        value = -(hot * log_p).sum() / n + (w**2).sum() / (2 * g * n)
        return value, np.concatenate([(x.T @ error + w / (g * n)).ravel(), error.sum(axis=0)])

    start = np.concatenate([0.03 * np.random.default_rng(0).standard_normal(d * c), np.zeros(c)])
    stop = {"maxiter": 100, "ftol": 1e-6, "gtol": 1e-6} if released else {"maxiter": 9999, "ftol": 0, "gtol": 1e-10}
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxfun": 9999, **stop})
    p = special.softmax(x @ found.x[: d * c].reshape(d, c) + found.x[d * c :], axis=1)
    trace = ((x * x).T @ (p * (1 - p)) + 1 / (g * n)).sum() + (p * (1 - p)).sum()
    return -float(found.fun + 0.5 * c * s / (g * n) * np.log(trace * g * n / (d * c) + 1e-10))


def pactran_gauss_released(features: np.ndarray, labels: np.ndarray) -> float:
    return pactran_gauss(features, labels, released=True)


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

RELEASED = {
    "lfc": (lfc, None),
    "ncti": (ncti, None),
    "hscore": (hscore_standardised, None),
    "knn": (knn_sorted, None),
    "knn_split": (knn_split, None),
    "logistic": (logistic, logistic_released),
    "pactran_gauss": (pactran_gauss, pactran_gauss_released),
}
"""The released algorithm carried on until it has converged as far as ours, and where the release stops earlier."""
