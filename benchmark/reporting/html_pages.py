"""HTML from the templates of this package, and the tables in them that a reader sorts.

Templates are named by their path below `benchmark/`, for instance `reporting/templates/report.html`. Everything that is
put into one is escaped, unless it is `markupsafe.Markup`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2


@dataclass(frozen=True)
class Heading:
    """A column's heading, what it says when pointed at, and whether it holds words (to the left, sorted as text)."""

    name: str
    about: str = ""
    words: bool = False


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and what it is sorted by; None comes last. link: where it leads; mark: its class."""

    text: str
    value: float | None = None
    link: str = ""
    mark: str = ""

    @property
    def sorted_by(self) -> str:
        return "" if self.value is None else repr(float(self.value))


@dataclass(frozen=True)
class Table:
    """A table for the macro `sortable`. name: its id, and what a screen reader calls it; rows: (class, cells)."""

    name: str
    heads: Sequence[Heading]
    rows: Sequence[tuple[str, Sequence[Cell]]]


def render(template: str, **values: Any) -> str:
    """The template filled with the values; a value that it names and is not given is an error."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("benchmark", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
