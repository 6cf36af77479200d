"""What the adapters of well-known data sets share: what is missing and where to fetch it, and rows as examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.data.examples import TEST, TRAIN, Examples, Lazy
from benchmark.data.images import UnreadableImageError, class_files, decode
from benchmark.data.splits import split_here
from benchmark.wording import SHOWN

Row = tuple[Path, int | set[int], int]
"""An image file, its label (class id, or set of class ids), and its split."""


def need(
    folder: Path, wanted: Sequence[str], page: str, download: Callable[[], None] | None = None, hint: str = ""
) -> list[Path]:
    """The wanted files and folders below a folder; FileNotFoundError that says what to fetch and where to put it.

    download  called once where something is missing
    """
    missing = [name for name in wanted if not (folder / name).exists()]
    if missing and download:
        download()
        missing = [name for name in wanted if not (folder / name).exists()]
    if missing:
        shown = ", ".join(missing[:SHOWN]) + (" …" if len(missing) > SHOWN else "")
        raise FileNotFoundError(
            f"{folder} must hold the files of the official layout. Got no {shown}. "
            f"Fetch it from {page} and unpack it there{hint}."
        )
    return [folder / name for name in wanted]


def torchvision(name: str, root: Path, download: bool, *parts: dict[str, str]) -> Callable[[], None] | None:
    """What lets torchvision fetch the parts of a data set into a root; None where that is not wanted."""

    def fetch() -> None:
        from torchvision import datasets

        root.mkdir(parents=True, exist_ok=True)
        try:
            for settings in parts or ({},):
                getattr(datasets, name)(root, download=True, **settings)
        except (OSError, RuntimeError) as error:
            raise OSError(f"{name} must be downloadable. Got {error}. Fetch it by hand, or try again.") from error

    return fetch if download else None


CAN_DOWNLOAD = ", or set download=true"


def expand(path: str) -> Path:
    return Path(path).expanduser()


def lines(file: Path) -> list[str]:
    return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def pairs(file: Path) -> dict[str, str]:
    """{first word: the rest} of every line."""
    return dict(line.split(maxsplit=1) for line in lines(file))


def read(file: Path) -> Image.Image:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UnreadableImageError(f"{file} ({error.strerror})") from error
    return decode(data, str(file))


def examples(
    rows: Iterable[Row], class_names: Sequence[str], page: str, origin: str, flip: bool = True, upright: bool = True
) -> Examples:
    """Examples of image files: training first, each split in the given order; sets of class ids become multi-hot."""
    rows = sorted(rows, key=lambda row: row[2])
    sets = [label for _, label, _ in rows if isinstance(label, set)]
    if sets:
        labels = np.array([[k in present for k in range(len(class_names))] for present in sets], np.uint8)
    else:
        labels = np.array([label for _, label, _ in rows], np.int64)
    return Examples(
        images=Lazy([row[0] for row in rows], read),
        labels=labels,
        split=np.array([row[2] for row in rows]),
        class_names=list(class_names),
        multilabel=bool(sets),
        licence=f"as stated at {page}",
        origin=origin,
        flip=flip,
        upright=upright,
    )


def arrays(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    class_names: Sequence[str],
    page: str,
    origin: str,
    flip: bool = True,
) -> Examples:
    """Examples of the pairs (images (n, h, w, 3), class ids (n,)) of two splits; the images may be mapped files."""
    parts = [(images, i) for images, _ in (train, test) for i in range(len(images))]
    return Examples(
        images=Lazy(parts, _row),
        labels=np.concatenate([np.asarray(train[1], np.int64), np.asarray(test[1], np.int64)]),
        split=np.repeat([TRAIN, TEST], [len(train[0]), len(test[0])]),
        class_names=list(class_names),
        licence=f"as stated at {page}",
        origin=origin,
        flip=flip,
    )


def _row(part: tuple[np.ndarray, int]) -> np.ndarray:
    images, i = part
    return np.ascontiguousarray(images[i])


def class_folders(folder: Path, without: Sequence[str] = ()) -> dict[str, list[Path]]:
    return {name: found for name, found in class_files(folder).items() if name not in without}


def folder_split(folder: Path, files: dict[str, list[Path]], test_share: float, seed: int) -> list[Row]:
    """Rows of class folders without an official split: of each class the share that comes first in SHA-256 order of
    "seed|path below the folder" is test."""
    names = list(files)
    labels = np.repeat(np.arange(len(names)), [len(found) for found in files.values()])
    flat = [file for found in files.values() for file in found]
    split = split_here(labels, names, [f.relative_to(folder).as_posix() for f in flat], test_share, seed)
    return list(zip(flat, labels.tolist(), split.tolist(), strict=True))
