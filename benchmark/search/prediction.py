"""What a trained model says of images: probabilities for each, and which could not be read."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.config.model import ModelSpec
from benchmark.data import packs
from benchmark.data.images import SUFFIXES, image_files, scaled, told
from benchmark.errors import ConfigError
from benchmark.files import put

BATCH = 64


def find(images: Sequence[str]) -> list[Path]:
    """The image files that paths of images and folders stand for; ConfigError for one that stands for none."""
    if not images:
        raise ConfigError("an image or a folder of images must be given. Got none. Add its path to the command.")
    files: list[Path] = []
    passed: Counter[str] = Counter()
    for name in images:
        path = Path(name).expanduser()
        if path.is_dir():
            inside = image_files(path, passed)
            if not inside:
                raise ConfigError(f"a folder must hold images ({', '.join(sorted(SUFFIXES))}). Got none in '{path}'.")
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise ConfigError(f"an image or a folder must exist. Got nothing at '{path}'. Check the path.")
    if line := told(passed):
        print(line, file=sys.stderr)
    return list(dict.fromkeys(files))


def batches(files: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for first in range(0, len(files), BATCH):
        yield files[first : first + BATCH]


def view(image: Any, spec: ModelSpec, pack_size: int) -> np.ndarray:
    """(s, s, 3) uint8 pixels of an image as in the test: scaled as in a pack, then the model's centre crop."""
    pixels = scaled(image, pack_size)
    one = packs.Pack(
        name="",
        images=pixels.reshape(-1),
        offsets=np.array([0, pixels.size]),
        shapes=np.array([pixels.shape[:2]]),
        labels=np.zeros(1, np.int64),
        split=np.zeros(1, np.uint8),
        class_names=[],
        multilabel=False,
        meta={},
    )
    frame, size = spec.frame(pack_size), spec.input_size
    edge = (frame - size) // 2
    return one.stack([0], frame)[0, edge : edge + size, edge : edge + size]


def probabilities(outputs: np.ndarray, multilabel: bool) -> np.ndarray:
    """Shares (n, c) from outputs (n, c): they sum to 1 over the classes, or are each label's own for multi-label."""
    outputs = outputs.astype(np.float64)
    if multilabel:
        return 1 / (1 + np.exp(-outputs))
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


NONE = "none of these"


def probabilities_of(outputs: np.ndarray, about: Any) -> np.ndarray:
    """Probabilities (n, c) by a checkpoint: calibrated where it is."""
    calibrated = about.calibration or {}
    return probabilities(outputs / calibrated.get("temperature", 1.0), about.multilabel)


def answers(shares: np.ndarray, about: Any) -> list[list[int]]:
    """The classes to name for each image, the likeliest first: one, none where it is below the checkpoint's threshold,
    or for multi-label all above one half."""
    ranked = np.argsort(-shares, axis=1, kind="stable")
    if not about.multilabel:
        least = (about.calibration or {}).get("threshold") or 0.0
        return [[int(row[0])] if of[row[0]] >= least else [] for row, of in zip(ranked, shares, strict=True)]
    return [[int(c) for c in row if of[c] > 0.5] for row, of in zip(ranked, shares, strict=True)]


def rule(about: Any) -> str:
    """When a checkpoint says that an image shows none of its classes, and how that was chosen; empty: never."""
    threshold = (about.calibration or {}).get("threshold")
    if threshold is None:
        return ""
    return (
        f"{NONE}: the highest probability is below {threshold:.3f}, as for 5 % of the rightly named of "
        f"{about.calibration['images']} images that were not trained on"
    )


def show(files: Sequence[Path], shares: np.ndarray, about: Any) -> None:
    """Print a table, an image a row."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    measure = "mean average precision" if about.multilabel else "accuracy"
    test = f"test {measure} {about.test['oracle']:.1f} %"
    table = Table(box=None, pad_edge=False)
    table.add_column("image", overflow="fold")
    table.add_column("labels" if about.multilabel else "class", overflow="fold")
    table.add_column("probability", justify="right")
    for file, of, named in zip(files, shares, answers(shares, about), strict=True):
        words = ", ".join(about.class_names[c] for c in named) or ("none" if about.multilabel else NONE)
        table.add_row(escape(_readable(file)), escape(words), ", ".join(f"{of[c]:.3f}" for c in named))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(f"{about.spec.name}, {len(about.class_names)} classes, {test}", markup=False)
    if said := rule(about):
        console.print(said, markup=False)
    console.print(table)


def _readable(path: Path) -> str:
    """A path that any terminal takes: bytes of its name that are not UTF-8 are written as \\udc.."""
    return str(path).encode(errors="backslashreplace").decode()


def write(out: Path, files: Sequence[Path], shares: np.ndarray, about: Any) -> None:
    """The predictions as CSV, whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["image", "class", "probability", *(f"p({name})" for name in about.class_names)])
    for path, of, named in zip(files, shares, answers(shares, about), strict=True):
        words = "; ".join(about.class_names[c] for c in named) or ("" if about.multilabel else NONE)
        chances = "; ".join(f"{of[c]:.6f}" for c in named)
        rows.writerow([path, words, chances, *(f"{p:.6f}" for p in of)])
    content = text.getvalue().encode(errors="backslashreplace")
    put(out, content) if out.is_file() or not out.exists() else out.write_bytes(content)  # or a pipe
