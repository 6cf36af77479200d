"""LEEP: how likely are the labels under a classifier made from the source head alone?"""

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.checks import choice, probabilities
from methods.shared.labels import class_index, multilabel
from methods.shared.linalg import class_sums
from methods.shared.score import Score, insufficient, not_applicable


@estimator(
    cost="O(n z)",
    source="Nguyen et al., ICML 2020, arXiv 2002.12462",
)
def leep(source_probs: ArrayLike, labels: ArrayLike, compat: str | None = None) -> Score:
    """Log expected empirical prediction.

    source_probs  (n, z) softmax outputs of the source head; a source class without any mass drops out
    labels        class ids (n,); multi-label is not applicable
    compat        "sfda": the mean of the expected prediction itself, without the log, as the code of
                  SFDA, ETran, NCTI, PED and EMMS has it; in [0, 1]
    returns       mean over images of ln( sum_z p(y_i|z) p_iz ), p(y|z) the empirical conditional, in nats,
                  at most 0; higher predicts better
    Cost O(n z): the prediction is needed at the image's own label only. Deterministic. Needs two classes.
    Source: Nguyen et al., ICML 2020, arXiv 2002.12462. The release divides 0 by 0 for a source class
    without mass, which makes the whole score NaN.
    """
    choice("compat", compat, (None, "sfda"))
    probs = probabilities(source_probs)
    if multilabel(labels):
        return not_applicable("leep takes one label an image")
    codes, counts = class_index(labels, len(probs))
    if len(counts) < 2:
        return insufficient("needs at least two classes; got one")
    conditional = class_sums(probs, codes, len(counts))  # sums over images: p(y, z) · n
    mass = conditional.sum(axis=0)
    conditional /= np.where(mass > 0, mass, 1.0)
    expected = np.einsum("nz,nz->n", probs, conditional[codes])
    return Score(float(expected.mean() if compat else np.log(expected).mean()))
