"""Write the released layer: trained weights and ground truth that experiments need, from this store.

    python scripts/release.py [-m experiment=diverse,small,rank …]       # overrides as for benchmark.run

The first experiment's weights become folders; the rate choices and ground truth of all become one zip each under
results/released. What the store does not hold is named, and nothing is written. The reference models of rsa and dds
are left out: any machine trains them in minutes.
"""

from __future__ import annotations

import sys

from benchmark import cli
from benchmark.config import Experiment
from benchmark.plan import plan
from benchmark.store import Store, export

RELEASED_STAGES = ("weights", "tune", "truth")


def release(experiments: list[Experiment]) -> int:
    """Export the cells of the experiments' plans; returns 1 where some are missing."""
    first = experiments[0]
    store, plans = Store(first.paths.cache), [plan(e) for e in experiments]
    references = {t.reference for made in plans for t in made.transfers}
    cells = {
        c.key: c
        for number, made in enumerate(plans)
        for c in made.cells.values()
        if c.stage in RELEASED_STAGES and c.key not in references and (c.stage != "weights" or number == 0)
    }
    missing = [c.label for c in cells.values() if not store.has(c.stage, c.key)]
    if missing or any(made.unavailable for made in plans):
        print(
            f"error: {len(missing)} cells are not in {first.paths.cache}: {', '.join(missing[:5])} …", file=sys.stderr
        )
        print("Run the experiments with paths.released=null first.", file=sys.stderr)
        return 1
    keys = {stage: [c.key for c in cells.values() if c.stage == stage] for stage in RELEASED_STAGES}
    size = export(store, keys, first.paths.released)
    print(f"{', '.join(f'{len(k)} {s}' for s, k in keys.items())}: {size / 1e6:.1f} MB in {first.paths.released}")
    return 0


if __name__ == "__main__":
    given = sys.argv[1:] or ["experiment=diverse"]
    raise SystemExit(cli.experiments(release, __doc__, given))
