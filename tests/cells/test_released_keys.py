"""Every released cell is found under its key: what was computed stays when code moves or a specification grows."""

from functools import cache
from pathlib import Path

import pytest

from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.config import cli

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
STAGES = ("weights", "tune", "truth")
PLACES = (f"paths.data={SHARED / 'data'}", f"paths.weights={SHARED / 'weights'}", "paths.released=results/released")


@cache
def needed(name: str, *changes: str) -> dict[str, set[str]]:
    """The keys of all cells that an experiment plans, by stage."""
    composed: list = []
    overrides = [f"experiment={name}", *changes, *PLACES]
    assert cli.experiments(lambda experiments: composed.extend(experiments) or 0, "", overrides) == 0
    cells = [c for e in composed for c in plan(e).cells.values()]
    return {stage: {c.key for c in cells if c.stage == stage} for stage in STAGES}


def released(stage: str, cache_folder: Path) -> set[str]:
    return set(Store(cache_folder, ROOT / "results" / "released").released_keys(stage))


@pytest.mark.parametrize("stage", STAGES)
def test_all_that_the_offline_bank_needs_is_released(stage, tmp_path):
    assert needed("diverse")[stage]
    assert needed("diverse")[stage] <= released(stage, tmp_path)


@pytest.mark.parametrize("stage", STAGES)
def test_no_released_cell_is_orphaned(stage, tmp_path):
    if not (SHARED / "data").is_dir() or not (SHARED / "weights").is_dir():
        pytest.skip("needs ../shared/data and ../shared/weights: packs of real images and the public bank's files")
    found = set().union(*(needed(name)[stage] for name in ("diverse", "small", "rank", "public")))
    found |= needed("public", "recipe.rate_on=[]")[stage]  # what a rate of one's own is worth: results/rates.md
    assert released(stage, tmp_path) - found == set()
