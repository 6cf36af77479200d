"""Pages that scripts make from tables or docstrings: a page is written, or only compared with what is committed.

What a script says of one with `check=true` is its exit code: 1 where a page is not what the script would write today.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmark.files import put

Pages = Mapping[Path, str]
"""The text that belongs into each file."""


def command(pages: Callable[[], Pages], arguments: Sequence[str]) -> int:
    """What a script of pages does with its arguments: none, or check=true. Returns its exit code."""
    if arguments not in ([], ["check=true"]):
        print(f"error: the argument must be check=true, or none. Got {' '.join(arguments)}.")
        return 2
    return renewed(pages(), check=bool(arguments))


def renewed(pages: Pages, check: bool = False) -> int:
    """Write the pages that are not up to date, or with `check` only name them. Returns the exit code."""
    old = [path for path, text in pages.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in () if check else old:
        put(path, pages[path])
    names = ", ".join(path.name for path in old)
    print(f"{names}: {'not up to date' if check else 'written'}" if old else "up to date")
    return int(check and bool(old))
