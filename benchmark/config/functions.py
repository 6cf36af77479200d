"""Specifications that name a Python function: the adapter of a data set, an estimator; and how the name is resolved."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Protocol, SupportsFloat, runtime_checkable

from pydantic import AfterValidator, Field

from benchmark.config.renamed import current, first_name
from benchmark.config.spec import Count, Spec, plain_data
from benchmark.errors import ConfigError, did_you_mean
from benchmark.wording import one_line

ARRAYS = (
    *("features", "labels", "source_probs", "source_logits", "source_features", "source_labels", "reference_features"),
    *("model", "seed", "n_classes", "network", "images"),
    *("bank_features", "bank_labels", "models", "known"),
)
"""What the runner supplies to a method, by parameter name; every other parameter belongs to the configuration."""

TRAINEE = frozenset({"network", "images"})
"""What is read from weights and packs, for the methods that ask for it alone: see `benchmark.training.trainee`."""

BANK = frozenset({"bank_features", "bank_labels", "models"})
"""What a method that sees the whole bank is given, once a target and draw: see `benchmark.scoring.whole_bank`."""

ANY = frozenset({"seed", "n_classes", "known"})
"""What belongs to no model, so that a method of one model and one of the whole bank may ask for it alike."""

Known = Mapping[str, Mapping[str, float]]
"""Target -> model -> accuracy after fine-tuning in percent, mean over seeds: what a method may learn from."""


@runtime_checkable
class Adapter(Protocol):
    """A function that reads a data set, as `benchmark.data.examples.adapter` marks it."""

    version: int
    inputs: Callable[..., list[Path]]

    def __call__(self, **parameters: Any) -> Any: ...


class DataSpec(Spec):
    """One data set: the adapter that reads it, and the short side in pixels that is kept."""

    name: str
    """What the data set is called: the key of its entry, and `Target Dataset` in the tables."""
    adapter: Annotated[str, AfterValidator(current)] = Field(alias="_target_")
    """Dotted path of the function that reads it (`_target_`)."""
    task: str
    """Name of the classification task: models trained on the same one are no candidates."""
    size: Count
    """Short side in pixels at which images are kept."""
    family: str | None = None
    """What else it is akin to: a method that learns from known transfers is told of no target of this family, nor of
    the same task. No part of a key."""
    images: tuple[Count, Count] | None = None
    """Images to train on and to test on, where known beforehand: for the estimate of a run's cost alone."""
    parameters: dict[str, object] = {}
    """The other keys of the entry: arguments of the adapter, such as `path`."""

    def identity(self, *leave_out: str) -> dict[str, object]:
        # the bytes at the path enter the key instead, and it does not matter who fetched them
        own = {k: v for k, v in self.parameters.items() if k not in ("path", "download")}
        facts = {"adapter": first_name(self.adapter), "parameters": plain_data(own), "version": self.function.version}
        return super().identity(*leave_out, "name", "task", "family", "images", "adapter", "parameters") | facts

    def akin(self, other: DataSpec) -> bool:
        """Whether another data set is this one, of its task or of its family."""
        same_family = self.family is not None and self.family == other.family
        return self.name == other.name or self.task == other.task or same_family

    @property
    def function(self) -> Adapter:
        return adapter(self.adapter, f"target.{self.name}._target_")


class MethodSpec(Spec):
    """One estimator and its parameters."""

    name: str
    """What the estimator is called: the key of its entry, and its column in the tables."""
    function_path: str = Field(alias="_target_")
    """Dotted path of the function (`_target_`)."""
    parameters: dict[str, object] = {}
    """The other keys of the entry: arguments of the function."""
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Seconds that it may take on one probe draw; None: see `benchmark.scoring.isolation`. No part of a score's key."""

    @property
    def function(self) -> Callable[..., SupportsFloat]:
        return resolve(self.function_path, f"method.{self.name}._target_")

    @property
    def needs(self) -> tuple[str, ...]:
        """The arrays that the function takes, by name."""
        names = parameter_names(self.function)
        return tuple(a for a in ARRAYS if a in names and a not in self.parameters)

    @property
    def trains(self) -> bool:
        """Whether the function takes the network or the images themselves."""
        return not TRAINEE.isdisjoint(self.needs)

    @property
    def over_bank(self) -> bool:
        """Whether the function sees all models at once, and returns one score a model."""
        return not BANK.isdisjoint(self.needs)

    @property
    def learns(self) -> bool:
        """Whether the function takes what is known of other targets."""
        return "known" in self.needs

    def takes(self, array: str) -> bool:
        """Whether the function takes an array; False also for one that cannot be imported, which is said elsewhere."""
        try:
            return array in self.needs
        except ConfigError:
            return False


def adapter(path: str, where: str) -> Adapter:
    """The adapter that a dotted `_target_` names."""
    found = resolve(path, where)
    if not isinstance(found, Adapter):
        raise ConfigError(
            f"{where} must be a data set adapter (see benchmark.data.examples.adapter). Got '{path}'. Mark the "
            "function with it."
        )
    return found


class GivenMethod(MethodSpec):
    """An estimator whose function is at hand, not named: it runs in this process, and nothing of it is kept."""

    call: Callable[..., Any]

    @property
    def function(self) -> Callable[..., Any]:
        return self.call


def parameter_names(function: Callable[..., Any]) -> frozenset[str]:
    """The names of a function's parameters; ValueError or TypeError where they cannot be read."""
    try:
        hash(function)
    except TypeError:  # an object of somebody's own that is called
        return frozenset(inspect.signature(function).parameters)
    return _parameter_names(function)


@lru_cache(maxsize=1024)
def _parameter_names(function: Callable[..., Any]) -> frozenset[str]:
    """Read once a function: a plan of a large bank asks half a million times."""
    return frozenset(inspect.signature(function).parameters)


def resolve(path: str, where: str) -> Callable[..., Any]:
    """The function that a dotted `_target_` names, by its path of today or an earlier one."""
    path = current(path)
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
        parameter_names(function)
    except (ValueError, TypeError):  # some of Python's own
        raise ConfigError(
            f"{where} must be a function whose parameters can be read. Got '{path}'. Call it from one of your own."
        ) from None
    return function
