"""Words of others, made fit to print."""

from __future__ import annotations

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
