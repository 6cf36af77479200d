"""Dead leaves: an image covered with overlapping copies of one shape; the label is the shape.

The dead leaves model is Matheron's; images of it were used for training by Baradad et al., NeurIPS 2021.
"""

import numpy as np

from benchmark.data.embedded.canvas import SIDE, balanced, generator, pixels, splits, tint
from benchmark.data.embedded.silhouettes import FINE, place
from benchmark.data.examples import Examples, adapter


def ring(corners: int, inner: float = 1.0, squash: float = 1.0) -> list[tuple[float, float]]:
    """A regular polygon, or with inner < 1 a star of as many points; `squash` flattens it."""
    steps = corners if inner == 1.0 else 2 * corners
    angle = np.arange(steps) * 2 * np.pi / steps
    radius = np.where(np.arange(steps) % 2, inner, 1.0)
    return list(zip(radius * np.cos(angle), radius * np.sin(angle) * squash, strict=True))


SHAPES = {
    "a": {
        "disc": ring(16),
        "square": ring(4),
        "triangle": ring(3),
        "bar": [(-1, -0.22), (1, -0.22), (1, 0.22), (-1, 0.22)],
        "star": ring(5, 0.42),
        "half disc": [(np.cos(a), np.sin(a) - 0.4) for a in np.linspace(0, np.pi, 10)],
        "cross": ring(4, 0.35),
        "ellipse": ring(16, squash=0.45),
    },
    "b": {
        "pentagon": ring(5),
        "rhombus": ring(4, squash=0.5),
        "sliver": [(-1, -0.3), (1, 0), (-1, 0.3)],
        "trefoil": ring(3, 0.35),
        "gear": ring(8, 0.65),
        "chevron": [(-0.9, -0.8), (0, -0.3), (0.9, -0.8), (0.9, -0.1), (0, 0.5), (-0.9, -0.1)],
        "ell": [(-0.8, -0.9), (-0.2, -0.9), (-0.2, 0.3), (0.8, 0.3), (0.8, 0.9), (-0.8, 0.9)],
        "bow": [(-0.9, -0.6), (0, -0.1), (0.9, -0.6), (0.9, 0.6), (0, 0.1), (-0.9, 0.6)],
    },
}


def litter(shape: np.ndarray, pile: int, radii: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """(32, 32) of mean 0 and deviation 1: copies of the shape at any place and angle, each of its own grey."""
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (SIDE * FINE, SIDE * FINE), 128)
    draw = ImageDraw.Draw(canvas)
    centres, angles = rng.uniform(-2, SIDE + 2, (pile, 2)), rng.uniform(0, 360, pile)
    greys = rng.integers(0, 256, pile)
    sizes = np.sort(rng.uniform(*radii, pile))[::-1]  # large below, small on top: more outlines survive
    for centre, angle, size, grey in zip(centres, angles, sizes, greys, strict=True):
        corners = place(shape, angle, size, centre) * FINE
        draw.polygon([(x, y) for x, y in corners.tolist()], fill=int(grey))
    levels = np.asarray(canvas.reduce(FINE), np.float64)
    return (levels - levels.mean()) / levels.std()


@adapter(version=1)
def leaves(
    which: str = "a",
    train: int = 480,
    test: int = 800,
    pile: int = 30,
    radius_min: float = 4.0,
    radius_max: float = 8.0,
    noise: float = 0.04,
    seed: int = 0,
) -> Examples:
    """Heaps of one shape in random greys under a tint, turned at random; the label is the shape.

    which                   set of eight shapes: "a" or "b"
    pile                    copies in an image
    radius_min, radius_max  their range of radii in pixels
    noise                   standard deviation of what is added to levels in [0, 1]
    """
    if which not in SHAPES:
        raise ValueError(f"which must be one of {', '.join(SHAPES)}. Got {which!r}. Name one of them.")
    rng = generator("leaves", which, seed)
    names = list(SHAPES[which])
    shapes = [equal_area(np.array(SHAPES[which][name])) for name in names]
    labels = np.concatenate([balanced(train, len(names), rng), balanced(test, len(names), rng)])
    grey = np.stack([litter(shapes[k], pile, (radius_min, radius_max), rng) for k in labels])
    contrast, mean = rng.uniform(0.12, 0.22, (len(grey), 1, 1)), rng.uniform(0.38, 0.62, (len(grey), 1, 1))
    colour = tint(mean + contrast * grey, rng, dark=(0, 0), bright=(1, 1), colour=0.1)
    return Examples(
        images=pixels(colour + rng.normal(0, noise, colour.shape)),
        labels=labels,
        split=splits(train, test),
        class_names=names,
        licence="made by formula (MIT, as this project)",
        origin="dead leaves model",
        upright=False,
    )


def equal_area(corners: np.ndarray) -> np.ndarray:
    """The polygon (k, 2) scaled to the area 2, so that size does not tell the shapes apart (shoelace formula)."""
    x, y = corners.T
    area = abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2
    return corners * np.sqrt(2 / area)
