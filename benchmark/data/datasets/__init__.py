"""Adapters for well-known data sets, in their official folder layouts and with their official splits.

`path` is the folder under which a data set lies in the folder that torchvision gives it (or its authors' archive
unpacks to); what is missing is named, with where to fetch it. `download=true` lets torchvision fetch it, checksums
verified. Where there are a training and a validation part they are training together, as fine-tuning holds out a
part of its own; VOC 2007 takes its training part alone, as the paper does. Images are decoded one at a time.

What identifies a data set (`inputs`) are the files that list its images, labels and split; where there are none of
these, or they hold the images themselves, all of its files.
"""

from __future__ import annotations

from benchmark.data.datasets.animals import cub200, nabirds, oxford_pets, stanford_dogs
from benchmark.data.datasets.array_files import cifar10, cifar100, stl10, svhn
from benchmark.data.datasets.class_folders import caltech101, eurosat
from benchmark.data.datasets.listed_files import aircraft, dtd, flowers102, food101, gtsrb, sun397, voc2007

__all__ = [
    "aircraft",
    "caltech101",
    "cifar10",
    "cifar100",
    "cub200",
    "dtd",
    "eurosat",
    "flowers102",
    "food101",
    "gtsrb",
    "nabirds",
    "oxford_pets",
    "stanford_dogs",
    "stl10",
    "sun397",
    "svhn",
    "voc2007",
]
