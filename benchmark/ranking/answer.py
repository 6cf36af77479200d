"""The answer to "which model should be fine-tuned on these images": probes, scores and predicted accuracies.

Packs, probes and scores are cells of the ordinary store, so the same images are answered from it the next time. How an
answer is shown is no part of it (`ranking.terminal`, `ranking.page`)."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from benchmark.cells.plan import Cell, Plan, Transfer
from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.config import compose
from benchmark.config.experiment import Experiment
from benchmark.config.functions import DataSpec
from benchmark.config.validation import experiment
from benchmark.data.user import listing
from benchmark.data.user.findings import Finding
from benchmark.data.user.reading import reading_of
from benchmark.errors import ConfigError
from benchmark.execution.compute import run as execute
from benchmark.execution.progress import Display
from benchmark.execution.schedule import Outcome, Progress
from benchmark.ranking import blind_spots, candidates, fetching
from benchmark.ranking.candidates import Limits
from benchmark.ranking.request import Settings
from benchmark.wording import some

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.ranking.to_check import ToCheck
    from benchmark.ranking.trained import Trained

SHOWN_SIZE = 128
"""Short side in pixels that images are kept at, or what the bank's largest model looks at: enough to show them."""

OWN = ("method", "target", "experiment", "logger", "truth", "dry_run")
"""Parts of the configuration that a ranking decides, or has no use for."""


@dataclass
class Answer:
    """Everything a ranking found out.

    table        a row a candidate, best first: rank, model, predicted_accuracy, low, high (percent, 80 %),
                 expected_regret (points), best (probability), images_per_second, parameters, licence, why …
    findings     about the data; `left_out` {model: why} of the bank's others; `notes` about the ranking's blind spots
    names        of all images of the pack, as messages call them
    asked        what was asked, with the configuration's `overrides`
    """

    experiment: Experiment
    store: Store
    data: DataSpec
    pack: str
    table: pd.DataFrame
    findings: list[Finding]
    left_out: dict[str, str]
    notes: list[str]
    stakes: list[str]
    transfers: Mapping[str, Transfer]
    weights: Mapping[str, str | None]  # {model: key of the weights that the harness trained}
    names: Sequence[str]
    asked: Settings
    overrides: Sequence[str]
    about: dict[str, Any] = field(default_factory=dict)
    trained: Trained | None = None  # once a search has ended

    @cached_property
    def to_check(self) -> ToCheck:
        """The images to look at again, by what the first model makes of them."""
        from benchmark.data import packs
        from benchmark.ranking.to_check import to_check

        probe = self.store.read("probe", self.transfers[self.table.iloc[0]["model"]].probe).arrays
        pack = packs.load(self.store.folder("pack", self.pack))
        return to_check(pack, self.names, probe["features"], probe["labels"], probe["image_ids"])


def answered(asked: Settings, overrides: Sequence[str]) -> Answer:
    """Read, probe, score and predict."""
    spec, data = configured(asked, overrides)  # first: its complaints come before a large folder is read
    found = listing.listing(asked.data, reading_of(**_reading(asked))).taken(asked.max_images)
    say = _Messages()
    say(f"{len(found)} images of {len(found.class_names)} classes in {asked.data}: {some(found.class_names)}")
    for remark in found.remarks:
        say(remark)
    store = Store(spec.paths.cache, spec.paths.released)
    limits = Limits(asked.licence, asked.parameters, asked.input_size, asked.speed, asked.memory)
    kept, left_out = candidates.within(spec, limits, store)
    chosen = spec.model_copy(update={"bank": kept})
    if download := fetching.needed(chosen):
        say(f"not on this machine: {download}: {some([m.name for m in download.models])}")
        left_out |= fetching.declined(download, asked.fetch)
        chosen = chosen.model_copy(update={"bank": {n: m for n, m in kept.items() if n not in left_out}})
    made = plan(chosen, with_truth=False)
    left_out |= made.unavailable
    say.left_out(left_out, spec)
    if made.transfers:
        say(f"{len(made.transfers)} candidates of {len(spec.bank)}")
    if not made.transfers:
        raise ConfigError(_none_left(spec, left_out))
    check_space(made, store, spec, len(found))
    findings = [Finding("remark", remark, "") for remark in found.remarks]
    findings += compute(made, store, spec, data, say, left_out)
    made.transfers = [t for t in made.transfers if t.model.name not in left_out]
    table = tabulated(made, store, left_out, limits)
    if table.empty:
        raise ConfigError(_none_left(spec, left_out))
    (pack,) = {c.key for c in made.cells.values() if c.stage == "pack" and c.work["data"] == data}
    transfers = {t.model.name: t for t in made.transfers}
    weights = {name: made.cells[t.probe].work["weights"] for name, t in transfers.items()}
    table, stakes = predicted(table)
    given = found.names, asked, overrides
    answer = Answer(spec, store, data, pack, table, findings, left_out, [], stakes, transfers, weights, *given)
    answer.about = blind_spots.about(store, pack, transfers)
    answer.table = not_below(table, answer.about["constant"])
    answer.notes = blind_spots.blind_spots(answer.table, transfers, store, pack, answer.about)
    return answer


def configured(asked: Settings, overrides: Sequence[str]) -> tuple[Experiment, DataSpec]:
    """The experiment of a ranking: the bank on the user's images, with the methods that the recommender knows."""
    from benchmark.ranking import transfers as ranking_transfers

    for override in overrides:
        if (key := re.split(r"[.=@]", override.lstrip("+~"))[0]) in OWN:
            raise ConfigError(f"{key} must be left out of a ranking, which sets it itself. Got '{override}'.")
    methods = ",".join((*ranking_transfers.METHODS, *ranking_transfers.FACTS))
    composed = compose.compose([f"method=[{methods}]", *overrides])
    sources = dict(composed.get("target") or {}) | dict(composed.get("source") or {})  # what models were trained on
    name = re.sub(r"\W+", "_", asked.data.expanduser().resolve().stem).strip("_") or "images"
    name += "_" * (name in sources)
    sizes = [(entry.get("input_size") or 32) / (entry.get("crop_pct") or 1.0) for entry in composed["bank"].values()]
    given = {"flip": asked.flip, **_reading(asked)}
    own = {
        "path": str(asked.data),
        "most": asked.max_images,
        "test_share": asked.test_share,
        "alike": asked.duplicate_threshold,
    }
    own |= {k: v for k, v in given.items() if v is not None}
    entry = {
        "_target_": "benchmark.data.user.adapter.images",
        "task": f"the user's {name}",
        "size": max(SHOWN_SIZE, *map(round, sizes)),
    }
    spec = experiment(composed | {"source": sources, "target": {name: entry | own}})
    return spec, spec.target[name]


def _reading(asked: Settings) -> dict[str, Any]:
    """How the path is to be read, as plain data, where it is given."""
    named = {name: getattr(asked, name) for name in ("image", "label", "class_level", "masks", "separator")}
    return {k: v for k, v in {**named, "split": asked.split.given or None}.items() if v is not None}


def compute(
    made: Plan, store: Store, spec: Experiment, data: DataSpec, say: _Messages, left_out: dict[str, str]
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


def _none_left(spec: Experiment, left_out: Mapping[str, str]) -> str:
    groups = sorted(candidates.by_reason(left_out, spec.bank), key=lambda g: -len(g[0]))
    said = "; ".join(f"{len(models)}: {why.rstrip('.')}" for models, why in groups[:5])
    return f"a candidate must be left. Got none of {len(spec.bank)} ({said}). Loosen a filter, or take another bank."


class _Messages:
    """Lines for the person, beside the progress."""

    def __call__(self, line: str, display: Display | None = None) -> None:
        if display is not None:
            display.say(line)
        else:
            print(line, file=sys.stderr, flush=True)

    def left_out(self, left_out: Mapping[str, str], spec: Experiment) -> None:
        for models, why in candidates.by_reason(left_out, spec.bank):
            self(f"left out: {some(models)}: {why}")


def tabulated(made: Plan, store: Store, left_out: dict[str, str], limits: Limits) -> pd.DataFrame:
    """What the recommender learns from, and the facts that a person chooses by: a row a candidate."""
    import pandas as pd

    from benchmark.tables.gather import gather, without_vacuous

    tables = gather(made, store, {})
    scores = without_vacuous(tables.scores, tables.status).drop(columns=["Run", "Images"], errors="ignore")
    facts = ["Model", "Architecture", "Source Dataset", "Target Dataset", "Layers", "Parameters"]
    methods = [c for c in scores if c not in facts]
    mean = scores.groupby("Model")[methods].mean()
    probes = {t.model.name: store.read("probe", t.probe) for t in made.transfers}
    speeds = candidates.speeds(made.transfers, probes)
    rows = []
    for transfer in made.transfers:
        model, probe, speed = transfer.model, probes[transfer.model.name], speeds[transfer.model.name]
        if limits.speed is not None and speed < limits.speed:
            left_out[model.name] = f"{speed:.0f} images/s are measured, {limits.speed:g} asked for"
            continue
        rows.append(
            {
                "model": model.name,
                "architecture": model.arch_name,
                "source": model.source_name,
                **{name: mean.at[model.name, name] for name in methods},
                "parameters": int(probe.values["parameters"]),
                "images_per_second": speed,
                "input_size": model.input_size,
                "feature_dim": int(probe.values["feature_dim"]),
                "licence": model.licence,
                "weights": model.weights,
            }
        )
    return pd.DataFrame(rows)


def not_below(table: pd.DataFrame, constant: float | None) -> pd.DataFrame:
    """The table with no predicted accuracy below what always answering the largest class reaches, in percent."""
    if constant is None:
        return table
    columns = ["predicted_accuracy", "low", "high"]
    return table.assign(**{name: table[name].clip(lower=constant) for name in columns})


def predicted(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table best first with the recommender's columns, and in words what is at stake and what it rests on."""
    from benchmark.ranking import recommend
    from benchmark.ranking import transfers as ranking_transfers

    recommender = recommend.fit(ranking_transfers.known())
    found = recommender.predict(table)
    whole = found.merge(table, on="model", validate="one_to_one")
    whole.insert(0, "rank", range(1, len(whole) + 1))
    said = [str(recommender.stakes(table)), recommender.case]
    if whole["expected_regret"].max() < 1:
        said.insert(1, "All candidates are expected within a point of the best: take the fastest.")
    return whole, said
