"""Probes of any size, and what calls and times an estimator on them: what bench.py and bench_device.py share."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from scipy import special

import methods


def probe(n: int = 500, d: int = 2048, c: int = 200, z: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Rectified Gaussian classes, a source head that knows something of them, a reference that knows more."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % c
    logits = rng.standard_normal((n, z), dtype=np.float32)
    logits += 2 * rng.standard_normal((c, z), dtype=np.float32)[labels]
    return {
        "features": _rectified(rng, n, d, labels, c, 0.5),
        "labels": labels,
        "source_logits": logits,
        "source_probs": special.softmax(logits.astype(np.float64), axis=1),
        "reference_features": _rectified(rng, n, d, labels, c, 1.0),
        "model": {"name": "m", "layers": 50, "params": 1, "source_size": 1, "target_size": n, "source_accuracy": 1.0},
        "seed": 0,
    }


def _rectified(rng: np.random.Generator, n: int, d: int, labels: np.ndarray, c: int, gap: float) -> np.ndarray:
    x = rng.standard_normal((n, d), dtype=np.float32)
    x += gap * rng.standard_normal((c, d), dtype=np.float32)[labels]
    return np.maximum(x, 0, out=x)


def wrapped(arrays: dict[str, Any]) -> dict[str, Any]:
    """The same probe with features that are shared between methods from here on."""
    return arrays | {k: methods.Features(v) for k, v in arrays.items() if k.endswith("features")}


def call(function: Callable[..., float], arrays: dict[str, Any], /, **parameters: object) -> float:
    names = inspect.signature(function).parameters
    return function(**{k: v for k, v in arrays.items() if k in names}, **parameters)


def together(methods: Iterable[Callable[[dict[str, Any]], object]], arrays: dict[str, Any]) -> None:
    """Several methods on one probe, one after another."""
    for method in methods:
        method(arrays)


def anew(function: Callable[..., float], arrays: dict[str, Any], /, **parameters: object) -> float:
    """A method on features that nothing has used."""
    return call(function, wrapped(arrays), **parameters)


def timed(function: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result
