"""From a configuration to the cells that it needs. Pure: nothing is computed, and no deep-learning package imported.

A cell's key is a Merkle hash of specifications, known before anything runs. Only what comes from outside (a package's
weights, a file, a folder of images, a stranger's estimator) enters by the fingerprint of its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmark.cells.effort import FORWARD, LOOK, cost_of, weigh
from benchmark.cells.keys import fingerprints, network_code
from benchmark.cells.plan import SECONDS, Inputs, Plan, Transfer
from benchmark.cells.scores import Draft, Trainee, asks_for_source, beyond_one_transfer, score_of
from benchmark.cells.whole_bank import Truths
from benchmark.config.experiment import Experiment
from benchmark.config.functions import DataSpec
from benchmark.config.model import ModelSpec
from benchmark.errors import ConfigError
from benchmark.models.weights import WeightsUnavailable, weight_files

ABSENT = "absent"
"""Stands, with its name, for the fingerprint of what is not here in the keys of an estimate."""


def plan(experiment: Experiment, with_truth: bool = True, estimate: bool = False, truths: Truths | None = None) -> Plan:
    """The plan of one experiment.

    truths    what is known of the transfers, for methods that learn from it; None: the cells of these methods are
              planned, so that they can be counted, but are not to be computed
    estimate  count what is not here as well, with a note in `absent`, and ask no network: for a dry run, not to be
              computed
    """
    made, builder = Plan(), _Builder(experiment, estimate)
    for target in experiment.target.values():
        pack = builder.pack(made, target)
        for model in experiment.bank.values():
            if experiment.task_of(model) == target.task or model.name in made.unavailable:
                continue
            try:
                weights, fingerprint = builder.weights(made, model)
            except Unavailable as error:
                made.unavailable[model.name] = str(error)
                continue
            made.transfers.append(builder.transfer(made, model, target, pack, weights, fingerprint, with_truth))
    beyond_one_transfer(made, experiment, builder.drafts, truths)
    return made


class Unavailable(Exception):
    """Weights that cannot be had here; the message says which model, why, and what to put where."""


class _Builder:
    """What the cells of one experiment share."""

    def __init__(self, experiment: Experiment, estimate: bool = False):
        self.experiment, self.estimate = experiment, estimate
        self.drafts: list[Draft] = []

    def pack(self, made: Plan, data: DataSpec) -> str:
        parameters = data.parameters | ({"download": False} if self.estimate and "download" in data.parameters else {})
        group = "target" if data.name in self.experiment.target else "source"
        try:
            inputs = fingerprints(data.function.inputs(**parameters))
        except (OSError, ModuleNotFoundError, ValueError, ConfigError) as error:
            if not self.estimate:
                raise ConfigError(f"{group}.{data.name}: {error}") from None
            made.absent[f"{group}.{data.name}"], inputs = str(error), [f"{ABSENT}:{data.name}"]
        return made.add(
            "pack",
            {"data": data.identity(), "inputs": inputs},
            needs=(),
            work={"data": data},
            label=data.name,
        )

    def weights(self, made: Plan, model: ModelSpec) -> tuple[str | None, Mapping[str, object]]:
        """The key of the model's weights cell where the harness trains it, and what identifies it for later keys."""
        code = network_code(model)
        if model.source_data is None:
            return None, {"model": model.identity(), "files": self._files(made, model), **code}
        data = (self.experiment.source | self.experiment.target)[model.source_data]
        pack = self.pack(made, data)
        start = {"init": self._files(made, model.initial)} if model.initial else {}
        key = made.add(
            "weights",
            {"model": model.identity("weights"), "pack": pack, **start, **code},
            needs=(("pack", pack),),
            work={"model": model, "pack": pack},
            label=f"pretrain {model.name}",
            weight=model.pretrain.steps * model.pretrain.batch / 20480,
        )
        return key, {"weights": key}

    def _files(self, made: Plan, model: ModelSpec) -> list[str]:
        try:
            return fingerprints(_weight_files(model, offline=self.estimate))
        except Unavailable as error:
            if not self.estimate:
                raise
            made.absent[f"bank.{model.name}"] = str(error)
            return [f"{ABSENT}:{model.weights}"]

    def transfer(
        self,
        made: Plan,
        model: ModelSpec,
        target: DataSpec,
        pack: str,
        weights: str | None,
        identity: Mapping[str, object],
        with_truth: bool,
    ) -> Transfer:
        experiment, needs = self.experiment, _needs(pack, weights)
        name, recipe = f"{model.name} → {target.name}", experiment.recipe
        work: Inputs = {"model": model, "weights": weights, "pack": pack, "recipe": recipe}
        transfer: dict[str, object] = {**identity, "pack": pack, "recipe": recipe.identity()}
        tune, truth, of_truth = "", list[str](), dict[str, object]()
        if with_truth and recipe.rate_for == "architecture":
            tune, of_truth = self._shared_rate(made, model, target, pack), transfer
        elif with_truth and (pooled := self._pooled_rate(made, model, target, weights, identity)):
            tune, of_truth = pooled, transfer
        elif with_truth:
            tune = self._own_rate(made, model, target, pack, weights, identity)
        if with_truth:
            for seed in range(recipe.seeds_on.get(target.name, recipe.seeds)):
                truth.append(
                    made.add(
                        "truth",
                        {**of_truth, "tune": tune, "seed": seed},
                        needs=(*needs, ("tune", tune)),
                        work={**work, "tune": tune, "seed": seed},
                        label=f"fine-tune {name} #{seed}",
                        weight=cost_of("truth", recipe, model, target),
                    )
                )
        probe = self._probe(made, model, weights, identity, pack, target)
        reference = of_reference = None
        prepared = tuple(m.name for m in experiment.method.values() if "reference_features" in m.needs)
        if prepared and experiment.reference is not None:
            trained_here = experiment.reference.model_copy(update={"weights": f"pretrain:{target.name}"})
            of_reference, its_identity = self.weights(made, trained_here)
            reference = self._probe(made, trained_here, of_reference, its_identity, pack, target)
        trainee = Trainee(needs, work, transfer, weigh("truth", LOOK, model) * SECONDS["truth"])
        draft = Draft(probe, reference, self._source_probe(made, model, weights, identity), trainee)
        self.drafts.append(draft)
        scores = {
            method.name: score_of(made, experiment.probe.draws, method, model, target, draft)
            for method in experiment.method.values()
            if not (method.over_bank or method.learns)
        }
        return Transfer(model, target, tuple(truth), tune, probe, scores, of_reference, prepared)

    def _own_rate(
        self,
        made: Plan,
        model: ModelSpec,
        target: DataSpec,
        pack: str,
        weights: str | None,
        identity: Mapping[str, object],
    ) -> str:
        recipe = self.experiment.recipe
        return made.add(
            "tune",
            {**identity, "pack": pack, "recipe": recipe.identity()},
            needs=_needs(pack, weights),
            work={"model": model, "weights": weights, "pack": pack, "recipe": recipe},
            label=f"choose rate {model.name} → {target.name}",
            weight=cost_of("tune", recipe, model, target),
        )

    def _pooled_rate(
        self, made: Plan, model: ModelSpec, target: DataSpec, weights: str | None, identity: Mapping[str, object]
    ) -> str | None:
        """The tune cell of what the model does best with on `recipe.rate_on`; None where the target chooses its own.

        A target on which the model was trained says nothing of another; the target that asks is never among them.
        """
        recipe, data = self.experiment.recipe, self.experiment.source | self.experiment.target
        chosen_on = [data[n] for n in recipe.rate_on if data[n].task != self.experiment.task_of(model)]
        if not chosen_on or target.name in recipe.rate_on:
            return None
        keys = tuple(self._own_rate(made, model, d, self.pack(made, d), weights, identity) for d in chosen_on)
        return made.add(
            "tune",
            {"pooled": sorted(keys)},
            needs=tuple(("tune", key) for key in keys),
            work={"model": model, "recipe": recipe, "pooled": keys},
            label=f"choose rate {model.name} by its mean on recipe.rate_on",
            weight=0.0,
        )

    def _shared_rate(self, made: Plan, model: ModelSpec, target: DataSpec, pack: str) -> str:
        """The tune cell of the bank's first model of this architecture that was not trained on the target itself."""
        for first in self.experiment.bank.values():
            if first.architecture != model.architecture or self.experiment.task_of(first) == target.task:
                continue
            try:
                weights, identity = self.weights(made, first)
            except Unavailable:
                continue
            break
        return self._own_rate(made, first, target, pack, weights, identity)

    def _source_probe(
        self, made: Plan, model: ModelSpec, weights: str | None, identity: Mapping[str, object]
    ) -> str | None:
        """The model's probe on images that it was trained on; None where no method asks, or the bank names none."""
        data = self.experiment.images_of(model)
        if data is None or not any(asks_for_source(method) for method in self.experiment.method.values()):
            return None
        return self._probe(made, model, weights, identity, self.pack(made, data), data)

    def _probe(
        self,
        made: Plan,
        model: ModelSpec,
        weights: str | None,
        identity: Mapping[str, object],
        pack: str,
        target: DataSpec,
    ) -> str:
        return made.add(
            "probe",
            {**identity, "pack": pack, "probe": self.experiment.probe.identity()},
            needs=_needs(pack, weights),
            work={"model": model, "weights": weights, "pack": pack, "probe": self.experiment.probe},
            label=f"probe {model.name} → {target.name}",
            weight=weigh("probe", self.experiment.probe.size * FORWARD, model)
            if model.gmacs
            else (model.input_size / 32) ** 1.5,
        )


def _needs(pack: str, weights: str | None) -> tuple[tuple[str, str], ...]:
    return (("pack", pack),) + ((("weights", weights),) if weights else ())


def _weight_files(model: ModelSpec, offline: bool = False) -> list[Path]:
    if model.weights == "random":
        return []

    try:
        return weight_files(model, offline)
    except WeightsUnavailable as error:
        raise Unavailable(str(error)) from None
