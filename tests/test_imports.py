"""A module of this project is imported inside a function only where it brings a heavy package with it.

Such an import keeps a command's start short. Any other could stand at the top, where the import contracts see no less
and a reader more: inside a function it only hides a circle. Read from the source, so nothing has to be imported.
"""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OWN = ("benchmark", "methods", "scripts")
HEAVY = {
    *("torch", "timm", "torchvision", "ray", "wandb", "plotly", "matplotlib", "sklearn"),
    *("pandas", "scipy", "pyarrow", "skimage", "mlxtend", "PIL", "jinja2"),
}
"""Packages that take some 0.03 s (PIL, jinja2) to seconds (torch) to import."""

ALLOWED = {
    "benchmark.rank": "a ranking that neither trains nor exports starts without the search, and sooner",
    "methods.device": "the package lists its estimators when one is asked for, among them those of this module",
    "methods.shared.capabilities": "the package lists its estimators when one is asked for, which need this module",
}
"""Modules whose imports may wait for a call although they bring nothing heavy, and why."""

Sources = dict[str, ast.Module]


def sources(root: Path) -> Sources:
    found = {}
    for file in (f for folder in OWN for f in (root / folder).rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(file.read_text(encoding="utf-8"))
    return found


def imports(tree: ast.AST, inside: bool = False) -> list[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import, and whether it waits for a call; not those for type checkers alone."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append((node, inside))
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            waits = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            found += imports(node, inside or waits)
    return found


def modules(node: ast.Import | ast.ImportFrom, known: Sources) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    whole = [f"{node.module}.{alias.name}" for alias in node.names]
    return [name if name in known else node.module or "" for name in whole]


def dodging(known: Sources) -> list[str]:
    """The imports inside functions that bring no heavy package which their own module does not have already."""
    read = {name: imports(tree) for name, tree in known.items()}
    top = {
        name: [m for node, waits in found if not waits for m in modules(node, known)] for name, found in read.items()
    }

    @cache
    def brought(start: str) -> frozenset[str]:
        seen: set[str] = set()
        todo, packages = [start], set()
        while todo:
            parts = todo.pop().split(".")
            packages.add(parts[0])
            for name in (".".join(parts[: i + 1]) for i in range(len(parts))):  # a module's packages come first
                if name in known and name not in seen:
                    seen.add(name)
                    todo += top[name]
        return frozenset(packages & HEAVY)

    return [
        f"{name}:{node.lineno} {module}"
        for name, found in read.items()
        for node, waits in found
        for module in modules(node, known)
        if waits and module.split(".")[0] in OWN and not brought(module) - brought(name)
    ]


def test_an_import_inside_a_function_brings_a_heavy_package():
    found = [line for line in dodging(sources(ROOT)) if line.split(":")[0] not in ALLOWED]
    assert found == []


def test_what_is_allowed_is_needed():
    assert {line.split(":")[0] for line in dodging(sources(ROOT))} == set(ALLOWED)


def test_an_import_that_dodges_a_circle_is_found():
    known = {
        "benchmark.a": ast.parse("def f():\n    from benchmark import b, c, d\n"),
        "benchmark.b": ast.parse("import benchmark.a"),
        "benchmark.c": ast.parse("from benchmark import e"),
        "benchmark.d": ast.parse("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        "benchmark.e": ast.parse("import torch"),
        "benchmark.g": ast.parse("import torch\ndef f():\n    from benchmark import e\n"),
    }
    assert dodging(known) == ["benchmark.a:2 benchmark.b", "benchmark.a:2 benchmark.d", "benchmark.g:3 benchmark.e"]
