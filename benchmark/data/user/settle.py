"""A user's images after one look at each: duplicates and leaks dealt with, labels settled, a split made."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from benchmark.data.examples import LEFT_OUT, TEST, TRAIN, Settled
from benchmark.data.splits import grouped_split
from benchmark.data.user.findings import (
    TO_SPLIT,
    UNREADABLE_SHARE,
    DataError,
    Finding,
    Seen,
    appearance,
    balance,
    images_counted,
    shift,
)
from benchmark.data.user.shortcuts import shortcuts
from benchmark.wording import plural, some, verb_for

ALIKE = 0.08
"""Two images are near-duplicates where their thumbnails differ by less than this share of their own contrast (root mean
square over pixels and channels). A copy saved again at another quality is far below it; of copies made a fifth smaller
and saved at JPEG quality 60 a third to nearly all are, by the data set. Larger values join different solar cells."""

SEVERAL, MOST = 5, 0.5
"""Where more than half of a class of five images or more are near-duplicates of each other, they are no copies of one
image but what one camera saw, and stand alone."""
FLAT = 2.0  # grey levels: the least contrast that counts, so that black frames match only black frames


def settle(seen: Seen, test_share: float, seed: int, alike: float | None = ALIKE) -> tuple[Settled, list[Finding]]:
    """The labels, split and classes to go on with, and everything that was found on the way.

    Unreadable images are left out, and classes that one image alone stands for. Near-duplicates (see `ALIKE`; None
    for no such) stay on one side of the split; where the split is given, training images that resemble a test image
    are left out. Raises DataError where too little remains.
    """
    findings: list[Finding] = []
    split = seen.split.astype(np.uint8).copy()
    _leave_unreadable(seen, split, findings)
    groups, given = np.arange(len(split)), not (split == TO_SPLIT).any()
    if alike is not None:
        groups = near_duplicates(seen.thumbnails, split != LEFT_OUT, alike)
        groups = _without_scenes(seen, split, groups, alike, findings)
    if not given:
        _leave_lonely_classes(seen, split, groups, alike, findings)
        chosen = np.flatnonzero(split == TO_SPLIT)
        split[chosen] = grouped_split(
            seen.labels[chosen], groups[chosen], [seen.names[i] for i in chosen], test_share, seed
        )
    else:
        _leave_leaks(seen, split, groups, alike, findings)
    _leave_untrained_classes(seen, split, findings)
    _tell_groups(groups, split, seen, alike, findings)
    _tell_conflicts(seen, split, groups, findings)
    labels, class_names = _renumbered(seen, split)
    if len(class_names) < 2 or not (split == TEST).any():
        raise DataError(
            f"images must remain for training and testing in at least two classes. Got {len(class_names)} classes, "
            f"{int((split == TRAIN).sum())} training and {int((split == TEST).sum())} test images. "
            + " ".join(f.sentence for f in findings)
        )
    findings += balance(labels, split, class_names) + appearance(seen, split, labels, class_names)
    if given:
        findings += shift(labels, split, class_names)
    findings += [*shortcuts(seen.facts, labels, split, class_names), *seen.found]
    several = np.bincount(groups[split != LEFT_OUT]).max() > 1
    return Settled(labels, split, class_names, [asdict(f) for f in findings], groups if several else None), findings


def near_duplicates(thumbnails: np.ndarray, looked_at: np.ndarray, alike: float = ALIKE) -> np.ndarray:
    """(n,) group of every image: those that resemble each other, directly or through others, share a number.

    Cost O(n²) products of 768 numbers, in blocks; images that are not `looked_at` stand alone.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n, at = len(thumbnails), np.flatnonzero(looked_at)
    flat = thumbnails[at].reshape(len(at), -1).astype(np.float32)
    contrast = np.maximum(flat.std(axis=1), FLAT)
    squares = (flat**2).mean(axis=1)
    first, second = [], []
    for start in range(0, len(at), 1024):
        block = slice(start, start + 1024)
        distance = squares[block, None] + squares - 2 / flat.shape[1] * (flat[block] @ flat.T)
        near = distance < (alike * np.minimum(contrast[block, None], contrast)) ** 2
        i, j = np.nonzero(near)
        i += start
        first.append(at[i[i < j]])
        second.append(at[j[i < j]])
    a, b = np.concatenate(first or [at]), np.concatenate(second or [at])
    return connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(n, n)), directed=False)[1]


def _leave_unreadable(seen: Seen, split: np.ndarray, findings: list[Finding]) -> None:
    if not seen.unreadable:
        return
    names = [seen.names[i] for i in seen.unreadable]
    why, n = some([f"{seen.names[i]} ({reason})" for i, reason in seen.unreadable.items()], between="; "), len(names)
    if n > UNREADABLE_SHARE * len(split):
        raise DataError(
            f"images must be readable. Got {n} of {len(split)} that are not: {why}. "
            "Repair or remove them; a few would have been left out."
        )
    split[list(seen.unreadable)] = LEFT_OUT
    findings.append(Finding("unreadable", f"{images_counted(n)} cannot be read: {why}.", "Left out.", names))


def _without_scenes(
    seen: Seen, split: np.ndarray, groups: np.ndarray, alike: float, findings: list[Finding]
) -> np.ndarray:
    """The groups without those that hold most of a class: images of a fixed camera, say, of which each stands alone."""
    kept, loose, named = split != LEFT_OUT, set(), []
    for k, name in enumerate(seen.class_names):
        own = groups[kept & (seen.labels[:, k] > 0 if seen.labels.ndim == 2 else seen.labels == k)]
        if len(own) < SEVERAL:
            continue
        values, counts = np.unique(own, return_counts=True)
        if counts.max() > MOST * len(own):
            loose.add(int(values[counts.argmax()]))
            named.append(f"{counts.max()} of {len(own)} of '{name}'")
    if not loose:
        return groups
    members, groups = np.flatnonzero(kept & np.isin(groups, list(loose))), groups.copy()
    groups[members] = groups.max() + 1 + np.arange(len(members))
    findings.append(
        Finding(
            "scene",
            f"Most images of a class are nearly equal: {some(named)}.",
            "Taken for different ones, as of a fixed camera, that may lie on both sides of the split. If they are "
            f"copies of one, remove them: predictions would be too good. {_decides(alike)}",
            [seen.names[i] for i in members],
        )
    )
    return groups


def _leave_lonely_classes(
    seen: Seen, split: np.ndarray, groups: np.ndarray, alike: float | None, findings: list[Finding]
) -> None:
    if seen.labels.ndim == 2:
        return
    for k in np.unique(seen.labels):
        members = np.flatnonzero((seen.labels == k) & (split != LEFT_OUT))
        if not len(members) or len(np.unique(groups[members])) > 1:
            continue
        split[members] = LEFT_OUT
        several = len(members) > 1
        copies = f" ({len(members)} near-copies of one)" if several else ""
        findings.append(
            Finding(
                "single",
                f"Class '{seen.class_names[k]}' has one image{copies}.",
                "The class is left out: it cannot be both learned and tested."
                + (f" {_decides(alike)}" if several else ""),
                [seen.names[i] for i in members],
            )
        )


def _leave_leaks(
    seen: Seen, split: np.ndarray, groups: np.ndarray, alike: float | None, findings: list[Finding]
) -> None:
    tested = np.isin(groups, groups[split == TEST])
    leaks = np.flatnonzero(tested & (split == TRAIN))
    if not len(leaks):
        return
    split[leaks] = LEFT_OUT
    findings.append(
        Finding(
            "leak",
            f"{images_counted(len(leaks))} of the training part nearly {verb_for(len(leaks), 'equals', 'equal')} a "
            "test image.",
            f"Left out of training: a model could answer from memory. {_decides(alike)}",
            [seen.names[i] for i in leaks],
        )
    )


def _leave_untrained_classes(seen: Seen, split: np.ndarray, findings: list[Finding]) -> None:
    if seen.labels.ndim == 2:
        _tell_untrained_labels(seen, split, findings)
        return
    for k in np.unique(seen.labels[split != LEFT_OUT]):
        train, test = (np.flatnonzero((seen.labels == k) & (split == part)) for part in (TRAIN, TEST))
        name = seen.class_names[k]
        if not len(train):
            split[test] = LEFT_OUT
            done = "Its test images are left out: nothing can be learned of it."
            findings.append(Finding("single", f"Class '{name}' has no training image.", done))
        elif not len(test):
            done = "It is trained on, and no accuracy speaks of it."
            findings.append(Finding("single", f"Class '{name}' has no test image.", done))
        elif len(train) == 1:
            done = "Kept; scores that compare images within a class learn nothing from it."
            findings.append(Finding("single", f"Class '{name}' has one training image.", done))


def _tell_untrained_labels(seen: Seen, split: np.ndarray, findings: list[Finding]) -> None:
    """Labels of which all images are on one side, where an image has several."""
    train, test = (seen.labels[split == part].any(axis=0) for part in (TRAIN, TEST))
    for part, there, done in (
        ("training", test & ~train, "Kept; nothing can be learned of it."),
        ("test", train & ~test, "It is trained on, and no accuracy speaks of it."),
    ):
        names = [f"'{seen.class_names[k]}'" for k in np.flatnonzero(there)]
        if len(names) == 1:
            findings.append(Finding("single", f"Label {names[0]} has no {part} image.", done))
        elif names:
            what = f"{len(names)} labels have no {part} image: {some(names)}."
            findings.append(Finding("single", what, done.replace("It is", "They are").replace(" it", " them")))


def _tell_groups(
    groups: np.ndarray, split: np.ndarray, seen: Seen, alike: float | None, findings: list[Finding]
) -> None:
    kept = np.flatnonzero(split != LEFT_OUT)
    sizes = np.bincount(groups[kept], minlength=groups.max() + 1)
    near = kept[sizes[groups[kept]] > 1]
    if len(near):
        count = len(np.unique(groups[near]))
        findings.append(
            Finding(
                "copies",
                f"{len(near)} images are near-duplicates of others, in {count} {'group' if count == 1 else 'groups'}.",
                "Each group stays on one side of the split and counts as one image where models are compared. "
                + _decides(alike),
                [seen.names[i] for i in near[np.argsort(groups[near], kind="stable")]],
            )
        )


def _decides(alike: float | None) -> str:
    return f"(duplicate_threshold={alike:g} decides what is near; null: nothing is.)"


def _tell_conflicts(seen: Seen, split: np.ndarray, groups: np.ndarray, findings: list[Finding]) -> None:
    kept = np.flatnonzero(split != LEFT_OUT)
    sets = np.unique(seen.labels, axis=0, return_inverse=True)[1].reshape(-1)
    pairs = np.unique(np.stack([groups[kept], sets[kept]]), axis=1)[0]
    torn = np.unique(pairs[1:][np.diff(pairs) == 0])
    if len(torn):
        members = kept[np.isin(groups[kept], torn)]
        members = members[np.argsort(groups[members], kind="stable")]
        shown = ", ".join(seen.names[i] for i in members[:4])
        findings.append(
            Finding(
                "conflict",
                f"Near-duplicates with different labels, in {plural(len(torn), 'group')}: {shown}"
                f"{' …' if len(members) > 4 else ''}.",
                "Kept as they are; look at them, as one of the labels may be wrong.",
                [seen.names[i] for i in members],
            )
        )


def _renumbered(seen: Seen, split: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Labels and names without the classes of which nothing is left."""
    kept = seen.labels[split != LEFT_OUT]
    present = np.flatnonzero(kept.any(axis=0)) if seen.labels.ndim == 2 else np.unique(kept)
    names = [seen.class_names[k] for k in present]
    if seen.labels.ndim == 2:
        return np.ascontiguousarray(seen.labels[:, present]), names
    return np.searchsorted(present, seen.labels).clip(0, max(len(names) - 1, 0)), names
