"""Predict with a trained model: python -m benchmark.predict model=out/model.safetensors photo.jpg folder/

Prints the class and its probability for every image, calibrated where the checkpoint is, and "none of these" below its
threshold; `out=predictions.csv` writes all probabilities. Images are scaled
and cut as in training. What cannot be read is named, the rest is predicted, and the exit code is 2.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from benchmark.config.cli import settings
from benchmark.config.spec import Spec
from benchmark.data.images import UnreadableImageError, decode
from benchmark.data.user.look import ENOUGH
from benchmark.errors import ConfigError
from benchmark.files import writable
from benchmark.search import checkpoint, export, trained_model
from benchmark.search.checkpoint import Checkpoint
from benchmark.search.prediction import batches, find, probabilities_of, show, view, write

USAGE = """python -m benchmark.predict model=<model.safetensors> <image or folder> … [out=<file.csv>] [device=auto]
                         [trust=<network>]
python -m benchmark.predict model=<model.safetensors> export=onnx [<image or folder>]
python -m benchmark.predict model=<model.safetensors> serve=true [port=8000]      a page to drop images on

model is what a search with a budget wrote; folders are searched at any depth."""


class Settings(Spec):
    """What to predict with."""

    model: Path = Field(description="the checkpoint, model.safetensors")
    out: Path | None = Field(None, description="also write image, class, probability and those of all classes as CSV")
    device: str = Field("auto", description="auto, cpu or cuda")
    export: Literal["onnx", "torchscript"] | list[Literal["onnx", "torchscript"]] | None = Field(
        None, description="write the model as onnx, torchscript or [onnx,torchscript] beside it, and predict nothing"
    )
    serve: bool = Field(False, description="open a page on this machine to drop images on, instead")
    port: int = Field(8000, ge=0, le=65535, description="of that page; 0: any that is free")
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

    if chosen.device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device must be auto, cpu or cuda. Got '{chosen.device}'.")
    if chosen.serve:
        return served(chosen, images)
    if chosen.out:
        writable(chosen.out, folder=False)
    about = checkpoint.read(chosen.model, chosen.trust)
    if chosen.export:
        return exported(chosen, about, images)
    files = find(images)
    model = trained_model.TrainedModel.load(chosen.model, chosen.trust, chosen.device)
    read, unreadable, found = [], [], []
    for part in batches(files):
        pixels = []
        for file in part:
            try:
                pixels.append(model.seen(file.read_bytes(), str(file)))
                read.append(file)
            except (UnreadableImageError, OSError) as error:
                unreadable.append(str(error))
        if pixels:
            found.append(model.outputs(pixels))
    if found:
        shares = probabilities_of(np.concatenate(found), about)
        show(read, shares, about)
        if chosen.out:
            write(chosen.out, read, shares, about)
    for reason in unreadable:
        print(f"error: an image must be readable. Got {reason}. Repair or remove it.", file=sys.stderr)
    return 2 if unreadable else 0


def served(chosen: Settings, images: Sequence[str]) -> int:
    """A page on this machine to drop images on, until Ctrl+C."""
    if images or chosen.out or chosen.export:
        raise ConfigError("serve must come without images, out and export: images are dropped on the page. Got some.")
    from benchmark.search import serving

    model = trained_model.TrainedModel.load(chosen.model, chosen.trust, chosen.device)
    with serving.server(model, chosen.port) as listening:
        print(f"http://{serving.ADDRESS}:{listening.server_address[1]}/", flush=True)
        print("Open this page in a browser of this machine; images stay on it. Ctrl+C ends it.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            listening.serve_forever()
    return 0


def exported(chosen: Settings, about: Checkpoint, images: Sequence[str]) -> int:
    """Write the model in other forms, checked on the first of the images where some are given."""

    wanted = export.kinds(chosen.export)
    decoded = (
        [decode(f.read_bytes(), str(f), ENOUGH, about.levels) for f in find(images)[: export.CHECKED]] if images else []
    )
    pixels = np.stack([view(one, about.spec, about.pack_size) for one in decoded]) if decoded else None
    for made in export.of_checkpoint(chosen.model, wanted, pixels, chosen.trust):
        print(made.sentence)
    return 0


if __name__ == "__main__":
    sys.exit(main())
