"""What is said where a configuration cannot be what was meant: one kind of error, and the nearest known names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MANY = 80
"""Options that are all named in an error; of more, the nearest are."""


class ConfigError(Exception):
    """A configuration that cannot be run; the message says what to change."""


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """A closing sentence that names the nearest option; where none is near all of them, or three of very many."""
    options = sorted({str(o) for o in options})
    near = difflib.get_close_matches(str(word), options, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{near[0]}'?"
    if len(options) > MANY:
        near = difflib.get_close_matches(str(word), options, n=3, cutoff=0.0)
        return f"The nearest of {len(options)} options: {', '.join(near)}."
    return f"Options: {', '.join(options)}." if options else ""
