"""What each estimator takes and promises, beside its function, for the conformance checks and the documentation."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar

from numpy.typing import ArrayLike

from methods.shared.checks import choice
from methods.shared.score import Score

ARRAYS = (
    *("features", "labels", "source_probs", "source_logits", "source_features", "source_labels", "reference_features"),
    *("model", "network", "images"),
    *("bank_features", "bank_labels", "models", "known"),
)
LABELS = ("single", "multi", "regression")
INVARIANCES = ("rotation", "scale", "translation", "linear", "columns")
EVERY = "*"
"""A bank weight of all parts alike, whatever their names: their mean, over those that a model has."""

Function = TypeVar("Function", bound=Callable[..., Score])
Normalisation = Literal["minmax", "z", "rank"]
Parameters = Mapping[str, object]


@dataclass(frozen=True)
class Capabilities:
    """What one estimator takes and promises.

    needs          the arrays it takes by name, read off its signature; those of `optional` may be None
    labels         kinds of labels: single, multi (multi-hot), regression; empty for what looks at no labels
    invariant      changes of the features that leave the value alone: rotation (orthogonal maps), scale (one
                   positive factor), translation, linear (invertible maps, where n > d), columns (a positive
                   factor a column)
    deterministic  whether equal inputs give equal values; else the value depends on `seed`
    ordered        whether the order of the images matters: a split by position
    min_samples    images below which it is insufficient; likewise min_classes
    min_per_class  images of a class below which the class adds nothing or a floor stands in; never an error
    cost           time, in n images, d features, r rank, c classes, z source classes; after the shared
                   factorisation where it uses one
    source         the paper
    bank           weights of the score's parts, where the published score normalises them over all models of a
                   bank (`methods.shared.bank.combine`); empty for scores that stand on their own
    bank_by        how the parts are normalised over the bank: minmax, z or rank (`methods.shared.bank`)
    deviates       checks of `benchmark.check` that it is known not to pass, each with the reason
    """

    needs: tuple[str, ...]
    optional: tuple[str, ...] = ()
    labels: tuple[str, ...] = ("single",)
    invariant: tuple[str, ...] = ()
    deterministic: bool = True
    ordered: bool = False
    min_samples: int = 2
    min_classes: int = 2
    min_per_class: int = 1
    cost: str = ""
    source: str = ""
    bank: Mapping[str, float] = field(default_factory=dict)
    bank_by: Normalisation = "minmax"
    deviates: Mapping[str, str] = field(default_factory=dict)


class Estimator(Protocol):
    """A function of this package that declares what it takes and promises."""

    __name__: str
    capabilities: Capabilities

    def __call__(self, *arrays: Any, **more: Any) -> Score: ...


def estimator(
    *,
    labels: tuple[str, ...] = ("single",),
    invariant: tuple[str, ...] = (),
    deterministic: bool = True,
    ordered: bool = False,
    min_samples: int = 2,
    min_classes: int = 2,
    min_per_class: int = 1,
    cost: str = "",
    source: str = "",
    bank: Mapping[str, float] | None = None,
    bank_by: Normalisation = "minmax",
    deviates: Mapping[str, str] | None = None,
) -> Callable[[Function], Function]:
    """Attach a `Capabilities` to a function as its attribute `capabilities`; the function itself stays as it is.

    Raises ValueError for an unknown kind of labels or invariance.
    """
    for kind in labels:
        choice("labels", kind, LABELS)
    for kind in invariant:
        choice("invariant", kind, INVARIANCES)

    def attach(function: Function) -> Function:
        parameters = inspect.signature(function).parameters
        needs = tuple(name for name in ARRAYS if name in parameters)
        vars(function)["capabilities"] = Capabilities(
            needs=needs,
            optional=tuple(name for name in needs if parameters[name].default is not inspect.Parameter.empty),
            labels=labels,
            invariant=invariant,
            deterministic=deterministic,
            ordered=ordered,
            min_samples=min_samples,
            min_classes=min_classes,
            min_per_class=min_per_class,
            cost=cost,
            source=source,
            bank=MappingProxyType(dict(bank or {})),
            bank_by=bank_by,
            deviates=MappingProxyType(dict(deviates or {})),
        )
        return function

    return attach


def capabilities(function: Callable[..., object]) -> Capabilities | None:
    """What the function declares, or None for a stranger's that declares nothing."""
    return getattr(function, "capabilities", None)


def estimators() -> dict[str, Estimator]:
    """Every estimator of this package that declares its capabilities, by name."""
    import methods

    return {name: f for name in methods.__all__ if capabilities(f := getattr(methods, name)) is not None}


def named(base: str | Callable[..., float]) -> Callable[..., float]:
    """An estimator of features and labels, for a wrapper around it: by its name here, or the function itself.

    Raises ValueError, with did-you-mean, for an unknown name and for one that takes other arrays or that wraps
    another estimator itself.
    """
    if callable(base):
        return base
    fitting = {
        name: function
        for name, function in estimators().items()
        if function.capabilities.needs == ("features", "labels")
        and not {"base", "of"} & set(inspect.signature(function).parameters)
    }
    choice("base", base, fitting)
    return fitting[base]


def applied(base: Callable[..., float], features: object, labels: ArrayLike, parameters: Parameters | None) -> Score:
    """The base's score of features and labels; a stranger's plain float counts as ok."""
    score = base(features=features, labels=labels, **(parameters or {}))
    return score if isinstance(score, Score) else Score(score)
