"""Measures of scores against accuracies in which each model counts so many times, for many counts at once.

Every measure is a sum over models or over pairs of models weighted by counts, so that ten thousand resamples are a few
matrix products. It equals the measure on the repeated rows: copies of a model tie with each other.
Letters: b counts, m models, q rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.stats import measures

MEASURES = (
    *("pearson", "kendall", "weighted_kendall", "spearman", "partial"),
    *("regret1", "regret3", "relative1", "relative3", "near_best"),
)
"""What `under_counts` knows. `partial`: Pearson ×100 once the static list is taken out of score and truth."""
NEAR = 0.5  # points: a pick that is this close to the best counts as the best
_SLAB = 1 << 22  # entries of the largest temporary array


def under_counts(
    counts: np.ndarray,
    scores: np.ndarray,
    truth: np.ndarray,
    static: np.ndarray | None = None,
    wanted: Sequence[str] = MEASURES,
) -> dict[str, np.ndarray]:
    """Measures of rows of scores under counts of models: name -> (b, q).

    counts   (b, m) non-negative integers; 0 and 1 make sub-pools, ones the plain measure
    scores, truth, static   (q, m); a missing value in scores or truth leaves the model out of that row
    returns  pearson and partial ×100; kendall τ_b, weighted_kendall (scipy's) and spearman in [-1, 1]; regret<k> in
             points: best - best of the k top-scored; relative<k> (any k): mean accuracy of the k top-scored in percent
             of the best; near_best: probability that the top-scored model is within half a point of the best
    NaN where fewer than three different models are left or a side is constant; selection needs one model only.
    Ties in the score: for regret1, relative<k>, near_best the expectation over random tie-breaking, for regret3 the
    mean of the luckiest and the unluckiest. A copy is as likely as any other to be the one pick; the k top-scored are
    k different models, each counted once.
    Cost O(b·m²) per row.
    """
    x, y = measures.paired(scores, truth)
    counts = np.asarray(counts, np.float32)
    found: dict[str, np.ndarray] = {}
    if "pearson" in wanted or "partial" in wanted:
        r = _pearson(counts, x, y)
        if "pearson" in wanted:
            found["pearson"] = 100 * r
        if "partial" in wanted and static is not None:
            found["partial"] = 100 * _partial(counts, x, y, static)
    if "kendall" in wanted:
        found["kendall"] = _kendall(counts, x, y)
    by_row = [name for name in wanted if name not in ("pearson", "partial", "kendall")]
    if by_row:
        blocks: dict[str, list[np.ndarray]] = {name: [] for name in by_row}
        for row_x, row_y in zip(x, y, strict=True):
            for name, value in _row(counts, row_x, row_y, by_row).items():
                blocks[name].append(value)
        found |= {name: np.stack(values, -1) for name, values in blocks.items()}
    return found


def _unit(x: np.ndarray) -> np.ndarray:
    """Centred, of unit spread and zero where missing: no correlation notices, and no digits are lost."""
    return np.nan_to_num(measures.standardise(x))


def _pearson(counts: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(b, q) in [-1, 1]; x and y (q, m) with the same gaps."""
    out = np.empty((len(counts), len(x)))
    weight = counts.astype(float)
    step = max(1, _SLAB // len(counts))
    for i in range(0, len(x), step):
        a, b, there = _unit(x[i : i + step]), _unit(y[i : i + step]), np.isfinite(x[i : i + step]).astype(float)
        n, distinct = weight @ there.T, (weight > 0).astype(float) @ there.T
        sa, sb = weight @ a.T, weight @ b.T
        va, vb = n * (weight @ (a * a).T) - sa * sa, n * (weight @ (b * b).T) - sb * sb
        with np.errstate(invalid="ignore", divide="ignore"):
            r = (n * (weight @ (a * b).T) - sa * sb) / np.sqrt(va * vb)
        ok = (distinct >= measures.FEWEST) & (va > 1e-10 * n * n) & (vb > 1e-10 * n * n)
        out[:, i : i + step] = np.where(ok, np.clip(r, -1, 1), np.nan)
    return out


def _partial(counts: np.ndarray, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Partial correlation of x and y given z; NaN where z explains either side whole."""
    gap = ~(np.isfinite(x) & np.isfinite(z))
    x, y, z = (np.where(gap, np.nan, part) for part in (x, y, z))
    xy, xz, yz = _pearson(counts, x, y), _pearson(counts, x, z), _pearson(counts, y, z)
    left = (1 - xz**2) * (1 - yz**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(left > 1e-9, np.clip((xy - xz * yz) / np.sqrt(left), -1, 1), np.nan)


def _kendall(counts: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """τ_b (b, q). Pairs of models as columns: numerators and tie counts are products of small integers, so exact."""
    first, second = np.triu_indices(x.shape[1], 1)
    sx, sy = (_pair_signs(part, first, second) for part in (x, y))
    there = np.isfinite(x)
    both = there[:, first] & there[:, second]
    agree = sx * sy
    ux, which_x = np.unique(np.packbits((sx != 0) & both, axis=1), axis=0, return_inverse=True)
    uy, which_y = np.unique(np.packbits((sy != 0) & both, axis=1), axis=0, return_inverse=True)
    untied_x, untied_y = (np.unpackbits(u, axis=1, count=len(first)).astype(np.float32) for u in (ux, uy))
    out = np.empty((len(counts), len(x)))
    step = max(1, _SLAB // max(1, len(first)))
    for i in range(0, len(counts), step):
        weight = counts[i : i + step]
        pairs = weight[:, first] * weight[:, second]
        left = (pairs @ untied_x.T)[:, which_x.ravel()].astype(float)
        right = (pairs @ untied_y.T)[:, which_y.ravel()].astype(float)
        distinct = (weight > 0).astype(np.float32) @ there.T.astype(np.float32)
        with np.errstate(invalid="ignore", divide="ignore"):
            tau = (pairs @ agree.T) / np.sqrt(left * right)
        ok = (distinct >= measures.FEWEST) & (left > 0) & (right > 0)
        out[i : i + step] = np.where(ok, np.clip(tau, -1, 1), np.nan)
    return out


def _pair_signs(x: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    left, right = x[:, first], x[:, second]
    return (left > right).astype(np.float32) - (left < right).astype(np.float32)


def _row(counts: np.ndarray, x: np.ndarray, y: np.ndarray, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """The measures that need each row's own order: (b,) each; resamples in slabs that stay in the cache."""
    keep = np.isfinite(x)
    x, y, held = x[keep], y[keep], counts[:, keep]
    if not keep.any():
        return {name: np.full(len(counts), np.nan) for name in wanted}
    step = max(1, (1 << 16) // len(x))
    parts = [_slab(held[i : i + step], x, y, wanted) for i in range(0, len(held), step)]
    return {name: np.concatenate([part[name] for part in parts]) for name in wanted}


def _slab(w: np.ndarray, x: np.ndarray, y: np.ndarray, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    ranked = [name for name in wanted if name in ("weighted_kendall", "spearman")]
    if ranked:
        sx, sy = (measures.signs(part).astype(np.float32) for part in (x, y))
        ax, ay = np.abs(sx), np.abs(sy)
        plain = len(x) * (len(x) - 1)
        n = w.sum(1, keepdims=True)
        others_x = n - w if ax.sum() == plain else w @ ax
        others_y = n - w if ay.sum() == plain else w @ ay
        untied = ((w * others_x).sum(1) > 0) & ((w * others_y).sum(1) > 0)
        ok = ((w > 0).sum(1) >= measures.FEWEST) & untied
    if "weighted_kendall" in wanted:
        agree, total = w @ (sx * sy), 0.0
        for order in (np.lexsort((y, x))[::-1], np.lexsort((x, y))[::-1]):
            held = _harmonic(w[:, order])
            top, left, right = (np.einsum("bm,bm->b", held, part[:, order]) for part in (agree, others_x, others_y))
            with np.errstate(invalid="ignore", divide="ignore"):
                total = total + np.clip(top / np.sqrt(left) / np.sqrt(right), -1, 1) / 2
        found["weighted_kendall"] = np.where(ok, total, np.nan)
    if "spearman" in wanted:  # w·sgn is twice the centred average rank
        a, b = w @ sx, w @ sy
        with np.errstate(invalid="ignore", divide="ignore"):
            rho = (w * a * b).sum(1, dtype=float) / np.sqrt(
                (w * a * a).sum(1, dtype=float) * (w * b * b).sum(1, dtype=float)
            )
        found["spearman"] = np.where(ok, np.clip(rho, -1, 1), np.nan)
    if len(found) < len(wanted):
        chosen = _selection(w, x, y, wanted)
        found |= {name: chosen[name] for name in wanted if name in chosen}
    return found


def _harmonic(w: np.ndarray) -> np.ndarray:
    """Σ 1/(1 + rank) over the copies of each model, models in the order of their rank; w (b, m) counts."""
    last = np.cumsum(w, 1).astype(np.int64)
    table = np.concatenate([[0.0], np.cumsum(1 / np.arange(1.0, last.max() + 1))])
    return table[last] - table[last - w.astype(np.int64)]


def _selection(w: np.ndarray, x: np.ndarray, y: np.ndarray, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """What picking the top-scored model or models costs: see `under_counts`. NaN where the resample has no model."""
    order = np.lexsort((y, x))[::-1]
    w, x, y = w[:, order], x[order], y[order]
    there = w > 0
    some = there.any(1)
    best = np.where(there, y, -np.inf).max(1)
    group = np.concatenate([[0], np.cumsum(x[1:] != x[:-1])])
    tied = group[-1] + 1 < len(x)
    first = there.argmax(1)
    picked = np.where(group == group[first][:, None], w, 0) if tied else w
    found = {}

    def chosen(values: np.ndarray) -> np.ndarray:
        """Expected value of (b, m) or (m,) values at the top-scored model."""
        if not tied:
            return np.broadcast_to(values, w.shape)[np.arange(len(w)), first]
        return (picked * values).sum(1) / np.maximum(picked.sum(1), 1)

    with np.errstate(invalid="ignore"):
        found["regret1"] = best - chosen(y)
        if "near_best" in wanted:
            found["near_best"] = chosen((y >= best[:, None] - NEAR - 1e-9).astype(float))
        for name in (n for n in wanted if n.startswith("relative")):
            k = int(name.removeprefix("relative"))
            share = _top_share(there, group, k) if tied else there & (np.cumsum(there, 1) <= k)
            found[name] = 100 * (share * y).sum(1) / np.maximum(share.sum(1), 1e-9) / best
        if "regret3" in wanted:
            lucky = best - np.where(there & (np.cumsum(there, 1) <= 3), y, -np.inf).max(1)
            if tied:
                worst = np.lexsort((-y, x))[::-1]
                seen = there[:, worst]
                unlucky = best - np.where(seen & (np.cumsum(seen, 1) <= 3), y[worst], -np.inf).max(1)
                lucky = (lucky + unlucky) / 2
            found["regret3"] = lucky
    return {name: np.where(some, value, np.nan) for name, value in found.items()}


def _top_share(there: np.ndarray, group: np.ndarray, k: int) -> np.ndarray:
    """Probability of each present model to be among the k top-scored when ties are broken at random."""
    member = (group[:, None] == np.arange(group[-1] + 1)).astype(float)
    size = there @ member
    room = np.clip(k - (np.cumsum(size, 1) - size), 0, size)
    chance = np.divide(room, size, out=np.zeros_like(size), where=size > 0)
    return there * (chance @ member.T)
