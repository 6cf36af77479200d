"""The models that a ranking considers: filters, what cannot be had, what each costs, and where a ranking is blind."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.cells.keys import key_of
from benchmark.cells.plan import Transfer
from benchmark.cells.store import Store
from benchmark.config.experiment import Experiment
from benchmark.config.model import ModelSpec
from benchmark.errors import ConfigError
from benchmark.files import put
from benchmark.models import absent
from benchmark.models.facts import measured_sizes, memory_of
from benchmark.models.licences import PERMISSIVE


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


def by_reason(left_out: Mapping[str, str], bank: Mapping[str, ModelSpec]) -> list[tuple[list[str], str]]:
    """The models that are left out, those with a reason of one kind together: (models, the first one's reason)."""
    left_out = {**left_out, **absent.in_few_words(left_out, bank)}
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


def sizes(model: ModelSpec, store: Store) -> dict[str, int]:
    """Parameters without the last classifier, and numbers that the layers put out for one image.

    Worked out once on tensors without contents, and kept in the cache.
    """
    path = store.cache / "sizes.json"
    known = _known(path)
    facts = {"arch": model.arch, "args": model.args, "edits": model.edits, "input": model.input_size}
    key = key_of(facts | ({} if model.in_chans == 3 else {"channels": model.in_chans}))
    if key not in known:
        known[key] = measured_sizes(model)
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


def speeds(transfers: Sequence[Transfer], probes: Mapping[str, Any]) -> dict[str, float]:
    """Images/s of each model while it was probed, one thread: the best of those of one architecture.

    They do the same work, and a probe that shared its core, or loaded a library first, was slower by accident.
    """
    shapes = {t.model.name: repr((t.model.arch, t.model.args, t.model.edits, t.model.input_size)) for t in transfers}
    best: dict[str, float] = {}
    for name, shape in shapes.items():
        best[shape] = max(best.get(shape, 0.0), float(probes[name].record["images_per_second"]))
    return {name: best[shape] for name, shape in shapes.items()}
