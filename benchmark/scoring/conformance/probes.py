"""Small made-up probes: ordinary ones, transformed ones, with images that occur twice."""

from __future__ import annotations

import numpy as np
from scipy import special

from benchmark.scoring.conformance.subject import Arrays


def probe(n: int = 96, d: int = 16, c: int = 4, separation: float = 0.5, seed: int = 0, z: int = 12) -> Arrays:
    """A made-up probe: Gaussian classes in columns of different scale, off the origin, classes dealt out in rounds.

    separation  of the class means, in standard deviations of the noise
    """
    rng = np.random.default_rng([seed, n, d, c])
    labels = np.arange(n) % c
    scales = np.exp(rng.normal(scale=0.5, size=d))
    features = (rng.normal(size=(n, d)) + separation * rng.normal(size=(c, d))[labels]) * scales + 1.0
    logits = rng.normal(size=(n, z)) + 1.5 * separation * rng.normal(size=(c, z))[labels]
    found = {
        "features": features,
        "labels": labels,
        "source_logits": logits,
        "source_probs": special.softmax(logits, axis=1),
        "reference_features": 0.5 * rng.normal(size=(n, d + 3)) + 2.0 * rng.normal(size=(c, d + 3))[labels],
        "model": {
            "name": "checked", "arch": "resnet18", "layers": 18, "parameters": 11_000_000, "source": "made-up",
            "source_size": 5000, "source_accuracy": 70.0, "target": "probe", "target_size": n, "feature_dim": d,
        },
    }  # fmt: skip
    # of a source whose classes are those of the target, two of them in one
    centres = np.stack([features[labels == k].mean(axis=0) for k in range(c)])
    found["source_labels"] = np.maximum(labels, 1)
    found["source_features"] = centres[labels] + rng.normal(size=(n, d)) * scales
    return found


def rows(arrays: Arrays, index: np.ndarray) -> Arrays:
    """The same probe with these images, in this order."""
    return {k: v[index] if isinstance(v, np.ndarray) else v for k, v in arrays.items()}


def ordinary() -> dict[str, Arrays]:
    """One probe with more images than features, one with fewer."""
    return {"n > d": probe(), "n < d": probe(n=48, d=120, seed=1)}


def repeated() -> dict[str, Arrays]:
    """Probes whose first, middle and last images occur again beside themselves and at the other end.

    Exactly, or nearly: features off by 1e-9 of themselves. With the label of the image, or that of another class.
    """
    found = {}
    for name, arrays in ordinary().items():
        n = len(arrays["labels"])
        middle, last = n // 2, n - 1
        order = np.r_[last, 0, 0, 1 : middle + 1, middle, middle + 1 : n, last, 0]
        copies = np.array([0, 2, middle + 3, n + 2, n + 3])
        for close, by in (("exact", 0.0), ("near", 1e-9)):
            for same in (True, False):
                probe = rows(arrays, order)
                noise = 1.0 + by * np.random.default_rng(7).normal(size=(len(copies), probe["features"].shape[1]))
                probe["features"][copies] *= noise
                if not same:
                    probe["labels"][copies] = (probe["labels"][copies] + 1) % 4
                label = "same class" if same else "another class"
                found[f"{close} duplicates, {label}, {name}"] = probe
    return found


def twins() -> dict[str, Arrays]:
    """Probes of which two classes hold the same images, so that nothing can tell them apart."""
    found = {}
    for name, arrays in ordinary().items():
        n = len(arrays["labels"])
        found[f"twin classes, {name}"] = rows(arrays, np.arange(n) - (np.arange(n) % 4 == 1)) | {
            "labels": arrays["labels"]
        }
    return found


def transformed(x: np.ndarray, kind: str) -> np.ndarray:
    rng = np.random.default_rng(5)
    d = x.shape[1]
    orthogonal, _ = np.linalg.qr(rng.normal(size=(d, d)))
    scales = rng.uniform(0.5, 2.0, size=d)
    return {
        "rotation": lambda: x @ orthogonal,
        "scale": lambda: 3.7 * x,
        "translation": lambda: x + rng.normal(size=d),
        "linear": lambda: (x * scales) @ orthogonal * scales,
        "columns": lambda: x * scales,
    }[kind]()
