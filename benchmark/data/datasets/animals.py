"""Kinds of animals, with official lists: Pets, CUB, NABirds, Stanford Dogs."""

from __future__ import annotations

from pathlib import Path

from benchmark.data.datasets.reading import (
    CAN_DOWNLOAD,
    examples,
    expand,
    lines,
    need,
    pairs,
    torchvision,
)
from benchmark.data.examples import TEST, TRAIN, Examples, adapter

PETS = "https://www.robots.ox.ac.uk/~vgg/data/pets"
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
