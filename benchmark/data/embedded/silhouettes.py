"""Sprites: a plain shape at an orientation, as in dSprites (Matthey et al. 2017); the label is both."""

import numpy as np

from benchmark.data.embedded.canvas import SIDE, balanced, generator, pixels, splits, tint
from benchmark.data.examples import Examples, adapter

# Polygons of about unit radius that no rotation maps to themselves, so that every angle is a class of its own.
SHAPES = {
    "ell": [(-0.6, -1), (-0.1, -1), (-0.1, 0.5), (0.7, 0.5), (0.7, 1), (-0.6, 1)],
    "arrow": [(0, -1), (0.75, -0.1), (0.25, -0.1), (0.25, 1), (-0.25, 1), (-0.25, -0.1), (-0.75, -0.1)],
    "wedge": [(-0.9, 0.8), (0.9, 0.8), (0.9, -0.6)],
    "heart": [(0, 1), (0.95, -0.1), (0.85, -0.7), (0.4, -0.9), (0, -0.45), (-0.4, -0.9), (-0.85, -0.7), (-0.95, -0.1)],
    "flag": [(-0.6, -1), (0.8, -0.55), (-0.25, -0.1), (-0.25, 1), (-0.6, 1)],
    "tee": [
        (-0.85, -0.9),
        (0.85, -0.9),
        (0.85, -0.4),
        (0.25, -0.4),
        (0.25, 0.9),
        (-0.25, 0.9),
        (-0.25, -0.4),
        (-0.85, -0.4),
    ],
    "stairs": [(-0.9, 0.9), (-0.9, -0.9), (-0.3, -0.9), (-0.3, -0.3), (0.3, -0.3), (0.3, 0.3), (0.9, 0.3), (0.9, 0.9)],
}
SETS = {"a": ("ell", "arrow", "heart"), "b": ("flag", "tee", "stairs", "wedge")}
FINE = 4  # times finer that polygons are filled, then averaged


def cover(polygons: list[tuple[np.ndarray, float]], side: int = SIDE) -> np.ndarray:
    """(side, side) levels in [0, 1]: polygons (k, 2) in pixels, each with its level, the later over the earlier."""
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (side * FINE, side * FINE))
    draw = ImageDraw.Draw(canvas)
    for corners, level in polygons:
        draw.polygon([(x * FINE, y * FINE) for x, y in corners.tolist()], fill=round(255 * level))
    return np.asarray(canvas.reduce(FINE), np.float64) / 255


def place(shape: np.ndarray, degrees: float, radius: float, centre: np.ndarray) -> np.ndarray:
    """Corners (k, 2) turned clockwise, scaled and moved."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return shape @ turn * radius + centre


def stick(rng: np.random.Generator) -> np.ndarray:
    """A short thin bar anywhere: clutter with edges of every direction."""
    half = np.array([[-1, -0.12], [1, -0.12], [1, 0.12], [-1, 0.12]])
    return place(half, rng.uniform(0, 360), rng.uniform(2, 5), rng.uniform(0, SIDE, 2))


@adapter(version=1)
def sprites(
    which: str = "a",
    angles: int = 8,
    train: int = 144,
    test: int = 720,
    turn: float = 10.0,
    clutter: int = 6,
    noise: float = 0.4,
    seed: int = 0,
) -> Examples:
    """Shapes at evenly spaced orientations, bright on dark, anywhere in the image; the label is shape and angle.

    which    set of shapes: "a" (three) or "b" (four others)
    angles   orientations of each shape
    turn     most degrees that an image is off its orientation
    clutter  thin bars strewn under the shape
    noise    standard deviation of what is added to levels in [0, 1]
    """
    if which not in SETS:
        raise ValueError(f"which must be one of {', '.join(SETS)}. Got {which!r}. Name one of them.")
    rng = generator("sprites", which, seed)
    shapes = [np.array(SHAPES[name]) for name in SETS[which]]
    c = len(shapes) * angles
    labels = np.concatenate([balanced(train, c, rng), balanced(test, c, rng)])
    grey = np.empty((len(labels), SIDE, SIDE))
    for i, k in enumerate(labels):
        bars = [(stick(rng), rng.uniform(0.3, 0.8)) for _ in range(clutter)]
        radius = rng.uniform(7, 10.5)
        degrees = (k % angles) * 360 / angles + rng.uniform(-turn, turn)
        centre = rng.uniform(radius + 1, SIDE - radius - 1, 2)
        grey[i] = cover([*bars, (place(shapes[k // angles], degrees, radius, centre), 1.0)])
    colour = tint(grey, rng, dark=(0.05, 0.3), bright=(0.6, 0.95), colour=0.1)
    return Examples(
        images=pixels(colour + rng.normal(0, noise, colour.shape)),
        labels=labels,
        split=splits(train, test),
        class_names=[f"{name} {round(j * 360 / angles)}" for name in SETS[which] for j in range(angles)],
        licence="made by formula (MIT, as this project)",
        origin="shapes and orientations after dSprites (Matthey et al. 2017)",
        flip=False,
        upright=False,
    )
