"""Probabilities that mean what they say: a temperature, how far off they are, and from where on to say nothing.

A temperature divides all outputs and changes no decision. Source: Guo, Pleiss, Sun and Weinberger, On calibration of
modern neural networks, ICML 2017, arXiv 1706.04599. What is fitted here is fitted on images that were not trained on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.search.arithmetic import held_out
from benchmark.search.prediction import probabilities

ASIDE, ASIDE_MOST, ASIDE_LEAST = 0.1, 200, 15
"""Share of the training images that a final training keeps aside for this, at most and at least so many images."""
BINS = 15
QUIET = 0.05
"""Share of the rightly named images kept aside whose probability lies below the threshold."""
COLDEST, HOTTEST = 0.05, 20.0
CLEAR = 2.0  # standard errors


@dataclass(frozen=True)
class Calibration:
    """What a checkpoint knows of its probabilities.

    temperature  that its outputs are divided by
    threshold    probability of the likeliest class below which an image is called none of these; None: never
    images       that both were chosen on
    error_before, error_after  expected calibration error on the test images, percent, without and with the temperature
    """

    temperature: float
    threshold: float | None
    images: int
    error_before: float
    error_after: float

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Calibration:
        """From a checkpoint's metadata; KeyError or ValueError where they are no calibration."""
        t, threshold = facts["temperature"], facts["threshold"]
        if not (isinstance(t, int | float) and math.isfinite(t) and t > 0):
            raise ValueError(f"temperature is {str(t)[:60]!r}")
        if threshold is not None and not (isinstance(threshold, int | float) and 0 <= threshold <= 1):
            raise ValueError(f"threshold is {str(threshold)[:60]!r}")
        return cls(t, threshold, *(facts[k] for k in ("images", "error_before", "error_after")))


def aside(n: int) -> int:
    """How many of n training images are kept aside; 0 where they are too few to say anything."""
    count = min(held_out(n, ASIDE), ASIDE_MOST)
    return count if count >= ASIDE_LEAST else 0


def calibrate(outputs: np.ndarray, labels: np.ndarray, tested: np.ndarray, test_labels: np.ndarray) -> Calibration:
    """A calibration from outputs (n, c) for images kept aside, judged on those `tested`; labels as ids or multi-hot."""
    multilabel = labels.ndim == 2
    t = temperature(outputs, labels)
    before, after = (probabilities(tested / by, multilabel) for by in (1.0, t))
    low = None if multilabel else threshold(probabilities(outputs / t, False), labels)
    errors = (round(100 * expected_error(p, test_labels), 3) for p in (before, after))
    return Calibration(round(t, 4), low, len(labels), *errors)


def temperature(outputs: np.ndarray, labels: np.ndarray) -> float:
    """The temperature under which the labels are likeliest; 1 where it is not clear that it helps.

    outputs (n, c), labels (n,) ids or (n, c) multi-hot; returns a number within COLDEST and HOTTEST. On few images the
    likeliest temperature follows chance: it is taken where the mean gain in log likelihood over a temperature of 1 is
    above CLEAR of its standard errors.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    outputs = outputs.astype(np.float64)

    def losses(log_t: float) -> np.ndarray:
        """(n,) negative log likelihoods of the images."""
        z = outputs / math.exp(log_t)
        if labels.ndim == 2:
            return (np.logaddexp(0.0, z) - labels * z).mean(axis=1)
        return logsumexp(z, axis=1) - z[np.arange(len(z)), labels]

    bounds = (math.log(COLDEST), math.log(HOTTEST))
    found = float(minimize_scalar(lambda log_t: float(losses(log_t).mean()), bounds=bounds, method="bounded").x)
    gain = losses(0.0) - losses(found)
    error = float(gain.std(ddof=1)) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
    return math.exp(found) if float(gain.mean()) > CLEAR * error else 1.0


def threshold(shares: np.ndarray, labels: np.ndarray) -> float | None:
    """The 5 % quantile of the highest probability (n, c) among images that it names rightly; None where none is."""
    right = shares.argmax(axis=1) == labels
    if not right.any():
        return None
    return round(float(np.quantile(shares.max(axis=1)[right], QUIET, method="lower")), 4)


def claims(shares: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is claimed with which probability, and whether it was so: the likeliest class of each image, or every label.

    shares (n, c); returns (m,) probabilities and (m,) 0 or 1
    """
    if labels.ndim == 2:
        return shares.ravel(), (labels > 0).astype(float).ravel()
    return shares.max(axis=1), (shares.argmax(axis=1) == labels).astype(float)


def reliability(shares: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each bin of equal width that holds claims: their mean probability, the share that was so, how many."""
    claimed, so = claims(shares, labels)
    place = np.minimum((claimed * BINS).astype(int), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    held = counts > 0
    sums = (np.bincount(place, weights, minlength=BINS)[held] for weights in (claimed, so))
    mean, share = (one / counts[held] for one in sums)
    return mean, share, counts[held]


def expected_error(shares: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error, 0 to 1: the distance of probability and share, mean over bins by their claims."""
    mean, share, counts = reliability(shares, labels)
    return float((counts * np.abs(mean - share)).sum() / counts.sum())
