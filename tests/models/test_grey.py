"""Networks of grey images: what they are fed, how their files are read, what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmark.config.model import ModelSpec
from benchmark.models import architecture, loading
from benchmark.models.layouts import Misfit
from benchmark.search import checkpoint
from benchmark.training.features import forward
from benchmark.training.views import normaliser

NETS = """
from torch import nn

class Grey(nn.Module):
    def __init__(self, width=5, num_classes=3):
        super().__init__()
        self.conv, self.out = nn.Conv2d(1, width, 3), nn.Linear(width, num_classes)
    def forward(self, x):
        return self.out(self.conv(x).relu().mean((2, 3)))

class Coloured(Grey):
    def __init__(self, num_classes=3):
        super().__init__(num_classes=num_classes)
        self.conv = nn.Conv2d(3, 5, 3)
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "grey_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("grey_nets", None)


def grey(**more) -> ModelSpec:
    entry = {"name": "g", "arch": "grey_nets.Grey", "features_from": "out", "layers": 2, "in_chans": 1}
    return ModelSpec(**entry | {"weights": "random", "mean": [0.4], "std": [0.2], "input_size": 16} | more)


def test_a_strangers_grey_network_sees_luma_through_its_first_kernel_as_it_is(elsewhere: Path) -> None:
    spec = grey(weights=f"file:{elsewhere / 'w.safetensors'}")
    own = architecture.build(grey(), 3)
    save_file(own.state_dict(), elsewhere / "w.safetensors")
    module, has_head = loading.load(spec, None)
    assert has_head
    assert torch.equal(module.conv.weight, own.conv.weight)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    features, logits = forward(module.eval(), spec, [torch.from_numpy(pixels)])
    luma = np.stack([np.asarray(Image.fromarray(p).convert("L")) for p in pixels])
    x = torch.from_numpy((luma / 255 - 0.4) / 0.2).float()[:, None]
    # Pillow rounds to whole steps of 1/255: half a step over std 0.2 is 0.01 an input, seen by nine weights within ±1/3
    torch.testing.assert_close(torch.from_numpy(features), module.conv(x).relu().mean((2, 3)), atol=0.03, rtol=0)
    assert logits.shape == (2, 3)


@pytest.mark.parametrize("last", [False, True])
def test_grey_pixels_stay_what_they_are_in_every_layout(last: bool) -> None:
    values = torch.arange(0, 256, 5, dtype=torch.uint8)[:16].view(1, 1, 4, 4).expand(1, 3, 4, 4)
    pixels = values.contiguous(memory_format=torch.channels_last) if last else values.contiguous()
    found = normaliser(grey(), torch.device("cpu"))(pixels)
    torch.testing.assert_close(found, (values[:, :1] / 255 - 0.4) / 0.2, atol=1e-5, rtol=0)
    assert pixels.dtype == torch.uint8


def test_timms_networks_take_one_channel_and_refuse_kernels_of_three(tmp_path: Path) -> None:
    entry = {"arch": "resnet10t", "args": {"channels": [8, 8, 16, 16]}, "features_from": None}
    module = architecture.build(grey(**entry), 4)
    assert module.conv1[0].in_channels == 1
    save_file(module.state_dict(), tmp_path / "one.safetensors")
    loaded, _ = loading.load(grey(**entry, weights=f"file:{tmp_path / 'one.safetensors'}"), None)
    assert torch.equal(loaded.conv1[0].weight, module.conv1[0].weight)
    three = architecture.build(ModelSpec(name="c", layers=10, weights="random", **entry), 4)
    save_file(three.state_dict(), tmp_path / "three.safetensors")
    with pytest.raises(Misfit, match=r"size mismatch for conv1\.0\.weight"):
        loading.load(grey(**entry, weights=f"file:{tmp_path / 'three.safetensors'}"), None)


def test_what_is_refused(elsewhere: Path) -> None:
    with pytest.raises(ValueError, match=r"in_chans of model 'g' must be the channels .* looks at 3"):
        architecture.build(grey(arch="grey_nets.Coloured"), 2)
    with pytest.raises(ValueError, match=r"mean of model 'g' must hold a number for each channel, 1 of them"):
        grey(mean=[0.4, 0.4, 0.4])
    with pytest.raises(ValueError, match=r"args of model 'g' must leave out in_chans\. Got 1"):
        grey(in_chans=3, args={"in_chans": 1}, mean=[0.4] * 3, std=[0.2] * 3)
    plain = {"name": "g", "arch": "resnet18", "weights": "random", "layers": 18}
    assert ModelSpec(**plain, in_chans=1).mean == (0.5,)
    assert "in_chans" not in ModelSpec(**plain).identity(), "old keys stay"
    assert ModelSpec(**plain, in_chans=1).identity()["in_chans"] == 1


def test_a_trained_grey_network_comes_back_by_its_name_alone(elsewhere: Path) -> None:
    spec, file = grey(), elsewhere / "model.safetensors"
    module = architecture.build(spec, 2)
    about = checkpoint.Checkpoint(spec, ["a", "b"], False, 16, {"oracle": 50.0}, {})
    checkpoint.save(module, about, {}, file)
    again, read = checkpoint.load(file, trust="grey_nets.Grey")
    assert torch.equal(again.conv.weight, module.conv.weight)
    assert (read.spec.in_chans, read.spec.mean) == (1, (0.4,))
