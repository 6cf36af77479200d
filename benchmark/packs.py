"""Packs: a data set decoded once to a memory-mapped file, and the two adapters for a user's own images.

An adapter is a plain function that returns `Examples`; `build` writes them as a pack; `load` maps it. A pack is
a folder: `images.bin` (RGB pixels of every image, one after another), `pack.safetensors` (offsets, shapes,
labels, split) and `pack.json` (names, licence, origin, checksums). It is ragged: the short side is scaled down to
`size`, the aspect is kept, nothing is ever enlarged, and every model's own transform starts from there.
"""

import hashlib
import importlib.util
import io
import json
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

TRAIN, TEST, LEFT_OUT = 0, 1, 2
LEAST = 2  # images that a class keeps, where it has them, when near-duplicates are left out
SPLITS = {"train": TRAIN, "test": TEST}
# The first of these that is there is the test split; the others are left out.
TEST_NAMES = ("test", "val", "valid", "validation")
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
SUFFIXES |= {".jfif", ".jpe", ".jp2", ".j2k", ".apng", ".avif", ".dib", ".pbm", ".pnm", ".tga"}
SHOWN = 10  # offending files or rows that an error message names
SPARSE = 10_000  # numbers below are classes from 0 without a gap; above, only those that occur may be


def some(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more


class UnreadableImageError(ValueError):
    """An image that cannot be decoded; the message names the file or the row."""


@dataclass(frozen=True)
class Settled:
    """What an adapter makes of its images once it has seen them all, see `Examples.settle`.

    labels, split, class_names  as in Examples; a split of 2 leaves the image out
    notes                       plain data that the pack's metadata keeps
    groups                      (n,) near-duplicates share a number; None where there are none
    """

    labels: np.ndarray
    split: np.ndarray
    class_names: list[str]
    notes: list[dict[str, Any]]
    groups: np.ndarray | None = None


@dataclass(frozen=True)
class Examples:
    """What an adapter returns.

    images      iterable of n images in stored order, (h, w, 3) uint8 arrays or PIL images; read once, in order
    labels      (n,) class ids, or (n, c) multi-hot where `multilabel`
    split       (n,) 0 = train, 1 = test
    flip        a horizontal flip keeps the label
    upright     the images have a right way up, so that predicting a rotation is a meaningful task
    settle      asked once all images were read, for labels, split and classes that depend on what they show; then
                `images` may hold None for one that cannot be read, and labels and split are preliminary
    """

    images: Iterable[np.ndarray | Image.Image | None]
    labels: np.ndarray
    split: np.ndarray
    class_names: list[str]
    multilabel: bool = False
    licence: str = "unknown"
    origin: str = "unknown"
    flip: bool = True
    upright: bool = True
    settle: Callable[[], Settled] | None = None


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
    meta: dict[str, Any]
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


def adapter(version: int = 1, inputs: Callable[..., list[Path]] | None = None) -> Callable[[Callable], Callable]:
    """Mark a function as an adapter.

    version  raised by hand when the adapter's output changes
    inputs   called with the adapter's parameters; the outside files whose bytes decide the output
    """

    def mark(function: Callable[..., Examples]) -> Callable[..., Examples]:
        function.version = version  # type: ignore[attr-defined]
        function.inputs = inputs or (lambda **_: [])  # type: ignore[attr-defined]
        return function

    return mark


def package_folder(package: str) -> Path:
    """Folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"package {package} must be installed. Got none. Run pip install {package}.")
    return Path(spec.submodule_search_locations[0])


def resize(image: Image.Image, size: int) -> Image.Image:
    """The image with its short side at `size` pixels, aspect kept (long side rounded)."""
    width, height = image.size
    short = min(width, height)
    new = (max(size, round(width * size / short)), max(size, round(height * size / short)))
    return image if new == image.size else image.resize(new, Image.Resampling.BICUBIC)


def decode(data: bytes, where: str, enough: int | None = None) -> Image.Image:
    """An RGB image from the bytes of a file, turned as its EXIF says. `where` names it in errors.

    enough  pixels that both sides need: a JPEG is decoded at the smallest of its own scales that has them
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF and palettes; the pixels are what counts
            image = Image.open(io.BytesIO(data))
            if enough:
                image.draft("RGB", (enough, enough))
            image.load()
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip at 255
                return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
            if image.has_transparency_data:  # what shows through is white: dropped, the colour beneath would appear
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return image.convert("RGB")
    except UnidentifiedImageError as error:  # its text names a buffer, which says nothing
        raise UnreadableImageError(f"{where} (no kind of image that Pillow reads)") from error
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged bytes
        reason = f"{type(error).__name__}: {error}"
        raise UnreadableImageError(f"{where} ({reason})") from error


@dataclass(frozen=True)
class Lazy(Sequence):
    """A sequence that decodes its items when they are asked for, so that one at a time is in memory."""

    items: Sequence[Any]
    read: Callable[[Any], Image.Image]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Image.Image:
        return self.read(self.items[i])


# --- writing and reading -----------------------------------------------------------------------------------------


def build(name: str, examples: Examples, size: int, out: Path) -> dict[str, Any]:
    """Write `examples` as a pack into the folder `out` and return its metadata with a `fingerprint`.

    size  short side in pixels that images are scaled down to; smaller ones stay as they are

    Holds one decoded image at a time. All unreadable images are named in one error.
    """
    from safetensors.numpy import save_file

    labels, split = (None, None) if examples.settle else check(name, examples, size)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    digest, shapes, unreadable = hashlib.sha256(), [], []
    with open(out / "images.bin", "wb") as file:
        for image in tolerant(examples.images, unreadable):
            pixels = np.empty((0, 0, 3), np.uint8) if image is None else scaled(image, size)
            digest.update(pixels.data)
            file.write(pixels.data)
            shapes.append(pixels.shape[:2])
    if unreadable:
        shown = "; ".join(str(error) for error in unreadable[:SHOWN])
        more = f" and {len(unreadable) - SHOWN} more" if len(unreadable) > SHOWN else ""
        raise UnreadableImageError(
            f"{name}: every image must be readable. Got {len(unreadable)} that are not: {shown}{more}. "
            "Repair or remove them."
        )
    notes: list[dict[str, Any]] = []
    grouped: dict[str, np.ndarray] = {}
    if examples.settle:
        settled = examples.settle()
        examples = replace(
            examples, labels=settled.labels, split=settled.split, class_names=settled.class_names, settle=None
        )
        notes = settled.notes
        grouped = {} if settled.groups is None else {"groups": np.ascontiguousarray(settled.groups, np.int64)}
        labels, split = check(name, examples, size)
    if len(shapes) != len(labels):
        raise ValueError(
            f"{name}: images and labels must be as many. Got {len(shapes)} images and {len(labels)} labels. "
            "Correct the adapter."
        )
    shapes = np.array(shapes, np.int32).reshape(-1, 2)
    areas = 3 * shapes.astype(np.int64).prod(axis=1)
    arrays = {
        "offsets": np.concatenate([[0], np.cumsum(areas)]).astype(np.int64),
        "shapes": shapes,
        "labels": labels,
        "split": split,
    } | grouped
    save_file(arrays, out / "pack.safetensors")
    meta = {
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
        "image_sha256": digest.hexdigest(),
        "array_sha256": hashlib.sha256(b"".join(arrays[k].tobytes() for k in sorted(arrays))).hexdigest(),
    }
    if notes:
        meta["notes"] = notes
    meta["fingerprint"] = hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()
    (out / "pack.json").write_text(json.dumps(meta, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return meta


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


def tolerant(images: Iterable[Any], unreadable: list[UnreadableImageError]) -> Iterable[Any]:
    """The images that can be read; the errors of the others go to `unreadable` (lazy sequences only)."""
    if not isinstance(images, Lazy):
        yield from images
        return
    for i in range(len(images)):
        try:
            yield images[i]
        except UnreadableImageError as error:
            unreadable.append(error)


def scaled(image: np.ndarray | Image.Image, size: int) -> np.ndarray:
    """(h, w, 3) uint8 pixels with the short side scaled down to `size`, never up."""
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"an image must be (h, w, 3) uint8. Got {image.shape} {image.dtype}. Correct the adapter.")
        if min(image.shape[:2]) <= size:
            return np.ascontiguousarray(image)
        image = Image.fromarray(image)
    image = image.convert("RGB")
    return np.ascontiguousarray(resize(image, size) if min(image.size) > size else image)


# --- choosing examples -------------------------------------------------------------------------------------------


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

    Within a class those that come first in `hash_order` are taken.
    """
    strata = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    quota = quotas(np.bincount(strata), total)
    taken = np.zeros_like(quota)
    chosen = []
    for i in hash_order(names, seed):
        if taken[strata[i]] < quota[strata[i]]:
            taken[strata[i]] += 1
            chosen.append(i)
    return np.sort(np.array(chosen, np.int64))


# --- a folder of images ------------------------------------------------------------------------------------------


def visible(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if not p.name.startswith("."))


def is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and os.path.isfile(path)


def class_files(folder: Path, passed: Counter[str] | None = None) -> dict[str, list[Path]]:
    """Image files under each class folder, at any depth, sorted; `passed` as in `image_files`."""
    above = os.path.realpath(folder)
    return {sub.name: image_files(sub, passed, (above,)) for sub in visible(folder) if sub.is_dir()}


def image_files(folder: Path, passed: Counter[str] | None = None, above: tuple[str, ...] = ()) -> list[Path]:
    """Image files below a folder, at any depth, sorted; links are followed, but not in a circle.

    passed  counts what is passed over, by suffix or as a broken or circular link
    above   real paths of the folders that it was reached by
    """
    passed = Counter() if passed is None else passed
    real = os.path.realpath(folder)
    if any(os.path.commonpath([real, one]) == real for one in above):
        passed["link to a folder above it"] += 1
        return []
    found: list[Path] = []
    try:
        entries = list(os.scandir(folder))
    except PermissionError:
        passed["folder that may not be opened"] += 1
        return []
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(path)):
            found += image_files(path, passed, (*above, real))
        elif entry.name.startswith("."):
            continue
        elif is_image(path):
            found.append(path)
        elif entry.is_symlink() and not os.path.exists(path):
            passed["broken link"] += 1
        else:
            passed[path.suffix.lower() or "file without a suffix"] += 1
    return sorted(found)


def told(passed: Counter[str]) -> str:
    """`3 files are passed over (.heic: 2, broken link: 1).`; empty where there is none."""
    each = ", ".join(f"{kind}: {n}" for kind, n in sorted(passed.items(), key=lambda item: (-item[1], item[0])))
    total = sum(passed.values())
    return f"{total} {'file is' if total == 1 else 'files are'} passed over ({each})." if total else ""


def split_folders(root: Path) -> tuple[Path, Path] | None:
    """The folders of train and test where the root has such a split; None where its folders are the classes."""
    train = root / "train"
    if not train.is_dir() or not any(p.is_dir() for p in visible(train)):
        return None  # a class may be called "train"
    for name in TEST_NAMES:
        if (root / name).is_dir():
            return train, root / name
    raise ValueError(
        f"image folder {root} must have test/ beside train/, or hold one folder a class. "
        f"Got {[p.name for p in visible(root)][:SHOWN]}. Add test/<class>/ or give path={train} to split that here."
    )


def list_images(path: str | Path) -> list[tuple[str, int, Path]]:
    """(class, split or -1 where it is to be made, file) for every image of the folder, sorted."""
    root = Path(path).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"image folder must be a folder. Got {root}. Give the folder that holds the classes.")
    folders = split_folders(root)
    parts = [(root, -1)] if folders is None else [(folders[0], TRAIN), (folders[1], TEST)]
    rows = []
    for folder, split in parts:
        files = class_files(folder)
        empty = [name for name, found in files.items() if not found]
        if not files or empty:
            raise ValueError(
                f"image folder {folder} must hold <class>/<image> with images ({', '.join(sorted(SUFFIXES))}) "
                f"in every class. Got {f'none in {empty[:SHOWN]}' if empty else 'no class folders'}. "
                "Add images or remove the empty folders."
            )
        rows += [(name, split, file) for name, found in files.items() for file in found]
    return rows


def image_folder_inputs(path: str, **_: Any) -> list[Path]:
    return [file for _, _, file in list_images(path)]


@adapter(version=1, inputs=image_folder_inputs)
def image_folder(path: str, test_share: float = 0.3, seed: int = 0) -> Examples:
    """A user's own images: `train/<class>/*` with `test/<class>/*` (or val), or `<class>/*` that is split here.

    path        the folder
    test_share  share of every class that becomes test where there is no split, above 0 and below 1
    seed        of that split (SHA-256 order of the paths below the folder, so it moves with the folder)

    ValueError for an empty folder, one class, or a class that cannot be split; unreadable files are named in one
    error when the pack is built.
    """
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must lie between 0 and 1. Got {test_share}. Give the share of test images.")
    root, rows = Path(path).expanduser(), list_images(path)
    names = sorted({name for name, _, _ in rows})
    if len(names) < 2:
        raise ValueError(f"image folder {root} must have at least two classes. Got {names}. Add a folder a class.")
    labels = np.array([names.index(name) for name, _, _ in rows], np.int64)
    split = np.array([part for _, part, _ in rows])
    if split[0] < 0:
        below = [file.relative_to(root).as_posix() for _, _, file in rows]
        split = split_here(labels, names, below, test_share, seed)
    missing = sorted(set(range(len(names))) - set(labels[split == TRAIN].tolist()))
    if missing:
        raise ValueError(
            f"every class of {root} must have train images. Got none for {[names[k] for k in missing][:SHOWN]}. "
            "Add some, or remove the class from the test folder."
        )
    order = np.argsort(split, kind="stable")
    return Examples(
        images=Lazy([rows[i][2] for i in order], lambda file: decode(file.read_bytes(), str(file))),
        labels=labels[order],
        split=split[order],
        class_names=names,
        licence="the user's own",
        origin=f"image folder {root.name}",
    )


def split_here(labels: np.ndarray, names: list[str], files: list[str], test_share: float, seed: int) -> np.ndarray:
    """A stratified split: of every class the first round(share·n) in hash order are test, at least one, never all."""
    counts = np.bincount(labels, minlength=len(names))
    if counts.min() < 2:
        single = [names[k] for k in np.flatnonzero(counts < 2)][:SHOWN]
        raise ValueError(f"every class must have at least two images to be split. Got one in {single}. Add images.")
    quota = np.clip(np.round(test_share * counts).astype(int), 1, counts - 1)
    split, taken = np.full(len(labels), TRAIN), np.zeros(len(names), int)
    for i in hash_order(files, seed):
        if taken[labels[i]] < quota[labels[i]]:
            taken[labels[i]] += 1
            split[i] = TEST
    return split


# --- a Parquet file ----------------------------------------------------------------------------------------------


def parquet_inputs(path: str, **_: Any) -> list[Path]:
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(
            f"Parquet file must exist. Got {file}. Give the path of a .parquet file, or of the folder of the data sets "
            f"(paths.data) where a target names its file there."
        )
    return [file]


@adapter(version=1, inputs=parquet_inputs)
def parquet(
    path: str,
    max_train: int | None = None,
    max_test: int | None = None,
    flip: bool | None = None,
    upright: bool | None = None,
) -> Examples:
    """A Parquet file in the Hugging Face image convention.

    path       a file with the columns `image` (struct<bytes, path>, or binary), `label` (int, or text) or `labels`
               (list of int: multi-label) and `split` ("train", "test"; "validation" serves where there is no test)
    max_train  at most so many training images, classes in proportion, the same ones every time; None for all
    max_test   the same for the test split
    flip, upright  see Examples; None for what the file says, true where it says nothing

    Class names come from the schema metadata (`class_names`, a JSON list, or `huggingface`), licence, flip and
    upright from its `facts` (a JSON mapping, written by scripts/pack.py). A corrupt image is named, with its row,
    when the pack is built.
    """
    import pyarrow.parquet

    (file,) = parquet_inputs(path)
    table = pyarrow.parquet.read_table(file, memory_map=True)
    where = f"Parquet file {file.name}"
    require(table.column_names, where)
    multilabel = "labels" in table.column_names
    column = "labels" if multilabel else "label"
    split, kept = read_split(table["split"].to_pylist(), where)
    images = table["image"]
    paths = read_paths(images, table.num_rows)
    raw = table[column].to_pylist()
    bad = [int(i) for i in kept if raw[i] is None or raw[i] == -1]
    if bad:
        raise ValueError(f"{where}: every row must have a label. Got none in rows {bad[:SHOWN]}. Remove those rows.")
    names = read_class_names(table.schema.metadata or {}, column)
    if names is None:
        names = name_classes({k for i in kept for k in (raw[i] if multilabel else [raw[i]])})
    labels = encode(raw, kept, names, multilabel, where)
    rows = []
    for value, cap in ((TRAIN, max_train), (TEST, max_test)):
        part = kept[split[kept] == value]
        if cap is not None and cap < len(part):
            part = part[stratified(labels[part], [paths[i] for i in part], cap)]
        rows.append(part)
    chosen = np.concatenate(rows)

    def read(row: int) -> Image.Image:
        value = images[int(row)].as_py()
        data = value["bytes"] if isinstance(value, dict) else value
        if not data:
            raise UnreadableImageError(f"row {row}, {paths[row]} (no bytes)")
        return decode(data, f"row {row}, {paths[row]}")

    facts = json.loads((table.schema.metadata or {}).get(b"facts", b"{}"))
    return Examples(
        images=Lazy(chosen, read),
        labels=labels[chosen],
        split=split[chosen],
        class_names=names,
        multilabel=multilabel,
        licence=facts.get("licence", "see the file's source"),
        flip=facts.get("flip", True) if flip is None else flip,
        upright=facts.get("upright", True) if upright is None else upright,
        origin=(table.schema.metadata or {}).get(b"source", file.name.encode()).decode(),
    )


def require(columns: list[str], where: str) -> None:
    """ValueError unless the columns image, split and one of label, labels are there."""
    missing = [name for name in ("image", "split") if name not in columns]
    if not {"label", "labels"} & set(columns):
        missing.append("label (or labels)")
    if missing:
        raise ValueError(
            f"{where} must have the columns image, label (or labels) and split. Got {columns}. "
            f"Add {', '.join(missing)}."
        )


def read_split(values: list[str], where: str) -> tuple[np.ndarray, np.ndarray]:
    """(n,) split of every row, and the rows that are train or test, ascending."""
    test = next((name for name in TEST_NAMES if name in values), None)
    if test is None or "train" not in values:
        raise ValueError(
            f"{where}: split must have rows of train and of one of {', '.join(TEST_NAMES)}. "
            f"Got {sorted({str(v) for v in values})[:SHOWN]}. Name the rows of both parts so."
        )
    known = np.array([value in ("train", test) for value in values])
    return np.array([TEST if value == test else TRAIN for value in values], np.uint8), np.flatnonzero(known)


def read_paths(images: Any, n: int) -> list[str]:
    """The path inside its source of every image, or its row number where the file does not say."""
    import pyarrow
    import pyarrow.compute

    if pyarrow.types.is_struct(images.type) and "path" in [field.name for field in images.type]:
        paths = pyarrow.compute.struct_field(images, "path").to_pylist()
        return [str(i) if path is None else path for i, path in enumerate(paths)]
    return [str(i) for i in range(n)]


def read_class_names(metadata: dict[bytes, bytes], column: str) -> list[str] | None:
    """Class names from the schema metadata, or None."""
    if b"class_names" in metadata:
        return [str(name) for name in json.loads(metadata[b"class_names"])]
    feature = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {}).get(column, {})
    feature = feature[0] if isinstance(feature, list) else feature.get("feature", feature)
    names = feature.get("names") if isinstance(feature, dict) else None
    return None if names is None else [str(name) for name in names]


def name_classes(values: set[int] | set[float] | set[str]) -> list[str]:
    """Names for classes that the file does not name: the texts themselves, or the numbers from 0.

    Of numbers that are far apart (the largest is at least `SPARSE` and ten times their count), those that occur.
    ValueError for values that are neither texts nor whole numbers.
    """
    if all(isinstance(value, str) for value in values):
        return sorted(values)
    numbers = {_whole(value) for value in values}
    if max(numbers) < max(SPARSE, 10 * len(numbers)):
        return [str(k) for k in range(max(numbers) + 1)]
    return [str(k) for k in sorted(numbers)]


def _whole(value: Any) -> int:
    """A class id as an integer; ValueError for anything but a whole number."""
    try:
        if not isinstance(value, str | bytes) and int(value) == value:
            return int(value)
    except (TypeError, ValueError, OverflowError):  # no number, NaN, infinity
        pass
    raise ValueError(f"labels must be whole numbers or texts. Got {value!r}. Correct them, or name another column.")


def encode(raw: list[Any], kept: np.ndarray, names: list[str], multilabel: bool, where: str) -> np.ndarray:
    """Class ids (n,) or multi-hot (n, c) of the rows in `kept`, zero elsewhere; text is looked up in `names`.

    So are numbers that are too large to be ids, where all are names (see `name_classes`).
    """
    ids = {name: k for k, name in enumerate(names)}
    values = {v for i in kept for v in (raw[i] if multilabel else [raw[i]])}
    numbers = {v: _whole(v) for v in values if v is not None and not isinstance(v, str)}
    if max(numbers.values(), default=0) >= len(names) and all(str(k) in ids for k in numbers.values()):
        numbers = {v: ids[str(k)] for v, k in numbers.items()}
    out = np.zeros((len(raw), len(names)) if multilabel else len(raw), np.int64)
    for i in kept:
        for value in raw[i] if multilabel else [raw[i]]:
            k = -1 if value is None else ids.get(value, -1) if isinstance(value, str) else numbers[value]
            if not 0 <= k < len(names):
                raise ValueError(
                    f"{where}: labels must be among the {len(names)} classes. Got {value!r} in row {i}. "
                    "Correct the label or the class names."
                )
            if multilabel:
                out[i, k] = 1
            else:
                out[i] = k
    return out
