"""EMMS: how well does a linear map of the features reach the labels, each label in several embeddings at once?"""

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.checks import choice, same_length
from methods.shared.classes import Classes, read_classes
from methods.shared.linalg import PCA, Features, as_features, reduced
from methods.shared.score import Score, degenerate

LOST = 1e-9  # a singular value of the class means, or a column's deviation, below this share of the largest is rounding

REACHED = 1e-12  # a mean square of what was standardised below this is rounding


@estimator(
    labels=("single",),
    invariant=("rotation", "scale", "translation", "linear", "columns"),
    cost="O(n r c + c² d')",
    source="Meng et al., NeurIPS 2023, arXiv 2308.06262",
)
def emms(
    features: ArrayLike | Features,
    labels: ArrayLike,
    reference_features: ArrayLike | Features,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    compat: str | None = None,
) -> Score:
    """Weighted linear square loss, turned round, with one-hot labels and labels of features in the place of text.

    features            (n, d); invertible linear maps and translations leave the score alone, where n > d
    labels              class ids (n,); multi-label is not applicable
    reference_features  (n, d') of a model that was trained on the target, for the same images in order: what
                        the second embedding of the classes is made of
    n_dims, pca         principal components of the features kept first
    compat              "emms": the release's one round (W for equal weights, then the weights by least squares,
                        moved to the simplex) and its unit, the sum over images and columns times c/n
    returns             -min over W and weights t >= 0, t_1 + t_2 = 1, of ||X W - t_1 Y_1 - t_2 Y_2||²/(n c), X
                        and the columns of Y standardised; in [-1, 0], higher predicts better
    parts               one_hot: t_1

    Y_1 is the one-hot matrix. Y_2 has, for each image, its class's row of (M M^T)^½ (c, c), M the class means
    of the reference features: the classes' own geometry, turned as near to one-hot as a rotation can. The
    authors' embeddings, of class names by three language models, come in the same way: a row a class. With
    one-hot labels alone the score of c classes of one size is -1 + H/(c - 1), H the H-score. The alternation
    of W and t ends at the minimum over both, a quadratic in t, which is found at once.
    Cost O(n r c + c² d') after the shared factorisation. Deterministic. Needs two classes. Degenerate where
    features are constant, where n <= d + 1 in general position, whose map reaches any labels (0 for every
    model) or these (not in compat), and where the reference does not tell classes apart.
    Source: Meng et al., NeurIPS 2023, arXiv 2308.06262; Y_2 is this project's.
    """
    choice("compat", compat, (None, "emms"))
    features, reference = reduced(features, n_dims, pca), as_features(reference_features)
    same_length("reference_features", reference.n, features.n)
    classes = read_classes("emms", labels, features.n)
    if isinstance(classes, Score):
        return classes
    if features.centred.rank == 0:
        return degenerate("features are constant")
    if features.interpolates:
        reason = f"n = {features.n} images in general position in d = {features.d} dimensions: any labels fit"
        return degenerate(reason, 0.0)
    embedded = [standardised(rows, classes) for rows in (np.eye(classes.c), geometry(reference, classes))]
    if not embedded[1].any():
        return degenerate("the reference features do not tell the classes apart")
    onto = features.centred.U
    fitted = [onto @ (onto.T @ y) for y in embedded]
    if compat:
        return _released(embedded, fitted, classes)
    ours, theirs = (y - fit for y, fit in zip(embedded, fitted, strict=True))
    gap = ours - theirs
    bend = float(np.vdot(gap, gap))
    second = float(np.clip(np.vdot(ours, gap) / bend, 0.0, 1.0)) if bend > 0 else 0.0
    left = ours - second * gap
    loss = float(np.vdot(left, left)) / left.size
    if loss < REACHED:
        return degenerate("a linear map of the features reaches the labels", 0.0)
    return Score(-loss, parts={"one_hot": 1.0 - second})


def geometry(reference: Features, classes: Classes) -> np.ndarray:
    """The symmetric root (c, c) of the inner products of the class means, less the mean of all images."""
    means = classes.means(reference.x - reference.mean)
    u, s, _ = np.linalg.svd(means, full_matrices=False)
    s = np.where(s > LOST * max(s[0], np.abs(reference.mean).max() * 1e-6), s, 0.0)
    return np.asarray((u * s) @ u.T)


def standardised(rows: np.ndarray, classes: Classes) -> np.ndarray:
    """An image's row of its class (c, e) with each column of mean 0 and deviation 1 over the images, (n, e)."""
    rows = rows - classes.priors @ rows
    sd = np.sqrt(classes.priors @ rows**2)
    there = sd > LOST * sd.max() if sd.max() > 0 else np.zeros(len(sd), dtype=bool)
    return np.where(there, rows / np.where(there, sd, 1.0), 0.0)[classes.codes]


def _released(embedded: list[np.ndarray], fitted: list[np.ndarray], classes: Classes) -> Score:
    """One round from equal weights: W, then the weights for it."""
    reached = (fitted[0] + fitted[1]) / 2
    columns = np.stack([y.ravel() for y in embedded], axis=1)
    found = np.linalg.lstsq(columns, reached.ravel(), rcond=None)[0]
    first = float(np.clip((found[0] - found[1] + 1) / 2, 0.0, 1.0))  # the nearest point of the simplex of two
    gap = reached - first * embedded[0] - (1.0 - first) * embedded[1]
    return Score(-float(np.vdot(gap, gap)) / classes.n * classes.c, parts={"one_hot": first})
