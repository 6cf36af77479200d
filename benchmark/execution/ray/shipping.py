"""What goes from a run's driver to the nodes of a Ray cluster: what a cell needs, once per node."""

from __future__ import annotations

import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.cells.contents import buffer
from benchmark.cells.keys import fingerprints, key_of
from benchmark.cells.plan import Cell
from benchmark.cells.store import Store
from benchmark.config.model import ModelSpec
from benchmark.execution.ray.node import OUTSIDE, Parcel, contents
from benchmark.models.weights import weight_files

if TYPE_CHECKING:
    from ray import ObjectRef

Content = bytes | Path | np.ndarray

BOXES = 32
"""Contents that are kept in Ray's object store, so that several nodes can fetch them; Ray moves excess to disk."""


class Shipping:
    """Which node has what, and the contents that are on their way."""

    def __init__(self, store: Store, put: Callable[[dict[str, np.ndarray]], ObjectRef]):
        self.store, self.put = store, put
        self.has: dict[str, dict[str, str]] = defaultdict(dict)  # node → key → seal of what it has
        self.boxes: OrderedDict[tuple[str, str], ObjectRef] = OrderedDict()

    def parcels(self, cells: Iterable[Cell], node: str) -> list[Parcel]:
        """What a node lacks of the needs of cells; raises Damaged for a need that is not intact here."""
        has, found = self.has[node], dict[str, Parcel]()
        for cell in cells:
            for stage, key in cell.needs:
                files = self.store.files(stage, key)
                seal = _seal(files)
                if key not in found and has.get(key) != seal:
                    found[key] = Parcel(stage, key, seal, self._box(key, seal, files))
            for model in _foreign(cell):
                outside = weight_files(model)[:1]
                key = key_of({OUTSIDE: fingerprints(outside)})
                if outside and key not in found:  # also where the node has it: each worker is told once more
                    box = None if key in has else self._box(key, "", {p.name: p for p in outside})
                    found[key] = Parcel(OUTSIDE, key, "", box, model.weights)
        return list(found.values())

    def arrived(self, node: str, parcels: Iterable[Parcel], made: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """A node has what it was sent, and what it made."""
        self.has[node].update({parcel.key: parcel.seal for parcel in parcels})
        self.has[node].update({key: _seal(files) for key, files in made.items()})

    def _box(self, key: str, seal: str, files: Mapping[str, bytes | Path]) -> ObjectRef:
        """A reference to a content in Ray's object store, where it is put once while it is in use."""
        if (key, seal) not in self.boxes:
            self.boxes[key, seal] = self.put(contents(files))
        self.boxes.move_to_end((key, seal))
        while len(self.boxes) > BOXES:  # one that is on its way is kept by Ray until it has arrived
            self.boxes.popitem(last=False)
        return self.boxes[key, seal]


def _foreign(cell: Cell) -> list[ModelSpec]:
    """The models of which a cell reads weights that were made elsewhere."""
    work = cell.work.get("trainee", cell.work)
    model = work.get("model")
    if model is None:
        return []
    if cell.stage == "weights":
        return [model.initial] if model.initial else []
    return [] if work["weights"] else [model]


def _seal(files: Mapping[str, Content]) -> str:
    manifest = files["manifest.json"]
    return hashlib.sha256(manifest.read_bytes() if isinstance(manifest, Path) else buffer(manifest)).hexdigest()
