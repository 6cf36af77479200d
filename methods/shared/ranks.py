"""Ranks of what differs by more than rounding, and the condensed form of a square of pairs."""

from dataclasses import dataclass

import numpy as np

# Correlations of a float64 Gram are good to about 1e-14: what differs by less than this is a tie.
TIE = 1e-12


@dataclass(frozen=True)
class Ranks:
    """Ranks of the n(n-1)/2 pairs in `condensed` order, 1-based, ties averaged; ddof = 0 deviation."""

    values: np.ndarray
    sd: float
    undefined: int  # rows without a direction, whose correlation with anything is taken as 0


def condensed(square: np.ndarray) -> np.ndarray:
    """The entries above the diagonal, row by row, (n(n-1)/2,)."""
    n = len(square)
    out = np.empty(n * (n - 1) // 2, dtype=square.dtype)
    start = 0
    for i in range(n - 1):
        out[start : start + n - 1 - i] = square[i, i + 1 :]
        start += n - 1 - i
    return out


def average_ranks(values: np.ndarray, tie: float = TIE, undefined: int = 0) -> Ranks:
    """Ranks from 1 up, ties averaged; neighbours in order that differ by at most `tie` are tied.

    values  one-dimensional, of size about 1 (correlations): `tie` is absolute
    """
    order = np.argsort(values)
    same = np.diff(values[order]) <= tie
    ordered = np.arange(1.0, len(values) + 1)
    if same.any():
        # Runs of ties: members start..stop, counted from 0, whose ranks average (start + stop) / 2 + 1.
        start, stop = np.flatnonzero(np.diff(np.r_[False, same, False])).reshape(-1, 2).T
        tied = np.r_[same, False]
        tied[1:] |= same
        ordered[tied] = np.repeat((start + stop) / 2 + 1, stop - start + 1)
    ranks = np.empty(len(values))
    ranks[order] = ordered
    return Ranks(ranks, float(ranks.std()) if len(ranks) else 0.0, undefined)


def inverse_norms(own: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, int]:
    """1 / sqrt(own) (n,), 0 where that is rounding, and how many rows that befalls.

    own      squared norms of rows, from which something may have been subtracted
    squares  the squared norms before that: the scale that rounding is judged by
    """
    defined = own > 64 * np.finfo(float).eps * np.maximum(squares, 0.0)
    return np.where(defined, 1.0 / np.sqrt(np.where(defined, own, 1.0)), 0.0), int((~defined).sum())
