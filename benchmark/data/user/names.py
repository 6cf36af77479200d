"""One class, one spelling: names that differ in case, outer spaces or the encoding of accents mean the same."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable

GROUPS = 3  # classes whose spellings a remark shows


def one_spelling(values: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """{spelling: the one of its class that is most frequent}, and a remark where spellings were joined.

    Single letters keep their case: A and a may be two classes. Numbers are the same as texts of whole numbers (0 and
    0.0) where all labels are numbers.
    """
    counts = Counter(values)
    whole = {v: number for v in counts if (number := _whole(v)) is not None}
    numbers = len(whole) == len(counts)
    groups: dict[str, list[str]] = {}
    for value in sorted(counts, key=lambda v: (-counts[v], v)):
        groups.setdefault(whole[value] if numbers else plain(value), []).append(value)
    joined = [spellings for spellings in groups.values() if len(spellings) > 1]
    found = {value: value for value in counts}
    for spellings in joined:
        shown = whole[spellings[0]] if numbers else _tidy(spellings[0])
        found |= dict.fromkeys(spellings, shown)
    return found, [_remark(joined)] if joined else []


def plain(value: str) -> str:
    """What two spellings of a class have in common."""
    tidy = _tidy(value)
    return tidy if len(tidy) == 1 else tidy.casefold()


def _tidy(value: str) -> str:
    return unicodedata.normalize("NFC", value).strip()


def _whole(value: str) -> str | None:
    """A text of a whole number in its shortest form; None for another."""
    try:
        number = float(value)
    except ValueError:
        return None
    text = value.strip()
    return text if text.lstrip("-").isdigit() else f"{number:.0f}" if number.is_integer() else None


def _remark(joined: list[list[str]]) -> str:
    each = "; ".join(" and ".join(map(_quoted(spellings), sorted(spellings))) for spellings in joined[:GROUPS])
    more = f"; and {len(joined) - GROUPS} more" if len(joined) > GROUPS else ""
    return f"Taken for one class, though spelled differently: {each}{more}."


def _quoted(spellings: list[str]) -> Callable[[str], str]:
    """repr, or ascii for spellings that would look the same."""
    alike = len({unicodedata.normalize("NFC", s) for s in spellings}) < len(spellings)
    return ascii if alike else repr
