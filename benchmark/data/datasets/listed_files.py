"""Image files with official lists: VOC, DTD, Flowers, GTSRB, Aircraft, Food, SUN."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from benchmark.data.datasets.reading import (
    CAN_DOWNLOAD,
    class_folders,
    examples,
    expand,
    lines,
    need,
    pairs,
    torchvision,
)
from benchmark.data.examples import TEST, TRAIN, Examples, adapter

VOC = "http://host.robots.ox.ac.uk/pascal/VOC/voc2007"
DTD = "https://www.robots.ox.ac.uk/~vgg/data/dtd"
FLOWERS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"
GTSRB = "https://benchmark.ini.rub.de/gtsrb_dataset.html"
AIRCRAFT = "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft"
FOOD = "https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101"
SUN = "https://vision.princeton.edu/projects/2010/SUN"


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
