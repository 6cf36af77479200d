"""The cells of an experiment and the transfers that read them, as plain data: what `cells.planner` makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from benchmark.cells.keys import key_of
from benchmark.cells.store import Damaged, Store
from benchmark.config.experiment import ProbeSpec
from benchmark.config.functions import DataSpec, Known, MethodSpec
from benchmark.config.model import ModelSpec
from benchmark.config.recipe import RecipeSpec

VERSIONS = {"pack": 1, "weights": 1, "tune": 1, "truth": 1, "probe": 1, "score": 4}
"""Raised by hand when a stage's code changes what it returns."""

SECONDS = {"pack": 3.0, "weights": 30.0, "tune": 8.0, "truth": 5.0, "probe": 1.0, "score": 0.1}
"""Rough costs of a cell, for the estimate before anything of a stage was measured."""

IMAGES = {"tune": 8000, "truth": 4000}
"""Images of 32 pixels that a cell of that cost trains on."""


class Inputs(TypedDict, total=False):
    """What a cell is computed from: specifications, and the keys of other cells. Its stage decides which there are.

    weights, pack, tune, scored             keys; `scored` is the probe that a score is about
    reference, source                       keys of probes that it is compared with: of a model trained on the target on
                                            the same images, of the same model on images of its source
    pooled                                  keys of the choices of rate whose mean decides
    facts                                   what a method is told of the model
    trainee                                 what a method that trains is made from: as of a fine-tuning
    known                                   what a method is told of other targets
    bank, place, call                       of a score over the whole bank: every model's probe and facts; whose score
                                            of these; and what is the same for all scores of one call. `scored` is then
                                            one name for all of the bank's probes
    """

    data: DataSpec
    model: ModelSpec
    recipe: RecipeSpec
    probe: ProbeSpec
    method: MethodSpec
    seed: int
    facts: Mapping[str, object]
    weights: str | None
    pack: str
    tune: str
    pooled: tuple[str, ...]
    scored: str
    reference: str | None
    source: str | None
    trainee: Inputs
    known: Known | None
    bank: tuple[tuple[str, Mapping[str, object]], ...]
    place: int
    call: str


@dataclass(frozen=True)
class Cell:
    """One piece of work: what it is named, what it is made from, and the specifications that make it."""

    stage: str
    key: str
    identity: Mapping[str, object]
    needs: tuple[tuple[str, str], ...]
    work: Inputs
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

    def add(
        self,
        stage: str,
        identity: Mapping[str, object],
        needs: tuple[tuple[str, str], ...],
        work: Inputs,
        label: str,
        weight: float = 1.0,
    ) -> str:
        identity = {"stage": stage, "version": VERSIONS[stage], **identity}
        key = key_of(identity)
        self.cells.setdefault(key, Cell(stage, key, identity, needs, work, label, weight))
        return key

    def told(self, error: Damaged) -> str:
        """The line about a damaged cell."""
        return f"damaged: {self.cells[error.key].label}: {error}"

    def damaged(self, store: Store, wanted: Iterable[tuple[str, str]]) -> list[str]:
        """A line about each of these cells, by stage and key, that is damaged; each is set aside, to be made again."""
        found = []
        for stage, key in dict.fromkeys(wanted):
            try:
                if store.has(stage, key):
                    store.read(stage, key)
            except Damaged as error:
                found.append(self.told(error))
        return found

    def missing(self, store: Store, also: Iterable[str] = ()) -> list[Cell]:
        """The cells that must be computed: those wanted (truth, scores and `also`) and absent, and what these need."""
        wanted = {k for t in self.transfers for k in (*t.truth, *t.scores.values())} | set(also)
        todo: set[str] = set()
        for cell in reversed(self.cells.values()):
            if cell.key in wanted and not store.has(cell.stage, cell.key):
                todo.add(cell.key)
                wanted |= {key for _, key in cell.needs}
        return [c for c in self.cells.values() if c.key in todo]


def merge(plans: Iterable[Plan]) -> Plan:
    """One plan of several: what they share is done once."""
    whole = Plan()
    for one in plans:
        whole.cells |= {k: c for k, c in one.cells.items() if k not in whole.cells}
        whole.transfers += one.transfers
        whole.unavailable |= one.unavailable
        whole.absent |= one.absent
    return whole
