"""The final training of a search: the winner goes on to the clock, is tested once, and is kept as a checkpoint."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from benchmark import provenance
from benchmark.data import packs
from benchmark.models import layouts
from benchmark.search import balance
from benchmark.search.division import aside
from benchmark.search.job import Job
from benchmark.search.keeping import Judges, keep
from benchmark.search.pace import Pace
from benchmark.search.trainee import MARGIN, fit, keep_state, most_steps, now, seconds_an_image, trainee

if TYPE_CHECKING:
    import torch

CHECKUPS = 16
"""Times that the final training finds out how long the test will take, and keeps its weights (at most one in 10 s)."""


@dataclass
class ToTheClock:
    """The place of a training in its schedule, by the clock: asked before every step, 1 when time is up.

    until    when its test must be over; `testing`: seconds that the test will take, as fast as the machine is now
    kept     called with place and steps from time to time, so that a killed training can go on
    pace     told the seconds of every step
    gone     the place from which it goes on
    most     steps that it can have; `clock`: the time at a step
    """

    until: float
    testing: Callable[[], float]
    kept: Callable[[float, int], None]
    pace: Callable[[float | None], None]
    gone: float
    most: int
    clock: Callable[[int], float]
    begun: float = field(default_factory=lambda: time.monotonic())
    looked: float = 0.0

    def __post_init__(self) -> None:
        self.saved = self.stepped = self.begun
        self.end, self.place = self.until - self.testing(), self.gone

    def __call__(self, step: int) -> float:
        time_is = self.clock(step)
        took = time_is - self.stepped
        self.pace(took if step else None)
        if self.share(time_is) > self.looked + 1 / CHECKUPS:
            self.end, self.looked = self.until - self.testing(), self.share(time_is)
        self.place = max(self.place, self.gone + (1 - self.gone) * max(self.share(time_is), step / self.most))
        if self.place >= 1 or (step and time_is + took > self.end):
            return 1.0
        if time_is - self.saved > max(10.0, (self.end - self.begun) / CHECKUPS):
            self.kept(self.place, step)
            self.saved = time_is
        self.stepped = time.monotonic()
        return self.place

    def share(self, time_is: float) -> float:
        """The share of this training's own time that is gone."""
        return (time_is - self.begun) / max(self.end - self.begun, 1e-9)


def finish(job: Job, device: torch.device, parts: int = 1) -> dict[str, Any]:
    """Train on the training images until the clock says so, look at the test split once, keep the weights.

    All of them but those kept aside (`benchmark.search.division.aside`), which judge the model and calibrate it.

    The learning rate follows the clock, so that it has come down to zero when time is up, however fast this machine
    is then. From time to time the weights are kept; a killed training goes on from there, the optimiser afresh. Where
    time is over by then, they are tested as they are.
    """
    import torch

    from benchmark.training import ground_truth, loop

    pack = packs.load(job.pack)
    trained, kept_aside = aside(pack, job.recipe.validation, job.calibrate)
    judges = Judges(pack, pack.indices("test"), kept_aside)
    examples, test = ground_truth.splits(job.model, pack, trained, judges.indices)
    state = _kept(job)
    gone, before = float(state.pop("place", 0.0)), int(state.pop("steps", 0))
    module = trainee(replace(job, begin=None) if state else job, pack.n_classes, device)
    chosen = balance.decided(job, module, pack, trained, device)
    if state:
        module.load_state_dict(state)
    few = pack.indices("train")[: job.recipe.batch]
    sample = ground_truth.splits(job.model, pack, few, few)[1].pixels
    image = seconds_an_image(job, module, sample, device, parts)

    def kept(place: float, step: int) -> None:
        keep_state(module, job.snapshot, place=torch.tensor(place), steps=torch.tensor(before + step))

    watch = ToTheClock(
        job.until,
        lambda: MARGIN * seconds_an_image(job, module, sample, device, parts) * len(test.pixels),
        kept,
        Pace(job.threads if device.type == "cpu" else 1),
        gone,
        most_steps(job.until - time.monotonic(), image, job.recipe.batch),
        lambda step: now(step, device),
    )
    balanced = bool(chosen and chosen.use)
    course = fit(job, module, examples, bool(pack.meta.get("flip", False)), watch, watch.most, device, parts, balanced)
    if course.images == 0 and not gone:
        return {"status": "cut", "reason": "no time was left for a single step"}
    ended, steps = time.monotonic(), before + course.images // course.batch
    outputs = loop.predict(module, job.model, test.pixels, job.recipe, parts)
    history: dict[str, Any] = {"rate": job.rate, "steps": steps, "batch": course.batch}
    history |= ({"balanced": balanced} if chosen else {}) | provenance.record(str(device))
    return {
        "status": "done",
        **keep(job, module, judges, outputs, history),
        "balance": chosen.sentence if chosen else None,
        "steps": steps,
        "batch": course.batch,
        "images": steps * course.batch,
        "epochs": steps * course.batch / len(examples.pixels),
        "losses": course.curve,
        "seconds": ended - watch.begun,
        "testing": time.monotonic() - ended,
        "threads": torch.get_num_threads(),
        "resumed_at": gone,
        "late": course.images == 0,
    }


def _kept(job: Job) -> dict[str, Any]:
    """The weights that a killed training kept and how far it was; nothing where there are none that can be read."""
    if not job.snapshot.exists():
        return {}
    try:
        return layouts.state_dict(job.snapshot)
    except layouts.Misfit as error:
        print(f"the final training begins anew: {error}", file=sys.stderr, flush=True)
        job.snapshot.unlink()
        return {}
