"""All that a report says, from tables of scores, accuracies and times; nothing is written here.

Reading order of a table: methods by their mean Pearson correlation, then the yardsticks, which never look at the
target's images. Scores with a status other than ok are left out of the correlations and counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.stats import evidence as supporting
from benchmark.stats import measures, resampling, significance
from benchmark.stats.correlations import MEASURES, Correlations, correlate
from benchmark.stats.evidence import Evidence
from benchmark.stats.yardsticks import YARDSTICKS, with_yardsticks
from benchmark.tables.columns import MODEL, TARGET, model_columns, model_names
from benchmark.tables.gather import without_vacuous

INPUTS = {  # how a method's arrays are called in the paper's table
    "features": "f(x)",
    "labels": "y",
    "source_probs": "p(z∣x)",
    "source_logits": "logits",
    "reference_features": "f′(x)",
    "model": "metadata",
    "bank_features": "f(x) of all",
    "bank_labels": "y",
    "models": "metadata of all",
    "known": "other targets",
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
              split-half reliability of the truth (×100; see `significance.noise_ceiling`)
    shares    of the variance of standardised accuracy: model, specific (model × target), noise
    problems  counts of scores that are not ok, by method, status and reason
    evidence  intervals, tests and robustness (`supported`); None where they were not asked for
    focal     the methods in question, where the others are there to be compared with
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
    focal: tuple[str, ...] = ()


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
    found = correlate(scores, truth, exclude)
    each_seed = seeds if seeds is not None and "Seed" in seeds else truth
    cube = _seed_cube(each_seed, found, exclude)
    shares = measures.variance_shares(cube)
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


def supported(
    report: Report, out: Path | None = None, number: int = resampling.RESAMPLES, focal: Sequence[str] = ()
) -> Report:
    """The report with intervals, tests, selection and robustness, kept in `out` for the next time.

    focal  the methods in question: each is tested against every other method, and no other pair is
    """
    found = report.correlations.aligned
    yardsticks = report.summary.loc[report.summary["yardstick"], "method"].tolist()
    evidence = supporting.collect(found, sorted(yardsticks), out, number, focal)
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
    return replace(report, summary=summary, evidence=evidence, notes=notes, focal=tuple(focal))


def times_of(tables: Any) -> pd.DataFrame | None:
    """`Report.times` of `benchmark.tables.gather.Tables`; of methods without single timings, as they were kept."""
    times, kept = _times(tables.timings), getattr(tables, "times", None)
    if times is None or kept is None:
        return kept if times is None else times
    return pd.concat([times, kept[~kept["method"].isin(times["method"])]], ignore_index=True)


def _summary(found: Correlations, inputs: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    wide = found.table.pivot(index="method", columns=["target", "measure", "capacity"], values=["mean", "sd"])
    counts = found.coverage.assign(cells=found.coverage["models"] * found.coverage["draws"]).groupby("method")
    counts = counts[["cells", "missing", "undefined"]].sum()
    rows = pd.DataFrame({"method": found.aligned.methods}).set_index("method")
    rows["input"] = [_input(inputs.get(name)) for name in rows.index]
    rows["yardstick"] = [name.split(" @ ")[0] in YARDSTICKS for name in rows.index]
    for measure in MEASURES:
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
    if timings is None:
        return None
    given = [(n, c) for n, c in named.items() if c in timings and timings[c].notna().any()]
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
    by = model_columns(truth, truth)
    if "Seed" not in truth:
        return aligned.truth[None]
    if by == ["Model"] and "Model" not in aligned.rows:
        by = list(MODEL)
    model = pd.Index(aligned.models).get_indexer(model_names(truth, by))
    target = pd.Index(aligned.targets).get_indexer(truth[TARGET])
    seed, seeds = pd.factorize(truth["Seed"], sort=True)
    keep = (model >= 0) & (target >= 0) & (truth["Oracle"] > 0).to_numpy()
    cube = np.full((len(seeds), *aligned.truth.shape), np.nan)
    cube[seed[keep], target[keep], model[keep]] = truth["Oracle"].to_numpy(float)[keep]
    return np.where(np.isfinite(aligned.truth), cube, np.nan)


def _targets(cube: np.ndarray, found: Correlations) -> pd.DataFrame:
    mean = measures.nanmean(cube, 0)
    count = np.isfinite(cube).sum(0)
    squares = np.where(np.isfinite(cube), (cube - mean) ** 2, 0).sum(0)
    freedom = np.where(count > 1, count - 1, 0).sum(-1)
    ceiling, halves = significance.noise_ceiling(cube)
    noise = np.divide(squares.sum(-1), freedom, out=np.full(len(mean), np.nan), where=freedom > 0)
    return pd.DataFrame(
        {
            "target": found.aligned.targets,
            "models": np.isfinite(mean).sum(-1),
            "best": np.nanmax(mean, -1),
            "median": np.nanmedian(mean, -1),
            "sd_models": np.sqrt(measures.variance(mean)),
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
    sd = measures.sd_of_random_orders(found.aligned.truth)
    if not np.isfinite(sd):
        return []
    return [f"A single random order of the models has a Mean PC within ±{1.96 * sd:.1f} in 95 % of cases."]


def _input(arrays: Sequence[str] | None) -> str | None:
    named = [INPUTS[a] for a in arrays or () if a in INPUTS]
    return ", ".join(named) or None
