"""Predict with a trained model: python -m benchmark.predict model=out/model.safetensors photo.jpg folder/

Prints the class and its probability for every image; `out=predictions.csv` writes all probabilities. Images are scaled
and cut as in training. What cannot be read is named, the rest is predicted, and the exit code is 2.
"""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from benchmark import packs
from benchmark.cli import settings
from benchmark.config import ConfigError, ModelSpec, RecipeSpec, Spec
from benchmark.files import put, writable
from benchmark.userdata import ENOUGH

USAGE = """python -m benchmark.predict model=<model.safetensors> <image or folder> … [out=<file.csv>] [device=auto]
                         [trust=<network>]

model is what a search with a budget wrote; folders are searched at any depth."""
BATCH = 64


class Settings(Spec):
    """What to predict with."""

    model: Path = Field(description="the checkpoint, model.safetensors")
    out: Path | None = Field(None, description="also write image, class, probability and those of all classes as CSV")
    device: str = Field("auto", description="auto, cpu or cuda")
    trust: str | None = Field(
        None, description="a network of your own that the checkpoint may name: my_package.my_module.MyNet"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; words without `=`, and those that name a file, are images."""
    given = sys.argv[1:] if argv is None else list(argv)
    images = [a for a in given if not a.startswith("-") and ("=" not in a or Path(a).exists())]
    rest = [_quoted(a) for a in given if a not in images]
    return settings(lambda chosen: run(chosen, images), Settings, USAGE, rest)


def _quoted(word: str) -> str:
    """A path may hold characters that mean something in Hydra's grammar."""
    key, equals, value = word.partition("=")
    plain = not equals or key not in ("model", "out") or value[:1] in ("'", '"') or value == "null"
    return word if plain else f"{key}='" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def run(chosen: Settings, images: Sequence[str]) -> int:
    """Predict, print, and return the exit code: 2 where an image could not be read."""
    from benchmark import trained

    if chosen.device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device must be auto, cpu or cuda. Got '{chosen.device}'.")
    if chosen.out:
        writable(chosen.out, folder=False)
    trained.read(chosen.model, chosen.trust)
    files = find(images)
    import torch  # takes seconds, which a refusal need not wait for

    from benchmark import finetune

    if chosen.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device must be one that PyTorch sees. Got 'cuda', and it sees none. Take device=cpu.")
    module, about = trained.load(chosen.model, chosen.trust)
    place = "cuda" if chosen.device != "cpu" and torch.cuda.is_available() else "cpu"
    module = finetune.to_device(module, about.spec, torch.device(place))
    read, unreadable, found = [], [], []
    for part in _batches(files):
        pixels = []
        for file in part:
            try:
                decoded = packs.decode(file.read_bytes(), str(file), ENOUGH)
                pixels.append(view(decoded, about.spec, about.pack_size))
                read.append(file)
            except (packs.UnreadableImageError, OSError) as error:
                unreadable.append(str(error))
        if pixels:
            found.append(finetune.predict(module, about.spec, torch.from_numpy(np.stack(pixels)), RecipeSpec()))
    if found:
        shares = probabilities(np.concatenate(found), about.multilabel)
        show(read, shares, about)
        if chosen.out:
            write(chosen.out, read, shares, about)
    for reason in unreadable:
        print(f"error: an image must be readable. Got {reason}. Repair or remove it.", file=sys.stderr)
    return 2 if unreadable else 0


def find(images: Sequence[str]) -> list[Path]:
    """The image files that paths of images and folders stand for; ConfigError for one that stands for none."""
    if not images:
        raise ConfigError("an image or a folder of images must be given. Got none. Add its path to the command.")
    files: list[Path] = []
    passed: Counter[str] = Counter()
    for name in images:
        path = Path(name).expanduser()
        if path.is_dir():
            inside = packs.image_files(path, passed)
            if not inside:
                raise ConfigError(
                    f"a folder must hold images ({', '.join(sorted(packs.SUFFIXES))}). Got none in '{path}'."
                )
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise ConfigError(f"an image or a folder must exist. Got nothing at '{path}'. Check the path.")
    if line := packs.told(passed):
        print(line, file=sys.stderr)
    return list(dict.fromkeys(files))


def _batches(files: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for first in range(0, len(files), BATCH):
        yield files[first : first + BATCH]


def view(image: Any, spec: ModelSpec, pack_size: int) -> np.ndarray:
    """(s, s, 3) uint8 pixels of an image as in the test: scaled as in a pack, then the model's centre crop."""
    pixels = packs.scaled(image, pack_size)
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


def answers(shares: np.ndarray, about: Any) -> list[list[int]]:
    """The classes to name for each image, the likeliest first: one, or for multi-label all above one half."""
    ranked = np.argsort(-shares, axis=1, kind="stable")
    if not about.multilabel:
        return [[int(row[0])] for row in ranked]
    return [[int(c) for c in row if of[c] > 0.5] for row, of in zip(ranked, shares, strict=True)]


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
        words = ", ".join(about.class_names[c] for c in named) or "none"
        table.add_row(escape(_readable(file)), escape(words), ", ".join(f"{of[c]:.3f}" for c in named))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(f"{about.spec.name}, {len(about.class_names)} classes, {test}", markup=False)
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
        words = "; ".join(about.class_names[c] for c in named)
        chances = "; ".join(f"{of[c]:.6f}" for c in named)
        rows.writerow([path, words, chances, *(f"{p:.6f}" for p in of)])
    content = text.getvalue().encode(errors="backslashreplace")
    put(out, content) if out.is_file() or not out.exists() else out.write_bytes(content)  # or a pipe


if __name__ == "__main__":
    sys.exit(main())
