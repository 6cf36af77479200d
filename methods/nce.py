"""NCE: how well do the source model's hard decisions tell the target's classes?"""

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.checks import choice, probabilities
from methods.shared.labels import class_count, class_index, multilabel
from methods.shared.score import Score, insufficient, not_applicable


@estimator(
    cost="O(n z)",
    source="Tran et al., ICCV 2019, arXiv 1908.08142",
)
def nce(source_probs: ArrayLike, labels: ArrayLike, compat: str | None = None, n_classes: int | None = None) -> Score:
    """Negative conditional entropy of the label given the most probable source class.

    source_probs  (n, z) softmax outputs of the source head; only their argmax counts
    labels        class ids (n,); multi-label is not applicable
    compat        "parc": 1e-5 added to every cell of the joint distribution (n_classes × z) and of the
                  source marginal, as released. With many classes that is more mass than the data's, and
                  it penalises sources with many classes
    n_classes     classes of the data set, of which a probe may hold fewer (250 of NABirds' 555): compat
                  alone counts them. The runner supplies it; None counts the classes present
    returns       -H(Y|Z) = sum over y, z of p(y,z) ln(p(y,z) / p(z)), in nats, at most 0; higher predicts
                  better. Not comparable between targets with different numbers of classes
    Cost O(n z). Deterministic. Needs two classes.
    Source: Tran, Nguyen and Hassner, ICCV 2019, arXiv 1908.08142.
    """
    choice("compat", compat, (None, "parc"))
    probs = probabilities(source_probs)
    if multilabel(labels):
        return not_applicable("nce takes one label an image")
    codes, counts = class_index(labels, len(probs))
    if len(counts) < 2:
        return insufficient("needs at least two classes; got one")
    n, z = probs.shape
    decided = probs.argmax(axis=1)
    if compat == "parc":
        joint = np.bincount(codes * z + decided, minlength=class_count(n_classes, len(counts)) * z).reshape(-1, z) / n
        return Score(float(((joint + 1e-5) * np.log((joint + 1e-5) / (joint.sum(axis=0) + 1e-5))).sum()))
    # Few cells of the joint distribution hold an image: only those are looked at.
    cells, held = np.unique(codes * z + decided, return_counts=True)
    mass = np.bincount(decided, minlength=z)[cells % z]
    return Score(float(held @ np.log(held / mass)) / n)
