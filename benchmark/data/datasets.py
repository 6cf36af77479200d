"""Adapters for well-known data sets, in their official folder layouts and with their official splits.

`path` is the folder under which a data set lies in the folder that torchvision gives it (or its authors' archive
unpacks to); what is missing is named, with where to fetch it. `download=true` lets torchvision fetch it, checksums
verified. Where there are a training and a validation part they are training together, as fine-tuning holds out a
part of its own; VOC 2007 takes its training part alone, as the paper does. Images are decoded one at a time.

What identifies a data set (`inputs`) are the files that list its images, labels and split; where there are none of
these, or they hold the images themselves, all of its files.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.data.examples import TEST, TRAIN, Examples, Lazy, adapter
from benchmark.data.images import UnreadableImageError, class_files, decode
from benchmark.data.splits import split_here
from benchmark.wording import SHOWN

Row = tuple[Path, int | set[int], int]
"""An image file, its label (class id, or set of class ids), and its split."""


# --- finding and reading ------------------------------------------------------------------------------------------


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


# --- arrays in few files ------------------------------------------------------------------------------------------

CIFAR = "https://www.cs.toronto.edu/~kriz/cifar.html"
SVHN = "http://ufldl.stanford.edu/housenumbers"
STL = "https://cs.stanford.edu/~acoates/stl10"


def cifar10_files(path: str, download: bool = False) -> list[Path]:
    wanted = ["batches.meta", *(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]
    fetch = torchvision("CIFAR10", expand(path), download)
    return need(expand(path) / "cifar-10-batches-py", wanted, CIFAR, fetch, CAN_DOWNLOAD)


def cifar100_files(path: str, download: bool = False) -> list[Path]:
    fetch = torchvision("CIFAR100", expand(path), download)
    return need(expand(path) / "cifar-100-python", ["meta", "train", "test"], CIFAR, fetch, CAN_DOWNLOAD)


def cifar(name: str, path: str) -> Examples:
    """Read by torchvision, which verifies each file's checksum before it unpickles it."""
    from torchvision import datasets

    try:
        train, test = (getattr(datasets, name)(expand(path), train=part) for part in (True, False))
    except RuntimeError:
        raise ValueError(
            f"{expand(path)} must hold the official files of {name}. Got other checksums. "
            f"Fetch them again from {CIFAR}."
        ) from None
    origin = f"{name}, Krizhevsky 2009"
    return arrays((train.data, train.targets), (test.data, test.targets), train.classes, CIFAR, origin)


@adapter(version=1, inputs=cifar10_files)
def cifar10(path: str, download: bool = False) -> Examples:
    """CIFAR-10: 50,000 / 10,000 images of 32×32, 10 classes."""
    return cifar("CIFAR10", path)


@adapter(version=1, inputs=cifar100_files)
def cifar100(path: str, download: bool = False) -> Examples:
    """CIFAR-100: 50,000 / 10,000 images of 32×32, its 100 fine classes."""
    return cifar("CIFAR100", path)


def svhn_files(path: str, download: bool = False) -> list[Path]:
    folder = expand(path) / "svhn"
    fetch = torchvision("SVHN", folder, download, {"split": "train"}, {"split": "test"})
    return need(folder, ["train_32x32.mat", "test_32x32.mat"], SVHN, fetch, CAN_DOWNLOAD)


@adapter(version=1, inputs=svhn_files)
def svhn(path: str, download: bool = False) -> Examples:
    """SVHN, cropped digits: 73,257 / 26,032 images of 32×32; `extra` is left out."""
    from scipy.io import loadmat

    parts = []
    for file in svhn_files(path):
        content = loadmat(file, variable_names=["X", "y"])
        parts.append((content["X"].transpose(3, 0, 1, 2), content["y"].reshape(-1) % 10))  # the file calls zero ten
    names = [str(k) for k in range(10)]
    train, test = parts
    return arrays(train, test, names, SVHN, "SVHN, Netzer et al. 2011", flip=False)


def stl10_files(path: str, download: bool = False) -> list[Path]:
    wanted = ["train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "class_names.txt"]
    fetch = torchvision("STL10", expand(path), download)
    return need(expand(path) / "stl10_binary", wanted, STL, fetch, CAN_DOWNLOAD)


@adapter(version=1, inputs=stl10_files)
def stl10(path: str, download: bool = False) -> Examples:
    """STL-10: 5,000 / 8,000 labelled images of 96×96, 10 classes."""
    *data, names = stl10_files(path)
    parts = []
    for pixels, labels in (data[:2], data[2:]):
        mapped = np.memmap(pixels, np.uint8, mode="r").reshape(-1, 3, 96, 96)  # columns before rows
        parts.append((mapped.transpose(0, 3, 2, 1), np.fromfile(labels, np.uint8).astype(np.int64) - 1))
    train, test = parts
    return arrays(train, test, lines(names), STL, "STL-10, Coates et al. 2011")


# --- image files with official lists ------------------------------------------------------------------------------

PETS = "https://www.robots.ox.ac.uk/~vgg/data/pets"
VOC = "http://host.robots.ox.ac.uk/pascal/VOC/voc2007"
DTD = "https://www.robots.ox.ac.uk/~vgg/data/dtd"
FLOWERS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
GTSRB = "https://benchmark.ini.rub.de/gtsrb_dataset.html"
AIRCRAFT = "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft"
FOOD = "https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101"
SUN = "https://vision.princeton.edu/projects/2010/SUN"
CUB = "https://www.vision.caltech.edu/datasets/cub_200_2011"
NABIRDS = "https://dl.allaboutbirds.org/nabirds"
DOGS = "http://vision.stanford.edu/aditya86/ImageNetDogs"


def pets_files(path: str, download: bool = False) -> list[Path]:
    wanted = ["annotations/trainval.txt", "annotations/test.txt", "images"]
    fetch = torchvision("OxfordIIITPet", expand(path), download)
    return need(expand(path) / "oxford-iiit-pet", wanted, PETS, fetch, CAN_DOWNLOAD)[:2]


@adapter(version=1, inputs=pets_files)
def oxford_pets(path: str, download: bool = False) -> Examples:
    """Oxford-IIIT Pet: 3,680 (trainval) / 3,669 images, 37 breeds of cats and dogs."""
    folder, rows, names = expand(path) / "oxford-iiit-pet" / "images", [], {}
    for split, file in enumerate(pets_files(path)):
        for line in lines(file):
            image, label, *_ = line.split()
            names[int(label) - 1] = image.rpartition("_")[0]
            rows.append((folder / f"{image}.jpg", int(label) - 1, split))
    return examples(rows, [names[k] for k in sorted(names)], PETS, "Oxford-IIIT Pet, Parkhi et al. 2012")


VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def voc_files(path: str, train: str = "train", download: bool = False) -> list[Path]:
    if train not in ("train", "trainval"):
        raise ValueError(f"train must be train or trainval. Got {train!r}. Name one of them.")
    wanted = [f"{name}_{part}.txt" for part in (train, "test") for name in VOC_CLASSES]
    parts = ({"year": "2007", "image_set": part} for part in ("trainval", "test"))
    fetch = torchvision("VOCDetection", expand(path), download, *parts)
    return need(expand(path) / "VOCdevkit/VOC2007/ImageSets/Main", wanted, VOC, fetch, CAN_DOWNLOAD)


@adapter(version=1, inputs=voc_files)
def voc2007(path: str, train: str = "train", download: bool = False) -> Examples:
    """PASCAL VOC 2007 classification, multi-label: 2,501 (train; trainval has 5,011) / 4,952 images, 20 classes.

    train  "train", as the paper, or "trainval"
    From ImageSets/Main/<class>_<part>.txt: 1 is a positive, −1 a negative; 0, an image with just objects that are
    marked difficult, counts as a negative (the official evaluation leaves it out, class by class).
    """
    folder, files = expand(path) / "VOCdevkit/VOC2007/JPEGImages", voc_files(path, train)
    rows = []
    for split in (TRAIN, TEST):
        present: dict[str, set[int]] = {}
        for k, file in enumerate(files[split * len(VOC_CLASSES) :][: len(VOC_CLASSES)]):
            for image, flag in pairs(file).items():
                present.setdefault(image, set()).update({k} if int(flag) == 1 else ())
        rows += [(folder / f"{image}.jpg", labels, split) for image, labels in present.items()]
    return examples(rows, VOC_CLASSES, VOC, "PASCAL VOC 2007, Everingham et al. 2010")


def dtd_files(path: str, partition: int = 1, download: bool = False) -> list[Path]:
    wanted = [f"labels/{part}{partition}.txt" for part in ("train", "val", "test")]
    fetch = torchvision("DTD", expand(path), download)
    return need(expand(path) / "dtd/dtd", [*wanted, "images"], DTD, fetch, CAN_DOWNLOAD)[:3]


@adapter(version=1, inputs=dtd_files)
def dtd(path: str, partition: int = 1, download: bool = False) -> Examples:
    """Describable Textures: 3,760 (train and val) / 1,880 images, 47 classes.

    partition  which of the ten official splits
    """
    listed = [
        (line, split) for file, split in zip(dtd_files(path, partition), (0, 0, 1), strict=True) for line in lines(file)
    ]
    names = sorted({line.partition("/")[0] for line, _ in listed})
    folder = expand(path) / "dtd/dtd/images"
    rows = [(folder / line, names.index(line.partition("/")[0]), split) for line, split in listed]
    return examples(rows, names, DTD, "DTD, Cimpoi et al. 2014", upright=False)


def flowers_files(path: str, download: bool = False) -> list[Path]:
    fetch = torchvision("Flowers102", expand(path), download)
    wanted = ["imagelabels.mat", "setid.mat", "jpg"]
    return need(expand(path) / "flowers-102", wanted, FLOWERS, fetch, CAN_DOWNLOAD)[:2]


@adapter(version=1, inputs=flowers_files)
def flowers102(path: str, download: bool = False) -> Examples:
    """Oxford Flowers-102: 2,040 (train and valid) / 6,149 images, 102 classes, which the files only number."""
    from scipy.io import loadmat

    labels_file, sets_file = flowers_files(path)
    labels = loadmat(labels_file)["labels"].reshape(-1)
    sets = loadmat(sets_file)
    folder, rows = expand(path) / "flowers-102/jpg", []
    for part, split in (("trnid", TRAIN), ("valid", TRAIN), ("tstid", TEST)):
        for i in sets[part].reshape(-1).tolist():
            rows.append((folder / f"image_{i:05d}.jpg", int(labels[i - 1]) - 1, split))
    names = [str(k) for k in range(1, int(labels.max()) + 1)]
    return examples(rows, names, FLOWERS, "Flowers-102, Nilsback and Zisserman 2008")


def gtsrb_files(path: str, download: bool = False) -> list[Path]:
    folder = expand(path) / "gtsrb"
    fetch = torchvision("GTSRB", expand(path), download, {"split": "train"}, {"split": "test"})
    wanted = ["GT-final_test.csv", "GTSRB/Training", "GTSRB/Final_Test/Images"]
    truth, training, _ = need(folder, wanted, GTSRB, fetch, CAN_DOWNLOAD)
    return [truth, *(file for found in class_folders(training).values() for file in found)]


@adapter(version=1, inputs=gtsrb_files)
def gtsrb(path: str, download: bool = False) -> Examples:
    """German traffic signs: 26,640 / 12,630 images, 43 classes, which the files only number.

    Training images are those of the fixed training archive that torchvision fetches, with the number of the class as
    their folder.
    """
    truth, *training = gtsrb_files(path)
    rows = [(file, int(file.parent.name), TRAIN) for file in training]
    with truth.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter=";"):
            image = expand(path) / "gtsrb/GTSRB/Final_Test/Images" / row["Filename"]
            rows.append((image, int(row["ClassId"]), TEST))
    names = [str(k) for k in range(max(row[1] for row in rows) + 1)]
    return examples(rows, names, GTSRB, "GTSRB, Stallkamp et al. 2012", flip=False)


def aircraft_files(path: str, level: str = "variant", download: bool = False) -> list[Path]:
    names = {"variant": "variants.txt", "family": "families.txt", "manufacturer": "manufacturers.txt"}
    if level not in names:
        raise ValueError(f"level must be one of {', '.join(names)}. Got {level!r}. Name one of them.")
    wanted = [names[level], f"images_{level}_trainval.txt", f"images_{level}_test.txt", "images"]
    fetch = torchvision("FGVCAircraft", expand(path), download)
    return need(expand(path) / "fgvc-aircraft-2013b/data", wanted, AIRCRAFT, fetch, CAN_DOWNLOAD)[:3]


@adapter(version=1, inputs=aircraft_files)
def aircraft(path: str, level: str = "variant", download: bool = False) -> Examples:
    """FGVC-Aircraft 2013b: 6,667 (trainval) / 3,333 images, 100 variants, 70 families or 30 manufacturers.

    level  "variant", "family" or "manufacturer"
    The line with the photographer's name at the foot of every image is left in, as by torchvision.
    """
    classes, *lists = aircraft_files(path, level)
    names, folder = lines(classes), expand(path) / "fgvc-aircraft-2013b/data/images"
    rows = [
        (folder / f"{image}.jpg", names.index(name), split)
        for split, file in enumerate(lists)
        for image, name in pairs(file).items()
    ]
    return examples(rows, names, AIRCRAFT, "FGVC-Aircraft, Maji et al. 2013")


def food_files(path: str, download: bool = False) -> list[Path]:
    fetch = torchvision("Food101", expand(path), download)
    wanted = ["meta/train.json", "meta/test.json", "images"]
    return need(expand(path) / "food-101", wanted, FOOD, fetch, CAN_DOWNLOAD)[:2]


@adapter(version=1, inputs=food_files)
def food101(path: str, download: bool = False) -> Examples:
    """Food-101: 75,750 / 25,250 images, 101 classes."""
    parts = [json.loads(file.read_text(encoding="utf-8")) for file in food_files(path)]
    names, folder = sorted(parts[TRAIN]), expand(path) / "food-101/images"
    rows = [
        (folder / f"{image}.jpg", names.index(name), split)
        for split, part in enumerate(parts)
        for name, images in part.items()
        for image in images
    ]
    return examples(rows, names, FOOD, "Food-101, Bossard et al. 2014")


def sun_files(path: str, partition: int = 1, download: bool = False) -> list[Path]:
    fetch = torchvision("SUN397", expand(path), download)
    wanted = ["ClassName.txt", f"Training_{partition:02d}.txt", f"Testing_{partition:02d}.txt"]
    hint = f"{CAN_DOWNLOAD}; the official splits are an archive of their own, download/Partitions.zip beside it"
    return need(expand(path) / "SUN397", wanted, SUN, fetch, hint)


@adapter(version=1, inputs=sun_files)
def sun397(path: str, partition: int = 1, download: bool = False) -> Examples:
    """SUN397: 19,850 / 19,850 images, 397 scenes, 50 and 50 of each.

    partition  which of the ten official splits; torchvision fetches the images, Partitions.zip is to be unpacked
               beside them
    """
    classes, *lists = sun_files(path, partition)
    folder, names = expand(path) / "SUN397", lines(classes)
    ids = {name: k for k, name in enumerate(names)}
    rows = [
        (folder / line.lstrip("/"), ids[line.rpartition("/")[0]], split)
        for split, file in enumerate(lists)
        for line in lines(file)
    ]
    short = [name.split("/", 2)[-1] for name in names]  # /a/abbey: the letter is a folder
    return examples(rows, short, SUN, "SUN397, Xiao et al. 2010")


def birds_files(folder: Path, page: str) -> list[Path]:
    wanted = ["images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt", "images"]
    return need(folder, wanted, page)[:4]


def birds(folder: Path, page: str, origin: str) -> Examples:
    """The layout that CUB and NABirds share: images, labels and split by image id, 1 = training.

    NABirds' class ids number all nodes of a hierarchy; the classes are those nodes that images are labelled with, in
    the order of their ids.
    """
    images, labels, flags, names = (pairs(file) for file in birds_files(folder, page))
    used = sorted(set(labels.values()), key=int)
    ids = {label: k for k, label in enumerate(used)}
    rows = [
        (folder / "images" / image, ids[labels[key]], TRAIN if flags[key] == "1" else TEST)
        for key, image in images.items()
    ]
    return examples(rows, [names[label] for label in used], page, origin)


def cub_files(path: str) -> list[Path]:
    return birds_files(expand(path) / "CUB_200_2011", CUB)


@adapter(version=1, inputs=cub_files)
def cub200(path: str) -> Examples:
    """CUB-200-2011: 5,994 / 5,794 images, 200 species of birds."""
    return birds(expand(path) / "CUB_200_2011", CUB, "CUB-200-2011, Wah et al. 2011")


def nabirds_files(path: str) -> list[Path]:
    return birds_files(expand(path) / "nabirds", NABIRDS)


@adapter(version=1, inputs=nabirds_files)
def nabirds(path: str) -> Examples:
    """NABirds: 23,929 / 24,633 images, 555 visual categories of birds (leaves of a hierarchy of 1,011 nodes)."""
    return birds(expand(path) / "nabirds", NABIRDS, "NABirds, Van Horn et al. 2015")


def dogs_files(path: str) -> list[Path]:
    wanted = ["train_list.mat", "test_list.mat", "Images"]
    return need(expand(path) / "stanford_dogs", wanted, DOGS, hint=" (images.tar and lists.tar)")[:2]


@adapter(version=1, inputs=dogs_files)
def stanford_dogs(path: str) -> Examples:
    """Stanford Dogs: 12,000 / 8,580 images, 120 breeds; from train_list.mat and test_list.mat."""
    from scipy.io import loadmat

    folder, rows, names = expand(path) / "stanford_dogs/Images", [], {}
    for split, file in enumerate(dogs_files(path)):
        content = loadmat(file)
        images = [str(cell.item()) for cell in content["file_list"].reshape(-1)]  # a cell array of strings
        for image, label in zip(images, content["labels"].reshape(-1).tolist(), strict=True):
            names[int(label) - 1] = image.partition("/")[0].partition("-")[2]  # n02085620-Chihuahua
            rows.append((folder / image, int(label) - 1, split))
    return examples(rows, [names[k] for k in sorted(names)], DOGS, "Stanford Dogs, Khosla et al. 2011")


# --- class folders without an official split ----------------------------------------------------------------------

CALTECH = "https://data.caltech.edu/records/mzrjq-6wc02"
EUROSAT = "https://github.com/phelber/EuroSAT"


def caltech_files(path: str, download: bool = False, **_: object) -> list[Path]:
    fetch = torchvision("Caltech101", expand(path), download)
    (folder,) = need(expand(path) / "caltech101", ["101_ObjectCategories"], CALTECH, fetch, CAN_DOWNLOAD)
    return [file for found in class_folders(folder, ("BACKGROUND_Google",)).values() for file in found]


@adapter(version=1, inputs=caltech_files)
def caltech101(path: str, test_share: float = 0.3, seed: int = 0, download: bool = False) -> Examples:
    """Caltech-101: 8,677 images, 101 classes, without the background class.

    It has no official split, and the paper's (2,630 test images) was not released: here round(test_share·n) images
    of each class are test, the first in SHA-256 order of "seed|class/file".
    """
    folder = expand(path) / "caltech101/101_ObjectCategories"
    files = class_folders(folder, ("BACKGROUND_Google",))
    rows = folder_split(folder, files, test_share, seed)
    return examples(rows, list(files), CALTECH, "Caltech-101, Fei-Fei et al. 2004")


def eurosat_files(path: str, download: bool = False, **_: object) -> list[Path]:
    fetch = torchvision("EuroSAT", expand(path), download)
    (folder,) = need(expand(path) / "eurosat", ["2750"], EUROSAT, fetch, CAN_DOWNLOAD)
    return [file for found in class_folders(folder).values() for file in found]


@adapter(version=1, inputs=eurosat_files)
def eurosat(path: str, test_share: float = 0.3, seed: int = 0, download: bool = False) -> Examples:
    """EuroSAT (RGB): 27,000 satellite images of 64×64, 10 classes; no official split, so one as for Caltech-101."""
    folder = expand(path) / "eurosat/2750"
    files = class_folders(folder)
    rows = folder_split(folder, files, test_share, seed)
    return examples(rows, list(files), EUROSAT, "EuroSAT, Helber et al. 2019", upright=False)
