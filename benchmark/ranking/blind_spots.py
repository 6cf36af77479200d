"""Where a ranking may be wrong for these images, told from the images and the candidates: sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.cells.plan import Transfer
from benchmark.cells.store import Store
from benchmark.config.model import ModelSpec
from benchmark.data import packs
from benchmark.data.user.findings import constant_accuracy
from benchmark.wording import some

if TYPE_CHECKING:
    import pandas as pd

KNOWN_PIXELS = 64  # a side at most, of the images of every known fine-tuning (results/rank, small, public)
FEW = 100  # training images below which a ranking rests on very little


def about(store: Store, pack: str, transfers: Mapping[str, Transfer]) -> dict[str, Any]:
    """Facts about the data that the page and the notes share."""

    data = packs.load(store.folder("pack", pack))
    counts = [int(((data.labels == k) if data.labels.ndim == 1 else data.labels[:, k] == 1)[data.split < 2].sum())
              for k in range(data.n_classes)]  # fmt: skip
    probe = store.read("probe", next(iter(transfers.values())).probe)
    return {
        "classes": dict(zip(data.class_names, counts, strict=True)),
        "train": int(data.meta["train"]),
        "distinct": len(data.distinct(data.indices("train"))),
        "test": int(data.meta["test"]),
        "multilabel": data.multilabel,
        "probe_images": int(probe.values["images"][0]),
        "short_side": float(np.median(data.shapes[data.split < 2].min(axis=1))),
        "constant": None if data.multilabel else 100 * constant_accuracy(data.labels, data.split),
        "measure": "mean average precision" if data.multilabel else "accuracy",
    }


def blind_spots(
    table: pd.DataFrame, transfers: Mapping[str, Transfer], store: Store, pack: str, facts: Mapping[str, Any]
) -> list[str]:
    """Where this kind of ranking is known to mislead, as far as it applies here."""
    notes = []
    masked = [m for m in table["model"] if masked_images(transfers[m].model)]
    if masked:
        notes.append(
            f"{some(masked, 4)} learned by filling in masked parts: such models look worse frozen, as they are "
            "compared here, than they become by fine-tuning. Give one a trial before you leave it out."
        )
    n = facts["probe_images"]
    wide = table[table["feature_dim"] >= n]["model"].tolist()
    if wide:
        who = "All candidates" if len(wide) == len(table) else some(wide, 4)
        notes.append(
            f"{who} {'has' if len(wide) == 1 < len(table) else 'have'} at least as many features as a probe set has "
            f"images ({n}): scores that are fitted to the features say little there."
        )
    if facts["distinct"] < FEW:
        alone = "" if facts["distinct"] == facts["train"] else f", near-copies aside (there are {facts['train']})"
        notes.append(f"Only {facts['distinct']} training images{alone}: every figure here rests on very little.")
    if facts["constant"] is not None and table["predicted_accuracy"].max() <= facts["constant"]:
        notes.append(
            f"Always answering the largest class reaches {facts['constant']:.0f} %, no less than what is predicted: "
            "predictions were hardly learned from classes as uneven as these. Read the order, not the level."
        )
    if strange := unlike_anything(table, facts):
        notes.append(strange)
    large = table[table["input_size"] > 2 * facts["short_side"]]["model"].tolist()
    if large:
        who = "All candidates look" if len(large) == len(table) else f"{len(large)} of {len(table)} candidates look"
        notes.append(
            f"{who} at more than twice the pixels that the images have (median short side "
            f"{facts['short_side']:.0f}): they see them enlarged."
        )
    more = int((table["input_size"] > KNOWN_PIXELS).sum())
    if more:
        who = "all candidates look" if more == len(table) else f"{more} of {len(table)} candidates look"
        notes.append(
            f"What is predicted was learned from fine-tuning with images of at most {KNOWN_PIXELS} pixels; {who} at "
            "more. "
            "The level is taken from the probes; that the order is the same is assumed."
        )
    if facts["multilabel"]:
        notes.append("Several labels an image: what is predicted is mean average precision, known from few data sets.")
    if table["low"].lt(1).all() and table["high"].gt(99).all():
        notes.append("Too little is known of data like these for an interval: 0 to 100 says just that.")
    return notes


def masked_images(model: ModelSpec) -> bool:
    """Whether a model last learned by filling in masked images: by its objective, or where it tells none, its names."""
    from benchmark.ranking.reasons import UNDERSTATED

    if model.objective != "classes":
        return model.objective.rpartition(",")[2].strip() in ("mim", *UNDERSTATED)
    words = re.split(r"[^a-z0-9]+", f"{model.name} {model.arch} {model.weights}".lower())
    return bool(set(words) & set(UNDERSTATED))


def unlike_anything(table: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    """Whether no source's features tell the classes apart: the best neighbour vote is hardly better than chance."""
    if facts["multilabel"] or "knn" not in table or table["knn"].isna().all():
        return ""
    chance = 100 / len(facts["classes"])  # probe sets hold the classes in equal numbers
    best = float(table["knn"].max())
    if best > chance + 0.2 * (100 - chance):
        return ""
    return (
        "These classes are unlike anything in the sources: with the best frozen features the nearest neighbour has "
        f"the same class in {best:.0f} % of the cases, {chance:.0f} % being chance. The order is little more than what "
        "the models did elsewhere."
    )
