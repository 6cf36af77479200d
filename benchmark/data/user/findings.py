"""What is wrong with a user's images, said in sentences: balance, appearance, what cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmark.data.examples import LEFT_OUT, TEST, TRAIN
from benchmark.errors import ConfigError
from benchmark.wording import plural

TO_SPLIT = 255
"""The split of an image whose side is chosen here."""
GREY = 2.0  # grey levels that the channels of a grey image may differ by
DARK = 32  # grey levels below which an image shows nothing
TINY = 32  # pixels
UNEVEN, MAJORITY = 10, 0.8  # largest class over smallest, and its share, from which on it is said
SHIFTED = 0.1  # of the images of one part would have to change their class for the shares to be equal
CHANCE = 1e-3  # probability of a larger difference of the parts by chance, from which on none is said
UNREADABLE_SHARE = 0.2  # above it something is wrong with all of them, and ranking stops


class DataError(ConfigError, ValueError):
    """Images that cannot be ranked on; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Finding:
    """Something about the data that a person should know: what it is, what is done about it, which images."""

    kind: str
    what: str
    done: str
    images: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        return f"{self.what} {self.done}".strip()


@dataclass(frozen=True)
class FileFacts:
    """What a file says of its image beside the pixels; sides in pixels, turned as EXIF says."""

    width: int
    height: int
    mode: str
    compression: str
    camera: str


@dataclass(frozen=True)
class Seen:
    """What one look at n images gives.

    names       (n,) how each image is called in messages; also the order of the split
    labels      (n,) class ids, or (n, c) multi-hot
    split       (n,) 0 train, 1 test, 255 to be split here
    thumbnails  (n, 16, 16, 3) uint8
    short       (n,) short side in pixels
    unreadable  {index: why}
    facts       (n,) what each file says beside the pixels, see benchmark.data.user.shortcuts; may be empty
    found       what the decoding itself found
    """

    names: list[str]
    labels: np.ndarray
    split: np.ndarray
    class_names: list[str]
    thumbnails: np.ndarray
    short: np.ndarray
    unreadable: dict[int, str]
    facts: Sequence[FileFacts | None] = ()
    found: Sequence[Finding] = ()


def balance(labels: np.ndarray, split: np.ndarray, class_names: list[str]) -> list[Finding]:
    """Extreme imbalance, and what a constant answer would reach on the test part (single-label)."""
    kept = split != LEFT_OUT
    counts = labels[kept].sum(axis=0) if labels.ndim == 2 else np.bincount(labels[kept], minlength=len(class_names))
    most, least = int(counts.argmax()), int(counts.argmin())
    ratio = counts[most] / max(counts[least], 1)
    if ratio < UNEVEN and counts[most] < MAJORITY * kept.sum():
        return []
    what = f"Class '{class_names[most]}' has {counts[most]} images, class '{class_names[least]}' {counts[least]}."
    done = "Both parts keep the shares; probe sets take the classes in equal numbers."
    if labels.ndim == 1:
        share = 100 * constant_accuracy(labels, split)
        done += f" Always answering '{class_names[most]}' would be right for {share:.0f} % of the test images."
    return [Finding("imbalance", what, done)]


def shift(labels: np.ndarray, split: np.ndarray, class_names: list[str]) -> list[Finding]:
    """Class shares that differ between the training and the test part beyond chance; single labels (n,)."""
    from scipy.stats import chi2_contingency

    if labels.ndim == 2:
        return []
    counts = np.stack([np.bincount(labels[split == part], minlength=len(class_names)) for part in (TRAIN, TEST)])
    held = np.flatnonzero(counts.any(axis=0))
    counts = counts[:, held]
    train, test = counts / counts.sum(axis=1, keepdims=True)
    if abs(train - test).sum() / 2 < SHIFTED or chi2_contingency(counts).pvalue > CHANCE:
        return []
    k = int(abs(train - test).argmax())
    name = class_names[held[k]]
    what = f"class '{name}' is {100 * train[k]:.0f} % of the training images, {100 * test[k]:.0f} % of the test"
    done = "The split is kept; accuracies are those on the test part's shares."
    return [Finding("shift", f"The parts of the split differ in their classes: {what} images.", done)]


def constant_accuracy(labels: np.ndarray, split: np.ndarray) -> float:
    """The share of test images (0 to 1) that the largest training class would get right; labels are (n,) ids."""
    most = np.bincount(labels[split == TRAIN]).argmax()
    return float((labels[split == TEST] == most).mean())


def appearance(seen: Seen, split: np.ndarray, labels: np.ndarray, class_names: list[str]) -> list[Finding]:
    """Grey, almost black and tiny images."""
    kept, found = split != LEFT_OUT, []
    colour = seen.thumbnails.astype(np.int16)
    grey = (colour.max(axis=3) - colour.min(axis=3)).mean(axis=(1, 2)) <= GREY
    share = grey[kept].mean()
    if share == 1:
        found.append(Finding("grey", "All images are grey.", "Models see them as three equal channels."))
    elif share > 0:
        what = f"{int(grey[kept].sum())} of {int(kept.sum())} images are grey."
        done, names = "Kept; models see them as three equal channels.", []
        if labels.ndim == 1:
            per_class = [grey[kept & (labels == k)].mean() for k in range(len(class_names))]
            most, least = int(np.argmax(per_class)), int(np.argmin(per_class))
            if per_class[most] - per_class[least] > 0.5:
                done += (
                    f" Colour tells classes apart here ('{class_names[most]}' {100 * per_class[most]:.0f} % grey, "
                    f"'{class_names[least]}' {100 * per_class[least]:.0f} %): check that this is no accident."
                )
        names = [seen.names[i] for i in np.flatnonzero(kept & grey)]
        found.append(Finding("grey", what, done, names))
    dark = kept & (seen.thumbnails.max(axis=(1, 2, 3)) < DARK)
    if dark.any():
        what = f"{int(dark.sum())} of {int(kept.sum())} images are almost black (below {DARK} of 255 everywhere)."
        done = "Kept as they are. If colour images hold 12 bits in 16, only black is left of them: convert them first."
        found.append(Finding("dark", what, done, [seen.names[i] for i in np.flatnonzero(dark)]))
    tiny = kept & (seen.short < TINY)
    if tiny.any():
        what = f"{int(tiny.sum())} of {int(kept.sum())} images are smaller than {TINY} pixels."
        names = [seen.names[i] for i in np.flatnonzero(tiny)]
        found.append(Finding("tiny", what, "Kept, and enlarged to what each model looks at.", names))
    return found


def images_counted(n: int) -> str:
    return plural(n, "image")
