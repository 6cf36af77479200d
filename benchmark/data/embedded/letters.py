"""Letters rendered from the TrueType fonts that matplotlib ships; train and test fonts are of other families."""

import string
from pathlib import Path

import numpy as np

from benchmark.data.embedded.canvas import balanced, generator, pixels, splits, tint, warp
from benchmark.data.examples import Examples, adapter, package_folder

ALPHABETS = {"upper": string.ascii_uppercase, "lower": string.ascii_lowercase}
# Only faces that draw all of a-z and A-Z as plain letters: no LastResort (placeholders), no symbol fonts.
FAMILIES = {
    "dejavu": (
        "DejaVuSans.ttf",
        "DejaVuSans-Bold.ttf",
        "DejaVuSans-Oblique.ttf",
        "DejaVuSans-BoldOblique.ttf",
        "DejaVuSansMono.ttf",
        "DejaVuSansMono-Bold.ttf",
        "DejaVuSansMono-Oblique.ttf",
        "DejaVuSansMono-BoldOblique.ttf",
        "DejaVuSerif.ttf",
        "DejaVuSerif-Bold.ttf",
        "DejaVuSerif-Italic.ttf",
        "DejaVuSerif-BoldItalic.ttf",
    ),
    "stix": ("STIXGeneral.ttf", "STIXGeneralBol.ttf", "STIXGeneralItalic.ttf", "STIXGeneralBolIta.ttf"),
    "cm": ("cmr10.ttf", "cmb10.ttf", "cmss10.ttf", "cmtt10.ttf", "cmti10.ttf", "cmmi10.ttf"),
}
TRAIN_FAMILIES, TEST_FAMILIES = ("dejavu",), ("stix", "cm")
EM = 72  # pixels that letters are drawn at before they are scaled down


def fonts(families: tuple[str, ...]) -> list[Path]:
    folder = package_folder("matplotlib") / "mpl-data" / "fonts" / "ttf"
    return [folder / name for family in families for name in FAMILIES[family]]


def font_files(**_: object) -> list[Path]:
    return fonts(TRAIN_FAMILIES + TEST_FAMILIES)


def draw(file: Path, letters: str) -> list[np.ndarray]:
    """Each letter's ink as a tight (h, w) array in [0, 1]."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(str(file), EM, layout_engine=ImageFont.Layout.BASIC)
    out = []
    for letter in letters:
        left, top, right, bottom = map(int, font.getbbox(letter))  # whole pixels
        canvas = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(canvas).text((-left, -top), letter, fill=255, font=font)
        out.append(np.asarray(canvas, np.float64) / 255)
    return out


@adapter(version=1, inputs=font_files)
def glyphs(
    letters: str = "upper", train: int = 520, test: int = 780, noise: float = 0.1, turn: float = 15.0, seed: int = 0
) -> Examples:
    """Letters, bright on dark with a mild tint: which letter is it.

    letters  "upper" (A-Z) or "lower" (a-z)
    noise    standard deviation of what is added to grey levels in [0, 1]
    turn     most degrees of rotation

    Training images are set in the DejaVu families, test images in STIX and Computer Modern.
    """
    if letters not in ALPHABETS:
        raise ValueError(f"letters must be one of {', '.join(ALPHABETS)}. Got {letters!r}. Name one of them.")
    alphabet = ALPHABETS[letters]
    rng = generator("glyphs", letters, seed)
    parts = [set_in(TRAIN_FAMILIES, alphabet, train, turn, rng), set_in(TEST_FAMILIES, alphabet, test, turn, rng)]
    grey = np.concatenate([part for part, _ in parts])
    colour = tint(grey, rng, dark=(0.05, 0.3), bright=(0.6, 0.95), colour=0.1)
    return Examples(
        images=pixels(colour + rng.normal(0, noise, colour.shape)),
        labels=np.concatenate([labels for _, labels in parts]),
        split=splits(train, test),
        class_names=list(alphabet),
        licence="fonts: Bitstream Vera and DejaVu; STIX Font License; Computer Modern: BaKoMa Fonts Licence",
        origin="rendered from the fonts that matplotlib ships",
        flip=False,
    )


def set_in(
    families: tuple[str, ...], alphabet: str, n: int, turn: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """n letters in random faces of the families: (n, 32, 32) in [0, 1], and their class ids."""
    drawn = [draw(file, alphabet) for file in fonts(families)]
    labels = balanced(n, len(alphabet), rng)
    out = np.empty((n, 32, 32))
    for i, k in enumerate(labels):
        ink = drawn[rng.integers(len(drawn))][k]
        size = rng.uniform(15, 24) / max(ink.shape)
        out[i] = warp(ink, rng.uniform(-turn, turn), size, tuple(rng.uniform(-4, 4, 2)))
    return out, labels
