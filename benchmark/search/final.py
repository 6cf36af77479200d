"""The final training of a search: the winner is trained to the clock, tested once, and kept as a checkpoint."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark import provenance
from benchmark.data import packs
from benchmark.files import ordinary, put_tensors
from benchmark.models import layouts
from benchmark.search import balance, calibration, checkpoint
from benchmark.search.job import Job
from benchmark.search.pace import Pace
from benchmark.search.trial import clock, fit, trainee
from benchmark.training.judging import parts

if TYPE_CHECKING:
    from benchmark.data.packs import Pack

CHECKUPS = 16
"""Times that the final training finds out how long the test will take, and keeps its weights (at most one in 10 s)."""
TEST_MARGIN = 1.3
"""Seconds kept for a second of the test."""


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
    module = trainee(job, pack.n_classes, device)
    chosen = balance.decided(job, module, pack, trained, device)
    where, gone, before = provenance.record(str(device)), 0.0, 0  # before the time that is kept for the end
    if state := _kept(job.snapshot):
        gone, before = float(state.pop("place")), int(state.pop("steps", 0))
        module.load_state_dict(state)
    few = pack.indices("train")[: job.recipe.batch]
    sample = ground_truth.splits(job.model, pack, few, few)[1].pixels
    pace = Pace(job.threads if device.type == "cpu" else 1)
    begun = kept = stepped = time.monotonic()
    place, end, looked = gone, job.until, 0.0

    def testing() -> float:
        """Seconds that the test will take, from training images, as fast as the machine is now."""
        before = clock(device)
        loop.predict(module, job.model, sample, job.recipe, parts)
        return TEST_MARGIN * (clock(device) - before) / len(sample) * len(test.pixels)

    def watch(step: int) -> float:
        nonlocal kept, stepped, place, end, looked
        now = clock(device) if step < 20 else time.monotonic()
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

    course = fit(job, module, examples, device, pack, watch, parts, bool(chosen and chosen.use))
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
        | ({"balanced": chosen.use} if chosen else {})
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
        "balance": chosen.sentence if chosen else None,
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
    train = pack.indices("train")
    groups = pack.groups_of(train)
    if not calibrate or not calibration.aside(len(train) if groups is None else len(np.unique(groups))):
        return train, train[:0]
    rest, held = parts(pack.labels[train], calibration.aside, groups)
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
