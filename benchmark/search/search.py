"""Fine-tuning within a time budget: a head at once, trials of models and rates, the winner trained to the clock.

The network of the first model as it is, with a logistic head on its frozen features, is there within seconds. Where
there is time to look at others, two rounds of trials follow, each a whole fine-tuning of equal time on a part of the
training images, judged on the rest. What the ranking expected counts beside what a trial shows; none that is behind by
no more than noise is left out while there is time. The winner goes on from its trial until time is up. It or the head
comes out, whichever is better on images that neither was trained on; the test split chooses nothing. What is finished
lies in a folder of the output: a killed search goes on from there, and its clock counts the time that it has run.

Source: Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter optimization, AISTATS 2016.
Differs in that there are two rounds of equal time, rate and optimiser are searched along, and noise is reckoned with.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cells.contents import Damaged
from benchmark.cells.keys import key_of
from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.config.experiment import Experiment
from benchmark.config.functions import DataSpec
from benchmark.config.model import ModelSpec
from benchmark.errors import ConfigError, did_you_mean
from benchmark.execution.compute import run as execute
from benchmark.execution.progress import Display
from benchmark.search import processes
from benchmark.search.arithmetic import Expected
from benchmark.search.course import course
from benchmark.search.result import Result, finished
from benchmark.search.session import Candidate, Given, Session, Subject

if TYPE_CHECKING:
    from pandas import DataFrame

MOST = 12
"""Models that are tried at most."""
FEW = 3
"""Models that are not left out for being unlikely to be the best."""
SURE = 0.9
"""The probability of being the best from which on the first is not compared with others."""
HARDLY = 0.01
"""The probability of being the best from which on a model is worth a trial."""


def search(
    ranking: DataFrame,
    experiment: Experiment,
    store: Store,
    data: DataSpec,
    budget_seconds: float,
    out: Path,
    look: bool = True,
    calibrate: bool = True,
) -> Result:
    """Spend a budget on the best ranked models and end with a trained one.

    ranking         a row per model, the best first: `model` (of the experiment's bank); as far as there are:
                    `predicted_accuracy` and `relative_sd`, which count beside what trials show; `low` and `high`, a
                    model whose interval lies below the first's is left out; `best`, one that hardly is the best, too
    data            the data set; its pack and the models' weights are made first where the store has none
    budget_seconds  from this call to the files in `out`; kept within 5 % (the final training follows the clock)
    out             gets model.safetensors (see benchmark.predict), confusion.csv and .png, log.txt, log.jsonl, and
                    `search/`, a folder a search, from which the same call goes on when it was killed; of a finished
                    one the files are put into `out` again
    look            False: no search; the first of the ranking, at the first rate, has the whole budget after its head
    calibrate       whether images are kept aside on which a final model is judged and its probabilities are calibrated
    Raises ConfigError for a ranking or a budget with which nothing can be trained.
    """
    begun, out = time.monotonic(), Path(out)
    if not budget_seconds > 0:
        raise ConfigError(f"budget must be more than 0 seconds. Got {budget_seconds}. Give for example 30m.")
    names = contenders(ranking, experiment.bank)[: None if look else 1]
    made, candidates, pack = prepare(names, experiment, store, data)
    if {"predicted_accuracy", "relative_sd"} <= set(ranking.columns) and look:
        said = ranking.drop_duplicates("model").set_index("model")[["predicted_accuracy", "relative_sd"]].round(2)
        candidates = [replace(c, expected=Expected(*map(float, said.loc[c.spec.name]))) for c in candidates]
    facts = store.read("pack", pack).values
    sure = "best" in ranking.columns and float(ranking["best"].iloc[0]) >= SURE
    recipe = experiment.recipe.on(facts["train"], facts["size"])
    identity = {
        "pack": pack,
        "models": [[c.spec.identity(), c.spec.name] for c in candidates],
        "recipe": recipe.identity(),
        "budget": float(budget_seconds),
        "calibrate": calibrate,
        "sure": sure,
    } | ({"expected": [asdict(c.expected) for c in candidates if c.expected]} if look else {"look": False})
    folder = out / "search" / key_of(identity)[:16]
    if result := finished(folder, out):
        return result
    subject = Subject(
        data.name, store.folder("pack", pack), facts["train"], facts["test"], facts["class_names"], facts["multilabel"]
    )
    run, workers, threads = processes.runner(experiment.executor)
    of = {c.spec.name: c for c in candidates}
    given = Given(of, subject, recipe, float(budget_seconds), out, folder, workers, threads, calibrate, sure)
    session = Session(given, run, begun=begun)
    for text in made:
        session.log("out", text)
    return course(session, look)


def contenders(ranking: DataFrame, bank: Mapping[str, ModelSpec]) -> list[str]:
    """The ranked models that are worth a trial, the best first, `MOST` at most."""
    if "model" not in ranking.columns or not len(ranking):
        raise ConfigError(
            f"ranking must have a column model with one row at least. Got {len(ranking)} rows of "
            f"{', '.join(map(str, ranking.columns))}. Rank the models first."
        )
    names = list(dict.fromkeys(map(str, ranking["model"])))
    for name in names:
        if name not in bank:
            raise ConfigError(f"ranking must name models of the bank. Got '{name}'. {did_you_mean(name, bank)}")
    rows = ranking.drop_duplicates("model").set_index("model")
    if "best" in rows:
        names = [n for k, n in enumerate(names) if k < FEW or rows.loc[n, "best"] >= HARDLY]
    if {"low", "high"} <= set(ranking.columns):
        floor = rows["low"].iloc[0]
        names = [n for n in names if not rows.loc[n, "high"] < floor]
    return names[:MOST]


def prepare(
    names: Sequence[str], experiment: Experiment, store: Store, data: DataSpec
) -> tuple[list[str], list[Candidate], str]:
    """What is left out and why, the models with their weights, and the key of the pack; makes what the store lacks."""
    chosen = {n: experiment.bank[n] for n in names}
    made = plan(experiment.model_copy(update={"target": {data.name: data}, "bank": chosen}), with_truth=False)
    of_model = {t.model.name: made.cells[t.probe].work for t in made.transfers}
    probed = {t.model.name: _folder(store, t.probe) for t in made.transfers}
    out = [f"{n}: {made.unavailable.get(n, 'it was trained on this task')}" for n in names if n not in of_model]
    if not of_model:
        raise ConfigError(f"ranking must hold a model that is available. Got none: {'; '.join(out)}.")
    pack = next(iter(of_model.values()))["pack"]
    wanted = {pack} | {w["weights"] for w in of_model.values() if w["weights"]}
    for cell in reversed(made.cells.values()):
        if cell.key in wanted and not store.has(cell.stage, cell.key):
            wanted |= {key for _, key in cell.needs}
    missing = [c for c in made.cells.values() if c.key in wanted and not store.has(c.stage, c.key)]
    with Display(len(missing)) as display:
        failed = execute(missing, made.cells, store, experiment.executor, display)
    if pack in failed:
        raise ConfigError(failed[pack])
    out += [f"{n}: {failed[w['weights']]}" for n, w in of_model.items() if w["weights"] in failed]
    candidates = [
        Candidate(chosen[n], store.folder("weights", w["weights"]) if w["weights"] else None, probed=probed.get(n))
        for n, w in of_model.items()
        if w["weights"] not in failed
    ]
    if not candidates:
        raise ConfigError(f"ranking must hold a model that is available. Got none: {'; '.join(out)}.")
    return out, candidates, pack


def _folder(store: Store, probe: str) -> Path | None:
    """The folder of a probe that the store has; what is missing or damaged is done without."""
    try:
        return store.folder("probe", probe) if store.has("probe", probe) else None
    except Damaged:
        return None
