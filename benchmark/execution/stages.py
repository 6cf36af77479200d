"""How each kind of cell is computed from the cells that it needs. Runs in a worker process.

Deep-learning packages are imported inside the stages that need them: a run whose cells are all stored never does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from benchmark import provenance
from benchmark.cells.plan import Cell
from benchmark.cells.store import Store
from benchmark.models import loading
from benchmark.scoring import draws as scoring_draws
from benchmark.scoring import whole_bank
from benchmark.scoring.call import Lost
from benchmark.scoring.draws import draw_seeds, scoring_seed
from benchmark.scoring.score import score_probe
from benchmark.training import features as probing

if TYPE_CHECKING:
    from benchmark.config.model import ModelSpec
    from benchmark.data.packs import Pack
    from benchmark.training.ground_truth import Tuned
    from benchmark.training.trainee import Trainee


def compute(cells: Sequence[Cell], store: Store, device: str) -> Mapping[str, str]:
    """Compute one cell, or several score cells of the same probe, and write them to the store.

    Returns {key: reason} of the score cells of which nothing could be kept, while the others could.
    """
    if cells[0].stage == "score":
        return score(cells, store, device)
    (cell,) = cells
    {"pack": pack, "weights": weights, "tune": tune, "truth": truth, "probe": probe}[cell.stage](cell, store, device)
    return {}


def pack(cell: Cell, store: Store, device: str) -> None:
    from benchmark.data import packs

    data, start, made = cell.work["data"], time.perf_counter(), store.workspace(cell.key)
    values = packs.build(data.name, data.function(**data.parameters), data.size, made)
    store.write("pack", cell.key, cell.identity, values, _record(start, device), made=made)


def weights(cell: Cell, store: Store, device: str) -> None:
    from benchmark.training import pretrain

    model = cell.work["model"]
    module, values, record = pretrain.pretrain(model, _pack(store, cell.work["pack"]), device)
    made = store.workspace(cell.key)
    loading.save(module, made)
    store.write("weights", cell.key, cell.identity, values, record, made=made)


def tune(cell: Cell, store: Store, device: str) -> None:
    from benchmark.training import ground_truth

    if "pooled" in cell.work:
        made = ground_truth.pool([cast("Tuned", store.read("tune", key).values) for key in cell.work["pooled"]], device)
        store.write("tune", cell.key, cell.identity, *made)
        return
    values, record = ground_truth.tune(*_trainee(cell, store), cell.work["recipe"], device)
    store.write("tune", cell.key, cell.identity, values, record)


def truth(cell: Cell, store: Store, device: str) -> None:
    from benchmark.training import ground_truth

    chosen = store.read("tune", cell.work["tune"]).values
    settled = (chosen.get("weight_decay"), chosen.get("steps"))
    recipe = cell.work["recipe"].settled(cell.work["model"].family, *settled)
    values, arrays, record = ground_truth.train(*_trainee(cell, store), recipe, chosen["rate"], cell.key, device)
    store.write("truth", cell.key, cell.identity, values | {"seed": cell.work["seed"]}, record, arrays)


def probe(cell: Cell, store: Store, device: str) -> None:
    """One forward pass over the union of the draws; each draw is kept as positions in that union."""
    import numpy as np

    model, wanted, data = cell.work["model"], cell.work["probe"], _pack(store, cell.work["pack"])
    train = data.distinct(data.indices("train"))
    labels = data.labels[train]
    draws = [train[scoring_draws.draw(labels, wanted.size, seed, data.multilabel)] for seed in draw_seeds(wanted.draws)]
    union = np.unique(np.concatenate(draws))
    arrays, record = probing.extract(
        model, _weights(store, cell.work["weights"]), data, union, device, fold=wanted.fold
    )
    arrays |= {"labels": data.labels[union], "image_ids": union}
    arrays |= {f"draw_{r}": np.searchsorted(union, ids) for r, ids in enumerate(draws)}
    values: dict[str, object] = {
        "images": [len(ids) for ids in draws],
        "halved": min(len(ids) for ids in draws) < wanted.size,
        "feature_dim": int(arrays["features"].shape[1]),
        "source_head": "logits" in arrays,
        "target_size": len(data.indices("train")),
        "classes": data.n_classes,
        "multilabel": data.multilabel,
        "parameters": record["parameters"],
    }
    if record["retried"]:
        values["note"] = record["note"]
    if cell.work["weights"]:
        trained = store.read("weights", cell.work["weights"]).values
        values |= {"source_accuracy": trained["source_accuracy"], "source_size": trained["n_train"]}
    store.write("probe", cell.key, cell.identity, values, record, arrays)


def score(cells: Sequence[Cell], store: Store, device: str = "cpu") -> Mapping[str, str]:
    """All methods that are wanted on one probe share its factorisations; those that compare with others, theirs."""
    if "bank" in cells[0].work:
        return _over_bank(cells, store)
    lost = {}
    for reference, source in dict.fromkeys((c.work["reference"], c.work["source"]) for c in cells):
        here = [c for c in cells if (c.work["reference"], c.work["source"]) == (reference, source)]
        results = score_probe(
            [c.work["method"] for c in here],
            [c.work["facts"] for c in here],
            store.read("probe", here[0].work["scored"]),
            store.read("probe", reference) if reference else None,
            scoring_seed,
            _to_train(here, store, device),
            [c.work.get("known") for c in here],
            store.read("probe", source) if source else None,
        )
        for cell, result in zip(here, results, strict=True):
            if isinstance(result, Lost):
                lost[cell.key] = str(result)
            else:
                store.write("score", cell.key, cell.identity, *result)
    return lost


def _over_bank(cells: Sequence[Cell], store: Store) -> Mapping[str, str]:
    """Scores over one bank on one target: each method is called once, for all its cells."""
    bank, calls, lost = cells[0].work["bank"], dict[str, list[Cell]](), {}
    for cell in cells:
        calls.setdefault(cell.work["call"], []).append(cell)
    probes = {key: store.read("probe", key) for key, _ in bank}
    results = whole_bank.score_probes(
        [wanted[0].work["method"] for wanted in calls.values()],
        [[facts for _, facts in wanted[0].work["bank"]] for wanted in calls.values()],
        [probes[key] for key, _ in bank],
        scoring_seed,
        [wanted[0].work["known"] for wanted in calls.values()],
    )
    for wanted, result in zip(calls.values(), results, strict=True):
        for cell in wanted:
            if isinstance(result, Lost):
                lost[cell.key] = str(result)
            else:
                store.write("score", cell.key, cell.identity, *result[cell.work["place"]])
    return lost


def _to_train(cells: Sequence[Cell], store: Store, device: str) -> Trainee | None:
    """What the methods of these cells that train are given; None where there is no such method."""
    work = next((c.work["trainee"] for c in cells if c.work.get("trainee")), None)
    if work is None:
        return None
    from benchmark.training.trainee import Trainee

    pack = store.folder("pack", work["pack"])
    return Trainee(work["model"], _weights(store, work["weights"]), pack, work["recipe"], device)


def _trainee(cell: Cell, store: Store) -> tuple[ModelSpec, Path | None, Pack]:
    return cell.work["model"], _weights(store, cell.work["weights"]), _pack(store, cell.work["pack"])


def _weights(store: Store, key: str | None) -> Path | None:
    return store.folder("weights", key) if key else None


def _pack(store: Store, key: str) -> Pack:
    return _load_pack(store.folder("pack", key))


@lru_cache(maxsize=16)
def _load_pack(folder: Path) -> Pack:
    from benchmark.data import packs

    return packs.load(folder)


def _record(start: float, device: str) -> dict[str, object]:
    return {"seconds": time.perf_counter() - start, **provenance.record(device)}
