"""The specification of one pretrained model of a bank: architecture, weights, what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from benchmark.config.recipe import Family, PretrainSpec
from benchmark.config.renamed import current, first_name
from benchmark.config.spec import Count, Positive, Sha256, Spec, all_finite
from benchmark.errors import did_you_mean

TRAINED = ("classes", "rotation")
"""What the harness itself can train a source model on."""

PATHS = ("file", "local-dir", "detectron2", "vissl")
"""The kinds of weights that name a path on this machine."""

NOT_ARGS = ("checkpoint_path", "weights", "weights_backbone", "cache_dir", "features_only", "num_classes")
"""Arguments that would load other weights or take an architecture's head away, beside all that begin `pretrained`."""

OUTSIDE = ("package", "timm", "hf-hub", "torchvision", *PATHS)
"""The kinds of weights that are made elsewhere."""

LABELS = (
    *("name", "layers", "licence", "source", "source_task", "source_size", "source_accuracy", "source_images"),
    *("parameters", "gmacs", "sha256", "origin", "origin_sha256", "lineage"),
)
"""What is said of a model and changes no result of it: no part of its identity."""


class ModelSpec(Spec):
    """One pretrained model of a bank."""

    name: str
    """What the model is called: the key of its entry."""
    arch: Annotated[str, AfterValidator(current)]
    """A name of timm, or the dotted path of a class or factory of torchvision, timm or a package of one's own."""
    args: dict[str, object] = {}
    """Arguments of the architecture, for instance `{channels: [24, 48, 96, 160]}`."""
    edits: dict[str, object] = {}
    """Attributes of the built network that are set, by dotted path, before weights are loaded."""
    weights: str
    """Where the weights are: `random`, `pretrain:<data set>`, `timm:<name>`, `package:<name>`, `file:<path>` …"""
    objective: str = "classes"
    """What was learned: "classes" or "rotation" where the harness trains; any word for weights from elsewhere."""
    source: str | None = None
    """What it was trained on, in the words of the tables; the data set of `pretrain:` where nothing is said."""
    source_task: str | None = None
    """Task of what it was trained on: it is no candidate on a target of the same task."""
    source_size: Count | None = None
    """Images that it was trained on, for the estimators and yardsticks that ask."""
    source_accuracy: Annotated[float, Field(ge=0, le=100)] | None = None
    """Accuracy on its source in percent, for the yardstick of that name."""
    source_images: str | None = None
    """Name of a data set, under `source` or `target`, of images that it was trained on, for the estimators that compare
    with them; the data set of `pretrain:` where nothing is said."""
    input_size: Count = 32
    """Side in pixels of the square images that it takes."""
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    """Subtracted from pixels between 0 and 1: one number a channel, for grey images one in all (default: the first)."""
    std: tuple[Positive, ...] = (0.25, 0.25, 0.25)
    """Divides them then, as many numbers."""
    layers: Count
    """Its depth ℓ as the paper counts it, for the capacity term."""
    family: Family = "cnn"
    """How it is trained: which of a recipe's optimisers is its own."""
    licence: str = "unknown"
    """The licence of the weights: "unknown" where none is stated, which no search for permissive ones takes."""
    seed: int = 0
    """Seed of a random initialisation and of its pretraining."""
    pretrain: PretrainSpec = PretrainSpec()
    """How the harness trains it where weights are `pretrain:<data set>`."""
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
    def _grey_defaults(cls, given: object) -> object:
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
            if not all_finite(getattr(self, name)):
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
        own = [self.arch, self.args, self.edits, self.input_size, self.family, self.weights == "random"]
        own += [self.in_chans] if self.in_chans != 3 else []
        return tuple(repr(part) for part in own)

    def identity(self, *leave_out: str) -> dict[str, object]:
        theirs = () if self.source_data else ("pretrain",) + (("objective",) if self.objective in TRAINED else ())
        identity = super().identity(*leave_out, *LABELS, *theirs)
        identity["arch"] = first_name(self.arch)
        for name, given in (("weights", self.weights), ("init", self.init)):
            kind, _, _ = (given or "").partition(":")
            if name in identity and kind in PATHS:  # a path is no identity: its bytes enter the key
                identity[name] = kind
        return identity
