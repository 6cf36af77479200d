"""Textures made by formula: gratings, grain, cells and spots, each at several scales and directions."""

from itertools import product

import numpy as np

from benchmark.data.embedded.canvas import SIDE, balanced, generator, pixels, splits, tint
from benchmark.data.examples import Examples, adapter

# (kind, cycles across the image, degrees) of every class. The two sets share kinds, but no scale and no direction.
KIND_NAMES = ("grating", "grain", "cells", "spots")
LATTICE = {
    "a": list(product(KIND_NAMES, (4.0, 6.0), (0.0, 90.0))),
    "b": list(product(KIND_NAMES, (3.2, 5.0, 7.5), (45.0, 135.0))),
}
Y, X = np.mgrid[0:SIDE, 0:SIDE] / SIDE
FY, FX = np.meshgrid(np.fft.fftfreq(SIDE) * SIDE, np.fft.fftfreq(SIDE) * SIDE, indexing="ij")
STRETCH = 1.7  # how much longer grain, cells and spots are along their direction


def standard(grey: np.ndarray) -> np.ndarray:
    return (grey - grey.mean()) / grey.std()


def along(degrees: float, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across a direction."""
    angle = np.deg2rad(degrees)
    return np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y


def band(cycles: float, degrees: float, width: float, rng: np.random.Generator) -> np.ndarray:
    """White noise kept in an elliptic ring of frequencies, stretched along the direction."""
    u, v = along(degrees, FX, FY)
    radius = np.hypot(u * STRETCH, v / STRETCH)
    ring = np.exp(-0.5 * ((radius - cycles) / (width * cycles)) ** 2)
    return standard(np.fft.ifft2(np.fft.fft2(rng.normal(size=(SIDE, SIDE))) * ring).real)


def grating(cycles: float, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Bars along the direction, bent a little by slow noise."""
    _, across = along(degrees, X, Y)
    bend = 0.6 * band(1.5, 0, 0.5, rng)
    return standard(np.sin(2 * np.pi * (cycles * across + rng.random()) + bend))


def grain(cycles: float, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Band-passed Gaussian noise."""
    return band(cycles, degrees, 0.35, rng)


def cells(cycles: float, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Distance to the second nearest of random points less that to the nearest: walls of a Voronoi tiling."""
    n = max(4, round(2.2 * cycles**2))
    px, py = rng.uniform(-0.5, 1.5, (2, n))  # a margin of half an image on every side
    u, v = along(degrees, X[..., None] - px, Y[..., None] - py)
    near = np.partition(np.hypot(u / STRETCH, v * STRETCH), 1, axis=-1)[..., :2]
    return standard(np.minimum((near[..., 1] - near[..., 0]) * cycles, 0.6))


def spots(cycles: float, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """The highest third of band-passed noise as plain blobs."""
    field = band(cycles, degrees, 0.2, rng)
    return standard(1 / (1 + np.exp(-8 * (field - 0.5))))


KINDS = {"grating": grating, "grain": grain, "cells": cells, "spots": spots}


@adapter(version=1)
def textures(
    which: str = "a",
    train: int = 480,
    test: int = 800,
    turn: float = 15.0,
    zoom: float = 0.12,
    noise: float = 0.12,
    seed: int = 0,
) -> Examples:
    """Homogeneous random textures; the label is kind, scale and direction.

    which  "a" or "b": the same kinds at other scales and directions
    turn   most degrees that an image is off its direction
    zoom   most that its scale is off, as a fraction
    noise  standard deviation of what is added to levels in [0, 1]
    """
    if which not in LATTICE:
        raise ValueError(f"which must be one of {', '.join(LATTICE)}. Got {which!r}. Name one of them.")
    rng = generator("textures", which, seed)
    classes = LATTICE[which]
    labels = np.concatenate([balanced(train, len(classes), rng), balanced(test, len(classes), rng)])
    grey = np.empty((len(labels), SIDE, SIDE))
    for i, k in enumerate(labels):
        kind, cycles, degrees = classes[k]
        scale = cycles * (1 + rng.uniform(-zoom, zoom))
        grey[i] = KINDS[kind](scale, degrees + rng.uniform(-turn, turn), rng)
    n = len(labels)
    contrast, mean = rng.uniform(0.08, 0.2, (n, 1, 1)), rng.uniform(0.38, 0.62, (n, 1, 1))
    colour = tint(mean + contrast * grey, rng, dark=(0, 0), bright=(1, 1), colour=0.12)
    return Examples(
        images=pixels(colour + rng.normal(0, noise, colour.shape)),
        labels=labels,
        split=splits(train, test),
        class_names=[f"{kind} {cycles:g} {degrees:g}" for kind, cycles, degrees in classes],
        licence="made by formula (MIT, as this project)",
        origin="gratings, band-passed noise, Voronoi cells and thresholded noise",
        flip=False,
        upright=False,
    )
