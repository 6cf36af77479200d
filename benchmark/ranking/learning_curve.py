"""Would more images help? A linear head on frozen features, learned from a quarter, half and all of them.

That of fine-tuning is not measured: it would take a training a point. Frozen features gain from images as fine-tuning
does or less, so what is said here is a careful guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.ranking.mislabelled import principal

FOLDS = 5
SHARES = (0.25, 0.5, 1.0)
FEWEST = 40
"""Images below which a quarter of them says nothing."""
NEARLY_ALL = 0.9
"""Share of the training images that a probe must have seen: its sets are drawn, and may leave out some by chance."""
CLEAR = 2.78  # standard errors from five folds: 95 % of Student's t with four degrees of freedom
PENALTIES = np.logspace(-3, 2, 6)


@dataclass(frozen=True)
class LearningCurve:
    """How a head on frozen features gets better with images.

    images  that it learned from: a quarter, half and all of four fifths
    right   percent of the last fifth that it then gets right, mean over the folds (several labels: mean average
            precision)
    gain    points that twice as many images are expected to add, if the error goes on to fall as a power of them
    error   its standard error, from leaving out each fold
    """

    model: str
    measure: str
    images: tuple[int, ...]
    right: tuple[float, ...]
    gain: float
    error: float

    @property
    def helps(self) -> bool:
        """Whether more images clearly help."""
        return self.gain > CLEAR * self.error

    @property
    def sentence(self) -> str:
        counts, reached = (f"{a}, {b} and {c}" for a, b, c in (self.images, (f"{r:.1f}" for r in self.right)))
        said = f"A linear head on the frozen features of {self.model} reaches {reached} % from {counts} images"
        if self.helps:
            return (
                f"More images would help. {said}: if that goes on, twice as many add {self.gain:.1f} points "
                f"(± {self.error:.1f}, one standard error)."
            )
        return f"That more images would help is not seen. {said}: nothing that stands out of the noise."


def learning_curve(model: str, features: np.ndarray, labels: np.ndarray) -> LearningCurve | None:
    """The curve of a model; None where there are too few images, or none of a second class.

    features (n, d) frozen, labels (n,) ids or (n, c) multi-hot, one image of near-duplicates. Each fold is judged by
    heads that learned from parts of the same other four, each part within the next. Deterministic.
    """
    multilabel = labels.ndim == 2
    one_class = (labels == labels[:1]).all()
    if len(labels) < FEWEST or one_class:
        return None
    classes = np.zeros(len(labels), np.int64) if multilabel else np.unique(labels, return_inverse=True)[1]
    targets = labels > 0 if multilabel else classes[:, None] == np.arange(classes.max() + 1)
    reduced, fold = principal(features), (_turns(classes) + classes) % FOLDS
    wrong, sizes = np.empty((FOLDS, len(SHARES))), []
    for k in range(FOLDS):
        held, rest = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        rest = rest[in_proportion(classes[rest])]
        sizes = [max(2, round(share * len(rest))) for share in SHARES]
        for j, size in enumerate(sizes):
            outputs = _head(reduced[rest[:size]], targets[rest[:size]], reduced[held])
            wrong[k, j] = _wrong(outputs, targets[held], multilabel)
    wrong = np.maximum(wrong, 50 / len(labels))  # half an image: no error at all has no logarithm
    gain = doubling(sizes, wrong.mean(axis=0))
    others = np.array([doubling(sizes, np.delete(wrong, k, axis=0).mean(axis=0)) for k in range(FOLDS)])
    error = float(np.sqrt((FOLDS - 1) * others.var()))
    right = tuple(round(float(r), 2) for r in 100 - wrong.mean(axis=0))
    measure = "mean average precision" if multilabel else "accuracy"
    return LearningCurve(model, measure, tuple(sizes), right, round(gain, 2), round(error, 2))


def doubling(sizes: list[int], wrong: np.ndarray) -> float:
    """Points by which twice as many images lower an error in percent that follows wrong = a · size^-b.

    b is the slope of least squares on logarithms, and the last error is taken as it is.
    """
    slope = np.polyfit(np.log(sizes), np.log(wrong), 1)[0]
    return float(wrong[-1] * (1 - 2**slope))


def in_proportion(classes: np.ndarray) -> np.ndarray:
    """An order of n images, the same every time, whose every beginning holds the classes in their shares."""
    turn, counts = _turns(classes), np.bincount(classes)
    return np.lexsort((turn, (turn + 0.5) / counts[classes]))


def _turns(classes: np.ndarray) -> np.ndarray:
    """(n,) the place of each image among those of its class, drawn."""
    drawn = np.random.default_rng(0).permutation(len(classes))
    order = drawn[np.argsort(classes[drawn], kind="stable")]
    counts = np.bincount(classes)
    turn = np.empty(len(classes), np.int64)
    turn[order] = np.arange(len(classes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return turn


def _head(features: np.ndarray, targets: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Outputs (m, c) of ridge regression on targets of ±1, its penalty by leaving out each image."""
    from sklearn.linear_model import RidgeCV

    return RidgeCV(PENALTIES).fit(features, 2.0 * targets - 1.0).predict(tested)


def _wrong(outputs: np.ndarray, targets: np.ndarray, multilabel: bool) -> float:
    """Percent: of images that get another class, or 100 less the mean average precision over the labels that occur."""
    if not multilabel:
        return 100 * float((outputs.argmax(axis=1) != targets.argmax(axis=1)).mean())
    from sklearn.metrics import average_precision_score

    occur = np.flatnonzero(targets.any(axis=0))
    return 100 - 100 * float(np.mean([average_precision_score(targets[:, c], outputs[:, c]) for c in occur]))
