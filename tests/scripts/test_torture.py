"""The campaign finds what it is there to find, and what it misspells is misspelt; `make torture` runs all of it."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmark.cells.keys import key_of
from benchmark.cells.store import Store
from benchmark.config import cli, compose
from scripts import torture
from tests.running import TINY

import torture_damage  # isort: skip  scripts/ is on the path once the command is imported
import torture_options  # isort: skip


@pytest.fixture
def campaign(tmp_path: Path) -> torture.Campaign:
    """A campaign over a cache of six small cells."""
    store = Store(tmp_path / "undisturbed" / "cache")
    for stage in ("truth", "score"):
        for number in range(3):
            spec = {"stage": stage, "number": number}
            arrays = {"values": np.arange(number + 3.0)}
            store.write(stage, key_of(spec), spec, {"oracle": number}, {"seconds": 1.0}, arrays)
    return torture.Campaign(tmp_path, seed=0)


def damaged(campaign: torture.Campaign, rounds: int) -> list[str]:
    for number in range(rounds):
        cache = campaign.folder / "undisturbed" / "cache"
        torture_damage.read_damaged(campaign, str(number), random.Random(number), cache)
    return campaign.faults


def test_damaged_files_are_noticed(campaign: torture.Campaign) -> None:
    assert damaged(campaign, 100) == []
    assert campaign.counts == Counter({"files damaged and read": 100})


def test_a_store_that_does_not_look_is_found_out(
    campaign: torture.Campaign, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def trusting(self: Store, stage: str, key: str, folder: Path) -> dict[str, Path]:
        return {p.name: p for p in folder.iterdir()}

    monkeypatch.setattr(Store, "_verify_folder", trusting)
    found = damaged(campaign, 40)
    assert len(found) > 20
    assert found[0].endswith("cell was read as if it were whole")
    assert "FAULT in" in capsys.readouterr().err


def test_each_kind_of_harm_happens_and_touches_what_it_says(campaign: torture.Campaign, tmp_path: Path) -> None:
    cache, sizes = campaign.folder / "undisturbed" / "cache", Counter()
    for number in range(25):
        rng = random.Random(number)
        cell = rng.choice(sorted(p.parent for p in cache.glob("*/*/manifest.json")))
        before = {p: p.read_bytes() for p in cache.rglob("*") if p.is_file()}
        touched = torture_damage.harm(rng, cell)
        changed = {p.parent for p in before if not p.exists() or p.read_bytes() != before[p]}
        assert changed <= touched
        sizes[len(touched)] += 1
        for path, content in before.items():
            path.write_bytes(content)
    assert set(sizes) == {1, 2}, "two are touched where they change places"


def test_malformed_options_are_refused_and_acceptance_is_a_fault(
    campaign: torture.Campaign, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    for number in range(2):
        torture_options.options(campaign, f"options {number}", random.Random(number))
    assert campaign.faults == []
    monkeypatch.setattr(cli, "experiments", lambda run, usage, argv: run([]))
    torture_options.options(campaign, "options 0", random.Random(0))
    assert campaign.faults[0].startswith("options 0: accepted: ")


def test_what_is_misspelt_is_no_key() -> None:
    known = sorted(compose.known_keys(compose.compose([*TINY])))
    rng = random.Random(0)
    for _ in range(300):
        assert torture_options.misspelt(rng, rng.choice(known), known) not in known


def test_the_page_says_what_was_done(campaign: torture.Campaign) -> None:
    campaign.counts.update({"runs killed or signalled": 7, "by kill": 5, "by interrupt": 2, "malformed options": 3})
    text = torture.page(campaign, torture.Settings(minutes=2, seed=5), 130.0)
    assert "`python scripts/torture.py minutes=2 seed=5`, 2.2 minutes on" in text
    assert "| runs killed or signalled at random moments | 7 | interrupt 2, kill 5 |" in text
    assert "no finished cell was computed again" in text
    campaign.faults.append("kills 3: values differ\nand more")
    assert "1 faults:\n\n- kills 3: values differ\n" in torture.page(campaign, torture.Settings(), 1.0)


@pytest.mark.slow
def test_one_round_of_each(capsys: pytest.CaptureFixture) -> None:
    assert torture.run(torture.Settings(minutes=0.01)) == 0
    assert "| overlapping runs on one cache |" in capsys.readouterr().out
