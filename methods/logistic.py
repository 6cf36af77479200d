"""Logistic probe: train a linear classifier on half of the probe, test it on the other half."""

import warnings

import numpy as np
from numpy.typing import ArrayLike

from methods.capabilities import estimator
from methods.labels import class_index, multilabel
from methods.linalg import PCA, Features, reduced
from methods.score import Score, degenerate, insufficient, not_applicable


@estimator(
    ordered=True,
    min_samples=4,
    cost="O(20 n d c)",
    source="Bolya et al., NeurIPS 2021, arXiv 2111.06977",
)
def logistic(
    features: ArrayLike | Features, labels: ArrayLike, n_dims: int | None = None, pca: PCA = "randomised"
) -> Score:
    """Accuracy, in percent, of multinomial logistic regression trained on the first half of the images.

    features     (n, d), as they are; the order of rows matters: the paper's probe deals its classes out in
                 rounds, so that both halves hold every class
    labels       class ids (n,); classes unseen in the first half count as errors; multi-label is not
                 applicable
    n_dims, pca  principal components kept first, of the whole probe
    returns      accuracy on the second half in [0, 100]; higher predicts better
    Scikit-learn's lbfgs with C=1, max_iter=20, tol=0.1, as the paper's: stopped early on purpose, so the
    value moves a little with scikit-learn's version. Deterministic. Cost O(20 n d c). Needs two classes in
    the first half. Degenerate where features are constant.
    Source: Bolya et al., NeurIPS 2021, section 3 ("Logistic").
    """
    features = reduced(features, n_dims, pca)
    if multilabel(labels):
        return not_applicable("logistic takes one label an image")
    codes, _ = class_index(labels, features.n)
    half = features.n // 2
    if len(np.unique(codes[:half])) < 2:
        return insufficient("needs at least two classes in the first half of the images")
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0, solver="lbfgs", max_iter=20, tol=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # twenty steps are the protocol
        warnings.simplefilter("ignore", UserWarning)  # few images a class look like regression to it
        model.fit(features.x[:half], codes[:half])
    value = 100.0 * float((model.predict(features.x[half:]) == codes[half:]).mean())
    return Score(value) if features.sd.any() else degenerate("features are constant", value)
