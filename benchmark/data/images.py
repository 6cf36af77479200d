"""One image: from the bytes of a file to RGB pixels of a given short side, and which files are images at all."""

from __future__ import annotations

import io
import os
import re
import threading
import warnings
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from benchmark.data.depth import ROWS, Levels, as_image, eight_bits, kind_of

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
SUFFIXES |= {".jfif", ".jpe", ".jp2", ".j2k", ".apng", ".avif", ".dib", ".pbm", ".pnm", ".tga"}


TOOLS = {"@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN", "lost+found", "System Volume Information", "__pycache__"}
"""Folders of file servers, archivers and systems; those of other tools begin with a dot."""


LARGE = 2_000_000  # pixels
ONE_AT_A_TIME = threading.Lock()
"""Held while a large image is turned into RGB: it is in memory twice then."""
LONGEST = 120  # characters of a decoder's complaint


class UnreadableImageError(ValueError):
    """An image that cannot be decoded; the message names the file or the row."""


def resize(image: Image.Image, size: int) -> Image.Image:
    """The image with its short side at `size` pixels, aspect kept (long side rounded)."""
    width, height = image.size
    short = min(width, height)
    new = (max(size, round(width * size / short)), max(size, round(height * size / short)))
    return image if new == image.size else image.resize(new, Image.Resampling.BICUBIC)


def decode(
    data: bytes | Path | np.ndarray, where: str, enough: int | None = None, levels: Levels | None = None
) -> Image.Image:
    """An RGB image from a file, its bytes or an array, turned as its EXIF says. `where` names it in errors.

    enough  pixels that both sides need: a JPEG is decoded at the smallest of its own scales that has them. An image of
            more than 8 bits is then grey, in a quarter of the memory
    levels  the range of numbers that becomes 0 to 255 where an image has more than 8 bits, see benchmark.data.depth
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF and palettes; the pixels are what counts
            image = opened(data)
            if isinstance(image, np.ndarray):
                return eight_bits(image, levels).convert("RGB")
            if enough:
                image.draft("RGB", (enough, enough))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            if kind_of(image.mode):
                grey = eight_bits(image, levels)
                return grey if enough else grey.convert("RGB")
            if image.mode == "RGB" and getattr(image, "fp", None) is None:  # else of several pictures, and open
                return on_white(image) if image.has_transparency_data else image
            with ONE_AT_A_TIME if image.width * image.height >= LARGE else nullcontext():
                return on_white(image) if image.has_transparency_data else image.convert("RGB")
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged bytes
        raise UnreadableImageError(f"{where} ({reason_of(error)})") from error


def opened(data: bytes | Path | np.ndarray) -> Image.Image | np.ndarray:
    """An image that is not decoded yet, or an array of more than 8 bits."""
    if isinstance(data, np.ndarray):
        return as_image(data)
    return Image.open(data if isinstance(data, Path) else io.BytesIO(data))


def reason_of(error: Exception) -> str:
    """Why an image cannot be read, the same in every run and at every place."""
    if isinstance(error, UnidentifiedImageError):  # its text names a buffer, which says nothing
        return "no kind of image that Pillow reads"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # without the path
    text = re.sub(r"<[^<>]* at 0x[0-9a-f]+>", "a buffer", f"{type(error).__name__}: {error}".partition("\n")[0])
    return re.sub(r"0x[0-9a-f]{6,}", "…", text)[:LONGEST]


def on_white(image: Image.Image) -> Image.Image:
    """What shows through is white: dropped, the colour beneath would appear. Some rows at a time."""
    out = Image.new("RGB", image.size)
    for top in range(0, image.height, ROWS):
        part = image.crop((0, top, image.width, min(top + ROWS, image.height))).convert("RGBA")
        out.paste(Image.alpha_composite(Image.new("RGBA", part.size, "white"), part).convert("RGB"), (0, top))
    return out


def scaled(image: np.ndarray | Image.Image, size: int) -> np.ndarray:
    """(h, w, 3) uint8 pixels with the short side scaled down to `size`, never up."""
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"an image must be (h, w, 3) uint8. Got {image.shape} {image.dtype}. Correct the adapter.")
        if min(image.shape[:2]) <= size:
            return np.ascontiguousarray(image)
        image = Image.fromarray(image)
    if image.mode not in ("RGB", "L"):
        image = image.convert("RGB")
    small = resize(image, size) if min(image.size) > size else image
    return np.ascontiguousarray(small.convert("RGB"))


def is_tool(name: str) -> bool:
    """Whether a file or folder is hidden, or one that a tool made for itself: .git, .ipynb_checkpoints, @eaDir …"""
    return name.startswith(".") or name in TOOLS


def visible(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if not is_tool(p.name))


def is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and os.path.isfile(path)


def class_files(folder: Path, passed: Counter[str] | None = None) -> dict[str, list[Path]]:
    """Image files under each class folder, at any depth, sorted; `passed` as in `image_files`."""
    above = os.path.realpath(folder)
    return {sub.name: image_files(sub, passed, (above,)) for sub in visible(folder) if sub.is_dir()}


def image_files(folder: Path, passed: Counter[str] | None = None, above: tuple[str, ...] = ()) -> list[Path]:
    """Image files below a folder, at any depth, sorted; links are followed, but not in a circle.

    passed  counts what is passed over, by suffix, as a broken or circular link, or by the tool whose folder holds it
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
            inside = image_files(path, Counter() if is_tool(entry.name) else passed, (*above, real))
            if is_tool(entry.name):
                passed[f"image in {entry.name}/"] += len(inside)
            else:
                found += inside
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
