"""Ground truth first, for methods that learn from the accuracies on other targets: their cells are named after them."""

from __future__ import annotations

import sys
from dataclasses import replace

from benchmark.cells.plan import Plan
from benchmark.cells.store import Damaged, Store
from benchmark.config.experiment import Experiment
from benchmark.execution.compute import run as execute
from benchmark.execution.progress import Display


def truths(made: Plan, store: Store, first: Experiment) -> dict[str, float]:
    """The accuracies in percent of all transfers of a plan by the keys of their cells; those that are missing are made.

    One that fails is left out: the run itself tries again and tells.
    """
    bare = Plan(made.cells, [replace(transfer, scores={}) for transfer in made.transfers])
    wanted = list(dict.fromkeys(key for transfer in bare.transfers for key in transfer.truth))
    failed: dict[str, str] = {}
    while True:
        missing = [cell for cell in bare.missing(store) if cell.key not in failed]
        with Display(len(missing)) as display:
            failed |= execute(missing, made.cells, store, first.executor, display)
        try:
            return {key: float(store.read("truth", key).values["oracle"]) for key in wanted if key not in failed}
        except Damaged as found:
            for line in (made.told(found), *made.damaged(store, (("truth", key) for key in wanted))):
                print(line, file=sys.stderr)
