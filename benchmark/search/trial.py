"""One piece of a search: measure a model's speed, let it compete in a rung, or train the winner to the clock.

Runs in a process of its own, which reports through its result file: complete or not at all, so that a killed search
goes on from there. Times are of `time.monotonic`, one clock for all processes of a machine. Deep-learning packages
are imported inside the functions: the process that searches needs none.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark import provenance
from benchmark.config.model import ModelSpec
from benchmark.config.recipe import RecipeSpec
from benchmark.data import packs
from benchmark.files import no_room, ordinary, put_record, put_tensors, record
from benchmark.models import architecture, layouts, loading
from benchmark.provenance import seed_of
from benchmark.search import calibration, checkpoint
from benchmark.search.arithmetic import CHECKS, held_out, hopeless
from benchmark.training.judging import parts

if TYPE_CHECKING:
    from benchmark.data.packs import Pack

TIMED_STEPS = 3
"""Steps of a measurement; the first is not counted."""
CHECKUPS = 16
"""Times that the final training finds out how long the test will take, and keeps its weights (at most one in 10 s)."""
TEST_MARGIN = 1.3
"""Seconds kept for a second of the test."""


@dataclass(frozen=True)
class Job:
    """A model at a rate, and what to do with it.

    kind     "measure", "compete" (on a part of the training images) or "finish" (on all of them, then the test)
    steps    of a competing trial; at most, where the clock ends it: a trial after `seconds`, a final so that its test
             is over at `until`
    rung     jobs of one rung judge each other by their curves
    until    when to stop at the latest, in seconds of time.monotonic
    result   the file for what it found; the test outputs of a finished model lie beside it
    threads  at most so many; what is faster is found out
    keep     the checkpoint of a finished model, and `history`, which its provenance holds
    calibrate  whether a final training keeps images aside on which its probabilities are calibrated
    """

    kind: str
    model: ModelSpec
    weights: Path | None
    pack: Path
    recipe: RecipeSpec
    rate: float
    steps: int
    until: float
    result: Path
    rung: int = 0
    threads: int = 1
    seconds: float | None = None
    keep: Path | None = None
    history: Mapping[str, Any] = field(default_factory=dict)
    calibrate: bool = True

    @property
    def checkpoint(self) -> Path:
        """Where the finished model goes."""
        if self.keep is None:
            raise ValueError(f"keep must say where the finished model goes. Got none for {self.model.name}. Give it.")
        return self.keep

    def due(self, now: float) -> bool:
        """Whether it may start: its time is not over, or a killed final training left what can be tested still."""
        return now < self.until or (self.kind == "finish" and self.snapshot.exists())

    @property
    def snapshot(self) -> Path:
        return self.result.with_name(f"{self.result.stem}-snapshot.safetensors")

    @property
    def outputs(self) -> Path:
        return self.result.with_name("outputs.safetensors")


def write(file: Path, facts: Mapping[str, Any]) -> None:
    """A record of a search, there whole or not at all; `benchmark.files.record` reads it."""
    put_record(file, facts)


def work(job: Job, device: str) -> None:
    """Do a job and write its result: `status` is done, stopped (a loser), cut (by the clock) or failed (`reason`)."""
    import torch

    from benchmark.models import timm_alone  # noqa: F401 (lest the import be the first job's start)
    from benchmark.training.loop import twice_for_memory

    torch.set_num_threads(1)
    do = {"measure": measure, "compete": compete, "finish": finish}[job.kind]
    try:
        facts, _ = twice_for_memory(lambda parts: do(job, torch.device(device), parts))
    except Exception as error:  # a model that cannot be trained is out of the race, not its end
        known = type(error).__module__.startswith("benchmark.")
        facts = {"status": "failed", "reason": str(error) if known else f"{type(error).__name__}: {error}"}
    try:
        write(job.result, facts)
    except OSError as error:  # the search finds no result, and no room itself
        if not (said := no_room(error)):
            raise
        print(f"error: {said}", file=sys.stderr, flush=True)


# --- the three kinds of work ------------------------------------------------------------------------------------


def rivals(job: Job) -> list[list[float]]:
    """The curves so far of the other jobs of this rung."""
    files = (f for f in job.result.parent.glob(f"rung{job.rung}-*.json") if f != job.result)
    return [record(f).get("curve", []) for f in files]


def parts_of(labels: np.ndarray, validation: float, groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the training images that a rung trains on and of those that judge it, the same in every rung.

    groups  (n,) near-duplicates share a number: see benchmark.training.judging.parts
    """

    return parts(labels, lambda n: held_out(n, validation), groups)


def _trainee(job: Job, n_classes: int, device: Any) -> Any:
    from benchmark.training import views

    module, _ = loading.load(job.model, job.weights)
    seed = seed_of("halving", job.kind, "head")
    return views.to_device(architecture.new_head(module, n_classes, seed), job.model, device)


def _fit(
    job: Job, module: Any, examples: Any, device: Any, pack: Any, watch: Callable[[int], float], parts: int
) -> Any:
    from benchmark.training import loop

    here = examples.on(device) if parts == 1 else examples
    recipe = job.recipe.model_copy(update={"steps": job.steps})
    flip, seed = bool(pack.meta.get("flip", False)), seed_of("halving", job.kind, "order")
    return loop.fit(module, job.model, here, recipe, job.rate, seed, flip, parts=parts, watch=watch)


def _clock(device: Any) -> float:
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)
    return time.monotonic()


def measure(job: Job, device: Any, parts: int = 1) -> dict[str, Any]:
    """Seconds to start, of a step, and of an image of the evaluation, one thread each."""
    from benchmark.training import ground_truth, loop

    start, pack = time.monotonic(), packs.load(job.pack)
    train = pack.indices("train")
    few = train[: job.recipe.batch * TIMED_STEPS]
    examples, judges = ground_truth.splits(job.model, pack, few, few[: job.recipe.batch])
    module, ticks = _trainee(job, pack.n_classes, device), []

    def watch(step: int) -> float:
        ticks.append(_clock(device))
        return 1.0 if step == TIMED_STEPS else step / (TIMED_STEPS + 1)

    _fit(replace(job, steps=TIMED_STEPS + 1), module, examples, device, pack, watch, parts)
    looked = time.monotonic()
    loop.predict(module, job.model, judges.pixels, job.recipe, parts)
    step = float(np.median(np.diff(ticks)[1:]))
    return {  # what the first step took beyond the others belongs to the start
        "status": "done",
        "start": ticks[1] - start - step,
        "step": step,
        "image": (time.monotonic() - looked) / len(judges.pixels),
        "batch": min(job.recipe.batch, len(examples.pixels)),
    }


def compete(job: Job, device: Any, parts: int = 1) -> dict[str, Any]:
    """A whole fine-tuning with its validation curve; given up where it is hopeless or time is up."""
    from benchmark.training import ground_truth, judging, loop

    start, pack = time.monotonic(), packs.load(job.pack)
    train = pack.indices("train")
    rest, held = parts_of(pack.labels[train], job.recipe.validation, pack.groups_of(train))
    if len(rest) > (seen := job.steps * job.recipe.batch):
        rest = rest[judging.stratified(pack.labels[train[rest]], seen, seed_of("halving", "seen"))]
    examples, judges = ground_truth.splits(job.model, pack, train[rest], train[held])
    labels = np.asarray(pack.labels[train[held]])
    module = _trainee(job, pack.n_classes, device)
    begun, looking = time.monotonic(), 0.0
    facts: dict[str, Any] = {"status": "done", "curve": [], "start": begun - start}
    curve = facts["curve"]

    def look() -> None:
        nonlocal looking
        before = time.monotonic()
        outputs = loop.predict(module, job.model, judges.pixels, job.recipe, parts)
        curve.append(judging.accuracies(outputs, labels)["oracle"])
        looking += time.monotonic() - before

    def place(step: int) -> float:
        if job.seconds is None:
            return step / job.steps
        last_look = looking / len(curve) if curve else 0.0
        return max((time.monotonic() - begun) / (job.seconds - (begun - start) - last_look), step / job.steps)

    def watch(step: int) -> float:
        if place(step) >= (len(curve) + 1) / CHECKS and len(curve) < CHECKS - 1:
            look()
            write(job.result, facts | {"status": "running"})
            leader = max((c for c in rivals(job) if len(c) >= len(curve)), key=lambda c: c[len(curve) - 1], default=[])
            if hopeless(curve, leader, len(labels)):
                facts.update(status="stopped", reason=f"{curve[-1]:.1f}, the leader {leader[len(curve) - 1]:.1f}")
                return 1.0
        if time.monotonic() >= job.until:
            facts["status"] = "cut"
            return 1.0
        return place(step)

    course = _fit(job, module, examples, device, pack, watch, parts)
    between = looking
    if facts["status"] == "done":
        look()
    facts |= {
        "steps": course.images // course.batch,
        "step": max(course.seconds - between, 1e-6) * course.batch / max(course.images, 1),
        "image": looking / max(1, len(curve)) / len(labels),
        "batch": course.batch,
        "losses": course.curve,
        "seconds": time.monotonic() - start,
    }
    return facts


def finish(job: Job, device: Any, parts: int = 1) -> dict[str, Any]:
    """Train on the training images until the clock says so, look at the test split once, keep the weights.

    All of them but those on which the probabilities are calibrated afterwards (`benchmark.search.calibration.aside`).

    The learning rate follows the clock, so that it has come down to zero when time is up, however fast this machine
    is then. From time to time the weights are kept; a killed training goes on from there, the optimiser afresh. Where
    time is over by then, they are tested as they are.
    """
    import torch
    from safetensors.numpy import save_file as save_arrays

    from benchmark.training import ground_truth, judging, loop

    pack = packs.load(job.pack)
    tested = pack.indices("test")
    trained, aside = _aside(pack, job.calibrate)
    examples, test = ground_truth.splits(job.model, pack, trained, np.concatenate([tested, aside]))
    module = _trainee(job, pack.n_classes, device)
    where, gone, before = provenance.record(str(device)), 0.0, 0  # before the time that is kept for the end
    if state := _kept(job.snapshot):
        gone, before = float(state.pop("place")), int(state.pop("steps", 0))
        module.load_state_dict(state)
    few = pack.indices("train")[: job.recipe.batch]
    sample = ground_truth.splits(job.model, pack, few, few)[1].pixels
    pace = _Pace(job.threads if device.type == "cpu" else 1)
    begun = kept = stepped = time.monotonic()
    place, end, looked = gone, job.until, 0.0

    def testing() -> float:
        """Seconds that the test will take, from training images, as fast as the machine is now."""
        before = _clock(device)
        loop.predict(module, job.model, sample, job.recipe, parts)
        return TEST_MARGIN * (_clock(device) - before) / len(sample) * len(test.pixels)

    def watch(step: int) -> float:
        nonlocal kept, stepped, place, end, looked
        now = _clock(device) if step < 20 else time.monotonic()
        took = now - stepped
        pace(took if step else None)
        share = (now - begun) / max(end - begun, 1e-9)
        if step == 0 or share > looked + 1 / CHECKUPS:
            end, looked = job.until - testing(), max(share, 0.0)
        share = max((now - begun) / max(end - begun, 1e-9), step / job.steps)
        place = max(place, gone + (1 - gone) * share)
        if place >= 1 or (step and now + took > end):
            return 1.0
        if now - kept > max(10.0, (end - begun) / CHECKUPS):
            state = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in module.state_dict().items()}
            put_tensors(job.snapshot, state | {"place": torch.tensor(place), "steps": torch.tensor(before + step)})
            kept = now
        stepped = time.monotonic()
        return place

    course = _fit(job, module, examples, device, pack, watch, parts)
    if course.images == 0 and not gone:
        return {"status": "cut", "reason": "no time was left for a single step"}
    ended, steps = time.monotonic(), before + course.images // course.batch
    seen = loop.predict(module, job.model, test.pixels, job.recipe, parts)
    outputs, beside = seen[: len(tested)], seen[len(tested) :]
    labels = np.asarray(pack.labels[tested])
    calibrated = asdict(calibration.calibrate(beside, pack.labels[aside], outputs, labels)) if len(aside) else None
    tested_as = judging.accuracies(outputs, labels) | {"images": len(labels)}
    save_arrays({"outputs": outputs, "labels": labels}, job.outputs)
    ordinary(job.outputs)
    about = checkpoint.Checkpoint(
        job.model,
        pack.class_names,
        pack.multilabel,
        pack.meta["size"],
        tested_as,
        {"rate": job.rate, "steps": steps, "batch": course.batch, **job.history}
        | {"source": job.model.source_name, "weights": job.model.weights, "recipe": job.recipe.identity()}
        | where,
        calibrated,
        pack.meta.get("levels"),
    )
    origin = {"name": pack.meta["name"], "licence": pack.meta["licence"], "origin": pack.meta["origin"]}
    checkpoint.save(module, about, origin, job.checkpoint)
    return {
        "status": "done",
        "test": tested_as,
        "calibration": calibrated,
        "steps": steps,
        "batch": course.batch,
        "images": steps * course.batch,
        "epochs": steps * course.batch / len(examples.pixels),
        "losses": course.curve,
        "seconds": ended - begun,
        "testing": time.monotonic() - ended,
        "threads": torch.get_num_threads(),
        "resumed_at": gone,
        "late": course.images == 0,
    }


def _aside(pack: Pack, calibrate: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images to train on, and those on which probabilities are calibrated: none of these where they would be few."""
    from benchmark.search.calibration import aside

    train = pack.indices("train")
    groups = pack.groups_of(train)
    if not calibrate or not aside(len(train) if groups is None else len(np.unique(groups))):
        return train, train[:0]
    rest, held = parts(pack.labels[train], aside, groups)
    return train[rest], train[held]


def _kept(snapshot: Path) -> dict[str, Any]:
    """The weights that a killed training kept and how far it was; nothing where there are none that can be read."""

    if not snapshot.exists():
        return {}
    try:
        return layouts.state_dict(snapshot)
    except layouts.Misfit as error:
        print(f"the final training begins anew: {error}", file=sys.stderr, flush=True)
        snapshot.unlink()
        return {}


class _Pace:
    """Takes all threads for a training where they are faster than one: under load they may be slower by far.

    Told the seconds of every step. The first steps have one thread, the next ones all; they stay as long as they keep
    the better time.
    """

    TIMED = 4

    def __init__(self, threads: int):
        self.threads, self.over = threads, threads == 1
        self.alone: list[float] = []
        self.together: list[float] = []

    def __call__(self, seconds: float | None) -> None:
        import torch

        if self.over or seconds is None:
            return
        if len(self.alone) <= self.TIMED:
            self.alone.append(seconds)
            if len(self.alone) > self.TIMED:
                torch.set_num_threads(self.threads)
            return
        self.together = [*self.together[-self.TIMED :], seconds]
        usual = float(np.median(self.alone[1:]))
        slow = len(self.together) > self.TIMED and float(np.median(self.together[1:])) > usual
        if slow or (len(self.together) > 1 and seconds > 4 * usual):
            torch.set_num_threads(1)
            self.over = True
