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
    against: str | None = None
    """Finished tables that new methods are compared with: `released`, a name under results/, or a folder."""
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
