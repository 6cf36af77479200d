"""The released networks compute what they were published for: the figures of ../shared/weights/README.md, made again.

Those files and packs are not part of the project; where they are absent, these tests are skipped.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageDraw
from torch import nn

from benchmark import models
from benchmark.config import ModelSpec
from benchmark.probe import forward

BANK = yaml.safe_load((Path(__file__).resolve().parents[1] / "conf/bank/public.yaml").read_text(encoding="utf-8"))
SHARED = Path(__file__).resolve().parents[2] / "shared"

pytestmark = pytest.mark.skipif(
    not (SHARED / "weights").is_dir() or not (SHARED / "data").is_dir(),
    reason="no ../shared/weights and ../shared/data: released networks and packs are not part of the project",
)


def released(name: str) -> tuple[ModelSpec, nn.Module]:
    entry = BANK[name] | {"weights": BANK[name]["weights"].replace("${paths.weights}", str(SHARED / "weights"))}
    spec = ModelSpec(name=name, **entry)
    return spec, models.load(spec, None)[0].eval()


@cache
def columns(pack: str) -> tuple[list[bytes], np.ndarray, np.ndarray, list[str]]:
    """Encoded images, labels, splits and names of classes of a pack."""
    import json

    from pyarrow import parquet

    table = parquet.read_table(SHARED / "data" / f"{pack}.parquet")
    images = [image["bytes"] for image in table["image"].to_pylist()]
    names = json.loads(table.schema.metadata[b"class_names"])
    return images, np.array(table["label"].to_pylist()), np.array(table["split"].to_pylist()), names


def decoded(image: bytes) -> Image.Image:
    return Image.open(io.BytesIO(image)).convert("RGB")


def outputs(name: str, images: list[Image.Image], batch: int = 32) -> np.ndarray:
    """What a network says of images that are squashed to its own input size."""
    spec, module = released(name)
    size = (spec.input_size, spec.input_size)
    pixels = np.stack([np.asarray(i if i.size == size else i.resize(size, Image.Resampling.BICUBIC)) for i in images])
    return forward(module, spec, torch.from_numpy(pixels).split(batch))[1]


def drawn(shape: str) -> Image.Image:
    """A shape in strokes of 16 of 256 pixels, as Quick, Draw! draws its bitmaps before it scales them to 28."""
    image = Image.new("RGB", (256, 256), "white")
    draw = ImageDraw.Draw(image)
    corners = {
        "square": [(28, 28), (228, 28), (228, 228), (28, 228), (28, 28)],
        "triangle": [(128, 28), (228, 228), (28, 228), (128, 28)],
        "line": [(28, 128), (228, 128)],
        "zigzag": [(28, 150), (68, 100), (108, 150), (148, 100), (188, 150), (228, 100)],
    }
    if shape == "circle":
        draw.ellipse((28, 28, 228, 228), outline="black", width=16)
    else:
        draw.line(corners[shape], fill="black", width=16, joint="curve")
    return image


def test_doodlenet_names_drawn_shapes() -> None:
    places = {"circle": 140, "square": 71, "triangle": 264, "line": 87, "zigzag": 291}  # in the authors' list of 345
    found = outputs("doodlenet-quickdraw", [drawn(shape) for shape in places]).argmax(1)
    assert found.tolist() == list(places.values())


def test_cifar_resnet_reaches_the_stated_accuracy() -> None:
    images, labels, split, _ = columns("cifar10")
    first = np.flatnonzero(split == "test")[:500]
    right = outputs("resnet20-cifar10", [decoded(images[i]) for i in first], 250).argmax(1) == labels[first]
    assert 100 * right.mean() == pytest.approx(72.6, abs=0.41)  # two images: near ties differ between processors


def original(name: str, images: list[Image.Image]) -> np.ndarray:
    """Probabilities of the authors' own classes of a Mini-Xception, for grey images."""
    spec, module = released(name)
    grey = [image.convert("L").convert("RGB").resize((64, 64), Image.Resampling.BICUBIC) for image in images]
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in grey])).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return module.original((pixels / 255 - 0.5) / 0.5).softmax(1).numpy()


def test_mini_xception_sees_the_astronaut_smile() -> None:
    data = pytest.importorskip("skimage.data", reason="the astronaut's photograph comes with scikit-image")
    face = Image.fromarray(data.astronaut()).crop((160, 60, 300, 200))
    emotions = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    assert original("mini_xception-fer2013", [face])[0, emotions.index("happy")] > 0.98


def test_mini_xception_tells_men_from_women() -> None:
    images, labels, _, names = columns("caltech101")
    faces = np.flatnonzero(labels == names.index("Faces_easy"))[:8]
    men = original("mini_xception-imdb_gender", [decoded(images[i]) for i in faces])[:, 1] > 0.5
    assert men.tolist() == [True] * 5 + [False] * 2 + [True]
