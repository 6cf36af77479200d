"""A network with its weights in place. What is not the file's own tensors is an error; nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.config.model import TRAINED
from benchmark.files import put_tensors
from benchmark.models import layouts
from benchmark.models.architecture import (
    TORCHVISION,
    apply_edits,
    arguments,
    build,
    construct,
    factory_arguments,
    is_dotted_path,
    with_features,
)
from benchmark.models.classifiers import NUM_CLASSES, heads, new_head
from benchmark.models.layouts import LAYOUTS, Misfit
from benchmark.models.weights import weight_files
from benchmark.provenance import seed_of
from benchmark.wording import said

if TYPE_CHECKING:
    import torch
    from torch import nn

    from benchmark.config.model import ModelSpec

WEIGHTS, FACTS = "weights.safetensors", "weights.json"


def load(spec: ModelSpec, weights: Path | None, n_classes: int | None = None) -> tuple[nn.Module, bool]:
    """The model with its weights, on the CPU, and whether its head is that of its source task.

    weights    folder that `save` wrote, for weights that the harness trained; None otherwise
    n_classes  None keeps the source head; a number gives a fresh head of that many classes
    returns    (module, has_source_head). Random weights have no source head. A model trained on rotations has
               one, of four classes: its outputs are a distribution over a source's classes like any other's.
    Raises WeightsUnavailable, and Misfit for a file that is no checkpoint and for weights that do not fit the
    architecture: every tensor of the network's is the file's, or nothing is returned.
    """
    kind = spec.weights.partition(":")[0]
    if kind == "random":
        return build(spec, n_classes or 1), False
    if kind == "pretrain":
        if weights is None:
            raise ValueError(f"weights must be the folder that pretraining '{spec.name}' wrote. Got None.")
        module, has_head = _load_own(spec, Path(weights) / WEIGHTS), True
    else:
        file = weight_files(spec)[0]
        if kind in LAYOUTS or kind == "torchvision" or spec.arch.startswith(TORCHVISION):
            module, has_head = _by_name(spec, layouts.read(file, kind))
        else:
            read = _in_order if kind == "package" else _through_timm
            module, has_head = read(spec, layouts.state_dict(file))
    if n_classes is None:
        return module, has_head
    return new_head(module, n_classes, seed_of("head", spec.seed)), False


def _load_own(spec: ModelSpec, file: Path) -> nn.Module:
    state = layouts.state_dict(file)
    facts = json.loads((file.parent / FACTS).read_text(encoding="utf-8"))
    module = build(spec, facts["classes"])
    _fill(spec, module, state)
    return module


def _fill(spec: ModelSpec, module: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise _misfit(spec, error) from None


def _by_name(spec: ModelSpec, state: Mapping[str, torch.Tensor]) -> tuple[nn.Module, bool]:
    """Weights under torchvision's names, with or without the last classifier; timm's ResNets share these."""
    module = build(spec, 1)
    head = next(name for name, part in module.named_modules() if part is heads(module)[-1])
    weight = state.get(f"{head}.weight")
    if weight is None:
        state = dict(state) | {f"{head}.{name}": value for name, value in heads(module)[-1].state_dict().items()}
    else:
        module = build(spec, int(weight.shape[0]))
    _fill(spec, module, state)
    return module, weight is not None


def _in_order(spec: ModelSpec, state: Mapping[str, torch.Tensor]) -> tuple[nn.Module, bool]:
    """Weights whose names are another library's: the same tensors in the same order, every shape checked."""
    last = list(state.values())[-1]
    module = build(spec, int(last.shape[0]) if last.ndim else 1)
    own = module.state_dict()
    theirs, ours = [tuple(v.shape) for v in state.values()], [tuple(v.shape) for v in own.values()]
    if theirs != ours:
        raise Misfit(
            f"weights of '{spec.name}' must have the shapes of architecture '{spec.arch}' in its order. Got "
            f"{len(theirs)} tensors for {len(ours)}, or other shapes. Check arch and args."
        )
    _fill(spec, module, dict(zip(own, state.values(), strict=True)))
    return module, True


def _through_timm(spec: ModelSpec, state: dict[str, torch.Tensor]) -> tuple[nn.Module, bool]:
    """Weights under timm's names, or under those of an original release that timm knows how to convert."""
    import torch

    classes = _classes_in(spec, state)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of("weights", spec.seed))
        if (
            is_dotted_path(spec.arch) or spec.in_chans != 3
        ):  # timm would make a sum or copies of another kernel's channels
            module = construct(spec.arch, factory_arguments(spec), n_classes=classes or 1)
            _fill(spec, module, state)
        else:
            module = _converted(spec, state, classes)
    apply_edits(module, spec.edits)
    # what a model like CLIP has for a head maps to an embedding, and one class is what a file without a head was given:
    # no distribution over classes
    return with_features(module, spec), classes is not None and classes > 1 and spec.objective in TRAINED


def _converted(spec: ModelSpec, state: Mapping[str, torch.Tensor], classes: int | None) -> nn.Module:
    """The architecture with weights that timm may have to convert first. Raises Misfit where some are not the file's.

    The state dict in the configuration takes the place of the download, whose addresses are taken out; timm's own
    filters then apply. Some architectures load what fits and leave the rest as it was initialised. So what is not the
    file's tensor as it stands has to follow the file: where the file's numbers grow by one, it has to change. Zeros are
    left alone: a bias that timm fills in where the original has none.
    """
    import torch

    module, own = _filled_by_timm(spec, state, classes), {}
    for name, value in module.state_dict().items():
        given = state.get(name)
        as_given = given is not None and given.shape == value.shape and torch.equal(given.to(value.dtype), value)
        if value.is_floating_point() and bool(value.any()) and not as_given:
            own[name] = value
    if own:
        moved = {k: v + 1 if v.is_floating_point() else v for k, v in state.items()}
        again = _filled_by_timm(spec, moved, classes).state_dict()
        if absent := [name for name, value in own.items() if torch.equal(again[name], value)]:
            raise Misfit(
                f"weights of '{spec.name}' must be whole. Got nothing for {len(absent)} tensors of architecture "
                f"'{spec.arch}', first '{absent[0]}', in {layouts.summary(state)}. Check arch, args and weights."
            )
    return module


def _filled_by_timm(spec: ModelSpec, state: Mapping[str, torch.Tensor], classes: int | None) -> nn.Module:
    import torch

    from benchmark.models.timm_alone import timm

    tag = spec.weights.removeprefix("timm:") if spec.weights.startswith("timm:") else spec.arch
    known = timm.get_pretrained_cfg(tag)
    overlay: dict[str, object] = {
        "state_dict": dict(state),
        "num_classes": classes or 0,
        "source": "timm",
        "custom_load": False,
    }
    overlay |= {"url": None, "file": None, "hf_hub_id": None, "hf_hub_filename": None}
    if not spec.weights.startswith("timm:"):
        overlay["label_offset"] = 0
    args = arguments(spec) | ({"pretrained_cfg": known} if known else {})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of("weights", spec.seed))
        try:
            return construct(spec.arch, args, n_classes=classes or 0, pretrained=True, pretrained_cfg_overlay=overlay)
        except (RuntimeError, KeyError) as error:
            raise _misfit(spec, error) from None


def _misfit(spec: ModelSpec, error: Exception) -> Misfit:
    return Misfit(
        f"weights of '{spec.name}' must fit architecture '{spec.arch}' with its arguments. Got {said(error)}. Check "
        f"arch, args and weights."
    )


def _classes_in(spec: ModelSpec, state: Mapping[str, torch.Tensor]) -> int | None:
    """The number of source classes that the weights' classifier has; None where they hold none."""
    from benchmark.models.timm_alone import timm

    tag = spec.weights.removeprefix("timm:") if spec.weights.startswith("timm:") else spec.arch
    config = None if is_dotted_path(spec.arch) else timm.get_pretrained_cfg(tag)
    named = config.classifier if config is not None else None
    names = [named] if isinstance(named, str) else list(named or ())
    names = [spec.features_from] if spec.features_from else [*names, "head.fc", "head", "fc", "classifier", "head.l"]
    for name in names:
        weight = state.get(f"{name}.weight")
        if weight is not None and weight.ndim >= 2:
            offset = config.label_offset or 0 if spec.weights.startswith("timm:") and config else 0
            return int(weight.shape[0]) - offset
    return None


def save(module: nn.Module, folder: Path) -> None:
    """Write `weights.safetensors` (matrices and kernels in half precision, the rest in single) and `weights.json`.

    Raises ValueError for a weight that half precision cannot hold.
    """
    import torch

    state = {}
    for name, value in module.state_dict().items():
        value = value.detach().to("cpu", copy=True).contiguous()
        if value.is_floating_point():
            value = value.to(torch.float16 if value.ndim >= 2 else torch.float32)
            if not bool(torch.isfinite(value).all()):
                raise ValueError(f"weights must be finite in half precision. Got an overflow in '{name}'.")
        state[name] = value
    folder.mkdir(parents=True, exist_ok=True)
    put_tensors(folder / WEIGHTS, state)
    facts = {"classes": int(getattr(module, NUM_CLASSES)), "tensors": len(state), "format": "float16 matrices"}
    (folder / FACTS).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
