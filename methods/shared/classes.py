"""Reading the labels of one probe into classes or real targets, with the statuses that most estimators share."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.labels import class_index, multilabel
from methods.shared.linalg import class_sums
from methods.shared.score import Score, insufficient, not_applicable


@dataclass(frozen=True)
class Classes:
    """Codes (n,) in 0..c-1 of the classes present and their counts (c,), each at least 1."""

    codes: np.ndarray
    counts: np.ndarray

    @property
    def n(self) -> int:
        return len(self.codes)

    @property
    def c(self) -> int:
        return len(self.counts)

    @cached_property
    def priors(self) -> np.ndarray:
        """Share of each class (c,)."""
        return self.counts / self.n

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """Sum of the rows (n, m) of each class (c, m)."""
        return class_sums(rows, self.codes, self.c)

    def means(self, rows: np.ndarray) -> np.ndarray:
        """Mean of the rows (n, m) of each class (c, m)."""
        return self.sums(rows) / self.counts[:, None]

    def own(self, columns: np.ndarray) -> np.ndarray:
        """Each image's entry (n,) in the column of its own class, of a matrix (n, c)."""
        return columns[np.arange(self.n), self.codes]

    def members(self) -> list[np.ndarray]:
        """Indices of the images of each class, in order."""
        return np.split(np.argsort(self.codes, kind="stable"), np.cumsum(self.counts)[:-1])


def read_classes(name: str, labels: ArrayLike, n: int) -> Classes | Score:
    """The classes of single-label images, or the status of what `name` cannot take.

    not_applicable for multi-label, insufficient for one class; ValueError for malformed labels.
    """
    if multilabel(labels):
        return not_applicable(f"{name} takes one label an image")
    codes, counts = class_index(labels, n)
    if len(counts) < 2:
        return insufficient("needs at least two classes; got one")
    return Classes(codes, counts)


def read_targets(labels: ArrayLike, n: int) -> np.ndarray:
    """Real targets in float64, (n,) or (n, t), as (n, t); ValueError for a wrong shape or non-finite values."""
    t = np.asarray(labels, dtype=np.float64)
    t = t[:, None] if t.ndim == 1 else t
    if t.ndim != 2 or len(t) != n or t.shape[1] == 0 or not np.isfinite(t).all():
        raise ValueError(f"labels must be finite real targets ({n},) or ({n}, t). Got shape {np.shape(labels)}.")
    return t
