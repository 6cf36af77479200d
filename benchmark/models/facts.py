"""What is known of a network without data: layers on its longest path, parameters, multiply-adds, memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

from benchmark.config.model import ModelSpec
from benchmark.models.architecture import build, create
from benchmark.models.classifiers import body_parameters, features_and_logits

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.autograd.graph import Node

MAPS = ("ConvolutionBackward0", "AddmmBackward0", "MmBackward0")

GATES = ("SqueezeExcite", "SEModule", "EffectiveSEModule", "EcaModule", "SEWithNorm", "SqueezeExciteV2")
"""timm's squeeze-and-excitation, which rescales channels and is not counted as a layer of the path."""


class Facts(TypedDict):
    """Facts of a model at its input size.

    parameters   without the last classifier, which every target replaces
    feature_dim  width of what enters the last classifier
    gmacs        multiply-adds of one image's forward pass in 10⁹
    layers       convolutions and linear maps on the longest path, the last classifier among them, without
                 squeeze-and-excitation
    """

    parameters: int
    feature_dim: int
    gmacs: float
    layers: int


def facts(spec: ModelSpec) -> Facts:
    """What is known of a model without its weights."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        module = create(spec).eval()
        images = torch.zeros(1, spec.in_chans, spec.input_size, spec.input_size)
        with FlopCounterMode(display=False) as counter:
            features, _ = features_and_logits(module, images)
        parameters = body_parameters(module)  # the gates, which count here, are taken out in place below
        output = _without_gates(module)(images)
    return {
        "parameters": parameters,
        "feature_dim": features.shape[1],
        "gmacs": round(counter.get_total_flops() / 2e9, 3),
        "layers": longest_path(output),
    }


def _without_gates(module: nn.Module) -> nn.Module:
    from torch import nn

    for name, part in list(module.named_modules()):
        if type(part).__name__ in GATES:
            module.set_submodule(name, nn.Identity())
    return module


def longest_path(output: Tensor) -> int:
    """Convolutions and matrix products with a weight of the network on the longest path to a tensor.

    A weight is a parameter of two dimensions or more, also turned, standardised (BiT, NF-Nets) or scaled before it is
    used: what is worked out from parameters alone, without another convolution or matrix product. Walks the graph that
    autograd keeps, inputs before outputs.
    """
    length: dict[Node, int] = {}
    own: dict[Node, bool] = {}  # worked out from parameters alone
    weight: dict[Node, bool] = {}  # … and one of them has two dimensions or more
    last = output.grad_fn
    if last is None:
        raise ValueError("output must come from parameters. Got a tensor without a graph. Leave gradients on.")
    stack = [(last, False)]
    while stack:
        node, ready = stack.pop()
        if not ready:
            if node not in length:
                length[node] = 0
                stack.append((node, True))
                stack += [(above, False) for above, _ in node.next_functions if above is not None]
            continue
        above = [n for n, _ in node.next_functions if n is not None]
        leaf = getattr(node, "variable", None)
        inherited = any(weight.get(n, False) for n in above)
        own[node] = leaf is not None or (node.name() not in MAPS and all(own.get(n, False) for n in above))
        weight[node] = own[node] and (inherited if leaf is None else leaf.ndim >= 2)
        length[node] = max((length[n] for n in above), default=0) + (node.name() in MAPS and inherited)
    return length[last]


BATCH = 32
BYTES_PER_PARAMETER = 16  # weights, gradients and two moments in single precision


def memory_of(facts: Mapping[str, int]) -> float:
    """MB that fine-tuning takes at least, in single precision: weights, gradients, moments, and what every layer puts
    out for a batch of 32. An estimate: the framework's own use and temporary results come on top."""
    return (BYTES_PER_PARAMETER * facts["parameters"] + 4 * BATCH * facts["outputs"]) / 1e6


def measured_sizes(model: ModelSpec) -> dict[str, int]:
    import torch

    with torch.device("meta"):
        module = create(model).eval()
    outputs = 0

    def count(_: nn.Module, __: object, out: object) -> None:
        nonlocal outputs
        outputs += out.numel() if isinstance(out, torch.Tensor) else 0

    for part in module.modules():
        if not any(part.children()):
            part.register_forward_hook(count)
    with torch.inference_mode():
        module(torch.zeros(1, model.in_chans, model.input_size, model.input_size, device="meta"))
    return {"parameters": body_parameters(module), "outputs": int(outputs)}


def describe(spec: ModelSpec) -> dict[str, int]:
    """Number of parameters (see `body_parameters`), and of features."""
    import torch

    module = build(spec, 1)
    images = torch.zeros(1, spec.in_chans, spec.input_size, spec.input_size)
    with torch.inference_mode():
        features, _ = features_and_logits(module.eval(), images)
    return {
        "parameters": body_parameters(module),
        "feature_dim": features.shape[1],
    }
