"""Nearest neighbours: how often does an image's neighbourhood in the features carry its label?"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from methods.capabilities import estimator
from methods.checks import choice, whole
from methods.labels import class_index, multi_hot, multilabel
from methods.linalg import PCA, TIE, Features, reduced
from methods.score import Score, degenerate, insufficient, not_applicable

Metric = Literal["euclidean", "cosine", "correlation"]

ROWS = 1024  # queries at a time: what is held beside the Gram matrix is ROWS · n
NOISE = 1e-13  # of a squared distance out of a float64 Gram, relative to the squared norms


@dataclass(frozen=True)
class Neighbours:
    """Who votes for whom, in the order of the queries; all arrays (m,), weights add up to k a query."""

    queries: np.ndarray
    columns: np.ndarray
    distances: np.ndarray
    weights: np.ndarray
    first: int  # the first query's index: truth is counted from there

    @property
    def rows(self) -> np.ndarray:
        return self.queries - self.first


@estimator(
    labels=("single", "multi"),
    invariant=("rotation", "scale", "translation"),
    cost="O(n² d)",
    source="Bolya et al., NeurIPS 2021, arXiv 2111.06977",
)
def knn(
    features: ArrayLike | Features,
    labels: ArrayLike,
    k: int = 1,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    metric: Metric = "euclidean",
    vote: Literal["majority", "soft"] = "majority",
    split: bool = False,
    compat: str | None = None,
) -> Score:
    """Leave-one-out accuracy, in percent, of k nearest neighbours.

    features     (n, d), not standardised
    labels       class ids (n,) or multi-hot (n, c); multi-hot scores the agreement over all n · c labels
    k            neighbours that vote
    n_dims, pca  principal components kept first
    metric       euclidean, cosine or correlation
    vote         majority, or soft: the mean share of the votes that the true label gets, a finer scale
    split        neighbours from the first half of the images, accuracy on the second (the paper's split)
    compat       "parc": the released rule for k > 1. Where all k votes differ, the mean over the k
                 neighbours is scored, else the commonest label, the smallest id where two are as common
    returns      percentage in [0, 100]; higher predicts better

    Ties do not depend on the order of images or ids: neighbours at the same distance as the k-th share its
    votes; among labels with as many votes the one with the nearest voter wins; labels that still tie share
    the credit. An image is never its own neighbour, duplicates may be.
    Cost O(n² d), about 20 n² bytes. Deterministic. Needs two classes and more than k images.
    Degenerate where features are constant.
    Source: Bolya et al., NeurIPS 2021, section 3 ("k-NN CV"); the release drops the first neighbour in
    order instead of the image itself, which differs for duplicates.
    """
    choice("metric", metric, ("euclidean", "cosine", "correlation"))
    choice("vote", vote, ("majority", "soft"))
    choice("compat", compat, (None, "parc"))
    k = whole("k", k)
    features = reduced(features, n_dims, pca)
    several = multilabel(labels)
    if several and compat and k > 1:
        return not_applicable("the release takes multi-hot labels at k = 1 only")
    codes, counts = (None, None) if several else class_index(labels, features.n)
    if counts is not None and len(counts) < 2:
        return insufficient("needs at least two classes; got one")
    half = features.n // 2 if split else 0
    candidates = half if split else features.n - 1
    if k > candidates:
        return insufficient(f"k = {k} neighbours of {candidates} candidates")
    found = _neighbours(features, metric, k, split)
    if several:
        hot = multi_hot(labels, features.n)
        value = _agreement(found, hot[half:], hot, k, vote)
    elif compat and k > 1:
        value = _released(found, codes[half:], codes, k)
    else:
        value = _accuracy(found, codes[half:], codes, k, vote)
    if not features.sd.any():
        return degenerate("features are constant", 100.0 * value)
    return Score(100.0 * value)


def _neighbours(features: Features, metric: Metric, k: int, split: bool) -> Neighbours:
    """For every image (of the second half, for a split) its k nearest and what ties with the k-th."""
    if metric == "euclidean":
        gram = features.centred_gram
    else:
        x = features.x
        x = x - x.mean(axis=1, keepdims=True) if metric == "correlation" else x
        norms = np.linalg.norm(x, axis=1, keepdims=True)
        directions = x / np.where(norms > 0, norms, 1.0)
        gram = directions @ directions.T
    half = features.n // 2
    candidates = np.arange(half if split else features.n)
    queries = np.arange(half if split else 0, features.n)
    parts = [
        _nearest(features, metric, gram, queries[start : start + ROWS], candidates, k)
        for start in range(0, len(queries), ROWS)
    ]
    return Neighbours(*(np.concatenate(part) for part in zip(*parts, strict=True)), first=queries[0])


def _nearest(
    features: Features, metric: Metric, gram: np.ndarray, queries: np.ndarray, candidates: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Queries, neighbours, distances (squared where Euclidean) and weights, which add up to k a query."""
    block = gram[queries[0] : queries[-1] + 1, : len(candidates)]
    if metric == "euclidean":
        norms = gram.diagonal()
        sizes = norms[queries, None] + norms[candidates]
        distances = sizes - 2.0 * block
    else:
        sizes, distances = 2.0, np.rint((1.0 - block) / TIE) * TIE
    distances[queries[:, None] == candidates] = np.inf
    kth = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    if metric == "euclidean":
        # A Gram leaves rounding of the size of the norms: rows where that decides are measured directly.
        near = distances <= kth + NOISE * sizes
        near &= np.count_nonzero(near, axis=1)[:, None] > k
        _measure(distances, features, queries, np.nonzero(near))
        kth = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    slack = TIE * kth
    rows, columns = np.nonzero(distances <= kth + slack)
    reached = distances[rows, columns]
    at_edge = reached >= (kth - slack)[rows, 0]
    closer = np.bincount(rows, ~at_edge, minlength=len(queries))
    edge = np.bincount(rows, at_edge, minlength=len(queries))
    return queries[rows], columns, reached, np.where(at_edge, ((k - closer) / edge)[rows], 1.0)


def _measure(
    distances: np.ndarray, features: Features, queries: np.ndarray, where: tuple[np.ndarray, np.ndarray]
) -> None:
    """Write squared distances by direct difference into distances[where]."""
    for start in range(0, len(where[0]), ROWS):
        a, b = where[0][start : start + ROWS], where[1][start : start + ROWS]
        gap = features.x[queries[a]] - features.x[b]
        distances[a, b] = np.einsum("nd,nd->n", gap, gap)


def _accuracy(found: Neighbours, truth: np.ndarray, codes: np.ndarray, k: int, vote: str) -> float:
    rows, columns, weights = found.rows, found.columns, found.weights
    if vote == "soft":
        return float(weights[codes[columns] == truth[rows]].sum() / (k * len(truth)))
    # One entry a (row, class) that gets votes: its votes, and the distance of its nearest voter.
    c = int(codes.max()) + 1
    ballots, entry = np.unique(rows * c + codes[columns], return_inverse=True)
    row, label = ballots // c, ballots % c
    votes = np.bincount(entry, weights)
    nearest = np.full(len(ballots), np.inf)
    np.minimum.at(nearest, entry, found.distances)
    starts = _starts(row)
    wins = votes >= np.maximum.reduceat(votes, starts)[row] - 1e-9
    nearest = np.where(wins, nearest, np.inf)
    least = np.minimum.reduceat(nearest, starts)[row]
    wins &= nearest <= least + TIE * least
    winners = np.bincount(row, wins)
    right = wins & (label == truth[row])
    return float((right / winners[row]).sum() / len(truth))


def _agreement(found: Neighbours, truth: np.ndarray, hot: np.ndarray, k: int, vote: str) -> float:
    share = np.add.reduceat(found.weights[:, None] * hot[found.columns], _starts(found.rows), axis=0) / k
    if vote == "majority":
        share = np.where(np.abs(share - 0.5) < 1e-9, 0.5, np.rint(share))
    return float(1.0 - np.abs(truth - share).mean())


def _released(found: Neighbours, truth: np.ndarray, codes: np.ndarray, k: int) -> float:
    order = np.lexsort((found.columns, found.distances, found.rows))
    votes = codes[found.columns[order][_starts(found.rows)[:, None] + np.arange(k)]]
    count = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
    most = count.max(axis=1, keepdims=True)
    commonest = np.where(count == most, votes, codes.max() + 1).min(axis=1)
    right = votes == truth[:, None]
    return float(np.where(most[:, 0] == 1, right.mean(axis=1), commonest == truth).mean())


def _starts(rows: np.ndarray) -> np.ndarray:
    """Where each row begins in a list that holds every row, in order."""
    return np.flatnonzero(np.r_[True, np.diff(rows) > 0])
