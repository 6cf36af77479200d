"""What the levels of a folder of images mean: wrappers, parts of a split, classes. What is doubtful is asked about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from benchmark.data.examples import TEST, TRAIN
from benchmark.data.user.findings import TO_SPLIT, DataError
from benchmark.data.user.names import plain
from benchmark.data.user.parts import FOLD, part_of
from benchmark.data.user.reading import Reading
from benchmark.data.user.tree import Folder, shown
from benchmark.errors import did_you_mean
from benchmark.wording import plural, some

IMAGES = {"image", "images", "img", "imgs", "input", "inputs", "jpegimages", "photos"}
MASKS = {"mask", "masks", "annotation", "annotations", "segmentation", "segmentations", "segmentationclass"}
MASKS |= {"gt", "groundtruth", "ground_truth", "segmentationobject", "labels", "label"}
SHARED = 0.5  # of the names one level down occur in several folders: then the level above may be no class


@dataclass
class Shape:
    """Where the class folders are: `parts` of (a folder that holds them, split), and what is to be said.

    level  how many folders below a part the classes are
    below  where the split lies below the classes: the split of the folders inside a class folder, by name
    whole  whether the classes are all there is, without parts beside them
    """

    parts: list[tuple[Folder, int]]
    level: int = 1
    remarks: list[str] = field(default_factory=list)
    below: dict[str, int] | None = None
    whole: bool = False


def shape_of(root: Folder, reading: Reading) -> Shape:
    """What the levels below `root` mean, as seen or as `reading` says; DataError, with the tree, where in doubt."""
    if reading.parts_given:
        return _given(root, reading)
    start, remarks = (root, []) if reading.class_level else _started(root, reading)
    found = _by_name(start, remarks)
    if found is None and reading.class_level is None:
        found = _below_classes(start)
        if found is None:
            _refuse_masks(start, reading)
            _refuse_shared(start)
            _tell_nested(start, remarks)
    found = found or Shape([(start, TO_SPLIT)], whole=reading.class_level is None)
    found.remarks = remarks + found.remarks
    found.level = reading.class_level or 1
    return found


def unwrapped(root: Folder) -> Folder:
    """The first folder on the way down that holds more than one folder of images, or training images alone."""
    while not root.images and len(root.folders) == 1 and root.folders[0].is_deep:
        part = part_of(root.folders[0].name)
        if part and part.sure and part.part == "train":
            break  # it is split here
        root = root.folders[0]
    return root


def _started(root: Folder, reading: Reading) -> tuple[Folder, list[str]]:
    """Where to begin, below wrappers, and without folders of masks where they are to be left out."""
    start, remarks = unwrapped(root), []
    masks = [f for f in start.folders if f.name.lower() in MASKS]
    if reading.masks == "leave_out" and masks and {n.lower() for n in start.names()} & IMAGES:
        each = ", ".join(f"{m.name}/ ({plural(m.total, 'mask')})" for m in masks)
        remarks.append(f"Left out: {each}.")
        start = unwrapped(replace(start, folders=tuple(f for f in start.folders if f not in masks)))
    if start.path != root.path:
        inner = start.path.relative_to(root.path).as_posix()
        remarks.append(f"Read from {inner}/, the one folder with images.")
    return start, remarks


def _by_name(root: Folder, remarks: list[str]) -> Shape | None:
    """train/ with test/ (or val/), each with class folders, by whatever names; None where there are no such.

    Names with other words in them (seg_train) count where the folders of both parts are alike.
    """
    named = {f.name: part for f in root.folders if (part := part_of(f.name))}
    trains = [f for f in root.folders if f.name in named and named[f.name].part == "train" and f.folders]
    tests = [f for f in root.folders if f.name in named and named[f.name].part != "train"]
    train = _one(root, [f for f in trains if named[f.name].sure], "train")
    if train is None:
        paired = [a for a in trains if a.is_deep and any(_partners(a, b) for b in tests)]
        train = _one(root, paired, "train")
    if train is None:
        return None
    return _split(root, train, [f for f in tests if named[f.name].sure or _partners(train, f)], remarks)


def _partners(train: Folder, test: Folder) -> bool:
    """Whether the names differ by the part alone, or the folders hold folders of the same names."""
    one, other = part_of(train.name), part_of(test.name)
    same = one is not None and other is not None and one.rest == other.rest
    return same or bool(_class_names(train) & _class_names(test))


def _one(root: Folder, found: Sequence[Folder], part: str) -> Folder | None:
    """The one of them, or the one that is called exactly so; DataError for several."""
    exact = [f for f in found if f.name == part] or [f for f in found if f.name.lower() == part] or list(found)
    if len(exact) > 1:
        raise DataError(
            f"data must have one part for {'training' if part == 'train' else 'testing'}. Got "
            f"{some([f.name + '/' for f in found])} in {root.path}:\n{shown(root)}\n"
            f"Say which with split.{'train' if part == 'train' else 'test'}={exact[0].name}, or several as [a,b]."
        )
    return exact[0] if exact else None


def _split(root: Folder, train: Folder, tests: list[Folder], remarks: list[str]) -> Shape:
    """Train and the first of test and val that has classes of train; other folders are left out, and counted."""
    able, test = [f for f in tests if _class_names(f) & _class_names(train)], None
    for part in ("test", "val"):
        test = test or _one(root, [f for f in able if (p := part_of(f.name)) and p.part == part], part)
    beside = f"{train.name}/{f' and {test.name}/' if test else ''}"
    if test and not (_sure(train) and _sure(test)):
        remarks.append(f"{train.name}/ is taken for the training part, {test.name}/ for the test part.")
    for f in root.folders:
        if f in tests and f not in able:
            remarks.append(f"Left out: {plural(f.total, 'image')} in {f.name}/ without a class of {train.name}/.")
    others = [f for f in root.folders if f not in (train, test) and (f in able or f not in tests)]
    if others:
        each = ", ".join(f"{f.name}/ ({plural(f.total, 'image')})" for f in others)
        remarks.append(f"Left out: {each}, beside {beside}.")
    return Shape([(_classes(train), TRAIN if test else TO_SPLIT)] + ([(_classes(test), TEST)] if test else []))


def _sure(folder: Folder) -> bool:
    part = part_of(folder.name)
    return part is not None and part.sure


def _classes(part: Folder) -> Folder:
    """The folder of a part that holds its class folders: itself, or the one folder of folders in it."""
    while part.is_deep and len(part.folders) == 1 and part.folders[0].is_deep:
        part = part.folders[0]
    return part


def _class_names(part: Folder) -> set[str]:
    return {plain(name) for name in _classes(part).names()}


def _below_classes(root: Folder) -> Shape | None:
    """<class>/train/* with <class>/test/*: the split below the classes."""
    parts = {name: part_of(name) for f in root.folders for name in f.names()}
    kinds = {p.part for p in parts.values() if p and p.sure}
    whole = len(root.folders) > 1 and all(f.is_deep for f in root.folders)
    if not whole or not all(p and p.sure for p in parts.values()) or "train" not in kinds or len(kinds) < 2:
        return None
    sides = {"train": TRAIN, "test" if "test" in kinds else "val": TEST}
    below = {name: sides[p.part] for name, p in parts.items() if p and p.part in sides}
    said = f"The split is that of the folders {some(sorted(below))} inside the class folders."
    return Shape([(root, TO_SPLIT)], remarks=[said], below=below)


def _given(root: Folder, reading: Reading) -> Shape:
    """The split that split.train and split.test name; where only test is named, the folders beside it are training."""
    start = unwrapped(root)
    train, test = _all_named(root, start, reading.train, "train"), _all_named(root, start, reading.test, "test")
    if test and not train:
        train = [f for f in start.folders if f not in test]
    if not train:
        raise DataError(f"split.train must leave images to train on. Got none:\n{shown(start)}\nName other folders.")
    level = reading.class_level or 1
    parts = [(f, TRAIN if test else TO_SPLIT) for f in train] + [(f, TEST) for f in test]
    left = [f"{f.name}/ ({plural(f.total, 'image')})" for f in start.folders if f not in (*train, *test)]
    said = [f"Left out: {', '.join(left)}, which the split does not name."] if left and not _deeper(reading) else []
    return Shape([(f if reading.class_level else _classes(f), split) for f, split in parts], level, said)


def _deeper(reading: Reading) -> bool:
    return any("/" in name or "\\" in name for name in (*reading.train, *reading.test))


def _all_named(root: Folder, start: Folder, names: Sequence[str], key: str) -> list[Folder]:
    found = []
    for name in names:
        folder = _find(root, name) or _find(start, name)
        if folder is None:
            raise DataError(
                f"split.{key} must name folders in {root.path} that hold images. Got {name}:\n{shown(start)}\n"
                f"{did_you_mean(name, start.names())}"
            )
        found.append(folder)
    return found


def _find(root: Folder, name: str) -> Folder | None:
    for step in name.replace("\\", "/").split("/"):
        inner = next((f for f in root.folders if f.name == step), None)
        if inner is None:
            return None
        root = inner
    return root


def _refuse_masks(root: Folder, reading: Reading) -> None:
    """DataError where the folders are images/ and masks/ (unless they are to be kept): neither is a class."""
    names = {name.lower() for name in root.names()}
    if reading.masks != "keep" and names & IMAGES and names & MASKS and names <= IMAGES | MASKS:
        raise DataError(
            f"an image folder must hold a folder a class. Got images and their masks or annotations in {root.path}:\n"
            f"{shown(root)}\nGive data=<file>.csv with the columns image,label; masks=leave_out if the classes are "
            "folders of the images; masks=keep if these are the classes."
        )


def _refuse_shared(root: Folder) -> None:
    """DataError where the folders hold folders of the same names: domains, folds, or classes with parts."""
    if len(root.folders) < 2 or not all(f.is_deep for f in root.folders):
        return
    counts = Counter(name for f in root.folders for name in f.names())
    if len(counts) < 2 or sum(n > 1 for n in counts.values()) < SHARED * len(counts):
        return
    first, below = root.names(), sorted(counts)
    test = f"split.test={first[-1]} to test on {first[-1]}/ and train on the others"
    whole = f"class_level=2 if the classes are {some(below)}"
    raise DataError(
        f"data must say which folders are the classes. Got {some([f + '/' for f in first])} with folders of the same "
        f"names in {root.path}:\n{shown(root)}\n"
        + (f"Give {test}, {whole}, " if all(map(FOLD.match, first)) else f"Give {whole}, {test}, ")
        + f"or class_level=1 if they are {some(first)}."
    )


def _tell_nested(root: Folder, remarks: list[str]) -> None:
    inside = sorted({name for f in root.folders for name in f.names()})
    if len(inside) > 1:
        remarks.append(
            f"The classes are the folders {some(root.names())}; what lies deeper ({some(inside)}) belongs to them. "
            "class_level=2 makes the folders there the classes."
        )
