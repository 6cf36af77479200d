"""Any estimator on the features of a network's inner layers, not of its last one alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import applied, estimator, named
from methods.shared.checks import choice
from methods.shared.linalg import Features
from methods.shared.score import Score, not_applicable

if TYPE_CHECKING:
    from torch import Tensor, nn

WHOLE = 0.9  # a part that holds this share of the body's parameters is looked into: its own parts are the layers
AT_ONCE = 32  # images in a forward pass


@estimator(
    labels=("single", "multi"),
    cost="O(1) forward passes an image, and the base's cost a layer: seconds",
    source="Garbas, Ploner and Akbik, Findings of ACL 2024",
)
def layered(
    network: nn.Module,
    images: Any,
    labels: ArrayLike,
    base: str | Callable[..., float] = "logme",
    parameters: Mapping[str, object] | None = None,
    how: str = "best",
) -> Score:
    """The base's score of the best layer's features, or of the mean of all layers' features.

    network     a PyTorch module (n, …) -> (n, z); it is put into evaluation mode
    images      n of them: a sequence with `batch(rows)`, the network's input for some rows
    labels      class ids (n,) or multi-hot (n, c), as the base takes them
    base        an estimator of features and labels: its name here, or a function
    parameters  of the base
    how         "best": the highest score of any layer; the reason says of which. "mean": the score of the mean
                of the layers' features, which must be equally many (a transformer's are; otherwise
                not_applicable)
    returns     the base's score, in its unit; higher predicts better

    Layers are the parts of the network's body, one after the other: the children with parameters of the
    smallest module that holds nine tenths of the body's (a transformer's blocks, a residual network's stem and
    stages), and, with "best", what enters the last classifier. Their outputs are averaged over places or
    tokens. `best_layer` and `mean_layer` do the same for features that you have yourself.
    Cost: one forward pass of the images, and the base's cost a layer. Deterministic where the base is; the
    network's own precision, in one thread.
    Source: Garbas, Ploner and Akbik, Findings of ACL 2024 (transformer-ranker).
    """
    choice("how", how, ("best", "mean"))
    function = named(base)
    found = layer_features(network, images)
    if how == "best":
        return best_layer(found, labels, function, parameters)
    inner = dict(list(found.items())[:-1]) or found
    return mean_layer(list(inner.values()), labels, function, parameters)


def best_layer(
    layers: Mapping[str, ArrayLike],
    labels: ArrayLike,
    base: str | Callable[..., float] = "logme",
    parameters: Mapping[str, object] | None = None,
) -> Score:
    """The base's highest score over layers: name -> features (n, d of its own). Of equal ones the last layer's.

    Where no layer's score is ok, that of the last layer. Higher predicts better.
    """
    scores = {name: applied(named(base), Features(x), labels, parameters) for name, x in layers.items()}
    fine = {name: score for name, score in scores.items() if score.ok}
    if not fine:
        return list(scores.values())[-1]
    name = max(reversed(list(fine)), key=lambda name: float(fine[name]))
    score = fine[name]
    return Score(score, score.status, "; ".join(filter(None, (score.reason, f"of layer {name}"))), score.parts)


def mean_layer(
    layers: Sequence[ArrayLike],
    labels: ArrayLike,
    base: str | Callable[..., float] = "logme",
    parameters: Mapping[str, object] | None = None,
) -> Score:
    """The base's score of the mean of several layers' features, each (n, d). Higher predicts better.

    not_applicable where d differs from layer to layer.
    """
    arrays = [np.asarray(x, dtype=np.float64) for x in layers]
    widths = {x.shape for x in arrays}
    if len(widths) > 1:
        return not_applicable(f"layers have {min(widths)[-1]} to {max(widths)[-1]} features: no mean of them")
    return applied(named(base), Features(np.mean(arrays, axis=0)), labels, parameters)


def layer_features(network: nn.Module, images: Any) -> dict[str, np.ndarray]:
    """Features (n, d) by the name of the layer, in the order of the forward pass; last, what enters the classifier."""
    import torch

    head = last_layer(network)
    parts = body_parts(network, head)
    seen: dict[str, list[np.ndarray]] = {}
    hooks = [part.register_forward_hook(_keep_output(seen, name)) for name, part in parts.items()]
    hooks.append(head.register_forward_pre_hook(lambda _, args: _keep(seen, "the classifier's input", args[0])))
    network.eval()
    try:
        with torch.inference_mode(), _one_thread():
            for start in range(0, len(images), AT_ONCE):
                network(images.batch(range(start, min(start + AT_ONCE, len(images)))))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: np.concatenate(pieces) for name, pieces in seen.items()}


def last_layer(network: nn.Module) -> nn.Module:
    """The classifier: as the network names it, as timm's do, else its last linear map."""
    from torch import nn

    if path := getattr(network, "features_from", None):
        return network.get_submodule(str(path))
    classifier: Any = getattr(network, "get_classifier", None)
    head = classifier() if classifier else None
    if isinstance(head, nn.Module) and not isinstance(head, nn.Identity):
        return head
    maps = [part for part in network.modules() if isinstance(part, nn.Linear)]
    if not maps:
        raise ValueError("network must have a linear map, its last layer. Got none. Name it: features_from.")
    return maps[-1]


def body_parts(network: nn.Module, head: nn.Module) -> dict[str, nn.Module]:
    """The layers by name: the parts of the smallest module that holds nearly all parameters but the classifier's."""
    own = {id(p) for p in head.parameters()}

    def size(part: nn.Module) -> int:
        return sum(p.numel() for p in part.parameters() if id(p) not in own)

    whole, path, at = size(network), "", network
    while True:
        sizes = {name: size(child) for name, child in at.named_children()}
        name = max(sizes, key=sizes.__getitem__, default="")
        if not whole or sizes.get(name, 0) < WHOLE * whole or not any(True for _ in at.get_submodule(name).children()):
            break
        path, at = f"{path}{name}.", at.get_submodule(name)
    return {path + name: child for name, child in at.named_children() if sizes[name] > 0 and child is not head}


def _keep_output(seen: dict[str, list[np.ndarray]], name: str) -> Callable[[nn.Module, Any, Any], None]:
    def keep(_: nn.Module, given: Any, output: Any) -> None:
        _keep(seen, name, output[0] if isinstance(output, tuple) else output)

    return keep


def _keep(seen: dict[str, list[np.ndarray]], name: str, values: Tensor) -> None:
    """Averaged over places (n, d, h, w) or (n, h, w, d), whichever has two equal sides, or tokens (n, t, d)."""
    if values.ndim == 4:
        values = values.mean((2, 3) if values.shape[2] == values.shape[3] else (1, 2))
    elif values.ndim == 3:
        values = values.mean(1)
    seen.setdefault(name, []).append(values.flatten(1).float().cpu().numpy())


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
