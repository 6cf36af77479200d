"""Tables in, report out: terminal, CSV, Markdown, LaTeX and pictures.

Reading order of a table: methods by their mean Pearson correlation, then the yardsticks, which never look at the
target's images. Files of values are the same bytes for the same tables; times are in files of their own
(timings.csv, times.*). Scores with a status other than ok are left out of the correlations and counted.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from benchmark import bootstrap, correlate, layout, ranks, reading, scatter, stats
from benchmark import evidence as supporting
from benchmark.correlate import MODEL, TARGET, Correlations, put, save
from benchmark.evidence import Evidence
from benchmark.files import record, together
from benchmark.grids import latex_grids, legend, summary_grid, target_grid, times_grid, times_legend
from benchmark.latex import TEXT_WIDTH, latex, width
from benchmark.tables import KEYS, index_of, without_vacuous

YARDSTICKS = (correlate.RANDOM, "layers", "parameters", "heuristic", "source_accuracy", "source_size", "static_list")
INPUTS = {  # how a method's arrays are called in the paper's table
    "features": "f(x)",
    "labels": "y",
    "source_probs": "p(z∣x)",
    "source_logits": "logits",
    "reference_features": "f′(x)",
    "model": "metadata",
}


@dataclass(frozen=True)
class Report:
    """What a report says, before it is laid out.

    summary   a row per method: method, input, yardstick, every measure's mean and sd, scored of cells
    by_target  Pearson ×100 per method (rows) and (`mean` or `sd` over draws, target)
    times     a row per method: milliseconds mean and sd, preparation in seconds per target; None without timings.
              milliseconds: of the method alone; shared_milliseconds: what methods share is counted once, for the
              first that asks
    targets   a row per target: models, best, median, sd over models, sd over seeds (points), noise ceiling and
              split-half reliability of the truth (×100; see `bootstrap.noise_ceiling`)
    shares    of the variance of standardised accuracy: model, specific (model × target), noise
    problems  counts of scores that are not ok, by method, status and reason
    evidence  intervals, tests and robustness (`supported`); None where they were not asked for
    """

    title: str
    summary: pd.DataFrame
    by_target: pd.DataFrame
    correlations: Correlations
    times: pd.DataFrame | None
    targets: pd.DataFrame
    shares: dict[str, float]
    problems: pd.DataFrame
    notes: tuple[str, ...]
    evidence: Evidence | None = None


def build(
    scores: pd.DataFrame,
    truth: pd.DataFrame,
    seeds: pd.DataFrame | None = None,
    status: pd.DataFrame | None = None,
    timings: pd.DataFrame | None = None,
    inputs: Mapping[str, Sequence[str]] | None = None,
    exclude_sources: Iterable[str] = (),
    title: str = "Correlation of scores with accuracy after fine-tuning",
) -> Report:
    """Everything that a report says about a score table and an accuracy table, yardsticks added.

    seeds    truth seed by seed (a Seed column), for noise; status, timings  as `benchmark.tables` makes them
    inputs   method -> names of the arrays that it takes
    """
    exclude = tuple(exclude_sources)
    scores = with_yardsticks(without_vacuous(scores, status), truth, exclude)
    found = correlate.correlate(scores, truth, exclude)
    each_seed = seeds if seeds is not None and "Seed" in seeds else truth
    cube = _seed_cube(each_seed, found, exclude)
    shares = stats.variance_shares(cube)
    problems = _problems(status)
    targets = _targets(cube, found)
    notes = [
        *found.notes,
        *_probe_notes(scores),
        *_problem_notes(problems),
        *_variance_notes(shares),
        *_ceiling_notes(targets, cube),
        *_random_notes(found),
    ]
    return Report(
        title=title,
        summary=_summary(found, inputs or {}),
        by_target=_by_target(found),
        correlations=found,
        times=_times(timings),
        targets=targets,
        shares=shares,
        problems=problems,
        notes=tuple(notes),
    )


def supported(report: Report, out: Path | None = None, number: int = bootstrap.RESAMPLES) -> Report:
    """The report with intervals, tests, selection and robustness, kept in `out` for the next time."""
    found = report.correlations.aligned
    yardsticks = report.summary.loc[report.summary["yardstick"], "method"].tolist()
    evidence = supporting.collect(found, sorted(yardsticks), out, number)
    summary = report.summary.copy()
    limits = [evidence.interval(method) for method in summary["method"]]
    at = summary.columns.get_loc("pearson_sd") + 1
    summary.insert(at, "pearson_low", [low for low, _ in limits])
    summary.insert(at + 1, "pearson_high", [high for _, high in limits])
    means = evidence.intervals[(evidence.intervals["target"] == "mean") & (evidence.intervals["over"] == "all")]
    wide = means.pivot(index="method", columns="measure", values="estimate").reindex(summary["method"])
    at = summary.columns.get_loc("scored")
    for i, measure in enumerate(("partial", *supporting.SELECTION)):
        summary.insert(at + i, measure, wide[measure].to_numpy())
    notes = (*report.notes, *evidence.sentences)
    return replace(report, summary=summary, evidence=evidence, notes=notes)


def with_yardsticks(scores: pd.DataFrame, truth: pd.DataFrame, exclude_sources: Iterable[str] = ()) -> pd.DataFrame:
    """The score table with the yardsticks it lacks, as far as the tables allow; `random` always.

    A yardstick without a single value is left out: on one target there is no static list.
    """
    by = correlate.model_columns(scores, truth)
    facts = truth.copy()
    for name in ("Layers", "Parameters"):
        if name not in facts and name in scores:
            known = scores.dropna(subset=name).drop_duplicates(by).set_index(by)[name]
            facts[name] = known.reindex(index_of(facts, by)).to_numpy()
    found = correlate.yardsticks(facts, exclude_sources)
    lacking = [name for name in YARDSTICKS if name in found and name not in scores and found[name].notna().any()]
    scores = scores.merge(found[[*by, TARGET, *lacking]], how="left", on=[*by, TARGET])
    return scores if correlate.RANDOM in scores else scores.assign(**{correlate.RANDOM: 0.0})


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
) -> int:
    """Write the report on `benchmark.tables.Tables` into a folder and print it; returns 0, or 1 without a result.

    All files or none: where there is no room, those of an earlier report stay as they were.

    scores.csv, truth.csv      the paper's columns, as the official evaluator reads them; *.parquet everything
    correlations.csv           every measure; table.{csv,md,tex} the summary; targets.csv; scatter-<method>.png;
                               in table.tex the most important columns that fit an article, or `latex_columns`
    times.{csv,md,tex}, timings.csv, provenance.json   what differs from run to run
    intervals.csv, tests.csv, regret.csv, robustness.csv, stability.csv, cd.png   see `benchmark.evidence`
    report.html with `html`: everything on one page that needs no network (`benchmark.page`)
    With `exclude_models` a second table without those models stands beside it: table-without.{csv,md,tex}.
    """
    out.mkdir(parents=True, exist_ok=True)
    with together():
        shown = _written(tables, out, title, tuple(exclude_models), inputs, provenance, html, latex_columns)
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
    title: str,
    exclude_models: Sequence[str],
    inputs: Mapping[str, Sequence[str]] | None,
    provenance: Mapping[str, Any] | None,
    html: bool,
    latex_columns: Sequence[str],
) -> list[Report]:
    """Put all files of `write`; returns the reports that they hold, none where there is nothing to correlate."""
    _records(tables, out, provenance, inputs, exclude_models, title)
    if tables.scores.empty or tables.truth.empty:
        return []
    report = build(tables.scores, tables.truth, tables.seeds, tables.status, tables.timings, inputs, title=title)
    report = supported(replace(report, times=times_of(tables)), out)
    _write_tables(report, out, "table", latex_columns)
    save(report.correlations.table, out / "correlations.csv")
    save(report.correlations.coverage, out / "coverage.csv")
    save(correlate.evaluation_modes(report.correlations.aligned.rows, tables.truth), out / "modes.csv")
    save(report.targets, out / "targets.csv")
    if report.times is not None:
        save(report.times, out / "times.csv")
        lines = "".join(f"- {line}\n" for line in times_legend(report))
        put(out / "times.md", f"{layout.markdown(times_grid(report))}\n{lines}")
        named = f"{title}: milliseconds per score. Bold: the best estimator. {' '.join(times_legend(report))}"
        put(out / "times.tex", latex(replace(times_grid(report), caption=named, label=f"{title} times")))
    _pictures(report, out)
    if html:
        from benchmark import page

        page.write(report, out / "report.html", provenance)
    shown = [report]
    gone = [m for m in exclude_models if m in set(tables.truth["Model"])]
    if gone:
        rest = {
            name: _without(getattr(tables, name), gone) for name in ("scores", "truth", "seeds", "status", "timings")
        }
        name = f"{title}, without {', '.join(gone)}"
        shown.append(build(**rest, inputs=inputs, title=name))
        _write_tables(shown[1], out, "table-without")
    return shown


def show(report: Report, *others: Report, console: Any = None, where: str = "") -> None:
    """Print a report, and of further ones the summary alone, to the width of the terminal.

    where  which file holds the columns that have no room
    """
    from rich.text import Text

    console = console or layout.printer()
    layout.show(summary_grid(report, times=True), console, where)
    layout.show(target_grid(report), console)
    for other in others:
        layout.show(summary_grid(other), console, where)
    for note in [*legend(report), *times_legend(report), *report.notes]:
        console.print(Text(note, "dim"))


def times_of(tables: Any) -> pd.DataFrame | None:
    """`Report.times` of `benchmark.tables.Tables`, or as `read` found them where single timings are not kept."""
    times = _times(tables.timings)
    return getattr(tables, "times", None) if times is None else times


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
    tables["times"] = _kept_times(folder / "times.csv")
    kept = record(about, *ARGUMENTS, remedy=AGAIN)
    arguments = {name: kept[name] for name in ARGUMENTS}
    if (folder / "provenance.json").is_file():
        arguments["provenance"] = record(folder / "provenance.json", remedy=AGAIN)
    return SimpleNamespace(**tables), arguments


def _kept_times(path: Path) -> pd.DataFrame | None:
    """times.csv, which stays where timings.csv is not kept; its milliseconds were once what is shared_milliseconds."""
    if not path.is_file():
        return None
    table = reading.table(path, rows=False)
    new = {"milliseconds": "shared_milliseconds", "milliseconds_sd": "shared_milliseconds_sd"}
    return table if "shared_milliseconds" in table else table.rename(columns=new)


def _summary(found: Correlations, inputs: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    wide = found.table.pivot(index="method", columns=["target", "measure", "capacity"], values=["mean", "sd"])
    counts = found.coverage.assign(cells=found.coverage["models"] * found.coverage["draws"]).groupby("method")
    counts = counts[["cells", "missing", "undefined"]].sum()
    rows = pd.DataFrame({"method": found.aligned.methods}).set_index("method")
    rows["input"] = [_input(inputs.get(name)) for name in rows.index]
    rows["yardstick"] = [name.split(" @ ")[0] in YARDSTICKS for name in rows.index]
    for measure in correlate.MEASURES:
        rows[measure] = wide["mean", "mean", measure, "none"]
        rows[f"{measure}_sd"] = wide["sd", "mean", measure, "none"]
    for capacity in [c for c in ("pooled", "per_target") if c in found.aligned.scores]:
        rows[capacity] = wide["mean", "mean", "pearson", capacity]
        rows[f"{capacity}_sd"] = wide["sd", "mean", "pearson", capacity]
    rows["scored"], rows["cells"] = counts["cells"] - counts["missing"], counts["cells"]
    rows["undefined"] = counts["undefined"]
    order = rows.reset_index().sort_values(
        ["yardstick", "pearson", "method"], ascending=[True, False, True], na_position="last", kind="stable"
    )
    return order.reset_index(drop=True)


def _by_target(found: Correlations) -> pd.DataFrame:
    plain = found.table.query("measure == 'pearson' and capacity == 'none'")
    plain = plain[plain["target"].isin(found.aligned.targets)]
    return plain.pivot(index="method", columns="target", values=["mean", "sd"])


def _times(timings: pd.DataFrame | None) -> pd.DataFrame | None:
    named = {"milliseconds": "Milliseconds Alone", "shared_milliseconds": "Milliseconds"}
    given = [] if timings is None else [(n, c) for n, c in named.items() if c in timings and timings[c].notna().any()]
    if not given:
        return None
    table = pd.DataFrame()
    for name, column in given:
        spent = timings.dropna(subset=column).groupby("Method")[column]
        table = table.join(pd.DataFrame({name: spent.mean(), f"{name}_sd": spent.std(ddof=0)}), how="outer")
    ahead = timings[timings["Stage"] == "preparation"]
    if len(ahead):
        each = ahead.groupby(["Method", TARGET])["Seconds"].sum()
        table["preparation_seconds"] = each.groupby("Method").mean()
    return table.rename_axis("method").reset_index()


def _seed_cube(truth: pd.DataFrame, found: Correlations, exclude: Sequence[str]) -> np.ndarray:
    """(s, t, m) accuracies by seed of the cells that the correlations are over."""
    aligned = found.aligned
    by = correlate.model_columns(truth, truth)
    if "Seed" not in truth:
        return aligned.truth[None]
    if by == ["Model"] and "Model" not in aligned.rows:
        by = list(MODEL)
    model = pd.Index(aligned.models).get_indexer(correlate.model_names(truth, by))
    target = pd.Index(aligned.targets).get_indexer(truth[TARGET])
    seed, seeds = pd.factorize(truth["Seed"], sort=True)
    keep = (model >= 0) & (target >= 0) & (truth["Oracle"] > 0).to_numpy()
    cube = np.full((len(seeds), *aligned.truth.shape), np.nan)
    cube[seed[keep], target[keep], model[keep]] = truth["Oracle"].to_numpy(float)[keep]
    return np.where(np.isfinite(aligned.truth), cube, np.nan)


def _targets(cube: np.ndarray, found: Correlations) -> pd.DataFrame:
    mean = stats.nanmean(cube, 0)
    count = np.isfinite(cube).sum(0)
    squares = np.where(np.isfinite(cube), (cube - mean) ** 2, 0).sum(0)
    freedom = np.where(count > 1, count - 1, 0).sum(-1)
    ceiling, halves = bootstrap.noise_ceiling(cube)
    noise = np.divide(squares.sum(-1), freedom, out=np.full(len(mean), np.nan), where=freedom > 0)
    return pd.DataFrame(
        {
            "target": found.aligned.targets,
            "models": np.isfinite(mean).sum(-1),
            "best": np.nanmax(mean, -1),
            "median": np.nanmedian(mean, -1),
            "sd_models": np.sqrt(stats.variance(mean)),
            "sd_seeds": np.sqrt(noise),
            "ceiling": ceiling,
            "split_half": halves,
        }
    )


def _problems(status: pd.DataFrame | None) -> pd.DataFrame:
    columns = ["method", "status", "reason", "count"]
    if status is None or status.empty:
        return pd.DataFrame(columns=columns)
    named = status.assign(
        method=status["Method"].fillna(status["Stage"]) if "Method" in status else status["Stage"],
        reason=[re.sub(r"\s+", " ", str(r)) for r in status["Reason"]],
    )
    counts = named.groupby(["method", "Status", "reason"]).size().rename("count").reset_index()
    counts.columns = columns
    return counts.sort_values(["method", "status", "count", "reason"], ascending=[True, True, False, True])


def _problem_notes(problems: pd.DataFrame) -> list[str]:
    notes = []
    for (method, status), rows in problems.groupby(["method", "status"], sort=True):
        reasons = "; ".join(f"{r.reason[:120]}" for r in rows.head(2).itertuples())
        more = f"; and {len(rows) - 2} further reasons" if len(rows) > 2 else ""
        notes.append(f"{method}: {rows['count'].sum()} × {str(status).replace('_', ' ')} ({reasons}{more}).")
    return notes


def _probe_notes(scores: pd.DataFrame) -> list[str]:
    """How many images a probe set holds: fewer than asked for where the training split is small."""
    if "Images" not in scores:
        return []
    images = scores.groupby(TARGET, sort=False)["Images"].max()
    each = ", ".join(f"{target} {count:.0f}" for target, count in images.items())
    return [f"Images per probe set (half of the training split where it has fewer than 1,000): {each}."]


def _variance_notes(shares: Mapping[str, float]) -> list[str]:
    if not np.isfinite(shares["model"]):
        return []
    parts = f"model {100 * shares['model']:.0f} %"
    if np.isfinite(shares["noise"]):
        parts += f", model × target {100 * shares['specific']:.0f} %, seed {100 * shares['noise']:.0f} %"
    else:
        parts += f", model × target and seed {100 * shares['specific']:.0f} % (one seed: not to be told apart)"
    return [f"Variance of standardised accuracy: {parts}."]


def _ceiling_notes(targets: pd.DataFrame, cube: np.ndarray) -> list[str]:
    if not targets["ceiling"].notna().any():
        return ["Noise ceiling: unknown; the truth has one seed per cell."]
    known = int(targets["ceiling"].notna().sum())
    where = "" if known == len(targets) else f" on {known} of {len(targets)} targets"
    return [
        f"Noise ceiling: a perfect predictor would reach a mean Pearson of {targets['ceiling'].mean():.1f} "
        f"({len(cube)} fine-tuning seeds{where}); "
        f"split-half reliability of the truth {targets['split_half'].mean():.1f}."
    ]


def _random_notes(found: Correlations) -> list[str]:
    sd = stats.sd_of_random_orders(found.aligned.truth)
    if not np.isfinite(sd):
        return []
    return [f"A single random order of the models has a Mean PC within ±{1.96 * sd:.1f} in 95 % of cases."]


def _records(
    tables: Any,
    out: Path,
    provenance: Mapping[str, Any] | None,
    inputs: Mapping[str, Sequence[str]] | None,
    exclude_models: Sequence[str],
    title: str,
) -> None:
    """The tables themselves, and what else `read` needs to make the report again."""
    for name in ("scores", "truth", "seeds", "status"):
        _parquet(getattr(tables, name), out / f"{name}.parquet")
    blank = without_vacuous(tables.scores, tables.status) if not tables.scores.empty else tables.scores
    attributes = [c for c in correlate.ATTRIBUTES if c not in ("Run", *MODEL, TARGET)]
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
    chosen = {name: list(arrays) for name, arrays in (inputs or {}).items()}
    about = {"title": title, "exclude_models": list(exclude_models), "inputs": chosen}
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


def _write_tables(report: Report, out: Path, name: str, columns: Sequence[str] = ()) -> None:
    save(report.summary, out / f"{name}.csv")
    grids = [summary_grid(report), target_grid(report)]
    tabulars = latex_grids(report, columns)
    if columns and (wide := width(tabulars[0])) > TEXT_WIDTH:
        print(f"note: {out}/{name}.tex is about {wide:.0f} pt wide; an article has {TEXT_WIDTH:.0f}.", file=sys.stderr)
    notes = "".join(f"- {note}\n" for note in [*legend(report), *report.notes])
    put(out / f"{name}.md", "\n".join(layout.markdown(grid) for grid in grids) + "\n" + notes)
    put(out / f"{name}.tex", "\n".join(latex(g, whole=bool(columns)) for g in tabulars))


def _pictures(report: Report, out: Path) -> None:
    aligned = report.correlations.aligned
    _rank_picture(report, out / "cd.png")
    means = stats.nanmean(aligned.scores["none"], 1)
    groups = correlate.of_models(aligned, "Architecture")
    for row in report.summary.itertuples():
        k = aligned.methods.index(row.method)
        if row.yardstick and row.method != "static_list":
            continue
        captions = [
            "Pearson undefined" if not np.isfinite(r) else f"Pearson ×100 = {r:.0f}"
            for r in (report.by_target.at[row.method, ("mean", target)] for target in aligned.targets)
        ]
        safe = re.sub(r"[^\w.+-]+", "_", row.method)
        scatter.draw(
            out / f"scatter-{safe}.png",
            f"{row.method}: score against accuracy after fine-tuning",
            aligned.targets,
            means[k],
            aligned.truth,
            groups,
            captions,
        )


def _rank_picture(report: Report, path: Path) -> None:
    """Mean ranks by Pearson of the methods that are defined on every target, the static list among them."""
    shown = report.summary[~report.summary["yardstick"] | (report.summary["method"] == supporting.REFERENCE)]
    values = report.by_target["mean"].loc[shown["method"], list(report.correlations.aligned.targets)].to_numpy(float)
    full = np.isfinite(values).all(1)
    if full.sum() >= 3 and values.shape[1] >= 2:
        ranks.draw(path, shown.loc[full, "method"].tolist(), values[full], "Pearson")


def _input(arrays: Sequence[str] | None) -> str | None:
    named = [INPUTS[a] for a in arrays or () if a in INPUTS]
    return ", ".join(named) or None


def _without(table: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    return table[~table["Model"].isin(models)] if "Model" in table else table


def main(argv: list[str] | None = None) -> int:
    """`python -m benchmark.report path=<folder>`: make a run's tables and pictures again from its records."""
    from pydantic import Field, field_validator

    from benchmark import cli
    from benchmark.config import ConfigError, Spec

    class Latex(Spec):
        columns: tuple[str, ...] = ()

        @field_validator("columns", mode="before")
        @classmethod
        def _several(cls, value: object) -> object:
            return (value,) if isinstance(value, str) else value or ()

    class Settings(Spec):
        path: Path = Field(Path("outputs/run"), description="folder of a run")
        html: bool = Field(False, description="write report.html as well: one page that needs no network")
        latex: Latex = Field(Latex(), description="latex.columns=[pearson,interval,…]: what table.tex shows, in order")

    def run(settings: Settings) -> int:
        try:
            tables, arguments = read(settings.path)
            chosen = settings.latex.columns
            return write(tables, settings.path, **arguments, html=settings.html, latex_columns=chosen)
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from None

    return cli.settings(run, Settings, "python -m benchmark.report path=<folder>: a run's report again", argv)


if __name__ == "__main__":
    sys.exit(main())
