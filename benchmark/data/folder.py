"""An adapter for a folder of class folders, with or without folders for training and testing above them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.data.examples import TEST, TEST_NAMES, TRAIN, Examples, Lazy, adapter
from benchmark.data.images import SUFFIXES, class_files, decode, visible
from benchmark.data.splits import split_here
from benchmark.wording import SHOWN


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


def image_folder_inputs(path: str, **_: object) -> list[Path]:
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
