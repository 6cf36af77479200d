"""A network for inference alone: each normalisation is folded into the convolution that it follows."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, TypeGuard

from benchmark.models.classifiers import features_and_logits

if TYPE_CHECKING:
    from torch import Tensor, nn

AGREES = 1e-4
"""Share of the features' root mean square by which the folded network's may differ: far above rounding."""


def folded(module: nn.Module, images: Tensor) -> nn.Module:
    """The network without the batch normalisations that follow a convolution, whose weights take their part.

    module  in evaluation mode; it stays as it is
    images  (n, c, s, s) of the network's input, a few: what follows what is seen on them, and that the result agrees
    returns another module, of equal features and outputs but for rounding; the module itself where there is nothing to
            fold, or where the two disagree, as of a network that reads its own weights
    """
    import torch

    if not any(map(_foldable, module.modules())):
        return module
    with torch.inference_mode():
        whole = copy.deepcopy(module)
        pairs = _pairs(whole, images[:1])
        if not pairs:
            return module
        expected = features_and_logits(module, images)
        _fold(whole, pairs)
        same = all(_alike(a, b) for a, b in zip(expected, features_and_logits(whole, images), strict=True))
    return whole if same else module


def _pairs(module: nn.Module, images: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """The convolutions and normalisations that follow one another directly, and are called once each."""
    from torch import nn

    outputs: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    calls: list[nn.Module] = []
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def convolved(layer: nn.Conv2d, _: tuple[Tensor, ...], output: Tensor) -> None:
        calls.append(layer)
        outputs[id(output)] = layer, output  # which lives on, so that no other gets its id

    def normalised(layer: nn.BatchNorm2d, given: tuple[Tensor, ...], _: Tensor) -> None:
        calls.append(layer)
        if id(given[0]) in outputs:
            pairs.append((outputs[id(given[0])][0], layer))

    hooks = [m.register_forward_hook(convolved) for m in module.modules() if isinstance(m, nn.Conv2d)]
    hooks += [m.register_forward_hook(normalised) for m in module.modules() if _foldable(m)]
    features_and_logits(module, images)
    for hook in hooks:
        hook.remove()
    return [(a, b) for a, b in pairs if calls.count(a) == calls.count(b) == 1]


def _foldable(layer: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    """Whether it is a batch normalisation by kept statistics; timm's has an activation in it as well."""
    from torch import nn

    return isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and not layer.training


def _fold(module: nn.Module, pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]]) -> None:
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    instead: dict[nn.Module, nn.Module] = {}
    for convolution, normalisation in pairs:
        instead[convolution] = fuse_conv_bn_eval(convolution, normalisation)
        instead[normalisation] = getattr(normalisation, "act", None) or nn.Identity()
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if child in instead:
                setattr(parent, name, instead[child])


def _alike(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= AGREES * one.square().mean().sqrt())
