"""docs/api.md from the docstrings of the Python interface.

python scripts/results/api_docs.py [check=true]   # check: exit code 1 where the page is not up to date
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from page_files import command  # noqa: E402

from benchmark import api  # noqa: E402
from benchmark.rank import rank  # noqa: E402
from benchmark.reporting.report import Report  # noqa: E402
from benchmark.results import Results  # noqa: E402
from benchmark.stats.evidence import Evidence  # noqa: E402

PAGE = ROOT / "docs" / "api.md"
FUNCTIONS: tuple[Callable[..., Any], ...] = (api.load_results, api.correlate, api.evaluate, api.run, rank)
CLASSES: tuple[Callable[..., Any], ...] = (Results, Results.features, Report, Evidence)
HEAD = """# From Python

Made by `python scripts/results/api_docs.py` from the docstrings; change those, not this page. Every example on it is
run by a test.

```python
from benchmark import correlate, evaluate, load_results, rank, run
```

Functions of DataFrames, arrays and paths; Hydra stays out of sight. Nothing is printed, and nothing is written unless
`out` names a folder (`run` and `rank` keep their cells in `.cache`). What is wrong with what they are given is a
`benchmark.errors.ConfigError` with a sentence that says what to change.

"""
ALONE = """## Estimators alone

`methods` is a package of its own: NumPy, SciPy and scikit-learn, and nothing of the benchmark. Each estimator is a
function of arrays, and its `Score` is a float with a status ([all of them](estimators.md),
[what a method is given](method.md)).

```python
>>> import numpy as np
>>> import methods
>>> rng = np.random.default_rng(0)
>>> labels = np.repeat(np.arange(5), 20)
>>> features = rng.normal(size=(100, 16)) + np.eye(5, 16)[labels] * 3
>>> score = methods.parc(features, labels)
>>> round(float(score), 1), score.status
(40.6, 'ok')
>>> shared = methods.Features(features)   # factorised once, whatever is computed of it
>>> [round(float(methods.logme(shared, labels)), 3), round(float(methods.knn(shared, labels)), 1)]
[-0.237, 87.0]
>>> float(methods.hscore(features[:10], labels[:10])), methods.hscore(features[:10], labels[:10]).status
(nan, 'insufficient')
```
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *map(section, FUNCTIONS), ALONE, "## What they return\n", *map(section, CLASSES)])


def section(thing: Callable[..., Any]) -> str:
    """A function's or a class's heading, signature and docstring; its examples as code."""
    name = getattr(thing, "__qualname__", "")
    level = "##" if thing in FUNCTIONS else "###"
    text = inspect.getdoc(thing) or ""
    signature = f"\n\n`{name}{_signature(thing)}`" if not inspect.isclass(thing) else ""
    return f"{level} {name}{signature}\n\n{_blocks(text)}"


def _signature(thing: Callable[..., Any]) -> str:
    """The parameters with their types, as they are written."""
    shown, star = list[str](), False
    signature = inspect.signature(thing)
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            shown, star = [*shown, "*"], True
        kind = f": {parameter.annotation}" if parameter.annotation is not parameter.empty else ""
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        shown += [] if name == "self" else [f"{stars}{name}{kind}{default}"]
    return f"({', '.join(shown)}) -> {signature.return_annotation}"


def _blocks(text: str) -> str:
    """The sentence, then the rest as it is written, its examples in blocks of their own."""
    sentence, _, rest = text.partition("\n")
    parts = [sentence]
    for paragraph in re.split(r"\n\s*\n", rest.strip("\n")):
        example = paragraph.lstrip().startswith(">>>")
        if paragraph.strip():
            parts.append(f"```{'python' if example else ''}\n{paragraph}\n```")
    return "\n\n".join(parts) + "\n"


def pages() -> dict[Path, str]:
    return {PAGE: page()}


if __name__ == "__main__":
    sys.exit(command(pages, sys.argv[1:]))
