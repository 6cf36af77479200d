"""The checkpoint that a search ends with, and what predicts with it."""

from __future__ import annotations

import csv
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from benchmark import predict
from benchmark.config.model import ModelSpec
from benchmark.data import packs
from benchmark.data.examples import Examples
from benchmark.data.images import decode
from benchmark.errors import ConfigError
from benchmark.models import architecture, classifiers
from benchmark.search import checkpoint, prediction, trained_model
from tests.tiny import spec

SMALL = {"args": {"channels": [8, 8, 16, 16], "output_stride": 16}, "input_size": 16}
NAMES = ["cat", "dog, small", "[red]"]


def save(
    folder: Path, model: ModelSpec, names: list[str] = NAMES, multilabel: bool = False, calibration: dict | None = None
) -> tuple[Path, object]:
    """A checkpoint of a model that has learned nothing, and the module in it."""
    module = architecture.build(model, len(names)).eval()
    with torch.no_grad():
        classifiers.head_parameters(module)[0].normal_(0, 1)  # the images must differ
    test, history = {"oracle": 76.54, "images": 9}, {"rate": 0.05}
    about = checkpoint.Checkpoint(model, names, multilabel, 24, test, history, calibration)
    file = folder / "model.safetensors"
    checkpoint.save(module, about, {"name": "pets", "licence": "CC0", "origin": "here"}, file)
    return file, module


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Seven images of all shapes in a folder with folders."""
    rng, folder = np.random.default_rng(0), tmp_path / "my images"
    (folder / "more").mkdir(parents=True)
    for k, shape in enumerate([(16, 16), (40, 30), (24, 60), (10, 9), (100, 33), (33, 24)]):
        place = folder / "more" if k % 2 else folder
        Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)).save(place / f"{k}.png")
    Image.fromarray(rng.integers(0, 256, (30, 30), dtype=np.uint8)).save(folder / "grey=1.jpg")
    return folder


def test_deep_images_are_scaled_as_those_that_the_model_learned_from(tmp_path):
    from benchmark.data.images import decode

    file, module = save(tmp_path, spec())
    about = replace(checkpoint.read(file), levels={"whole": [0, 4080]})
    checkpoint.save(module, about, {}, file)
    assert checkpoint.read(file).levels == {"whole": [0, 4080]}
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((20, 20), 2040, np.uint16)).save(deep)
    assert set(np.asarray(decode(deep, "", None, about.levels)).reshape(-1)) == {128}  # 127.5, to the even number


# --- the file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet10", "mobilenet", "densenet", "vit"])
def test_a_checkpoint_gives_the_model_back_here_and_in_timm_alone(name: str, tmp_path: Path, monkeypatch) -> None:
    model = spec(name, licence="Apache-2.0")
    file, module = save(tmp_path, model)
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        expected = module(x)
        again, about = checkpoint.load(file)
        torch.testing.assert_close(again(x), expected)
        with safe_open(file, framework="numpy") as opened:
            text = opened.metadata()
        assert "benchmark" not in text["timm"]
        monkeypatch.chdir(tmp_path)
        names: dict = {}
        exec(text["timm"], names)
        torch.testing.assert_close(names["model"].eval()(x), expected)
    assert about.class_names == NAMES
    assert about.spec.model_dump(include=set(checkpoint.SPEC)) == model.model_dump(include=set(checkpoint.SPEC))
    assert text["licence"] == "Apache-2.0"
    assert {"arch", "mean", "std", "input_size", "layout", "data", "test", "provenance"} <= set(text)


def test_three_lines_of_timm(tmp_path: Path, monkeypatch) -> None:
    """As docs/predict.md says."""
    file, module = save(tmp_path, spec("mobilenet", edits={}))
    model = timm.create_model("mobilenetv3_small_050", num_classes=3)
    model.load_state_dict(load_file(file))
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(model.eval()(x), module(x))


def test_weights_that_are_not_finite_are_not_kept(tmp_path: Path) -> None:
    module = architecture.build(spec(), 3)
    module.fc.bias.data[0] = float("nan")
    about = checkpoint.Checkpoint(spec(), NAMES, False, 24, {}, {})
    with pytest.raises(ValueError, match="Got NaN or infinity in"):
        checkpoint.save(module, about, {}, tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Got nothing at"):
        checkpoint.load(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("no such thing")
    with pytest.raises(ConfigError, match="must be a safetensors file"):
        checkpoint.load(tmp_path / "text.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match="must be a checkpoint of this project"):
        checkpoint.load(tmp_path / "other.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "bare.safetensors", metadata={"format": checkpoint.FORMAT})
    with pytest.raises(ConfigError, match="whole metadata"):
        checkpoint.load(tmp_path / "bare.safetensors")
    file, _ = save(tmp_path, spec(**SMALL))
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    for arch in ("os.system", "my_package.net", "timmy.net", "benchmark.networksx.net"):
        save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors", metadata=metadata | {"arch": arch})
        with pytest.raises(ConfigError, match=f"Got '{arch}', which loading would import and run"):
            checkpoint.read(tmp_path / "foreign.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "empty.safetensors", metadata=metadata)
    with pytest.raises(ConfigError, match="must fit 'resnet10t'"):
        checkpoint.load(tmp_path / "empty.safetensors")
    state = load_file(file)
    spoilt = {
        "args": ('{"pretrained": true}', r"where args of model 'resnet10' must leave out pretrained\. Got True"),
        "arch": ("hf-hub:timm/resnet18", r"must fit 'hf-hub:timm/resnet18'\. Got arch must be a timm architecture"),
        "mean": ("[0.5]", r"where mean of model 'resnet10' must hold a number for each channel, 3 of them"),
        "class_names": ("3", "class_names is '3'"),
        "pack_size": ("null", "pack_size is 'None'"),
        "test": ("{}", "test is '{}'"),
        "multilabel": ("[", "without it"),
        "calibration": ('{"temperature": -1, "threshold": null}', "temperature is '-1'"),
    }
    for key, (value, said) in spoilt.items():
        save_file(state, tmp_path / "spoilt.safetensors", metadata=metadata | {key: value})
        with pytest.raises(ConfigError, match=said) as caught:
            checkpoint.load(tmp_path / "spoilt.safetensors")
        assert "\n" not in str(caught.value)
    for value, said in ((torch.nan, "NaN"), (1e30, r"the number 1e\+30")):
        bad = state | {"conv1.0.weight": torch.full_like(state["conv1.0.weight"], value)}
        save_file(bad, tmp_path / "spoilt.safetensors", metadata=metadata)
        with pytest.raises(ConfigError, match=rf"must be real, finite numbers\. Got {said} in 'conv1\.0\.weight'"):
            checkpoint.load(tmp_path / "spoilt.safetensors")


STRANGE = """
from torch import nn

class Own(nn.Module):
    def __init__(self, width, num_classes=3):
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, width, 3), nn.Linear(width, num_classes)
    def forward(self, x):
        return self.out(self.conv(x).relu().mean((2, 3)))
"""


def test_a_network_of_ones_own_is_predicted_with_once_it_is_named(images: Path, tmp_path: Path, monkeypatch, capsys):
    """The file names what loading would import: nothing of it runs before the command names the same."""
    (tmp_path / "own_nets.py").write_text(STRANGE)
    monkeypatch.syspath_prepend(tmp_path)
    own = ModelSpec(
        name="mine",
        arch="own_nets.Own",
        args={"width": 4},
        features_from="out",
        weights="random",
        layers=2,
        input_size=16,
    )
    file, module = save(tmp_path, own)
    with safe_open(file, framework="numpy") as opened:
        lines = opened.metadata()["timm"]
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(lines, names)
    torch.testing.assert_close(names["model"].out.weight, module.out.weight)
    sys.modules.pop("own_nets")
    assert predict.main([f"model={file}", str(images)]) == 2
    assert "Got 'own_nets.Own', which loading would import and run. If you know that code" in capsys.readouterr().err
    assert predict.main([f"model={file}", str(images), "trust=own_nets"]) == 2, "a package is not one network"
    assert "and trust=own_nets. Is it the right file?" in capsys.readouterr().err
    assert "own_nets" not in sys.modules
    assert predict.main([f"model={file}", str(images), "trust=own_nets.Own"]) == 0
    assert "mine, 3 classes" in capsys.readouterr().out
    torch.testing.assert_close(checkpoint.load(file, "own_nets.Own")[0].conv.weight, module.conv.weight)
    sys.modules.pop("own_nets")


def test_what_is_trusted_must_be_a_network_that_is_here(tmp_path: Path) -> None:
    file, _ = save(tmp_path, spec(**SMALL))
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    for arch, said in {"os.system": "which is Python's own", "no_such.Net": "no package 'no_such' there"}.items():
        save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors", metadata=metadata | {"arch": arch})
        with pytest.raises(ConfigError, match=rf"trust must name a network .*Got '{arch}', .*{said}"):
            checkpoint.read(tmp_path / "foreign.safetensors", trust=arch)


# --- predicting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crop_pct", [1.0, 0.8])
def test_an_image_is_seen_as_in_training(images: Path, tmp_path: Path, crop_pct: float) -> None:
    from benchmark.training.ground_truth import splits

    files = prediction.find([str(images)])
    decoded = [decode(f.read_bytes(), "") for f in files]
    n = len(files)
    pixels = [np.asarray(d) for d in decoded]
    examples = Examples([*pixels, *pixels], np.arange(2 * n) % 2, np.arange(2 * n) >= n, ["a", "b"])
    packs.build("p", examples, 24, tmp_path / "pack")
    pack, model = packs.load(tmp_path / "pack"), spec(**SMALL, crop_pct=crop_pct)
    _, test = splits(model, pack, pack.indices("train"), pack.indices("test"))
    np.testing.assert_array_equal(np.stack([prediction.view(d, model, 24) for d in decoded]), test.pixels.numpy())


def test_classes_and_probabilities_of_a_folder(images: Path, tmp_path: Path, capsys) -> None:
    model = spec(**SMALL)
    file, module = save(tmp_path, model)
    out = tmp_path / "p=1 '2'.csv"
    assert predict.main([f"model={file}", str(images), f"out={out}"]) == 0
    rows = list(csv.reader(out.open()))
    assert rows[0] == ["image", "class", "probability", *(f"p({n})" for n in NAMES)]
    assert sorted(r[0] for r in rows[1:]) == sorted(str(p) for p in images.rglob("*.*g"))
    for path, name, probability, *shares in rows[1:]:
        pixels = prediction.view(decode(Path(path).read_bytes(), ""), model, 24)
        x = (pixels / 255 - model.mean) / model.std
        expected = module(torch.tensor(x, dtype=torch.float32).permute(2, 0, 1)[None]).softmax(1)[0]
        np.testing.assert_allclose([float(s) for s in shares], expected.detach().numpy(), atol=2e-6)
        assert name == NAMES[int(expected.argmax())]
        assert float(probability) == max(float(s) for s in shares)
    printed = capsys.readouterr().out
    assert "76.5 %" in printed
    assert all(name in printed for name in {r[1] for r in rows[1:]}), "also where a name looks like markup"


CALIBRATED = {"temperature": 2.5, "images": 40, "error_before": 9.0, "error_after": 2.0}


def test_a_calibrated_checkpoint_says_its_probabilities_and_none_of_these(images: Path, tmp_path: Path, capsys) -> None:
    """Against one without a calibration, as older ones are: its logarithms, divided, are the same up to a constant."""
    model = spec(**SMALL)

    def predicted(calibration: dict | None) -> tuple[list[list[str]], np.ndarray, str]:
        torch.manual_seed(0)
        file, _ = save(tmp_path, model, calibration=calibration)
        assert checkpoint.read(file).calibration == calibration
        assert predict.main([f"model={file}", str(images), f"out={tmp_path}/p.csv"]) == 0
        rows = list(csv.reader((tmp_path / "p.csv").open()))[1:]
        return rows, np.array([[float(v) for v in row[3:]] for row in rows]), capsys.readouterr().out

    old, before, printed = predicted(None)
    assert prediction.NONE not in printed
    expected = before ** (1 / CALIBRATED["temperature"])
    expected /= expected.sum(axis=1, keepdims=True)
    _, after, printed = predicted(CALIBRATED | {"threshold": None})
    np.testing.assert_allclose(after, expected, atol=2e-3)  # from six decimals
    assert prediction.NONE not in printed
    threshold = float(np.median(after.max(axis=1))) + 1e-4  # four of seven images are below
    new, _, printed = predicted(CALIBRATED | {"threshold": threshold})
    assert f"is below {threshold:.3f}, as for 5 % of the rightly named of 40 images" in printed
    named = [row[1] for row in new]
    assert named.count(prediction.NONE) == 4
    assert all(a in (b[1], prediction.NONE) for a, b in zip(named, old, strict=True))


def test_one_image_whose_name_looks_like_a_setting(images: Path, tmp_path: Path, capsys) -> None:
    file, _ = save(tmp_path, spec(**SMALL))
    assert predict.main([f"model={file}", str(images / "grey=1.jpg")]) == 0
    assert "grey=1.jpg" in capsys.readouterr().out


def test_all_labels_above_one_half(images: Path, tmp_path: Path) -> None:
    file, _ = save(tmp_path, spec(**SMALL), multilabel=True)
    out = tmp_path / "p.csv"
    assert predict.main([f"model={file}", str(images), f"out={out}"]) == 0
    for _, names, chances, *shares in list(csv.reader(out.open()))[1:]:
        above = sorted((float(s) for s in shares if float(s) > 0.5), reverse=True)
        assert [float(c) for c in chances.split("; ") if c] == above
        assert set(filter(None, names.split("; "))) == {n for n, s in zip(NAMES, shares, strict=True) if float(s) > 0.5}
    odds = np.array([[0.0, 3.0, -2.0]])
    np.testing.assert_allclose(prediction.probabilities(odds, True), [[0.5, 1 / (1 + np.exp(-3)), 1 / (1 + np.exp(2))]])


def test_the_unreadable_is_named_and_the_rest_predicted(images: Path, tmp_path: Path, capsys) -> None:
    file, _ = save(tmp_path, spec(**SMALL))
    (images / "broken.jpg").write_text("no image")
    out = tmp_path / "p.csv"
    assert predict.main([f"model={file}", str(images), f"out={out}"]) == 2
    assert "broken.jpg" in capsys.readouterr().err
    assert len(out.read_text().splitlines()) == 1 + 7


def test_a_large_photograph_is_seen_as_in_training(images: Path, tmp_path: Path, monkeypatch) -> None:
    """userdata decodes it at a reduced scale: so does this, to the same pixels."""
    from benchmark.data.user import adapter

    coarse = np.random.default_rng(1).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    for k in range(2):
        (tmp_path / f"two/{k}").mkdir(parents=True)
        for i in range(2):
            coarse = coarse[::-1] if i else coarse[:, ::-1]
            large = Image.fromarray(coarse).resize((1601, 1203), Image.Resampling.BICUBIC)
            large.save(tmp_path / f"two/{k}/{i}.jpg", quality=92)
    look = list(adapter.images(str(tmp_path / "two")).images)
    file, _ = save(tmp_path, spec(**SMALL))
    seen, alone = [], prediction.view
    monkeypatch.setattr(trained_model, "view", lambda image, *rest: seen.append(image) or alone(image, *rest))
    assert predict.main([f"model={file}", str(tmp_path / "two")]) == 0
    for ours, theirs in zip(seen, look, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_names_that_are_not_utf_8_and_other_formats(images: Path, tmp_path: Path, capsys) -> None:
    file, _ = save(tmp_path, spec(**SMALL))
    os.rename(os.fsencode(images / "0.png"), os.fsencode(images) + b"/caf\xe9.png")
    (images / "1.heic").write_bytes(b"0")
    out = tmp_path / "p.csv"
    assert predict.main([f"model={file}", str(images), f"out={out}"]) == 0
    assert f"{images}/caf\\udce9.png" in {r[0] for r in csv.reader(out.open())}
    said = capsys.readouterr()
    assert "caf\\udce9.png" in said.out
    assert "1 file is passed over (.heic: 1)." in said.err


def test_the_table_is_written_whole_or_not_at_all(images: Path, tmp_path: Path, monkeypatch) -> None:
    file, _ = save(tmp_path, spec(**SMALL))
    out = tmp_path / "p.csv"
    out.write_text("before")

    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(csv, "writer", full)
    with pytest.raises(OSError, match="No space"):
        predict.main([f"model={file}", str(images), f"out={out}"])
    assert out.read_text() == "before"


def test_out_is_looked_at_before_anything_is_predicted(images: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    file, _ = save(tmp_path, spec(**SMALL))
    monkeypatch.setattr(predict, "find", lambda _: pytest.fail("too late"))
    assert predict.main([f"model={file}", str(images), f"out={images}"]) == 2
    assert f"out must be a file. Got the folder '{images}'." in capsys.readouterr().err
    assert predict.main([f"model={file}", str(images), f"out={file}/p.csv"]) == 2
    assert f"below the file '{file}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model={file}"], "an image or a folder of images must be given"),
        (["model={file}", "{folder}/none.jpg"], "Got nothing at"),
        (["model={file}", "{folder}/empty"], "a folder must hold images"),
        (["model={folder}/none.safetensors", "{folder}"], "must be a checkpoint file"),
        (["model={folder}/a.jpg", "{folder}"], "must be a safetensors file"),
        (["modle={file}", "{folder}"], "Did you mean 'model'?"),
        (["{folder}"], "model must be given"),
        (["model={file}", "{folder}", "device=tpu"], "device must be auto, cpu or cuda"),
    ],
)
def test_what_cannot_be_done_is_said_with_exit_code_2(words: list[str], said: str, tmp_path: Path, capsys) -> None:
    file, _ = save(tmp_path, spec(**SMALL))
    (tmp_path / "empty").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "a.jpg")
    assert predict.main([w.format(file=file, folder=tmp_path) for w in words]) == 2
    assert said in capsys.readouterr().err
