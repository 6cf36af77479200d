"""What the embedded data sets draw with: seeded generators, warping, colouring, noise. Grey levels lie in [0, 1].

Everything is float64 until the last rounding, so that another processor's last bits do not change a pixel.
"""

import hashlib

import numpy as np

SIDE = 32  # pixels of every embedded image
TRAIN, TEST = 0, 1


def generator(*parts: object) -> np.random.Generator:
    """A generator that depends on all the parts and on nothing else."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def balanced(n: int, c: int, rng: np.random.Generator) -> np.ndarray:
    """n class ids in random order, each class as often as any other (to within one)."""
    return rng.permutation(np.arange(n) % c)


def splits(train: int, test: int) -> np.ndarray:
    """(train + test,) 0 for the first `train`, 1 for the rest."""
    return np.repeat([TRAIN, TEST], [train, test])


def warp(grey: np.ndarray, degrees: float, scale: float, shift: tuple[float, float], side: int = SIDE) -> np.ndarray:
    """The image turned and scaled about its centre and then moved, on a (side, side) canvas of zeros.

    scale  output pixels per input pixel; shift  (down, right) in output pixels
    """
    from scipy import ndimage  # slow to import, and not needed to plan

    angle = np.deg2rad(degrees)
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
    middle_in = (np.array(grey.shape) - 1) / 2
    middle_out = (side - 1) / 2 + np.asarray(shift)
    smooth = ndimage.gaussian_filter(grey, 0.4 / scale) if scale < 0.8 else grey  # against aliasing
    return ndimage.affine_transform(
        smooth, back, middle_in - back @ middle_out, output_shape=(side, side), order=1, prefilter=False
    )


def pixels(images: np.ndarray) -> np.ndarray:
    """uint8 from [0, 1], clipped and rounded."""
    return np.rint(255 * np.clip(images, 0, 1)).astype(np.uint8)


def grey_to_rgb(images: np.ndarray) -> np.ndarray:
    """(n, h, w) in [0, 1] to (n, h, w, 3) uint8."""
    return np.repeat(pixels(images)[..., None], 3, axis=-1)


def tint(
    grey: np.ndarray, rng: np.random.Generator, dark: tuple[float, float], bright: tuple[float, float], colour: float
) -> np.ndarray:
    """Each image (n, h, w) between a random dark and a random bright colour: (n, h, w, 3) in [0, 1].

    dark, bright  ranges of the two grey levels
    colour        half-width of what is added to each channel of either
    """
    n = len(grey)
    low = rng.uniform(*dark, (n, 1, 1, 1)) + rng.uniform(-colour, colour, (n, 1, 1, 3))
    high = rng.uniform(*bright, (n, 1, 1, 1)) + rng.uniform(-colour, colour, (n, 1, 1, 3))
    return low + grey[..., None] * (high - low)
