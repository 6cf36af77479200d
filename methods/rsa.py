"""RSA: does the model see the target as a model that was trained on it does?"""

from numpy.typing import ArrayLike

from methods.parc import row_ranks, spearman
from methods.shared.capabilities import estimator
from methods.shared.checks import choice, same_length
from methods.shared.linalg import PCA, Features, Signs, reduced
from methods.shared.score import Score, insufficient


@estimator(
    labels=(),
    invariant=("scale", "translation", "columns"),
    min_samples=3,
    min_classes=0,
    cost="O(n² (d + d') + n² log n)",
    source="Dwivedi and Roig, CVPR 2019, arXiv 1904.11740",
)
def rsa(
    features: ArrayLike | Features,
    reference_features: ArrayLike | Features,
    n_dims: int | None = None,
    pca: PCA = "randomised",
    average_signs: bool = False,
    compat: str | None = None,
) -> Score:
    """Representation similarity analysis: rank correlation of two models' distances between images.

    features            (n, d), each column z-scored here
    reference_features  (n, d') of a model that was trained on the target, for the same images in order;
                        pass one `Features` for all models to be compared, its ranks are kept
    n_dims, pca         principal components kept first, of both
    average_signs       of components, and compat="scikit-learn-1.2": as in `parc`
    returns             100 · Spearman of 1 - Pearson(rows) of the two, i < j; in [-100, 100], higher
                        predicts better. Symmetric; label-free, so single- or multi-label alike
    Cost O(n²(d + d') + n² log n). Deterministic. Needs three images. Degenerate as PARC is.
    Source: Dwivedi and Roig, CVPR 2019, arXiv 1904.11740; in the form of Bolya et al., NeurIPS 2021.
    """
    choice("compat", compat, (None, "scikit-learn-1.2"))
    signs: Signs = "scores" if compat else "loadings"
    features, reference = (reduced(x, n_dims, pca, signs) for x in (features, reference_features))
    same_length("reference_features", reference.n, features.n)
    if features.n < 3:
        return insufficient(f"needs at least three images; got {features.n}")
    return spearman(
        row_ranks(features, n_dims, average_signs),
        row_ranks(reference, n_dims, average_signs),
        "all pairs of images are equally far apart in the reference features",
    )
