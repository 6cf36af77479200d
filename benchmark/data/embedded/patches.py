"""Patches of the photographs in the scikit-image wheel: which photograph is the patch from."""

from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.data.embedded.canvas import SIDE, balanced, generator, pixels, splits, tint
from benchmark.data.examples import Examples, adapter, package_folder

# Two halves that share no photograph, each with man-made, natural, microscopic or astronomic subjects. Left out:
# cell and clock_motion (flat but for one object), motorcycle_right and microaneurysms (copies of subjects here).
HALVES = {
    "a": ("astronaut", "camera", "chelsea", "gravel", "hubble_deep_field", "ihc", "motorcycle_left", "page"),
    "b": ("brick", "coffee", "coins", "grass", "moon", "retina", "rocket", "text"),
}
# Parts of the width that patches may cover, (train, test); a patch lies inside one of them.
BANDS = (((0.0, 0.22), (0.36, 0.64), (0.78, 1.0)), ((0.22, 0.36), (0.64, 0.78)))
TALLEST = 512  # higher photographs are scaled down to this, so that a patch shows about as much of each
FLATTEST = 14.0  # least standard deviation of a patch, in grey levels of 255


def photo_file(name: str) -> Path:
    folder = package_folder("skimage") / "data"
    return folder / f"{name}.jpg" if (folder / f"{name}.jpg").exists() else folder / f"{name}.png"


def photo_files(half: str = "a", **_: object) -> list[Path]:
    if half not in HALVES:
        raise ValueError(f"half must be one of {', '.join(HALVES)}. Got {half!r}. Name one of them.")
    return [photo_file(name) for name in HALVES[half]]


def read_grey(file: Path) -> Image.Image:
    """The photograph as a grey Pillow image, at most TALLEST high."""
    image = Image.open(file).convert("RGB").convert("L")
    if image.height > TALLEST:
        image = image.resize((round(image.width * TALLEST / image.height), TALLEST), Image.Resampling.BICUBIC)
    return image


def bands(width: int, split: int) -> list[tuple[int, int]]:
    """Columns [from, to) that a patch of the split may cover."""
    return [(round(start * width), round(stop * width)) for start, stop in BANDS[split]]


def cut(photo: Image.Image, split: int, side: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A patch (32, 32) of mean 0 and deviation 1, cut at random where the split may and not flat."""
    choices = bands(photo.width, split)
    for _ in range(1000):
        start, stop = choices[rng.integers(len(choices))]
        size = int(rng.integers(side[0], side[1] + 1))
        x, y = int(rng.integers(start, stop - size + 1)), int(rng.integers(0, photo.height - size + 1))
        patch = photo.crop((x, y, x + size, y + size))
        if np.asarray(patch, np.float64).std() >= FLATTEST:
            break
    pixels = np.asarray(patch.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float64)
    return (pixels - pixels.mean()) / max(pixels.std(), 1)


@adapter(version=1, inputs=photo_files)
def photos(
    half: str = "a",
    train: int = 360,
    test: int = 640,
    side_min: int = 24,
    side_max: int = 40,
    noise: float = 0.08,
    seed: int = 0,
) -> Examples:
    """Patches of eight photographs; the label is the photograph.

    half                 which eight: "a" or "b", without a photograph in common
    side_min, side_max   range of the patch's side in the photograph, before it is scaled to 32 pixels
    noise                standard deviation of what is added to levels in [0, 1]

    Training and test patches come from alternate bands of the photograph's width and never overlap. All are made
    grey, brought to a random mean and contrast and tinted, so that colour and brightness do not tell. Half are
    mirrored.
    """
    rng = generator("photos", half, seed)
    loaded = [read_grey(file) for file in photo_files(half)]
    split = splits(train, test)
    labels = np.concatenate([balanced(train, len(loaded), rng), balanced(test, len(loaded), rng)])
    grey = np.stack([cut(loaded[k], s, (side_min, side_max), rng) for k, s in zip(labels, split, strict=True)])
    mirrored = rng.random(len(grey)) < 0.5
    grey[mirrored] = grey[mirrored, :, ::-1]
    contrast, mean = rng.uniform(0.1, 0.22, (len(grey), 1, 1)), rng.uniform(0.38, 0.62, (len(grey), 1, 1))
    colour = tint(mean + contrast * grey, rng, dark=(0, 0), bright=(1, 1), colour=0.12)
    return Examples(
        images=pixels(colour + rng.normal(0, noise, colour.shape)),
        labels=labels,
        split=split,
        class_names=list(HALVES[half]),
        licence="as scikit-image states for each (docs/data.md): CC0 or public domain, for some none stated",
        origin="photographs in the scikit-image wheel",
        upright=False,
    )
