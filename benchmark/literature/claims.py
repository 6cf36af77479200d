"""What the paper claims in words, each held against a run of this project: a contrast, its interval, a verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.literature.paper_grids import signed
from benchmark.literature.paper_tables import METHODS, Run, published
from benchmark.reporting import layout
from benchmark.reporting.layout import Grid
from benchmark.stats import correlations, measures, resampling
from benchmark.stats.alignment import Aligned

LEVEL = 0.95


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper as a difference of mean Pearson that should be positive.

    higher, lower  (method, with ℓ); of several in `lower` the highest counts (`the best of the others`)
    """

    title: str
    says: str
    higher: tuple[str, bool]
    lower: tuple[tuple[str, bool], ...]


OTHERS = tuple((name, True) for name in ("logistic", "knn", "rsa_f64", "dds_f64", "hscore_f32", "leep", "nce"))

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


def claims(run: Run, sizes: Run | None = None, number: int = resampling.RESAMPLES) -> pd.DataFrame:
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
    aligned: Aligned, first: tuple[str, bool], second: tuple[str, bool], number: int = resampling.RESAMPLES
) -> tuple[float, float, float]:
    """(difference, low, high) of mean Pearson between two variants (method, with ℓ), resampled together."""
    pair = [
        aligned.scores["pooled" if plus else "none"][aligned.methods.index(method)] for method, plus in (first, second)
    ]
    r, t, m = pair[0].shape
    counts = resampling.resamples(m, t, r, number)
    found = resampling.distributions(np.stack(pair), aligned.truth, counts, ("pearson",), keep=("all",))
    moved = [means["all"] for *_, means in found]
    plain = measures.nanmean(measures.nanmean(measures.pearson(np.stack(pair), aligned.truth), -1), -1)
    low, high, _ = resampling.interval(moved[0] - moved[1], LEVEL)
    return float(plain[0] - plain[1]), low, high


def _verdict(low: float, high: float) -> str:
    if not np.isfinite(low):
        return "not measured"
    return "seen" if low > 0 else "the opposite" if high < 0 else "undecided"


def _modes_claim(run: Run) -> tuple:
    """Results depend on the evaluation mode: agreement of the methods' orders between `source & arch` and the rest."""
    modes = correlations.evaluation_modes(run.scores, run.truth)
    methods = [m for m in METHODS.values() if run.has(m)]
    wide = modes.pivot(index="method", columns="mode", values="mean").reindex(methods)
    first = "source & arch"
    agreed = {mode: float(measures.kendall(wide[first], wide[mode])) for mode in wide.columns if mode != first}
    known = {mode: value for mode, value in agreed.items() if np.isfinite(value)}
    if not known:
        return "Results depend on the evaluation mode", "", "", *[float("nan")] * 3, "not measured"
    worst = min(known, key=lambda mode: known[mode])
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
    rows, paper = [], published()
    for name, method, row in (
        ("PARC f=32", "parc_f32", "PARC +l f=32"),
        ("1-NN", "knn", "1-NN CV +l"),
        ("Logistic", "logistic", "Logistic +l"),
    ):
        title = f"More probe images help {name} (+ℓ)"
        few, many = (paper["S-fig2a", row, n][0] for n in ("100", "5000"))
        said = f"{few:.1f} to {many:.1f} from 100 to 5,000"
        columns = [m for m in (sizes.aligned.methods if sizes else ()) if m.startswith(f"{method} @ probe.size=")]
        if sizes is None or len(columns) < 2 or "pooled" not in sizes.aligned.scores:
            rows.append((title, said, "", *[float("nan")] * 3, "not measured"))
            continue
        columns.sort(key=lambda c: int(c.rpartition("=")[2]))
        found = contrast(sizes.aligned, (columns[-1], True), (columns[0], True), number)
        compared = f"{columns[-1].partition('@ ')[2]} − {columns[0].partition('@ ')[2]}"
        rows.append((title, said, compared, *found, _verdict(*found[1:])))
    return rows


def claims_page(table: pd.DataFrame, name: str, images: str = "") -> str:
    """claims.md: claim by claim whether it is seen here. images: a sentence on the size of the probe sets."""
    counts = table["verdict"].value_counts()
    summary = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    body = [
        [
            r.claim,
            r.paper,
            r.compared or None,
            signed(r.difference, 1),
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
        f"best, the highest of them is compared. {images} {summary}.\n\n"
        + layout.markdown(Grid(f"{len(table)} claims", head, [body], left=3))
    )
