"""Accuracy of predictions, and which images are held out to choose a rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from benchmark.data.splits import stratified_draw
from benchmark.provenance import seed_of

if TYPE_CHECKING:
    from benchmark.config.recipe import RecipeSpec
    from benchmark.data.packs import Pack


def accuracies(outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracies of outputs (n, c) against class ids (n,) or multi-hot labels (n, c), in percent.

    Single-label: `accuracy`, and `mean_per_class`, the mean recall over the classes that occur. Multi-label:
    `map`, the mean over labels that occur of scikit-learn's average precision, and `per_label`, the share of
    all n·c decisions (output > 0) that are right, which is the paper's. `oracle` is the first of each.
    """
    right = correctness(outputs, labels)
    if labels.ndim == 2:
        from sklearn.metrics import average_precision_score

        occur = np.flatnonzero(labels.any(axis=0))
        if not len(occur):
            raise ValueError("labels must hold at least one positive. Got none. Check the test split.")
        precisions = [average_precision_score(labels[:, c], outputs[:, c]) for c in occur]
        found = {"map": 100 * float(np.mean(precisions)), "per_label": 100 * int(right.sum()) / right.size}
        return found | {"oracle": found["map"]}
    recalls = [right[labels == c].mean() for c in np.unique(labels)]
    found = {"accuracy": 100 * int(right.sum()) / right.size, "mean_per_class": 100 * float(np.mean(recalls))}
    return found | {"oracle": found["accuracy"]}


def correctness(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """uint8 (n,), or (n, c) for multi-label: whether each decision is right."""
    if labels.ndim == 2:
        return ((outputs > 0) == (labels > 0)).astype(np.uint8)
    return (outputs.argmax(axis=1) == labels).astype(np.uint8)


def parts(
    labels: np.ndarray, size_of: Callable[[int], int], groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the images to train on and of those held out to judge: a stratified sample, always the same.

    size_of  how many of n images are held out
    groups   (n,) near-duplicates share a number. A group is held out whole: one image of it judges, and none is
             trained on
    """
    first = np.arange(len(labels)) if groups is None else np.sort(np.unique(groups, return_index=True)[1])
    held = first[stratified_draw(labels[first], size_of(len(first)), seed_of("validation"))]
    out = held if groups is None else np.flatnonzero(np.isin(groups, groups[held]))
    return np.delete(np.arange(len(labels)), out), held


def training_indices(pack: Pack, recipe: RecipeSpec) -> np.ndarray:
    """The training split; with `train_cap` a stratified part of it, the same for every model and seed."""
    indices = pack.indices("train")
    if recipe.train_cap is None or recipe.train_cap >= len(indices):
        return indices
    return indices[stratified_draw(pack.labels[indices], recipe.train_cap, seed_of("train_cap"))]
