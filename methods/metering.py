"""What shared quantities cost, so that the time of an estimator can be told as if it had been the only one.

The factorisations, Gram matrices and ranks of a `methods.Features` are computed by the estimator that first asks for
them and kept for the next. Here each of them is timed, less what it spent on others of its kind, and remembers which
those were. `metered` adds to the time of a call what it found ready.
"""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar, overload

import numpy as np

Value = TypeVar("Value")
Owner = TypeVar("Owner")


@dataclass(frozen=True, eq=False)
class _Quantity:
    """One that was computed: seconds of its own, when it was done, and the quantities that it was computed from."""

    seconds: float
    done: float
    used: frozenset["_Quantity"]


@dataclass
class _Work:
    """Something under way: the shared quantities that it has used, and the seconds in which it computed such."""

    used: set[_Quantity] = field(default_factory=set)
    elsewhere: float = 0.0


class _Here(threading.local):
    """The work under way in this thread, the innermost last."""

    def __init__(self) -> None:
        self.stack: list[_Work] = []


_here = _Here()


class shared(Generic[Owner, Value]):  # noqa: N801 - used as a decorator, like property
    """A property that is computed on first use, kept read-only, and timed; otherwise as `functools.cached_property`."""

    def __init__(self, compute: Callable[[Owner], Value]) -> None:
        self.compute, self.__doc__ = compute, compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "shared[Owner, Value]": ...

    @overload
    def __get__(self, instance: Owner, owner: type | None = None) -> Value: ...

    def __get__(self, instance: Owner | None, owner: type | None = None) -> "Value | shared[Owner, Value]":
        if instance is None:
            return self
        return once(instance, self.name, lambda: self.compute(instance))

    def __set__(self, instance: Owner, value: Value) -> None:  # with this, reading a kept value passes here as well
        raise AttributeError(f"{self.name} must be left as it is. It is computed once and shared.")


def once(instance: object, name: str, compute: Callable[[], Value]) -> Value:
    """The value that `instance` keeps under a name, computed and timed where it has none yet."""
    kept = instance.__dict__
    timed = kept.setdefault("_timed", {})
    if name not in timed:
        with _working() as work:
            start = time.perf_counter()
            try:
                kept[name] = _read_only(compute())
            finally:
                spent = time.perf_counter() - start
                if len(_here.stack) > 1:
                    outer = _here.stack[-2]
                    outer.elsewhere += spent
                    outer.used |= work.used
        timed[name] = _Quantity(spent - work.elsewhere, start + spent, frozenset(work.used))
    if _here.stack:
        _here.stack[-1].used.add(timed[name])
    return kept[name]


@dataclass
class Times:
    """Seconds of a call: as it was, and alone, as if nothing shared had been computed before it."""

    seconds: float = 0.0
    alone: float = 0.0


@contextmanager
def metered() -> Iterator[Times]:
    """Times what is done inside; the figures are there afterwards."""
    times = Times()
    with _working() as work:
        start = time.perf_counter()
        try:
            yield times
        finally:
            times.seconds = time.perf_counter() - start
            times.alone = times.seconds + sum(q.seconds for q in _all(work.used) if q.done < start)


@contextmanager
def _working() -> Iterator[_Work]:
    work = _Work()
    _here.stack.append(work)
    try:
        yield work
    finally:
        _here.stack.pop()


def _all(used: Iterable[_Quantity]) -> set[_Quantity]:
    """The quantities, and all that these were computed from."""
    found, waiting = set(), list(used)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += one.used
    return found


def _read_only(value: Value) -> Value:
    """The value, its arrays closed to writing."""
    parts = value if isinstance(value, tuple) else (value,)
    if dataclasses.is_dataclass(value):
        parts = tuple(vars(value).values())
    for part in parts:
        if isinstance(part, np.ndarray):
            part.flags.writeable = False
    return value
