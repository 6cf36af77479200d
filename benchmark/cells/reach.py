"""What a function of somebody's own can reach: the source files that its module imports, and what each says to Python.

Found in the source alone, nothing is run: from the module of the function along every `import` in it, also within
functions, to modules of the same package and to those beside it, and on from each of them. The `__init__` of a package
counts where something inside it is reached, since Python runs it. A file that imports by a name that it makes up
(`importlib`, `__import__`, `exec` …) may reach anything: all of its package counts then. Installed packages do not
count, except the one that holds the function, and this project's `methods`; nor do files that are no Python, such as
tables that a function reads.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from benchmark.files import file_digest

COMPUTED = {"importlib", "__import__", "exec", "eval", "runpy", "pkgutil", "zipimport", "compile"}
"""Names with which a file may import what its source does not say."""
OURS = "methods"
BY_NAME = "methods.shared.capabilities.named"


def reached(modules: Iterable[str]) -> dict[str, Path]:
    """Module name -> source file of all that some modules can reach, themselves among them."""
    waiting = [name for start in modules for name in _with_packages(start)]
    home = cache(home_of)
    homes = {home(name.partition(".")[0]) for name in waiting} - {None}
    tops = {OURS, *(name.partition(".")[0] for name in waiting)}
    found: dict[str, Path] = {}
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        top = name.partition(".")[0]
        beside = top in tops or (home(top) in homes and not installed(home(top)))
        if not beside or (spec := _spec(name)) is None:
            continue
        if spec.has_location and spec.origin:
            found[name] = Path(spec.origin)
            names, computed = _imports(_source(found[name]), name, bool(spec.submodule_search_locations))
            more = [*names, *(_all_of(top) if computed else ())]
            waiting += [package for one in more for package in _with_packages(one)]
    return found


def parts_of(module: str) -> dict[str, Path]:
    """Module name -> source file of a module and of all that it imports of its package, and so on.

    The `__init__` of that package, which lists what it holds, counts for nothing. All of the package counts where
    one of these files imports BY_NAME, which finds an estimator by a name that the source does not say.
    """
    top, waiting = module.partition(".")[0], [module]
    found: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        if name in found or not name.startswith(f"{top}.") or (spec := _spec(name)) is None or not spec.origin:
            continue
        found[name] = Path(spec.origin)
        names = _imports(_source(found[name]), name, bool(spec.submodule_search_locations))[0]
        waiting += [*names, *(_all_of(top) if BY_NAME in names else ())]
    return found


def meaning(file: Path) -> str:
    """SHA-256 of what a source file says to Python: without comments, docstrings and layout; else of its bytes."""
    return _meaning_of(file.read_bytes()) or file_digest(file)


@lru_cache(maxsize=1024)
def _meaning_of(source: bytes) -> str:
    """See `meaning`; nothing for what is no Python. By content, since several estimators reach the same files."""
    tree = _parsed(source)
    if tree is None:
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _documented(node):
            node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def home_of(name: str) -> Path | None:
    """The folder from which a module's top-level package is imported; None for one that is built in or missing."""
    try:
        spec = importlib.util.find_spec(name.partition(".")[0])
    except (ImportError, ValueError):
        return None
    if spec is None or not (spec.submodule_search_locations or spec.has_location):
        return None
    place = next(iter(spec.submodule_search_locations or ()), spec.origin)
    return Path(str(place)).resolve().parent


def installed(root: Path | None) -> bool:
    """Whether a folder holds installed packages, whose files are not edited by hand."""
    return root is None or "site-packages" in root.parts or root == _standard_library()


@cache
def _standard_library() -> Path:
    return Path(sysconfig.get_path("stdlib")).resolve()


def _documented(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _source(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it imports nothing that could be seen
        return b""


def _parsed(source: bytes) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):  # compiled, or not for this Python
        return None


def _with_packages(name: str) -> Iterator[str]:
    """A module's name and those of the packages that it is in."""
    parts = name.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts) + 1))


def _spec(name: str) -> ModuleSpec | None:
    """Where a module lies; neither it nor its package is imported."""
    top, *inner = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    for depth in range(len(inner)):
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(".".join([top, *inner[: depth + 1]]), list(spec.submodule_search_locations))
    return spec


@lru_cache(maxsize=1024)
def _imports(source: bytes, module: str, is_package: bool) -> tuple[frozenset[str], bool]:
    """The modules that a file names in imports, anywhere in it; and whether it may import others, too."""
    tree = _parsed(source)
    if tree is None:
        return frozenset(), False
    package = module if is_package else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names if alias.name != "*"}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return frozenset(names - {""}), bool(COMPUTED & (used | {name.partition(".")[0] for name in names}))


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """What a `from` import names, written out: a dot more is a package further up."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = ".".join(parts[: len(parts) - node.level + 1])
    return ".".join(part for part in (base, node.module) if part)


def _all_of(top: str) -> list[str]:
    """Every module of a top-level package, by its files."""
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return []
    folders = [Path(place) for place in spec.submodule_search_locations]
    files = [(folder, file) for folder in folders for file in sorted(folder.rglob("*.py"))]
    return [".".join([top, *file.relative_to(folder).with_suffix("").parts]) for folder, file in files]
