"""Every figure of the paper's tables from runs of this project, beside the printed one and their difference.

The printed figures lie in paper_figures.csv (table, row, column, value, sd)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.reporting import report
from benchmark.reporting.folder import read
from benchmark.stats import alignment, correlations, measures, resampling, yardsticks
from benchmark.stats.alignment import Aligned
from benchmark.tables.columns import ATTRIBUTES, PAPER_LONGEST
from benchmark.tables.gather import without_vacuous

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
CHOSEN_DIMS = {"parc": "parc_f32", "rsa": "rsa_f64", "dds": "dds_f64", "hscore": "hscore_f32"}
"""Figure S2b names methods without f, but its times at 500 images are those of Table 4's forms: what Table 4 chose."""
SIZES_COMMAND = "python -m benchmark.run -m experiment=paper_mini_sizes probe.size=50,100,200,500"

AS_RELEASED = " (as released)"
"""Rows of a run on the released probes that compute what the release's code does, under `compat=parc`."""


@dataclass(frozen=True)
class Run:
    """A run's score and accuracy tables, joined; its correlations; milliseconds per method."""

    scores: pd.DataFrame
    truth: pd.DataFrame
    found: correlations.Correlations
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
        of = (method, "pearson", capacity, target)
        return self.found.mean(*of), self.found.sd(*of)

    @property
    def probe_images(self) -> str:
        """Images in a probe set, in words; the paper has 500."""
        if "Images" not in self.scores:
            return "The paper's probe sets have 500 images; how many these have is not recorded."
        low, high = int(self.scores["Images"].min()), int(self.scores["Images"].max())
        counted = f"{low}" if low == high else f"{low} to {high}"
        return f"A probe set has {counted} images here, 500 in the paper."

    def ms(self, method: str) -> tuple[float, float]:
        if self.times.empty or method not in self.times.index:
            return float("nan"), float("nan")
        if "milliseconds" not in self.times:  # a run from before the method alone was timed
            return float("nan"), float("nan")
        mean, deviation = self.times.loc[method, ["milliseconds", "milliseconds_sd"]]
        return float(mean), float(deviation)


def load(folder: Path) -> Run:
    """A run from the folder that `benchmark.reporting.folder.write` made."""
    tables, _ = read(folder)
    scores = yardsticks.with_yardsticks(without_vacuous(tables.scores, tables.status), tables.truth)
    times = report.times_of(tables)
    times = pd.DataFrame() if times is None else times.set_index("method")
    return Run(scores, tables.truth, correlations.correlate(scores, tables.truth), times)


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
    paper = published()
    ours: dict[tuple[str, str, str], tuple[float, float]] = {}
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
    modes = correlations.evaluation_modes(run.scores, run.truth).set_index(["method", "mode"])
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
    layers = alignment.layers_of_rows(run.scores, run.truth, [])
    rows = [(row, column_of(row)[0]) for row in dict.fromkeys(r for t, r, _ in published() if t == "S5")]
    here = [(row, method) for row, method in rows if run.has(method)]
    if layers is None or not here:
        return
    term, keys = layers / PAPER_LONGEST, [c for c in run.scores if c in ATTRIBUTES]
    for name, share in (("min-max", 1.0), ("min-max/4", 0.25)):
        table = run.scores[keys].copy()
        for _, method in here:
            values = run.scores[method]
            table[method] = (values - values.min()) / (values.max() - values.min()) + share * term
        found = correlations.correlate(table, run.truth, capacity=False)
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
            found = resampling.estimates(scores, run.aligned.truth, [f"relative{k}" for k in which])
            for k in which:
                mean, sd = measures.over_draws(measures.nanmean(found[f"relative{k}"][0], -1))
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
        method = CHOSEN_DIMS.get(method, method) if table == "S-fig2b" else method
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
