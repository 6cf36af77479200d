"""What a run would cost, before anything of it needs to be here: cells, images, hours, disk, and what is missing.

Models whose multiply-adds the bank states count as GPU work, at the speed that stored cells of the same architecture
had on a CUDA device, else at a stated one; with executor.device=cpu, and all others, as minutes of this machine's
workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from benchmark.cells.effort import FORWARD, passes, weigh
from benchmark.cells.plan import IMAGES, SECONDS, Cell, Plan
from benchmark.cells.store import Damaged, Store
from benchmark.config.model import ModelSpec
from benchmark.models.absent import together
from benchmark.wording import some

SUSTAINED = 60.0
"""TFLOP/s of one GPU where nothing was measured: NVIDIA's 2,470 training images/s of ResNet-50 at 224 pixels on one
A100 (DeepLearningExamples, mixed precision) × 4.09 GMAC × 2 FLOP × 3, as a backward pass costs two forward ones."""
TRAINING = 3  # passes, in forward ones
MEGABYTES = {"pack": 5.0, "weights": 1.3, "tune": 0.01, "truth": 0.02, "probe": 1.0, "score": 0.002}
"""Rough size of a cell of which nothing better is known."""
WIDTH = 3000
"""Numbers that a probe of a full-size model holds for an image: about 2,000 features and 1,000 classes."""
SHOWN = 4  # names before "and n more"


@dataclass
class Work:
    """What cells of one stage amount to."""

    todo: int = 0
    stored: int = 0
    images: int = 0
    minutes: float = 0.0
    gpu_hours: float = 0.0
    megabytes: float = 0.0
    blind: set[str] = field(default_factory=set)
    """Data sets whose sizes are not known, so that passes over their images are not counted."""


class Estimator:
    """Costs of the cells of one plan."""

    def __init__(self, made: Plan, store: Store, device: str = "auto"):
        self.made, self.store, self.device = made, store, device
        self.sizes = {c.key: self._size(c) for c in made.cells.values() if c.stage == "pack"}
        self.measured = self._measured()

    def _size(self, cell: Cell) -> tuple[int, int] | None:
        """Training and test images of a pack: as built, else as the configuration says."""
        if self.store.has("pack", cell.key):
            try:
                values = self.store.read("pack", cell.key).values
                return values["train"], values["test"]
            except Damaged:
                pass
        return cell.work["data"].images

    def _measured(self) -> dict[tuple[str, int], float]:
        """{(architecture, pixels): training images/s} of stored fine-tunings on a CUDA device, one each."""
        found: dict[tuple[str, int], float] = {}
        for cell in self.made.cells.values():
            if cell.stage != "truth" or not cell.work["model"].gmacs or not self.store.has("truth", cell.key):
                continue
            model = cell.work["model"]
            try:
                record = self.store.read("truth", cell.key).record
            except Damaged:
                continue
            on_gpu = record.get("device") != record.get("hardware", {}).get("processor")
            if on_gpu and record.get("images_per_second"):
                found.setdefault((model.arch, model.input_size), record["images_per_second"])
        return found

    def add(self, work: Work, cell: Cell) -> None:
        """Count a cell that is to be done."""
        work.todo += 1
        model = cell.work.get("model")
        trained, seen = self._passes(work, cell)
        work.images += trained + seen
        work.megabytes += self._megabytes(cell, model, seen)
        if model is None or model.gmacs is None or self.device == "cpu":
            # what the configuration states may be another size than the pack's in the store
            looked = seen * FORWARD if model and model.gmacs else 0
            weight = weigh(cell.stage, trained + looked, model) if model and cell.stage in IMAGES else cell.weight
            work.minutes += SECONDS[cell.stage] * weight / 60
            return
        frozen = getattr(cell.work.get("recipe"), "freeze", "none") == "backbone"
        speed = self.measured.get((model.arch, model.input_size))
        speed = speed or SUSTAINED * 1e3 / (model.gmacs * 2 * TRAINING)  # TFLOP/s and GMAC: images/s
        work.gpu_hours += (trained * (FORWARD if frozen else 1) + seen * FORWARD) / speed / 3600

    def _passes(self, work: Work, cell: Cell) -> tuple[int, int]:
        """Images that a cell trains on, each as often as it is seen, and images that it only looks at."""
        if cell.stage == "score" or "pooled" in cell.work:
            return 0, 0
        key = cell.key if cell.stage == "pack" else cell.work["pack"]
        data, size = self.made.cells[key].work["data"], self.sizes[key]
        if size is None:
            work.blind.add(data.name)
        train, test = size or (0, 0)
        if cell.stage == "pack":
            return 0, train + test
        if cell.stage == "probe":
            probe = cell.work["probe"]
            return 0, min(train, probe.size * probe.draws) if train else probe.size * probe.draws
        if cell.stage == "weights":
            pretrain = cell.work["model"].pretrain
            return pretrain.steps * (min(pretrain.batch, train) if size else pretrain.batch), test
        trained, held = passes(cell.stage, cell.work["recipe"], cell.work["model"], data, train if size else None)
        return trained, held if cell.stage == "tune" else test

    def _megabytes(self, cell: Cell, model: ModelSpec | None, seen: int) -> float:
        if cell.stage == "pack" and seen:
            side = cell.work["data"].size
            return seen * side * side * 4 / 3 * 3 / 1e6  # photographs are about 4 by 3
        if cell.stage == "weights" and model and model.parameters:
            return model.parameters * 2 / 1e6
        if cell.stage == "probe" and model and model.gmacs:
            return seen * WIDTH * 4 / 1e6
        return MEGABYTES[cell.stage]


def describe(made: Plan, store: Store, workers: int, device: str = "auto") -> str:
    """What a run would do, stage by stage: cells to do and in the store, images, time, disk; then what is missing.

    device  executor.device: "cpu" counts models whose multiply-adds are stated in minutes of this machine's workers
    """
    estimator, stages = Estimator(made, store, device), {stage: Work() for stage in SECONDS}
    for cell in made.missing(store):
        estimator.add(stages[cell.stage], cell)
    for cell in made.cells.values():
        stages[cell.stage].stored += store.has(cell.stage, cell.key)
    lines = [f"{'stage':<10}{'to do':>8}{'in store':>10}{'images':>15}{'minutes':>10}{'GPU hours':>11}{'MB':>10}"]
    for stage, work in [*stages.items(), ("all", _sum(stages.values()))]:
        minutes = work.minutes / max(workers, 1)
        lines.append(
            f"{stage:<10}{work.todo:>8}{work.stored:>10}{work.images:>15,}{minutes:>10.1f}{work.gpu_hours:>11.1f}"
            f"{work.megabytes:>10,.0f}"
        )
    lines += _summary(stages, workers, len(estimator.measured))
    if blind := sorted(set().union(*(w.blind for w in stages.values()))):
        lines.append(f"Evaluation on {_names(blind)} is not counted: how many images they hold is not known here.")
    lines += [f"unavailable: {reason}" for reason in made.unavailable.values()]
    return "\n".join(lines + _absent(made))


def _sum(works: Iterable[Work]) -> Work:
    whole = Work()
    for work in works:
        for name in ("todo", "stored", "images", "minutes", "gpu_hours", "megabytes"):
            setattr(whole, name, getattr(whole, name) + getattr(work, name))
    return whole


def _summary(stages: Mapping[str, Work], workers: int, measured: int) -> list[str]:
    whole = _sum(stages.values())
    said = f"{whole.todo} cells to do, about {whole.minutes / max(workers, 1):.1f} minutes with {workers} workers"
    if not whole.gpu_hours:
        return [f"{said} (a rough estimate)."]
    pace = f"{SUSTAINED:g} TFLOP/s sustained (2,470 images/s of training for a ResNet-50 at 224 pixels)"
    if measured:
        pace = f"measured for {measured} kinds of network, {pace} for the others"
    return [f"{said} and {whole.gpu_hours:.1f} GPU hours (a rough estimate: one GPU, {pace})."]


def _absent(made: Plan) -> list[str]:
    """What is missing and where to put it, things that are missing for the same reason together."""
    models = {f"bank.{t.model.name}": t.model for t in made.transfers if t.model.source_data is None}
    shared = together(made.absent, models)
    reasons: dict[str, list[str]] = {}
    for name, reason in made.absent.items():
        reasons.setdefault(_general(shared.get(name, reason)), []).append(name)
    if not reasons:
        return []
    fetched = sum((model.parameters or 0) * 4 / 1e6 for name, model in models.items() if name in made.absent)
    size = f"; the weights are about {fetched:,.0f} MB" if fetched else ""
    lines = [f"missing: {len(made.absent)} things that the run needs and that are not here{size}"]
    return lines + [f"  {_names(names)}: {reason}" for reason, names in reasons.items()]


def _general(reason: str) -> str:
    """A reason without what differs from model to model."""
    reason = reason.partition(" must be available. Got ")[2] or reason
    if reason.startswith("neither a cached copy of"):
        return (
            "not in the cache of the Hugging Face hub (HF_HOME). With a connection the run fetches them; without, copy "
            "that cache here, or put a model's file in a folder and use weights: local-dir:<folder>."
        )
    return reason


def _names(names: list[str]) -> str:
    return some(names, SHOWN)
