"""The last classifier of a network: found, counted, replaced by a fresh one, and what enters it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn
FEATURES_FROM, NUM_CLASSES = "features_from", "num_classes"
"""Attributes of a network: the name of its last layer, where its specification says it; how many classes it tells."""
HEAD_STD = 0.01
"""Spread of a new head's weights: small, so that the first steps do not shake pretrained features."""


def new_head(module: nn.Module, n_classes: int, seed: int) -> nn.Module:
    """Give the module a fresh last classifier of n_classes (normal, sd 0.01; zero bias); returns the module."""
    import torch

    reset = getattr(module, "reset_classifier", None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if not _named(module) and reset:
            reset(n_classes)
        else:
            path, last = _named(module) or _last_linear(module)
            module.set_submodule(path, _fresh(last, n_classes))
            setattr(module, NUM_CLASSES, n_classes)
        for head in heads(module):
            for name, parameter in head.named_parameters():
                with torch.no_grad():
                    parameter.zero_() if name.endswith("bias") else parameter.normal_(0, HEAD_STD)
    return module


def _named(module: nn.Module) -> tuple[str, nn.Module] | None:
    """Name and layer of the last map where the module's specification names it."""
    path = getattr(module, FEATURES_FROM, None)
    return (path, module.get_submodule(path)) if path else None


def _fresh(last: nn.Module, n_classes: int) -> nn.Module:
    """A last map of n_classes in the place of another: a 1×1 convolution for a convolution, else a linear one."""
    from torch import nn

    if isinstance(last, nn.Conv2d):
        padding = last.padding if isinstance(last.padding, str) else _pair(last.padding)
        return nn.Conv2d(last.in_channels, n_classes, _pair(last.kernel_size), _pair(last.stride), padding)
    if not isinstance(last, nn.Linear):
        raise TypeError(f"the last layer must be a linear map or a convolution. Got {type(last).__name__}. Name one.")
    return nn.Linear(last.in_features, n_classes)


def _pair(size: tuple[int, ...]) -> tuple[int, int]:
    height, width = size
    return height, width


def heads(module: nn.Module) -> tuple[nn.Module, ...]:
    """The last classifier; several for distilled transformers, which average theirs."""
    if named := _named(module):
        return (named[1],)
    classifier = getattr(module, "get_classifier", None)
    if classifier is None:
        return (_last_linear(module)[1],)
    head = classifier()
    return tuple(head) if isinstance(head, tuple | list) else (head,)


def _last_linear(module: nn.Module) -> tuple[str, nn.Linear]:
    """Name and layer of the last linear map: the classifier of torchvision's models, which do not name theirs."""
    from torch import nn

    return [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear)][-1]


def head_parameters(module: nn.Module) -> list[nn.Parameter]:
    """The parameters of the last classifier."""
    return [p for head in heads(module) for p in head.parameters()]


def body_parameters(module: nn.Module) -> int:
    """Number of parameters without the last classifier, which every target replaces."""
    own = {id(p) for p in head_parameters(module)}
    return sum(p.numel() for p in module.parameters() if id(p) not in own)


def features_and_logits(module: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What enters the last classifier (n, d), and the model's output (n, z), from one forward pass.

    A hook on the classifier sees its input, so that this is the model's own forward pass whatever its head does;
    it equals timm's `forward_head(x, pre_logits=True)`. The module's mode and gradients are the caller's affair.
    """
    import torch

    seen: list[torch.Tensor] = []
    hooks = [head.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach())) for head in heads(module)]
    try:
        logits = module(images)
    finally:
        for hook in hooks:
            hook.remove()
    # heads that are 1×1 convolutions get (n, d, 1, 1); two heads have different inputs, and the last classifier
    # of such a model sees their mean, as timm's forward_head says
    features = sum((x.flatten(1) for x in seen), torch.zeros(())) / len(seen)
    return features, logits.detach()
