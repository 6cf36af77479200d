"""From the name of an architecture of timm, of torchvision or of a user's own to the network, not yet trained.

PyTorch and timm are imported inside the functions: planning a run only asks for the weights' files, and must not pay
for them."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.models.classifiers import FEATURES_FROM, new_head
from benchmark.provenance import seed_of

if TYPE_CHECKING:
    from torch import nn

    from benchmark.config.model import ModelSpec

TORCHVISION = "torchvision.models."


def build(spec: ModelSpec, n_classes: int) -> nn.Module:
    """The architecture with its edits and a head of n_classes, randomly initialised from `spec.seed` alone.

    The body is the same whatever n_classes is. Raises ValueError for an unknown architecture, an argument that it
    does not take, or an edit of something that is not there.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of("weights", spec.seed))
        module = create(spec)
    return new_head(module, n_classes, seed_of("head", spec.seed))


def create(spec: ModelSpec) -> nn.Module:
    """The architecture with its edits and a head of one class, which does not shift the random numbers of the body."""
    module = construct(spec.arch, factory_arguments(spec), n_classes=1)
    apply_edits(module, spec.edits)
    _refuse_other_channels(module, spec)
    return with_features(module, spec)


def _refuse_other_channels(module: nn.Module, spec: ModelSpec) -> None:
    """ValueError for a network of grey images whose first convolution wants other ones."""
    from torch import nn

    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    if spec.in_chans != 3 and first is not None and first.in_channels != spec.in_chans:
        raise ValueError(
            f"in_chans of model '{spec.name}' must be the channels of its first convolution. Got {spec.in_chans} for "
            f"'{spec.arch}', which looks at {first.in_channels}. Leave in_chans out, or give the network a parameter "
            "of that name."
        )


def arguments(spec: ModelSpec) -> dict[str, object]:
    """The architecture's arguments."""
    return {name: as_tuples(value) for name, value in spec.args.items()}


def factory_arguments(spec: ModelSpec) -> dict[str, object]:
    """The architecture's arguments, with the channels of its images where they are not three."""
    args = arguments(spec)
    return args if spec.in_chans == 3 else args | {"in_chans": spec.in_chans}


def construct(arch: str, args: dict[str, object], n_classes: int, **more: object) -> nn.Module:
    from torch import nn

    from benchmark.models.timm_alone import timm

    if ":" in arch or "/" in arch:  # timm would ask the hub for it
        raise ValueError(f"arch must be a timm architecture. Got '{arch}'. A place to load from belongs to weights.")
    try:
        if is_dotted_path(arch):
            path, _, name = arch.rpartition(".")  # a class, or a function that makes one
            make = getattr(importlib.import_module(path), name)
            if arch.startswith("timm.") and not _makes_networks(make):
                raise TypeError(f"{arch} is no class of networks")
            stages = args.get("arch_def")
            if isinstance(stages, tuple):  # timm's block strings, which it wants as lists of lists
                blocks = timm.models._efficientnet_builder.decode_arch_def([list(stage) for stage in stages])
                args = {k: v for k, v in args.items() if k != "arch_def"} | {"block_args": blocks}
            if arch.startswith(("timm.", TORCHVISION)) or _takes(make, "num_classes"):
                args = {"num_classes": n_classes} | args
            if not _takes(make, "in_chans"):  # a network of one's own that has the channels of its kernels
                args = {k: v for k, v in args.items() if k != "in_chans"}
            made = make(**args)
            if not isinstance(made, nn.Module):
                raise TypeError(f"{arch} gives no torch.nn.Module")
            return made
        create_model: Callable[..., nn.Module] = timm.create_model
        return create_model(arch, num_classes=n_classes, **args, **more)
    except (TypeError, AttributeError, ImportError) as error:
        raise ValueError(f"args must fit architecture '{arch}'. Got {args}: {error}. See its signature.") from error
    except RuntimeError as error:
        if "Unknown model" not in str(error):
            raise
        near = difflib.get_close_matches(arch, timm.list_models(), n=1)
        hint = f"Did you mean '{near[0]}'?" if near else "timm.list_models() lists them."
        raise ValueError(f"arch must be one of timm's architectures. Got '{arch}'. {hint}") from None


def _makes_networks(found: object) -> bool:
    """Whether something of timm's is a class of networks or a function of a file of them: helpers may fetch."""
    from torch import nn

    if isinstance(found, type):
        return issubclass(found, nn.Module)
    return re.match(r"timm\.models\.[a-z]", getattr(found, "__module__", "")) is not None


def _takes(function: Callable[..., object], parameter: str) -> bool:
    """Whether a function or class has a parameter of this name, or takes any."""
    parameters = inspect.signature(function).parameters
    return parameter in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def is_dotted_path(arch: str) -> bool:
    """Whether arch is the dotted path of a class or function; a name of timm with a tag is refused."""
    if "." not in arch:
        return False
    if not arch.startswith(("timm.", TORCHVISION)) and (why := _no_network(arch)):
        raise ValueError(
            f"arch must be a timm architecture, a class in timm, torchvision.models.<name> or the path of a network "
            f"of your own. {why}"
        )
    return True


def _no_network(arch: str) -> str | None:
    """Why a dotted path outside timm and torchvision names no class or function, None where it does."""
    (path, _, name), first = arch.rpartition("."), arch.partition(".")[0]
    if first in sys.stdlib_module_names:
        return f"Got '{arch}', which is Python's own."
    if find_spec(first) is None:
        return (
            f"Got '{arch}'. A tag belongs to weights, as in weights: timm:{arch}; a network of your own must be on "
            f"PYTHONPATH."
        )
    try:
        found = getattr(importlib.import_module(path), name, None)
    except ImportError as error:
        return f"Got '{arch}', which cannot be imported: {error}. Is it on PYTHONPATH?"
    return None if callable(found) else f"Got '{arch}', but '{path}' has no class or function '{name}'."


def unknown_architecture(arch: str) -> str | None:
    """Why there is no such architecture, None where there is; timm's and torchvision's without importing PyTorch.

    timm's registry fills on import, which takes seconds: its sources are searched for the name first.
    """
    if "." in arch and not arch.startswith(("timm.", TORCHVISION)):
        return _no_network(arch)
    if arch.startswith("timm."):  # a class: building it will tell
        return None
    package, name = ("torchvision", arch.removeprefix(TORCHVISION)) if "." in arch else ("timm", arch)
    folder = Path(str(metadata.distribution(package).locate_file(package))) / "models"
    defined = re.compile(rf"@register_model(\([^)]*\))?\s+(@[^\n]+\s+)*def {re.escape(name)}\(")
    if any(defined.search(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.py"))):
        return None
    known = importlib.import_module(f"{package}.models").list_models()
    if name in known or (package == "timm" and importlib.import_module("timm").is_model(name)):  # a deprecated name
        return None
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"{package}.models.list_models() lists them."
    return f"Got '{arch}'. {hint}"


def as_tuples(value: object) -> object:
    """Lists as tuples, at any depth: YAML has no tuples, timm compares with them."""
    if isinstance(value, Mapping):
        return {k: as_tuples(v) for k, v in value.items()}
    return tuple(as_tuples(v) for v in value) if isinstance(value, list | tuple) else value


def apply_edits(module: nn.Module, edits: Mapping[str, object]) -> None:
    """Set attributes by dotted path; the value "identity" puts nn.Identity in a submodule's place."""
    from torch import nn

    for path, value in edits.items():
        parent_path, _, name = path.rpartition(".")
        try:
            parent = module.get_submodule(parent_path)
            getattr(parent, name)
        except AttributeError:
            names = [n for n, _ in module.named_modules() if n]
            near = difflib.get_close_matches(path, names, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"Its parts begin: {', '.join(names[:6])}."
            raise ValueError(f"edits must name a part of the model. Got '{path}'. {hint}") from None
        setattr(parent, name, nn.Identity() if value == "identity" else as_tuples(value))


def with_features(module: nn.Module, spec: ModelSpec) -> nn.Module:
    """The module with a known last layer, so that what enters it can be had and a new one put in its place.

    That is `features_from`, where the specification names it; the classifier that timm's and torchvision's modules
    name; and for a module with `forward_features` alone (and perhaps `forward_head(x, pre_logits=True)`) a linear map
    that is put after it. Raises ValueError for a module of one's own with none of these.
    """
    from torch import nn

    if spec.features_from:
        names = {name: part for name, part in module.named_modules() if name}
        if not isinstance(names.get(spec.features_from), nn.Linear | nn.Conv2d):
            of_maps = [name for name, part in names.items() if isinstance(part, nn.Linear | nn.Conv2d)]
            near = difflib.get_close_matches(spec.features_from, of_maps, n=1)
            raise ValueError(
                f"features_from of model '{spec.name}' must name a linear map or convolution of '{spec.arch}', its "
                f"last layer. Got '{spec.features_from}'. Did you mean '{(near or of_maps[-1:] or ['?'])[0]}'?"
            )
        setattr(module, FEATURES_FROM, spec.features_from)
        return module
    if not spec.own_network or (hasattr(module, "get_classifier") and hasattr(module, "reset_classifier")):
        return module
    if not hasattr(module, "forward_features"):
        raise ValueError(
            f"a network of one's own must tell its features. Got '{spec.arch}' of model '{spec.name}' with neither "
            f"forward_features nor timm's get_classifier and reset_classifier. Name its last layer: features_from: …"
        )
    from benchmark.models.networks import Headed

    return Headed(module, spec.input_size, spec.in_chans)
