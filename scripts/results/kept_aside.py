"""What it costs in accuracy that a search keeps images aside to calibrate on, for its head on frozen features.

python scripts/results/kept_aside.py cache=.cache

For every data set that was probed in the cache, on the features of its most accurate model (cross-validated): a fifth
of the images is tested on, in turns, for five divisions; heads are fitted to all of the others, and to those that a
search would leave.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pydantic import Field  # noqa: E402
from sklearn.model_selection import StratifiedKFold  # noqa: E402

from benchmark.cells.store import Store  # noqa: E402
from benchmark.config.cli import settings  # noqa: E402
from benchmark.config.spec import Spec  # noqa: E402
from benchmark.search import calibration, linear  # noqa: E402
from benchmark.search.arithmetic import held_out  # noqa: E402
from benchmark.training.judging import parts  # noqa: E402

FOLDS, DIVISIONS, VALIDATION = 5, 5, 0.2


class Settings(Spec):
    """What is looked at."""

    cache: Path = Field(Path(".cache"), description="the cache of finished rankings")


def right(features: np.ndarray, labels: np.ndarray, fitted: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Which of the images `tested` a head gets right that is fitted to the images `fitted`."""
    head = linear.chosen(features[fitted], labels[fitted], None, int(labels.max()) + 1, VALIDATION)
    return head.outputs(features[tested]).argmax(axis=1) == labels[tested]


def cost(features: np.ndarray, labels: np.ndarray) -> tuple[float, float, float, int]:
    """Accuracy in percent of heads fitted to all and to what is left, the paired difference's standard error, and how
    many images are kept aside."""
    whole, less = np.zeros((DIVISIONS, len(labels))), np.zeros((DIVISIONS, len(labels)))
    for seed in range(DIVISIONS):
        for rest, tested in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(features, labels):
            left, aside = parts(labels[rest], lambda n: calibration.aside(n) or held_out(n, VALIDATION), None)
            whole[seed, tested] = right(features, labels, rest, tested)
            less[seed, tested] = right(features, labels, rest[left], tested)
    gap = (whole - less).mean(axis=0)
    return 100 * whole.mean(), 100 * less.mean(), 100 * gap.std(ddof=1) / len(gap) ** 0.5, len(aside)


def run(asked: Settings) -> int:
    from planted_labels import best_probes

    print("| data | fitted to all | without those kept aside | difference ± standard error | kept aside |")
    print("|:--|--:|--:|--:|--:|")
    for name, features, labels in best_probes(Store(asked.cache, None)):
        whole, less, error, aside = cost(features, np.unique(labels, return_inverse=True)[1])
        print(f"| {name} | {whole:.1f} % | {less:.1f} % | {whole - less:.1f} ± {error:.1f} | {aside} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(settings(run, Settings, __doc__ or ""))
