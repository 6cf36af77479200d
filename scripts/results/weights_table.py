"""The recipes and fingerprints of the weights that an experiment trains: weights.csv in paths.out.

    python scripts/results/weights_table.py experiment=small paths.out=results/small   # overrides as for benchmark.run

A row per model. `key` names the cell and follows from everything that makes it; `sha256` is the weights file's, which
another processor or version may change in its last bits.
"""

from __future__ import annotations

import sys

import pandas as pd

from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.config import cli
from benchmark.config.experiment import Experiment
from benchmark.errors import ConfigError
from benchmark.files import digest
from benchmark.tables.columns import save


def table(experiment: Experiment) -> pd.DataFrame:
    """A row per model that the experiment trains: how, on what, to what accuracy (percent), where, which bytes."""
    store, made = Store(experiment.paths.cache, experiment.paths.released), plan(experiment)
    known = {t.model.name: (t.model, made.cells[t.probe].work["weights"]) for t in made.transfers}
    trained = {name: (model, key) for name, (model, key) in known.items() if key}
    missing = [name for name, (_, key) in trained.items() if not store.has("weights", key)]
    if missing:
        raise ConfigError(
            f"Weights must be in {experiment.paths.cache}. Not there: {', '.join(missing)}. Run it first."
        )
    rows = []
    for name, (model, key) in trained.items():
        entry = store.read("weights", key)
        rows.append(
            {
                "model": name,
                "architecture": model.arch,
                "start": model.init or "random",
                "source": model.source_data,
                "objective": model.objective,
                "steps": model.pretrain.steps,
                "batch": model.pretrain.batch,
                "rate": entry.values["rate"],
                "classes": entry.values["classes"],
                "train_images": entry.values["n_train"],
                "source_accuracy": entry.values["source_accuracy"],
                "images_per_second": round(entry.record["images_per_second"], 1),
                "seconds": round(entry.record["seconds"], 1),
                "device": entry.record["device"],
                "torch": entry.record["versions"]["torch"],
                "key": key,
                "sha256": digest(store.folder("weights", key) / "weights.safetensors"),
            }
        )
    return pd.DataFrame(rows)


def write(experiments: list[Experiment]) -> int:
    """weights.csv of the first experiment."""
    out = experiments[0].paths.out
    found = table(experiments[0])
    out.mkdir(parents=True, exist_ok=True)
    save(found, out / "weights.csv")
    print(f"{len(found)} models, {found['seconds'].sum() / 60:.0f} minutes of training: {out}/weights.csv")
    return 0


if __name__ == "__main__":
    raise SystemExit(cli.experiments(write, __doc__, sys.argv[1:]))
