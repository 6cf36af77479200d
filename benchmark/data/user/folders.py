"""A listing of a folder of images: class folders, parts for training and testing, a table of labels beside them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.data.examples import TEST, TEST_NAMES, TRAIN
from benchmark.data.images import SUFFIXES, class_files, is_image, told, visible
from benchmark.data.user.findings import TO_SPLIT, DataError
from benchmark.data.user.rows import Listing
from benchmark.data.user.table import IMAGE_COLUMNS, LABEL_COLUMNS
from benchmark.wording import some

TABLES = (".csv", ".tsv")
PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
PARTS |= {name: name for name in TEST_NAMES}
LOOSE = "image beside the class folders"


def label_file(root: Path) -> Path | None:
    """The one table beside the images of a folder without class folders."""
    found = _tables(root)
    return found[0] if len(found) == 1 and not any(class_files(root).values()) else None


def _tables(*folders: Path) -> list[Path]:
    return [p for folder in folders for p in visible(folder) if p.suffix.lower() in TABLES and p.is_file()]


def from_folder(root: Path, image: str | None = None, label: str | None = None) -> Listing:
    """<class>/* or train/<class>/* with test/<class>/* (or val); train/ alone is split here.

    The parts may be called otherwise: Training, Test, VALID, train_images … (see `_part`).
    """
    folders = [p for p in visible(root) if p.is_dir()]
    parts, remarks = _parts(root, folders)
    passed: Counter[str] = Counter()
    rows: list[tuple[str, int, Path]] = []
    for folder, split in parts:
        classes = class_files(folder, passed)
        if empty := sorted(name for name, found in classes.items() if not found):
            remarks.append(f"Folders without images are passed over: {some(empty)}.")
        passed[LOOSE] += sum(map(is_image, visible(folder)))
        rows += [(name, split, file) for name, found in classes.items() for file in found]
    names = sorted({name for name, _, _ in rows})
    tables = _tables(root)
    if not rows:
        raise _no_classes(root, f"{passed[LOOSE]} images without one" if passed[LOOSE] else "no image", tables)
    if parts[0][0] == root and (strange := [t for t in tables if not _speaks_of(t, names)]):
        raise DataError(
            f"data must say in one way what the classes are. Got the folders {some(names)} and beside them "
            f"{some([t.name for t in strange])} in {root}. Give data={_likeliest(strange)} if that holds the labels; "
            "move it away if the folders are the classes."
        )
    if tables:
        remarks.append(f"Not looked at, beside the folders: {some([t.name for t in tables])}.")
    if line := told(+passed):
        remarks.append(line)
    files = [file for _, _, file in rows]
    return Listing(
        files,
        Path.read_bytes,
        [f.relative_to(root).as_posix() for f in files],
        np.array([names.index(name) for name, _, _ in rows], np.int64),
        np.array([split for _, split, _ in rows], np.uint8),
        names,
        files,
        f"image folder {root.name}",
        remarks,
    )


def _part(name: str) -> str | None:
    """train, or one of TEST_NAMES, where a folder is called so: Train, testing, val_images, "training set" …"""
    return PARTS.get(re.sub(r"[ _-]?(images?|imgs?|set|data)$", "", name.lower()))


def _parts(root: Path, folders: list[Path]) -> tuple[list[tuple[Path, int]], list[str]]:
    """The folders that hold the class folders, each with its split, and what is to be said about others.

    DataError where folders are called train, test … and hold images without class folders.
    """
    by_part: dict[str, Path] = {}
    for folder in sorted(folders, key=lambda p: (p.name != _part(p.name), p.name)):  # test before Test
        if part := _part(folder.name):
            by_part.setdefault(part, folder)
    bare = {part: folder for part, folder in by_part.items() if not any(p.is_dir() for p in visible(folder))}
    loose = [f for f in bare.values() if any(map(is_image, visible(f)))]
    if loose and len(by_part) > 1 and ("train" in bare or len(by_part) == len(folders) == len(bare)):
        where = " and ".join(f"{f.name}/" for f in loose)
        raise _no_classes(root, f"images without a class folder in {where}", _tables(root, *by_part.values()))
    if "train" not in by_part or "train" in bare:
        return [(root, TO_SPLIT)], []  # a class may be called "train"
    train = by_part["train"]
    test = next((by_part[name] for name in TEST_NAMES if name in by_part and name not in bare), None)
    others = sorted(f.name for f in folders if f not in (train, test))
    beside = f"{train.name}/{f' and {test.name}/' if test else ''}"
    remarks = [f"Left out: {', '.join(others)}/, beside {beside}."] if others else []
    return [(train, TRAIN if test else TO_SPLIT)] + ([(test, TEST)] if test else []), remarks


def _no_classes(root: Path, got: str, tables: list[Path]) -> DataError:
    beside = "or a labels.csv with the columns image,label beside the images"
    if tables:
        beside = f"or give data={_likeliest(tables)} if that table names the images and their labels"
    return DataError(
        f"an image folder must hold <class>/<image> ({', '.join(sorted(SUFFIXES))}). Got {got} in {root}. "
        f"Put every class into a folder of its own, {beside}."
    )


def _likeliest(tables: list[Path]) -> Path:
    """The first with columns for image and label, else the first."""
    for table in tables:
        head = re.split(r"[,;\t]", table.read_text(encoding="utf-8-sig", errors="replace").partition("\n")[0].lower())
        columns = {column.strip(' "\r') for column in head}
        if columns & {*IMAGE_COLUMNS} and columns & {*LABEL_COLUMNS}:
            return table
    return tables[0]


def _speaks_of(table: Path, classes: Sequence[str]) -> bool:
    """Whether every class is a cell of the table: then the folders are the classes there, too."""
    cells = re.split(r"[,;\t\r\n]", table.read_text(encoding="utf-8-sig", errors="replace").lower())
    return {c.lower() for c in classes} <= {cell.strip(' "') for cell in cells}
