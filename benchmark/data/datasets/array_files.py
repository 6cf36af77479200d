"""Data sets whose images are arrays in a few files: CIFAR, SVHN, STL-10."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.data.datasets.reading import (
    CAN_DOWNLOAD,
    arrays,
    expand,
    lines,
    need,
    torchvision,
)
from benchmark.data.examples import Examples, adapter

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
