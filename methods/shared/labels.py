"""Reading labels: class ids (n,) or multi-hot (n, c), checked once, re-indexed to the classes present."""

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.checks import whole


def _read(labels: ArrayLike, n: int | None) -> np.ndarray:
    y = np.asarray(labels)
    if y.ndim not in (1, 2):
        raise ValueError(f"labels must be class ids (n,) or multi-hot (n, c). Got shape {y.shape}.")
    if y.size == 0:
        raise ValueError(f"labels must hold at least one image. Got shape {y.shape}.")
    if n is not None and len(y) != n:
        raise ValueError(f"labels must be as many as the images, {n}. Got {len(y)}.")
    if y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.rint(y)).all()):
        raise ValueError("labels must be whole numbers. Got fractions or non-finite values.")
    if y.dtype.kind not in "biufUS":
        raise ValueError(f"labels must be class ids or multi-hot zeros and ones. Got dtype {y.dtype}.")
    if y.ndim == 2 and (y.dtype.kind in "US" or not ((y == 0) | (y == 1)).all()):
        raise ValueError("labels of two dimensions must be multi-hot zeros and ones. Got other values.")
    return y


def multilabel(labels: ArrayLike) -> bool:
    """Whether labels are multi-hot with some row that does not hold exactly one label."""
    y = np.asarray(labels)
    return y.ndim == 2 and bool((np.count_nonzero(y, axis=1) != 1).any())


def class_index(labels: ArrayLike, n: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Class ids re-indexed to the classes present.

    labels   class ids (n,) of any whole numbers or strings, or one-hot (n, c)
    n        how many there must be, where that is known
    returns  codes int64 (n,) in 0..c-1 in the order of the ids, and counts int64 (c,), all at least 1
    Raises ValueError for a wrong shape, length or value, and for rows with several labels or none.
    """
    y = _read(labels, n)
    if y.ndim == 2:
        if multilabel(y):
            raise ValueError("labels must be one class an image here. Got rows with several labels or none.")
        y = np.argmax(y, axis=1)
    _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    return codes.astype(np.int64, copy=False).reshape(-1), counts.astype(np.int64, copy=False)


def multi_hot(labels: ArrayLike, n: int | None = None, n_classes: int | None = None) -> np.ndarray:
    """Labels as a float64 0/1 matrix (n, c): one column a class present, or the multi-hot columns as given.

    n_classes  so many columns instead, zeros where no image has the class: ids from 0 to n_classes - 1 keep their
               own column, any other names come in the order of the classes present
    """
    y = _read(labels, n)
    if y.ndim == 2:
        hot = y.astype(np.float64)
        missing = 0 if n_classes is None else class_count(n_classes, hot.shape[1]) - hot.shape[1]
        return np.pad(hot, ((0, 0), (0, missing))) if missing else hot
    codes, counts = class_index(y)
    if n_classes is not None:
        n_classes = class_count(n_classes, len(counts))
        if y.dtype.kind in "iuf" and y.min() >= 0 and y.max() < n_classes:
            codes = y.astype(np.int64)
    hot = np.zeros((len(codes), n_classes or len(counts)))
    hot[np.arange(len(codes)), codes] = 1.0
    return hot


def class_count(n_classes: int | None, present: int) -> int:
    """Classes of the data set, those present where that is not known; ValueError for fewer than are present."""
    if n_classes is None:
        return present
    if whole("n_classes", n_classes) < present:
        raise ValueError(
            f"n_classes must be at least the number of classes that the labels hold, {present}. Got {n_classes}."
        )
    return int(n_classes)
