"""How many planted wrong labels `benchmark.ranking.mislabelled` finds on the features of finished rankings.

python scripts/results/planted_labels.py cache=.cache share=0.05

For every data set that was probed in the cache, on the features of its most accurate model (cross-validated): a share
of the labels is replaced by other classes at random, three times; precision is the share of the images found that were
planted, recall the share of the planted ones that were found. What a data set had wrong beforehand counts against the
precision.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pydantic import Field  # noqa: E402

from benchmark.cells.store import Store  # noqa: E402
from benchmark.config.cli import settings  # noqa: E402
from benchmark.config.spec import Spec  # noqa: E402
from benchmark.ranking import mislabelled  # noqa: E402

SEEDS = 3


class Settings(Spec):
    """What is looked at."""

    cache: Path = Field(Path(".cache"), description="the cache of finished rankings")
    share: float = Field(0.05, gt=0, lt=1, description="of the labels that is replaced")


def planted(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) of which a share was replaced by other classes, and which."""
    rng, wrong, classes = np.random.default_rng(seed), labels.copy(), np.unique(labels)
    chosen = rng.choice(len(labels), round(share * len(labels)), replace=False)
    for i in chosen:
        wrong[i] = rng.choice(classes[classes != labels[i]])
    return wrong, chosen


def best_probes(store: Store) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(data set, features, labels) of the probe that a linear head does best on, of each data set with one label."""
    of_pack: dict[bytes, list[tuple[np.ndarray, np.ndarray]]] = {}
    for folder in sorted((store.cache / "probe").iterdir()):
        arrays = store.read("probe", folder.name).arrays
        if arrays["labels"].ndim == 1:
            of_pack.setdefault(arrays["image_ids"].tobytes(), []).append((arrays["features"], arrays["labels"]))
    for probes in of_pack.values():
        widest = sorted(probes, key=lambda p: -p[0].shape[1])[:SEEDS]
        features, labels = max(widest, key=lambda p: float(np.mean(_right(*p))))
        yield f"{len(labels)} images, {len(np.unique(labels))} classes", features, labels


def _right(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    found = mislabelled.out_of_sample(mislabelled.principal(features), np.unique(labels, return_inverse=True)[1])
    return found.argmax(axis=1) == np.unique(labels, return_inverse=True)[1]


def run(asked: Settings) -> int:
    print("| data | accuracy of the head | planted | found | precision | recall |\n|:--|--:|--:|--:|--:|--:|")
    for name, features, labels in best_probes(Store(asked.cache, None)):
        rows = []
        for seed in range(SEEDS):
            wrong, chosen = planted(labels, asked.share, seed)
            found = [s.image for s in mislabelled.suspects(features, wrong) or ()]
            hits = len(set(found) & set(chosen.tolist()))
            rows.append((len(chosen), len(found), hits / max(len(found), 1), hits / len(chosen)))
        planted_n, found_n, precision, recall = np.mean(rows, axis=0)
        right = 100 * _right(features, labels).mean()
        print(f"| {name} | {right:.0f} % | {planted_n:.0f} | {found_n:.0f} | {precision:.2f} | {recall:.2f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(settings(run, Settings, __doc__ or ""))
