"""A listing of a folder of images: class folders, parts for training and testing, a table of labels beside them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.data.images import SUFFIXES, class_files, is_image, told, visible
from benchmark.data.user.findings import DataError
from benchmark.data.user.masks import without_masks
from benchmark.data.user.names import one_spelling
from benchmark.data.user.parts import part_of
from benchmark.data.user.reading import Reading
from benchmark.data.user.rows import Listing
from benchmark.data.user.shape import Shape, shape_of, unwrapped
from benchmark.data.user.table import IMAGE_COLUMNS, LABEL_COLUMNS
from benchmark.data.user.tree import Folder, scan, shown
from benchmark.wording import some

TABLES = (".csv", ".tsv")
LOOSE = "image beside the class folders"
Row = tuple[str, int, Path]


def label_file(root: Path) -> Path | None:
    """The one table beside loose images or one folder of them, also in a wrapper: then no folder is a class."""
    tree = scan(root)
    while True:
        found = _tables(tree.path)
        one = len(tree.folders) == 1 and not tree.images
        if not found and one:
            tree = tree.folders[0]
            continue
        loose = not tree.folders or (one and not tree.folders[0].folders)
        return found[0] if len(found) == 1 and loose else None


def _tables(*folders: Path) -> list[Path]:
    return [p for folder in folders for p in visible(folder) if p.suffix.lower() in TABLES and p.is_file()]


def from_folder(root: Path, reading: Reading) -> Listing:
    """<class>/* or train/<class>/* with test/<class>/* (or val); train/ alone is split here.

    The parts may be called otherwise, lie in one folder, or below the classes: see benchmark.data.user.shape.
    """
    if reading.column:
        raise DataError(f"split.column must belong to a table. Got the folder {root}. Give split.test=<folder>.")
    tree = scan(root)
    if not reading.parts_given and not reading.class_level:
        _refuse_loose_parts(unwrapped(tree))
    shape = shape_of(tree, reading)
    passed: Counter[str] = Counter()
    rows = _rows(shape, passed)
    if not rows:
        raise _no_classes(tree, f"{passed[LOOSE]} images without one" if passed[LOOSE] else "no image", _tables(root))
    rows, remarks = _settled(rows, shape, root, reading)
    names = sorted({name for name, _, _ in rows})
    remarks += _of_tables(root, shape, names)
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


def _rows(shape: Shape, passed: Counter[str]) -> list[Row]:
    """(class, split, file) of every image in a class folder."""
    rows: list[Row] = []
    for folder, split in shape.parts:
        tops = [folder.path]
        for _ in range(shape.level - 1):
            passed[LOOSE] += sum(is_image(p) for top in tops for p in visible(top))
            tops = [p for top in tops for p in visible(top) if p.is_dir()]
        for top in tops:
            files = class_files(top, passed)
            if empty := sorted(name for name, found in files.items() if not found):
                shape.remarks.append(f"Folders without images are passed over: {some(empty)}.")
            passed[LOOSE] += sum(map(is_image, visible(top)))
            for name, found in files.items():
                rows += [(name, _part(shape, split, top / name, file), file) for file in found]
    kept = [row for row in rows if row[1] >= 0]
    passed["image outside the folders of the split"] += len(rows) - len(kept)
    return kept


def _part(shape: Shape, split: int, folder: Path, file: Path) -> int:
    """The split of an image; -1 where the split lies below the classes and leaves it out."""
    return split if shape.below is None else shape.below.get(file.relative_to(folder).parts[0], -1)


def _settled(rows: list[Row], shape: Shape, root: Path, reading: Reading) -> tuple[list[Row], list[str]]:
    """The rows without masks and with one spelling a class, and everything that is to be said so far."""
    rows, said = without_masks(rows, root, reading.masks)
    spelling, merged = one_spelling([name for name, _, _ in rows])
    return [(spelling[name], split, file) for name, split, file in rows], [*shape.remarks, *said, *merged]


def _of_tables(root: Path, shape: Shape, names: Sequence[str]) -> list[str]:
    """What is to be said of tables beside the folders; DataError where one may hold the labels instead."""
    tables = _tables(*dict.fromkeys([root, *(folder.path for folder, _ in shape.parts)]))
    if shape.whole and (strange := [t for t in tables if not _speaks_of(t, names)]):
        raise DataError(
            f"data must say in one way what the classes are. Got the folders {some(names)} and beside them "
            f"{some([t.name for t in strange])} in {root}. Give data={_likeliest(strange)} if that holds the labels; "
            "move it away if the folders are the classes."
        )
    return [f"Not looked at, beside the folders: {some([t.name for t in tables])}."] if tables else []


def _refuse_loose_parts(tree: Folder) -> None:
    """DataError where folders are called train, test … and hold images without class folders."""
    named = [(f, part) for f in tree.folders if (part := part_of(f.name)) and part.sure]
    loose = [f for f, _ in named if f.images and not f.folders]
    train = any(part.part == "train" and f in loose for f, part in named)
    if loose and len(named) > 1 and (train or len(named) == len(tree.folders) == len(loose)):
        where = " and ".join(f"{f.name}/" for f in loose)
        tables = _tables(tree.path, *(f.path for f, _ in named))
        raise _no_classes(tree, f"images without a class folder in {where}", tables)


def _no_classes(tree: Folder, got: str, tables: list[Path]) -> DataError:
    beside = "or a labels.csv with the columns image,label beside the images"
    if tables:
        beside = f"or give data={_likeliest(tables)} if that table names the images and their labels"
    suffixes = "" if tree.total else f" ({', '.join(sorted(SUFFIXES))})"
    seen = f":\n{shown(tree)}\n" if tree.total else ". "
    return DataError(
        f"an image folder must hold <class>/<image>{suffixes}. Got {got} in {tree.path}{seen}"
        f"Put every class into a folder of its own, {beside}."
    )


def one_class(root: Path, name: str) -> DataError:
    """The error about a folder in which one class was found: with the tree, since the reader may be at fault."""
    return DataError(
        f"data must have at least two classes. Got one, '{name}', in {root}:\n{shown(scan(root))}\n"
        "Add another class, give class_level=<n> if the classes lie n folders deep, or data=<file>.csv for labels in a "
        "table."
    )


def _likeliest(tables: list[Path]) -> Path:
    """The first with columns for image and label, else the first; those of a training part before others."""
    tables = sorted(tables, key=lambda t: not any("train" in n.lower() for n in (t.stem, t.parent.name)))
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
