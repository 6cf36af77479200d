"""What a table of correlations supports: intervals, paired tests, selection, robustness and the sentences that say so.

Computed once for the same scores, accuracies and names, then read back from the folder of the report (files that
were changed or lost are made again), so that a run without new work stays quick.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.files import put
from benchmark.stats import measures, pairs, resampling, weighted
from benchmark.stats import robustness as stats_robustness
from benchmark.stats.alignment import Aligned
from benchmark.stats.pairs import FEWEST, LEVEL, REFERENCE, TESTED
from benchmark.stats.robustness import leave_out, sub_pools, winners
from benchmark.tables.columns import as_csv, at_random
from benchmark.wording import some

VERSION = 6  # raised by hand when the same tables give other files
SELECTION = ("regret1", "regret3", "relative1", "relative3", "near_best")
TABLES = ("intervals", "tests", "regret", "robustness", "stability")
FEW = 2000  # resamples of the measures that are not tested; an interval's end moves by a hundredth of its width
_RECORD = "evidence.json"


@dataclass(frozen=True)
class Evidence:
    """Tables as they stand in the files, and sentences.

    intervals   method, target, measure, over (what was resampled), estimate, low, high (95 %), se
    tests       measure, family, first, second, difference, low, high, p, p_holm, p_wilcoxon, supported: the
                first is the higher one; families: between estimators, and each against the static list; or `focal`,
                the methods in question, always the first, against all others, and no other pair. low and high from
                resampling models, targets and draws together, p: see `significance.paired_p`
    regret      method, target, then SELECTION with an interval each: see `weighted.under_counts`
    robustness  see `robustness.leave_out`; stability  factor, value: see `robustness.stability`
    """

    intervals: pd.DataFrame
    tests: pd.DataFrame
    regret: pd.DataFrame
    robustness: pd.DataFrame
    stability: pd.DataFrame
    sentences: tuple[str, ...]

    def interval(self, method: str, measure: str = "pearson", over: str = "all") -> tuple[float, float]:
        """(low, high) of the mean over targets; NaN where there is none."""
        t = self.intervals
        rows = t[(t.method == method) & (t.measure == measure) & (t.over == over) & (t.target == "mean")]
        return (float(rows.low.iloc[0]), float(rows.high.iloc[0])) if len(rows) else (float("nan"),) * 2


def collect(
    aligned: Aligned,
    yardsticks: Sequence[str],
    out: Path | None = None,
    number: int = resampling.RESAMPLES,
    focal: Sequence[str] = (),
) -> Evidence:
    """The evidence of one aligned table, from `out` where it lies there for the same input, and kept there.

    focal  the methods in question: pairs with one of them are tested, and no others
    """
    digest = _digest(aligned, yardsticks, number, focal)
    if out is not None and (found := _kept(out, digest)) is not None:
        return found
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # the products are small: more threads wait for each other, ten times as long
        made = compute(aligned, yardsticks, number, focal)
    if out is not None:
        texts = {name: as_csv(getattr(made, name)) for name in TABLES}
        for name, text in texts.items():
            put(out / f"{name}.csv", text)
        files = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
        record = {"digest": digest, "files": files, "sentences": made.sentences}
        put(out / _RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        tables = {name: pd.read_csv(io.StringIO(text)) for name, text in texts.items()}
        return Evidence(**tables, sentences=tuple(made.sentences))  # what the files say, to the digit
    return made


def compute(
    aligned: Aligned, yardsticks: Sequence[str], number: int = resampling.RESAMPLES, focal: Sequence[str] = ()
) -> Evidence:
    """All of it, from the scores without capacity term."""
    scores, truth = aligned.scores["none"], aligned.truth
    plain = resampling.estimates(scores, truth)
    for name in measures.MEASURES:
        plain[name][at_random(aligned.methods)] = measures.of_random_orders(truth)
    intervals, moved = _intervals(aligned, plain, number, focal)
    tests = pairs.tests(aligned, plain, moved, pairs.families(aligned, yardsticks, focal))
    left = leave_out(aligned).round(6)
    ours = [k for k, name in enumerate(aligned.methods) if name not in yardsticks]
    pools = sub_pools(truth.shape[-1])
    compared = len(ours) > 1 and not focal  # how methods stand to each other is not the question about one of them
    stable = stats_robustness.stability(scores[ours], truth, pools) if compared else {}
    factors = [(factor, value, len(ours)) for factor, value in stable.items()]
    sentences = (
        pairs.focal_sentences(aligned, tests, focal)
        if focal
        else [*_supported(aligned, plain, tests, yardsticks), *_robust(aligned, left, stable, pools, ours)]
    )
    return Evidence(
        intervals.round(6),
        tests,
        _of_selection(intervals).round(6),
        left,
        pd.DataFrame(factors, columns=["factor", "stability", "methods"]).round(6),
        tuple(sentences),
    )


Moved = dict[str, dict[int, dict[str, np.ndarray]]]
"""Of each measure that is tested, method by method: what was resampled -> means over targets (b,)."""


def _intervals(
    aligned: Aligned, plain: dict[str, np.ndarray], number: int, focal: Sequence[str]
) -> tuple[pd.DataFrame, Moved]:
    """`Evidence.intervals`, not rounded, of every target and of their mean; and what the tests compare."""
    here = dict(zip(aligned.targets, np.isfinite(aligned.truth).sum(-1), strict=True))
    here["mean"] = min(here.values())
    moved: Moved = {name: {} for name in TESTED}
    rows: list[tuple[str | float, ...]] = []
    for k, name, per_target, means in _distributions(aligned, number, focal):
        method, each = aligned.methods[k], measures.nanmean(plain[name][k], 0)
        overall = float(measures.nanmean(measures.nanmean(plain[name][k], -1), -1))
        found = [(target, "models", each[i], per_target[:, i]) for i, target in enumerate(aligned.targets)]
        found += [("mean", over, overall, values) for over, values in means.items()]
        for target, over, estimate, values in found:
            known = np.isfinite(estimate) and here[target] >= FEWEST
            limits = resampling.interval(values) if known else (np.nan,) * 3
            rows.append((method, target, name, over, estimate, *limits))
        if name in TESTED:
            moved[name][k] = means
    columns = ["method", "target", "measure", "over", "estimate", "low", "high", "se"]
    return pd.DataFrame(rows, columns=columns), moved


def _distributions(
    aligned: Aligned, number: int, focal: Sequence[str]
) -> Iterator[tuple[int, str, np.ndarray, dict[str, np.ndarray]]]:
    """As `resampling.distributions`: tested measures often, the others less often and, with `focal`, of these alone."""
    scores, truth = aligned.scores["none"], aligned.truth
    _, r, t, m = scores.shape
    everyone = range(len(aligned.methods))
    asked = [k for k in everyone if not focal or aligned.methods[k] in (*focal, REFERENCE)]  # of others: in their table
    rest = [name for name in weighted.MEASURES if name not in TESTED]
    yield from resampling.distributions(scores, truth, resampling.resamples(m, t, r, number), TESTED)
    few = resampling.resamples(m, t, r, min(number, FEW))
    for k, name, each, means in resampling.distributions(scores[asked], truth, few, rest):
        yield asked[k], name, each, means
    still = {over: np.array([]) for over in ("models", "targets", "draws", "all")}
    for k in everyone:
        if k not in asked:
            yield from ((k, name, np.empty((0, t)), still) for name in rest)


def _of_selection(intervals: pd.DataFrame) -> pd.DataFrame:
    """`Evidence.regret` from the intervals: those of the mean resample everything."""
    chosen = intervals["measure"].isin(SELECTION) & ((intervals["target"] != "mean") | (intervals["over"] == "all"))
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in intervals[chosen].itertuples():
        limits = {row.measure: row.estimate, f"{row.measure}_low": row.low, f"{row.measure}_high": row.high}
        found.setdefault((row.method, row.target), {}).update(limits)
    ends = [f"{name}{end}" for name in SELECTION for end in ("", "_low", "_high")]
    rows = [(*key, *(values[end] for end in ends)) for key, values in found.items()]
    return pd.DataFrame(rows, columns=["method", "target", *ends])


def complete(aligned: Aligned, plain: dict[str, np.ndarray], measure: str = "pearson") -> list[int]:
    """The methods whose measure is defined on every target (in one draw at least)."""
    return np.flatnonzero(np.isfinite(measures.nanmean(plain[measure], 1)).all(-1)).tolist()


def _supported(aligned: Aligned, plain: dict, tests: pd.DataFrame, yardsticks: Sequence[str]) -> list[str]:
    """Which differences of mean Pearson the paired tests support, in two sentences."""
    mean = dict(zip(aligned.methods, measures.nanmean(measures.nanmean(plain["pearson"], -1), -1), strict=True))
    t, r, m = len(aligned.targets), len(aligned.runs), len(aligned.models)
    fewest = int(np.isfinite(aligned.truth).sum(-1).min())
    if fewest < FEWEST:
        return [f"No interval and no test: a target has {fewest} models, and fewer than {FEWEST} say nothing."]
    tests, sentences = tests[tests["measure"] == "pearson"], []
    among = tests[tests["family"] == "estimators"]
    if len(among):
        best = max((n for n in {*among["first"], *among["second"]}), key=lambda n: (mean[n], n))
        of_best = among[(among["first"] == best)]
        beaten = _named(of_best.loc[of_best["supported"], "second"], mean)
        open_ = _named(of_best.loc[~of_best["supported"], "second"], mean)
        sentences.append(
            f"Supported differences (Pearson; paired bootstrap over {m} models, {t} target{'s' * (t != 1)}, {r} "
            f"draw{'s' * (r != 1)}; Holm over {len(among)} pairs at {100 * LEVEL:.0f} %): "
            f"{among['supported'].sum()} of {len(among)}. The highest, {best}, is told apart from {beaten or 'none'}"
            f"{f'; not from {open_}' if open_ else ''}."
        )
    against = tests[tests["family"] == "static list"]
    if len(against):
        held = against["supported"]
        better = _named(against.loc[held & (against["second"] == REFERENCE), "first"], mean)
        worse = _named(against.loc[held & (against["first"] == REFERENCE), "second"], mean)
        sentences.append(
            f"Against the static list (Holm over {len(against)} pairs): better {better or 'none'}; worse "
            f"{worse or 'none'}; the rest cannot be told from it."
        )
    return sentences


def _robust(aligned: Aligned, left: pd.DataFrame, stable: dict, pools: np.ndarray, ours: list[int]) -> list[str]:
    if len(ours) < 2 or len(aligned.models) < FEWEST:
        return []
    names = [aligned.methods[k] for k in ours]
    share = winners(aligned.scores["none"][ours], aligned.truth, pools)
    order = np.argsort(-share, kind="stable")[:3]
    first = ", ".join(f"{names[k]} {100 * share[k]:.0f} %" for k in order if share[k] > 0)
    parts = [f"Highest mean Pearson in {len(pools)} random sub-pools of {int(pools[0].sum())} models: {first}."]
    rows = left[(left["measure"] == "pearson") & left["method"].isin(names) & left["value"].notna()]
    best = rows.loc[rows.groupby(["factor", "left_out"])["value"].idxmax().dropna()]
    whole = best.loc[best["factor"] == "none", "method"]
    other = best[(best["factor"] != "none") & (best["method"] != whole.iloc[0])] if len(whole) else best[:0]
    if len(best) > 1:
        gone = "; ".join(f"{r.method} without {r.left_out}" for r in other.head(4).itertuples())
        parts.append(
            f"With each family and each source left out in turn, another one is highest in {len(other)} of "
            f"{len(best) - 1} tables{f' ({gone})' if gone else ''}."
        )
    known = [f"{factor} {value:.2f}" for factor, value in stable.items() if np.isfinite(value)]
    if known:
        parts.append(f"Setup stability (τ_b between orders of methods when one factor varies): {', '.join(known)}.")
    return [" ".join(parts)]


def _named(methods: Sequence[str], mean: dict[str, float], shown: int = 6) -> str:
    ordered = sorted(methods, key=lambda n: (-mean[n], n))
    return some(ordered, shown)


def _digest(aligned: Aligned, yardsticks: Sequence[str], number: int, focal: Sequence[str]) -> str:
    names: list[object] = [aligned.methods, aligned.targets, aligned.models, [str(r) for r in aligned.runs]]
    names += [list(yardsticks), stats_robustness.families(aligned), VERSION, number]
    names += [list(focal)] if focal else []
    whole = hashlib.sha256(json.dumps(names).encode())
    for array in (aligned.scores["none"], aligned.truth):
        whole.update(np.ascontiguousarray(array + 0.0).tobytes())
    return whole.hexdigest()


def _kept(out: Path, digest: str) -> Evidence | None:
    record = out / _RECORD
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        if known["digest"] != digest or any(_sha(out / f"{n}.csv") != known["files"][n] for n in TABLES):
            return None
        tables = {name: pd.read_csv(out / f"{name}.csv") for name in TABLES}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Evidence(**tables, sentences=tuple(known["sentences"]))


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
