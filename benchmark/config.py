"""Validated, frozen specifications: what a configuration means once Hydra has composed it.

Everything below the command line gets these objects. A mistyped key is refused even when it was added with `+`;
all complaints are raised together as one ConfigError.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from benchmark.places import shipped
from benchmark.wording import one_line

ARRAYS = ("features", "labels", "source_probs", "source_logits", "reference_features", "model", "seed", "n_classes")
"""What the runner supplies to a method, by parameter name; every other parameter belongs to the configuration."""

DATA, METHOD = ("name", "_target_", "task", "size", "images"), ("name", "_target_", "timeout")
"""The keys of an entry that are the harness's; all others are its function's parameters."""

MANY = 80
"""Options that are all named in an error; of more, the nearest are."""

S = TypeVar("S", bound=BaseModel)
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ConfigError(Exception):
    """A configuration that cannot be run; the message says what to change."""


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """A closing sentence that names the nearest option; where none is near all of them, or three of very many."""
    options = sorted({str(o) for o in options})
    near = difflib.get_close_matches(str(word), options, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{near[0]}'?"
    if len(options) > MANY:
        near = difflib.get_close_matches(str(word), options, n=3, cutoff=0.0)
        return f"The nearest of {len(options)} options: {', '.join(near)}."
    return f"Options: {', '.join(options)}." if options else ""


class Spec(BaseModel):
    """Base of all specifications: immutable, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)
    later: ClassVar[tuple[str, ...]] = ()
    """Fields added after the first release: left out of keys while they hold their default, so old cells stay."""

    def identity(self, *leave_out: str) -> dict[str, Any]:
        """The fields that decide a result, as plain data for a key."""
        full = {k: getattr(self, k) for k in type(self).model_fields if k not in leave_out}
        defaults = {k: type(self).model_fields[k].get_default(call_default_factory=True) for k in self.later}
        return {k: _plain(v) for k, v in full.items() if k not in defaults or v != defaults[k]}


def _plain(value: Any) -> Any:
    """Plain data for a key; what a specification holds leaves out its own `later` fields."""
    if isinstance(value, Spec):
        return value.identity()
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


class OptimiserSpec(Spec):
    """How one family of architectures is trained."""

    name: Literal["sgd", "adamw"] = "sgd"
    rates: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.05, 0.15)
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    decay_products: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """Products of rate and weight decay, each tried with every rate; empty: `weight_decay` with all of them."""
    later = ("decay_products",)

    def trials(self) -> list[tuple[float, float]]:
        """Every (rate, weight decay) that is tried, the smallest rate first."""
        rates = sorted(self.rates)
        if not self.decay_products:
            return [(rate, self.weight_decay) for rate in rates]
        return [(rate, product / rate) for rate in rates for product in self.decay_products]


SGD = OptimiserSpec()
ADAMW = OptimiserSpec(name="adamw", rates=(2e-3, 5e-3), weight_decay=0.05)
Family = Literal["cnn", "transformer", "convnext"]
TRAINED = ("classes", "rotation")
"""What the harness itself can train a source model on."""
PATHS = ("file", "local-dir", "detectron2", "vissl")
"""The kinds of weights that name a path on this machine."""
NOT_ARGS = ("checkpoint_path", "weights", "weights_backbone", "cache_dir", "features_only", "num_classes")
"""Arguments that would load other weights or take an architecture's head away, beside all that begin `pretrained`."""
OUTSIDE = ("package", "timm", "hf-hub", "torchvision", *PATHS)
"""The kinds of weights that are made elsewhere."""


class PretrainSpec(Spec):
    """How the harness trains a source model: `rates` holds the one rate that is used."""

    steps: Count = 320
    batch: Count = 64
    optimisers: dict[Family, OptimiserSpec] = {
        "cnn": OptimiserSpec(rates=(0.1,)),
        "transformer": OptimiserSpec(name="adamw", rates=(2e-3,), weight_decay=0.05),
        "convnext": OptimiserSpec(name="adamw", rates=(4e-3,), weight_decay=0.05),
    }
    warmup: Share = 0.1
    crop: Share = 0.7
    flip: bool = True
    label_smoothing: Share = 0.0
    precision: Literal["auto", "float32"] = "auto"


class ModelSpec(Spec):
    """One pretrained model of a bank."""

    name: str
    arch: str
    args: dict[str, Any] = {}
    edits: dict[str, Any] = {}
    weights: str
    objective: str = "classes"
    """What was learned: "classes" or "rotation" where the harness trains; any word for weights from elsewhere."""
    source: str | None = None
    source_task: str | None = None
    source_size: Count | None = None
    source_accuracy: Annotated[float, Field(ge=0, le=100)] | None = None
    input_size: Count = 32
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    """One number a channel, as std; for grey images one in all, by default the first of these."""
    std: tuple[Positive, ...] = (0.25, 0.25, 0.25)
    layers: Count
    family: Family = "cnn"
    licence: str = "unknown"
    """The licence of the weights: "unknown" where none is stated, which no search for permissive ones takes."""
    seed: int = 0
    pretrain: PretrainSpec = PretrainSpec()
    init: str | None = None
    """The weights from which pretraining starts, in the form of `weights`; None for a random initialisation."""
    crop_pct: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of an image's short side that its centre crop keeps, timm's crop_pct; see `frame`."""
    parameters: Count | None = None
    """Number of parameters without the last classifier, for tables and estimates."""
    gmacs: Positive | None = None
    """Multiply-adds of one image's forward pass in 10⁹, for the estimate of a run's cost."""
    features_from: str | None = None
    """The last layer of a network of one's own, by name: what enters it are the features (see `benchmark.models`)."""
    sha256: Sha256 | None = None
    """Checksum of the file that holds the weights; another file is refused."""
    origin: str | None = None
    """Where the weights were published: repository and commit, or package and version, and the path inside."""
    origin_sha256: Sha256 | None = None
    """Checksum of the file at the origin, where the one that is read was converted from it."""
    lineage: str | None = None
    """A name that models share which were trained one from another, or are variants of one training."""
    in_chans: Literal[1, 3] = 3
    """Channels of the images: 3, or 1 for a network that learned from grey ones, to which images are turned then."""
    later = ("init", "crop_pct", "features_from", "in_chans")

    @model_validator(mode="before")
    @classmethod
    def _grey_defaults(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("in_chans") == 1:
            return {k: cls.model_fields[k].default[:1] for k in ("mean", "std")} | dict(given)
        return given

    @model_validator(mode="after")
    def _channels(self) -> ModelSpec:
        for name in ("mean", "std"):
            if len(getattr(self, name)) != self.in_chans:
                raise ValueError(
                    f"{name} of model '{self.name}' must hold a number for each channel, {self.in_chans} of them. Got "
                    f"{list(getattr(self, name))}. For a network of grey images, state in_chans: 1."
                )
        if self.args.get("in_chans", self.in_chans) != self.in_chans:
            raise ValueError(
                f"args of model '{self.name}' must leave out in_chans. Got {self.args['in_chans']!r}. State it beside "
                "args, in_chans: 1, so that images are turned to grey."
            )
        return self

    @model_validator(mode="after")
    def _finite_arguments(self) -> ModelSpec:
        for name in ("args", "edits"):
            if not _finite(getattr(self, name)):
                raise ValueError(f"bank.{self.name}.{name} must hold finite numbers. Got {getattr(self, name)}.")
        return self

    @model_validator(mode="after")
    def _weights_string(self) -> ModelSpec:
        for name, given in (("weights", self.weights), ("init", self.init)):
            if given is None:
                continue
            kind, _, rest = given.partition(":")
            kinds, bare = (OUTSIDE, "") if name == "init" else (("random", "pretrain", *OUTSIDE), "'random' or ")
            if kind not in kinds or (kind == "random") == bool(rest):
                named = ", ".join(k for k in kinds if k != "random")
                raise ValueError(
                    f"{name} must be {bare}<kind>:<what> with kind one of {named}. "
                    f"Got '{given}'. {did_you_mean(kind, kinds)}"
                )
        for name in self.args:
            if name in NOT_ARGS or name.startswith("pretrained"):
                raise ValueError(
                    f"args of model '{self.name}' must leave out {name}. Got {self.args[name]!r}. Its weights are "
                    "named by weights alone, and its head is the target's."
                )
        if self.init and self.source_data is None:
            raise ValueError(f"init must be null unless weights are 'pretrain:<data set>'. Got '{self.init}'.")
        if self.source_data and self.objective not in TRAINED:
            raise ValueError(
                f"objective must be one of {', '.join(TRAINED)} where the harness trains. Got '{self.objective}'. "
                f"{did_you_mean(self.objective, TRAINED)}"
            )
        return self

    def frame(self, stored: int) -> int:
        """The short side in pixels to which images are scaled before the centre `input_size` pixels are cut out.

        stored  short side of the data set's pack; images stored smaller than the model's input are not cut
        """
        return round(self.input_size / self.crop_pct) if stored >= self.input_size else self.input_size

    @property
    def initial(self) -> ModelSpec | None:
        """The model whose weights pretraining starts from, None for a random initialisation."""
        return self.model_copy(update={"weights": self.init, "init": None}) if self.init else None

    @property
    def source_data(self) -> str | None:
        """The data set on which the harness itself trains this model, None for weights from elsewhere."""
        kind, _, rest = self.weights.partition(":")
        return rest if kind == "pretrain" else None

    @property
    def arch_name(self) -> str:
        """The paper's `Architecture` of this model: without the module of a class, without timm's tag of weights."""
        dotted = self.arch.startswith(("timm.", "torchvision.")) or self.own_network
        return self.arch.rpartition(".")[2] if dotted else self.arch.partition(".")[0]

    @property
    def own_network(self) -> bool:
        """Whether `arch` is the dotted path of a network that neither timm nor torchvision has."""
        first, dot, _ = self.arch.partition(".")
        return bool(dot) and first not in ("timm", "torchvision") and find_spec(first) is not None

    @property
    def source_name(self) -> str:
        """The paper's `Source Dataset` of this model."""
        return self.source or self.source_data or self.weights

    @property
    def architecture(self) -> tuple[str, ...]:
        """What models share whose learning rate may be chosen together; untrained ones are apart."""
        own = (self.arch, self.args, self.edits, self.input_size, self.family, self.weights == "random")
        own += (self.in_chans,) if self.in_chans != 3 else ()
        return tuple(repr(part) for part in own)

    def identity(self, *leave_out: str) -> dict[str, Any]:
        labels = ("name", "layers", "licence", "source", "source_task", "source_size", "source_accuracy")
        labels += ("parameters", "gmacs", "sha256", "origin", "origin_sha256", "lineage")
        theirs = () if self.source_data else ("pretrain",) + (("objective",) if self.objective in TRAINED else ())
        identity = super().identity(*leave_out, *labels, *theirs)
        for name in ("weights", "init"):
            given = identity.get(name) or ""
            if given.startswith(tuple(f"{kind}:" for kind in PATHS)):  # a path is no identity: its bytes enter the key
                identity[name] = given.partition(":")[0]
        return identity


class DataSpec(Spec):
    """One data set: the adapter that reads it, and the short side in pixels that is kept."""

    name: str
    adapter: str = Field(alias="_target_")
    task: str
    size: Count
    images: tuple[Count, Count] | None = None
    """Images to train on and to test on, where known beforehand: for the estimate of a run's cost alone."""
    parameters: dict[str, Any] = {}

    def identity(self, *leave_out: str) -> dict[str, Any]:
        # the bytes at the path enter the key instead, and it does not matter who fetched them
        own = {k: v for k, v in self.parameters.items() if k not in ("path", "download")}
        facts = {"parameters": _plain(own), "version": self.function.version}
        return super().identity(*leave_out, "name", "task", "images", "parameters") | facts

    @property
    def function(self) -> Callable[..., Any]:
        return resolve(self.adapter, f"target.{self.name}._target_")


class MethodSpec(Spec):
    """One estimator and its parameters."""

    name: str
    function_path: str = Field(alias="_target_")
    parameters: dict[str, Any] = {}
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Seconds that it may take on one probe draw; None: see `benchmark.isolation`. No part of a score's key."""

    @property
    def function(self) -> Callable[..., Any]:
        return resolve(self.function_path, f"method.{self.name}._target_")

    @property
    def needs(self) -> tuple[str, ...]:
        """The arrays that the function takes, by name."""
        names = inspect.signature(self.function).parameters
        return tuple(a for a in ARRAYS if a in names and a not in self.parameters)

    def takes(self, array: str) -> bool:
        """Whether the function takes an array; False also for one that cannot be imported, which is said elsewhere."""
        try:
            return array in self.needs
        except ConfigError:
            return False


class DataRule(Spec):
    """What a recipe changes for data sets with fewer training images, or with a smaller short side as stored."""

    images_below: Count | None = None
    pixels_below: Count | None = None
    steps: Count | None = None
    warmup: Share | None = None
    milestones: tuple[Share, ...] | None = None
    mixup: Annotated[float, Field(ge=0)] | None = None
    crop: Share | None = None
    flip: bool | None = None

    def fits(self, images: int, pixels: int) -> bool:
        below = ((images, self.images_below), (pixels, self.pixels_below))
        return all(limit is None or value < limit for value, limit in below)

    @property
    def changes(self) -> dict[str, Any]:
        fields = set(type(self).model_fields) - {"images_below", "pixels_below"}
        return {name: value for name in sorted(fields) if (value := getattr(self, name)) is not None}


class RecipeSpec(Spec):
    """How a model is fine-tuned on a target for its ground truth."""

    name: str = "fast"
    steps: Count = 125
    batch: Count = 32
    optimisers: dict[Family, OptimiserSpec] = {"cnn": SGD, "transformer": ADAMW, "convnext": ADAMW}
    warmup: Share = 0.1
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.2
    crop: Share = 0.7
    flip: bool = True
    label_smoothing: Share = 0.0
    precision: Literal["auto", "float32"] = "auto"
    freeze: Literal["none", "backbone"] = "none"
    train_cap: Count | None = None
    seeds: Count = 2
    seeds_on: dict[str, Count] = {}
    """Another number of seeds for some targets, by name."""
    rate_for: Literal["model", "architecture"] = "model"
    """Whose rate is chosen on a target: each model's own or, as in the paper, one for all of an architecture."""
    steps_tried: tuple[Count, ...] = ()
    """Numbers of steps, each tried with every rate (VTAB's second axis); empty: `steps`."""
    milestones: tuple[Share, ...] = ()
    """Shares of the steps after which the rate falls to a tenth (BiT, VTAB); empty: a cosine to zero."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """Both parameters of the Beta distribution by which pairs of images are blended (BiT); 0: none are."""
    by_data: tuple[DataRule, ...] = ()
    """Changes for small data sets or small images (BiT, the paper); all that fit apply, later ones last."""
    later = ("steps_tried", "milestones", "mixup", "by_data")

    @model_validator(mode="after")
    def _one_source_of_steps(self) -> RecipeSpec:
        if self.steps_tried and any(rule.steps for rule in self.by_data):
            raise ValueError("steps_tried must be empty where by_data sets steps. Got both. Keep one of them.")
        return self

    def identity(self, *leave_out: str) -> dict[str, Any]:
        return super().identity(*leave_out, "name", "seeds", "seeds_on", "rate_for")

    def on(self, images: int, pixels: int) -> RecipeSpec:
        """The recipe for a data set of so many training images, stored with so many pixels on the short side."""
        changes = {k: v for rule in self.by_data if rule.fits(images, pixels) for k, v in rule.changes.items()}
        return self.model_copy(update=changes) if changes else self

    def trials(self, family: Family) -> list[tuple[float, RecipeSpec]]:
        """Every rate that is tried, with the recipe in which it is: the grid of `tune`, smallest rate first."""
        settings = self.optimisers[family]
        return [
            (rate, self.settled(family, {"weight_decay": decay, "steps": steps}))
            for rate, decay in settings.trials()
            for steps in self.steps_tried or (self.steps,)
        ]

    @property
    def is_grid(self) -> bool:
        """Whether more than the rate is chosen."""
        return bool(self.steps_tried) or any(o.decay_products for o in self.optimisers.values())

    def settled(self, family: Family, chosen: Mapping[str, Any]) -> RecipeSpec:
        """The recipe with the weight decay and the steps that `tune` chose; itself where it chose neither."""
        changes: dict[str, Any] = {"steps": chosen["steps"]} if "steps" in chosen else {}
        decay, own = chosen.get("weight_decay"), self.optimisers[family]
        if decay is not None and decay != own.weight_decay:
            changes["optimisers"] = self.optimisers | {family: own.model_copy(update={"weight_decay": decay})}
        return self.model_copy(update=changes) if changes else self


class ProbeSpec(Spec):
    """The probe sets: images per draw, and draws."""

    size: Annotated[int, Field(ge=4)] = 500
    draws: Count = 5


class TruthSpec(Spec):
    """`stored` takes released ground truth where there is any; `recompute` trains everything here."""

    mode: Literal["stored", "recompute"] = "stored"
    verify: Annotated[int, Field(ge=0)] = 0
    verify_seed: int = 0
    tolerance: Positive = 8.0


class PathsSpec(Spec):
    cache: Path = Path(".cache")
    released: Path | None = Field(default_factory=lambda: shipped("results/released"))
    out: Path = Path("outputs/run")
    data: Path | None = None
    weights: Path | None = None


class ExecutorSpec(Spec):
    """Where cells are computed; the last five settings are Ray's (conf/executor/ray.yaml says what they mean)."""

    name: Literal["local", "ray"] = "local"
    workers: Annotated[int, Field(ge=0)] | None = None
    threads: Count = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    address: str | None = None
    num_cpus: Positive | None = None
    num_gpus: Share | None = None
    node_cache: Path | None = None
    wait: Annotated[float, Field(ge=0)] = 60.0
    order: Literal["longest", "planned"] = "longest"
    """The longest chain of cells first, which ends soonest; or as planned, target by target in the order of the bank,
    so that a run that is cut off has whole targets."""

    @model_validator(mode="after")
    def _of_ray(self) -> ExecutorSpec:
        if self.name == "ray":
            if self.workers == 0:
                raise ValueError("executor.workers must be at least 1 with executor=ray. Got 0.")
            if (self.device == "cpu" and self.num_gpus) or (self.device == "cuda" and self.num_gpus == 0):
                raise ValueError(
                    f"executor.num_gpus must fit executor.device. Got {self.num_gpus:g} and '{self.device}'. "
                    "Leave one of them out."
                )
        return self


class LoggerSpec(Spec):
    """Weights & Biases."""

    project: str = "diverse-model-selection"
    entity: str | None = None
    mode: Literal["online", "offline", "disabled"] = "online"
    tags: tuple[str, ...] = ()


class ReportSpec(Spec):
    """What is written beside the tables."""

    html: bool = False


class Experiment(Spec):
    """A whole run: models × targets × methods and how to compute them."""

    name: str = "run"
    bank: dict[str, ModelSpec]
    target: dict[str, DataSpec]
    source: dict[str, DataSpec] = {}
    method: dict[str, MethodSpec]
    reference: ModelSpec | None = None
    recipe: RecipeSpec = RecipeSpec()
    probe: ProbeSpec = ProbeSpec()
    truth: TruthSpec = TruthSpec()
    paths: PathsSpec = PathsSpec()
    executor: ExecutorSpec = ExecutorSpec()
    logger: LoggerSpec | None = None
    report: ReportSpec = ReportSpec()
    exclude_models: tuple[str, ...] = ()
    include_models: tuple[str, ...] = ()
    """The models of the bank that take part; none named: all of them."""
    input_cap: Count | None = None
    """Largest input size in pixels: models of the bank whose own is larger are fed images of this one."""
    dry_run: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Experiment:
        problems = [
            f"{group} must hold at least one entry. Got none."
            for group in ("bank", "target", "method")
            if not getattr(self, group)
        ]
        data = self.source | self.target
        for model in self.bank.values():
            if model.source_data and model.source_data not in data:
                problems.append(
                    f"bank.{model.name}.weights must name a data set of this configuration. "
                    f"Got '{model.source_data}'. {did_you_mean(model.source_data, data)}"
                )
        for name in self.recipe.seeds_on:
            if name not in data:
                problems.append(
                    f"recipe.seeds_on must name data sets of this configuration. Got '{name}'. "
                    f"{did_you_mean(name, data)}"
                )
        for name in self.exclude_models:
            if name not in self.bank:
                problems.append(
                    f"exclude_models must name models of the bank. Got '{name}'. {did_you_mean(name, self.bank)}"
                )
        if self.reference and self.reference.weights != "random" and not self.reference.source_data:
            problems.append(
                "reference.weights must be random or pretrain:<any>: its network is trained on each target itself. "
                f"Got '{self.reference.weights}'. Leave it out; init says what the training starts from."
            )
        needing = [m.name for m in self.method.values() if m.takes("reference_features")]
        if needing and self.reference is None:
            problems.append(f"reference must be set for {', '.join(needing)}. Got null. Name an architecture.")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def task_of(self, model: ModelSpec) -> str | None:
        """The task on which a model was trained; a target with the same task is a self-transfer."""
        if model.source_data:
            return (self.source | self.target)[model.source_data].task
        return model.source_task or model.source


def resolve(path: str, where: str) -> Callable[..., Any]:
    """The function that a dotted `_target_` names."""
    module, _, attribute = path.rpartition(".")
    if not module or not all(part.isidentifier() for part in path.split(".")):
        raise ConfigError(f"{where} must be a dotted path <module>.<function>. Got '{path}'.")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and not module.startswith(error.name):
            raise ConfigError(
                f"{where} must be importable. Got '{path}', which needs the missing package '{error.name}'."
            ) from None
        raise ConfigError(
            f"{where} must be importable. Got '{path}': no module '{error.name}'. Is it on PYTHONPATH?"
        ) from None
    except (Exception, SystemExit) as error:  # somebody else's module, whatever is wrong with it
        said = one_line(f"{type(error).__name__}: {error}")
        raise ConfigError(
            f"{where} must be importable. Got '{path}', whose module stops with {said}. Mend it: python -c 'import "
            f"{module}' shows where."
        ) from None
    if not callable(getattr(found, attribute, None)):
        public = [n for n in dir(found) if not n.startswith("_") and callable(getattr(found, n))]
        hidden = Path("methods.py").is_file() and module == "methods"
        theirs = " (The methods.py of this folder is hidden by this project's package; rename it.)" if hidden else ""
        raise ConfigError(
            f"{where} must name a function of '{module}'. Got '{attribute}'. {did_you_mean(attribute, public)}{theirs}"
        )
    function = getattr(found, attribute)
    try:
        inspect.signature(function)
    except (ValueError, TypeError):  # some of Python's own
        raise ConfigError(
            f"{where} must be a function whose parameters can be read. Got '{path}'. Call it from one of your own."
        ) from None
    return function


def check_parameters(
    function: Callable[..., Any], given: Mapping[str, Any], where: str, supplied: Iterable[str] = ()
) -> list[str]:
    """Complaints about parameters that do not fit a function's signature: unknown, missing, or of another type."""
    signature = inspect.signature(function).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.values())
    own = {n: p for n, p in signature.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    allowed = set(own) - set(supplied)
    problems = []
    for name in given:
        if name not in own and not open_ended:
            problems.append(f"{where}.{name} must be a parameter of {function.__name__}. {did_you_mean(name, allowed)}")
        elif not _finite(given[name]):
            problems.append(f"{where}.{name} must be finite. Got {given[name]!r}. Leave it out for its default.")
        elif name in set(supplied) - {"seed", "n_classes"} and given[name] is not None:  # null: do without an array
            problems.append(f"{where}.{name} must be left out: the runner supplies it. Got {given[name]!r}.")
    for name, parameter in own.items():
        if parameter.default is parameter.empty and name not in given and name not in set(supplied):
            problems.append(f"{where}.{name} must be given: {function.__name__} needs it.")
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):  # annotations that only a type checker can read
        return problems
    typed = {n: (hints[n], ...) for n in given if n in hints and n in allowed and _finite(given[n])}
    try:
        create_model("Parameters", __config__=ConfigDict(arbitrary_types_allowed=True), **typed)(
            **{n: given[n] for n in typed}
        )
    except ValidationError as error:
        problems += explain(error, where)
    except Exception:  # an annotation that pydantic has no schema for: the function itself will judge
        pass
    return problems


def _finite(value: Any) -> bool:
    """Whether no number in plain data is NaN or infinite: neither has a place in a key."""
    if isinstance(value, Mapping):
        return all(_finite(v) for v in value.values())
    if isinstance(value, list | tuple):
        return all(_finite(v) for v in value)
    return not isinstance(value, float) or math.isfinite(value)


_MUST = {  # where pydantic's words are about Python
    "int_parsing_size": "a whole number of a sensible size",
    "path_type": "a path",
    "dict_type": "a mapping with its settings",
    "model_type": "a mapping with its settings",
}


def explain(error: ValidationError, prefix: str = "", known: Mapping[str, Iterable[str]] | None = None) -> list[str]:
    """Pydantic's complaints as sentences of one form."""
    sentences = []
    for problem in error.errors():
        where = ".".join(str(p) for p in (prefix, *problem["loc"]) if p != "")
        if problem["type"] == "value_error":
            sentences.append(re.sub(r"^Value error, ", "", problem["msg"]))
        elif problem["type"] == "extra_forbidden":
            parent = ".".join(where.split(".")[:-1])
            options = (known or {}).get(parent, ())
            sentences.append(f"{where} must be a known key. {did_you_mean(where.split('.')[-1], options)}")
        elif problem["type"] == "missing":
            sentences.append(f"{where} must be given. Got nothing.")
        elif problem["type"] in _MUST:
            sentences.append(f"{where} must be {_MUST[problem['type']]}. Got {problem['input']!r}.")
        else:
            text = re.sub(r"^Input should be ", "", problem["msg"])
            must = f"be {text[0].lower() + text[1:]}"
            if found := re.match(r"\w+ should (have .*?)( after validation.*)?$", problem["msg"]):
                must = found[1]
            sentences.append(f"{where} must {must}. Got {problem['input']!r}.")
    return sentences


def _known_keys(data: Any, schema: type[BaseModel], prefix: str = "") -> dict[str, list[str]]:
    """The options at each place of a specification, for did-you-mean."""
    known = {prefix: [f.alias or n for n, f in schema.model_fields.items()]}
    for name, field in schema.model_fields.items():
        value = data.get(name) if isinstance(data, Mapping) else None
        inner = [
            t
            for t in (field.annotation, *getattr(field.annotation, "__args__", ()))
            if inspect.isclass(t) and issubclass(t, BaseModel)
        ]
        if not inner or not isinstance(value, Mapping):
            continue
        here = f"{prefix}.{name}".lstrip(".")
        if str(field.annotation).startswith("dict["):
            for key, entry in value.items():
                known |= _known_keys(entry, inner[0], f"{here}.{key}")
        else:
            known |= _known_keys(value, inner[0], here)
    return known


def validate(schema: type[S], data: Mapping[str, Any]) -> S:
    """Plain data as a frozen specification, or one ConfigError with every complaint."""
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        sentences = explain(error, known=_known_keys(data, schema))
        raise ConfigError("\n".join(sentences)) from None


def _named(group: Mapping[str, Any] | None, where: str, problems: list[str]) -> dict[str, Any]:
    """{name: entry} with each entry's name inside; entries that are no mapping become problems."""
    named = {}
    for name, entry in (group or {}).items():
        if isinstance(entry, Mapping):
            named[name] = {**entry, "name": name}
            if entry.get("name", name) != name:
                problems.append(
                    f"{where}.{name}.name must be left out: an entry is named by its key. Got '{entry['name']}'. "
                    "Rename the key, or the parameter that is meant."
                )
        else:
            problems.append(f"{where}.{name} must be a mapping with its settings. Got {entry!r}.")
    return named


def parameterised(entries: dict[str, Any], own: tuple[str, ...]) -> dict[str, Any]:
    """The entries with their free keys under `parameters`."""
    return {
        name: {k: v for k, v in e.items() if k in own} | {"parameters": {k: v for k, v in e.items() if k not in own}}
        for name, e in entries.items()
    }


def _included(bank: dict[str, Any], names: Any, problems: list[str]) -> dict[str, Any]:
    """The entries that are named, in the order of the bank; all of them where none is."""
    if not names or not isinstance(names, list | tuple):
        return bank
    problems += [
        f"include_models must name models of the bank. Got '{name}'. {did_you_mean(name, bank)}"
        for name in names
        if name not in bank
    ]
    return {name: entry for name, entry in bank.items() if name in names} or bank


def _capped(bank: dict[str, Any], cap: Any) -> dict[str, Any]:
    """The entries of a bank with input sizes, and with them multiply-adds, of at most `cap` pixels."""
    capped = {}
    for name, entry in bank.items():
        size = entry.get("input_size")
        if isinstance(cap, int) and isinstance(size, int) and 0 < cap < size:
            gmacs = entry.get("gmacs")
            smaller = {"gmacs": gmacs * (cap / size) ** 2} if isinstance(gmacs, int | float) else {}
            entry = {**entry, "input_size": cap, **smaller}
        capped[name] = entry
    return capped


def experiment(data: Mapping[str, Any]) -> Experiment:
    """A composed configuration as a validated Experiment; raises ConfigError with every complaint at once."""
    data, problems = dict(data), []
    named = _included(_named(data.get("bank"), "bank", problems), data.get("include_models"), problems)
    data["bank"] = _capped(named, data.get("input_cap"))
    for group, own in (("target", DATA), ("source", DATA), ("method", METHOD)):
        data[group] = parameterised(_named(data.get(group), group, problems), own)
    if isinstance(data.get("reference"), Mapping):  # null undoes what another file gave
        data["reference"] = {"name": "reference"} | {k: v for k, v in data["reference"].items() if v is not None}
    try:
        spec = validate(Experiment, data)
    except ConfigError as error:
        problems += str(error).splitlines()
    for group in ("target", "source", "method"):
        for name, entry in data[group].items():
            problems += _function_problems(entry, f"{group}.{name}", is_method=group == "method")
    if problems:
        raise ConfigError("\n".join(problems))
    return spec


def _function_problems(entry: Mapping[str, Any], where: str, is_method: bool) -> list[str]:
    """Complaints about the function that an entry names, and about the parameters that it gives it."""
    if not isinstance(entry.get("_target_"), str):  # the specification complains
        return []
    try:
        function = resolve(entry["_target_"], f"{where}._target_")
    except ConfigError as error:
        return [str(error)]
    if is_method:
        return check_parameters(function, entry["parameters"], where, ARRAYS)
    if not hasattr(function, "version"):
        return [
            f"{where}._target_ must be a data set adapter (see benchmark.packs.adapter). Got '{entry['_target_']}'."
        ]
    return check_parameters(function, entry["parameters"], where)
