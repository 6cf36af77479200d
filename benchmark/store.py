"""What is kept of finished work, stage by stage, and how to make room: `python -m benchmark.store prune=[probe,score]`.

A cell that is removed is computed again when a run needs it; the released layer is never touched.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from pydantic import BaseModel, Field

from benchmark.cells.store import STAGES, Store, clean
from benchmark.config import cli
from benchmark.errors import ConfigError, did_you_mean
from benchmark.places import shipped


class Settings(BaseModel):
    """Options of `python -m benchmark.store`."""

    model_config = {"extra": "forbid"}
    cache: Path = Field(Path(".cache"), description="the cache folder")
    released: Path | None = Field(shipped("results/released"), description="the released layer, null for none")
    prune: list[str] = Field(
        [], description="stages whose cells are removed, e.g. [probe,score]; damaged and unfinished too"
    )
    unused_days: float | None = Field(None, ge=0, description="prune only cells that are older than this many days")


def report(settings: Settings) -> int:
    """Print what the store holds, stage by stage; remove what `prune` names."""
    if "cache" in settings.model_fields_set and not settings.cache.is_dir():
        raise ConfigError(f"cache must be a folder that exists. Got '{settings.cache}'. Correct the path.")
    store = Store(settings.cache, settings.released)
    known = (*STAGES, "damaged", "unfinished")
    for stage in settings.prune:
        if stage not in known:
            raise ConfigError(f"prune must name stages. Got '{stage}'. {did_you_mean(stage, known)}")
    if "unfinished" in settings.prune:
        clean(store)
    oldest = None if settings.unused_days is None else time.time() - 86400 * settings.unused_days
    removed = 0
    for folder in (f for stage in settings.prune if stage != "unfinished" for f in (store.cache / stage).glob("*")):
        if oldest is None or folder.stat().st_mtime < oldest:
            shutil.rmtree(folder)
            removed += 1
    print(f"{'stage':<12}{'cells':>8}{'MB':>10}   {store.cache}")
    for stage in (*STAGES, "damaged", "unfinished"):
        folders = list((store.cache / stage).glob("*"))
        size = sum(p.stat().st_size for f in folders for p in f.rglob("*") if p.is_file())
        print(f"{stage:<12}{len(folders):>8}{size / 1e6:>10.1f}")
    if store.released and store.released.exists():
        size = sum(p.stat().st_size for p in store.released.rglob("*") if p.is_file())
        count = {s: len(store.released_keys(s)) for s in STAGES}
        holds = ", ".join(f"{n} {s}" for s, n in count.items() if n)
        print(f"released: {holds or 'nothing'}, {size / 1e6:.1f} MB   {store.released}")
    if settings.prune:
        print(f"removed {removed} cells")
    return 0


def main() -> int:
    return cli.settings(report, Settings, "python -m benchmark.store [cache=<folder>] [prune=[probe,score]]")


if __name__ == "__main__":
    raise SystemExit(main())
