"""What a cell is called: the hash of what made it, fingerprints of files from outside, of a stranger's code.

Keys hold specifications, never import paths of this project, so that code can move without losing what was computed."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from pathlib import Path

from benchmark.cells.reach import home_of, installed, meaning, parts_of, reached
from benchmark.config.model import ModelSpec
from benchmark.errors import ConfigError
from benchmark.files import file_digest

NETWORKS = {"CifarResNet": 1, "MiniXception": 1, "DoodleNet": 1, "SqueezeNet": 1}
"""The version of each network of `benchmark.models.networks`, raised by hand when an edit there changes what it
computes: the cells of its models, and of no others, are made anew. Version 1 is left out of keys."""


def fingerprints(paths: Iterable[Path]) -> list[str]:
    """SHA-256 of each file that enters from outside, with the end of its path (images carry their class there)."""
    paths = [Path(p) for p in paths]
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path.name} must exist. Got nothing at '{path}'. Check the path in the configuration.")
    if len({p.is_absolute() for p in paths}) > 1:  # a table that names absolute paths, itself named by a relative one
        paths = [Path(os.path.abspath(p)) for p in paths]
    root = _common(paths)
    return [f"{p.relative_to(root).as_posix() if len(paths) > 1 else p.suffix}:{file_digest(p)}" for p in paths]


def _common(paths: list[Path]) -> Path:
    return Path(os.path.commonpath([p.parent for p in paths])) if paths else Path()


@cache
def code_of(function: Callable[..., object], path: str) -> str:
    """Fingerprint of the code behind an estimator that a dotted path names, so that editing it makes its scores anew.

    One of this project counts with its own module and what that imports of the package; one that calls others by
    their names (a fusion, a wrapper) with the whole package. A stranger's counts with what its module can reach
    (`benchmark.cells.reach`). Each file counts by what it says to Python: comments, docstrings and layout change
    nothing, nor does a file that nothing of it imports.
    """
    module = getattr(function, "__module__", "")
    if module.partition(".")[0] == "methods":
        return key_of({name: meaning(file) for name, file in sorted(parts_of(module).items())})
    inner = inspect.unwrap(function)
    while isinstance(inner, partial):
        inner = inspect.unwrap(inner.func)
    module = getattr(inner, "__module__", None) or type(inner).__module__
    files = reached([path.rpartition(".")[0], module])
    if not files:
        raise ConfigError(
            f"an estimator must have source code, which its scores are kept under. Got '{path}' without a file. "
            "Write a function around it in a module of your own."
        )
    return key_of({name: meaning(file) for name, file in sorted(files.items())})


def network_code(model: ModelSpec) -> dict[str, str | int]:
    """What a network's code adds to keys; nothing for timm's and torchvision's, which are known by their names.

    Of a stranger's the fingerprint of its files, as {"code": …}; of ours the version in `NETWORKS`, beyond the first.
    """
    if model.arch.startswith("benchmark.models.networks."):
        version = NETWORKS.get(model.arch.rpartition(".")[2], 1)
        return {} if version == 1 else {"network": version}
    if not model.own_network:
        return {}
    files = _files_behind({model.arch.partition(".")[0]}, model.arch)  # all of its package: its cells are costly
    return {"code": key_of({name: file_digest(file) for name, file in sorted(files.items())})}


def _files_behind(waiting: set[str], path: str) -> dict[str, Path]:
    """The source files of top-level modules or packages and of what they import beside them, by name."""
    found: dict[str, dict[str, Path]] = {}
    root = home_of(path)
    while waiting:
        name = waiting.pop()
        if name in found or home_of(name) is None:
            continue
        found[name] = _files_of(name)
        beside = {other for file in found[name].values() for other in _imports(file)} - set(found)
        waiting |= {other for other in beside if home_of(other) == root and not installed(root)}
    return {name: file for one in found.values() for name, file in one.items()}


def _files_of(name: str) -> dict[str, Path]:
    """The source files of a top-level module or package, by their path within it."""
    spec = importlib.util.find_spec(name)
    folders = [Path(p).resolve() for p in (spec and spec.submodule_search_locations) or ()]
    if not folders:
        return {Path(spec.origin).name: Path(spec.origin)} if spec and spec.origin else {}
    return {f"{name}/{f.relative_to(top).as_posix()}": f for top in folders for f in top.rglob("*.py")}


def _imports(file: Path) -> set[str]:
    """The top-level names that a source file imports anywhere."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # not Python, perhaps compiled
        return set()
    names = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names}


def canonical(data: object) -> str:
    """JSON that is the same for the same data, also once it has been a file: keys are text, sorted; no spaces."""
    data = json.loads(json.dumps(data, allow_nan=False))
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def key_of(identity: Mapping[str, object]) -> str:
    """SHA-256 of canonical JSON."""
    return hashlib.sha256(canonical(identity).encode()).hexdigest()
