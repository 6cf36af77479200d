"""Finished tables that lie in a folder: those that come with the project under results/, or a run's own output.

A folder holds scores.parquet (a row a model, target and probe draw), truth.parquet, seeds.parquet (the truth seed by
seed), status.parquet, times.csv, and in provenance.json the whole experiment that made them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.config.experiment import Experiment, ProbeSpec
from benchmark.config.functions import DataSpec, MethodSpec
from benchmark.config.model import ModelSpec
from benchmark.config.recipe import RecipeSpec
from benchmark.errors import ConfigError, did_you_mean
from benchmark.files import record
from benchmark.places import shipped
from benchmark.tables import columns, reading
from benchmark.tables.gather import without_vacuous

RESULTS = "results"
ALIASES = {group: ("adapter", "_target_") for group in ("target", "source")} | {"method": ("function_path", "_target_")}
"""What a field of a specification is called in a record, and where it is read again."""


@dataclass(frozen=True)
class Committed:
    """The tables of one folder.

    scores  Run, Model, Architecture, Source Dataset, Target Dataset, facts of the models, a column a method
    truth   Oracle, the accuracy after fine-tuning in percent, mean over seeds; seeds  the same seed by seed
    status  scores that are not ok, with the reason
    times   milliseconds a method, as the machine that made the table took them; None where they are not kept
    inputs  method -> the arrays that it takes
    """

    folder: Path
    scores: pd.DataFrame
    truth: pd.DataFrame
    seeds: pd.DataFrame
    status: pd.DataFrame
    times: pd.DataFrame | None
    inputs: Mapping[str, list[str]]
    provenance: Mapping[str, Any]

    @property
    def name(self) -> str:
        """results/<name> for what comes with the project, the folder itself for others."""
        root = shipped(RESULTS)
        inside = self.folder.is_relative_to(root)
        return f"{RESULTS}/{self.folder.relative_to(root).as_posix()}" if inside else str(self.folder)

    @property
    def sound(self) -> pd.DataFrame:
        """The scores, those with a status other than ok made missing."""
        return without_vacuous(self.scores, self.status)

    @cached_property
    def methods(self) -> dict[str, MethodSpec]:
        """The methods whose scores it holds, as they were specified."""
        held = set(self.scores.columns)
        return {name: spec for name, spec in self._specs("method", MethodSpec).items() if name in held}

    @cached_property
    def bank(self) -> dict[str, ModelSpec]:
        return self._specs("bank", ModelSpec)

    @cached_property
    def target(self) -> dict[str, DataSpec]:
        return self._specs("target", DataSpec)

    @cached_property
    def probe(self) -> ProbeSpec:
        return ProbeSpec.model_validate(self._experiment["probe"])

    @cached_property
    def recipe(self) -> RecipeSpec:
        return RecipeSpec.model_validate(self._experiment["recipe"])

    def experiment(self, target: str, model: str) -> Experiment:
        """What was done for one model on one target, with the paths of today's defaults."""
        for name, group in ((target, self.target), (model, self.bank)):
            if name not in group:
                raise ConfigError(f"{name} must be among what {self.name} holds. {did_you_mean(name, group)}")
        known = self._specs("source", DataSpec) | self.target
        plain = next(m for m in self.methods.values() if m.needs == ("features", "labels"))
        return Experiment(
            bank={model: self.bank[model]},
            target={target: self.target[target]},
            source={name: data for name, data in known.items() if name != target},
            method={plain.name: plain},
            recipe=self.recipe.model_copy(update={"seeds_on": {}, "rate_on": ()}),
            probe=self.probe,
        )

    @property
    def _experiment(self) -> Mapping[str, Any]:
        return self.provenance["experiments"][0]

    def _specs(self, group: str, schema: Any) -> dict[str, Any]:
        old, new = ALIASES.get(group, ("", ""))
        entries = self._experiment[group]
        try:
            return {
                n: schema.model_validate({new if k == old else k: v for k, v in entries[n].items()}) for n in entries
            }
        except ValueError as error:
            raise ConfigError(
                f"{self.folder}/provenance.json must be of this version of the project. Got a {group} that it cannot "
                f"read ({str(error).splitlines()[0]}). Run that experiment again."
            ) from None


def names() -> list[str]:
    """What lies under results/ with scores and the experiment behind them."""
    found = shipped(RESULTS).glob("*/scores.parquet")
    return sorted(p.parent.name for p in found if (p.parent / "provenance.json").is_file())


def place(which: str | Path) -> Path:
    """The folder of a name under results/, or of a path; raises ConfigError where there are no tables."""
    known = shipped(RESULTS) / which
    folder = known if str(which) in names() else Path(which)
    if (folder / "scores.parquet").is_file() and (folder / "truth.parquet").is_file():
        return folder.resolve()
    got = "a folder without them" if folder.is_dir() else "nothing of that name"
    raise ConfigError(
        f"results must be a folder with scores.parquet and truth.parquet, or one of {', '.join(names())}. "
        f"Got '{which}': {got}. {did_you_mean(str(which), names())}"
    )


def read(which: str | Path) -> Committed:
    """The tables of a name under results/ or of a folder."""
    folder = place(which)
    tables = {}
    for name in ("scores", "truth", "seeds", "status"):
        path = folder / f"{name}.parquet"
        tables[name] = reading.table(path, columns.NAMES, rows=False) if path.is_file() else pd.DataFrame()
    about, origin, times = (folder / name for name in ("report.json", "provenance.json", "times.csv"))
    return Committed(
        folder=folder,
        **tables,
        times=kept_times(times),
        inputs=record(about).get("inputs", {}) if about.is_file() else {},
        provenance=json.loads(origin.read_text(encoding="utf-8")) if origin.is_file() else {},
    )


def kept_times(path: Path) -> pd.DataFrame | None:
    """times.csv, which stays where single timings are not kept; its milliseconds were once what is shared_milliseconds.

    None where there is no such file.
    """
    if not path.is_file():
        return None
    table = reading.table(path, rows=False)
    new = {"milliseconds": "shared_milliseconds", "milliseconds_sd": "shared_milliseconds_sd"}
    return table if "shared_milliseconds" in table else table.rename(columns=new)
