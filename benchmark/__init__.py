"""Benchmark harness for scalable diverse model selection.

    from benchmark import correlate, evaluate, load_results, rank, run

are functions (`benchmark.api`, docs/api.md), found when they are first asked for: importing this imports nothing else.
`python -m benchmark.run` and the like are commands; the module of a command is the function of its name, too.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.api import correlate, evaluate, load_results, run
    from benchmark.rank import rank

__all__ = ["correlate", "evaluate", "load_results", "rank", "run"]

ROOT = str(Path(__file__).resolve().parents[1])


class MethodsBeside:
    """Imports `methods` from beside this package, whatever a caller's folder calls so: the paper's has a methods.py."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [ROOT]) if name == "methods" else None


if (_other := sys.modules.get("methods")) and ROOT not in map(str, Path(_other.__file__ or "").resolve().parents):
    raise ImportError(
        f"'methods' must be this project's package. Got {_other.__file__}, imported before. Import benchmark first, "
        "or rename that file."
    )
sys.meta_path.insert(0, MethodsBeside)


class Command(ModuleType):
    """A module that is called like one function of its name, wherever that one is defined.

    A name of this package cannot be a function and a command's module at once: the module comes to stand there as soon
    as anything imports it.
    """

    function: tuple[str, str]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.__wrapped__(*arguments, **named)

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        module, name = self.function
        return getattr(importlib.import_module(module), name)


def called(module: str, function: str) -> None:
    """Make a command's module callable: as `function` of that name, <module>.<name>."""
    command = sys.modules[module]
    command.__class__ = Command
    home, _, name = function.rpartition(".")
    vars(command)["function"] = (home, name)


def __getattr__(name: str) -> Any:
    if name == "load_results":
        return importlib.import_module("benchmark.api").load_results
    if name in __all__:
        return importlib.import_module(f"benchmark.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
