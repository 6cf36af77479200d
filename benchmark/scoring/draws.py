"""Which training images a probe draw holds, and the seeds of draws and of methods: the official release's."""

from __future__ import annotations

import numpy as np

SCORING_SEED, SCORING_STEP = 1010, 2131
DRAW_SEED, DRAW_STEP = 2020, 3037


def draw_seeds(draws: int) -> list[int]:
    """The seeds of the probe draws, the official release's."""
    return [DRAW_SEED + DRAW_STEP * r for r in range(draws)]


def scoring_seed(draw: int) -> int:
    """The seed given to methods on a draw, the official release's."""
    return SCORING_SEED + SCORING_STEP * draw


GENERATOR = "numpy.random.Generator(numpy.random.PCG64(seed))"
"""The random number generator of a draw; part of the protocol, so that the ids can be drawn again."""

SMALL = 1000
"""A training split with fewer images than this gives half of them."""


def seed_of_draw(number: int) -> int:
    """The official seed of probe draw 0, 1, 2 …"""
    return DRAW_SEED + DRAW_STEP * number


def draw(labels: np.ndarray, size: int, seed: int, multilabel: bool = False) -> np.ndarray:
    """Indices of a probe set, drawn as the paper draws it: class by class in rounds.

    labels      (n,) class ids of the training split, or (n, c) multi-hot with multilabel
    size        images wanted. With fewer than 1,000 training images the set is at most half of them; it is
                never more than there are
    seed        `seed_of_draw(r)` for draw r of a target; the generator is PCG64
    returns     (m,) int64 indices into `labels`, all different. Every round takes one random image of each class
                in the order of class ids, until `size`, so that any beginning of the set is balanced and a
                remainder goes to the lowest ids. With more than size/2 classes, size//2 random ones are kept,
                each with two images where it has them. Multi-label: a plain random sample
    Cost O(n log n). Raises ValueError for labels of the wrong shape and for a size below 1.
    Source: the release of Bolya et al. (FixedBudgetSampler). Differs from the authors' code in the generator.
    """
    labels = np.asarray(labels)
    if labels.ndim != (2 if multilabel else 1) or not len(labels):
        shape = "(n, c) multi-hot" if multilabel else "(n,) class ids"
        raise ValueError(f"labels must be {shape} of at least one image. Got shape {labels.shape}. Check multilabel.")
    if size < 1:
        raise ValueError(f"size must be at least 1. Got {size}. Ask for more images.")
    n = len(labels)
    size = max(1, min(size, n // 2 if n < SMALL else n))
    generator = np.random.Generator(np.random.PCG64(seed))
    if multilabel:
        return generator.permutation(n)[:size].astype(np.int64)
    classes, members = np.unique(labels, return_inverse=True)
    kept = np.ones(len(classes), bool)
    if 2 * len(classes) > size:
        kept[:] = False
        kept[generator.permutation(len(classes))[: max(1, size // 2)]] = True
    shuffled = generator.permutation(n)
    by_class = shuffled[np.argsort(members[shuffled], kind="stable")]
    counts = np.bincount(members, minlength=len(classes))
    turn = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)  # 0, 1, 2 … within each class
    in_rounds = by_class[np.lexsort((members[by_class], turn))]
    return in_rounds[kept[members[in_rounds]]][:size].astype(np.int64)
