"""Finished experiments as DataFrames: those that come with the project, and one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.config.experiment import ProbeSpec
    from benchmark.tables.committed import Committed


@dataclass(frozen=True)
class Results:
    """The tables of a finished experiment; every accuracy in percent.

    name     results/<name>, or the folder
    scores   Run (the probe draw), Model, Architecture, Source Dataset, Target Dataset, Layers, Parameters, Images, and
             a column a method, higher predicts better; missing where the score says nothing
    truth    Model … Target Dataset, Oracle (accuracy after fine-tuning, mean over seeds), Seeds
    seeds    the same seed by seed, with Rate, the learning rate that was chosen
    status   the scores that say nothing, and why: Method, Run, Status, Reason
    times    milliseconds a score, a row a method; None where they were not kept
    methods  the columns of scores that are methods
    probe    size and draws of the probe sets
    """

    name: str
    scores: pd.DataFrame
    truth: pd.DataFrame
    seeds: pd.DataFrame
    status: pd.DataFrame
    times: pd.DataFrame | None
    held: Committed

    @property
    def methods(self) -> list[str]:
        from benchmark.tables.columns import method_columns

        return method_columns(self.scores)

    @property
    def probe(self) -> ProbeSpec:
        return self.held.probe

    def features(self, target: str, model: str, cache: str | Path = ".cache") -> pd.DataFrame:
        """The features of one model on one target's probe images, where they were released or computed here.

        cache    the folder of cells that `benchmark.run` keeps (paths.cache)
        returns  a row an image that is in any draw: the features 0 … d-1, `label` (or label_0 … of several),
                 `logit_0` … of the source head where there is one, and draw_0 … whether the image is in that draw;
                 indexed by the image's number in the target
        Raises ConfigError where they are not there, and says what computes them.
        """
        experiment = self.held.experiment(target, model)
        (transfer,) = plan(experiment, with_truth=False).transfers or (None,)
        store = Store(Path(cache), experiment.paths.released)
        if transfer is None or not store.has("probe", transfer.probe):
            raise ConfigError(
                f"features of {model} on {target} must be released, or in '{cache}'. Got neither. Compute them: "
                f"python -m benchmark.run experiment=<its name> target={target} 'include_models=[{model}]' "
                f"paths.cache={cache}."
            )
        return _frame(store.read("probe", transfer.probe).arrays)


def names() -> list[str]:
    """What lies under results/ and can be loaded."""
    from benchmark.tables import committed

    return committed.names()


def load(which: str | Path) -> Results:
    """See `benchmark.api.load_results`."""
    from benchmark.tables import committed

    try:
        held = committed.read(which)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return Results(held.name, held.sound, held.truth, held.seeds, held.status, held.times, held)


def _frame(arrays: dict[str, Any]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    labels = arrays["labels"]
    parts = [pd.DataFrame(arrays["features"])]
    parts.append(pd.DataFrame(labels).add_prefix("label_") if labels.ndim == 2 else pd.DataFrame({"label": labels}))
    if "logits" in arrays:
        parts.append(pd.DataFrame(arrays["logits"]).add_prefix("logit_"))
    draws = {name: np.isin(np.arange(len(labels)), arrays[name]) for name in sorted(arrays) if name.startswith("draw_")}
    frame = pd.concat([*parts, pd.DataFrame(draws)], axis=1)
    return frame.set_index(pd.Index(arrays["image_ids"], name="image"))
