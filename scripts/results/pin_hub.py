"""Pin the models of a bank that come from the Hugging Face hub: revisions and licences in a lock file, and a table.

    python scripts/results/pin_hub.py                 # ask the hub, write conf/hub.lock.json and docs/hub.md
    python scripts/results/pin_hub.py ask=false       # the table again, from the lock file as it is

A run loads the revision that the lock file names. What the hub did not say stays null there, as it was or as it is at
first: nothing is invented, and the table says "not pinned".
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import Field

from benchmark.config import cli, compose
from benchmark.config.model import ModelSpec
from benchmark.config.spec import Spec
from benchmark.config.validation import experiment
from benchmark.models.weights import LOCK

INTRO = """# Models of the hub

`bank={bank}`: {models} models from {owners}, over families, sizes, pretraining data and objectives. Facts of a network
(pixels, parameters without the classifier, multiply-adds of one image, layers) are counted from the module itself, the
transform and the licence are timm's; a test holds the bank against both. A revision is what `pin_hub.py`
found on the hub: {pinned} of {repositories} repositories are pinned.

| model | learned | from | pixels | M parameters | GMAC | layers | licence | revision |
|:--|:--|:--|--:|--:|--:|--:|:--|:--|
"""


class Settings(Spec):
    bank: str = Field("hub", description="a bank of conf/bank")
    ask: bool = Field(True, description="ask the hub; false: only write the table")
    lock: Path = Field(LOCK, description="the lock file")
    table: Path = Field(Path("docs/hub.md"), description="the table")


def repository(model: ModelSpec) -> str | None:
    """The hub repository of a model's weights, None for weights from elsewhere."""
    kind, _, name = model.weights.partition(":")
    if kind == "hf-hub":
        return name
    if kind == "timm":
        from benchmark.models.timm_alone import timm

        config = timm.get_pretrained_cfg(name)
        return config.hf_hub_id if config else None
    return None


def pin(repositories: list[str], known: dict[str, dict[str, Any]]) -> tuple[dict[str, dict[str, Any]], str]:
    """{repository: revision and licence}, and why the hub was not asked further ("" where it answered)."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    found, why = {name: known.get(name, {"revision": None, "licence": None}) for name in repositories}, ""
    for name in repositories:
        try:
            about = HfApi().model_info(name, timeout=20)
        except HfHubHTTPError as error:  # the hub answered: this one is gone, or wants an account
            print(f"{name}: {str(error).splitlines()[0]}", file=sys.stderr)
            continue
        except Exception as error:  # no hub: its client raises httpx's, requests' and the system's errors
            why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no answer'}"
            break
        licence = getattr(about.card_data, "license", None) if about.card_data else None
        found[name] = {"revision": about.sha, "licence": licence}
    return found, why


def table(bank: str, models: list[ModelSpec], lock: dict[str, dict[str, Any]]) -> str:
    """The models as a page in Markdown."""
    of = {model.name: repository(model) for model in models}
    held = {name: lock.get(name, {}) for name in of.values() if name}
    lines = [
        INTRO.format(
            bank=bank,
            models=len(models),
            owners=", ".join(sorted({name.partition("/")[0] for name in held})),
            pinned=sum(bool(entry.get("revision")) for entry in held.values()),
            repositories=len(held),
        )
    ]
    for model in models:
        entry = held.get(of[model.name] or "", {})
        stated = entry.get("licence")
        licence = model.licence if stated in (None, model.licence) else f"{model.licence} (hub: {stated})"
        revision = (entry.get("revision") or "not pinned")[:12]
        million = f"{model.parameters / 1e6:.1f}" if model.parameters else ""
        lines.append(
            f"| {model.name} | {model.objective} | {model.source_name} | {model.input_size} | {million} | "
            f"{model.gmacs or ''} | {model.layers} | {licence} | {revision} |\n"
        )
    return "".join(lines)


def run(settings: Settings) -> int:
    models = list(experiment(compose.compose([f"bank={settings.bank}", "dry_run=true"])).bank.values())
    repositories = sorted({name for model in models if (name := repository(model))})
    lock = json.loads(settings.lock.read_text(encoding="utf-8")) if settings.lock.is_file() else {}
    why = ""
    if settings.ask:
        lock, why = pin(repositories, lock)
        settings.lock.write_text(json.dumps(lock, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    settings.table.write_text(table(settings.bank, models, lock), encoding="utf-8")
    pinned = sum(bool(lock.get(name, {}).get("revision")) for name in repositories)
    print(f"{pinned} of {len(repositories)} repositories pinned: {settings.lock}, {settings.table}")
    if why:
        print(f"The hub did not answer ({why}). What is not pinned is null. Run this again with a connection.")
    return 1 if why else 0


def main() -> int:
    return cli.settings(run, Settings, __doc__ or "")


if __name__ == "__main__":
    raise SystemExit(main())
