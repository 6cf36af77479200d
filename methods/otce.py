"""F-OTCE and JC-OTCE: do the target's classes follow from those of the source's images that are moved onto it?"""

from collections.abc import Callable
from math import lcm
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, sparse

from methods.shared.capabilities import estimator
from methods.shared.checks import choice, same_length
from methods.shared.classes import Classes, read_classes
from methods.shared.labels import class_index, multilabel
from methods.shared.linalg import Features, as_features
from methods.shared.score import Score, degenerate, not_applicable

ALIKE = 1e-7
"""Images nearer than this share of the root mean square norm count as one: which is moved where is arbitrary."""

COPIES = 5
"""Up to so many of each image of the more numerous kind, unequal numbers become an assignment problem of copies; above,
a linear programme, which is the faster then."""


@estimator(
    invariant=("scale", "translation"),
    cost="O(d n m) and an assignment of max(n, m) images, m of the source",
    source="Tan et al., TNNLS 2024, arXiv 2207.05510",
)
def f_otce(
    features: ArrayLike | Features, labels: ArrayLike, source_features: ArrayLike | Features, source_labels: ArrayLike
) -> Score:
    """Negative entropy of the target's label given the source's, over the optimal transport between their features.

    features         (n, d) of the target; a positive factor and a translation of them leave the score alone
    labels           class ids (n,); multi-label is not applicable
    source_features  (m, d) of images that the model was trained on, by the same model; 1,000 in the paper
    source_labels    class ids (m,) of those
    returns          minus H(Y|Z) in nats, at most 0, with p(z, y) the coupling's mass between the source's class z and
                     the target's class y; higher predicts better. Not comparable between targets with different
                     numbers of classes

    The coupling moves m equal masses onto n equal ones at the least sum of squared distances, and is exact as in the
    authors' release: entropic transport would need a weight in squared units of the features. Where several couplings
    are optimal because images are alike, their mean is meant. The task difference of OTCE (Tan et al., CVPR 2021) with
    its sign turned; OTCE itself adds the cost of the transport, with weights that are learned from known transfers, and
    is not here.
    Cost O(d n m) and an assignment of max(n, m) images: 0.1 s for 250 and 250, 0.6 s for 250 and 1,000. Where neither
    number divides the other nearly (250 and 333) a linear programme: 1 s. Deterministic. Needs two classes. Degenerate
    where features of either are constant, where the source has one class or one image a class, and where each of its
    classes is moved onto one class alone: 0, the most there is.
    Source: Tan et al., TNNLS 2024, arXiv 2207.05510.
    """
    return _otce("f_otce", features, labels, source_features, source_labels, _products)


@estimator(
    invariant=(),
    cost="O(d n m), an assignment of max(n, m) images, and one for each pair of classes",
    source="Tan et al., TNNLS 2024, arXiv 2207.05510; JC-NCE: arXiv 2106.10479",
    deviates={"monotone": "classes that are far apart are moved whole, so that it rises in steps"},
)
def jc_otce(
    features: ArrayLike | Features,
    labels: ArrayLike,
    source_features: ArrayLike | Features,
    source_labels: ArrayLike,
    weight: float = 0.5,
    label_distance: Literal["samples", "means"] = "samples",
) -> Score:
    """F-OTCE whose transport counts the distance between the classes beside that between the images; JC-NCE.

    features, labels, source_features, source_labels, returns   as of `f_otce`; higher predicts better. But the score
                     follows a factor and a translation of the target's features alone
    weight           g in [0, 1] of the cost g ||x_s - x_t||² + (1 - g) W(y_s, y_t); the authors' 0.5. 1 is F-OTCE
    label_distance   W between two classes. samples: squared 2-Wasserstein distance between their images, exact, as
                     defined; means: squared distance between their means, a faster lower bound

    JC-NCE (arXiv 2106.10479) is the same score under its first name. With as many classes as the source and equal
    numbers of images in each, classes that are far apart beside the images' own spread are moved whole: the score is 0
    then, and says nothing.
    Cost as of F-OTCE, and one transport for each pair of classes: 0.02 ms where both have 25 images, 40 ms for 25 and
    34. Deterministic. Needs two classes. Degenerate as F-OTCE is.
    Source: Tan et al., TNNLS 2024, arXiv 2207.05510.
    """
    choice("label_distance", label_distance, ("samples", "means"))
    if isinstance(weight, bool) or not 0 <= weight <= 1:
        raise ValueError(f"weight must be in [0, 1]. Got {weight!r}.")

    def cost(source: Features, target: Features, ours: Classes, theirs: Classes) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = source.x - target.mean, target.x - target.mean
        distances = between(rows, columns)
        apart = between(ours.means(rows), theirs.means(columns))
        if label_distance == "samples" and weight < 1:
            apart = np.array([[_moved(distances[np.ix_(a, b)]) for b in theirs.members()] for a in ours.members()])
        return weight * distances + (1 - weight) * apart[ours.codes][:, theirs.codes], (1 - weight) * apart

    return _otce("jc_otce", features, labels, source_features, source_labels, cost)


Costs = Callable[[Features, Features, Classes, Classes], tuple[np.ndarray, np.ndarray]]
"""The costs (m, n) of moving the source's images onto the target's, and their classes' share (z, c) in it."""


def _products(source: Features, target: Features, ours: Classes, theirs: Classes) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances but for what every coupling adds alike; the classes are no matter."""
    return -(source.x - source.mean) @ (target.x - target.mean).T, np.zeros((ours.c, theirs.c))


def _otce(
    name: str,
    features: ArrayLike | Features,
    labels: ArrayLike,
    source_features: ArrayLike | Features,
    source_labels: ArrayLike,
    costs: Costs,
) -> Score:
    target, source = as_features(features), as_features(source_features)
    if source.d != target.d:
        raise ValueError(
            f"source_features must have as many columns as features, {target.d}. Got {source.d}. "
            "Take both from the same layer of the model."
        )
    theirs = read_classes(name, labels, target.n)
    if isinstance(theirs, Score):
        return theirs
    same_length("source_labels", len(np.asarray(source_labels)), source.n)
    if multilabel(source_labels):
        return not_applicable(f"{name} takes one label a source image")
    ours = Classes(*class_index(source_labels, source.n))
    cost, apart = costs(source, target, ours, theirs)
    joint = shares(source, ours, apart).T @ coupling(cost) @ shares(target, theirs, apart.T)
    value = negative_conditional_entropy(joint)
    for which, held in (("features", target), ("source_features", source)):
        if not held.sd.any():
            return degenerate(f"{which} are constant", value)
    if ours.c == 1:
        return degenerate("the source's images are of one class, which tells nothing", value)
    if ours.c == source.n >= target.n:
        return degenerate("each class of the source has one image, which tells its own class", value)
    if value == 0.0:
        return degenerate("each class of the source is moved onto one class alone", value)
    return Score(value)


def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances (m, n) from rows (m, d) to rows (n, d)."""
    squares = np.einsum("md,md->m", a, a)[:, None] + np.einsum("nd,nd->n", b, b)
    return np.maximum(squares - 2.0 * a @ b.T, 0.0)


def coupling(cost: np.ndarray) -> np.ndarray:
    """The optimal coupling (m, n) of m masses 1/m with n masses 1/n at a cost (m, n) of their pairs."""
    m, n = cost.shape
    copies = lcm(m, n)
    if copies > COPIES * max(m, n):
        return _programme(cost)
    rows, columns = np.repeat(np.arange(m), copies // m), np.repeat(np.arange(n), copies // n)
    a, b = optimize.linear_sum_assignment(cost[np.ix_(rows, columns)])
    plan = np.zeros((m, n))
    np.add.at(plan, (rows[a], columns[b]), 1.0)
    return plan / copies


def _programme(cost: np.ndarray) -> np.ndarray:
    m, n = cost.shape
    totals = sparse.vstack([sparse.kron(sparse.eye(m), np.ones(n)), sparse.kron(np.ones(m), sparse.eye(n))]).tocsr()
    lowest, span = cost.min(), np.ptp(cost)
    found = optimize.linprog(
        ((cost - lowest) / (span or 1.0)).ravel(),
        A_eq=totals[:-1],  # the last follows from the others
        b_eq=np.r_[np.full(m, float(n)), np.full(n - 1, float(m))],
        method="highs-ds",
        options={"dual_feasibility_tolerance": 1e-10, "primal_feasibility_tolerance": 1e-10},
    )
    if found.status != 0:
        raise ValueError(f"the transport between {m} and {n} images must have a solution. Got: {found.message}")
    return np.rint(found.x).reshape(m, n) / (m * n)  # corners of such a programme are whole numbers


def _moved(cost: np.ndarray) -> float:
    """The cost of the optimal coupling."""
    return float(cost.mean()) if 1 in cost.shape else float((coupling(cost) * cost).sum())


def shares(held: Features, classes: Classes, apart: np.ndarray) -> np.ndarray:
    """The shares (n, c) of each class among the images that are like an image in all that the transport sees.

    apart  (c, …) the distances of each class from those of the other data set
    """
    near = held.sq_distances <= ALIKE**2 * held.centred_gram.diagonal().mean()
    largest = np.abs(apart).max(axis=1)
    far = np.abs(apart[:, None] - apart).max(axis=2) > ALIKE * np.maximum(largest[:, None], largest)
    near &= ~far[classes.codes][:, classes.codes]
    count, group = sparse.csgraph.connected_components(sparse.csr_array(near), directed=False)
    counts = np.zeros((count, classes.c))
    np.add.at(counts, (group, classes.codes), 1.0)
    return (counts / counts.sum(axis=1, keepdims=True))[group]


def negative_conditional_entropy(joint: np.ndarray) -> float:
    """-H(Y|Z) in nats of a joint distribution p(z, y) (z, y) whose rows are not empty."""
    given = joint / joint.sum(axis=1, keepdims=True)
    held = joint > 0
    return min(float((joint[held] * np.log(given[held])).sum()), 0.0)
