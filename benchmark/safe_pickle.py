"""Pickles of others, read without executing anything: inert stand-ins for arrays, everything else refused by name.

A pickle is a program that may call any function it can name. `loads` gives plain data and numpy arrays back, or raises
`Refused` before anything that a stranger's file names is looked up."""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable
from typing import NoReturn

import numpy as np

PROTOCOLS = (2, 3, 4, 5)
LARGEST = 1 << 31  # bytes of one array or of one file: a probe of 5,000 images × 4,096 is 41 MB
_DEEPEST, _MOST = 20, 1_000_000  # nesting and number of plain values
_KINDS = re.compile(r"[|<>=]?(?:b1|[iu][1248]|f[248])")


class Refused(ValueError):
    """A pickle that is not a plain probe; the message says what it asked for. Nothing of it was executed."""


def loads(content: bytes, name: str = "pickle") -> object:
    """The plain value of a pickle: dicts, lists, tuples, sets, numbers, text, bytes and numeric numpy arrays."""
    if len(content) < 2 or content[0] != 0x80 or content[1] not in PROTOCOLS:
        got = f"protocol {content[1]}" if content[:1] == b"\x80" and len(content) > 1 else "no protocol mark"
        raise Refused(f"{name} must be a pickle of protocol 2 to 5. Got {got}.")
    try:
        return _plain(_Reader(io.BytesIO(content), name).load(), name)
    except Refused:
        raise
    except RecursionError:
        raise Refused(f"{name} must not nest deeper than {_DEEPEST}. Got a value that contains itself.") from None
    except Exception as error:  # whatever a malformed stream makes the machine stumble over
        raise Refused(f"{name} must be an intact pickle of a probe. Got {type(error).__name__}: {error}.") from None


class _Kind:
    """numpy.dtype: the kind and size as text; byte order by its state."""

    __slots__ = ("text",)

    def __init__(self, text: object = "", align: object = False, copy: object = False):
        text = text.decode("ascii", "replace") if isinstance(text, bytes) else text
        if not isinstance(text, str) or not _KINDS.fullmatch(text):
            raise Refused(f"an array's data type must be a plain number. Got {str(text)[:40]!r}.")
        self.text = text

    def __setstate__(self, state: object) -> None:
        # (version, byte order, subarray, names, fields, size, alignment, flags); only plain numbers have no more
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise Refused("an array's data type must be a plain number. Got a structured one.")
        order = state[1].decode("ascii", "replace") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise Refused(f"an array's byte order must be one of < > | =. Got {str(order)[:10]!r}.")
        self.text = order + self.text.lstrip("<>|=")

    def dtype(self) -> np.dtype:
        return np.dtype(self.text)


class _Array:
    """numpy.ndarray under construction: filled by its state alone."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise Refused("an array's state must be (version, shape, type, order, bytes). Got something else.")
        _, shape, kind, fortran, data = state
        self.value = _from_bytes(data, kind, shape, "F" if fortran else "C")


class _Name:
    """What a pickle gets for a name: it may call it or pass it on, and change nothing of it."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., object] | None):
        self.function = function

    def __call__(self, *arguments: object) -> object:
        if self.function is None:
            raise Refused("an array must come from its raw bytes. Got a call of numpy.ndarray.")
        return self.function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise Refused("a name must not be given a state. Got one.")


_NDARRAY = _Name(None)


def _reconstruct(kind: object, shape: object, typecode: object) -> _Array:
    if kind is not _NDARRAY:
        raise Refused("an array must be a numpy.ndarray. Got a subclass of it.")
    return _Array()


def _frombuffer(data: object, kind: object, shape: object, order: object, axes: object = None) -> _Array:
    if axes is not None:
        raise Refused("an array must be in C or Fortran order. Got another order of axes.")
    made = _Array()
    made.value = _from_bytes(data, kind, shape, order)
    return made


def _scalar(kind: object, data: object = b"") -> object:
    return _from_bytes(data, kind, (), "C").item()


def _encode(text: object, encoding: object = "") -> bytes:
    """How protocol 2 writes bytes: text in Latin-1, and nothing else."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused(f"_codecs.encode must be given text and latin1. Got {str(encoding)[:20]!r}.")
    return text.encode("latin-1")


def _from_bytes(data: object, kind: object, shape: object, order: object) -> np.ndarray:
    if isinstance(data, str):  # written by Python 2
        data = data.encode("latin-1")
    if not isinstance(kind, _Kind) or not isinstance(data, bytes | bytearray) or not isinstance(shape, tuple):
        raise Refused("an array must be raw bytes of a plain number type. Got another kind of contents.")
    if order not in ("C", "F") or any(type(n) is not int or n < 0 for n in shape) or len(shape) > 4:
        raise Refused(f"an array's shape must be up to four sizes. Got {str(shape)[:60]}.")
    dtype = kind.dtype()
    if math.prod(shape) * dtype.itemsize != len(data) or len(data) > LARGEST:
        raise Refused(f"an array of shape {shape} and type {dtype} must hold as many bytes. Got {len(data)}.")
    return (
        np.frombuffer(bytes(data), dtype)
        .reshape(shape, order="F" if order == "F" else "C")
        .astype(dtype.newbyteorder("="))
    )


_ADMITTED: dict[tuple[str, str], _Name] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Name(_Kind),
    ("_codecs", "encode"): _Name(_encode),
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Name(_reconstruct) for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Name(_scalar) for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Name(_frombuffer) for core in ("core", "_core")},
}


class _Reader(pickle.Unpickler):
    """An unpickler that knows the names above and no import."""

    def __init__(self, stream: io.BytesIO, name: str):
        super().__init__(stream, fix_imports=False, encoding="latin1")
        self.called = name

    def find_class(self, module: str, name: str) -> _Name:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise Refused(
                f"{self.called} must hold arrays and plain values only. Got {module}.{name}, which was not looked up."
            ) from None

    def persistent_load(self, pid: object) -> NoReturn:
        raise Refused(f"{self.called} must hold arrays and plain values only. Got a persistent reference.")


def _plain(value: object, name: str, depth: int = 0, budget: list[int] | None = None) -> object:
    """The value with stand-ins replaced by arrays; anything that is not plain is refused."""
    budget = [_MOST] if budget is None else budget
    budget[0] -= 1
    if depth > _DEEPEST or budget[0] < 0:
        raise Refused(f"{name} must nest at most {_DEEPEST} deep and hold {_MOST:,} values. Got more.")
    if value is None or type(value) in (bool, int, float, complex, str, bytes, bytearray):
        return value
    if isinstance(value, _Array):
        if value.value is None:
            raise Refused(f"{name} must hold finished arrays. Got one without contents.")
        return value.value
    if type(value) is dict:
        return {_plain(k, name, depth + 1, budget): _plain(v, name, depth + 1, budget) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and type(value) in (list, tuple, set, frozenset):
        return type(value)([_plain(v, name, depth + 1, budget) for v in value])
    raise Refused(f"{name} must hold arrays and plain values only. Got a bare {type(value).__name__.strip('_')}.")
