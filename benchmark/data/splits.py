"""Which images are for training and which for testing, where a data set does not say: the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from benchmark.data.examples import TEST, TRAIN
from benchmark.wording import SHOWN


def grouped_split(
    labels: np.ndarray, groups: np.ndarray, names: Sequence[str], test_share: float, seed: int
) -> np.ndarray:
    """(n,) 0 train, 1 test: about round(share·n) of every class are test, whole groups at a time, in hash order.

    Every class keeps at least one group on each side where it has two. Label sets (multi-label) that occur once are
    treated as one class.
    """
    strata = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    if labels.ndim == 2:
        strata = np.where(np.bincount(strata)[strata] < 2, strata.max() + 1, strata)
    members: dict[int, list[int]] = {}
    for i in hash_order(names, seed):
        members.setdefault(int(groups[i]), []).append(int(i))
    of_stratum: dict[int, list[list[int]]] = {}
    for group in members.values():  # a group belongs where most of it does
        values, counts = np.unique(strata[group], return_counts=True)
        of_stratum.setdefault(int(values[counts.argmax()]), []).append(group)
    split = np.full(len(labels), TRAIN, np.uint8)
    for parts in of_stratum.values():
        if len(parts) < 2:
            continue
        total = sum(map(len, parts))
        quota, taken = min(max(round(test_share * total), 1), total - 1), 0
        for part in parts[:-1]:  # the last is never test
            if taken + len(part) <= quota:
                split[part] = TEST
                taken += len(part)
        if not taken:
            split[min(parts, key=len)] = TEST
    return split


def hash_order(names: Sequence[str], seed: int) -> np.ndarray:
    """Indices of `names` in the order of SHA-256 of "seed|name": a shuffle that any machine repeats."""

    def hashed(i: int) -> bytes:  # a file's name need not be UTF-8: then its own bytes count
        return hashlib.sha256(f"{seed}|{names[i]}".encode(errors="surrogateescape")).digest()

    return np.array(sorted(range(len(names)), key=hashed))


def quotas(counts: np.ndarray, total: int) -> np.ndarray:
    """`total` divided over strata in proportion to `counts` (largest remainders), one each where that is possible."""
    if total >= counts.sum():
        return counts
    share = total * counts / counts.sum()
    out = np.floor(share).astype(counts.dtype)
    out[np.argsort(-(share - out), kind="stable")[: total - out.sum()]] += 1
    while total >= len(counts) and out.min() == 0:  # the largest gives to a class that would be left out
        out[out.argmin()] += 1
        out[out.argmax()] -= 1
    return out


def stratified(labels: np.ndarray, names: Sequence[str], total: int, seed: int = 0) -> np.ndarray:
    """Indices, ascending, of `total` examples with the classes (or label sets) in proportion; all if there are fewer.

    Within a class those that come first in `hash_order` are taken, so that neither the order of rows nor numpy's
    generator matters. Of what is trained on, a part is drawn with `stratified_draw` instead.
    """
    strata = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    return np.sort(_first_of_each(strata, quotas(np.bincount(strata), total), names, seed))


def _first_of_each(strata: np.ndarray, quota: np.ndarray, names: Sequence[str], seed: int) -> np.ndarray:
    """Indices of the first quota[k] of every stratum k in hash order."""
    left, chosen = quota.copy(), []
    for i in hash_order(names, seed):
        if left[strata[i]]:
            left[strata[i]] -= 1
            chosen.append(i)
    return np.array(chosen, np.int64)


def stratified_draw(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Positions (sorted) of a random sample of `size` that keeps the classes' shares; plain for multi-label.

    Within a class of m images the shuffled ones stand at (k + ½)/m; the `size` lowest are taken, so that every
    class gives its share rounded. All ground truth that is released was validated on such samples, so this can't
    become `stratified` without training anew.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    shuffled = generator.permutation(len(labels))
    if labels.ndim == 2:
        return np.sort(shuffled[:size])
    _, members, counts = np.unique(labels[shuffled], return_inverse=True, return_counts=True)
    by_class = np.argsort(members, kind="stable")
    turn = np.empty(len(labels))
    turn[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = (turn + 0.5) / counts[members]
    return np.sort(shuffled[np.argsort(place, kind="stable")[:size]])


def split_here(labels: np.ndarray, names: list[str], files: list[str], test_share: float, seed: int) -> np.ndarray:
    """A stratified split: of every class the first round(share·n) in hash order are test, at least one, never all."""
    counts = np.bincount(labels, minlength=len(names))
    if counts.min() < 2:
        single = [names[k] for k in np.flatnonzero(counts < 2)][:SHOWN]
        raise ValueError(f"every class must have at least two images to be split. Got one in {single}. Add images.")
    split = np.full(len(labels), TRAIN)
    split[_first_of_each(labels, np.clip(np.round(test_share * counts).astype(int), 1, counts - 1), files, seed)] = TEST
    return split
