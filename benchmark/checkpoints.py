"""Checkpoints of other projects, under torchvision's names for a ResNet's tensors: Detectron2, VISSL, torchvision.

Nothing in a file is executed: PyTorch's files are read with `weights_only`, the plain pickles of Detectron2 by the
reader of benchmark.official, which knows arrays and no imports. Only the network's body is taken; heads for boxes,
masks, jigsaws or projections are left behind, a classifier of classes comes along where the file is a torchvision one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    State = Mapping[str, torch.Tensor]

ORIGINS = {
    "detectron2": "https://dl.fbaipublicfiles.com/detectron2",
    "vissl": "https://github.com/facebookresearch/vissl/blob/main/MODEL_ZOO.md",
}
"""Where the files of each project are; Detectron2's lie below it under the same path as below `detectron2/`."""

_BODY = re.compile(r"(conv1|bn1|layer[1-4]\.\d+\.(conv[1-3]|bn[1-3]|downsample\.[01]))\.\w+")
_DETECTRON2 = re.compile(
    r"(?:backbone\.bottom_up\.|backbone\.|roi_heads\.)?"
    r"(?:stem\.(?P<stem>conv1)|res(?P<stage>[2-5])\.(?P<block>\d+)\.(?P<layer>conv[1-3]|shortcut))"
    r"\.(?P<norm>norm\.)?(?P<rest>\w+)"
)
_PREFIXES = ("module.encoder_q.", "module.", "base_model.", "trunk.", "_feature_blocks.")


class Misfit(ValueError):
    """A checkpoint that does not hold what its layout promises; the message names the file and says what it holds."""


def read(file: Path, layout: str) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint under torchvision's names.

    layout  "detectron2", "vissl", or anything else for a plain state dict with torchvision's own names
    Raises Misfit for a file without a network of that layout, and the readers' own errors for one that wants to run
    code.
    """
    found = LAYOUTS.get(layout, torchvision)(contents(file))
    if not found:
        expected = f"a ResNet in the layout of {layout}" if layout in LAYOUTS else "a state dict"
        raise Misfit(f"{file} must hold {expected}. Got none of its tensors. Check the file, or the kind of weights.")
    return found


def contents(file: Path) -> Any:
    """What a file holds: nested dicts of tensors or arrays and plain values."""
    import torch

    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    with file.open("rb") as stream:
        plain = stream.read(1) == b"\x80" and file.suffix == ".pkl"
    if plain:
        from benchmark.official import loads

        return loads(file.read_bytes(), file.name)
    return torch.load(file, map_location="cpu", weights_only=True)


def tensors(value: Any) -> dict[str, torch.Tensor]:
    """The entries of a mapping that are tensors, or arrays made into them."""
    import numpy as np
    import torch

    held = value.items() if isinstance(value, Mapping) else ()
    return {
        str(k): torch.from_numpy(np.ascontiguousarray(v)) if isinstance(v, np.ndarray) else v
        for k, v in held
        if isinstance(v, torch.Tensor | np.ndarray)
    }


def inside(value: Any, *paths: tuple[str, ...]) -> Any:
    """What lies at the first of several paths into nested dicts; the value itself where none of them is there."""
    for path in paths:
        found = value
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, Mapping):
            return found
    return value


def torchvision(value: Any) -> dict[str, torch.Tensor]:
    """A plain state dict, also nested or of a DataParallel model; GoogLeNet's auxiliary classifiers are left out."""
    state = tensors(inside(value, ("state_dict",), ("model",), ("model_state_dict",)))
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return {name: tensor for name, tensor in state.items() if not name.startswith(("aux1.", "aux2."))}


def detectron2(value: Any) -> dict[str, torch.Tensor]:
    """The backbone of a detector: C4 (whose last stage lies in its head), FPN, RetinaNet and panoptic ones alike.

    The first kernel's input channels are turned round, as Detectron2 shows its networks BGR. Its MSRA ResNets stride
    in the first convolution of a block: the model's `edits` say so. The offsets of deformable convolutions are left
    out: a plain convolution takes their place.
    """
    found = {}
    for name, tensor in tensors(inside(value, ("model",))).items():
        if not (part := _DETECTRON2.fullmatch(name)):
            continue
        where = "" if part["stem"] else f"layer{int(part['stage']) - 1}.{part['block']}."
        if part["layer"] == "shortcut":
            layer = "downsample.1" if part["norm"] else "downsample.0"
        else:
            layer = part["stem"] or part["layer"]
            layer = layer.replace("conv", "bn") if part["norm"] else layer
        found[f"{where}{layer}.{part['rest']}"] = tensor.flip(1) if name.endswith("stem.conv1.weight") else tensor
    return counted(found)


def vissl(value: Any) -> dict[str, torch.Tensor]:
    """The trunk of a VISSL checkpoint, or a ResNet as MoCo, SwAV and torchvision save it.

    A classifier `fc` is kept for the plain names of torchvision only: under a prefix it is a projection.
    """
    paths = (("classy_state_dict", "base_model", "model", "trunk"), ("model_state_dict",), ("state_dict",), ("model",))
    found = {}
    for name, tensor in tensors(inside(value, *paths)).items():
        short = name
        for prefix in _PREFIXES:
            short = short.removeprefix(prefix)
        if _BODY.fullmatch(short) or (short == name and name in ("fc.weight", "fc.bias")):
            found[short] = tensor
    return counted(found)


def counted(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state with the batch counters that frozen norms do not save."""
    import torch

    names = (name.removesuffix("running_mean") for name in state if name.endswith("running_mean"))
    return {f"{name}num_batches_tracked": torch.tensor(0) for name in names} | state


LAYOUTS: dict[str, Callable[[Any], dict[str, torch.Tensor]]] = {"detectron2": detectron2, "vissl": vissl}
