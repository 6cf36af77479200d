"""docs/schema.md: what a configuration may say, from the specifications in benchmark/config.

python scripts/results/schema_docs.py [check=true]   # check: exit code 1 where the page is not up to date
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from page_files import command  # noqa: E402
from pydantic.fields import FieldInfo  # noqa: E402

from benchmark.config import experiment, functions, model, recipe  # noqa: E402
from benchmark.config.spec import Spec  # noqa: E402

PAGE = ROOT / "docs" / "schema.md"
HEAD = """# What a configuration may say

Made by `python scripts/results/schema_docs.py` from the specifications in `benchmark/config/`; change those, not this
page. A key that is not here is refused, with the nearest ones. `--cfg` prints what a command line composes to.

"""
WORDS = {
    **{str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"},
    **{NoneType: "null", object: "anything"},
}
SECTIONS: tuple[tuple[str, type[Spec]], ...] = (
    ("An entry of a bank: `conf/bank/*.yaml`, `bank.<name>.`", model.ModelSpec),
    ("An entry of a target: `conf/target/*.yaml`, `target.<name>.`", functions.DataSpec),
    ("An entry of a method: `conf/method/*.yaml`, `method.<name>.`", functions.MethodSpec),
    ("A recipe of fine-tuning: `conf/recipe/*.yaml`, `recipe.`", recipe.RecipeSpec),
    ("An optimiser of a recipe: `recipe.optimisers.<family>.`", recipe.OptimiserSpec),
    ("Changes for small data: entries of `recipe.by_data`", recipe.DataRule),
    ("Pretraining of a source: `bank.<name>.pretrain.`", recipe.PretrainSpec),
    ("An experiment: `conf/experiment/*.yaml` and the command line", experiment.Experiment),
    ("Probe sets: `probe.`", experiment.ProbeSpec),
    ("Ground truth: `truth.`", experiment.TruthSpec),
    ("Places: `paths.`", experiment.PathsSpec),
    ("Workers: `conf/executor/*.yaml`, `executor.`", experiment.ExecutorSpec),
    ("Weights & Biases: `conf/logger/*.yaml`, `logger.`", experiment.LoggerSpec),
    ("The report: `report.`", experiment.ReportSpec),
)


def page() -> str:
    return HEAD + "\n".join("\n".join(section(title, spec)) for title, spec in SECTIONS)


def section(title: str, spec: type[Spec]) -> list[str]:
    about = field_docs(spec)
    rows = [
        f"| `{field.alias or name}` | {kind(field)} | {default(field)} | {about[name]} |"
        for name, field in spec.model_fields.items()
    ]
    return [f"## {title}", "", "| key | value | default | |", "|---|---|---|---|", *rows, ""]


def field_docs(spec: type[Spec]) -> dict[str, str]:
    """{field: the string below it}; ValueError for a field without one."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(spec))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for one, after in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(one, ast.AnnAssign) or not isinstance(one.target, ast.Name):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[one.target.id] = " ".join(str(after.value.value).split()).replace("|", r"\|")
    if missing := [name for name in spec.model_fields if name not in found]:
        raise ValueError(f"fields of {spec.__name__} must have a string below them. Got none for {', '.join(missing)}.")
    return found


def kind(field: FieldInfo) -> str:
    """A field's type and bounds in words."""
    return _in_words(field.annotation) + _bounds(field.metadata)


def _in_words(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _in_words(inner[0]) + _bounds([m for given in inner[1:] for m in getattr(given, "metadata", [])])
    if origin is Literal:
        return " or ".join(f"`{word}`" for word in inner)
    if origin in (Union, UnionType):
        return " or ".join(_in_words(one) for one in inner)
    if origin is dict:
        return f"{{name: {_in_words(inner[1])}}}"
    if origin is tuple:
        several = inner[-1] is Ellipsis
        return f"list of {_in_words(inner[0])}" if several else f"[{', '.join(map(_in_words, inner))}]"
    return WORDS.get(annotation, "see there")


def _bounds(metadata: Iterable[object]) -> str:
    signs = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
    limits = [f"{sign} {getattr(one, name):g}" for one in metadata for name, sign in signs if hasattr(one, name)]
    return f" {', '.join(limits)}" if limits else ""


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Spec) or (isinstance(value, dict) and value):
        return "see there"
    if isinstance(value, Path):
        return f"`{value}`" if not value.is_absolute() else "what comes with the project"
    return f"`{json.dumps(value)}`".replace('"', "")


def pages() -> dict[Path, str]:
    return {PAGE: page()}


if __name__ == "__main__":
    sys.exit(command(pages, sys.argv[1:]))
