"""Speed of the bootstrap: 10,000 resamples × 30 methods × 7 targets × 28 models, against a loop over scipy.

    python scripts/bench/bench_bootstrap.py

Prints seconds and how many times faster than resampling the rows and calling scipy for each, which is timed on
a few hundred calls and multiplied up.
"""

import time

import numpy as np
import scipy.stats
from threadpoolctl import threadpool_limits

from benchmark.stats import resampling, weighted

METHODS, TARGETS, MODELS = 30, 7, 28
LOOP = {
    "pearson": scipy.stats.pearsonr,
    "kendall": scipy.stats.kendalltau,
    "weighted_kendall": scipy.stats.weightedtau,
    "spearman": scipy.stats.spearmanr,
}


def naive(name: str, x: np.ndarray, y: np.ndarray, calls: int = 200) -> float:
    """Seconds that the loop takes for all resamples, from `calls` of them."""
    rng, start = np.random.default_rng(0), time.perf_counter()
    for _ in range(calls):
        rows = rng.integers(0, MODELS, MODELS)
        LOOP[name](x[rows], y[rows])
    return (time.perf_counter() - start) / calls * resampling.RESAMPLES * METHODS * TARGETS


def main() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(TARGETS, MODELS))
    scores = truth + rng.normal(size=(METHODS, 1, TARGETS, MODELS))
    counts = resampling.resamples(MODELS, TARGETS, 1)
    print(f"{resampling.RESAMPLES:,} resamples × {METHODS} methods × {TARGETS} targets × {MODELS} models")
    for wanted in [(name,) for name in weighted.MEASURES] + [("pearson", "kendall"), weighted.MEASURES]:
        start = time.perf_counter()
        for _ in resampling.distributions(scores, truth, counts, wanted):
            pass
        spent = time.perf_counter() - start
        title = wanted[0] if len(wanted) == 1 else "all measures" if len(wanted) > 2 else " + ".join(wanted)
        slow = f"{naive(wanted[0], scores[0, 0, 0], truth[0]) / spent:8.0f} × a scipy loop" if wanted[0] in LOOP else ""
        print(f"{title:<20}{spent:8.2f} s{slow if len(wanted) == 1 else ''}")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
