"""The labels of a table's cells: one or several, with or without quotes and brackets, and those that are none."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence

from benchmark.data.labels import Cell
from benchmark.data.user.findings import DataError
from benchmark.data.user.names import one_spelling, plain
from benchmark.data.user.one_hot import OneHot, hot_cells
from benchmark.data.user.reading import WHOLE
from benchmark.wording import SHOWN, plural, some

ALWAYS = "|"
"""Stands between labels wherever it is met; the others where the cells speak for it."""
FOUND = (";", ",", " ")
NONE = {"", "nan", "null", "<na>", "n/a", "#n/a"}
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
NAMED = {" ": "a space"}


def is_none(text: str | None) -> bool:
    """Whether a cell says that there is no label: empty, nan, null, N/A …"""
    return text is None or text.strip(f" {ALWAYS}").lower() in NONE or text.strip() == "NA"


def labels_of(
    texts: Sequence[str], beyond: Sequence[Sequence[str]], delimiter: str, separator: str | None, where: str
) -> tuple[list[Cell], list[str]]:
    """One label a cell, or a list of labels a cell, and what is to be said of it.

    beyond     cells beyond the last column, which are further labels where the last column is the labels'
    separator  what stands between labels; None: what the cells speak for; `none`: nothing
    """
    if separator != WHOLE and (hot := _hot(texts, beyond, separator, where)):
        return hot.labels(range(len(texts))), [hot.sentence(where)]
    several, remarks = _several(texts, beyond, delimiter, separator, where)
    if several is None:
        stripped = [t.strip() for t in texts]
        if separator != WHOLE:
            _refuse_measurements(stripped, where)
        spelling, said = one_spelling(stripped)
        return [spelling[t] for t in stripped], remarks + said
    spelling, said = one_spelling(label for labels in several for label in labels)
    return [list(dict.fromkeys(spelling[label] for label in labels)) for labels in several], remarks + said


def _hot(texts: Sequence[str], beyond: Sequence[Sequence[str]], separator: str | None, where: str) -> OneHot | None:
    """The classes of cells that hold a 0 or 1 a class; None of others."""
    if any(beyond):
        return hot_cells([[t, *more] for t, more in zip(texts, beyond, strict=True)], where)
    taken_apart = [[_listed(t) or [] for t in texts]] if separator is None else []
    separators = (ALWAYS, *FOUND) if separator is None else (separator,)
    taken_apart += [[_parts(t, sep) for t in texts] for sep in separators]
    return next((hot for rows in taken_apart if (hot := hot_cells(rows, where))), None)


def _refuse_measurements(texts: Sequence[str], where: str) -> None:
    """DataError where the cells are numbers, some with fractions, most of which occur once: an age, no class."""
    once = sum(n == 1 for n in Counter(texts).values())
    if 2 * once > len(texts) and all(map(NUMBER.fullmatch, texts)) and any("." in t for t in texts):
        raise DataError(
            f"{where}: labels must be classes. Got numbers with fractions, most of them once: {some(texts)}. Name "
            f"another column with label=<column>, write classes in their place, or give separator={WHOLE}."
        )


def _several(
    texts: Sequence[str], beyond: Sequence[Sequence[str]], delimiter: str, separator: str | None, where: str
) -> tuple[list[list[str]] | None, list[str]]:
    if any(beyond):
        return _unquoted(texts, beyond, delimiter, separator, where)
    if separator == WHOLE:
        return None, []
    if separator is not None:
        return [_parts(t, separator) for t in texts], []
    lists = [_listed(t) for t in texts]
    if sum(found is not None for found in lists) > len(texts) / 2:
        several = [[t.strip()] if found is None else found for t, found in zip(texts, lists, strict=True)]
        count = sum(len(labels) > 1 for labels in several)
        return several, [f"{where}: lists such as {texts[0].strip()} are taken as labels ({_images(count)})."]
    if any(ALWAYS in t for t in texts):
        return [_parts(t, ALWAYS) for t in texts], []
    held = {sep: [t for t in texts if sep in t.strip()] for sep in FOUND}
    for sep in FOUND:
        if held[sep] and _speaks(texts, sep):
            said = f"{where}: {NAMED.get(sep, repr(sep))} is taken to stand between several labels"
            keep = f"separator={WHOLE} keeps every cell as one label."
            return [_parts(t, sep) for t in texts], [f"{said} ({_images(len(held[sep]))}). {keep}"]
    doubtful = next((sep for sep in (";", ",") if held[sep]), None)
    if doubtful:
        said = f"{where}: labels with {doubtful!r} in them are whole names, such as {held[doubtful][0].strip()!r}"
        return None, [f'{said}; separator="{doubtful}" takes them apart.']
    return None, []


def _images(count: int) -> str:
    return f"{plural(count, 'image')} with more than one"


def _unquoted(
    texts: Sequence[str], beyond: Sequence[Sequence[str]], delimiter: str, separator: str | None, where: str
) -> tuple[list[list[str]], list[str]]:
    """Rows with more cells than columns: further labels of the last column, if they occur elsewhere too."""
    joined = [delimiter.join([t, *more]) for t, more in zip(texts, beyond, strict=True)]
    longer = [i for i, more in enumerate(beyond) if more]
    if separator != delimiter and (separator is not None or not _speaks(joined, delimiter)):
        raise DataError(
            f"{where} must have as many cells in every row as columns. Got more in {plural(len(longer), 'row')}, such "
            f'as {joined[longer[0]]!r}. Put the label into quotes, or give separator="{delimiter}" if it is several.'
        )
    said = f"{where}: cells beyond the last column are further labels ({_images(len(longer))})."
    return [_parts(t, delimiter) for t in joined], [said]


def _parts(text: str, separator: str) -> list[str]:
    return [part for p in text.split(separator) if (part := p.strip().strip("\"'").strip())]


def _listed(text: str) -> list[str] | None:
    """The labels of a cell that is a list, `['a', 'b']` or `[a, b]`; None for another."""
    text = text.strip()
    if len(text) < 2 or text[0] + text[-1] not in ("[]", "()", "{}"):
        return None
    try:
        found = ast.literal_eval(text)
        return [str(f) for f in (found if isinstance(found, list | tuple | set) else [found])]
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return _parts(text[1:-1], "," if "," in text else " ")


def _speaks(texts: Sequence[str], separator: str) -> bool:
    """Whether most cells with the separator are made of labels that occur alone, or in other company.

    For a space that stands in names, too, more is asked: that some occur alone, or not always as many in a cell.
    """
    cells = {frozenset(plain(p) for p in _parts(t, separator)): t for t in texts}
    joined = [parts for parts in cells if len(parts) > 1]
    alone = {part for parts in cells if len(parts) == 1 for part in parts}
    company = Counter(part for parts in joined for part in parts)
    if separator == " " and not (alone & set(company) or len({len(parts) for parts in joined}) > 1):
        return False
    good = sum(all(p in alone or company[p] > 1 for p in parts) for parts in joined)
    return good > len(joined) / 2


def unlabelled(names: Sequence[str], what: str) -> list[str]:
    """What is said of images without a label."""
    if not names:
        return []
    some_names = f" ({some(names)})" if len(names) <= SHOWN else ""
    return [f"{plural(len(names), what)} without a label {'is' if len(names) == 1 else 'are'} left out{some_names}."]
