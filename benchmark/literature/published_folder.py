"""What was found in published tables, written to a folder: a CSV file a finding, and a Markdown page of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from benchmark.files import put, together
from benchmark.literature import published_page
from benchmark.literature.banks import banks, with_scores
from benchmark.literature.comparison import (
    against_list,
    agreements,
    beside_reported,
    list_wins,
    measure,
    of_methods,
    spider_reported,
    tllib_reported,
)
from benchmark.literature.published_tables import Bank
from benchmark.literature.sources import SOURCES, read
from benchmark.tables.columns import save
from benchmark.wording import said


def write(folders: Sequence[Path], out: Path, page: Path | None = None, tell: Callable[[str], None] = print) -> None:
    """yardsticks, methods, scored, list, agreement and reported.csv, and published.md, from folders' tables."""
    tables, warnings = {}, []
    for stem in SOURCES:
        if folder := next((f for f in folders if (f / f"{stem}.csv").is_file()), None):
            tables[stem], warning = read(folder, stem)
            warnings += [warning] if warning else []
    if not tables:
        places = " and ".join(map(str, folders))
        raise ValueError(f"path must be a folder with published tables. Got {places}: none of {', '.join(SOURCES)}.")
    for warning in warnings:
        tell(f"warning: {warning}")
    try:
        _write(tables, warnings, out, page, tell)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError) as error:
        if not warnings:  # the files are those that were checked: the fault is here
            raise
        files = ", ".join(warning.partition(" ")[0] for warning in warnings)
        raise ValueError(
            f"{files} must be as published. Got another content, of which nothing can be made "
            f"({said(error)}). Take it from {SOURCES[files.split('.csv')[0]].origin}."
        ) from error


def _write(
    read_tables: Mapping[str, pd.DataFrame],
    warnings: Sequence[str],
    out: Path,
    page: Path | None,
    tell: Callable[[str], None],
) -> None:
    made = banks(read_tables)
    found = _found(made, read_tables)
    out.mkdir(parents=True, exist_ok=True)
    with together():
        for name, table in found.items():
            save(table, out / f"{name}.csv")
        text = published_page.page(made, found, warnings, list(read_tables))
        put(out / "published.md", text)
        if page is not None:
            page.parent.mkdir(parents=True, exist_ok=True)
            put(page, text)
    tell(f"{len(made)} ground truths, {len(found['yardsticks'])} values in {out}/yardsticks.csv")


def _found(made: Sequence[Bank], read_tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables that are written, by the names of their files."""
    by_name = {bank.name: bank for bank in made}
    scored = [bank for bank in made if bank.methods]
    if "model_spider_scores" in read_tables:
        theirs = read_tables["model_spider_scores"]
        scored += [with_scores(by_name[n], theirs) for n in ("tllib", "sfda_supervised") if n in by_name]
    values = pd.DataFrame(columns=["source", "target", "method", "measure", "value"])
    counted = [(bank.name, len(bank.models), len(bank.targets)) for bank in scored]
    methods = pd.concat(map(of_methods, scored)) if scored else values
    pairs = pd.DataFrame(columns=["first", "second", "target", "models", "measure", "value"])
    against = [against_list(bank) for bank in scored]
    return {
        "yardsticks": pd.concat([values, *map(measure, made)]),
        "methods": methods,
        "scored": pd.DataFrame(counted, columns=["source", "models", "targets"]),
        "agreement": pd.concat([pairs, *agreements(made)]),
        "reported": _reported(by_name, methods, read_tables),
        "list": list_wins(pd.concat(against)) if against else pd.DataFrame(columns=["source", "measure"]),
    }


def _reported(
    by_name: Mapping[str, Bank], methods: pd.DataFrame, read_tables: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """What papers report of their scores, beside what comes out here."""
    beside = []
    if "tllib" in by_name and "tllib_reported" in read_tables:
        theirs = tllib_reported(read_tables["tllib_reported"])
        beside.append(beside_reported(of_methods(by_name["tllib"]), theirs, "tllib"))
    spider = "model_spider_scores × tllib"
    if (methods["source"] == spider).any():
        beside.append(beside_reported(methods[methods["source"] == spider], spider_reported(), spider))
    return pd.concat(beside) if beside else pd.DataFrame(columns=["source", "flagged"])
