"""One image: from the bytes of a file to RGB pixels of a given short side, and which files are images at all."""

from __future__ import annotations

import io
import os
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
SUFFIXES |= {".jfif", ".jpe", ".jp2", ".j2k", ".apng", ".avif", ".dib", ".pbm", ".pnm", ".tga"}


class UnreadableImageError(ValueError):
    """An image that cannot be decoded; the message names the file or the row."""


def resize(image: Image.Image, size: int) -> Image.Image:
    """The image with its short side at `size` pixels, aspect kept (long side rounded)."""
    width, height = image.size
    short = min(width, height)
    new = (max(size, round(width * size / short)), max(size, round(height * size / short)))
    return image if new == image.size else image.resize(new, Image.Resampling.BICUBIC)


def decode(data: bytes, where: str, enough: int | None = None) -> Image.Image:
    """An RGB image from the bytes of a file, turned as its EXIF says. `where` names it in errors.

    enough  pixels that both sides need: a JPEG is decoded at the smallest of its own scales that has them
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF and palettes; the pixels are what counts
            file = Image.open(io.BytesIO(data))
            if enough:
                file.draft("RGB", (enough, enough))
            file.load()
            image: Image.Image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip at 255
                return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
            if image.has_transparency_data:  # what shows through is white: dropped, the colour beneath would appear
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return image.convert("RGB")
    except UnidentifiedImageError as error:  # its text names a buffer, which says nothing
        raise UnreadableImageError(f"{where} (no kind of image that Pillow reads)") from error
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged bytes
        reason = f"{type(error).__name__}: {error}"
        raise UnreadableImageError(f"{where} ({reason})") from error


def scaled(image: np.ndarray | Image.Image, size: int) -> np.ndarray:
    """(h, w, 3) uint8 pixels with the short side scaled down to `size`, never up."""
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"an image must be (h, w, 3) uint8. Got {image.shape} {image.dtype}. Correct the adapter.")
        if min(image.shape[:2]) <= size:
            return np.ascontiguousarray(image)
        image = Image.fromarray(image)
    image = image.convert("RGB")
    return np.ascontiguousarray(resize(image, size) if min(image.size) > size else image)


def visible(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if not p.name.startswith("."))


def is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and os.path.isfile(path)


def class_files(folder: Path, passed: Counter[str] | None = None) -> dict[str, list[Path]]:
    """Image files under each class folder, at any depth, sorted; `passed` as in `image_files`."""
    above = os.path.realpath(folder)
    return {sub.name: image_files(sub, passed, (above,)) for sub in visible(folder) if sub.is_dir()}


def image_files(folder: Path, passed: Counter[str] | None = None, above: tuple[str, ...] = ()) -> list[Path]:
    """Image files below a folder, at any depth, sorted; links are followed, but not in a circle.

    passed  counts what is passed over, by suffix or as a broken or circular link
    above   real paths of the folders that it was reached by
    """
    passed = Counter() if passed is None else passed
    real = os.path.realpath(folder)
    if any(os.path.commonpath([real, one]) == real for one in above):
        passed["link to a folder above it"] += 1
        return []
    found: list[Path] = []
    try:
        entries = list(os.scandir(folder))
    except PermissionError:
        passed["folder that may not be opened"] += 1
        return []
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(path)):
            found += image_files(path, passed, (*above, real))
        elif entry.name.startswith("."):
            continue
        elif is_image(path):
            found.append(path)
        elif entry.is_symlink() and not os.path.exists(path):
            passed["broken link"] += 1
        else:
            passed[path.suffix.lower() or "file without a suffix"] += 1
    return sorted(found)


def told(passed: Counter[str]) -> str:
    """`3 files are passed over (.heic: 2, broken link: 1).`; empty where there is none."""
    each = ", ".join(f"{kind}: {n}" for kind, n in sorted(passed.items(), key=lambda item: (-item[1], item[0])))
    total = sum(passed.values())
    return f"{total} {'file is' if total == 1 else 'files are'} passed over ({each})." if total else ""
