"""New methods beside finished tables: whether they may stand there, what is left to compute, and both in one table.

Scores stand beside each other only where models, targets, probes and ground truth are the same. That is read off the
specifications before anything is computed; the ground truth is compared number by number; and one cheap method of the
finished table, the witness, is computed again on every probe, which shows that images, seeds and features agree."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmark.cells.plan import Plan
from benchmark.cells.store import Store
from benchmark.config.experiment import Experiment
from benchmark.config.functions import MethodSpec
from benchmark.errors import ConfigError
from benchmark.tables import committed
from benchmark.tables.columns import TARGET
from benchmark.tables.committed import Committed
from benchmark.tables.gather import Tables
from benchmark.wording import some

RELEASED = "released"
CELL = ["Run", "Model", TARGET]
SAME_TRUTH = 1e-6
"""Points of accuracy by which the same ground truth may differ: what reading and writing it rounds."""
NEAR, MOST = 0.1, 0.02
"""The witness agrees on a probe where it moves by less than this share of its own spread; and may disagree on this
share of them, since last digits of features differ between processors."""


@dataclass(frozen=True)
class Focus:
    """What is in question: methods that a finished table lacks.

    methods  their names; experiments: to be computed, with them and the witness alone
    """

    held: Committed
    methods: tuple[str, ...]
    witness: MethodSpec | None
    experiments: tuple[Experiment, ...]


def focus(experiments: Sequence[Experiment]) -> Focus:
    """Which finished table the experiments' `against` means, and what they have that it lacks.

    Raises ConfigError where it was made from something else, and says what; where a method has a name that stands for
    something else there; and where no method is new.
    """
    first = experiments[0]
    if first.truth.mode == "recompute":
        raise ConfigError("truth.mode must be stored with against: finished scores belong to the stored ground truth.")
    held = _table(first)
    for one in experiments:
        if found := differences(one, held):
            more = f" (and {len(found) - 1} more differences)" if len(found) > 1 else ""
            raise ConfigError(
                f"against must be tables of the same models, targets, probes and recipe. Got {held.name}: {found[0]}"
                f"{more}. Change that, or leave against out and compute all methods."
            )
    if first.paths.out.resolve() == held.folder:
        raise ConfigError(f"paths.out must be another folder than against. Got {first.paths.out} for both.")
    chosen = {name: method for one in experiments for name, method in one.method.items()}
    new = tuple(name for name in chosen if name not in held.methods)
    for name in chosen.keys() & held.methods.keys():
        if not _same(chosen[name], held.methods[name]):
            raise ConfigError(
                f"method.{name} must be what {held.name} holds under that name. Got another function or other "
                "parameters. Give yours a name of its own."
            )
    if not new:
        raise ConfigError(
            f"method must have one that {held.name} lacks, to be compared with those in it. Got {some(list(chosen))}. "
            "Add yours: '+method.mine._target_=my_package.my_score'."
        )
    checked = witness(held)
    extra = {checked.name: checked} if checked else {}
    todo = tuple(
        one.model_copy(update={"method": {n: m for n, m in one.method.items() if n in new} | extra})
        for one in experiments
    )
    return Focus(held, new, checked, todo)


def _table(experiment: Experiment) -> Committed:
    """The table that is named; of those that come with the project the one that differs least and has most methods."""
    if experiment.against is not None and experiment.against != RELEASED:
        held = committed.read(experiment.against)
        if not held.provenance:
            raise ConfigError(f"against must be tables whose provenance.json says how they were made. Got {held.name}.")
        return held
    candidates = [committed.read(name) for name in committed.names()]
    if not candidates:
        raise ConfigError("against=released needs the project's tables. Got none under results/. Install it again.")
    return min(candidates, key=lambda c: (len(differences(experiment, c)), -len(c.methods)))


def differences(experiment: Experiment, held: Committed) -> list[str]:
    """In what an experiment is not what finished tables were made from, a clause each; what they lack first."""
    found = []
    for group, word in (("bank", "the model"), ("target", "the target")):
        there = getattr(held, group)
        for name, spec in getattr(experiment, group).items():
            if name not in there:
                found.append(f"{word} {name} is not in it")
            elif fields := _differing(spec.identity(), there[name].identity()):
                found.append(f"{word} {name} differs in {some(fields)}")
    for group in ("probe", "recipe"):
        mine, theirs = getattr(experiment, group).identity(), getattr(held, group).identity()
        found += [f"{group}.{k} is {theirs.get(k)} there and {mine.get(k)} here" for k in _differing(mine, theirs)]
    return found


def _differing(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    return sorted(k for k in mine.keys() | theirs.keys() if mine.get(k) != theirs.get(k))


def _same(mine: MethodSpec, theirs: MethodSpec) -> bool:
    if mine.function_path != theirs.function_path:
        return False
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(mine.function).parameters.items()
        if parameter.default is not parameter.empty
    }
    return defaults | mine.parameters == defaults | theirs.parameters


def witness(held: Committed) -> MethodSpec | None:
    """The cheapest method of features and labels in a table, to be computed again; None where it holds none."""
    spent = {} if held.times is None else _alone(held.times)
    able = [
        method
        for name, method in held.methods.items()
        if method.function_path.startswith("methods.")
        and {"features", "labels"} == set(method.needs)
        and not _over_bank(method)
        and held.scores[name].notna().all()
    ]
    return min(able, key=lambda m: (spent.get(m.name, np.inf), m.name), default=None)


def _alone(times: pd.DataFrame) -> dict[str, float]:
    """Milliseconds of each method alone, where they were taken so."""
    return times.set_index("method")["milliseconds" if "milliseconds" in times else "shared_milliseconds"].to_dict()


def _over_bank(method: MethodSpec) -> bool:
    """Whether a method's score of one model depends on which others are there."""
    return bool(getattr(getattr(method.function, "capabilities", None), "bank", None))


def refuse_new_truth(made: Plan, store: Store, held: Committed) -> None:
    """ConfigError where a transfer has no stored ground truth: then it is not that of the finished tables."""
    lacking = [t for t in made.transfers if not all(store.has("truth", key) for key in t.truth)]
    if lacking:
        named = f"{lacking[0].model.name} → {lacking[0].target.name}"
        why = "their images or weights are others than those it was made with. Leave against out to fine-tune them."
        if store.released is None:
            why = "paths.released is null. Leave it out, or name the folder of released cells."
        raise ConfigError(
            f"against must be tables of the same ground truth. Got {held.name}, and no stored truth of {len(lacking)} "
            f"of {len(made.transfers)} transfers here, first {named}: {why}"
        )


def joined(mine: Tables, focus: Focus, methods: Sequence[str]) -> Tables:
    """The new methods' scores and the finished ones in one table, as `benchmark.tables.gather` makes them.

    mine     what was computed here; methods: the columns in it that are in question
    Raises ConfigError where ground truth, probe sizes or the witness differ.
    """
    held, notes = focus.held, []
    _refuse_other_truth(mine.seeds, held)
    theirs = held.scores.merge(mine.scores[CELL], on=CELL, validate="one_to_one")
    if len(theirs) < len(mine.scores):
        raise ConfigError(f"{held.name} must have a row a model, target and probe draw. Got none for some. {_AGAIN}")
    both = mine.scores.merge(theirs, on=CELL, suffixes=("", " there"), validate="one_to_one")
    if "Images there" in both and not (both["Images"] == both["Images there"]).all():
        raise ConfigError(f"probes must hold as many images as those of {held.name}. Got other numbers. {_AGAIN}")
    if focus.witness:
        notes.append(_agreement(both, focus.witness.name, held))
    others, dropped = _others(mine.scores, held)
    columns = [c for c in mine.scores if c not in held.methods]
    scores = mine.scores[columns].merge(theirs[[*CELL, *others]], on=CELL, validate="one_to_one")
    problems = held.status[held.status["Method"].isin(others)].merge(mine.scores[["Model", TARGET]].drop_duplicates())
    kept = mine.status[~mine.status["Method"].isin(held.methods)]
    times = None if held.times is None else held.times[held.times["method"].isin(others)]
    if dropped:
        notes.append(f"Left out, since they are normalised over all models of {held.name}: {', '.join(dropped)}.")
    return Tables(
        scores=scores,
        truth=mine.truth,
        seeds=mine.seeds,
        status=pd.concat([kept, problems], ignore_index=True) if len(problems) else kept,
        timings=mine.timings[mine.timings["Method"].isin(methods)],
        times=times,
        notes=(_origin(held, len(others)), *notes),
    )


_AGAIN = "Leave against out and compute all methods."


def _refuse_other_truth(seeds: pd.DataFrame, held: Committed) -> None:
    keys = ["Model", TARGET, "Seed"]
    both = seeds[[*keys, "Oracle"]].merge(held.seeds[[*keys, "Oracle"]], how="left", on=keys, suffixes=("", " there"))
    off = ~((both["Oracle"] - both["Oracle there"]).abs() <= SAME_TRUTH)
    if off.any():
        first = both[off].iloc[0]
        there = "none" if pd.isna(first["Oracle there"]) else f"{first['Oracle there']:.4f}"
        raise ConfigError(
            f"against must be tables of the same ground truth. Got {held.name}, which differs in {off.sum()} of "
            f"{len(both)} accuracies, first {first['Model']} → {first[TARGET]}, seed {first['Seed']}: {there} there, "
            f"{first['Oracle']:.4f} here. {_AGAIN}"
        )


def _agreement(both: pd.DataFrame, name: str, held: Committed) -> str:
    """How far the witness came out as it stands in the table; ConfigError where that is too far."""
    here, there = (both[c].to_numpy(float, na_value=np.nan) for c in (name, f"{name} there"))
    spread = np.nanstd(there) or 1.0
    off = np.abs(here - there) / spread
    far = ~(off <= NEAR)
    if far.mean() > MOST:
        first = both[far].iloc[0]
        raise ConfigError(
            f"probes must be those of {held.name}. Got others: {name}, computed again on them, differs in {far.sum()} "
            f"of {len(both)} scores by more than {NEAR:g} of its standard deviation, first on {first['Model']} → "
            f"{first[TARGET]}. {_AGAIN}"
        )
    return (
        f"Checked: the ground truth is the same, and {name}, computed again on all {len(both)} probe draws, is within "
        f"{np.nanmax(off):.1g} of its standard deviation of what stands in {held.name}."
    )


def _others(scores: pd.DataFrame, held: Committed) -> tuple[list[str], list[str]]:
    """The finished methods that can be compared with, and those that cannot: normalised over models not all here."""
    here, there = (set(map(tuple, t[["Model", TARGET]].drop_duplicates().to_numpy())) for t in (scores, held.scores))
    targets = {target for _, target in here}
    whole = here == {pair for pair in there if pair[1] in targets}
    dropped = [] if whole else [name for name, method in held.methods.items() if _over_bank(method)]
    return [name for name in held.methods if name not in dropped], dropped


def _origin(held: Committed, count: int) -> str:
    commit, device = held.provenance.get("commit") or "", held.provenance.get("device") or ""
    made = ", ".join(part for part in (f"commit {commit[:7]}" if commit else "", device) if part)
    where = f"{held.name} ({made})" if made else held.name
    return f"Scores and times of {count} methods are those of {where}; they were not computed again."
