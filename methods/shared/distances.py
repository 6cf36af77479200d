"""Squared Euclidean distances between rows, measured again where their inner products have lost digits."""

import numpy as np

# A Gram's squared distance below this share of the squared norms has lost half of its digits: measured again.
CLOSE = 1e-6


def sq_distances(rows: np.ndarray, gram: np.ndarray, at: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Squared Euclidean distances (m, n) from the rows `at` to all rows (n, d), exactly 0 between equal ones.

    gram  inner products (n, n) of the rows, better of the centred ones: what it leaves as the difference of two
          nearly equal numbers is measured again, pair by pair
    """
    norms, which = gram.diagonal(), np.arange(len(gram))[at]
    out = gram[at] * -2.0
    out += norms[at, None]
    out += norms
    a, b = np.nonzero(out <= CLOSE * (norms[at, None] + norms))
    out[a, b] = measured(rows, which[a], b)
    return out


def measured(rows: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances (m,) between rows[a] and rows[b] by their differences, some at a time."""
    out = np.empty(len(a))
    step = max(1, 2**21 // rows.shape[1])
    for start in range(0, len(a), step):
        gap = rows[a[start : start + step]].astype(np.float64) - rows[b[start : start + step]]
        out[start : start + step] = np.einsum("nd,nd->n", gap, gap)
    return out
