"""From a configuration to the cells that it needs. Pure: nothing is computed, and no deep-learning package imported.

A cell's key is a Merkle hash of specifications, known before anything runs. Only what comes from outside (a package's
weights, a file, a folder of images, a stranger's estimator) enters by the fingerprint of its bytes.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmark.config import ConfigError, DataSpec, Experiment, MethodSpec, ModelSpec, RecipeSpec
from benchmark.store import Store, file_digest, key_of

VERSIONS = {"pack": 1, "weights": 1, "tune": 1, "truth": 1, "probe": 1, "score": 4}
"""Raised by hand when a stage's code changes what it returns."""

NETWORKS = {"CifarResNet": 1, "MiniXception": 1, "DoodleNet": 1, "SqueezeNet": 1}
"""The version of each network of benchmark.networks, raised by hand when an edit there changes what it computes: the
cells of its models, and of no others, are made anew. Version 1 is left out of keys."""

SECONDS = {"pack": 3.0, "weights": 30.0, "tune": 8.0, "truth": 5.0, "probe": 1.0, "score": 0.1}
"""Rough costs of a cell, for the estimate before anything of a stage was measured."""
IMAGES = {"tune": 8000, "truth": 4000}
"""Images of 32 pixels that a cell of that cost trains on."""
PACE = 5.6
"""Multiply-adds in 10⁹ of forward passes that one core trains in a second, for models whose bank counts them: the 41
of bank=public at 96 pixels, one thread each on two busy cores; from 2 (MCUNet) to 11 (CIFAR ResNets)."""
FORWARD = 1 / 3
"""The cost of looking at an image, in that of training on it: a backward pass costs two forward ones."""
ABSENT = "absent"
"""Stands, with its name, for the fingerprint of what is not here in the keys of an estimate."""

SCORING_SEED, SCORING_STEP = 1010, 2131
DRAW_SEED, DRAW_STEP = 2020, 3037


@dataclass(frozen=True)
class Cell:
    """One piece of work: what it is named, what it is made from, and the specifications that make it."""

    stage: str
    key: str
    identity: Mapping[str, Any]
    needs: tuple[tuple[str, str], ...]
    work: Mapping[str, Any]
    label: str
    weight: float = 1.0

    @property
    def seconds(self) -> float:
        return SECONDS[self.stage] * self.weight


@dataclass(frozen=True)
class Transfer:
    """A model on a target: the keys of everything that is known about it."""

    model: ModelSpec
    target: DataSpec
    truth: tuple[str, ...]
    tune: str
    probe: str
    scores: Mapping[str, str]
    reference: str | None = None
    """The weights cell of the model that was trained on the target itself."""
    prepared: tuple[str, ...] = ()
    """The methods that compare with that model."""


@dataclass
class Plan:
    """All cells in an order in which each comes after what it needs, and the transfers that read them."""

    cells: dict[str, Cell] = field(default_factory=dict)
    transfers: list[Transfer] = field(default_factory=list)
    unavailable: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """What an estimate counted though it is not here, and why it is not."""

    def add(self, stage: str, identity: Mapping[str, Any], **rest: Any) -> str:
        identity = {"stage": stage, "version": VERSIONS[stage], **identity}
        key = key_of(identity)
        self.cells.setdefault(key, Cell(stage, key, identity, **rest))
        return key

    def missing(self, store: Store, also: Iterable[str] = ()) -> list[Cell]:
        """The cells that must be computed: those wanted (truth, scores and `also`) and absent, and what these need."""
        wanted = {k for t in self.transfers for k in (*t.truth, *t.scores.values())} | set(also)
        todo: set[str] = set()
        for cell in reversed(self.cells.values()):
            if cell.key in wanted and not store.has(cell.stage, cell.key):
                todo.add(cell.key)
                wanted |= {key for _, key in cell.needs}
        return [c for c in self.cells.values() if c.key in todo]


def plan(experiment: Experiment, with_truth: bool = True, estimate: bool = False) -> Plan:
    """The plan of one experiment.

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
    return made


class Unavailable(Exception):
    """Weights that cannot be had here; the message says which model, why, and what to put where."""


class _Builder:
    """What the cells of one experiment share."""

    def __init__(self, experiment: Experiment, estimate: bool = False):
        self.experiment, self.estimate = experiment, estimate

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

    def weights(self, made: Plan, model: ModelSpec) -> tuple[str | None, Mapping[str, Any]]:
        """The key of the model's weights cell where the harness trains it, and what identifies it for later keys."""
        code = network_code(model)
        if model.source_data is None:
            return None, {"model": model.identity(), "files": self._files(made, model)} | code
        data = (self.experiment.source | self.experiment.target)[model.source_data]
        pack = self.pack(made, data)
        start = {"init": self._files(made, model.initial)} if model.initial else {}
        key = made.add(
            "weights",
            {"model": model.identity("weights"), "pack": pack} | start | code,
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
        identity: Mapping[str, Any],
        with_truth: bool,
    ) -> Transfer:
        experiment, needs = self.experiment, (("pack", pack),) + ((("weights", weights),) if weights else ())
        name, recipe = f"{model.name} → {target.name}", experiment.recipe
        work = {"model": model, "weights": weights, "pack": pack, "recipe": recipe}
        known = target.images[0] if target.images else None
        cost = {s: weigh(s, passes(s, recipe, model, target, known)[0], model) for s in IMAGES}
        transfer = {**identity, "pack": pack, "recipe": recipe.identity()}
        tune, truth, of_truth = "", [], {}
        if with_truth and recipe.rate_for == "architecture":
            tune, of_truth = self._shared_rate(made, model, target, pack, cost["tune"]), transfer
        elif with_truth:
            label = f"choose rate {name}"
            tune = made.add("tune", transfer, needs=needs, work=work, label=label, weight=cost["tune"])
        if with_truth:
            for seed in range(recipe.seeds_on.get(target.name, recipe.seeds)):
                truth.append(
                    made.add(
                        "truth",
                        {**of_truth, "tune": tune, "seed": seed},
                        needs=(*needs, ("tune", tune)),
                        work={**work, "tune": tune, "seed": seed},
                        label=f"fine-tune {name} #{seed}",
                        weight=cost["truth"],
                    )
                )
        probe = self._probe(made, model, weights, identity, pack, target)
        reference = of_reference = None
        prepared = tuple(m.name for m in experiment.method.values() if "reference_features" in m.needs)
        if prepared:
            trained_here = experiment.reference.model_copy(update={"weights": f"pretrain:{target.name}"})
            of_reference, its_identity = self.weights(made, trained_here)
            reference = self._probe(made, trained_here, of_reference, its_identity, pack, target)
        scores = {
            method.name: self._score(made, method, model, target, probe, reference)
            for method in experiment.method.values()
        }
        return Transfer(model, target, tuple(truth), tune, probe, scores, of_reference, prepared)

    def _shared_rate(self, made: Plan, model: ModelSpec, target: DataSpec, pack: str, cost: float) -> str:
        """The tune cell of the bank's first model of this architecture that was not trained on the target itself."""
        for first in self.experiment.bank.values():
            if first.architecture != model.architecture or self.experiment.task_of(first) == target.task:
                continue
            try:
                weights, identity = self.weights(made, first)
            except Unavailable:
                continue
            break
        return made.add(
            "tune",
            {**identity, "pack": pack, "recipe": self.experiment.recipe.identity()},
            needs=(("pack", pack),) + ((("weights", weights),) if weights else ()),
            work={"model": first, "weights": weights, "pack": pack, "recipe": self.experiment.recipe},
            label=f"choose rate {first.name} → {target.name}",
            weight=cost,
        )

    def _probe(
        self,
        made: Plan,
        model: ModelSpec,
        weights: str | None,
        identity: Mapping[str, Any],
        pack: str,
        target: DataSpec,
    ) -> str:
        return made.add(
            "probe",
            {**identity, "pack": pack, "probe": self.experiment.probe.identity()},
            needs=(("pack", pack),) + ((("weights", weights),) if weights else ()),
            work={"model": model, "weights": weights, "pack": pack, "probe": self.experiment.probe},
            label=f"probe {model.name} → {target.name}",
            weight=weigh("probe", self.experiment.probe.size * FORWARD, model)
            if model.gmacs
            else (model.input_size / 32) ** 1.5,
        )

    def _score(
        self, made: Plan, method: MethodSpec, model: ModelSpec, target: DataSpec, probe: str, reference: str | None
    ) -> str:
        needs = (("probe", probe),)
        identity: dict[str, Any] = {
            "function": method.function_path,
            "parameters": method.parameters,
            "code": code_of(method.function, method.function_path),
            "probe": probe,
        }
        if "reference_features" in method.needs:
            needs += (("probe", reference),)
            identity["reference"] = reference
        metadata = {}
        if "model" in method.needs:
            metadata = {
                "name": model.name,
                "arch": model.arch,
                "layers": model.layers,
                "source": model.source_name,
                "target": target.name,
                "source_size": model.source_size,
                "source_accuracy": model.source_accuracy,
            }
            identity["model"] = metadata
        return made.add(
            "score",
            identity,
            needs=needs,
            work={"method": method, "probe": probe, "reference": identity.get("reference"), "model": metadata},
            label=f"{method.name} {model.name} → {target.name}",
        )


def passes(stage: str, recipe: RecipeSpec, model: ModelSpec, data: DataSpec, images: int | None) -> tuple[int, int]:
    """Images that fine-tuning trains on, each as often as it is seen, and those held out that it looks at in between.

    stage   "tune": every trial, on what is not held out, nothing where there is no choice; "truth": the last training
    images  in the training split, on which rules and the largest batch depend; None where not known
    """
    if images is not None:
        images = min(images, recipe.train_cap or images)
        recipe = recipe.on(images, data.size)
    if stage == "truth":
        return recipe.steps * min(recipe.batch, images or recipe.batch), 0
    trials, held = recipe.trials(model.family), max(1, round(recipe.validation * images)) if images else 0
    if len(trials) == 1:
        return 0, 0
    batch = min(recipe.batch, images - held) if images else recipe.batch
    return sum(trial.steps for _, trial in trials) * batch, held * len(trials)


def weigh(stage: str, trained: float, model: ModelSpec) -> float:
    """The cost of a fine-tuning that trains on so many images, in that of a usual cell of its stage."""
    if model.gmacs:
        return trained * model.gmacs / PACE / SECONDS[stage]
    return trained / IMAGES[stage] * (model.input_size / 32) ** 1.5


def merge(plans: Iterable[Plan]) -> Plan:
    """One plan of several: what they share is done once."""
    whole = Plan()
    for one in plans:
        whole.cells |= {k: c for k, c in one.cells.items() if k not in whole.cells}
        whole.transfers += one.transfers
        whole.unavailable |= one.unavailable
        whole.absent |= one.absent
    return whole


def draw_seeds(draws: int) -> list[int]:
    """The seeds of the probe draws, the official release's."""
    return [DRAW_SEED + DRAW_STEP * r for r in range(draws)]


def scoring_seed(draw: int) -> int:
    """The seed given to methods on a draw, the official release's."""
    return SCORING_SEED + SCORING_STEP * draw


def fingerprints(paths: Iterable[Path]) -> list[str]:
    """SHA-256 of each file that enters from outside, with the end of its path (images carry their class there)."""
    paths = [Path(p) for p in paths]
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path.name} must exist. Got nothing at '{path}'. Check the path in the configuration.")
    if len({p.is_absolute() for p in paths}) > 1:  # a table that names absolute paths, itself named by a relative one
        paths = [Path(os.path.abspath(p)) for p in paths]
    root = _common(paths)
    return [f"{p.relative_to(root).as_posix() if len(paths) > 1 else p.suffix}:{file_digest(p)}" for p in paths]


def _common(paths: list[Path]) -> Path:
    return Path(os.path.commonpath([p.parent for p in paths])) if paths else Path()


def _weight_files(model: ModelSpec, offline: bool = False) -> list[Path]:
    if model.weights == "random":
        return []
    from benchmark.models import WeightsUnavailable, weight_files

    try:
        return weight_files(model, offline)
    except WeightsUnavailable as error:
        raise Unavailable(str(error)) from None


@cache
def code_of(function: Any, path: str) -> str:
    """Fingerprint of the code behind an estimator that a dotted path names, so that editing it makes its scores anew.

    One of this project counts with its whole package, since estimators share their linear algebra. A stranger's counts
    with every file of the package (or the module) that holds it, and of those beside that package which it imports.
    """
    if getattr(function, "__module__", "").partition(".")[0] == "methods":
        files = sorted(Path(inspect.getsourcefile(inspect.unwrap(function))).parent.glob("*.py"))
        return key_of({f.name: file_digest(f) for f in files})
    inner = inspect.unwrap(function)
    while isinstance(inner, partial):
        inner = inspect.unwrap(inner.func)
    module = getattr(inner, "__module__", None) or type(inner).__module__
    files = _files_behind({path.partition(".")[0], module.partition(".")[0]}, path)
    if not files:
        raise ConfigError(
            f"an estimator must have source code, which its scores are kept under. Got '{path}' without a file. "
            "Write a function around it in a module of your own."
        )
    return key_of({name: file_digest(file) for name, file in sorted(files.items())})


def network_code(model: ModelSpec) -> dict[str, str | int]:
    """What a network's code adds to keys; nothing for timm's and torchvision's, which are known by their names.

    Of a stranger's the fingerprint of its files, as {"code": …}; of ours the version in `NETWORKS`, beyond the first.
    """
    if model.arch.startswith("benchmark.networks."):
        version = NETWORKS.get(model.arch.rpartition(".")[2], 1)
        return {} if version == 1 else {"network": version}
    if not model.own_network:
        return {}
    files = _files_behind({model.arch.partition(".")[0]}, model.arch)
    return {"code": key_of({name: file_digest(file) for name, file in sorted(files.items())})}


def _files_behind(waiting: set[str], path: str) -> dict[str, Path]:
    """The source files of top-level modules or packages and of what they import beside them, by name."""
    found: dict[str, dict[str, Path]] = {}
    root = _home(path.partition(".")[0])
    while waiting:
        name = waiting.pop()
        if name in found or _home(name) is None:
            continue
        found[name] = _files_of(name)
        beside = {other for file in found[name].values() for other in _imports(file)} - set(found)
        waiting |= {other for other in beside if _home(other) == root and not _installed(root)}
    return {name: file for one in found.values() for name, file in one.items()}


def _home(name: str) -> Path | None:
    """The folder from which a top-level module or package is imported; None for one that is built in or missing."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or not (spec.submodule_search_locations or spec.has_location):
        return None
    return Path(next(iter(spec.submodule_search_locations or ()), spec.origin)).resolve().parent


def _installed(root: Path) -> bool:
    """Whether a folder holds installed packages, whose files are not edited by hand."""
    return "site-packages" in root.parts or root == Path(sysconfig.get_path("stdlib")).resolve()


def _files_of(name: str) -> dict[str, Path]:
    """The source files of a top-level module or package, by their path within it."""
    spec = importlib.util.find_spec(name)
    folders = [Path(p).resolve() for p in spec.submodule_search_locations or ()]
    if not folders:
        return {Path(spec.origin).name: Path(spec.origin)}
    return {f"{name}/{f.relative_to(top).as_posix()}": f for top in folders for f in top.rglob("*.py")}


def _imports(file: Path) -> set[str]:
    """The top-level names that a source file imports anywhere."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # not Python, perhaps compiled
        return set()
    names = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names}
