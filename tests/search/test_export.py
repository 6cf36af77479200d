"""A trained model in other forms: the same probabilities, what a program must know beside them, and what is refused."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark import predict, rank
from benchmark.data.images import decode
from benchmark.errors import ConfigError
from benchmark.search import checkpoint, export, prediction
from tests.search.test_predict import CALIBRATED, NAMES, SMALL, save
from tests.tiny import spec

ONNX = [name for name in export.PACKAGES["onnx"] if importlib.util.find_spec(name) is None]
needs_onnx = pytest.mark.skipif(bool(ONNX), reason=f"not installed: {', '.join(ONNX)}")
KINDS = [pytest.param("onnx", marks=needs_onnx), "torchscript"]
CALIBRATION = CALIBRATED | {"threshold": 0.4}


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    rng, files = np.random.default_rng(0), []
    for k in range(12):
        files.append(tmp_path / f"{k}.png")
        Image.fromarray(rng.integers(0, 256, (20 + k, 30, 3), dtype=np.uint8)).save(files[-1])
    return files


def run(kind: str, file: Path, inputs: np.ndarray) -> tuple[np.ndarray, dict[str, str]]:
    """Outputs and metadata as another program gets them."""
    if kind == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(file))
        return session.run(None, {"images": inputs})[0], session.get_modelmeta().custom_metadata_map
    extra = {"metadata.json": ""}
    module = torch.jit.load(str(file), _extra_files=extra)
    with torch.inference_mode():
        return module(torch.from_numpy(inputs)).numpy(), json.loads(extra["metadata.json"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("multilabel", [False, True])
def test_an_export_gives_the_calibrated_probabilities_of_the_checkpoint(
    kind: str, multilabel: bool, images: list[Path], tmp_path: Path, capsys
) -> None:
    """Images prepared from the metadata alone, one and five at once, against the command's own table."""
    model = spec(**SMALL, mean=[0.4, 0.5, 0.6], std=[0.2, 0.25, 0.3], crop_pct=0.8)
    file, module = save(tmp_path, model, multilabel=multilabel, calibration=CALIBRATION)
    assert predict.main([f"model={file}", f"export={kind}", *map(str, images)]) == 0
    said = capsys.readouterr().out
    made = tmp_path / f"model{export.SUFFIXES[kind]}"
    assert f"{made}: checked on 10 images, largest difference of a probability from the model's" in said
    assert made.stat().st_mode == images[0].stat().st_mode
    pixels = np.stack([prediction.view(decode(f.read_bytes(), ""), model, 24) for f in images[:5]])
    facts = run(kind, made, np.zeros((1, 3, 16, 16), np.float32))[1]
    mean, std = (np.array(json.loads(facts[k]), np.float32) for k in ("mean", "std"))
    inputs = np.ascontiguousarray(((pixels / np.float32(255) - mean) / std).transpose(0, 3, 1, 2), np.float32)
    with torch.inference_mode():
        outputs = module(torch.from_numpy(inputs)).numpy()
    expected = prediction.probabilities(outputs / CALIBRATION["temperature"], multilabel)
    for n in (1, 5):
        np.testing.assert_allclose(run(kind, made, inputs[:n])[0], expected[:n], atol=2e-5)
    assert json.loads(facts["class_names"]) == NAMES
    assert json.loads(facts["calibration"]) == CALIBRATION
    assert "scaled to 20 (bicubic, antialiased); the middle 16 x 16 pixels" in facts["preprocessing"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["mobilenet", "densenet", "vit"])
def test_other_architectures_without_images(kind: str, name: str, tmp_path: Path, capsys) -> None:
    file, _ = save(tmp_path, spec(name))
    assert predict.main([f"model={file}", f"export=[{kind}]"]) == 0
    assert "checked on 10 images" in capsys.readouterr().out
    assert (tmp_path / f"model{export.SUFFIXES[kind]}").exists()


def test_a_file_that_gives_other_probabilities_is_not_kept(tmp_path: Path, monkeypatch) -> None:
    file, _ = save(tmp_path, spec(**SMALL))
    monkeypatch.setattr(export, "_run_torchscript", lambda part, images: np.full((10, 3), 0.9))
    with pytest.raises(
        ConfigError, match=r"the torchscript file must give the model's probabilities. Got a difference"
    ):
        export.of_checkpoint(file, ["torchscript"], None, None)
    assert [p.name for p in tmp_path.iterdir()] == [file.name]
    assert checkpoint.read(file).class_names == NAMES


def test_what_cannot_be_exported_is_said_first(tmp_path: Path, monkeypatch, capsys) -> None:
    file, _ = save(tmp_path, spec(**SMALL))
    assert predict.main([f"model={file}", "export=tflite"]) == 2
    assert "export" in capsys.readouterr().err
    assert rank.main([f"data={tmp_path}", "export=torchscript"]) == 2
    assert "export must come with a budget. Got none." in capsys.readouterr().err
    there, alone = {"onnx", "onnxruntime"}, importlib.util.find_spec
    absent = {"onnxscript"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else alone("json" if name in there else name)
    )
    assert rank.main([f"data={tmp_path}", "budget=1m", "export=onnx"]) == 2
    said = capsys.readouterr().err
    assert "Got no onnxscript" in said
    assert "pip install 'diverse-model-selection[export]'" in said
