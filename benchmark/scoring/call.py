"""One call of an estimator: arrays in; its value, its status and its times out, whatever it does."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import SupportsFloat

import numpy as np

from benchmark.config.functions import MethodSpec
from benchmark.wording import one_line, printable

LACKING = {
    "source_probs": "the model has no source head",
    "source_logits": "the model has no source head",
    "source_features": "no images of the model's source are given (source_images in its bank)",
    "source_labels": "no images of the model's source are given (source_images in its bank)",
    "known": "the truth of no other target is known",
}
"""Why a model's score is not applicable where an input is absent."""

OUT_OF_MEMORY = ("out of memory", "can't allocate memory")
"""What PyTorch says where there is none."""

TRACEBACK = 6000
"""Characters of a traceback that are kept."""


class Lost(Exception):
    """A method of which nothing is left to keep, not even a failure: its process died, or there was no memory."""


@dataclass(frozen=True)
class Lazy:
    """Something that is made when a method asks for it, anew for every call; the making counts as the method's time."""

    make: Callable[[], object]


@dataclass(frozen=True)
class Result:
    """What a method made of one draw.

    value            higher predicts better; None where it is no number, and `status` and `reason` say why
    parts            of a score that is put together over the models of a bank (see `methods.shared.bank`)
    seconds, alone   the time of the call; and as if nothing shared had been computed before (see `methods.metering`)
    given            where it raised an exception, what the method was given, in words; and the exception's traceback
    """

    value: float | None
    status: str
    reason: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    alone: float = 0.0
    given: str = ""
    traceback: str = ""


def call(method: MethodSpec, arrays: Mapping[str, object]) -> Result:
    """What one method makes of one draw; an exception becomes a status. Raises Lost where there is no memory for it."""
    return _called(method, arrays, lambda made: (made,), 1)[0]


def call_bank(method: MethodSpec, arrays: Mapping[str, object]) -> tuple[Result, ...]:
    """What a method of the whole bank makes of one draw: a result a model of `arrays["models"]`, each with its share of
    the time. Otherwise as `call`."""
    models = arrays["models"]
    count = len(models) if isinstance(models, Sequence) else 0
    return _called(method, arrays, lambda made: _one_a_model(made, count), count)


def _called(
    method: MethodSpec,
    arrays: Mapping[str, object],
    split: Callable[[SupportsFloat], Sequence[SupportsFloat]],
    count: int,
) -> tuple[Result, ...]:
    """`count` results of one call, which `split` takes apart."""
    from methods.metering import metered

    absent = [n for n in method.needs if arrays.get(n) is None]
    if absent:
        return (Result(None, "not_applicable", _why_absent(absent[0])),) * count
    given = {n: arrays[n] for n in method.needs}
    if not shares(method.function):
        given = {n: getattr(v, "given", v) for n, v in given.items()}
    try:
        with metered() as times:
            given = {n: _made(n, v) for n, v in given.items()}
            scores = split(method.function(**given, **method.parameters))
            numbers = [float(score) for score in scores]
    except MemoryError as error:
        raise Lost(f"there was not enough memory for it ({one_line(error) or 'MemoryError'})") from None
    except Lost:
        raise
    except (Exception, SystemExit) as error:  # a method's crash becomes a row
        failed = _failed(error, described(given | method.parameters))
        return (replace(failed, seconds=times.seconds / count, alone=times.alone / count),) * count
    spent = times.seconds / count, times.alone / count
    return tuple(_result(score, number, *spent) for score, number in zip(scores, numbers, strict=True))


def _why_absent(name: str) -> str:
    return LACKING.get(name, f"{name} is not given")


def _one_a_model(made: object, count: int) -> Sequence[SupportsFloat]:
    """The scores that a method of the whole bank returned; raises ValueError where they are not one a model."""
    if not isinstance(made, Iterable) or isinstance(made, str | bytes | Mapping):
        got = f"one {type(made).__name__}"
    elif len(scores := list(made)) == count:
        return scores
    else:
        got = str(len(scores))
    raise ValueError(f"what is returned must be one score a model, in the order of models, {count}. Got {got}.")


def _failed(error: BaseException, given: str) -> Result:
    """An exception as a result. Raises Lost where it is a want of memory."""
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, RuntimeError) and any(text in reason for text in OUT_OF_MEMORY):
        raise Lost(f"there was not enough memory for it ({one_line(reason)})") from None
    if "read-only" in reason:
        reason += ". What a method is given must stay as it is: let it copy first"
    return Result(None, "failed", one_line(reason), given=given, traceback=_traceback(error))


def _result(score: object, number: float, seconds: float, alone: float) -> Result:
    """A score, a number as well, as a result."""
    status, reason = str(getattr(score, "status", "ok")), one_line(getattr(score, "reason", "") or "")
    if not np.isfinite(number):
        status, reason = "degenerate" if status == "ok" else status, reason or f"the score is {number}"
        return Result(None, status, reason, seconds=seconds, alone=alone)
    parts = {name: float(part) for name, part in (getattr(score, "parts", None) or {}).items() if np.isfinite(part)}
    return Result(number, status, reason, parts, seconds, alone)


def _made(name: str, value: object) -> object:
    """A value, made where it is lazy; raises Lost where it cannot be, which is no fault of the method's."""
    if not isinstance(value, Lazy):
        return value
    try:
        return value.make()
    except MemoryError:
        raise
    except Exception as error:
        raise Lost(f"its {name} could not be made ({one_line(f'{type(error).__name__}: {error}')})") from None


def described(given: Mapping[str, object]) -> str:
    """Arguments in words: names, shapes and types of arrays, the keys of `model`, other values as they are."""
    return ", ".join(f"{name} {_describe(value)}" for name, value in given.items())


def _describe(value: object) -> str:
    value = getattr(value, "given", value)
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    if isinstance(value, tuple) and value and isinstance(value[0], np.ndarray | Mapping):
        return f"{len(value)} of {_describe(value[0])}"
    return f"{{{', '.join(value)}}}" if isinstance(value, dict) else one_line(repr(value), 60)


def _traceback(error: BaseException) -> str:
    """The traceback of an exception that a method raised, from the method's own line on."""
    lines = traceback.format_exception(type(error), error, error.__traceback__ and error.__traceback__.tb_next)
    text = printable("".join(lines))
    return text if len(text) <= TRACEBACK else f"{text[: TRACEBACK // 2]}\n…\n{text[-TRACEBACK // 2 :]}"


def shares(function: Callable[..., object]) -> bool:
    """Whether a method takes the shared `methods.Features`: by its annotation, or by declaring capabilities.

    Every other gets the plain array, so that a stranger's numpy code runs as it is.
    """
    annotations = [str(p.annotation) for p in inspect.signature(function).parameters.values()]
    return hasattr(function, "capabilities") or any("Features" in a for a in annotations)
