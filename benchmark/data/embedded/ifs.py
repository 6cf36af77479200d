"""Fractals: attractors of random iterated function systems, a system a class (FractalDB, Kataoka et al., ACCV 2020)."""

from functools import cache

import numpy as np

from benchmark.data.embedded.canvas import SIDE, balanced, generator, pixels, splits, tint
from benchmark.data.examples import Examples, adapter

FILLING = (0.16, 0.5)  # share of the 32x32 cells that an attractor must touch
BURN_IN = 20  # steps until a point is on the attractor


def draw_maps(rng: np.random.Generator) -> np.ndarray:
    """(3, 2, 3): three contractive affine maps of the plane, as rotation · scales · rotation and a shift."""
    first, second = rng.uniform(0, 2 * np.pi, (2, 3))
    large = rng.uniform(0.45, 0.8, 3)
    small = large * rng.uniform(0.3, 1.0, 3) * rng.choice([-1, 1], 3)
    scales = np.zeros((3, 2, 2))
    scales[:, 0, 0], scales[:, 1, 1] = large, small
    linear = rotation(first) @ scales @ rotation(second)
    return np.concatenate([linear, rng.uniform(-1, 1, (3, 2, 1))], axis=2)


def rotation(angle: np.ndarray) -> np.ndarray:
    """(n, 2, 2) rotation matrices."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)


def chaos_game(maps: np.ndarray, points: int, rng: np.random.Generator) -> np.ndarray:
    """(n, points, 2): for each of n systems (n, 3, 2, 3) a walk over its attractor, maps drawn by their area."""
    n, m = maps.shape[:2]
    areas = np.abs(np.linalg.det(maps[..., :2])) + 0.02  # a flat map must come up too
    edges = np.cumsum(areas / areas.sum(axis=1, keepdims=True), axis=1)
    choice = (rng.random((points + BURN_IN, n, 1)) > edges[None]).sum(axis=2).clip(0, m - 1)
    at, out = np.zeros((n, 2)), np.empty((points + BURN_IN, n, 2))
    rows = np.arange(n)
    for step in range(points + BURN_IN):
        chosen = maps[rows, choice[step]]
        at = np.einsum("nij,nj->ni", chosen[..., :2], at) + chosen[..., 2]
        out[step] = at
    return out[BURN_IN:].transpose(1, 0, 2)


def box(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (2,) and half-width of the square around a walk (points, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, (high - low).max() / 2


def count(points: np.ndarray) -> np.ndarray:
    """(n, 32, 32) how many points of each walk, scaled to [-1, 1], fall into each cell."""
    cell = np.floor((points + 1) / 2 * SIDE).astype(np.int64)
    inside = ((cell >= 0) & (cell < SIDE)).all(axis=2)
    n = len(points)
    flat = (np.arange(n)[:, None] * SIDE + cell[..., 1]) * SIDE + cell[..., 0]
    return np.bincount(flat[inside], minlength=n * SIDE * SIDE).reshape(n, SIDE, SIDE).astype(np.float64)


@cache
def systems(which: str, c: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps (c, 3, 2, 3), centres (c, 2) and half-widths (c,) of c systems whose attractors fill enough of the image."""
    rng = generator("fractals", "systems", which)
    maps: list[np.ndarray] = []
    centres, widths = [], []
    while len(maps) < c:
        candidates = np.stack([draw_maps(rng) for _ in range(64)])
        for system, walk in zip(candidates, chaos_game(candidates, 800, rng), strict=True):
            centre, width = box(walk)
            filled = (count((walk[None] - centre) / width) > 0).mean()
            if FILLING[0] <= filled <= FILLING[1] and len(maps) < c:
                maps.append(system)
                centres.append(centre)
                widths.append(width)
    return np.array(maps), np.array(centres), np.array(widths)


@adapter(version=1)
def fractals(
    which: str = "a",
    classes: int = 20,
    train: int = 160,
    test: int = 800,
    jitter: float = 0.1,
    points: int = 1500,
    noise: float = 0.3,
    seed: int = 0,
) -> Examples:
    """Fractals of random systems of three affine maps; the label is the system.

    which    name of the set of systems; sets of other names are other systems
    jitter   standard deviation of what is added to every coefficient of an image's maps
    points   of the chaos game that draws an image
    noise    standard deviation of what is added to levels in [0, 1]
    """
    rng = generator("fractals", which, seed)
    maps, centres, widths = systems(which, classes)
    labels = np.concatenate([balanced(train, classes, rng), balanced(test, classes, rng)])
    n = len(labels)
    walks = chaos_game(maps[labels] + rng.normal(0, jitter, (n, 3, 2, 3)), points, rng)
    zoom = rng.uniform(0.65, 0.95, (n, 1, 1))
    shift = rng.uniform(-0.15, 0.15, (n, 1, 2))
    placed = (walks - centres[labels][:, None]) / widths[labels][:, None, None] * zoom + shift
    grey = 1 - np.exp(-count(placed) * 0.7 * 1500 / points)
    colour = tint(grey, rng, dark=(0.05, 0.3), bright=(0.6, 0.95), colour=0.1)
    return Examples(
        images=pixels(colour + rng.normal(0, noise, colour.shape)),
        labels=labels,
        split=splits(train, test),
        class_names=[f"system {which}{k}" for k in range(classes)],
        licence="made by formula (MIT, as this project)",
        origin="iterated function systems after FractalDB (Kataoka et al., ACCV 2020)",
        flip=False,
        upright=False,
    )
