"""Benchmark harness for scalable diverse model selection."""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

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
