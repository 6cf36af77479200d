"""Data sets in class folders without an official split: Caltech-101, EuroSAT. The split is made here."""

from __future__ import annotations

from pathlib import Path

from benchmark.data.datasets.reading import (
    CAN_DOWNLOAD,
    class_folders,
    examples,
    expand,
    folder_split,
    need,
    torchvision,
)
from benchmark.data.examples import Examples, adapter

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
