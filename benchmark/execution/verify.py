"""Fine-tune a few randomly chosen cells again and say how far they are from the stored ground truth."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace

import numpy as np
import pandas as pd

from benchmark.cells.plan import Plan
from benchmark.cells.store import Store
from benchmark.config.experiment import Experiment
from benchmark.execution.compute import run as execute
from benchmark.execution.progress import Display
from benchmark.files import put
from benchmark.provenance import seed_of


def verify(experiment: Experiment, made: Plan, store: Store) -> bool:
    """Compute `truth.verify` cells again, rate choice included, in a store of their own; True where all are near.

    Near means within `truth.tolerance` points of test accuracy: on another machine the last bits of arithmetic
    differ, and training carries them as far as another seed would.
    """
    spec = experiment.truth
    rows = [(t, seed, key) for t in made.transfers for seed, key in enumerate(t.truth) if store.has("truth", key)]
    rows = list({key: (t, seed, key) for t, seed, key in rows}.values())
    chosen = np.random.default_rng(seed_of("verify", spec.verify_seed)).permutation(len(rows))[: spec.verify]
    again = Store(store.cache / "verify")
    for folder in ("tune", "truth"):
        shutil.rmtree(again.cache / folder, ignore_errors=True)
    cells = {}
    for index in chosen:
        transfer, _, key = rows[index]
        for wanted in (transfer.tune, key):
            cells[wanted] = replace(made.cells[wanted], label=f"again: {made.cells[wanted].label}")
        for stage, need in made.cells[key].needs:
            if stage in ("pack", "weights") and not again.has(stage, need):
                for line in made.damaged(store, [(stage, need)]):
                    print(line, file=sys.stderr)
                _compute_if_absent(made, store, experiment, need)
                shutil.copytree(store.folder(stage, need), again.cache / stage / need)
    with Display(len(cells)) as display:
        failed = execute(list(cells.values()), made.cells, again, experiment.executor, display)
    table = pd.DataFrame(
        [
            {
                "Model": rows[i][0].model.name,
                "Target Dataset": rows[i][0].target.name,
                "Seed": rows[i][1],
                "Stored": store.read("truth", rows[i][2]).values["oracle"],
                "Again": np.nan if rows[i][2] in failed else again.read("truth", rows[i][2]).values["oracle"],
                "Stored on": store.read("truth", rows[i][2]).record["device"],
            }
            for i in chosen
        ]
    )
    table["Difference"] = table["Again"] - table["Stored"]
    experiment.paths.out.mkdir(parents=True, exist_ok=True)
    put(experiment.paths.out / "verify.csv", table.to_csv(index=False))
    near = int((table["Difference"].abs() <= spec.tolerance).sum())
    print(table.round(2).to_string(index=False))
    print(
        f"{near} of {len(table)} within {spec.tolerance} points; mean absolute difference "
        f"{table['Difference'].abs().mean():.2f}, largest {table['Difference'].abs().max():.2f}."
    )
    return near == len(table)


def _compute_if_absent(made: Plan, store: Store, experiment: Experiment, key: str) -> None:
    """A stored truth does not need its pack or weights here: make them, with what they need."""
    wanted: dict[str, None] = {}

    def collect(one: str) -> None:
        cell = made.cells[one]
        if not store.has(cell.stage, one):
            for _, need in cell.needs:
                collect(need)
            wanted[one] = None

    collect(key)
    with Display(len(wanted)) as display:
        execute([made.cells[k] for k in wanted], made.cells, store, experiment.executor, display)
