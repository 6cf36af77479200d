"""Words of others, made fit to print."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmark.errors import ConfigError


def plural(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def verb_for(n: int, one: str, many: str) -> str:
    return one if n == 1 else many


SHOWN = 10  # offending files or rows that an error message names


def some(names: Sequence[object], most: int = SHOWN, between: str = ", ") -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return between.join(map(str, names[:most])) + more


def duration(seconds: float) -> str:
    """`7 s`, `3 min 20 s`, `2 h 05 min`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(budget: str | float, name: str = "budget") -> float:
    """`30m`, `1h30m`, `90s` or a number of seconds; `name` is what the message calls it."""
    text = str(budget).strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        parts = [(text, "s")]
    if not parts or "".join(n + u for n, u in parts) not in (text, text + "s") or not any(float(n) for n, _ in parts):
        raise ConfigError(f"{name} must be a time, for instance 30m, 1h30m or 900s. Got '{budget}'.")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


LONGEST = 500
"""Characters of somebody's message that a table or a line of output holds."""


def one_line(message: object, longest: int = LONGEST) -> str:
    """A message on one line of moderate length, without what would act on a terminal."""
    line = printable(" ".join(str(message).split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def said(error: BaseException, longest: int = 300) -> str:
    """An exception's words as part of a sentence: on one line, without a full stop; its kind where it has none."""
    return one_line(error, longest).rstrip(".") or type(error).__name__


def printable(text: str) -> str:
    """The text with every control character but the line break as an escape sequence, such as \\x1b."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
