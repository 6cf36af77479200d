"""A logistic head: features and labels in, the weights of a last layer out, its penalty chosen on images left out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.search.division import parts_of
from benchmark.search.keeping import judged

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Values of scikit-learn's C, of standardised features, from which the choice is made."""
CHOOSING = 2000
"""Images at most with which the penalty is chosen."""
NEVER = -30.0
"""Output for a class without an example."""


@dataclass(frozen=True)
class Head:
    """Weights (c, d) and offsets (c,) of a last layer for features as they are, and the penalty of their fit."""

    weights: np.ndarray
    offsets: np.ndarray
    penalty: float

    def outputs(self, features: np.ndarray) -> np.ndarray:
        """(n, c) float32."""
        return np.asarray(features @ self.weights.T + self.offsets, np.float32)


def fitted(features: np.ndarray, labels: np.ndarray, c: int, penalty: float) -> Head:
    """Logistic regression on standardised features (n, d), written for features as they are.

    labels  ids (n,): multinomial; multi-hot (n, c): one regression a label
    """
    mean, sd = features.mean(axis=0), features.std(axis=0)
    sd[sd < 1e-6 * max(1.0, float(sd.max()))] = np.inf  # a column that does not vary says nothing
    x = (features - mean) / sd
    weights, offsets = _labels_apart(x, labels, penalty) if labels.ndim == 2 else _classes(x, labels, c, penalty)
    weights = weights / sd
    return Head(weights, offsets - weights @ mean, penalty)


def chosen(features: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, c: int, validation: float) -> Head:
    """The head whose penalty is best on the share `validation` of the images, then fitted to all of them.

    groups  (n,) near-duplicates share a number and stay together; of equal penalties the stronger one is taken
    """
    few = slice(0, CHOOSING)
    rest, held = parts_of(labels[few], validation, None if groups is None else groups[few])
    scores = []
    for penalty in PENALTIES:
        head = fitted(features[few][rest], labels[few][rest], c, penalty)
        scores.append(judged(head.outputs(features[few][held]), labels[few][held]) or 0.0)
    return fitted(features, labels, c, PENALTIES[int(np.argmax(scores))])


def _classes(x: np.ndarray, labels: np.ndarray, c: int, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    weights, offsets = np.zeros((c, x.shape[1])), np.full(c, NEVER)
    there = np.unique(labels)
    if len(there) == 1:
        offsets[there] = 0.0
        return weights, offsets
    model = _fit(x, labels, penalty)
    if len(there) == 2:  # one column: the second class's logit over the first's
        model.coef_ = np.concatenate([-model.coef_, model.coef_]) / 2
        model.intercept_ = np.concatenate([-model.intercept_, model.intercept_]) / 2
    weights[model.classes_], offsets[model.classes_] = model.coef_, model.intercept_
    return weights, offsets


def _labels_apart(x: np.ndarray, labels: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    c = labels.shape[1]
    weights, offsets = np.zeros((c, x.shape[1])), np.full(c, NEVER)
    for k in range(c):
        own = labels[:, k] > 0
        if own.all():
            offsets[k] = -NEVER
        elif own.any():
            model = _fit(x, own, penalty)
            weights[k], offsets[k] = model.coef_[0], model.intercept_[0]
    return weights, offsets


def _fit(x: np.ndarray, y: np.ndarray, penalty: float) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # two hundred steps are enough to choose and to serve
        return LogisticRegression(C=penalty, max_iter=200, tol=1e-3).fit(x, y)
