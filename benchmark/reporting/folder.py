"""A report written to a folder, and read from one: CSV, Parquet, Markdown, LaTeX, pictures.

Files of values are the same bytes for the same tables; times are in files of their own (timings.csv, times.*)."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from benchmark.files import put, record, together
from benchmark.reporting import layout
from benchmark.reporting.focal import focal_grids, focal_legend, focal_notes
from benchmark.reporting.grids import latex_grids, legend, summary_grid, target_grid, times_grid, times_legend
from benchmark.reporting.latex import TEXT_WIDTH, latex, width
from benchmark.reporting.pictures import ranks, scatter
from benchmark.reporting.report import Report, build, supported, times_of
from benchmark.stats import alignment, measures
from benchmark.stats import evidence as supporting
from benchmark.stats.correlations import evaluation_modes
from benchmark.tables import reading
from benchmark.tables.columns import ATTRIBUTES, KEYS, MODEL, TARGET, save
from benchmark.tables.committed import kept_times
from benchmark.tables.gather import without_vacuous


def write(
    tables: Any,
    out: Path,
    title: str = "run",
    exclude_models: Iterable[str] = (),
    inputs: Mapping[str, Sequence[str]] | None = None,
    provenance: Mapping[str, Any] | None = None,
    quiet: bool = False,
    html: bool = False,
    latex_columns: Sequence[str] = (),
    focal: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> int:
    """Write the report on tables (`tables.gather`) into a folder and print it; returns 0, or 1 without a result.

    All files or none: where there is no room, those of an earlier report stay as they were.

    scores.csv, truth.csv      the paper's columns, as the official evaluator reads them; *.parquet everything
    correlations.csv           every measure; table.{csv,md,tex} the summary; targets.csv; scatter-<method>.png;
                               in table.tex the most important columns that fit an article, or `latex_columns`
    times.{csv,md,tex}, timings.csv, provenance.json   what differs from run to run
    intervals.csv, tests.csv, regret.csv, robustness.csv, stability.csv, cd.png   see `benchmark.stats.evidence`
    report.html with `html`: everything on one page that needs no network (`benchmark.reporting.page`)
    With `focal`, methods in question, a table of each against all others comes first everywhere, and on the terminal
    alone; `notes` say where the others' scores are from.
    With `exclude_models` a second table without those models stands beside it: table-without.{csv,md,tex}.
    """
    out.mkdir(parents=True, exist_ok=True)
    with together():
        about = {"title": title, "exclude_models": list(exclude_models), "inputs": _listed(inputs)}
        about |= {"focal": list(focal), "notes": list(notes)} if focal else {}
        shown = _written(tables, out, about, provenance, html, latex_columns)
    if not shown:
        which = "score" if tables.scores.empty else "accuracy"
        print(f"error: no {which} came out, so there is nothing to correlate. See {out}/status.csv.", file=sys.stderr)
        return 1
    if not quiet:
        show(*shown, where=f"{out}/table.md" + (f" and {out}/times.md" if shown[0].times is not None else ""))
    return 0


def _written(
    tables: Any,
    out: Path,
    about: Mapping[str, Any],
    provenance: Mapping[str, Any] | None,
    html: bool,
    latex_columns: Sequence[str],
) -> list[Report]:
    """Put all files of `write`; returns the reports that they hold, none where there is nothing to correlate.

    about  what `write` was given and `read` finds again: title, exclude_models, inputs, focal and notes
    """
    title, inputs, exclude_models = about["title"], about["inputs"], about["exclude_models"]
    focal, notes = about.get("focal", ()), about.get("notes", ())
    _records(tables, out, provenance, about)
    if tables.scores.empty or tables.truth.empty:
        return []
    report = build(tables.scores, tables.truth, tables.seeds, tables.status, tables.timings, inputs, title=title)
    report = replace(report, times=times_of(tables), notes=(*notes, *report.notes))
    report = supported(report, out, focal=focal)
    write_tables(report, out, "table", latex_columns)
    save(report.correlations.table, out / "correlations.csv")
    save(report.correlations.coverage, out / "coverage.csv")
    save(evaluation_modes(report.correlations.aligned.rows, tables.truth), out / "modes.csv")
    save(report.targets, out / "targets.csv")
    if report.times is not None:
        save(report.times, out / "times.csv")
        lines = "".join(f"- {line}\n" for line in times_legend(report))
        put(out / "times.md", f"{layout.markdown(times_grid(report))}\n{lines}")
        named = f"{title}: milliseconds per score. Bold: the best estimator. {' '.join(times_legend(report))}"
        put(out / "times.tex", latex(replace(times_grid(report), caption=named, label=f"{title} times")))
    _pictures(report, out)
    if html:
        from benchmark.reporting import page

        page.write(report, out / "report.html", provenance)
    shown = [report]
    gone = [m for m in exclude_models if m in set(tables.truth["Model"])]
    if gone:
        rest = {
            name: _without(getattr(tables, name), gone) for name in ("scores", "truth", "seeds", "status", "timings")
        }
        name = f"{title}, without {', '.join(gone)}"
        shown.append(build(**rest, inputs=inputs, title=name))
        write_tables(shown[1], out, "table-without")
    return shown


def show(report: Report, *others: Report, console: Any = None, where: str = "") -> None:
    """Print a report, and of further ones the summary alone, to the width of the terminal.

    where  which file holds the columns that have no room
    """
    from rich.text import Text

    console = console or layout.printer()
    if report.focal:
        for grid in focal_grids(report):
            layout.show(grid, console, where)
    else:
        layout.show(summary_grid(report, times=True), console, where)
        layout.show(target_grid(report), console)
        for other in others:
            layout.show(summary_grid(other), console, where)
    said = focal_notes(report) if report.focal else [*legend(report), *times_legend(report), *report.notes]
    for note in said:
        console.print(Text(note, "dim"))


ARGUMENTS = ("title", "exclude_models", "inputs")
AGAIN = "Run the experiment again: it writes all of the report anew."


def read(folder: Path) -> tuple[Any, dict[str, Any]]:
    """What `write` recorded in a folder: the tables, and its further arguments.

    Raises ValueError or ConfigError for a file that is missing or damaged.
    """
    about = folder / "report.json"
    if not about.is_file():
        raise ValueError(f"path must be a folder that holds a report. Got {folder}: no report.json there.")
    tables = {n: reading.table(folder / f"{n}.parquet", rows=False) for n in ("scores", "truth", "seeds", "status")}
    for name, columns in (("scores", [TARGET]), ("truth", [TARGET, "Oracle"]), ("seeds", [TARGET, "Oracle"])):
        if len(tables[name]) and (lacking := [c for c in columns if c not in tables[name]]):
            raise ValueError(f"{folder / name}.parquet must have the column {lacking[0]}. Got none. {AGAIN}")
    timings = folder / "timings.csv"
    tables["timings"] = (
        reading.table(timings, rows=False) if timings.is_file() and timings.stat().st_size > 1 else pd.DataFrame()
    )
    tables["times"] = kept_times(folder / "times.csv")
    kept = record(about, *ARGUMENTS, remedy=AGAIN)
    arguments = {name: kept[name] for name in (*ARGUMENTS, *("focal", "notes")) if name in kept}
    if (folder / "provenance.json").is_file():
        arguments["provenance"] = record(folder / "provenance.json", remedy=AGAIN)
    return SimpleNamespace(**tables), arguments


def _listed(inputs: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]]:
    return {name: list(arrays) for name, arrays in (inputs or {}).items()}


def _records(tables: Any, out: Path, provenance: Mapping[str, Any] | None, about: Mapping[str, Any]) -> None:
    """The tables themselves, and what else `read` needs to make the report again."""
    for name in ("scores", "truth", "seeds", "status"):
        _parquet(getattr(tables, name), out / f"{name}.parquet")
    blank = without_vacuous(tables.scores, tables.status) if not tables.scores.empty else tables.scores
    attributes = [c for c in ATTRIBUTES if c not in ("Run", *MODEL, TARGET)]
    plain = _unambiguous(blank).drop(columns=attributes, errors="ignore")
    save(
        plain[[c for c in ("Run", *MODEL, TARGET) if c in plain] + [c for c in plain if c not in ("Run", *KEYS)]],
        out / "scores.csv",
    )
    truth = _unambiguous(tables.truth).drop(columns="Model", errors="ignore")
    first = [c for c in (*MODEL, TARGET, "Oracle") if c in truth]
    save(truth[[*first, *(c for c in truth if c not in first)]], out / "truth.csv")
    save(tables.status, out / "status.csv")
    if len(tables.timings):
        save(tables.timings, out / "timings.csv")
    put(out / "report.json", json.dumps(about, indent=1, sort_keys=True) + "\n")
    if provenance is not None:
        put(out / "provenance.json", json.dumps(provenance, indent=1, sort_keys=True, default=str) + "\n")


def _unambiguous(table: pd.DataFrame) -> pd.DataFrame:
    """The paper names a model by Architecture × Source Dataset: where two share that, the model's own name steps in."""
    if "Model" not in table or table.empty:
        return table
    shared = table.groupby(MODEL)["Model"].transform("nunique") > 1
    return table.assign(Architecture=table["Architecture"].where(~shared, table["Model"]))


def _parquet(table: pd.DataFrame, path: Path) -> None:
    import io

    held = io.BytesIO()
    table.to_parquet(held, index=False)
    put(path, held.getvalue())


def write_tables(report: Report, out: Path, name: str = "table", columns: Sequence[str] = ()) -> None:
    """The summary as CSV; with it the methods in question and the targets as Markdown and LaTeX."""
    save(report.summary, out / f"{name}.csv")
    first = focal_grids(report)
    grids = [*first, summary_grid(report), target_grid(report)]
    tabulars = [*first, *latex_grids(report, columns)]
    if columns and (wide := width(tabulars[len(first)])) > TEXT_WIDTH:
        print(f"note: {out}/{name}.tex is about {wide:.0f} pt wide; an article has {TEXT_WIDTH:.0f}.", file=sys.stderr)
    notes = "".join(f"- {note}\n" for note in [*focal_legend(report), *legend(report), *report.notes])
    put(out / f"{name}.md", "\n".join(layout.markdown(grid) for grid in grids) + "\n" + notes)
    put(out / f"{name}.tex", "\n".join(latex(g, whole=bool(columns) and g not in first) for g in tabulars))


def _pictures(report: Report, out: Path) -> None:
    aligned = report.correlations.aligned
    _rank_picture(report, out / "cd.png")
    means = measures.nanmean(aligned.scores["none"], 1)
    groups = alignment.of_models(aligned, "Architecture")
    for row in report.summary.itertuples():
        k = aligned.methods.index(row.method)
        if row.yardstick and row.method != "static_list":
            continue
        if report.focal and row.method not in (*report.focal, "static_list"):
            continue  # the others' pictures are where their scores are from
        captions = [
            "Pearson undefined" if not np.isfinite(r) else f"Pearson ×100 = {r:.0f}"
            for r in (report.by_target.at[row.method, ("mean", target)] for target in aligned.targets)
        ]
        safe = re.sub(r"[^\w.+-]+", "_", row.method)
        title = f"{row.method}: score against accuracy after fine-tuning"
        shown = scatter.Shown(title, aligned.targets, means[k], aligned.truth, groups, captions)
        scatter.draw(out / f"scatter-{safe}.png", shown)


def _rank_picture(report: Report, path: Path) -> None:
    """Mean ranks by Pearson of the methods that are defined on every target, the static list among them."""
    shown = report.summary[~report.summary["yardstick"] | (report.summary["method"] == supporting.REFERENCE)]
    values = report.by_target["mean"].loc[shown["method"], list(report.correlations.aligned.targets)].to_numpy(float)
    full = np.isfinite(values).all(1)
    if full.sum() >= 3 and values.shape[1] >= 2:
        ranks.draw(path, shown.loc[full, "method"].tolist(), values[full], "Pearson")


def _without(table: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    return table[~table["Model"].isin(models)] if "Model" in table else table
