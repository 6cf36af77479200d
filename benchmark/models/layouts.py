"""Checkpoints of other projects, under torchvision's names for a ResNet's tensors: Detectron2, VISSL, torchvision.

Nothing in a file is executed: PyTorch's files are read with `weights_only`, the plain pickles of Detectron2 by the
reader of benchmark.official, which knows arrays and no imports. Only the network's body is taken; heads for boxes,
masks, jigsaws or projections are left behind, a classifier of classes comes along where the file is a torchvision one.
A file that is something else, tensors that are found nowhere in it and values that no network has are refused with a
sentence that says what is there instead.
"""

from __future__ import annotations

import math
import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.filetypes import begins, something_else
from benchmark.safe_pickle import Refused, loads
from benchmark.wording import said

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
NESTED = ("state_dict_ema", "state_dict", "model_ema", "model_state_dict", "model")
"""Names under which training scripts keep a state dict, the one to be taken first."""
LARGEST = 1e10
"""No weight and no running variance of a trained network is larger: images of 0 to 255 give variances below 1e8."""
_PREFIXES = ("module.encoder_q.", "module.", "base_model.", "trunk.", "_feature_blocks.")


class Misfit(ValueError):
    """A checkpoint that does not hold what its layout promises; the message names the file and says what it holds."""


def read(file: Path, layout: str) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint under torchvision's names.

    layout  "detectron2", "vissl", or anything else for a plain state dict with torchvision's own names
    Raises Misfit for a file without a network of that layout, for one that wants to run code, and for values that no
    network has.
    """
    value = contents(file)
    found = LAYOUTS[layout](value) if layout in LAYOUTS else torchvision(value, file)
    if not found:
        raise Misfit(
            f"{file} must hold a ResNet in the layout of {layout}. Got none of its tensors, but {summary(value)}. "
            "Check the file, or the kind of weights."
        )
    return sound(found, file)


def state_dict(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a plain state dict, taken out of what it is nested in (see NESTED), without a leading `module.`.

    Raises Misfit as `read` does, and where it is nested in a way that is not known: the message names the keys found.
    """
    return sound(_plain(contents(file), file), file)


def _plain(value: object, file: Path) -> dict[str, torch.Tensor]:
    held = inside(value, *((name,) for name in NESTED))
    state = tensors(held)
    deeper = [len(tensors(part)) for part in held.values()] if isinstance(held, Mapping) else []
    if not state or max(deeper, default=0) > len(state):  # a lone tensor beside the network's is no state dict
        raise Misfit(
            f"{file} must hold a state dict, by itself or under one of {', '.join(NESTED)}. Got {summary(value)}. "
            "Save the network's state_dict() in one of these ways."
        )
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def summary(value: object, shown: int = 8) -> str:
    """What a file holds, in words: the keys of a mapping with what lies under each."""
    if not isinstance(value, Mapping):
        return f"a {type(value).__name__}"
    if not value:
        return "an empty mapping"
    kinds = [f"'{str(key)[:60]}' ({_kind(held)})" for key, held in list(value.items())[:shown]]
    return "the keys " + ", ".join(kinds) + (f" and {len(value) - shown} more" if len(value) > shown else "")


def _kind(held: object) -> str:
    if isinstance(held, Mapping):
        count = len(tensors(held))
        return f"a mapping of {count} tensors" if count else f"a mapping with {summary(held, 3)}"
    return f"tensor {tuple(held.shape)}" if hasattr(held, "shape") else type(held).__name__


def sound(state: dict[str, torch.Tensor], file: Path) -> dict[str, torch.Tensor]:
    """The state itself. Raises Misfit for a tensor that no network has: its name, and what is wrong with it."""
    for name, tensor in state.items():
        if wrong := _wrong(name, tensor):
            raise Misfit(f"weights of {file} must be real, finite numbers. Got {wrong} in '{name}'. Get the file anew.")
    return state


def _wrong(name: str, tensor: torch.Tensor) -> str | None:
    import torch

    if tensor.is_complex():
        return "complex numbers"
    if tensor.is_quantized or (tensor.dtype in (torch.int8, torch.uint8) and name.endswith("weight")):
        return f"quantised values ({str(tensor.dtype).removeprefix('torch.')})"
    if tensor.device.type == "meta":
        return "no values (a meta tensor)"
    if tensor.layout != torch.strided:
        return "a sparse tensor"
    if not tensor.is_floating_point() or not tensor.numel():
        return None
    largest = float(
        tensor.to(torch.float32).abs().max()
    )  # NaN where any is; what single precision overflows is infinite
    if math.isfinite(largest):
        return f"the number {largest:.3g}" if largest > LARGEST else None
    return "NaN" if bool(torch.isnan(tensor).any()) else "an infinite number"


def contents(file: Path) -> object:
    """What a file holds: nested dicts of tensors or arrays and plain values. Raises Misfit for one that is none."""
    try:
        if other := something_else(file):
            raise Misfit(f"{file} must be a checkpoint. Got {other}.")
        return _read(file)
    except Misfit:
        raise
    except Exception as error:  # the readers stumble over a damaged file in ways of their own
        raise Misfit(f"{file} must be an intact checkpoint. Got {_complaint(error)}. Get the file anew.") from error


def _read(file: Path) -> object:
    import torch

    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    if file.suffix == ".pkl" and begins(file, 1) == b"\x80":
        try:
            return loads(file.read_bytes(), file.name)
        except Refused as error:
            raise Misfit(str(error)) from None
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd protocols, where a file is damaged
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        called = re.search(r"GLOBAL (\S+)|(\S+) was not an allowed global", str(error))
        if not called and "weights only" not in str(error).lower():
            raise
        asked = f"a file that calls for {called[1] or called[2]}" if called else "a file of other Python objects"
        raise Misfit(
            f"{file} must hold tensors alone: it is read with weights_only, so that nothing in it runs. Got {asked}. "
            "Save the network's state_dict() instead of the whole object."
        ) from error


def _complaint(error: Exception) -> str:
    """A reader's error in a few words; some have none but a number."""
    kind, words = type(error).__name__, said(error, 160)
    return f"a damaged or foreign file ({kind if words == kind else f'{kind}: {words}'})"


def tensors(value: object) -> dict[str, torch.Tensor]:
    """The entries of a mapping that are tensors, or arrays made into them."""
    import numpy as np
    import torch

    held = value.items() if isinstance(value, Mapping) else ()
    return {
        str(k): torch.from_numpy(np.ascontiguousarray(v)) if isinstance(v, np.ndarray) else v
        for k, v in held
        if isinstance(v, torch.Tensor | np.ndarray)
    }


def inside(value: object, *paths: tuple[str, ...]) -> object:
    """What lies at the first of several paths into nested dicts; the value itself where none of them is there."""
    for path in paths:
        found = value
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, Mapping):
            return found
    return value


def torchvision(value: object, file: Path) -> dict[str, torch.Tensor]:
    """A plain state dict, also nested or of a DataParallel model; GoogLeNet's auxiliary classifiers are left out."""
    state = _plain(value, file)
    return {name: tensor for name, tensor in state.items() if not name.startswith(("aux1.", "aux2."))}


def detectron2(value: object) -> dict[str, torch.Tensor]:
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


def vissl(value: object) -> dict[str, torch.Tensor]:
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


LAYOUTS: dict[str, Callable[[object], dict[str, torch.Tensor]]] = {"detectron2": detectron2, "vissl": vissl}
