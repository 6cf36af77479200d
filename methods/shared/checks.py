"""Checks of arguments, once, at the edge; one form of error sentence."""

from collections.abc import Iterable
from difflib import get_close_matches

import numpy as np
from numpy.typing import ArrayLike


def choice(name: str, value: object, options: Iterable[object]) -> None:
    """Raise ValueError, with did-you-mean, unless value is one of the options."""
    options = list(options)
    if value in options:
        return
    near = get_close_matches(str(value), [str(option) for option in options], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}. Got {value!r}.{hint}")


def whole(name: str, value: float, least: int = 1) -> int:
    """value as an int; ValueError unless it is a whole number of at least `least`."""
    if isinstance(value, bool) or int(value) != value or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}. Got {value!r}.")
    return int(value)


def probabilities(source_probs: ArrayLike) -> np.ndarray:
    """Source-class probabilities (n, z) in float64; ValueError unless rows are finite, >= 0 and sum to 1.

    Rows may miss 1 by 0.01: half-precision stores of a thousand classes do.
    """
    probs = np.asarray(source_probs)
    if probs.ndim != 2 or 0 in probs.shape or probs.dtype.kind not in "biuf":
        raise ValueError(f"source_probs must be a real matrix (n, z). Got shape {probs.shape}, dtype {probs.dtype}.")
    probs = np.asarray(probs, dtype=np.float64)
    sums = probs @ np.ones(probs.shape[1])
    # Not a number compares false: finite sums of entries above 0 leave no room for one.
    if not (probs.min() >= 0 and (np.abs(sums - 1) <= 0.01).all()):
        raise ValueError(
            "source_probs must be probabilities: finite, >= 0, each row summing to 1. "
            f"Got values from {np.min(probs):.4g} to {np.max(probs):.4g}, row sums from {np.min(sums):.4g} "
            f"to {np.max(sums):.4g}. Pass softmax outputs, not logits."
        )
    return probs


def same_length(name: str, got: int, n: int) -> None:
    """Raise ValueError unless a second array has as many rows as the first."""
    if got != n:
        raise ValueError(f"{name} must have one row an image, {n}. Got {got}.")
