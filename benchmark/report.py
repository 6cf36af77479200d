"""Tables in, report out: terminal, CSV, Markdown, LaTeX and pictures.

Reading order of a table: methods by their mean Pearson correlation, then the yardsticks, which never look at the
target's images. Files of values are the same bytes for the same tables; times are in files of their own
(timings.csv, times.*). Scores with a status other than ok are left out of the correlations and counted.
"""

from __future__ import annotations

import hashlib
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

from benchmark import bootstrap, correlate, layout, ranks, scatter, stats
from benchmark import evidence as supporting
from benchmark.correlate import MODEL, TARGET, Correlations, put, save
from benchmark.evidence import Evidence
from benchmark.layout import Grid, between, number, spread
from benchmark.tables import KEYS, index_of, without_vacuous

YARDSTICKS = ("random", "layers", "parameters", "heuristic", "source_accuracy", "source_size", "static_list")
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

    summary   a row per method: method, input, yardstick, every measure's mean and sd, scored of cells, targets
    times     a row per method: milliseconds mean and sd, preparation in seconds per target; None without timings
    targets   a row per target: models, best, median, sd over models, sd over seeds (points), noise ceiling and
              split-half reliability of the truth (×100; see `bootstrap.noise_ceiling`)
    shares    of the variance of standardised accuracy: model, specific (model × target), noise
    problems  counts of scores that are not ok, by method, status and reason
    evidence  intervals, tests and robustness (`supported`); None where they were not asked for
    """

    title: str
    summary: pd.DataFrame
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
    ]
    return Report(
        title=title,
        summary=_summary(found, inputs or {}),
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
    if "random" not in scores:
        columns = [c for c in ("Run", *by, TARGET) if c in scores]
        scores["random"] = [_chance(row) for row in scores[columns].itertuples(index=False)]
    return scores


def write(
    tables: Any,
    out: Path,
    title: str = "run",
    exclude_models: Iterable[str] = (),
    inputs: Mapping[str, Sequence[str]] | None = None,
    provenance: Mapping[str, Any] | None = None,
    quiet: bool = False,
    html: bool = False,
) -> int:
    """Write the report on `benchmark.tables.Tables` into a folder and print it; returns 0, or 1 without a result.

    scores.csv, truth.csv      the paper's columns, as the official evaluator reads them; *.parquet everything
    correlations.csv           every measure; table.{csv,md,tex} the summary; targets.csv; scatter-<method>.png
    times.{csv,md,tex}, timings.csv, provenance.json   what differs from run to run
    intervals.csv, tests.csv, regret.csv, robustness.csv, stability.csv, cd.png   see `benchmark.evidence`
    report.html with `html`: everything on one page that needs no network (`benchmark.page`)
    With `exclude_models` a second table without those models stands beside it: table-without.{csv,md,tex}.
    """
    out.mkdir(parents=True, exist_ok=True)
    _records(tables, out, provenance, inputs, tuple(exclude_models), title)
    if tables.scores.empty or tables.truth.empty:
        which = "score" if tables.scores.empty else "accuracy"
        print(f"error: no {which} came out, so there is nothing to correlate. See {out}/status.csv.", file=sys.stderr)
        return 1
    report = build(tables.scores, tables.truth, tables.seeds, tables.status, tables.timings, inputs, title=title)
    report = supported(report, out)
    _write_tables(report, out, "table")
    save(report.correlations.table, out / "correlations.csv")
    save(report.correlations.coverage, out / "coverage.csv")
    save(correlate.evaluation_modes(report.correlations.aligned.rows, tables.truth), out / "modes.csv")
    save(report.targets, out / "targets.csv")
    if report.times is not None:
        save(report.times, out / "times.csv")
        put(out / "times.md", layout.markdown(times_grid(report)))
        put(out / "times.tex", layout.latex(times_grid(report)))
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
    if not quiet:
        show(*shown)
    return 0


def show(report: Report, *others: Report, console: Any = None) -> None:
    """Print a report, and of further ones the summary alone."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, 160)
    brief = console.width < 200
    console.print(layout.terminal(summary_grid(report, times=True, brief=brief)))
    console.print(layout.terminal(target_grid(report)))
    for other in others:
        console.print(layout.terminal(summary_grid(other, brief=brief)))
    for note in [*legend(report), *report.notes]:
        console.print(Text(note, "dim"))


def summary_grid(report: Report, times: bool = False, brief: bool = False) -> Grid:
    """Mean over targets: method, input, Pearson, with ℓ, rank measures, the part that is about the target.

    `brief` leaves out what a narrow terminal has no room for; the files have every column.
    """
    summary = report.summary
    fields = [("Mean PC", lambda r: spread(r.pearson, r.pearson_sd))]
    if report.evidence is not None:
        fields.append(("95 %", lambda r: between(r.pearson_low, r.pearson_high)))
    if "pooled" in summary:
        fields.append(("+ℓ", lambda r: None if r.yardstick else spread(r.pooled, r.pooled_sd)))
        if not brief:
            fields.append(("+ℓ per target", lambda r: None if r.yardstick else spread(r.per_target, r.per_target_sd)))
    ranked = (("kendall", "τ_b"), ("weighted_kendall", "τ_w"), ("spearman", "ρ"))
    for name, symbol in ranked[: 2 if brief else 3]:
        fields.append((symbol, lambda r, name=name: number(getattr(r, name), 3)))
    fields.append(("specific PC", lambda r: None if r.yardstick else number(r.pearson_specific)))
    if not brief:
        fields.append(("specific τ_b", lambda r: None if r.yardstick else number(r.kendall_specific, 3)))
    if report.evidence is not None:
        fields.append(("PC∣static", lambda r: None if r.yardstick else number(r.partial)))
        fields.append(("regret@1", lambda r: number(r.regret1)))
    if (summary["scored"] < summary["cells"]).any() or summary["undefined"].any():
        fields.append(("scored", lambda r: f"{r.scored}/{r.cells}"))
    if times and report.times is not None:
        spent = report.times.set_index("method")
        fields.append(("ms", lambda r: _time(spent, r.method)))
    lead = [("method", lambda r: r.method)]
    if summary["input"].notna().any() and not (brief and report.evidence is not None and times):
        lead.append(("input", lambda r: r.input if isinstance(r.input, str) else None))
    return _grid(report.title, summary, lead, fields)


def target_grid(report: Report) -> Grid:
    """Pearson per target, mean ± sd over draws."""
    fields = [("mean", lambda r: spread(r.pearson, r.pearson_sd))]
    for target in report.correlations.aligned.targets:
        mean, sd = report.summary[target], report.summary[f"{target} sd"]
        fields.append((target, lambda r, m=mean, s=sd: spread(m[r.Index], s[r.Index])))
    return _grid("Pearson ×100 per target", report.summary, [("method", lambda r: r.method)], fields)


def times_grid(report: Report) -> Grid:
    """Accuracy of the prediction against time, as the paper's Tables 1 and 4."""
    spent = report.times.set_index("method")
    fields = [("Mean PC", lambda r: spread(r.pearson, r.pearson_sd))]
    if "pooled" in report.summary:
        fields.append(("+ℓ", lambda r: None if r.yardstick else spread(r.pooled, r.pooled_sd)))
    fields.append(("ms", lambda r: _time(spent, r.method)))
    if "preparation_seconds" in spent:
        fields.append(("preparation s", lambda r: _from(spent, r.method, "preparation_seconds")))
    return _grid("Milliseconds per score", report.summary, [("method", lambda r: r.method)], fields)


def legend(report: Report) -> list[str]:
    """What the columns mean, a line each."""
    draws = len(report.correlations.aligned.runs)
    lines = [
        f"Mean PC: Pearson ×100 between score and accuracy over models, mean over targets; ± sd over {draws} draw"
        f"{'s' * (draws != 1)}. τ_b, τ_w, ρ: Kendall, weighted τ, Spearman.",
        "specific: after each model's mean over the other targets is taken out of score and accuracy. "
        "static_list: each model's mean standardised accuracy on the other targets.",
    ]
    if report.evidence is not None:
        lines.append(
            "95 %: bootstrap over models, targets and draws. PC∣static: partial correlation given the static list. "
            "regret@1: points lost by taking the top-scored model."
        )
    if "pooled" in report.summary:
        lines.append(
            "+ℓ: layers/50 added to the score, standardised over all rows (the paper's release) or per target."
        )
    if len(report.problems) or report.correlations.coverage["missing"].any():
        lines.append("A score that is missing or not ok leaves its model out of that correlation; it is never zero.")
    return lines


def read(folder: Path) -> tuple[Any, dict[str, Any]]:
    """What `write` recorded in a folder: the tables, and its further arguments."""
    record = folder / "report.json"
    if not record.is_file():
        raise ValueError(f"path must be a folder that holds a report. Got {folder}: no report.json there.")
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("scores", "truth", "seeds", "status")}
    timings = folder / "timings.csv"
    tables["timings"] = pd.read_csv(timings) if timings.is_file() and timings.stat().st_size > 1 else pd.DataFrame()
    arguments = json.loads(record.read_text())
    if (folder / "provenance.json").is_file():
        arguments["provenance"] = json.loads((folder / "provenance.json").read_text())
    return SimpleNamespace(**tables), arguments


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
    for target in found.aligned.targets:
        rows[target] = wide["mean", target, "pearson", "none"]
        rows[f"{target} sd"] = wide["sd", target, "pearson", "none"]
    order = rows.reset_index().sort_values(
        ["yardstick", "pearson", "method"], ascending=[True, False, True], na_position="last", kind="stable"
    )
    return order.reset_index(drop=True)


def _times(timings: pd.DataFrame | None) -> pd.DataFrame | None:
    if timings is None or "Milliseconds" not in timings or timings["Milliseconds"].isna().all():
        return None
    spent = timings.dropna(subset="Milliseconds").groupby("Method")["Milliseconds"]
    table = pd.DataFrame({"milliseconds": spent.mean(), "milliseconds_sd": spent.std(ddof=0)})
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
    save(tables.timings, out / "timings.csv")
    chosen = {name: list(arrays) for name, arrays in (inputs or {}).items()}
    record = {"title": title, "exclude_models": list(exclude_models), "inputs": chosen}
    put(out / "report.json", json.dumps(record, indent=1, sort_keys=True) + "\n")
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


def _write_tables(report: Report, out: Path, name: str) -> None:
    save(report.summary, out / f"{name}.csv")
    grids = [summary_grid(report), target_grid(report)]
    notes = "".join(f"- {note}\n" for note in [*legend(report), *report.notes])
    put(out / f"{name}.md", "\n".join(layout.markdown(grid) for grid in grids) + "\n" + notes)
    put(out / f"{name}.tex", "\n".join(layout.latex(grid) for grid in grids))


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
            for r in (report.summary.at[row.Index, target] for target in aligned.targets)
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
    values = shown[list(report.correlations.aligned.targets)].to_numpy(float)
    full = np.isfinite(values).all(1)
    if full.sum() >= 3 and values.shape[1] >= 2:
        ranks.draw(path, shown.loc[full, "method"].tolist(), values[full], "Pearson")


def _grid(title: str, summary: pd.DataFrame, lead: list, fields: list) -> Grid:
    columns = [*lead, *fields]
    blocks = [
        [[cell(row) for _, cell in columns] for row in summary.itertuples() if row.yardstick == which]
        for which in (False, True)
    ]
    return Grid(title, [name for name, _ in columns], blocks, left=len(lead))


def _input(arrays: Sequence[str] | None) -> str | None:
    named = [INPUTS[a] for a in arrays or () if a in INPUTS]
    return ", ".join(named) or None


def _time(spent: pd.DataFrame, method: str) -> str | None:
    if method not in spent.index:
        return None
    return spread(spent.at[method, "milliseconds"], spent.at[method, "milliseconds_sd"])


def _from(spent: pd.DataFrame, method: str, column: str) -> str | None:
    return number(spent.at[method, column]) if method in spent.index else None


def _chance(row: tuple) -> float:
    """A number in [0, 1) that depends on the row's names alone."""
    text = "\0".join(("random", *map(str, row)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48


def _without(table: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    return table[~table["Model"].isin(models)] if "Model" in table else table


def main(argv: list[str] | None = None) -> int:
    """`python -m benchmark.report path=<folder>`: make a run's tables and pictures again from its records."""
    from pydantic import Field

    from benchmark import cli
    from benchmark.config import ConfigError, Spec

    class Settings(Spec):
        path: Path = Field(Path("outputs/run"), description="folder of a run")
        html: bool = Field(False, description="write report.html as well: one page that needs no network")

    def run(settings: Settings) -> int:
        try:
            tables, arguments = read(settings.path)
            return write(tables, settings.path, **arguments, html=settings.html)
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from None

    return cli.settings(run, Settings, "python -m benchmark.report path=<folder>: a run's report again", argv)


if __name__ == "__main__":
    sys.exit(main())
