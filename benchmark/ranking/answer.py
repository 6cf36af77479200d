"""The answer to "which model should be fine-tuned on these images": probes, scores and predicted accuracies.

Packs, probes and scores are cells of the ordinary store, so the same images are answered from it the next time. How an
answer is shown is no part of it (`ranking.terminal`, `ranking.page`)."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from benchmark.cells.plan import Transfer
from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.config import compose
from benchmark.config.experiment import Experiment
from benchmark.config.functions import DataSpec
from benchmark.config.validation import experiment
from benchmark.data import packs
from benchmark.data.user import listing
from benchmark.data.user.findings import Finding
from benchmark.data.user.reading import reading_of
from benchmark.errors import ConfigError
from benchmark.execution.local import resolve_devices, worker_count
from benchmark.execution.progress import Display
from benchmark.ranking import blind_spots, candidates, computing, fetching, looks
from benchmark.ranking import table as candidate_table
from benchmark.ranking import transfers as ranking_transfers
from benchmark.ranking.candidates import Limits
from benchmark.ranking.learning_curve import NEARLY_ALL, learning_curve
from benchmark.ranking.request import Settings, with_bank
from benchmark.ranking.to_check import to_check
from benchmark.wording import some

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.ranking.learning_curve import LearningCurve
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
        probe = self.store.read("probe", self.transfers[self.table.iloc[0]["model"]].probe).arrays
        pack = packs.load(self.store.folder("pack", self.pack))
        return to_check(pack, self.names, probe["features"], probe["labels"], probe["image_ids"])

    @cached_property
    def learning_curve(self) -> LearningCurve | None:
        """What the first model's frozen features gain from images; None where the probe did not see all there are."""
        first = self.table.iloc[0]["model"]
        probe = self.store.read("probe", self.transfers[first].probe).arrays
        if len(probe["labels"]) < NEARLY_ALL * self.about["distinct"]:
            return None
        return learning_curve(first, probe["features"], probe["labels"])


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
    computing.check_space(made, store, spec, len(found))
    findings = [Finding("remark", remark, "") for remark in found.remarks]
    findings += computing.compute(made, store, spec, data, say, left_out)
    made.transfers = [t for t in made.transfers if t.model.name not in left_out]
    table = candidate_table.tabulated(made, store, left_out, limits)
    if table.empty:
        raise ConfigError(_none_left(spec, left_out))
    (pack,) = {c.key for c in made.cells.values() if c.stage == "pack" and c.work["data"] == data}
    transfers = {t.model.name: t for t in made.transfers}
    weights = {name: made.cells[t.probe].work["weights"] for name, t in transfers.items()}
    table, stakes = _looked_at(table, *candidate_table.predicted(table), asked, spec, store, say)
    given = found.names, asked, overrides
    answer = Answer(spec, store, data, pack, table, findings, left_out, [], stakes, transfers, weights, *given)
    answer.about = blind_spots.about(store, pack, transfers)
    answer.table = candidate_table.not_below(table, answer.about["constant"])
    answer.notes = blind_spots.blind_spots(answer.table, transfers, store, pack, answer.about)
    return answer


def _looked_at(
    known: pd.DataFrame,
    table: pd.DataFrame,
    stakes: list[str],
    asked: Settings,
    spec: Experiment,
    store: Store,
    say: _Messages,
) -> tuple[pd.DataFrame, list[str]]:
    """The table and what is said of it, once more with looks at the first candidates where they are asked for."""
    names = looks.wanted(asked.looks, table, worker_count(spec.executor, resolve_devices(spec.executor)[1]))
    if not names:
        if asked.looks is not None:
            say(f"looks={asked.looks} is too little for two looks: none is made")
        return table, stakes
    say(f"looking at fine-tuning {some(names)}")
    seen = computing.looked_at(spec, names, looks.usual_rates(), store, say)
    return candidate_table.predicted(known.assign(**{looks.LOOK: known["model"].map(seen)}))


def configured(asked: Settings, overrides: Sequence[str]) -> tuple[Experiment, DataSpec]:
    """The experiment of a ranking: the bank on the user's images, with the methods that the recommender knows."""
    for override in overrides:
        if (key := re.split(r"[.=@]", override.lstrip("+~"))[0]) in OWN:
            raise ConfigError(f"{key} must be left out of a ranking, which sets it itself. Got '{override}'.")
    methods = ",".join((*ranking_transfers.METHODS, *ranking_transfers.PROBES, *ranking_transfers.FACTS))
    composed = compose.compose([f"method=[{methods}]", *with_bank(overrides)])
    sources = dict(composed.get("target") or {}) | dict(composed.get("source") or {})  # what models were trained on
    name = re.sub(r"\W+", "_", asked.data.expanduser().resolve().stem).strip("_") or "images"
    name = f"my_{name}" if name in sources else name
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
    probe = {"fold": True} | dict(composed.get("probe") or {})
    spec = experiment(composed | {"source": sources, "target": {name: entry | own}, "probe": probe})
    return spec, spec.target[name]


def _reading(asked: Settings) -> dict[str, Any]:
    """How the path is to be read, as plain data, where it is given."""
    named = {name: getattr(asked, name) for name in ("image", "label", "class_level", "masks", "separator")}
    return {k: v for k, v in {**named, "split": asked.split.given or None}.items() if v is not None}


def _none_left(spec: Experiment, left_out: Mapping[str, str]) -> str:
    groups = sorted(candidates.by_reason(left_out, spec.bank), key=lambda g: -len(g[0]))
    said = "; ".join(f"{len(models)}: {why.rstrip('.')}" for models, why in groups[:5])
    return (
        f"a candidate must be left. Got none of {len(spec.bank)} ({said}). Loosen a filter, or take another bank "
        "(bank=diverse needs no further files)."
    )


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
