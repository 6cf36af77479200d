"""Nearest neighbours: how often does an image's neighbourhood in the features carry its label?"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.checks import choice, whole
from methods.shared.distances import measured
from methods.shared.labels import class_index, multi_hot, multilabel
from methods.shared.linalg import PCA, Features, reduced
from methods.shared.ranks import TIE
from methods.shared.score import Score, degenerate, insufficient, not_applicable

Metric = Literal["euclidean", "cosine", "correlation"]

ROWS = 1024  # queries at a time: what is held beside the Gram matrix is ROWS · n
SMALL, LARGE = 1e-20, 1e30  # squared norms that single precision holds with room for their sums
NOISE = 1e-13  # of an inner product in double precision, relative to the norms


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
    split        neighbours from the first half of the images (the larger one, where n is odd), accuracy on the
                 second: the paper's split
    compat       "parc": the released rule for k > 1. Where all k votes differ, the mean over the k
                 neighbours is scored, else the commonest label, the smallest id where two are as common
    returns      percentage in [0, 100]; higher predicts better

    Ties do not depend on the order of images or ids, nor on rounding (distances are equal within 1e-12 of
    themselves and 16 eps of the row's length): neighbours at the same distance as the k-th share its votes;
    among labels with as many votes the one with the nearest voter wins; labels that still tie share the
    credit. An image is never its own neighbour, duplicates may be.
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
    truth = multi_hot(labels, features.n) if several else class_index(labels, features.n)[0]
    if not several and truth.max() < 1:
        return insufficient("needs at least two classes; got one")
    half = first_half(features.n) if split else 0
    candidates = half if split else features.n - 1
    if k > candidates:
        return insufficient(f"k = {k} neighbours of {candidates} candidates")
    found = _neighbours(features, metric, k, split)
    if several:
        value = _agreement(found, truth[half:], truth, k, vote)
    elif compat and k > 1:
        value = _released(found, truth[half:], truth, k)
    else:
        value = _accuracy(found, truth[half:], truth, k, vote)
    single = features.given.dtype == np.float32  # whose numbers differ by more than rounding, if they do
    varied = (features.given != features.given[0]).any() if single else features.sd.any()
    return Score(100.0 * value) if varied else degenerate("features are constant", 100.0 * value)


def _neighbours(features: Features, metric: Metric, k: int, split: bool) -> Neighbours:
    """For every image (of the second half, for a split) its k nearest and what ties with the k-th."""
    half = first_half(features.n) if split else 0
    queries, c = np.arange(half, features.n), half or features.n
    if metric == "euclidean":
        x, products, norms, noise = _products(features, half, c)
        rounding = _rounding(features, norms)
    else:
        x, rounding = directions(features, metric)
        norms, noise = np.einsum("nd,nd->n", x, x), NOISE
        products = x[half:] @ x[:c].T
    parts = [
        _nearest(x, products[start : start + ROWS], norms, noise, rounding, queries[start : start + ROWS], k)
        for start in range(0, len(queries), ROWS)
    ]
    rows, columns, distances, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Neighbours(rows, columns, distances, weights, first=int(queries[0]))


def _products(features: Features, half: int, c: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Rows as given, inner products of the centred ones, queries with candidates, their squared norms, their rounding.

    In single precision where the features are, and nobody has needed the double-precision Gram matrix yet: whatever is
    too near to be told apart is measured in double precision after it.
    """
    if features.given.dtype == np.float32 and not features.has("centred_gram"):
        x = features.given - features.given.mean(axis=0)
        norms = np.einsum("nd,nd->n", x, x)
        if norms.min() > SMALL and norms.max() < LARGE:
            products = x @ x.T if c == len(x) else x[half:] @ x[:c].T
            # A sum of d products is off by at most d roundings; a kernel's own sums are far shorter than 512.
            return features.given, products, norms, (16 + min(features.d, 512)) * 2.0**-24
    gram = features.centred_gram
    return features.x, gram[half:, :c], gram.diagonal(), NOISE


def first_half(n: int) -> int:
    """Images of the first half of n, the larger one where n is odd."""
    return n - n // 2


def metric_space(features: Features, metric: Metric) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows whose Euclidean distances the metric goes by, inner products up to a shift, and their rounding (n,)."""
    if metric == "euclidean":
        return features.x, features.centred_gram, _rounding(features, features.centred_gram.diagonal())
    x, rounding = directions(features, metric)
    return x, x @ x.T, rounding


def _rounding(features: Features, norms: np.ndarray) -> np.ndarray:
    """What rounding may move each row (n,) by, from the squared norms of the centred rows."""
    mean = features.given.mean(axis=0).astype(np.float64)
    return 16 * np.finfo(float).eps * np.sqrt(2.0 * (np.maximum(norms, norms.mean()) + mean @ mean))


def directions(features: Features, metric: Metric) -> tuple[np.ndarray, np.ndarray]:
    """Rows of length 1, of which half the squared distance is 1 - cosine (or correlation), and their rounding (n,).

    A row without a direction gets one of its own, at a right angle to all others.
    """
    x, eps = features.x, np.finfo(float).eps
    lengths = np.linalg.norm(x, axis=1)
    x = x - x.mean(axis=1, keepdims=True) if metric == "correlation" else x
    norms = np.linalg.norm(x, axis=1)
    lost = norms <= 16 * eps * lengths
    norms[lost] = 1.0
    own = np.c_[np.where(lost[:, None], 0.0, x / norms[:, None]), np.eye(len(x))[:, lost]]
    return own, 16 * eps * np.maximum(lengths / norms, 1.0)


def _nearest(
    x: np.ndarray,
    products: np.ndarray,
    norms: np.ndarray,
    noise: float,
    rounding: np.ndarray,
    queries: np.ndarray,
    k: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Queries in order, neighbours, squared distances, equal ones to the bit, and weights: k in all for a query."""
    c = products.shape[1]
    # Less the query's own norm, which every distance of a row holds: ||x_j||² - 2 x_i · x_j.
    distances = products * products.dtype.type(-2.0)
    distances += norms[:c]
    mine = np.flatnonzero(queries < c)
    distances[mine, queries[mine]] = np.inf
    kth = np.partition(distances, k - 1, axis=1)[:, k - 1] if k > 1 else distances.min(axis=1)
    # Products leave rounding of the size of the norms: whatever is within that of the k-th may be it. A neighbour's
    # norm is at most twice the sum of the query's and the squared distance, and both sides are off.
    near = kth + 2 * noise * (9.0 * norms[queries] + 4.0 * np.maximum(kth, 0.0))
    rows, columns = np.nonzero(distances <= near.astype(distances.dtype)[:, None])
    if k == 1 and len(rows) == len(queries):
        return queries, columns, np.zeros(len(rows)), np.ones(len(rows))
    reached = measured(x, queries[rows], columns)
    order = np.lexsort((reached, rows))
    rows, columns, reached = rows[order], columns[order], _evened(reached[order], rows[order], rounding[queries])
    counts = np.bincount(rows, minlength=len(queries))
    kth = reached[np.cumsum(counts) - counts + k - 1]
    kept = reached <= kth[rows]
    rows, columns, reached = rows[kept], columns[kept], reached[kept]
    at_edge = reached == kth[rows]
    closer = np.bincount(rows, ~at_edge, minlength=len(queries))
    edge = np.bincount(rows, at_edge, minlength=len(queries))
    return queries[rows], columns, reached, np.where(at_edge, ((k - closer) / edge)[rows], 1.0)


def _evened(squares: np.ndarray, rows: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Squared distances in order within each row, with those that rounding alone tells apart made equal.

    rounding  of each row's image, as a distance: equal images that went through a projection are not equal to the
              last bit any more
    """
    moved = rounding[rows]
    apart = TIE * squares + 2.0 * np.sqrt(squares) * moved + moved**2
    opens = np.r_[True, (np.diff(rows) > 0) | (np.diff(squares) > apart[1:])]
    return squares[opens][np.cumsum(opens) - 1]


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
    wins &= nearest <= least
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
