"""Rounds of torture with damaged files: each is read, then a run goes on over several."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from torture_campaign import Campaign

from benchmark.cells.store import Damaged, Store
from tests import running

READ = 100
"""Files that are damaged and read by themselves, for each time that a run goes on from several."""
HARM = ("flip", "cut", "empty", "remove", "grow", "exchange", "copy", "newer")


def damage(campaign: Campaign, name: str, rng: random.Random) -> None:
    """Damaged files one by one, read; then several at once, and a run over them."""
    folder = campaign.folder / name.replace(" ", "-")
    shutil.copytree(campaign.folder / "undisturbed" / "cache", folder / "cache")
    for _ in range(READ):
        read_damaged(campaign, name, rng, folder / "cache")
    cells = sorted(p.parent for p in (folder / "cache").glob("*/*/manifest.json"))
    before, touched = running.records(folder), set()
    for _ in range(rng.randint(1, 8)):
        touched |= harm(rng, rng.choice(cells))
        campaign.counts["files damaged before a run"] += 1
    lost = [c for c in cells if c.parent.name in ("truth", "score") and c not in touched]
    for cell in rng.sample(lost, min(len(lost), 2)):  # so that what these are made from is read, too
        shutil.rmtree(cell)
        touched.add(cell)
    done = running.run(folder)
    campaign.expect(name, done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-2000:]}")
    campaign.expect(name, running.tables(folder) == campaign.tables, "tables differ from the undisturbed run's")
    after = running.records(folder)
    again = {Path(k).parent for k in before if after.get(k) != before[k]}
    campaign.expect(name, again <= {c.relative_to(folder / "cache") for c in touched}, "an intact cell was made again")
    campaign.counts["cells made again"] += len(again)
    for key, content in running.values(folder).items():  # what no run had to read is still damaged, and noticed
        stage, held, _ = key.split("/")
        same = campaign.values.get(key) == content
        campaign.expect(name, same or not readable(folder / "cache", stage, held), f"{key} differs unnoticed")
    shutil.rmtree(folder)


def read_damaged(campaign: Campaign, name: str, rng: random.Random, cache: Path) -> None:
    """One damaged file: its cell reads as it was or not at all. Everything is put back after."""
    cell = rng.choice(sorted(p.parent for p in cache.glob("*/*/manifest.json")))
    whole = {p: {f.name: f.read_bytes() for f in p.iterdir()} for p in cell.parent.iterdir()}
    touched = harm(rng, cell)
    campaign.counts["files damaged and read"] += 1
    for one in touched:
        if readable(cache, one.parent.name, one.name):
            now = {f.name: f.read_bytes() for f in one.iterdir()}
            listed = {n: c for n, c in whole[one].items() if n != "manifest.json"}
            same = all(now.get(n) == c for n, c in listed.items())
            campaign.expect(name, same, f"a damaged {one.parent.name} cell was read as if it were whole")
    for one in touched:
        shutil.rmtree(one, ignore_errors=True)
        one.mkdir()
        for file, content in whole[one].items():
            (one / file).write_bytes(content)
    shutil.rmtree(cache / "damaged", ignore_errors=True)


def readable(cache: Path, stage: str, key: str) -> bool:
    """Whether a store reads the cell; damage is the only other way it may end."""
    try:
        Store(cache).read(stage, key)
    except Damaged:
        return False
    return True


def harm(rng: random.Random, cell: Path) -> set[Path]:
    """Damage one file of a cell, or exchange it; the cells that are touched."""
    if not cell.is_dir() or not (files := sorted(p for p in cell.iterdir() if p.is_file())):
        return {cell}
    file, how = rng.choice(files), rng.choice(HARM)
    others = sorted(p for p in cell.parent.iterdir() if p != cell and (p / file.name).is_file())
    content = bytearray(file.read_bytes())
    if how == "exchange" and others:
        other, aside = rng.choice(others), cell.with_name("aside")
        cell.rename(aside)
        other.rename(cell)
        aside.rename(other)
        return {cell, other}
    if how == "copy" and others:
        file.write_bytes((rng.choice(others) / file.name).read_bytes())
    elif how == "newer":
        manifest = cell / "manifest.json"
        text = manifest.read_text(encoding="utf-8").replace('"schema": 1', f'"schema": {rng.randint(2, 9)}')
        manifest.write_text(text, encoding="utf-8")
    elif how == "remove":
        file.unlink()
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "grow":
        file.write_bytes(content + rng.randbytes(rng.randint(1, 9)))
    elif how == "cut":
        file.write_bytes(content[: rng.randrange(max(1, len(content)))])
    elif content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        file.write_bytes(content)
    return {cell}
