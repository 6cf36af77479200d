"""Which labels are probably wrong: confident learning on out-of-sample probabilities of a linear head.

Source: Northcutt, Jiang and Chuang, Confident learning, JAIR 70, 2021, arXiv 1911.00068, equations 1 and 2; the images
off the diagonal of the confident joint, as `cleanlab` finds them with filter_by="confident_learning".
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

FOLDS = 5
LEAST = 3
"""Images of a class below which none of them is judged: the head that judges one would have seen one other at most."""
TOLD_APART = 0.6
"""Mean share of a class that the head gets right out of sample, below which its opinion of labels is worth nothing."""
DIMENSIONS = 256
PENALTY = 3.0
"""Scikit-learn's C where a row's mean square length is 1: close to the least out-of-sample log loss on digits, monkeys,
pets and flowers alike."""


@dataclass(frozen=True)
class Suspect:
    """An image whose label is probably wrong.

    image      its row
    given      its class, or the label in question where an image has several
    suggested  the class that it probably is; where an image has several labels: `given`
    p_given, p_suggested  out-of-sample probabilities (several labels: that the label is as given, and the opposite)
    """

    image: int
    given: int
    suggested: int
    p_given: float
    p_suggested: float


def suspects(features: np.ndarray, labels: np.ndarray) -> list[Suspect] | None:
    """The images whose labels are probably wrong, the surest first; None where the features cannot tell.

    features  (n, d), frozen; labels (n,) ids or (n, c) multi-hot, each label then judged alone
    Where the head gets less than `TOLD_APART` of a class right on average, nearly every image would be suspected: None
    then (several labels: such a label is passed over). Images of classes with fewer than `LEAST` are not judged.
    Deterministic for a number of threads. Cost of `FOLDS` logistic regressions in `DIMENSIONS` dimensions (several
    labels: for each of them).
    """
    reduced = principal(features)
    found = _of_classes(reduced, labels) if labels.ndim == 1 else _of_labels(reduced, labels)
    return None if found is None else sorted(found, key=lambda s: (s.p_given - s.p_suggested, s.image))


def _of_classes(features: np.ndarray, labels: np.ndarray) -> list[Suspect] | None:
    ids, counts = np.unique(labels, return_counts=True)
    judged = np.flatnonzero(np.isin(labels, ids[counts >= LEAST]))
    classes, own = np.unique(labels[judged], return_inverse=True)
    if len(classes) < 2:
        return []
    p = out_of_sample(features[judged], own)
    right = p.argmax(axis=1) == own
    if np.mean([right[own == k].mean() for k in range(len(classes))]) < TOLD_APART:
        return None
    return [
        Suspect(int(judged[i]), int(classes[own[i]]), int(classes[other]), float(p[i, own[i]]), float(p[i, other]))
        for i, other in zip(*off_diagonal(p, own), strict=True)
    ]


def _of_labels(features: np.ndarray, labels: np.ndarray) -> list[Suspect]:
    return [
        Suspect(one.image, k, k, one.p_given, one.p_suggested)
        for k in range(labels.shape[1])
        for one in _of_classes(features, labels[:, k].astype(np.int64)) or ()
    ]


def principal(features: np.ndarray) -> np.ndarray:
    """Scores on the first principal components, scaled to rows of a mean square length of 1. No label enters."""
    centred = features.astype(np.float64) - features.mean(axis=0)
    if min(centred.shape) > DIMENSIONS:
        from sklearn.decomposition import PCA

        centred = PCA(DIMENSIONS, svd_solver="covariance_eigh").fit_transform(centred)
    size = np.sqrt((centred**2).sum(axis=1).mean())
    return centred / size if size > 0 else centred


def out_of_sample(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n, c) probabilities of a logistic head for images that it was not fitted to: labels 0 to c - 1, each `LEAST`
    times at least."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    if (most := int(np.bincount(labels).max())) < FOLDS:
        folds = StratifiedKFold(most, shuffle=True, random_state=0)
    head = LogisticRegression(C=PENALTY, max_iter=300, tol=1e-3)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # it has `LEAST`, two of them in the other folds
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cross_val_predict(head, features, labels, cv=folds, method="predict_proba")


def off_diagonal(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images off the diagonal of the confident joint, and the class that each is confidently counted to.

    probabilities  (n, c) out of sample; labels (n,) 0 to c - 1, all of which occur
    Threshold t_j: the mean probability of class j among images labelled j (equation 2). An image is counted to the
    likeliest class of those whose threshold it reaches, to none where it reaches none (equation 1).
    """
    classes = np.arange(probabilities.shape[1])
    thresholds = np.array([probabilities[labels == k, k].mean() for k in classes])
    reached = np.where(probabilities >= thresholds, probabilities, -np.inf)
    counted = reached.argmax(axis=1)
    wrong = np.flatnonzero(np.isfinite(reached.max(axis=1)) & (counted != labels))
    return wrong, counted[wrong]
