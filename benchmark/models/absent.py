"""Weights that are not here, said in few words: all files of one folder in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmark.config.model import PATHS, ModelSpec
from benchmark.wording import some

SHOWN = 3
"""Origins and reasons that are told in full; of more, their number."""


def sentences(reasons: Mapping[str, str], bank: Mapping[str, ModelSpec]) -> list[str]:
    """Why models of a bank cannot be had, a sentence a reason; files of one folder share theirs (see `together`)."""
    shared = together(reasons, bank)
    return list(dict.fromkeys(shared.get(name, why) for name, why in reasons.items()))


def together(reasons: Mapping[str, str], bank: Mapping[str, ModelSpec]) -> dict[str, str]:
    """{model: one sentence for all of them} of the models whose files are absent from the same folder.

    reasons  {model: why, as WeightsUnavailable says it}. A single missing file keeps its own sentence, which states
              the origin, the place and the SHA-256 that is expected
    """
    folders: dict[Path, list[str]] = {}
    remedies: dict[Path, set[str]] = {}
    for name, why in reasons.items():
        kind, _, path = bank[name].weights.partition(":") if name in bank else ("", "", "")
        file = Path(path).expanduser()
        if kind in PATHS and f" Got no file {file}. " in why:
            folders.setdefault(file.parent, []).append(name)
            remedies.setdefault(file.parent, set()).add(why.partition(f" Got no file {file}. ")[2])
    several = {folder: names for folder, names in folders.items() if len(names) > 1}
    said = {
        folder: _of_folder(folder, [bank[n] for n in names], len(bank), remedies[folder])
        for folder, names in several.items()
    }
    return {name: said[folder] for folder, names in several.items() for name in names}


def in_few_words(reasons: Mapping[str, str], bank: Mapping[str, ModelSpec]) -> dict[str, str]:
    """{model: why} of the models that `together` joins, to stand beside their names: without the origins of files."""
    said = together(reasons, bank)
    for name in said:
        if bank[name].origin_sha256:
            folder = Path(bank[name].weights.partition(":")[2]).parent
            where = "docs/public.md has the origin of each, and how it was converted"
            said[name] = f"no file in {folder}. {where}; paths.weights=<folder> where they lie elsewhere."
    return said


def _of_folder(folder: Path, models: list[ModelSpec], of: int, remedies: set[str]) -> str:
    files = [Path(m.weights.partition(":")[2]).name + (f" (from {m.origin})" if m.origin else "") for m in models]
    remedy = "Put them there"
    if any(m.origin_sha256 for m in models):
        remedy += ", converted as docs/public.md says, whose table has the origin of each"
    if any(m.sha256 for m in models):
        remedy += "; the bank states the SHA-256 that each must have"
    if len(remedies) == 1:  # one for all of them
        remedy = remedies.pop().rstrip(".")
    return (
        f"weights of {len(models)} of {of} models must be available. Got no files in {folder} for "
        f"{some(files, SHOWN)}. {remedy}. Set paths.weights=<folder> where they lie elsewhere."
    )
