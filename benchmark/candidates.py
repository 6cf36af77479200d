"""The models that a ranking considers: filters, what cannot be had, what each costs, and where a ranking is blind."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.config import ConfigError, Experiment, ModelSpec
from benchmark.files import put
from benchmark.findings import constant_accuracy
from benchmark.plan import Transfer
from benchmark.store import Store, key_of

if TYPE_CHECKING:
    import pandas as pd

PERMISSIVE = ("mit", "apache-2.0", "bsd", "isc", "cc0", "cc-by-4.0", "cc-by-3.0", "unlicense", "zlib", "public domain")
"""Beginnings of licences that allow any use, commercial too, for a notice at most."""
FEW = 100  # training images below which a ranking rests on very little
BATCH = 32
BYTES_PER_PARAMETER = 16  # weights, gradients and two moments in single precision


@dataclass(frozen=True)
class Limits:
    """What a candidate must keep to; None for no limit."""

    licence: str | Sequence[str] | None = None
    parameters: str | float | None = None
    input_size: int | None = None
    speed: float | None = None
    memory: float | None = None


def within(spec: Experiment, limits: Limits, store: Store) -> tuple[dict[str, ModelSpec], dict[str, str]]:
    """The bank's models within the limits that are known before anything runs, and {model: why} of the others."""
    kept, left_out = {}, {name: "it is among exclude_models" for name in spec.exclude_models}
    most = None if limits.parameters is None else number_of(limits.parameters)
    for name, model in spec.bank.items():
        why = left_out.get(name) or _licence(model, limits.licence)
        if not why and limits.input_size is not None and model.input_size > limits.input_size:
            why = f"it looks at {model.input_size} pixels, {limits.input_size} are allowed"
        if not why and (most is not None or limits.memory is not None):
            why = _size(model, most, limits.memory, store)
        if why:
            left_out[name] = why
        else:
            kept[name] = model
    return kept, left_out


def alike(left_out: Mapping[str, str], bank: Mapping[str, ModelSpec]) -> list[tuple[list[str], str]]:
    """The models that are left out, those with a reason of one kind together: (models, the first one's reason)."""
    groups: dict[str, list[str]] = {}
    for name, why in left_out.items():
        model, kind = bank[name], why
        for own in (model.weights.partition(":")[2], model.sha256, model.origin, name):
            kind = kind.replace(own, "…") if own else kind
        groups.setdefault(re.sub(r"[\d.]+", "#", kind), []).append(name)
    said = []
    for names in groups.values():
        first = left_out[names[0]]
        example = "" if len({left_out[n] for n in names}) == 1 else "for instance "
        said.append((names, f"{example}{first}".rstrip(".") + "."))
    return said


def to_fetch(spec: Experiment) -> list[str]:
    """The models whose weights would be downloaded, as far as they are to be had."""
    from benchmark.models import WeightsUnavailable, weight_files

    absent = []
    for model in spec.bank.values():
        if model.weights.startswith(("timm:", "hf-hub:", "torchvision:")):
            try:
                weight_files(model, offline=True)
            except WeightsUnavailable:
                absent.append(model.name)
    return absent


def number_of(text: str | float) -> float:
    """`25M`, `1.5B`, `300k` or a plain number."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\d+)?)\s*([kmb]?)", str(text).strip().lower())
    if not found:
        raise ConfigError(f"parameters must be a number, for instance 25M. Got '{text}'.")
    return float(found[1]) * {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}[found[2]]


def _licence(model: ModelSpec, wanted: str | Sequence[str] | None) -> str:
    if wanted is None:
        return ""
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    allowed = [x for name in names for x in (PERMISSIVE if name.lower() == "permissive" else (name.lower(),))]
    if any(model.licence.lower().startswith(a) for a in allowed):
        return ""
    return f"its licence is {model.licence}, {' or '.join(names)} is asked for"


def _size(model: ModelSpec, parameters: float | None, memory: float | None, store: Store) -> str:
    own = model.parameters or sizes(model, store)["parameters"]
    if parameters is not None and own > parameters:
        return f"it has {own / 1e6:.2f} M parameters, {parameters / 1e6:g} M are allowed"
    if memory is not None and (need := memory_of(sizes(model, store))) > memory:
        return f"fine-tuning it takes about {need:.0f} MB, {memory:g} MB are allowed"
    return ""


def memory_of(facts: Mapping[str, int]) -> float:
    """MB that fine-tuning takes at least, in single precision: weights, gradients, moments, and what every layer puts
    out for a batch of 32. An estimate: the framework's own use and temporary results come on top."""
    return (BYTES_PER_PARAMETER * facts["parameters"] + 4 * BATCH * facts["outputs"]) / 1e6


def sizes(model: ModelSpec, store: Store) -> dict[str, int]:
    """Parameters without the last classifier, and numbers that the layers put out for one image.

    Worked out once on tensors without contents, and kept in the cache.
    """
    path = store.cache / "sizes.json"
    known = _known(path)
    facts = {"arch": model.arch, "args": model.args, "edits": model.edits, "input": model.input_size}
    key = key_of(facts | ({} if model.in_chans == 3 else {"channels": model.in_chans}))
    if key not in known:
        known[key] = _measured(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, json.dumps(known, indent=1, sort_keys=True))
    return known[key]


def _known(path: Path) -> dict[str, dict[str, int]]:
    """What was worked out before; nothing where the file is not there or damaged: it is worked out again."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = known.items() if isinstance(known, dict) else ()
    return {k: v for k, v in whole if isinstance(v, dict) and all(isinstance(n, int) for n in v.values())}


def _measured(model: ModelSpec) -> dict[str, int]:
    import torch

    from benchmark import models

    with torch.device("meta"):
        module = models.create(model).eval()
    own = {id(p) for p in models.head_parameters(module)}
    outputs = 0

    def count(_: Any, __: Any, out: Any) -> None:
        nonlocal outputs
        outputs += out.numel() if isinstance(out, torch.Tensor) else 0

    for part in module.modules():
        if not any(part.children()):
            part.register_forward_hook(count)
    with torch.inference_mode():
        module(torch.zeros(1, model.in_chans, model.input_size, model.input_size, device="meta"))
    return {"parameters": sum(p.numel() for p in module.parameters() if id(p) not in own), "outputs": int(outputs)}


def speeds(transfers: Sequence[Transfer], probes: Mapping[str, Any]) -> dict[str, float]:
    """Images/s of each model while it was probed, one thread: the best of those of one architecture.

    They do the same work, and a probe that shared its core, or loaded a library first, was slower by accident.
    """
    shapes = {t.model.name: repr((t.model.arch, t.model.args, t.model.edits, t.model.input_size)) for t in transfers}
    best: dict[str, float] = {}
    for name, shape in shapes.items():
        best[shape] = max(best.get(shape, 0.0), float(probes[name].record["images_per_second"]))
    return {name: best[shape] for name, shape in shapes.items()}


# --- what the person should know ----------------------------------------------------------------------------------


def about(store: Store, pack: str, transfers: Mapping[str, Transfer]) -> dict[str, Any]:
    """Facts about the data that the page and the notes share."""
    from benchmark import packs

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
            f"{_some(masked)} learned by filling in masked parts: such models look worse frozen, as they are compared "
            "here, than they become by fine-tuning. Give one a trial before you leave it out."
        )
    n = facts["probe_images"]
    wide = table[table["feature_dim"] >= n]["model"].tolist()
    if wide:
        who = "All candidates" if len(wide) == len(table) else _some(wide)
        notes.append(
            f"{who} {'has' if len(wide) == 1 < len(table) else 'have'} at least as many features as a probe set has "
            f"images ({n}): scores that are fitted to the features say little there. More images would help."
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
    if facts["multilabel"]:
        notes.append("Several labels an image: what is predicted is mean average precision, known from few data sets.")
    if table["low"].lt(1).all() and table["high"].gt(99).all():
        notes.append("Too little is known of data like these for an interval: 0 to 100 says just that.")
    return notes


def masked_images(model: ModelSpec) -> bool:
    """Whether a model last learned by filling in masked images: by its objective, or where it tells none, its names."""
    from benchmark.reasons import UNDERSTATED

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


def _some(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
