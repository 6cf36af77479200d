"""Weights & Biases, when `logger=wandb` asks for it. Whatever goes wrong there, no result is lost."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import pandas as pd

from benchmark.cells.keys import key_of
from benchmark.config.experiment import Experiment, LoggerSpec
from benchmark.tables.gather import Tables


def log(experiments: Sequence[Experiment], tables: Tables) -> bool:
    """Log configuration, per-cell results, tables and plots of a finished run or sweep; True where it worked.

    The run's group is the experiment, its id the content key of the configuration (of a sweep: of all its points),
    so that the same command resumes the same run. Offline with logger.mode=offline (files under the output folder;
    `wandb sync` later).
    """
    experiment = experiments[0]
    spec, out = experiment.logger or LoggerSpec(), experiment.paths.out
    points = [e.model_dump(mode="json", exclude={"logger", "dry_run"}) for e in experiments]
    config = points[0] if len(points) == 1 else {"points": points}
    try:
        os.environ.setdefault("WANDB_SILENT", "true")
        for kind in ("DATA", "CACHE"):  # not in the home folder, which may be one that nobody can write to
            os.environ.setdefault(f"WANDB_{kind}_DIR", str((out / "wandb").resolve()))
        import wandb

        run = wandb.init(
            project=spec.project,
            entity=spec.entity,
            mode=spec.mode,
            group=experiment.name,
            job_type="report",
            name=experiment.name,
            id=identity(points),
            resume="allow",
            tags=list(spec.tags),
            config=config,
            dir=str(out),
        )
        correlations = pd.read_csv(out / "correlations.csv")
        named = {name: getattr(tables, name) for name in ("scores", "truth", "seeds", "status", "timings")}
        for name, table in {**named, "correlations": correlations}.items():
            if len(table):
                run.log({name: wandb.Table(dataframe=table.astype(object).where(table.notna(), None))})
        for picture in sorted(out.glob("*.png")):
            run.log({picture.stem: wandb.Image(str(picture))})
        for row in correlations.itertuples():
            if row.target == "mean" and row.capacity == "none" and pd.notna(row.mean):
                run.summary[f"{row.method}/{row.measure}"] = row.mean
        run.finish()
    except Exception as error:  # a tracker must never cost a result
        print(f"warning: wandb failed, nothing else is affected ({type(error).__name__}: {error}).", file=sys.stderr)
        return False
    return True


def identity(points: Sequence[Mapping[str, object]]) -> str:
    """The id of a run: where its files lie and how many workers it had do not change it."""
    plain = [{k: v for k, v in point.items() if k not in ("paths", "executor")} for point in points]
    return key_of(plain[0] if len(plain) == 1 else {"points": plain})[:16]
