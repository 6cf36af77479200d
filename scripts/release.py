"""Write the released layer: the trained weights and the ground truth that an experiment needs, from this store.

    python scripts/release.py [experiment=diverse …]       # overrides as for benchmark.run

Weights become folders, rate choices and ground truth one zip each under results/released. What the store does not
hold is named, and nothing is written. The reference models of rsa and dds are left out: any machine trains them in
minutes.
"""

from __future__ import annotations

import sys

from benchmark import cli
from benchmark.config import Experiment
from benchmark.plan import plan
from benchmark.store import Store, export

RELEASED_STAGES = ("weights", "tune", "truth")


def release(experiments: list[Experiment]) -> int:
    """Export the cells of one experiment's plan; returns 1 where some are missing."""
    first = experiments[0]
    store, made = Store(first.paths.cache), plan(first)
    references = {t.reference for t in made.transfers}
    cells = [c for c in made.cells.values() if c.stage in RELEASED_STAGES and c.key not in references]
    missing = [c.label for c in cells if not store.has(c.stage, c.key)]
    if missing or made.unavailable:
        print(
            f"error: {len(missing)} cells are not in {first.paths.cache}: {', '.join(missing[:5])} …", file=sys.stderr
        )
        print("Run the experiment with paths.released=null first.", file=sys.stderr)
        return 1
    keys = {stage: [c.key for c in cells if c.stage == stage] for stage in RELEASED_STAGES}
    size = export(store, keys, first.paths.released)
    print(f"{', '.join(f'{len(k)} {s}' for s, k in keys.items())}: {size / 1e6:.1f} MB in {first.paths.released}")
    return 0


if __name__ == "__main__":
    given = sys.argv[1:] or ["experiment=diverse"]
    raise SystemExit(cli.experiments(release, __doc__, given))
