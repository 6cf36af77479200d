"""Other projects' checkpoints: small files of their structure become the network that they were, or are refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.config.model import ModelSpec
from benchmark.models import architecture, classifiers, layouts, loading
from benchmark.models.weights import WeightsUnavailable, weight_files

SMALL = {"arch": "resnet26", "args": {"channels": [8, 8, 16, 16]}, "layers": 26}
MSRA = {f"layer{k}.0.conv{j}.stride": [s, s] for k in (2, 3, 4) for j, s in ((1, 2), (2, 1))}
"""Detectron2's MSRA ResNets stride in the first convolution of a block."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def spec(weights: str, **changes: Any) -> ModelSpec:
    return ModelSpec(**{"name": "small", "weights": weights, **SMALL, **changes})


def network(seed: int = 1, **changes: Any) -> torch.nn.Module:
    """A small bottleneck ResNet whose every tensor differs from that of another seed."""
    module = architecture.build(spec("random", seed=seed, **changes), 7).eval()
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        if name.endswith(("running_mean", "running_var", "bias", "weight")):
            noise = torch.rand(value.shape, generator=generator)
            value.copy_(value + 0.02 * noise if value.ndim > 1 else 0.5 + noise)
    return module


def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def in_detectron2(module: torch.nn.Module, kind: str) -> dict[str, np.ndarray]:
    """The state under Detectron2's names, written out from its documented layout."""
    state, named = module.state_dict(), {}
    backbone = "backbone.bottom_up." if kind == "fpn" else "backbone."

    def norm(there: str, here: str) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            named[f"{there}.norm.{part}"] = state[f"{here}.{part}"]

    named[f"{backbone}stem.conv1.weight"] = state["conv1.weight"]
    norm(f"{backbone}stem.conv1", "bn1")
    for stage, layer in enumerate((module.layer1, module.layer2, module.layer3, module.layer4), start=2):
        prefix = "roi_heads." if kind == "c4" and stage == 5 else backbone
        for block in range(len(layer)):
            there, here = f"{prefix}res{stage}.{block}", f"layer{stage - 1}.{block}"
            for k in (1, 2, 3):
                named[f"{there}.conv{k}.weight"] = state[f"{here}.conv{k}.weight"]
                norm(f"{there}.conv{k}", f"{here}.bn{k}")
            if block == 0:
                named[f"{there}.shortcut.weight"] = state[f"{here}.downsample.0.weight"]
                norm(f"{there}.shortcut", f"{here}.downsample.1")
    others = {"proposal_generator.rpn_head.conv.weight": 8, "roi_heads.box_predictor.cls_score.weight": 5}
    others |= {"backbone.fpn_lateral2.weight": 4, "backbone.res3.0.conv2_offset.weight": 3, "pixel_mean": 3}
    return {k: v.numpy() for k, v in named.items()} | {k: np.ones((n, 2), np.float32) for k, n in others.items()}


@pytest.mark.parametrize("kind", ["fpn", "c4"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_detector_gives_its_backbone_for_rgb_images(kind: str, protocol: int, tmp_path: Path) -> None:
    theirs, file = network(edits=MSRA), tmp_path / "model_final_721ade.pkl"
    content = {"model": in_detectron2(theirs, kind), "__author__": "Detectron2 Model Zoo", "matching_heuristics": True}
    file.write_bytes(pickle.dumps(content, protocol=protocol))
    loaded, has_head = loading.load(spec(f"detectron2:{file}", edits=MSRA), None)
    assert not has_head
    with torch.inference_mode():
        expected = theirs.forward_features(images())
        torch.testing.assert_close(loaded.eval().forward_features(images().flip(1)), expected, rtol=1e-3, atol=1e-3)
        plain = loading.load(spec(f"detectron2:{file}"), None)[0].eval().forward_features(images().flip(1))
        assert not torch.allclose(plain, expected, rtol=0.1), "the strides of its blocks must matter"


def wrapped(state: dict[str, torch.Tensor], how: str) -> dict[str, Any]:
    """A state dict as different projects save it."""
    body = {k: v for k, v in state.items() if not k.startswith("fc.")}
    heads = {"0.clf.0.weight": torch.ones(5, 64)}
    return {
        "vissl": {
            "classy_state_dict": {
                "base_model": {"model": {"trunk": {f"_feature_blocks.{k}": v for k, v in body.items()}, "heads": heads}}
            },
            "phase_idx": 3,
        },
        "converted": {"model_state_dict": body},
        "moco": {
            "state_dict": {f"module.encoder_q.{k}": v for k, v in body.items()}
            | {"module.encoder_q.fc.weight": torch.ones(128, 64), "module.queue": torch.ones(4, 4)}
            | {f"module.encoder_k.{k}": v + 1 for k, v in body.items()}
        },
        "swav": {f"module.{k}": v for k, v in body.items()} | {"module.projection_head.0.weight": torch.ones(4, 64)},
        "plain": state,
    }[how]


@pytest.mark.parametrize("how", ["vissl", "converted", "moco", "swav", "plain"])
def test_self_supervised_trunks_are_found_and_projections_left(how: str, tmp_path: Path) -> None:
    theirs = network()
    torch.save(wrapped(dict(theirs.state_dict()), how), tmp_path / "model.torch")
    loaded, has_head = loading.load(spec(f"vissl:{tmp_path / 'model.torch'}"), None)
    assert has_head == (how == "plain")
    with torch.inference_mode():
        torch.testing.assert_close(loaded.eval().forward_features(images()), theirs.forward_features(images()))
        if has_head:
            torch.testing.assert_close(loaded(images()), theirs(images()))
    assert loading.load(spec(f"vissl:{tmp_path / 'model.torch'}"), None, n_classes=4)[0](images()).shape == (2, 4)


@pytest.mark.parametrize(
    ("arch", "args", "last", "width"),
    [("alexnet", {}, "classifier.6", 4096), ("googlenet", {"aux_logits": False, "init_weights": False}, "fc", 1024)],
)
def test_torchvisions_networks_have_their_paper_features(
    arch: str, args: dict[str, Any], last: str, width: int, tmp_path: Path
) -> None:
    """From a DataParallel state dict as the paper's release holds it: 21 classes, and 4,096 or 1,024 features."""
    import torchvision

    theirs = getattr(torchvision.models, arch)(num_classes=21, **args).eval()
    state = {f"module.{k}": v for k, v in theirs.state_dict().items()}
    if arch == "googlenet":
        state |= {"module.aux1.fc2.weight": torch.ones(21, 1024)}
    torch.save(state, tmp_path / "w.pth")
    one = spec(f"file:{tmp_path / 'w.pth'}", arch=f"torchvision.models.{arch}", args=args, input_size=224)
    loaded, has_head = loading.load(one, None)
    assert has_head
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features, logits = classifiers.features_and_logits(loaded.eval(), x)
        torch.testing.assert_close(logits, theirs(x))
        torch.testing.assert_close(theirs.get_submodule(last)(features), logits)
    assert features.shape == (2, width)
    fresh = classifiers.new_head(loaded, 5, 0)
    loading.save(fresh, tmp_path)
    again, _ = loading.load(one.model_copy(update={"weights": "pretrain:x"}), tmp_path)
    with torch.inference_mode():
        torch.testing.assert_close(again.eval()(x), fresh(x), atol=2e-3, rtol=2e-2)  # matrices are kept in halves


class Hostile:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_checkpoint_that_wants_to_run_code_is_refused(tmp_path: Path) -> None:
    bad = {"model": {"backbone.stem.conv1.weight": Hostile(str(tmp_path / "executed"))}}
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(bad))
    with pytest.raises(layouts.Misfit, match=r"bad\.pkl must hold .* Got posix\.mkdir, which was not looked up"):
        layouts.read(tmp_path / "bad.pkl", "detectron2")
    torch.save(bad, tmp_path / "bad.torch")
    with pytest.raises(layouts.Misfit, match=r"must hold tensors alone: .* Got a file that calls for posix\.mkdir\."):
        layouts.read(tmp_path / "bad.torch", "vissl")
    assert not (tmp_path / "executed").exists()


def test_a_file_of_another_layout_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.pkl").write_bytes(pickle.dumps({"model": {"fc.weight": np.ones((2, 2))}}))
    with pytest.raises(layouts.Misfit, match=r"other\.pkl must hold a ResNet in the layout of detectron2\. Got none"):
        loading.load(spec(f"detectron2:{tmp_path / 'other.pkl'}"), None)
    file = tmp_path / "deeper.pkl"
    file.write_bytes(pickle.dumps({"model": in_detectron2(network(), "fpn")}))
    with pytest.raises(ValueError, match="weights of 'small' must fit architecture 'resnet50'"):
        loading.load(spec(f"detectron2:{file}", arch="resnet50"), None)


NET = {f"layer{k}.weight": torch.full((3, 3), float(k)) for k in range(1, 4)}


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ({"net": NET, "epoch": 3}, r"the keys 'net' \(a mapping of 3 tensors\), 'epoch' \(int\)"),
        (
            {"net": NET, "temperature": torch.ones(())},
            r"'net' \(a mapping of 3 tensors\), 'temperature' \(tensor \(\)\)",
        ),
        ({"model": {"backbone": NET}}, r"'model' \(a mapping with the keys 'backbone' \(a mapping of 3 tensors\)\)"),
        ({"state_dict": {}, "optimizer": {}}, r"'state_dict' \(a mapping with an empty mapping\)"),
        ([NET], "a list"),
        ({}, "an empty mapping"),
        (torch.ones(3), "a Tensor"),
    ],
)
@pytest.mark.parametrize("arch", ["resnet26", "convnext_atto", "torchvision.models.alexnet"])
def test_a_nesting_that_is_not_known_is_named_and_nothing_else_is_loaded(
    value: Any, keys: str, arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """timm's own weights would be asked for otherwise: an empty state dict is none to it."""
    asked: list[Any] = []
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *a, **k: asked.append(a))
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_url", lambda *a, **k: asked.append(a))
    file = tmp_path / "w.pth"
    torch.save(value, file)
    one = ModelSpec(name="m", arch=arch, weights=f"file:{file}", layers=1)
    with pytest.raises(layouts.Misfit, match=rf"w\.pth must hold a state dict.* Got .*{keys}"):
        loading.load(one, None)
    assert not asked


def test_a_state_dict_with_a_part_missing_is_refused_also_where_timm_would_fill_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Architectures that timm loads loosely (DLA among them) leave what is missing at its random start."""
    whole = architecture.build(spec("random"), 5)
    part = {name: value for name, value in whole.state_dict().items() if not name.startswith("layer3")}
    torch.save(part, tmp_path / "part.pth")
    with pytest.raises(layouts.Misfit, match="must fit architecture"):
        loading.load(spec(f"file:{tmp_path / 'part.pth'}"), None)
    built = architecture.construct

    def loosely(*given: Any, **more: Any) -> torch.nn.Module:
        return built(*given, **more, pretrained_strict=False)

    monkeypatch.setattr(loading, "construct", loosely)
    with pytest.raises(layouts.Misfit, match=r"Got nothing for \d+ tensors of .*, first 'layer3\.0\.conv1\.weight'"):
        loading.load(spec(f"file:{tmp_path / 'part.pth'}"), None)


def test_weights_that_timm_converts_are_the_files_own(tmp_path: Path) -> None:
    """A vision transformer under another size of patches: its position embedding is scaled, the rest is as it was."""
    args = {"patch_size": 8, "embed_dim": 48, "depth": 1, "num_heads": 3}
    small = ModelSpec(name="v", arch="vit_tiny_patch16_224", args={"img_size": 32, **args}, weights="random", layers=1)
    theirs = architecture.build(small, 5)
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    larger = {"args": {"img_size": 48, **args}, "weights": f"file:{tmp_path / 'w.pth'}"}
    module, has_head = loading.load(small.model_copy(update=larger), None)
    assert has_head
    assert module.pos_embed.shape == (1, 1 + 6 * 6, 48)
    assert torch.equal(module.blocks[0].attn.qkv.weight, theirs.blocks[0].attn.qkv.weight)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.tensor([[1.0, float("nan")]]), "NaN"),
        (torch.tensor([[1.0, -float("inf")]]), "an infinite number"),
        (torch.tensor([[1.0, 1e300]], dtype=torch.float64), "an infinite number"),  # in single precision
        (torch.tensor([[1.0, -1e20]]), r"the number 1e\+20"),
        (torch.tensor([[1.0, 1j]]), "complex numbers"),
        (torch.tensor([[1, 2]], dtype=torch.int8), r"quantised values \(int8\)"),
        (torch.empty(1, 2, device="meta"), "no values"),
        (torch.eye(2).to_sparse(), "a sparse tensor"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "vissl"])
def test_values_that_no_network_has_are_refused_by_name(
    value: torch.Tensor, said: str, kind: str, tmp_path: Path
) -> None:
    state = network().state_dict() | {"layer1.0.conv1.weight": value}
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(layouts.Misfit, match=rf"w\.pth must be real, finite .* Got {said} .*in 'layer1\.0\.conv1"):
        loading.load(spec(f"{kind}:{tmp_path / 'w.pth'}"), None)


def test_values_as_networks_have_them_are_taken(tmp_path: Path) -> None:
    """A running variance of 2e7 is that of images of 0 to 255: (0.1 · 255 · 7 · 7 · 3)² = 1.4e7 at most."""
    state = network().state_dict()
    state["bn1.running_var"] = torch.full_like(state["bn1.running_var"], 2e7)
    torch.save(state, tmp_path / "w.pth")
    assert float(loading.load(spec(f"file:{tmp_path / 'w.pth'}"), None)[0].bn1.running_var.max()) == 2e7


@pytest.mark.parametrize(
    "args",
    [
        {"pretrained": True},
        {"pretrained": False},
        {"pretrained_cfg": "a1_in1k"},
        {"pretrained_cfg_overlay": {"file": "x"}},
        {"pretrained_strict": False},
        {"checkpoint_path": "x.pth"},
        {"weights": "DEFAULT"},
        {"features_only": True},
        {"num_classes": 3},
    ],
    ids=lambda args: next(iter(args)),
)
def test_arguments_that_would_load_other_weights_are_refused(args: dict[str, Any]) -> None:
    name = next(iter(args))
    with pytest.raises(
        ValueError, match=rf"args of model 'small' must leave out {name}\. Got .* named by weights alone"
    ):
        spec("random", args=args)


@pytest.mark.parametrize(
    "arch", ["hf-hub:timm/resnet18", "local-dir:/x", "timm.create_model", "timm.models.load_pretrained"]
)
def test_an_architecture_is_no_way_to_other_weights(arch: str) -> None:
    with pytest.raises(ValueError, match=r"(arch|args) must"):
        architecture.build(spec("random", arch=arch, args={}), 3)


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        (
            "detectron2:/nowhere/detectron2/COCO-Detection/retinanet_R_50_FPN_1x/190397773/model_final_bfca0b.pkl",
            "Fetch https://dl.fbaipublicfiles.com/detectron2/COCO-Detection/retinanet_R_50_FPN_1x/190397773/"
            "model_final_bfca0b.pkl and put it there",
        ),
        ("vissl:/nowhere/resnet50_swav_imagenet.torch", r"VISSL's model zoo .* put it there under this name"),
        (
            "torchvision:AlexNet_Weights.IMAGENET1K_V1",
            r"Fetch https://download\.pytorch\.org/models/alexnet-owt-7be5be79",
        ),
        ("torchvision:AlexNet_Weights.IMAGENET1K", r"Did you mean 'AlexNet_Weights\.IMAGENET1K_V1'"),
        ("timm:resnet10t.c3_in1k", r"nor the hub \(not asked\)"),
    ],
)
def test_missing_files_say_where_they_are_to_be_had(
    weights: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsUnavailable, match=says):
        weight_files(spec(weights), offline=True)


def test_a_cached_file_of_torchvision_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    file = tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth"
    file.write_bytes(b"\x80\x02")
    assert weight_files(spec("torchvision:AlexNet_Weights.IMAGENET1K_V1")) == [file]
    file.write_bytes(b"")
    with pytest.raises(WeightsUnavailable, match=r"Got an empty file at .*\.pth\. Get it anew\."):
        weight_files(spec("torchvision:AlexNet_Weights.IMAGENET1K_V1"))


@pytest.mark.parametrize(
    ("arch", "says"),
    [
        ("resnet50", None),
        ("vit_small_patch14_dinov2", None),
        ("torchvision.models.googlenet", None),
        ("timm.models.densenet.DenseNet", None),
        ("resnet5O", r"Got 'resnet5O'\. Did you mean 'resnet50'\?"),
        ("torchvision.models.googlent", "Did you mean 'googlenet'"),
        ("resnet50.a1_in1k", "A tag belongs to weights"),
    ],
)
def test_an_unknown_architecture_is_told_from_a_known_one(arch: str, says: str | None) -> None:
    found = architecture.unknown_architecture(arch)
    if says is None:
        assert found is None
    else:
        import re

        assert re.search(says, found)
