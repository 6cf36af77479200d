"""Folded networks are the networks that they were folded from, and only what can be folded is."""

import pytest
import torch
from torch import nn

from benchmark.models import classifiers
from benchmark.models.classifiers import features_and_logits
from benchmark.models.folding import folded
from benchmark.models.loading import load
from tests.tiny import ARCHITECTURES, spec


def lived_in(module: nn.Module) -> nn.Module:
    """With statistics, weights and offsets of its normalisations as after a training."""
    torch.manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for held, low, high in (
                ("running_mean", -1, 1),
                ("running_var", 0.5, 2),
                ("weight", 0.5, 2),
                ("bias", -1, 1),
            ):
                getattr(layer, held).data.uniform_(low, high)
    return module.eval()


def normalisations(module: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if not n.startswith("lite")])
def test_features_and_outputs_are_equal_but_for_rounding(name: str) -> None:
    module = lived_in(load(spec(name), None)[0])
    images = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    had = normalisations(module)
    other = folded(module, images[:2])
    assert normalisations(module) == had, "the module itself stays"
    left = {"densenet": lambda n: 0 < n < had, "convnext": lambda n: n == had == 0, "vit": lambda n: n == had == 0}
    assert left.get(name, lambda n: n == 0)(normalisations(other))
    assert (other is module) == (had == 0)
    with torch.inference_mode():
        for one, another in zip(features_and_logits(module, images), features_and_logits(other, images), strict=True):
            torch.testing.assert_close(another, one, rtol=0, atol=1e-4 * float(one.square().mean().sqrt()))


class Odd(nn.Module):
    """A convolution with its normalisation, and a last layer; `twice` calls the convolution once more."""

    def __init__(self, twice: bool):
        super().__init__()
        self.conv, self.bn, self.fc, self.twice = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Linear(3, 2), twice

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn(self.conv(x))
        x = self.conv(x) if self.twice else x + self.conv.weight.sum()  # which folding changes
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize("twice", [True, False])
def test_a_network_that_uses_the_convolution_otherwise_too_stays_as_it_is(twice: bool, monkeypatch) -> None:
    module = lived_in(Odd(twice))
    monkeypatch.setattr(classifiers, "heads", lambda m: [m.fc])
    assert folded(module, torch.randn(4, 3, 8, 8)) is module
