"""Many models' probes of one target scored in one go with PyTorch, on a GPU or a CPU: the same scores to 1e-6.

Stacks have the models first: features (m, n, d), source_probs (m, n, z); the labels (n,) are common to all. Float64
throughout. A model that needs care (ties, rank deficiency, constant features, too few images) is left to the
estimator itself on the CPU, so that statuses are the same too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.checks import choice
from methods.shared.labels import class_index, multilabel
from methods.shared.score import Score
from methods.shared.stacked import STACKED, Stack


def score_stack(
    names: Sequence[str],
    labels: ArrayLike,
    features: ArrayLike | None = None,
    source_probs: ArrayLike | None = None,
    device: str = "cpu",
) -> dict[str, list[Score]]:
    """Scores of a stack of models, {estimator: one Score a model}; each with its default parameters.

    names         of `STACKED`
    labels        class ids (n,), common to all models
    features      (m, n, d), for estimators of features
    source_probs  (m, n, z), for leep and nce
    device        a PyTorch device: cpu, cuda, cuda:1
    Raises ValueError for an unknown name, a missing or misshapen stack, values that are not finite, several labels
    an image. Memory about 60 m n² bytes.
    """
    import torch

    import methods

    for name in names:
        choice("names", name, STACKED)
    if multilabel(labels):
        raise ValueError("labels must be one class an image for a stack. Got rows with several labels or none.")
    codes, counts = class_index(labels)
    stacks = {"features": features, "source_probs": source_probs}
    own = {name: _read(name, stack, len(codes)) for name, stack in stacks.items() if stack is not None}
    moved = {name: torch.as_tensor(stack).to(device).to(torch.float64) for name, stack in own.items()}
    index = torch.as_tensor(codes, device=device)
    hot = torch.nn.functional.one_hot(index, len(counts)).to(torch.float64)
    made = Stack(index, hot, torch.as_tensor(counts, device=device), moved)
    scored: dict[str, list[Score]] = {}
    for name in names:
        needed = "source_probs" if name in ("leep", "nce") else "features"
        if needed not in own:
            raise ValueError(f"{needed} must be given for {name}. Got none.")
        m = len(own[needed])
        values, plain = STACKED[name](made) if len(counts) > 1 else (np.zeros(m), np.zeros(m, dtype=bool))
        alone = getattr(methods, name)
        scored[name] = [
            Score(float(values[i])) if plain[i] else alone(**{needed: own[needed][i], "labels": labels})
            for i in range(m)
        ]
    return scored


def _read(name: str, stack: ArrayLike, n: int) -> np.ndarray:
    x = np.asarray(stack)
    if x.ndim != 3 or 0 in x.shape or x.shape[1] != n or not np.isfinite(x).all():
        raise ValueError(f"{name} must be a finite stack (m, {n}, …), models first. Got shape {x.shape}.")
    return x
