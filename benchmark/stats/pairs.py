"""Paired tests between methods: which pairs are compared together, and what each comparison says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmark.stats import measures, resampling, significance
from benchmark.stats.alignment import Aligned
from benchmark.tables.columns import at_random
from benchmark.wording import some

LEVEL = 0.05
TESTED = ("pearson", "kendall")
REFERENCE = "static_list"
FEWEST = 6  # models on every target: of fewer, most resamples repeat the whole and an interval says nothing


def families(aligned: Aligned, yardsticks: Sequence[str], focal: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
    """Which pairs are tested together: Holm's correction is over the pairs of a family."""
    methods = aligned.methods
    if np.isfinite(aligned.truth).sum(-1).min() < FEWEST:
        return {}
    if focal:
        chance = set(at_random(methods).tolist())  # no order to compare with, but the mean over all
        mine = [methods.index(name) for name in focal]
        others = [k for k in range(len(methods)) if k not in {*mine, *chance}]
        pairs = [(i, j) for i in mine for j in others]
        return {"focal": [*pairs, *((i, j) for a, i in enumerate(mine) for j in mine[a + 1 :])]}
    ours = [k for k, name in enumerate(methods) if name not in yardsticks]
    found = {"estimators": [(i, j) for a, i in enumerate(ours) for j in ours[a + 1 :]]}
    reference = methods.index(REFERENCE) if REFERENCE in methods else None
    return found | {"static list": [(i, reference) for i in ours] if reference is not None else []}


def tests(aligned: Aligned, plain: dict, moved: dict, wanted: dict[str, list[tuple[int, int]]]) -> pd.DataFrame:
    """`Evidence.tests` of the pairs in each family, from estimates (k, r, t) and their bootstrap distributions.

    A pair that is not defined on the same targets is left out: means over different targets do not compare.
    """
    methods, records = aligned.methods, []
    for measure in TESTED:
        per_target = measures.nanmean(plain[measure], 1)  # (k, t)
        mean = measures.nanmean(measures.nanmean(plain[measure], -1), -1)
        for family, pairs in wanted.items():
            rows, p = [], []
            for i, j in pairs:
                if not np.array_equal(np.isfinite(per_target[i]), np.isfinite(per_target[j])):
                    continue
                if not np.isfinite(mean[i] - mean[j]):
                    continue
                i, j = (i, j) if family == "focal" or mean[i] >= mean[j] else (j, i)
                a, b = moved[measure][i], moved[measure][j]
                alone = [a[over] - b[over] for over in ("models", "targets", "draws")]
                p.append(significance.paired_p(mean[i] - mean[j], len(aligned.models), *alone))
                low, high, _ = resampling.interval(a["all"] - b["all"])
                signed = significance.wilcoxon(per_target[i] - per_target[j])
                rows.append((measure, family, methods[i], methods[j], mean[i] - mean[j], low, high, p[-1], signed))
            adjusted = significance.holm(np.array(p))
            records += [(*row[:8], a, row[8], bool(a < LEVEL)) for row, a in zip(rows, adjusted, strict=True)]
    columns = ["measure", "family", "first", "second", "difference", "low", "high", "p", "p_holm", "p_wilcoxon"]
    return pd.DataFrame(records, columns=[*columns, "supported"]).round(6)


def focal_sentences(aligned: Aligned, found: pd.DataFrame, focal: Sequence[str]) -> list[str]:
    """From which others each method in question is told apart by its mean Pearson."""
    pairs = found[(found["measure"] == "pearson") & (found["family"] == "focal")]
    if pairs.empty:
        return ["No interval and no test: no other method has the same targets, or a target has too few models."]
    t, r, m = len(aligned.targets), len(aligned.runs), len(aligned.models)
    sentences = []
    for name in focal:
        own = pairs[(pairs["first"] == name) & pairs["supported"]].sort_values("difference", key=abs, ascending=False)
        better, worse = (own.loc[own["difference"] * sign > 0, "second"].tolist() for sign in (1, -1))
        sentences.append(
            f"{name} (Pearson; paired bootstrap over {m} models, {t} target{'s' * (t != 1)}, {r} "
            f"draw{'s' * (r != 1)}; Holm over {len(pairs)} pairs at {100 * LEVEL:.0f} %): better than "
            f"{some(better, 8) or 'none'}; worse than {some(worse, 8) or 'none'}; the rest cannot be told from it."
        )
    return sentences
