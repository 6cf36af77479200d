"""Whether a final training takes the classes in equal shares: where they are uneven, by what it does to a linear head.

The head is fitted to frozen features of training images, once as they are and once with classes weighted equally, and
judged on images that it did not see by mean per-class accuracy: what a training costs is not paid twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmark.data.packs import Pack
from benchmark.data.user.findings import MAJORITY, UNEVEN
from benchmark.files import put_record, record
from benchmark.provenance import seed_of
from benchmark.search.job import Job
from benchmark.training.features import forward

MOST, FEWEST = 600, 60
"""Images that the heads see at most, and at least."""
TIME = 0.05
"""Share of the time until the end that their features may take."""
FOLDS = 3
CLEAR = 2.0  # standard errors
PENALTY = 1.0  # where a row's mean square length is 1


@dataclass(frozen=True)
class Balance:
    """Mean per-class accuracy in percent out of sample, as images come and with equal shares, and what follows.

    error  the standard error of their difference
    """

    use: bool
    plain: float
    even: float
    error: float
    images: int

    @property
    def sentence(self) -> str:
        judged = (
            f"on {self.images} training images, a head on frozen features has a mean per-class accuracy of "
            f"{self.even:.1f} % with equal shares and {self.plain:.1f} % without (± {self.error:.1f})"
        )
        if self.use:
            return f"the classes are uneven, and are trained on in equal shares: {judged}"
        return f"the classes are uneven, and are trained on as they come: {judged}"


def is_uneven(labels: np.ndarray) -> bool:
    """Whether of class ids (n,) the largest class is ten times the smallest, or 80 % of all."""
    counts = np.unique(labels, return_counts=True)[1]
    return bool(len(counts) > 1 and (counts.max() >= UNEVEN * counts.min() or counts.max() >= MAJORITY * len(labels)))


def decided(job: Job, module: Any, pack: Pack, trained: np.ndarray, device: Any) -> Balance | None:
    """What a final training does; None where classes are not uneven, are several an image, or nothing can be told.

    module  pretrained, before any step of this training. A decision is kept beside the job's result
    """
    labels = np.asarray(pack.labels[trained])
    if pack.multilabel or not is_uneven(labels):
        return None
    kept = job.result.with_name(f"{job.result.stem}-balance.json")
    if kept.exists():
        return _of(record(kept))
    chosen = trained[_sample(labels)]
    features = _features(job, module, pack, chosen, device)
    made = compared(features, np.asarray(pack.labels[chosen[: len(features)]]))
    if made:
        put_record(kept, asdict(made))
    return made


def _of(found: Mapping[str, Any]) -> Balance | None:
    try:
        return Balance(**found)
    except TypeError:  # a record of another kind
        return None


def _sample(labels: np.ndarray) -> np.ndarray:
    """Positions of at most `MOST` images, half of them with classes in equal numbers as far as there are, shuffled."""
    rng = np.random.Generator(np.random.PCG64(seed_of("balance")))
    order = rng.permutation(len(labels))
    own = labels[order]
    turn = np.empty(len(own), np.int64)
    for k in np.unique(own):
        turn[own == k] = np.arange((own == k).sum())
    each = max(FOLDS, MOST // (2 * len(np.unique(own))))
    rare = np.flatnonzero(turn < each)
    rest = np.flatnonzero(turn >= each)[: max(0, MOST - len(rare))]
    return order[np.sort(np.concatenate([rare, rest]))]


def _features(job: Job, module: Any, pack: Pack, chosen: np.ndarray, device: Any) -> np.ndarray:
    """Features (m, d) of the first m of the chosen images: as many as the time is enough for."""
    from benchmark.training import ground_truth
    from benchmark.training.views import at_once

    begun = time.monotonic()
    until = begun + TIME * max(0.0, job.until - begun)
    found: list[np.ndarray] = []
    for cut in np.array_split(chosen, -(-len(chosen) // at_once(64, job.model.input_size, device))):
        if time.monotonic() >= until:
            break
        pixels = ground_truth.splits(job.model, pack, cut, cut)[1].pixels
        found.append(forward(module.eval(), job.model, [pixels])[0])
    return np.concatenate(found) if found else np.empty((0, 1))


def compared(features: np.ndarray, labels: np.ndarray) -> Balance | None:
    """The two heads on features (n, d) and class ids (n,), out of sample; None where there is too little."""
    ids, counts = np.unique(labels, return_counts=True)
    held = np.isin(labels, ids[counts >= FOLDS])
    features, classes = features[held].astype(np.float64), np.unique(labels[held], return_inverse=True)[1]
    if len(classes) < FEWEST or classes.max(initial=0) < 1:
        return None
    features = features - features.mean(axis=0)
    features /= max(float(np.sqrt((features**2).sum(axis=1).mean())), 1e-12)
    right = [_right(features, classes, weight) for weight in (None, "balanced")]
    each = [[one[classes == k] for k in range(classes.max() + 1)] for one in right]
    plain, even = (100 * float(np.mean([r.mean() for r in one])) for one in each)
    spread = [np.var(b - a, ddof=1) / len(a) for a, b in zip(*each, strict=True)]
    error = 100 * float(np.sqrt(np.sum(spread))) / len(spread)
    return Balance(even - plain > CLEAR * error, round(plain, 2), round(even, 2), round(error, 2), len(classes))


def _right(features: np.ndarray, classes: np.ndarray, weight: str | None) -> np.ndarray:
    """(n,) 0 or 1: whether a ridge head that did not see an image names its class."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    head = RidgeClassifier(PENALTY, class_weight=weight)
    return (cross_val_predict(head, features, classes, cv=folds) == classes).astype(float)
