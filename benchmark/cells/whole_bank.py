"""Scores that depend on more than one model on one target: on a target's whole bank, and on what is known of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmark.cells.keys import key_of
from benchmark.cells.plan import Inputs, Plan, Transfer
from benchmark.config.functions import DataSpec, Known, MethodSpec
from benchmark.config.model import ModelSpec
from benchmark.errors import ConfigError

Truths = Mapping[str, float]
"""Accuracies in percent by the keys of their truth cells."""


def facts_of(model: ModelSpec, target: DataSpec) -> dict[str, object]:
    """What the configuration tells a method of a model; its probe adds what is counted (`benchmark.scoring.score`)."""
    return {
        "name": model.name,
        "arch": model.arch,
        "layers": model.layers,
        "source": model.source_name,
        "target": target.name,
        "source_size": model.source_size,
        "source_accuracy": model.source_accuracy,
    }


def known_of(
    target: DataSpec, transfers: Sequence[Transfer], truths: Truths | None
) -> tuple[Known | None, dict[str, object]]:
    """What a method is told on a target of all targets that are not akin to it, and what stands for that in a key.

    truths  None: not known yet; the keys of their cells stand for them then, in an estimate. A transfer of which none
            is there is left out
    """
    others = [t for t in transfers if not t.target.akin(target)]
    if truths is None:
        return None, {"known": [t.truth for t in others]}
    table: dict[str, dict[str, float]] = {}
    for one in others:
        if found := [truths[key] for key in one.truth if key in truths]:
            table.setdefault(one.target.name, {})[one.model.name] = sum(found) / len(found)
    return table or None, {"known": key_of(table)}


def refuse_without_others(methods: Sequence[MethodSpec], targets: Sequence[DataSpec]) -> None:
    """ConfigError where a method learns from other targets and no target has any that is not akin to it."""
    learning = [f"method.{m.name}" for m in methods if m.learns]
    if learning and all(one.akin(other) for one in targets for other in targets):
        raise ConfigError(
            f"target must hold two data sets that are not akin, for {', '.join(learning)}, which learns on each from "
            f"the others. Got {', '.join(t.name for t in targets)}. Add one, or leave that method out."
        )


def scores_over_bank(
    made: Plan,
    method: MethodSpec,
    code: str,
    bank: Sequence[tuple[Transfer, Mapping[str, object]]],
    told: tuple[Known | None, Mapping[str, object]] | None,
) -> list[str]:
    """Add the cells of a method of the whole bank on one target, one a model; their keys in the order of the bank.

    bank  all models on the target, with what a method is told of each
    told  what it knows of other targets, where it asks for that (`known_of`)
    """
    probes = [transfer.probe for transfer, _ in bank]
    facts = [dict(known) if "models" in method.needs else {} for _, known in bank]
    identity: dict[str, object] = {
        "function": method.function_path,
        "parameters": method.parameters,
        "code": code,
        "bank": key_of({"probes": probes, "models": facts}),
        **(told[1] if told else {}),
    }
    work: Inputs = {
        "method": method,
        "scored": key_of({"probes": probes}),
        "reference": None,
        "bank": tuple(zip(probes, facts, strict=True)),
        "known": told[0] if told else None,
        "call": key_of(identity),
    }
    needs = tuple(("probe", probe) for probe in dict.fromkeys(probes))
    return [
        made.add(
            "score",
            {**identity, "place": place},
            needs=needs,
            work={**work, "place": place},
            label=f"{method.name} {transfer.model.name} → {transfer.target.name}",
        )
        for place, (transfer, _) in enumerate(bank)
    ]
