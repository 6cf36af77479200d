"""Computing what a ranking needs: the user's pack, probes and scores of the candidates, looks where they are wanted."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from benchmark.cells.plan import Cell, Plan, Transfer, merge
from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.config.compose import methods_named
from benchmark.config.experiment import Experiment
from benchmark.config.functions import DataSpec
from benchmark.data.user.findings import Finding
from benchmark.errors import ConfigError
from benchmark.execution.compute import run as execute
from benchmark.execution.progress import Display
from benchmark.execution.schedule import Outcome, Progress
from benchmark.ranking.looks import LOOK, RATE


def compute(
    made: Plan, store: Store, spec: Experiment, data: DataSpec, say: Callable[..., None], left_out: dict[str, str]
) -> list[Finding]:
    """Compute what is missing: the user's pack first, so that what is wrong is said before anything runs.

    Models whose cells fail join `left_out`. Returns the findings about the data.
    """
    failed: dict[str, str] = {}
    also = {t.probe for t in made.transfers}
    pack = next(c for c in made.cells.values() if c.stage == "pack" and c.work["data"] == data)
    also.add(pack.key)
    while True:
        missing = [c for c in made.missing(store, also) if c.key not in failed]
        ours, rest = [c for c in missing if c is pack], [c for c in missing if c is not pack]
        with Display(len(missing)) as display:
            if ours:
                here = spec.executor.model_copy(update={"name": "local", "workers": 0, "device": "cpu"})
                display.expect(f"reading the images of {data.name}")
                if reason := execute(ours, made.cells, store, here, display).get(pack.key):
                    raise ConfigError(reason)
            found = [Finding(**note) for note in store.read("pack", pack.key).values.get("notes", [])]
            for one in found:
                say(one.sentence, display)
            failed |= execute(rest, made.cells, store, spec.executor, _Shifted(display, len(ours)))
        read = (cell for t in made.transfers for cell in (("probe", t.probe), *scored(t)))
        if not (damaged := made.damaged(store, read)):
            break
        for line in damaged:
            say(line)
    for transfer in made.transfers:
        for key in (transfer.probe, *transfer.scores.values()):
            if key in failed:
                left_out.setdefault(transfer.model.name, failed[key])
    return found


def looked_at(
    spec: Experiment,
    names: Sequence[str],
    rates: Mapping[str, float],
    store: Store,
    say: Callable[..., None],
) -> dict[str, float]:
    """{model: look} of some candidates on the experiment's one target, each at its rate; without those that fail.

    One draw of the probe; cells of the store as any score.
    """
    plans = []
    for rate in sorted({rates.get(name, RATE) for name in names}):
        (method,) = methods_named(["look"], [f"method.look.rate={rate}"])
        bank = {name: spec.bank[name] for name in names if rates.get(name, RATE) == rate}
        one = {"bank": bank, "method": {LOOK: method}, "probe": spec.probe.model_copy(update={"draws": 1})}
        plans.append(plan(spec.model_copy(update=one), with_truth=False))
    made = merge(plans)
    missing = made.missing(store)
    with Display(len(missing)) as display:
        failed = execute(missing, made.cells, store, spec.executor, display)
    found = {}
    for transfer in made.transfers:
        if (key := transfer.scores[LOOK]) in failed:
            say(f"no look at {transfer.model.name}: {failed[key]}")
            continue
        values = store.read("score", key).values
        if values["status"][0] == "ok":
            found[transfer.model.name] = float(values["scores"][0])
        else:
            say(f"the look at {transfer.model.name} says nothing: {values['reasons'][0]}")
    return found


class _Shifted:
    """A display that counts on from what was done before."""

    def __init__(self, display: Display, before: int):
        self.display, self.before = display, before

    def __call__(self, cell: Cell, outcome: Outcome, progress: Progress) -> None:
        moved = replace(progress, done=progress.done + self.before, total=progress.total + self.before)
        self.display(cell, outcome, moved)


def scored(transfer: Transfer) -> list[tuple[str, str]]:
    return [("score", key) for key in transfer.scores.values()]


def check_space(made: Plan, store: Store, spec: Experiment, images: int) -> None:
    """ConfigError where the disk of the cache cannot hold what is to be computed."""
    missing = made.missing(store)
    pixels = sum(1.4 * 3 * c.work["data"].size ** 2 * images for c in missing if c.stage == "pack")
    probed = min(images, spec.probe.size * spec.probe.draws)
    need = (pixels + sum(c.stage == "probe" for c in missing) * probed * 4 * 2000 + 5e7) / 1e6  # 2000: d + z, roughly
    place = next(p for p in (store.cache.absolute(), *store.cache.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free / 1e6
    if missing and free < need:
        raise ConfigError(
            f"paths.cache must have about {need:.0f} MB free. Got {free:.0f} MB at {place}. "
            "Free some, set paths.cache=<folder>, or read fewer images with max_images=<n>."
        )
