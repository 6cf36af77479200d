"""Measures of agreement between a score and an accuracy, over arrays whose last axis is models.

Every measure is higher for better agreement. Pearson is times 100, the others lie in [-1, 1]. Missing values
are NaN (or infinite) and leave the model out; nothing is imputed. A measure is NaN where fewer than three
models are left or where either side is constant. Letters: m models, t targets, r draws, s fine-tuning seeds.
"""

import numpy as np

MEASURES = ("pearson", "kendall", "weighted_kendall", "spearman")
FEWEST = 3  # two models always correlate perfectly
_CHUNK = 1 << 22  # entries of one (rows, m, m) array of signs: about 4 MB each


def pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson's correlation times 100 along the last axis; x and y (..., m) broadcast."""
    x, y = paired(x, y)
    dx, dy = _deviations(x), _deviations(y)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (dx * dy).sum(-1) / np.sqrt((dx**2).sum(-1) * (dy**2).sum(-1))
    return np.where(defined(x, y), 100 * np.clip(r, -1, 1), np.nan)


def kendall(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Kendall's tau-b along the last axis, ties taken out of the denominator."""
    return rank_measures(x, y)["kendall"]


def weighted_kendall(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weighted tau as scipy.stats.weightedtau defines it by default: see `rank_measures`."""
    return rank_measures(x, y)["weighted_kendall"]


def spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's correlation along the last axis, ties given their average rank."""
    return rank_measures(x, y)["spearman"]


def measures(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """All of MEASURES at once, each of the broadcast shape without the last axis. O(m²) per row."""
    return {"pearson": pearson(x, y), **rank_measures(x, y)}


def rank_measures(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Kendall's tau-b, weighted tau and Spearman from one pass over the pairs of models.

    With A_ij = sgn(x_i - x_j), B likewise for y, and row sums a, b of A, B and c, p, q of A∘B, A∘A, B∘B:
    tau_b = Σc / sqrt(Σp Σq); Spearman = Σab / sqrt(Σa² Σb²), for a_i is twice the centred average rank;
    weighted tau = Σwc / sqrt(Σwp Σwq) with w_i = 1/(1 + rank), averaged over the ranks by decreasing
    (x, then y) and by decreasing (y, then x) (scipy's additive hyperbolic weigher, rank=True).
    """
    x, y = paired(x, y)
    shape, m = x.shape[:-1], x.shape[-1]
    rows_x, rows_y = x.reshape(-1, m), y.reshape(-1, m)
    step = max(1, _CHUNK // max(1, m * m))
    parts = [_ranks_of(rows_x[i : i + step], rows_y[i : i + step]) for i in range(0, len(rows_x), step)]
    ok = defined(x, y)
    names = ("kendall", "weighted_kendall", "spearman")
    if not parts:
        return {name: np.full(shape, np.nan) for name in names}
    return {
        name: np.where(ok, np.concatenate([part[k] for part in parts]).reshape(shape), np.nan)
        for k, name in enumerate(names)
    }


def paired(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Broadcast x and y and set both to NaN wherever either is not finite."""
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    both = np.isfinite(x) & np.isfinite(y)
    return np.where(both, x, np.nan), np.where(both, y, np.nan)


def defined(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where a correlation of the paired x and y exists: three models or more and neither side constant."""
    return (np.isfinite(x).sum(-1) >= FEWEST) & ~constant(x) & ~constant(y)


def constant(x: np.ndarray) -> np.ndarray:
    """Whether the finite values of the last axis are equal up to rounding (1e-12 of the largest)."""
    finite = np.isfinite(x)
    high = np.where(finite, x, -np.inf).max(-1, initial=-np.inf)
    low = np.where(finite, x, np.inf).min(-1, initial=np.inf)
    largest = np.where(finite, np.abs(x), 0).max(-1, initial=0)
    with np.errstate(invalid="ignore"):
        return ~(high - low > 1e-12 * largest)


def signs(x: np.ndarray) -> np.ndarray:
    """sgn(x_i - x_j) as int8 (..., m, m); zero for ties and for pairs with a missing value."""
    left, right = x[..., :, None], x[..., None, :]
    return (left > right).view(np.int8) - (left < right).view(np.int8)


def descending(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rank 0, 1, … of each model by decreasing (x, then y); missing values come last."""
    keys = (np.where(np.isfinite(y), y, -np.inf), np.where(np.isfinite(x), x, -np.inf))
    order = np.lexsort(keys, axis=-1)[..., ::-1]
    ranks = np.empty(order.shape, np.int64)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(order.shape[-1]), order.shape), axis=-1)
    return ranks


def standardise(x: np.ndarray, axis: int = -1, ddof: int = 0) -> np.ndarray:
    """(x - mean) / sd over the finite values of an axis; NaN where they are constant or missing."""
    x = np.moveaxis(np.where(np.isfinite(x), x, np.nan), axis, -1)
    count = np.isfinite(x).sum(-1, keepdims=True)
    deviations = x - _mean(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.sqrt(np.nansum(deviations**2, -1, keepdims=True) / (count - ddof))
        z = np.where(constant(x)[..., None], np.nan, deviations / sd)
    return np.moveaxis(z, -1, axis)


def mean_elsewhere(z: np.ndarray) -> np.ndarray:
    """Each model's mean over all *other* targets, z (..., t, m); NaN where it has no other target."""
    finite = np.isfinite(z)
    values = np.where(finite, z, 0)
    count = finite.sum(-2, keepdims=True) - finite
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, (values.sum(-2, keepdims=True) - values) / count, np.nan)


def specific(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parts of score x and truth y, both (..., t, m), that are about one target.

    Over the cells where both exist: standardise within each target over its models (ddof 0), then take from
    each model its mean over all other targets. A model without another target is left out. Rounded to 1e-12
    so that equal residuals tie. A score that is the same for a model on every target has no such part: NaN
    (self-transfers leave each target another set of models, so its residuals would be an artefact, not 0).
    """
    x, y = paired(x, y)
    moves = ~np.all(constant(np.swapaxes(x, -1, -2)), axis=-1, keepdims=True)  # some score differs between targets
    zx, zy = standardise(x), standardise(y)
    zx = np.where(moves[..., None], zx, np.nan)
    zx, zy = paired(zx, zy)
    return np.round(zx - mean_elsewhere(zx), 12), np.round(zy - mean_elsewhere(zy), 12)


def static_list(truth: np.ndarray) -> np.ndarray:
    """The score (t, m) of a list that never looks at the target: mean standardised accuracy elsewhere.

    truth (t, m) accuracies, NaN where there is none. Accuracies are standardised within each target over
    its models (ddof 0); a model's score on a target is its mean over all other targets.
    """
    return mean_elsewhere(standardise(truth))


def variance_shares(truth: np.ndarray) -> dict[str, float]:
    """Shares of the variance of standardised accuracy: model, model × target, seed. They sum to 1.

    truth     (s, t, m) accuracy by fine-tuning seed, NaN where missing; s = 1 gives noise NaN, and then
              "specific" is what is left beside the model, noise included
    returns   model     agreement between targets: mean covariance of the same models' standardised
                        accuracies over all pairs of targets (at least three models in common)
              specific  model × target: what is left
              noise     between seeds of the same cell (ddof 1)
    Standardised: divided by the target's standard deviation of a single run, √(variance of the cells'
    means + noise·(1 - 1/s)), with ddof 1. Method of moments: a share may be slightly negative.
    """
    truth = np.where(np.isfinite(truth), truth, np.nan)
    seeds = np.isfinite(truth).sum(0)
    cell = np.divide(np.nansum(truth, 0), seeds, out=np.full(seeds.shape, np.nan), where=seeds > 0)
    repeated = seeds > 1
    within = np.divide(np.nansum((truth - cell) ** 2, 0), seeds - 1, out=np.full(seeds.shape, np.nan), where=repeated)
    noise = _mean(within)[:, 0]  # per target, in points²
    known = np.where(np.isfinite(noise), noise, 0.0)
    share_lost = 1 - _mean(np.where(seeds > 0, 1 / np.maximum(seeds, 1), np.nan))[:, 0]
    total = variance(cell) + known * share_lost
    models, targets = [], range(len(cell))
    for i in targets:
        for j in targets[i + 1 :]:
            a, b = paired(cell[i], cell[j])
            count = np.isfinite(a).sum()
            if count >= FEWEST and total[i] > 0 and total[j] > 0:
                products = np.nansum(_deviations(a) * _deviations(b)) / (count - 1)
                models.append(products / np.sqrt(total[i] * total[j]))
    model = float(np.mean(models)) if models else float("nan")
    if not repeated.any():
        return {"model": model, "specific": 1 - model, "noise": float("nan")}
    share = float(np.nanmean(noise / total))
    return {"model": model, "specific": 1 - model - share, "noise": share}


def over_draws(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (ddof 0) over the first axis, of the draws where the value exists.

    A single draw has no standard deviation: NaN, not 0.
    """
    mean = nanmean(values, 0)
    spread = np.sqrt(nanmean((values - mean) ** 2, 0))
    return mean, np.where(np.isfinite(values).sum(0) > 1, spread, np.nan)


def of_random_orders(truth: np.ndarray) -> np.ndarray:
    """(..., t): what each of MEASURES is on average over all orders of the models: 0 where it is defined, else NaN.

    Exact for Pearson, Kendall and Spearman, which an order and its reverse have with opposite signs, and for weighted
    τ where no accuracies tie (exchanging two models turns the sign of their pair and of no weight). Ties of accuracy
    are broken by the score there, which lifts its true mean by a hundredth or two on banks that are full of them.
    """
    return np.where(defined(truth, truth), 0.0, np.nan)


def sd_of_random_orders(truth: np.ndarray) -> float:
    """Standard deviation of a single random order's mean Pearson ×100 over targets; truth (t, m).

    Over all orders of m models Pearson's r has variance 1/(m - 1) (Pitman 1937); targets are ordered independently.
    """
    models = np.isfinite(truth).sum(-1)[np.isfinite(of_random_orders(truth))]
    return float(100 * np.sqrt((1 / (models - 1)).sum()) / len(models)) if len(models) else float("nan")


def nanmean(x: np.ndarray, axis: int) -> np.ndarray:
    """Mean over the finite values of an axis; NaN (without a warning) where there are none."""
    finite = np.isfinite(x)
    count = finite.sum(axis)
    total = np.where(finite, x, 0).sum(axis)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


def _mean(x: np.ndarray) -> np.ndarray:
    return nanmean(x, -1)[..., None]


def _deviations(x: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(x), x - _mean(x), 0)


def variance(x: np.ndarray) -> np.ndarray:
    """Variance (ddof 1) over the finite values of the last axis; NaN for fewer than two."""
    count = np.isfinite(x).sum(-1)
    return np.divide((_deviations(x) ** 2).sum(-1), count - 1, out=np.full(count.shape, np.nan), where=count > 1)


def _ranks_of(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sx, sy = signs(x), signs(y)
    agree = (sx * sy).sum(-1, dtype=np.int32)
    untied_x = (sx != 0).sum(-1, dtype=np.int32)
    untied_y = (sy != 0).sum(-1, dtype=np.int32)
    a, b = sx.sum(-1, dtype=np.int32).astype(float), sy.sum(-1, dtype=np.int32).astype(float)

    def tau(weight: np.ndarray) -> np.ndarray:
        top, left, right = ((weight * part).sum(-1) for part in (agree, untied_x, untied_y))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.clip(top / np.sqrt(left) / np.sqrt(right), -1, 1)

    weighted = (tau(1 / (1 + descending(x, y))) + tau(1 / (1 + descending(y, x)))) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = (a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    return tau(np.ones(x.shape)), weighted, np.clip(rho, -1, 1)
