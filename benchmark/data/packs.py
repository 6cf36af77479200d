"""Packs: a data set decoded once to a memory-mapped file.

`build` writes an adapter's `Examples` as a pack; `load` maps it. A pack is a folder: `images.bin` (RGB pixels of every
image, one after another), `pack.safetensors` (offsets, shapes, labels, split) and `pack.json` (names, licence, origin,
checksums). It is ragged: the short side is scaled down to `size`, the aspect is kept, nothing is ever enlarged, and
every model's own transform starts from there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np
from PIL import Image

from benchmark.data.examples import SPLITS, TEST, TRAIN, Examples, Lazy, Picture
from benchmark.data.images import UnreadableImageError, resize, scaled
from benchmark.files import ordinary
from benchmark.wording import some

LEAST = 2  # images that a class keeps, where it has them, when near-duplicates are left out


class Meta(TypedDict, total=False):
    """What `pack.json` says; older packs say less."""

    name: str
    class_names: list[str]
    multilabel: bool
    train: int
    test: int
    size: int
    flip: bool
    upright: bool
    licence: str
    origin: str
    image_sha256: str
    array_sha256: str
    notes: list[dict[str, object]]
    levels: Mapping[str, Sequence[float]]
    fingerprint: str


@dataclass(frozen=True, eq=False)
class Pack:
    """A built data set. `labels` is (n,) int64 class ids, or (n, c) uint8 multi-hot where `multilabel`.

    groups  (n,) int64, near-duplicates share a number; None for a data set in which none were looked for, or found
    """

    name: str
    images: np.ndarray
    offsets: np.ndarray
    shapes: np.ndarray
    labels: np.ndarray
    split: np.ndarray
    class_names: list[str]
    multilabel: bool
    meta: Meta
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    def image(self, i: int) -> np.ndarray:
        """Image i as stored: (h, w, 3) uint8, a read-only view of the mapped file."""
        height, width = self.shapes[i]
        return self.images[self.offsets[i] : self.offsets[i + 1]].reshape(height, width, 3)

    def indices(self, split: str) -> np.ndarray:
        """Indices of the images of "train" or "test", int64, in stored order."""
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}. Got {split!r}. Name one of them.")
        return np.flatnonzero(self.split == SPLITS[split])

    def groups_of(self, indices: np.ndarray) -> np.ndarray | None:
        return None if self.groups is None else self.groups[indices]

    def distinct(self, indices: np.ndarray) -> np.ndarray:
        """Of near-duplicates among these images the first alone; a class has `LEAST` images still where it had them."""
        if self.groups is None:
            return indices
        labels, kept = self.labels[indices], np.zeros(len(indices), bool)
        kept[np.unique(self.groups[indices], return_index=True)[1]] = True
        for k in range(self.n_classes):
            own = labels[:, k] > 0 if self.multilabel else labels == k
            kept[np.flatnonzero(own & ~kept)[: max(0, LEAST - int((own & kept).sum()))]] = True
        return indices[kept]

    def stack(self, indices: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
        """Images as one array (n, size, size, 3) uint8: short side resized to `size`, then the centre cut out.

        Resizing is Pillow's antialiased bicubic; an image whose short side is `size` is only cut.
        """
        out = np.empty((len(indices), size, size, 3), np.uint8)
        for row, i in enumerate(indices):
            pixels = self.image(int(i))
            if min(pixels.shape[:2]) != size:
                pixels = np.asarray(resize(Image.fromarray(pixels), size))
            top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
            out[row] = pixels[top : top + size, left : left + size]
        return out


def build(name: str, examples: Examples, size: int, out: Path) -> Meta:
    """Write `examples` as a pack into the folder `out` and return its metadata with a `fingerprint`.

    size  short side in pixels that images are scaled down to; smaller ones stay as they are

    Holds one decoded image at a time. All unreadable images are named in one error.
    """
    from safetensors.numpy import save_file

    if not examples.settle:
        check(name, examples, size)  # before anything is decoded
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    shapes, image_digest = _written(name, examples, size, out / "images.bin")
    settled = examples.settle() if examples.settle else None
    if settled:
        names = settled.class_names
        examples = replace(examples, labels=settled.labels, split=settled.split, class_names=names, settle=None)
    labels, split = check(name, examples, size)
    if len(shapes) != len(labels):
        raise ValueError(
            f"{name}: images and labels must be as many. Got {len(shapes)} images and {len(labels)} labels. "
            "Correct the adapter."
        )
    areas = 3 * shapes.astype(np.int64).prod(axis=1)
    offsets = np.concatenate([[0], np.cumsum(areas)]).astype(np.int64)
    arrays: dict[str, np.ndarray] = {"offsets": offsets, "shapes": shapes, "labels": labels, "split": split}
    if settled and settled.groups is not None:
        arrays["groups"] = np.ascontiguousarray(settled.groups, np.int64)
    save_file(arrays, out / "pack.safetensors")
    ordinary(out / "pack.safetensors")
    meta = _meta(name, examples, size, split)
    meta["image_sha256"] = image_digest
    meta["array_sha256"] = hashlib.sha256(b"".join(arrays[k].tobytes() for k in sorted(arrays))).hexdigest()
    if settled and settled.notes:
        meta["notes"] = settled.notes
    if settled and settled.levels:
        meta["levels"] = {kind: list(limits) for kind, limits in settled.levels.items()}
    meta["fingerprint"] = hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()
    (out / "pack.json").write_text(json.dumps(meta, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return meta


def _written(name: str, examples: Examples, size: int, path: Path) -> tuple[np.ndarray, str]:
    """Write the pixels of all images, one after another; their shapes (n, 2) and the digest of the file."""
    digest, sizes, unreadable = hashlib.sha256(), list[tuple[int, ...]](), list[UnreadableImageError]()
    with open(path, "wb") as file:
        for image in tolerant(examples.images, unreadable):
            pixels = np.empty((0, 0, 3), np.uint8) if image is None else scaled(image, size)
            digest.update(pixels.data)
            file.write(pixels.data)
            sizes.append(pixels.shape[:2])
            image = None  # not held while the next one is decoded
    if unreadable:
        shown = some(unreadable, between="; ")
        raise UnreadableImageError(
            f"{name}: every image must be readable. Got {len(unreadable)} that are not: {shown}. Repair or remove them."
        )
    return np.array(sizes, np.int32).reshape(-1, 2), digest.hexdigest()


def _meta(name: str, examples: Examples, size: int, split: np.ndarray) -> Meta:
    """What a pack says of itself, without checksums."""
    return {
        "name": name,
        "class_names": list(examples.class_names),
        "multilabel": examples.multilabel,
        "train": int((split == TRAIN).sum()),
        "test": int((split == TEST).sum()),
        "size": size,
        "flip": examples.flip,
        "upright": examples.upright,
        "licence": examples.licence,
        "origin": examples.origin,
    }


def load(folder: Path) -> Pack:
    """The pack in a folder that `build` wrote; its pixels are mapped, not read."""
    from safetensors.numpy import load_file

    folder = Path(folder)
    meta = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
    arrays = load_file(folder / "pack.safetensors")
    images = np.memmap(folder / "images.bin", np.uint8, mode="r")
    if images.size != arrays["offsets"][-1]:
        raise ValueError(
            f"{folder / 'images.bin'} must have {arrays['offsets'][-1]} bytes. Got {images.size}. "
            "Delete the folder and build the pack again."
        )
    return Pack(
        name=meta["name"],
        images=images,
        class_names=meta["class_names"],
        multilabel=meta["multilabel"],
        meta=meta,
        **arrays,
    )


def check(name: str, examples: Examples, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and split in the stored types; ValueError where they are not what a pack can hold."""
    c = len(examples.class_names)
    labels, split = np.asarray(examples.labels), np.asarray(examples.split, np.uint8)
    labels = np.ascontiguousarray(labels, np.uint8 if examples.multilabel else np.int64)
    shape = (len(split), c) if examples.multilabel else (len(split),)
    if size < 1:
        raise ValueError(f"{name}: size must be at least 1 pixel. Got {size}. Give the short side in pixels.")
    if labels.shape != shape:
        raise ValueError(f"{name}: labels must have shape {shape}. Got {labels.shape}. Correct the adapter.")
    for split_name, value in SPLITS.items():
        if not (split == value).any():
            raise ValueError(
                f"{name}: the {split_name} split must have images. Got none. Give both train and test images."
            )
    top = 1 if examples.multilabel else c - 1
    if labels.min() < 0 or labels.max() > top:
        raise ValueError(
            f"{name}: labels must lie in 0..{top}. Got {labels.min()}..{labels.max()}. "
            "Correct the labels, or give every class its name."
        )
    train = labels[split == TRAIN]
    present = np.flatnonzero(train.any(axis=0)) if examples.multilabel else np.unique(train)
    if len(present) < 2:
        raise ValueError(
            f"{name}: the train split must have at least two classes. "
            f"Got {[examples.class_names[k] for k in present]}. Add images of another class."
        )
    return labels, split


def tolerant(images: Iterable[Picture | None], unreadable: list[UnreadableImageError]) -> Iterator[Picture | None]:
    """The images that can be read; the errors of the others go to `unreadable` (lazy sequences only)."""
    if not isinstance(images, Lazy):
        yield from images
        return
    for i in range(len(images)):
        try:
            yield images[i]
        except UnreadableImageError as error:
            unreadable.append(error)
