"""The specification of an experiment: its bank, targets, methods, recipe and where things lie.

Everything below the command line gets these frozen objects. A mistyped key is refused even when it was added with
`+`; all complaints are raised together as one ConfigError."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from benchmark.config.functions import DataSpec, MethodSpec
from benchmark.config.model import ModelSpec
from benchmark.config.recipe import RecipeSpec
from benchmark.config.spec import Count, Positive, Share, Spec
from benchmark.errors import did_you_mean
from benchmark.places import shipped


class ProbeSpec(Spec):
    """The probe sets: images per draw, and draws."""

    size: Annotated[int, Field(ge=4)] = 500
    """Images of a probe set."""
    draws: Count = 5
    """Independent probe sets; scores are correlated on each, and means and deviations reported."""
    fold: bool = False
    """Whether batch normalisations are folded into the convolutions before them, which takes less time on a processor;
    features differ by rounding then. A ranking does."""
    later = ("fold",)


class TruthSpec(Spec):
    """`stored` takes released ground truth where there is any; `recompute` trains everything here."""

    mode: Literal["stored", "recompute"] = "stored"
    """Whether released ground truth and weights are taken, or everything is made here."""
    verify: Annotated[int, Field(ge=0)] = 0
    """So many fine-tunings, chosen at random, are made again and compared."""
    verify_seed: int = 0
    """Chooses which."""
    tolerance: Positive = 8.0
    """Points by which they may differ."""


class PathsSpec(Spec):
    cache: Path = Path(".cache")
    """Folder of finished cells."""
    released: Path | None = Field(default_factory=lambda: shipped("results/released"))
    """Folder of the released layer; null: none."""
    out: Path = Path("outputs/run")
    """Folder of the tables."""
    data: Path | None = None
    """Folder of real data sets: packs and official layouts."""
    weights: Path | None = None
    """Folder of files of weights that others released."""


class ExecutorSpec(Spec):
    """Where cells are computed; the last five settings are Ray's (conf/executor/ray.yaml says what they mean)."""

    name: Literal["local", "ray"] = "local"
    """`local`: processes of this machine; `ray`: a cluster."""
    workers: Annotated[int, Field(ge=0)] | None = None
    """Processes; null: as many as the machine is good for; 0: in this process."""
    threads: Count = 1
    """Threads of a worker."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where networks run."""
    address: str | None = None
    """Of a Ray cluster."""
    num_cpus: Positive | None = None
    """Processors of a cell on Ray."""
    num_gpus: Share | None = None
    """GPUs of a cell on Ray, a fraction for small models."""
    node_cache: Path | None = None
    """Folder on each node for weights and packs while a run lasts."""
    wait: Annotated[float, Field(ge=0)] = 60.0
    """Seconds to wait for a node that can hold a cell."""
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
    """Where runs are logged."""
    entity: str | None = None
    """Whose project it is."""
    mode: Literal["online", "offline", "disabled"] = "online"
    """Whether a connection is used."""
    tags: tuple[str, ...] = ()
    """Of the run."""


class ReportSpec(Spec):
    """What is written beside the tables."""

    html: bool = False
    """Whether report.html is written beside the tables."""


class Experiment(Spec):
    """A whole run: models × targets × methods and how to compute them."""

    name: str = "run"
    """Names the folder of the tables, and the run in Weights & Biases."""
    bank: dict[str, ModelSpec]
    """The models, by name."""
    target: dict[str, DataSpec]
    """The data sets to be transferred to, by name."""
    source: dict[str, DataSpec] = {}
    """Further data sets, on which models are pretrained."""
    method: dict[str, MethodSpec]
    """The estimators, by name."""
    reference: ModelSpec | None = None
    """The model trained on each target for the estimators that compare with it (rsa, dds)."""
    recipe: RecipeSpec = RecipeSpec()
    """How ground truth is made."""
    probe: ProbeSpec = ProbeSpec()
    """What estimators see."""
    truth: TruthSpec = TruthSpec()
    """Which ground truth counts."""
    paths: PathsSpec = PathsSpec()
    """Where things lie."""
    executor: ExecutorSpec = ExecutorSpec()
    """Where cells are computed."""
    logger: LoggerSpec | None = None
    """Weights & Biases; null: no logging."""
    report: ReportSpec = ReportSpec()
    """What is written beside the tables."""
    exclude_models: tuple[str, ...] = ()
    """Left out of a second table, not of the work."""
    include_models: tuple[str, ...] = ()
    """The models of the bank that take part; none named: all of them."""
    input_cap: Count | None = None
    """Largest input size in pixels: models of the bank whose own is larger are fed images of this one."""
    against: str | None = None
    """Finished tables that new methods are compared with: `released`, a name under results/, or a folder."""
    dry_run: bool = False
    """Whether the work is only counted."""

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
            if model.source_images and model.source_images not in data:
                problems.append(
                    f"bank.{model.name}.source_images must name a data set of this configuration. "
                    f"Got '{model.source_images}'. {did_you_mean(model.source_images, data)}"
                )
        for setting, named in (("seeds_on", self.recipe.seeds_on), ("rate_on", self.recipe.rate_on)):
            problems += [
                f"recipe.{setting} must name data sets of this configuration. Got '{name}'. {did_you_mean(name, data)}"
                for name in named
                if name not in data
            ]
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

    def images_of(self, model: ModelSpec) -> DataSpec | None:
        """The data set of images that a model was trained on, None where the bank names none."""
        name = model.source_images or model.source_data
        return (self.source | self.target)[name] if name else None

    def task_of(self, model: ModelSpec) -> str | None:
        """The task on which a model was trained; a target with the same task is a self-transfer."""
        if model.source_data:
            return (self.source | self.target)[model.source_data].task
        return model.source_task or model.source
