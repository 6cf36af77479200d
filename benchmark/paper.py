"""The paper's tables and figures from a run of this project, in the paper's layout, each beside the published figures.

    python -m benchmark.paper path=outputs/paper_mini out=results/paper_mini

The paper: Bolya, Mittapalli, Hoffman, NeurIPS 2021, arXiv 2111.06977. Its figures lie in paper_figures.csv (table, row,
column, value, sd); `ℓ` there and here is added as its release does (`pooled`; see `correlate`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import bootstrap, correlate, layout, report, stats
from benchmark.colours import palette
from benchmark.correlate import PAPER_LONGEST, Aligned, put, save
from benchmark.files import together
from benchmark.latex import latex
from benchmark.layout import Grid, number, spread
from benchmark.tables import without_vacuous

FIGURES = Path(__file__).with_name("paper_figures.csv")
F = (16, 32, 64, 128, 256)
METHODS = {  # the paper's rows and this project's columns
    **{"LEEP": "leep", "NCE": "nce", "HScore": "hscore", "1-NN CV": "knn", "5-NN CV": "knn_k5"},
    **{"1-NN (split)": "knn_split", "5-NN (split)": "knn_k5_split", "Logistic": "logistic"},
    **{"RSA R-50": "rsa", "DDS R-50": "dds", "PARC": "parc", "Heuristic": "heuristic"},
}
SPELT = {"H-Score": "HScore", "RSA ResNet-50": "RSA R-50", "DDS ResNet-50": "DDS R-50", "1-NN": "1-NN CV"}
SPELT |= {"RSA": "RSA R-50", "DDS": "DDS R-50"}
TRICKS = ("LEEP", "NCE", "HScore f=32", "RSA R-50 f=64", "DDS R-50 f=64", "1-NN CV", "Logistic", "PARC f=32")
"""The rows of Tables S5 and S7 with what the paper chose for each."""
SIZES_COMMAND = "python -m benchmark.run -m experiment=paper_mini_sizes probe.size=50,100,200,500"
LEVEL = 0.95
AS_RELEASED = " (as released)"
"""Rows of a run on the released probes that compute what the release's code does, under `compat=parc`."""


@dataclass(frozen=True)
class Run:
    """A run's score and accuracy tables, joined; its correlations; milliseconds per method."""

    scores: pd.DataFrame
    truth: pd.DataFrame
    found: correlate.Correlations
    times: pd.DataFrame

    @property
    def aligned(self) -> Aligned:
        return self.found.aligned

    def has(self, method: str) -> bool:
        return method in self.aligned.methods

    def mean(self, method: str, capacity: str = "none", target: str = "mean") -> tuple[float, float]:
        """Pearson ×100 and its sd over draws; NaN where the run has no such method."""
        if not self.has(method) or (target != "mean" and target not in self.aligned.targets):
            return float("nan"), float("nan")
        return tuple(f(method, "pearson", capacity, target) for f in (self.found.mean, self.found.sd))

    def ms(self, method: str) -> tuple[float, float]:
        if self.times.empty or method not in self.times.index:
            return float("nan"), float("nan")
        if "milliseconds" not in self.times:  # a run from before the method alone was timed
            return float("nan"), float("nan")
        return tuple(float(v) for v in self.times.loc[method, ["milliseconds", "milliseconds_sd"]])


def load(folder: Path) -> Run:
    """A run from the folder that `benchmark.report.write` made."""
    tables, _ = report.read(folder)
    scores = report.with_yardsticks(without_vacuous(tables.scores, tables.status), tables.truth)
    times = report.times_of(tables)
    times = pd.DataFrame() if times is None else times.set_index("method")
    return Run(scores, tables.truth, correlate.correlate(scores, tables.truth), times)


def published() -> dict[tuple[str, str, str], tuple[float, float]]:
    """(table, row, column) -> (value, sd) as printed in the paper and its supplement, figures digitised."""
    table = pd.read_csv(FIGURES, dtype={"table": str, "column": str})
    keys = zip(table["table"], table["row"], table["column"], strict=True)
    return dict(zip(keys, zip(table["value"], table["sd"], strict=True), strict=True))


def column_of(row: str) -> tuple[str, bool]:
    """A row of the paper as this project's method and whether ℓ is added: `PARC +l, f=32` -> (parc_f32, True)."""
    released, capacity = row.endswith(AS_RELEASED), "+l" in row
    plain = row.removesuffix(AS_RELEASED).replace(",", "")
    plain = " ".join(plain.replace("+l", "").split())
    name, _, dims = plain.partition(" f=")
    name = SPELT.get(name, name)
    method = METHODS.get(name, "")
    method = f"{method}_f{dims}" if dims and method else method
    return (f"{method}_released" if released and method else method), capacity


def records(run: Run, diverse: Run | None = None, sizes: Run | None = None) -> pd.DataFrame:
    """Every figure: table, row, column, ours, ours_sd, paper, paper_sd, difference (ours - paper).

    A row or a column that only one side has is kept, with the other side empty.
    """
    paper, ours = published(), {}
    for name, generator in (("run", run), ("diverse", diverse), ("sizes", sizes)):
        if generator is not None:
            ours |= dict(_OURS[name](generator))
    rows = []
    for key in dict.fromkeys([*paper, *ours]):
        printed = (key[0], key[1].removesuffix(AS_RELEASED), key[2])
        (mine, mine_sd), (theirs, theirs_sd) = ours.get(key, _NONE), paper.get(printed, _NONE)
        if key[0] in ("S1", "S2", "S3", "S4") and key not in ours and key[2] != "mean":
            continue  # their targets, which this run does not have
        rows.append((*key, mine, mine_sd, theirs, theirs_sd, mine - theirs))
    columns = ["table", "row", "column", "ours", "ours_sd", "paper", "paper_sd", "difference"]
    return pd.DataFrame(rows, columns=columns).round(6)


_NONE = (float("nan"), float("nan"))
Figure = tuple[tuple[str, str, str], tuple[float, float]]


def _with_released(run: Run) -> list[tuple[str, str, str]]:
    """The published keys and, of the rows whose released form the run has, the same again under that name."""
    keys = list(published())
    again = [(table, row + AS_RELEASED, column) for table, row, column in keys]
    return keys + [key for key in again if run.has(column_of(key[1])[0])]


def _from_run(run: Run) -> Iterator[Figure]:
    paper = _with_released(run)
    for table, row, column in paper:
        method, plus = column_of(row)
        capacity = "pooled" if plus or table == "3" else "none"
        if table in ("1", "2b", "3", "4"):
            yield (table, row, column), run.ms(method) if column == "ms" else run.mean(method, capacity)
    modes = correlate.evaluation_modes(run.scores, run.truth).set_index(["method", "mode"])
    for _, row, mode in (k for k in paper if k[0] == "2"):
        method = column_of(row)[0]
        if (method, mode) in modes.index:
            yield ("2", row, mode), tuple(modes.loc[(method, mode), ["mean", "sd"]])
    for table, capacity in (("S1", "none"), ("S2", "none"), ("S3", "pooled"), ("S4", "pooled")):
        for row in dict.fromkeys(r for t, r, _ in paper if t == table):
            for target in (*run.aligned.targets, "mean"):
                yield (table, row, target), run.mean(column_of(row)[0], capacity, target)
    yield from _ways_to_add(run)
    yield from _relative(run)


def _ways_to_add(run: Run) -> Iterator[Figure]:
    """Table S5: the score as it is, z-scored + ℓ/50, min-max + ℓ/50, min-max + ℓ/200; all over all rows."""
    layers = correlate._layers(run.scores, run.truth, [])
    rows = [(row, column_of(row)[0]) for row in dict.fromkeys(r for t, r, _ in published() if t == "S5")]
    here = [(row, method) for row, method in rows if run.has(method)]
    if layers is None or not here:
        return
    term, keys = layers / PAPER_LONGEST, [c for c in run.scores if c in correlate.ATTRIBUTES]
    for name, share in (("min-max", 1.0), ("min-max/4", 0.25)):
        table = run.scores[keys].copy()
        for _, method in here:
            values = run.scores[method]
            table[method] = (values - values.min()) / (values.max() - values.min()) + share * term
        found = correlate.correlate(table, run.truth, capacity=False)
        for row, method in here:
            yield ("S5", row, name), (found.mean(method), found.sd(method))
    for row, method in here:
        yield ("S5", row, "none"), run.mean(method)
        yield ("S5", row, "z-score"), run.mean(method, "pooled")


def _relative(run: Run) -> Iterator[Figure]:
    """Table S7: mean accuracy of the k top-scored models in percent of the best model's, mean over targets."""
    for row in dict.fromkeys(r for t, r, _ in published() if t == "S7"):
        plain = column_of(row)[0]
        tricks = next(column_of(r)[0] for r in TRICKS if r.split(" f=")[0] == SPELT.get(row, row))
        for prefix, method, capacity, which in (("", plain, "none", (1, 3)), ("tricks ", tricks, "pooled", (1, 3, 5))):
            if not run.has(method) or capacity not in run.aligned.scores:
                continue
            scores = run.aligned.scores[capacity][run.aligned.methods.index(method)][None]
            found = bootstrap.estimates(scores, run.aligned.truth, [f"relative{k}" for k in which])
            for k in which:
                mean, sd = stats.over_draws(stats.nanmean(found[f"relative{k}"][0], -1))
                yield ("S7", row, f"{prefix}k={k}"), (float(mean), float(sd))


def _from_diverse(run: Run) -> Iterator[Figure]:
    for _, row, column in (k for k in published() if k[0] == "5"):
        method = column_of(row)[0]
        yield ("5", row, column), run.ms(method) if column == "ms" else run.mean(method, "pooled")


def _from_sizes(run: Run) -> Iterator[Figure]:
    """Probe-size curves of a sweep, whose columns are `<method> @ probe.size=<n>`."""
    known = sorted({int(m.rpartition("=")[2]) for m in run.aligned.methods if " @ probe.size=" in m})
    for table, row in dict.fromkeys((t, r) for t, r, _ in published() if t in ("S-fig2a", "S-fig2b", "fig1a")):
        method, plus = column_of(row)
        for n in known:
            column = f"{method} @ probe.size={n}"
            if not run.has(column):
                continue
            if table == "S-fig2b":
                yield (table, row, str(n)), run.ms(column)
                continue
            value, sd = run.mean(column, "pooled" if plus else "none")
            if table == "fig1a":  # change against 500 images
                value, sd = value - run.mean(f"{method} @ probe.size=500")[0], float("nan")
            yield (table, row, str(n)), (value, sd)


_OURS: Mapping[str, Callable[[Run], Iterator[Figure]]] = {
    "run": _from_run,
    "diverse": _from_diverse,
    "sizes": _from_sizes,
}


# claims


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper as a difference of mean Pearson that should be positive.

    higher, lower  (method, with ℓ); of several in `lower` the highest counts (`the best of the others`)
    """

    title: str
    says: str
    higher: tuple[str, bool]
    lower: tuple[tuple[str, bool], ...]


OTHERS = (("logistic", True), ("knn", True), ("rsa_f64", True), ("dds_f64", True), ("hscore_f32", True))
OTHERS += (("leep", True), ("nce", True))
CLAIMS = (
    Claim("PARC with ℓ and f=32 is best", "70.3 against 69.2 of the next", ("parc_f32", True), OTHERS),
    *(
        Claim(f"PCA helps {name}", f"{before} to {after} with f={f}", (f"{m}_f{f}", False), ((m, False),))
        for name, m, f, before, after in (
            ("PARC", "parc", 32, 53.0, 59.3),
            ("RSA", "rsa", 64, 57.3, 66.2),
            ("DDS", "dds", 64, 56.1, 63.9),
            ("H-Score", "hscore", 32, -5.4, 55.9),
        )
    ),
    *(
        Claim(f"PCA does not help {name}", f"{before} to {after} with f=256", (m, False), ((f"{m}_f256", False),))
        for name, m, before, after in (("1-NN", "knn", 60.8, 60.6), ("Logistic", "logistic", 61.9, 61.7))
    ),
    *(
        Claim(f"ℓ helps {name}", f"{before} to {after}", (m, True), ((m, False),))
        for name, m, before, after in (
            ("LEEP", "leep", 10.8, 26.8),
            ("NCE", "nce", 2.1, 28.3),
            ("RSA", "rsa", 57.3, 65.7),
            ("DDS", "dds", 56.1, 64.9),
            ("1-NN", "knn", 60.8, 68.0),
            ("Logistic", "logistic", 61.9, 69.2),
            ("PARC f=32", "parc_f32", 59.3, 70.3),
        )
    ),
    *(
        Claim(f"{name} fails on a diverse bank, 1-NN does not", f"{value} against 60.8", ("knn", False), ((m, False),))
        for name, m, value in (("LEEP", "leep", 10.8), ("NCE", "nce", 2.1))
    ),
    Claim(
        "A heuristic without any image beats LEEP and NCE",
        "51.0 against 10.8",
        ("heuristic", False),
        (("leep", False),),
    ),
    Claim("1-NN is better than the heuristic", "60.8 against 51.0", ("knn", False), (("heuristic", False),)),
)


def claims(run: Run, sizes: Run | None = None, number: int = bootstrap.RESAMPLES) -> pd.DataFrame:
    """claim, paper, compared, difference, low, high, verdict: seen, the opposite, undecided, or not measured.

    Difference of mean Pearson, 95 % by bootstrap over models, targets and draws; seen: the interval is above zero.
    """
    rows = []
    for claim in CLAIMS:
        rows.append((claim.title, claim.says, *_difference(run, claim, number)))
    rows.append(_modes_claim(run))
    rows += _size_claims(sizes, number)
    columns = ["claim", "paper", "compared", "difference", "low", "high", "verdict"]
    return pd.DataFrame(rows, columns=columns).round(6)


def _difference(run: Run, claim: Claim, number: int) -> tuple:
    shown = lambda variant: variant[0] + (" +ℓ" if variant[1] else "")  # noqa: E731
    if not run.has(claim.higher[0]) or not any(run.has(m) for m, _ in claim.lower):
        return f"{shown(claim.higher)} − …", *[float("nan")] * 3, "not measured"
    if "pooled" not in run.aligned.scores and (claim.higher[1] or any(plus for _, plus in claim.lower)):
        return f"{shown(claim.higher)} − …", *[float("nan")] * 3, "not measured"
    score = lambda variant: run.mean(variant[0], "pooled" if variant[1] else "none")[0]  # noqa: E731
    known = [variant for variant in claim.lower if run.has(variant[0]) and np.isfinite(score(variant))]
    if not known or not np.isfinite(score(claim.higher)):
        return f"{shown(claim.higher)} − …", *[float("nan")] * 3, "not measured"
    other = max(known, key=score)
    difference, low, high = contrast(run.aligned, claim.higher, other, number)
    return f"{shown(claim.higher)} − {shown(other)}", difference, low, high, _verdict(low, high)


def contrast(
    aligned: Aligned, first: tuple[str, bool], second: tuple[str, bool], number: int = bootstrap.RESAMPLES
) -> tuple[float, float, float]:
    """(difference, low, high) of mean Pearson between two variants (method, with ℓ), resampled together."""
    pair = [
        aligned.scores["pooled" if plus else "none"][aligned.methods.index(method)] for method, plus in (first, second)
    ]
    r, t, m = pair[0].shape
    counts = bootstrap.resamples(m, t, r, number)
    found = bootstrap.distributions(np.stack(pair), aligned.truth, counts, ("pearson",), keep=("all",))
    moved = [means["all"] for *_, means in found]
    plain = stats.nanmean(stats.nanmean(stats.pearson(np.stack(pair), aligned.truth), -1), -1)
    low, high, _ = bootstrap.interval(moved[0] - moved[1], LEVEL)
    return float(plain[0] - plain[1]), low, high


def _verdict(low: float, high: float) -> str:
    if not np.isfinite(low):
        return "not measured"
    return "seen" if low > 0 else "the opposite" if high < 0 else "undecided"


def _modes_claim(run: Run) -> tuple:
    """Results depend on the evaluation mode: agreement of the methods' orders between `source & arch` and the rest."""
    modes = correlate.evaluation_modes(run.scores, run.truth)
    methods = [m for m in METHODS.values() if run.has(m)]
    wide = modes.pivot(index="method", columns="mode", values="mean").reindex(methods)
    first = "source & arch"
    agreed = {mode: float(stats.kendall(wide[first], wide[mode])) for mode in wide.columns if mode != first}
    known = {mode: value for mode, value in agreed.items() if np.isfinite(value)}
    if not known:
        return "Results depend on the evaluation mode", "", "", *[float("nan")] * 3, "not measured"
    worst = min(known, key=known.get)
    said = "LEEP 10.8 when source and architecture vary, 67.6 when the target varies"
    compared = f"lowest τ_b between the orders of methods: {first} against {worst}, {known[worst]:.2f}"
    return (
        "Results depend on the evaluation mode",
        said,
        compared,
        *[float("nan")] * 3,
        ("seen" if known[worst] < 0.5 else "not seen"),
    )


def _size_claims(sizes: Run | None, number: int) -> list[tuple]:
    rows = []
    for name, method in (("PARC f=32", "parc_f32"), ("1-NN", "knn"), ("Logistic", "logistic")):
        title, said = f"More probe images help {name} (+ℓ)", "65.5 to 71.5 from 100 to 5,000 (PARC)"
        columns = [m for m in (sizes.aligned.methods if sizes else ()) if m.startswith(f"{method} @ probe.size=")]
        if len(columns) < 2 or "pooled" not in sizes.aligned.scores:
            rows.append((title, said, "", *[float("nan")] * 3, "not measured"))
            continue
        columns.sort(key=lambda c: int(c.rpartition("=")[2]))
        found = contrast(sizes.aligned, (columns[-1], True), (columns[0], True), number)
        compared = f"{columns[-1].partition('@ ')[2]} − {columns[0].partition('@ ')[2]}"
        rows.append((title, said, compared, *found, _verdict(*found[1:])))
    return rows


# the page


def grids(table: pd.DataFrame, targets: Sequence[str]) -> dict[str, Grid]:
    """The paper's tables, laid out as there, ours first, then the published figure and the difference."""
    held = {key: rows.set_index(["row", "column"]) for key, rows in table.groupby("table", sort=False)}
    made = {
        "table1": _simple(
            held.get("1"), "Table 1. Controlled bank, no tweaks", [("mean", "Mean PC", 1), ("ms", "ms", 1)]
        ),
        "table2": _simple(
            held.get("2"), "Table 2. What varies inside the correlation", [(m, m, 1) for m in correlate.MODES]
        ),
        "figure2b": _simple(held.get("2b"), "Figure 2b. PCA to f", [("mean", "Mean PC", 1), ("ms", "ms", 1)]),
        "table3": _simple(held.get("3"), "Table 3. With ℓ", [("+l", "Mean PC +ℓ", 1)]),
        "table4": _simple(held.get("4"), "Table 4. What it adds up to", [("mean", "Mean PC", 1), ("ms", "ms", 1)]),
        "table5": _simple(held.get("5"), "Table 5. Crowd-sourced bank, +ℓ", [("mean", "Mean PC", 2), ("ms", "ms", 1)]),
    }
    titles = {"S1": "no tweaks", "S2": "PCA to f", "S3": "+ℓ", "S4": "PCA to f, +ℓ"}
    for name, title in titles.items():
        made[f"table{name}"] = _per_target(held.get(name), f"Table {name}. Per target, {title}", targets)
    ways = [("none", "none", 1), ("z-score", "z + ℓ/50", 1), ("min-max", "min-max + ℓ/50", 1)]
    made["tableS5"] = _simple(held.get("S5"), "Table S5. Ways to add ℓ", [*ways, ("min-max/4", "min-max + ℓ/200", 1)])
    ks = ["k=1", "k=3", "tricks k=1", "tricks k=3", "tricks k=5"]
    made["tableS7"] = _simple(held.get("S7"), "Table S7. Top-k relative accuracy, %", [(k, k, 2) for k in ks])
    for name, title, digits in (
        ("fig1a", "Figure 1a. Change of Mean PC against 500 images, no tweaks", 1),
        ("S-fig2a", "Figure S2a. Mean PC by probe size, all tweaks", 1),
        ("S-fig2b", "Figure S2b. Milliseconds by probe size", 1),
    ):
        rows = held.get(name)
        columns = sorted({int(c) for _, c in rows.index}) if rows is not None else []
        made[name.replace("-", "")] = _simple(rows, title, [(str(n), str(n), digits) for n in columns])
    return {name: grid for name, grid in made.items() if grid is not None}


def _simple(rows: pd.DataFrame | None, title: str, columns: Sequence[tuple[str, str, int]]) -> Grid | None:
    if rows is None or not columns:
        return None
    head = ["method"]
    for _, shown, _ in columns:
        head += [shown, "paper", "Δ"]
    body = []
    for row in dict.fromkeys(r for r, _ in rows.index):
        cells: list[str | None] = [row.replace("+l", "+ℓ")]
        for column, _, digits in columns:
            if (row, column) not in rows.index:
                cells += [None, None, None]
                continue
            at = rows.loc[(row, column)]
            cells += [spread(at["ours"], at["ours_sd"], digits), spread(at["paper"], at["paper_sd"], digits)]
            cells.append(_signed(at["difference"], digits))
        body.append(cells)
    better = ["", *(way for _, shown, _ in columns for way in (_better(shown), _better(shown), ""))]
    return Grid(title, head, [body], better=better, breaks=range(1, len(head), 3))


def _better(heading: str) -> str:
    return "low" if heading == "ms" or "Milliseconds" in heading else "high"


def _per_target(rows: pd.DataFrame | None, title: str, targets: Sequence[str]) -> Grid | None:
    if rows is None:
        return None
    body = []
    for row in dict.fromkeys(r for r, _ in rows.index):
        cells: list[str | None] = [row]
        for target in targets:
            at = rows.loc[(row, target)] if (row, target) in rows.index else None
            text = None if at is None else spread(at["ours"], at["ours_sd"])
            theirs = None if at is None else number(at["paper"])
            cells.append(f"{text} ({theirs})" if text and theirs else text)
        at = rows.loc[(row, "mean")]
        cells += [spread(at["ours"], at["ours_sd"]), spread(at["paper"], at["paper_sd"]), _signed(at["difference"], 1)]
        body.append(cells)
    head, better = ["method", *targets, "mean", "paper", "Δ"], ["", *["high"] * (len(targets) + 2), ""]
    return Grid(title, head, [body], better=better, breaks=range(1, len(targets) + 2))


def _signed(value: float, digits: int) -> str | None:
    text = number(value, digits)
    return None if text is None else text if text.startswith("-") or float(text) == 0 else f"+{text}"


def claims_page(table: pd.DataFrame, name: str) -> str:
    """claims.md: claim by claim whether it is seen here."""
    counts = table["verdict"].value_counts()
    summary = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    body = [
        [
            r.claim,
            r.paper,
            r.compared or None,
            _signed(r.difference, 1),
            layout.between(r.low, r.high, 1),
            r.verdict,
        ]
        for r in table.itertuples()
    ]
    head = ["claim", "the paper's figures", "compared here", "difference", "95 %", "verdict"]
    return (
        f"# Is it seen here? The paper's claims on {name}\n\n"
        "Each claim as a difference of mean Pearson ×100 that should be positive, with a 95 % bootstrap interval over "
        "models, targets and probe draws. `seen`: the interval lies above zero; `the opposite`: below; `undecided`: it "
        "holds zero, so this bank cannot tell; `not measured`: the run lacks a method. Where several could be the next "
        f"best, the highest of them is compared. {summary}.\n\n"
        + layout.markdown(Grid(f"{len(table)} claims", head, [body], left=3))
    )


_ABOUT = """# The paper's tables on {name}

Made by `python -m benchmark.paper path={path} out={out}`. Mean PC is Pearson ×100 between score and accuracy after
fine-tuning, mean over targets, ± sd over {draws} probe draws. `paper` is the published figure, Δ ours minus it. The
{whose} ± beside the paper's times is over transfers, as ours. Whether each claim is seen: claims.md.
"""
_OWN = """\
models, targets and ground truth here are this project's ({models} models, {targets} targets), so a difference is to be
read as the difference between two banks, not as an error. Rows named R-50 compare with this project's reference model,
which was trained on the target; the paper's other reference networks were not run."""
_THEIRS = """\
models, targets, probes and accuracies are the release's ({models} models, {targets} targets). Rows `(as released)`
compute what its code does, so that a difference there is one of machines (its ties depend on the BLAS); the other rows
follow the definitions, and differ because the release ranks equal label distances of PARC by their rounding, adds 1e-5
to every cell of NCE's joint distribution, lets all k neighbours count where their votes differ (5-NN), and subtracts
ln|Dᵗ| in the heuristic. Rows named R-50 compare with the released ResNet-50 that was trained on the target."""


def write(run: Run, out: Path, source: Path, diverse: Run | None = None, sizes: Run | None = None) -> pd.DataFrame:
    """paper.csv, paper.md, <table>.{csv,tex}, claims.{csv,md} and the figures, all or none; returns the claims."""
    out.mkdir(parents=True, exist_ok=True)
    with together():
        return _written(run, out, source, diverse, sizes)


def _written(run: Run, out: Path, source: Path, diverse: Run | None, sizes: Run | None) -> pd.DataFrame:
    table = records(run, diverse, sizes)
    made = grids(table, run.aligned.targets)
    save(table, out / "paper.csv")
    aligned = run.aligned
    whose = _THEIRS if any(m.endswith("_released") for m in aligned.methods) else _OWN
    about = _ABOUT.format(
        name=source.name,
        path=source,
        out=out,
        draws=len(aligned.runs),
        whose=whose.format(models=len(aligned.models), targets=len(aligned.targets)),
    )
    lacking = [] if diverse is not None else ["Table 5: no run of a crowd-sourced bank was given (diverse=<folder>)."]
    lacking += [] if sizes is not None else [f"Probe-size curves: no sweep was given (sizes=<folder>): {SIZES_COMMAND}"]
    put(
        out / "paper.md",
        about + "".join(f"\n- {line}" for line in lacking) + "\n\n" + "\n".join(map(layout.markdown, made.values())),
    )
    for name, grid in made.items():
        named = f"The paper's {grid.title}; Δ: ours less the paper's figure. Bold: the best."
        put(out / f"{name}.tex", latex(replace(grid, caption=named, label=name)))
    found = claims(run, sizes)
    save(found, out / "claims.csv")
    put(out / "claims.md", claims_page(found, source.name))
    _pictures(table, out)
    return found


def _pictures(table: pd.DataFrame, out: Path) -> None:
    """pca.png, time.png, sizes.png: ours filled, the paper's hollow and dashed."""
    plain = table[~table["row"].str.endswith(AS_RELEASED)]
    of = lambda name: plain[plain["table"] == name]  # noqa: E731
    pca = of("S2").query("column == 'mean'")
    pca = pca.assign(series=pca["row"].str.split(" f=").str[0], x=pca["row"].str.split("f=").str[1].astype(float))
    _lines(out / "pca.png", pca, "Mean PC by PCA dimensions f", "f")
    sizes = of("S-fig2a")
    sizes = sizes.assign(series=sizes["row"].str.replace("+l", "+ℓ"), x=sizes["column"].astype(float))
    if sizes["ours"].notna().any():
        _lines(out / "sizes.png", sizes, "Mean PC by probe size, all tweaks", "images in the probe set")
    plus = of("4")[of("4")["row"].str.contains("+l", regex=False) | of("4")["row"].str.startswith("PARC")]
    wide = pd.concat([of("1"), of("2b"), plus])
    wide = wide.pivot(index="row", columns="column", values=["ours", "paper"])
    points = pd.DataFrame(
        {"series": wide.index, **{f"{w}_{c}": wide[w, c].to_numpy() for w in ("ours", "paper") for c in ("mean", "ms")}}
    )
    _times(out / "time.png", points)


def _lines(path: Path, table: pd.DataFrame, title: str, label: str) -> None:
    from benchmark.scatter import digest_of, save, shows

    data = [
        [name, *part[["x", "ours", "paper"]].to_numpy(float).round(6).tolist()]
        for name, part in table.groupby("series")
    ]
    digest = digest_of([2, title, label, data])
    if shows(path, digest):
        return
    figure, axis = _axes(7.5, 4.6, title)
    colours = palette(table["series"].nunique())
    for i, (name, part) in enumerate(table.groupby("series", sort=False)):
        part = part.sort_values("x")
        colour = colours[i]
        known = part.dropna(subset="ours")
        axis.plot(known["x"], known["ours"], "o-", color=colour, label=name, markersize=5)
        axis.plot(part["x"], part["paper"], "o--", color=colour, markerfacecolor="white", alpha=0.6, markersize=5)
    axis.set_xscale("log", base=2)
    ticks = sorted(table["x"].unique())
    axis.set_xticks(ticks, [f"{x:g}" for x in ticks])
    axis.set_xlabel(label)
    axis.set_ylabel("Mean PC")
    axis.legend(
        fontsize=8,
        frameon=False,
        title="dashed, hollow: the paper",
        title_fontsize=8,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
    )
    save(figure, path, digest)


def _times(path: Path, points: pd.DataFrame) -> None:
    from benchmark.scatter import _MARKS, digest_of, save, shows

    numbers = points.drop(columns="series").to_numpy(float).round(6).tolist()
    digest = digest_of([3, points["series"].tolist(), numbers])
    if shows(path, digest):
        return
    figure, axis = _axes(8.5, 5.2, "Time against correlation (filled: this project; hollow: the paper)")
    colours = palette(len(points))
    for i, row in enumerate(points.itertuples()):
        colour, mark = colours[i], _MARKS[i % len(_MARKS)]
        style = {"marker": mark, "edgecolors": colour, "s": 42, "linewidths": 1.1}
        axis.scatter(row.ours_ms, row.ours_mean, facecolors=colour, label=row.series.replace("+l", "+ℓ"), **style)
        axis.scatter(row.paper_ms, row.paper_mean, facecolors="white", **style)
    axis.set_xscale("log")
    axis.set_xlabel("milliseconds per score")
    axis.set_ylabel("Mean PC")
    axis.legend(fontsize=7.5, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save(figure, path, digest)


def _axes(width: float, height: float, title: str) -> tuple:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110)
    FigureCanvasAgg(figure)
    axis = figure.add_axes((0.09, 0.13, 0.66, 0.77))
    axis.set_title(title, fontsize=11)
    axis.grid(alpha=0.25, linewidth=0.6)
    axis.tick_params(labelsize=8)
    return figure, axis


def main(argv: list[str] | None = None) -> int:
    from pydantic import Field

    from benchmark import cli
    from benchmark.config import ConfigError, Spec

    class Settings(Spec):
        path: Path = Field(Path("outputs/paper_mini"), description="folder of the run on the controlled bank")
        diverse: Path | None = Field(None, description="folder of a run on a crowd-sourced bank, for Table 5")
        sizes: Path | None = Field(None, description="folder of a sweep over probe.size, for the curves")
        out: Path = Field(Path("outputs/paper"), description="folder for the tables, the figures and claims.md")

    def run(settings: Settings) -> int:
        from threadpoolctl import threadpool_limits

        try:
            with threadpool_limits(1):
                others = {n: load(p) if (p := getattr(settings, n)) else None for n in ("diverse", "sizes")}
                found = write(load(settings.path), settings.out, settings.path, **others)
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from None
        for row in found.itertuples():
            print(f"{row.verdict:<13}{row.claim}")
        print(f"tables and figures in {settings.out}")
        return 0

    usage = "python -m benchmark.paper path=<run> out=<folder>: the paper's tables, each beside the published figures"
    return cli.settings(run, Settings, usage, argv)


if __name__ == "__main__":
    sys.exit(main())
