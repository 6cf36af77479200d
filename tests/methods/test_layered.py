"""layered against features taken by hand, and which parts of real networks are its layers."""

import numpy as np
import pytest
import torch
from torch import nn

from methods import layered, logme, parc
from methods.layered import best_layer, body_parts, last_layer, layer_features, mean_layer


class Images:
    def __init__(self, inputs: np.ndarray):
        self.inputs = inputs

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, rows, generator=None) -> torch.Tensor:
        return torch.from_numpy(self.inputs[np.asarray(rows)])


class Stages(nn.Module):
    """A stem and two stages of other widths, with a head, as convolutional networks have them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.one, self.two = (nn.Conv2d(*io, 3, padding=1) for io in ((3, 4), (4, 6), (6, 8)))
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.two(torch.relu(self.one(torch.relu(self.stem(x)))))).mean((2, 3)))


class Blocks(nn.Module):
    """Blocks of one width on tokens, as transformers have them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(12, 12), nn.Tanh()) for _ in range(3))
        self.head = nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


def made(shape: tuple[int, ...], n: int = 70) -> tuple[Images, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 4
    return Images((rng.normal(size=(n, *shape)) + rng.normal(size=(4, *shape))[labels]).astype(np.float32)), labels


def test_layers_of_stages_are_their_outputs_averaged_over_places():
    images, _ = made((3, 5, 5))
    network = Stages()
    found = layer_features(network, images)
    assert list(found) == ["stem", "one", "two", "the classifier's input"]
    with torch.no_grad():
        stem = network.stem(torch.from_numpy(images.inputs))
        one = network.one(torch.relu(stem))
    np.testing.assert_allclose(found["stem"], stem.mean((2, 3)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["one"], one.mean((2, 3)), rtol=1e-4, atol=1e-6)
    assert [x.shape for x in found.values()] == [(70, 4), (70, 6), (70, 8), (70, 8)]


def test_layers_of_blocks_are_their_outputs_averaged_over_tokens():
    images, _ = made((7, 12))
    network = Blocks()
    found = layer_features(network, images)
    assert list(found) == ["blocks.0", "blocks.1", "blocks.2", "the classifier's input"]
    with torch.no_grad():
        first = network.blocks[0](torch.from_numpy(images.inputs))
    np.testing.assert_allclose(found["blocks.0"], first.mean(1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("base", ["logme", "parc"])
def test_best_is_the_highest_of_the_bases_scores(base):
    images, y = made((3, 5, 5))
    found = layer_features(Stages(), images)
    scores = {name: {"logme": logme, "parc": parc}[base](x, y) for name, x in found.items()}
    score = layered(Stages(), images, y, base=base)
    assert score == max(scores.values())
    assert score.reason == f"of layer {max(scores, key=scores.get)}"


def test_mean_is_the_score_of_the_blocks_mean():
    images, y = made((7, 12))
    found = list(layer_features(Blocks(), images).values())[:-1]
    expected = logme(np.mean([x.astype(float) for x in found], axis=0), y)
    assert layered(Blocks(), images, y, how="mean") == pytest.approx(expected, rel=1e-12)
    assert mean_layer(found, y) == pytest.approx(expected, rel=1e-12)
    stages = layered(Stages(), *made((3, 5, 5)), how="mean")
    assert stages.status == "not_applicable"
    assert stages.reason == "layers have 4 to 8 features: no mean of them"


def test_ones_own_layers_and_parameters_of_the_base():
    rng = np.random.default_rng(1)
    y = np.arange(40) % 2
    layers = {"noise": rng.normal(size=(40, 5)), "signal": rng.normal(size=(40, 3)) + 3 * y[:, None]}
    assert best_layer(layers, y, "knn", {"k": 3}).reason == "of layer signal"
    constant = {"a": np.ones((40, 2)), "b": np.ones((40, 3))}
    assert best_layer(constant, y).status == logme(np.ones((40, 3)), y).status != "ok"


def test_a_network_of_a_head_alone_has_its_input_as_its_only_layer():
    images, y = made((12,))
    head = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    for how in ("best", "mean"):
        assert layered(head, images, y, how=how) == pytest.approx(logme(images.inputs, y), rel=1e-12)


@pytest.mark.parametrize(("name", "layers"), [("resnet18", 6), ("vit_b_16", 12), ("mobilenet_v2", 19)])
def test_which_parts_of_known_networks_are_layers(name, layers):
    import torchvision

    with torch.device("meta"):
        network = getattr(torchvision.models, name)()
    assert len(body_parts(network, last_layer(network))) == layers


def test_wrong_parameters_are_refused():
    images, y = made((12,))
    with pytest.raises(ValueError, match="Did you mean 'best'"):
        layered(Blocks(), images, y, how="bst")
    with pytest.raises(ValueError, match="base must be one of"):
        layered(Blocks(), images, y, base="rank_fusion")
