"""A trained model for other programs: ONNX or TorchScript, probabilities out, checked against the model itself.

The last layer is part of the file: outputs over the checkpoint's temperature, then softmax (several labels: sigmoid).
What must be done to an image beforehand stands in the file's metadata, `preprocessing` above all. PyTorch's own
exporters do the work.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from benchmark.errors import ConfigError
from benchmark.files import begun, ordinary
from benchmark.search import checkpoint

if TYPE_CHECKING:
    import torch
    from torch import nn

    from benchmark.search.checkpoint import Checkpoint

Kind = Literal["onnx", "torchscript"]
SUFFIXES: dict[Kind, str] = {"onnx": ".onnx", "torchscript": ".torchscript.pt"}
PACKAGES: dict[Kind, tuple[str, ...]] = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "torchscript": ()}
CHECKED = 10
"""Images that a file is checked on."""
CLOSE = 1e-3
"""Largest difference of a probability that is rounding."""


@dataclass(frozen=True)
class Exported:
    """A file, and the largest difference of its probabilities from the model's on so many images."""

    file: Path
    difference: float
    images: int

    @property
    def sentence(self) -> str:
        said = f"largest difference of a probability from the model's {self.difference:.1e}"
        return f"{self.file}: checked on {self.images} images, {said}"


def kinds(asked: Kind | Sequence[Kind] | None) -> list[Kind]:
    """What is asked for, as a list; ConfigError where a package for it is not installed."""
    wanted: list[Kind] = [] if asked is None else [asked] if isinstance(asked, str) else list(dict.fromkeys(asked))
    for kind in wanted:
        if lacking := [name for name in PACKAGES[kind] if importlib.util.find_spec(name) is None]:
            raise ConfigError(
                f"export={kind} must find the packages {', '.join(PACKAGES[kind])}. Got no {' and no '.join(lacking)}. "
                "Install them with pip install 'diverse-model-selection[export]'."
            )
    return wanted


def of_checkpoint(file: Path, wanted: Sequence[Kind], pixels: np.ndarray | None, trust: str | None) -> list[Exported]:
    """A checkpoint in each of the forms that are wanted, see `write`.

    pixels  to check them on; None: made-up images, drawn from one seed
    """
    module, about = checkpoint.load(file, trust)
    if pixels is None:
        size = about.spec.input_size
        pixels = np.random.default_rng(0).integers(0, 256, (CHECKED, size, size, 3), dtype=np.uint8)
    return [write(module, about, kind, file, pixels) for kind in wanted]


def write(module: nn.Module, about: Checkpoint, kind: Kind, checkpoint: Path, pixels: np.ndarray) -> Exported:
    """Write a model beside its checkpoint under another suffix.

    module  in evaluation mode on the CPU
    pixels  (n, s, s, 3) uint8 as `benchmark.search.prediction.view` gives them, to check it on
    Raises ConfigError, and leaves no file, where the file's probabilities are others than the model's.
    """
    import torch

    from benchmark.training.views import normaliser

    whole = with_probabilities(module, about)
    images = normaliser(about.spec, torch.device("cpu"))(torch.from_numpy(pixels[:CHECKED]).permute(0, 3, 1, 2))
    images = images.contiguous()
    file = checkpoint.with_name(checkpoint.stem + SUFFIXES[kind])
    make, run = {"onnx": (_to_onnx, _run_onnx), "torchscript": (_to_torchscript, _run_torchscript)}[kind]
    with torch.inference_mode():
        expected = whole(images).numpy()
    with begun(file) as part:
        make(whole, images, metadata(about), part)
        difference = float(np.abs(run(part, images.numpy()) - expected).max())
        if not difference <= CLOSE:
            raise ConfigError(
                f"the {kind} file must give the model's probabilities. Got a difference of {difference:.2g} on "
                f"{len(images)} images. Use the checkpoint itself, {checkpoint}."
            )
        ordinary(part)
    return Exported(file, difference, len(images))


def with_probabilities(module: nn.Module, about: Checkpoint) -> nn.Module:
    """The model with its calibrated probabilities (n, c) as outputs."""
    from torch import nn

    temperature, several = float((about.calibration or {}).get("temperature", 1.0)), about.multilabel

    class Probabilities(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = module

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            outputs = self.model(images) / temperature
            return outputs.sigmoid() if several else outputs.softmax(dim=1)

    return Probabilities().eval()


def metadata(about: Checkpoint) -> dict[str, str]:
    """What a program must know to use the file; JSON where it is no text."""
    spec = about.spec
    size, frame = spec.input_size, spec.frame(about.pack_size)
    colour = "RGB" if spec.in_chans == 3 else "grey (0.299 R + 0.587 G + 0.114 B)"
    steps = (
        f"{colour}; short side scaled down to {about.pack_size} pixels where it is longer, then scaled to {frame} "
        f"(bicubic, antialiased); the middle {size} x {size} pixels; divided by 255; minus mean, over std; "
        f"float32 (n, {spec.in_chans}, {size}, {size})"
    )
    facts = {
        "model": spec.name,
        "licence": spec.licence,
        "class_names": about.class_names,
        "multilabel": about.multilabel,
        "preprocessing": steps,
        "mean": spec.mean,
        "std": spec.std,
        "input_size": size,
        "output": "probabilities (n, classes), " + ("each label's own" if about.multilabel else "of one sum to 1"),
        "calibration": about.calibration,
        "test": about.test,
    }
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()}


def _to_onnx(whole: nn.Module, images: torch.Tensor, facts: dict[str, str], file: Path) -> None:
    import onnx
    import torch

    with _quietly():
        made = torch.onnx.export(
            whole,
            (images,),
            dynamo=True,
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_shapes={"images": {0: torch.export.Dim("n", min=1)}},
            verbose=False,
        )
    assert made is not None  # with dynamo=True it never is
    proto = made.model_proto
    onnx.helper.set_model_props(proto, facts)
    file.write_bytes(proto.SerializeToString())


def _run_onnx(file: Path, images: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]


def _to_torchscript(whole: nn.Module, images: torch.Tensor, facts: dict[str, str], file: Path) -> None:
    import torch

    with _quietly(), torch.no_grad():
        traced = torch.jit.trace(whole, images, check_trace=False)
        torch.jit.save(traced, str(file), _extra_files={"metadata.json": json.dumps(facts)})


def _run_torchscript(file: Path, images: np.ndarray) -> np.ndarray:
    import torch

    with _quietly(), torch.inference_mode():
        return torch.jit.load(str(file))(torch.from_numpy(images)).numpy()


def _quietly() -> warnings.catch_warnings:
    """The exporters warn of what is planned for themselves, and of branches on shapes, which are fixed here."""
    return warnings.catch_warnings(action="ignore")
