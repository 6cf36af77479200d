"""The model that a search ends with: one safetensors file that says what it is, how to feed it and how good it was.

The weights lie under timm's names in single precision, so that timm loads them without this project (`code`).
Everything else is text in the file's metadata.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from benchmark.config.model import ModelSpec
from benchmark.config.validation import explain
from benchmark.errors import ConfigError
from benchmark.files import put_tensors
from benchmark.filetypes import something_else
from benchmark.models import architecture, layouts
from benchmark.models.snippet import lines
from benchmark.search.calibration import Calibration
from benchmark.wording import said

if TYPE_CHECKING:
    from torch import nn

FORMAT = "diverse-model-selection checkpoint 1"
KNOWN = ("timm.", "torchvision.", "benchmark.models.networks.")  # where an architecture that a file names may come from
SPEC = ("name", "arch", "args", "edits", "input_size", "crop_pct", "mean", "std", "family", "layers", "licence")
"""The fields of a model that its checkpoint holds: those that build it and feed it."""
MORE = ("features_from", "in_chans")
"""Fields that a checkpoint of an earlier version does not have."""
PROBABILITIES = (
    "softmax, or with several labels the sigmoid, of the outputs / calibration.temperature; where the highest of a "
    "softmax is below calibration.threshold: none of these"
)
TEXT = ("name", "arch", "family", "licence", "features_from")
"""What a file holds as it stands; all else is JSON."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds beside the weights. `pack_size` is the short side to which images are scaled down first.

    calibration  the fields of a `benchmark.search.calibration.Calibration`; None where there is none
    levels       the range that became 0 to 255 in training images of more than 8 bits, see benchmark.data.depth
    """

    spec: ModelSpec
    class_names: list[str]
    multilabel: bool
    pack_size: int
    test: dict[str, Any]
    provenance: dict[str, Any]
    calibration: dict[str, Any] | None = None
    levels: Mapping[str, Sequence[float]] | None = None


def save(module: nn.Module, about: Checkpoint, data: Mapping[str, Any], file: Path) -> None:
    """Write the module's weights (single precision) and what is known about them; complete or not at all.

    data  facts of the training data: its name, licence and origin
    """
    import torch

    state = {
        name: (value.float() if value.is_floating_point() else value).detach().to("cpu", copy=True).contiguous()
        for name, value in module.state_dict().items()
    }
    if bad := [n for n, v in state.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())]:
        raise ValueError(f"weights must be finite to be kept. Got NaN or infinity in '{bad[0]}'.")
    colour = "RGB" if about.spec.in_chans == 3 else "grey (0.299 R + 0.587 G + 0.114 B)"
    memory = "contiguous" if about.spec.family == "transformer" else "channels_last"
    metadata = about.spec.model_dump(mode="json", include={*SPEC, *MORE}) | {
        "format": FORMAT,
        "class_names": about.class_names,
        "multilabel": about.multilabel,
        "pack_size": about.pack_size,
        "layout": f"float32 (n, {about.spec.in_chans}, h, w), {colour}, pixels / 255, then (x - mean) / std; "
        f"in memory {memory}",
        "data": dict(data),
        "test": about.test,
        "provenance": about.provenance,
        "timm": code(about.spec, len(about.class_names), file.name),
    }
    if about.calibration:
        metadata |= {"calibration": about.calibration, "probabilities": PROBABILITIES}
    if about.levels:
        metadata["levels"] = about.levels
    text = {k: v if isinstance(v, str) else json.dumps(v, sort_keys=True) for k, v in metadata.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    put_tensors(file, state, text)


def code(spec: ModelSpec, n_classes: int, file: str = "model.safetensors") -> str:
    """Python that loads the file, with timm alone where timm has the architecture."""

    made = lines(spec.model_copy(update={"weights": "random", "init": None}), n_classes)
    return "\n".join(["from safetensors.torch import load_file", *made, f"model.load_state_dict(load_file({file!r}))"])


def read(file: Path, trust: str | None = None) -> Checkpoint:
    """What a checkpoint says about itself; ConfigError for a file that is none. The weights are not read.

    trust  the one network outside timm, torchvision and this project, by its whole dotted path, that the file may name:
           a file may come from anywhere, and what it names is imported and called with the arguments that it gives
    """
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        raise ConfigError(
            f"model must be a checkpoint file. Got nothing at '{file}'. Give the model.safetensors that a search wrote."
        )
    try:
        if other := something_else(file, ".safetensors"):
            raise ConfigError(f"model must be a safetensors file, the one that a search wrote. Got '{file}', {other}.")
        with safe_open(file, framework="numpy") as opened:
            text = opened.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ConfigError(
            f"model must be a safetensors file. Got '{file}' ({error}). Give the model.safetensors that a search wrote."
        ) from None
    if text.get("format") != FORMAT:
        raise ConfigError(
            f"model must be a checkpoint of this project ('{FORMAT}' in its metadata). Got '{file}' with "
            f"{text.get('format') or 'no such format'!r}. Give the model.safetensors that a search wrote."
        )
    try:
        facts = {
            k: v if k in TEXT and v != "null" else json.loads(v)
            for k, v in text.items()
            if k not in ("format", "layout", "timm", "probabilities")
        }
        spec = ModelSpec(weights="random", **{k: facts[k] for k in SPEC}, **{k: facts[k] for k in MORE if k in facts})
        if "." in spec.arch and not spec.arch.startswith(KNOWN):
            _refuse_untrusted(file, spec, trust)
        _complete(facts)
        held: dict[str, Any] = {k: facts[k] for k in ("class_names", "multilabel", "pack_size", "test", "provenance")}
        later: dict[str, Any] = {k: facts.get(k) for k in ("calibration", "levels")}
        return Checkpoint(spec, **held, **later)
    except ValidationError as error:
        said = " ".join(explain(error)).rstrip(".")
        raise ConfigError(f"model must have whole metadata. Got '{file}' where {said}. Make it again.") from None
    except (KeyError, ValueError) as error:  # JSON's complaints are ValueErrors
        raise ConfigError(f"model must have whole metadata. Got '{file}' without it: {error}. Make it again.") from None


def _refuse_untrusted(file: Path, spec: ModelSpec, trust: str | None) -> None:
    """ConfigError unless the network that a file names is the one that the caller named, and can be imported."""
    first = spec.arch.partition(".")[0]
    if trust != spec.arch:
        said = f"Got '{spec.arch}', which loading would import and run"
        said += f", and trust={trust}. Is it the right file?" if trust else ". If you know that code, add trust=<arch>."
        raise ConfigError(f"arch of '{file}' must be of timm, torchvision or {KNOWN[-1][:-1]}. {said}")
    if first in sys.stdlib_module_names:
        raise ConfigError(f"trust must name a network of your own. Got '{trust}', which is Python's own.")
    if not spec.own_network:
        raise ConfigError(f"trust must name a network on PYTHONPATH. Got '{trust}', and no package '{first}' there.")


def _complete(facts: Mapping[str, Any]) -> None:
    """KeyError or ValueError for facts of another kind than `save` writes."""
    names, test = facts["class_names"], facts["test"]
    right = {
        "class_names": isinstance(names, list) and len(names) > 1 and all(isinstance(n, str) for n in names),
        "multilabel": isinstance(facts["multilabel"], bool),
        "pack_size": type(facts["pack_size"]) is int and facts["pack_size"] > 0,
        "test": isinstance(test, dict) and isinstance(test.get("oracle"), int | float),
    }
    if facts.get("calibration") is not None:
        Calibration.of(facts["calibration"])
    if facts.get("levels") is not None:
        right["levels"] = isinstance(facts["levels"], dict) and all(
            isinstance(v, list) and [type(x) in (int, float) for x in v] == [True, True]
            for v in facts["levels"].values()
        )
    if wrong := [name for name, so in right.items() if not so]:
        raise ValueError(f"{wrong[0]} is {str(facts[wrong[0]])[:60]!r}")


def load(file: Path, trust: str | None = None) -> tuple[nn.Module, Checkpoint]:
    """The trained model in evaluation mode on the CPU, and what the file says about it; see `read`."""
    from safetensors.torch import load_file

    about = read(file, trust)
    try:
        module = architecture.build(about.spec, len(about.class_names))
        module.load_state_dict(layouts.sound(load_file(file), file))
    except layouts.Misfit as error:
        raise ConfigError(str(error)) from None
    except (RuntimeError, ValueError) as error:
        misfit = f"weights of '{file}' must fit '{about.spec.arch}'. Got {said(error)}. Make it again."
        raise ConfigError(misfit) from None
    return module.eval(), about
