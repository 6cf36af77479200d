"""The score cells of a plan: of one model on one target, and those that depend on more than that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmark.cells.keys import code_of
from benchmark.cells.plan import SECONDS, Inputs, Plan
from benchmark.cells.whole_bank import Truths, facts_of, known_of, refuse_without_others, scores_over_bank
from benchmark.config.experiment import Experiment
from benchmark.config.functions import DataSpec, Known, MethodSpec
from benchmark.config.model import ModelSpec


@dataclass(frozen=True)
class Trainee:
    """What a method that trains is made from: the cells that it needs, its work, its identity; seconds on a draw."""

    needs: tuple[tuple[str, str], ...]
    work: Inputs
    identity: Mapping[str, object]
    seconds: float


@dataclass(frozen=True)
class Draft:
    """What the scores of one transfer are made from."""

    probe: str
    reference: str | None
    source: str | None
    """The probe of the same model on images of its own source."""
    trainee: Trainee


def asks_for_source(method: MethodSpec) -> bool:
    """Whether a method compares with images that the model was trained on."""
    return not {"source_features", "source_labels"}.isdisjoint(method.needs)


def score_of(
    made: Plan,
    draws: int,
    method: MethodSpec,
    model: ModelSpec,
    target: DataSpec,
    draft: Draft,
    told: tuple[Known | None, Mapping[str, object]] | None = None,
) -> str:
    """Add the cell of one method's score of one model on one target; its key.

    told  what the method knows of other targets, where it asks for that (`benchmark.cells.whole_bank.known_of`)
    """
    probe, trainee = draft.probe, draft.trainee
    needs: tuple[tuple[str, str], ...] = (("probe", probe),)
    identity: dict[str, object] = {
        "function": method.function_path,
        "parameters": method.parameters,
        "code": code_of(method.function, method.function_path),
        "probe": probe,
    }
    compared = draft.reference if "reference_features" in method.needs else None
    if compared is not None:
        needs += (("probe", compared),)
        identity["reference"] = compared
    source = draft.source if asks_for_source(method) else None
    if source is not None:
        needs += (("probe", source),)
        identity["source"] = source
    metadata: dict[str, object] = {}
    if "model" in method.needs:
        metadata = facts_of(model, target)
        identity["model"] = metadata
    work: Inputs = {"method": method, "scored": probe, "reference": compared, "source": source, "facts": metadata}
    if method.trains:
        needs += trainee.needs
        identity["trainee"] = trainee.identity
        work["trainee"] = trainee.work
    if told is not None:
        work["known"] = told[0]
        identity.update(told[1])
    return made.add(
        "score",
        identity,
        needs=needs,
        work=work,
        label=f"{method.name} {model.name} → {target.name}",
        weight=trainee.seconds * draws / SECONDS["score"] if method.trains else 1.0,
    )


def beyond_one_transfer(made: Plan, experiment: Experiment, drafts: Sequence[Draft], truths: Truths | None) -> None:
    """Add the scores of methods that see the whole bank, and of those that learn from other targets."""
    methods = [m for m in experiment.method.values() if m.over_bank or m.learns]
    if not methods:
        return
    refuse_without_others(methods, list(experiment.target.values()))
    for target in experiment.target.values():
        here = [at for at, transfer in enumerate(made.transfers) if transfer.target.name == target.name]
        bank = [(made.transfers[at], facts_of(made.transfers[at].model, target)) for at in here]
        told = known_of(target, made.transfers, truths)
        for method in methods:
            known = told if method.learns else None
            if method.over_bank:
                code = code_of(method.function, method.function_path)
                keys = scores_over_bank(made, method, code, bank, known)
            else:
                parts = [(made.transfers[at].model, drafts[at]) for at in here]
                keys = [
                    score_of(made, experiment.probe.draws, method, model, target, draft, known)
                    for model, draft in parts
                ]
            for at, key in zip(here, keys, strict=True):
                scores = {**made.transfers[at].scores, method.name: key}
                order = {name: scores[name] for name in experiment.method if name in scores}
                made.transfers[at] = replace(made.transfers[at], scores=order)
