"""What runs promise, tried at random: killed runs, damaged files, overlapping runs, malformed options.

    python scripts/torture.py [minutes=4] [seed=0] [out=docs/torture.md]

The tiny experiment of tests/ is run once undisturbed. Then, a share of the time each, as many rounds as fit:

  kills      a run is killed or signalled, it or one of its workers, at random moments, until one may end
  damage     files of a finished cache are damaged: each is read; then several at once, and the run goes on from there
  overlaps   two or three runs start at random moments on one cache; some of them are killed
  options    keys and values of the command line are misspelt or made nonsense

What must hold: no value differs from the undisturbed run, no finished cell is computed again, nothing nonsensical is
accepted, and nobody sees a traceback. What does not is printed with the name of its round, which `seed` brings back,
and the exit code is 1. With `out`, the figures are written there.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pydantic import Field

from benchmark import provenance
from benchmark.cells.store import Damaged, Store
from benchmark.config import cli, compose
from benchmark.config.experiment import Experiment
from benchmark.config.spec import Spec
from benchmark.errors import ConfigError
from benchmark.files import put
from tests import running

FINISHED = re.compile(r"^\[\d+/\d+\] (?P<label>.+?)  [\d.]+ s, ", re.MULTILINE)
KILLS = 4
"""Times that one run is disturbed before it may end."""
READ = 100
"""Files that are damaged and read by themselves, for each time that a run goes on from several."""
SHARES = {"kills": 0.45, "damage": 0.2, "overlaps": 0.25, "options": 0.1}


class Settings(Spec):
    """How long, and which rounds."""

    minutes: float = Field(4, gt=0, description="time for the whole campaign, about")
    seed: int = Field(0, description="another seed gives other rounds")
    out: Path | None = Field(None, description="a Markdown file for the figures")


@dataclass
class Campaign:
    """The undisturbed run, and what has been counted and found since."""

    folder: Path
    seed: int
    seconds: float = 0.0
    values: dict[str, bytes] = field(default_factory=dict)
    tables: dict[str, bytes] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Run the experiment once with nothing in its way."""
        start, done = time.monotonic(), running.run(self.folder / "undisturbed")
        if done.returncode:
            raise ConfigError(
                f"the tiny experiment must run undisturbed. Got exit code {done.returncode}: {done.stderr}"
            )
        self.seconds = time.monotonic() - start
        self.values = running.values(self.folder / "undisturbed")
        self.tables = running.tables(self.folder / "undisturbed")

    def rounds(self, part: str, do: Callable[[Campaign, str, random.Random], None], seconds: float) -> None:
        """Rounds of one part until its time is over, one at least; each has a generator of its own."""
        end, number = time.monotonic() + seconds, 0
        while not number or time.monotonic() < end:
            name = f"{part} {number}"
            try:
                do(self, name, random.Random(f"{self.seed} {name}"))
            except Exception as error:  # a fault in the harness or in this script: the other rounds go on
                self.fault(name, "".join(traceback.format_exception(error)))
            number += 1
            self.counts[f"rounds of {part}"] += 1

    def fault(self, name: str, what: str) -> None:
        self.faults.append(f"{name}: {what}")
        print(f"FAULT in {name}: {what}", file=sys.stderr, flush=True)

    def expect(self, name: str, holds: bool, what: str) -> bool:
        if not holds:
            self.fault(name, what)
        return holds

    def ended_well(self, name: str, folder: Path) -> None:
        """A last run over what is there: it ends, and every value is the undisturbed run's."""
        done = running.run(folder)
        self.expect(name, done.returncode == 0, f"the last run ended with {done.returncode}: {done.stderr[-2000:]}")
        self.compared(name, folder)

    def compared(self, name: str, folder: Path) -> None:
        self.expect(name, running.values(folder) == self.values, "values differ from the undisturbed run's")
        self.expect(name, running.tables(folder) == self.tables, "tables differ from the undisturbed run's")
        self.expect(name, not list((folder / "cache").glob("unfinished/*")), "something unfinished is left")


# --- kills --------------------------------------------------------------------------------------------------------


def kills(campaign: Campaign, name: str, rng: random.Random) -> None:
    """One run, disturbed several times; what was finished is never computed again."""
    folder = campaign.folder / name.replace(" ", "-")
    done: dict[str, tuple[int, bytes]] = {}
    for _ in range(rng.randint(1, KILLS)):
        how = rng.choice(("kill", "kill", "terminate", "interrupt", "interrupt all", "kill a worker"))
        started = running.Started(folder, f"executor.workers={rng.randint(1, 2)}")
        disturbed(started, how, rng.uniform(0, 1.2 * campaign.seconds))
        campaign.counts["runs killed or signalled"] += 1
        campaign.counts[f"by {how}"] += 1
        campaign.expect(name, "Traceback" not in started.text, f"a traceback after {how}: {started.text}")
        now = running.records(folder)
        campaign.expect(name, done.items() <= now.items(), f"a finished cell was computed again after {how}")
        done = now
    campaign.ended_well(name, folder)
    campaign.expect(name, done.items() <= running.records(folder).items(), "a finished cell was computed again")
    shutil.rmtree(folder)


def disturbed(started: running.Started, how: str, after: float) -> None:
    """Wait, disturb, and wait for the end of the run and of its workers."""
    time.sleep(after)
    process, workers = started.process, running.workers(started.process.pid)
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            if how == "kill a worker":
                for worker in workers[:1]:
                    os.kill(worker, signal.SIGKILL)
            elif how == "interrupt all":
                os.killpg(process.pid, signal.SIGINT)
            else:
                number = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "interrupt": signal.SIGINT}[how]
                process.send_signal(number)
    started.end()
    running.eventually(lambda: running.gone(workers))


# --- damage -------------------------------------------------------------------------------------------------------

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


# --- overlaps -----------------------------------------------------------------------------------------------------


def overlaps(campaign: Campaign, name: str, rng: random.Random) -> None:
    """Runs that share a cache: each cell is computed by one of them, and a killed one costs the others nothing."""
    folder, count = campaign.folder / name.replace(" ", "-"), rng.randint(2, 3)
    killed = rng.random() < 0.5
    runs = []
    for number in range(count):
        runs.append(running.Started(folder, f"paths.out={folder}/out{number}"))
        time.sleep(rng.choice((0.0, rng.uniform(0, 0.5 * campaign.seconds))))
    if killed:
        disturbed(runs[0], rng.choice(("kill", "interrupt")), rng.uniform(0, campaign.seconds))
    codes = [started.end() for started in runs[killed:]]
    campaign.counts["overlapping runs"] += count
    campaign.counts["of them killed"] += killed
    text = "".join(started.text for started in runs)
    campaign.expect(name, codes == [0] * len(codes), f"exit codes {codes}: {text}")
    campaign.expect(name, "Traceback" not in text, f"a traceback: {text}")
    made = Counter(line["label"] for started in runs[killed:] for line in FINISHED.finditer(started.text))
    twice = [label for label, times in made.items() if times > 1]
    campaign.expect(name, not twice, f"computed by two runs: {', '.join(twice)}")
    before = running.records(folder)
    campaign.ended_well(name, folder)
    campaign.expect(name, running.records(folder) == before, "a finished cell was computed again")
    shutil.rmtree(folder)


# --- options ------------------------------------------------------------------------------------------------------

NONSENSE = (
    "nan",
    "inf",
    "-inf",
    "-3",
    "[]",
    "{}",
    "[1,x]",
    "{a: b}",
    "word",
    "''",
    "null",
    "1e999",
    "${no.such}",
    "0x",
)
NUMBERS = re.compile(
    r"(recipe\.(steps|batch|seeds|warmup|validation|crop)|probe\.(size|draws)|truth\.(verify|tolerance))"
)
ODD = (
    "+method.mine._target_=..",
    "+method.mine._target_=.os.system",
    "+method.mine._target_=os.",
    "+method.mine._target_=",
    "+bank.random.args.pretrained=true",
    "+bank.vit.args.checkpoint_path=x",
    "+bank.random.init=random",
    "bank.random.weights=file",
    "bank.random.weights='hub:x'",
    "bank.vit.mean=[0.5]",
    "bank.vit.std=[0,0,0]",
    "target.tiny.task=null",
)
"""Options that have a form and no sense."""


def options(campaign: Campaign, name: str, rng: random.Random) -> None:
    """One malformed option: a sentence and exit code 2."""
    known = sorted(compose.known_keys(compose.compose([*running.TINY])))
    numbers = [k for k in known if NUMBERS.fullmatch(k)]
    kind = rng.choice(("key", "key", "number", "odd"))
    if kind == "key":
        key = misspelt(rng, rng.choice(known), known)
        option = f"{rng.choice(('', '+'))}{key}={rng.choice(('1', 'x', 'null', '[]'))}"
    elif kind == "number":
        option = f"{rng.choice(numbers)}={rng.choice(NONSENSE)}"
    else:
        option = rng.choice(ODD)
    accepted: list[Experiment] = []
    said = io.StringIO()

    def accept(found: list[Experiment]) -> int:
        accepted.extend(found)
        return 0

    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = cli.experiments(accept, "", [*running.TINY, option])
    campaign.counts["malformed options"] += 1
    lines = said.getvalue().splitlines()
    campaign.expect(name, code == 2 and not accepted, f"accepted: {option}")
    campaign.expect(name, bool(lines) and all(s.startswith("error: ") for s in lines), f"{option}: said {lines}")


def misspelt(rng: random.Random, key: str, known: list[str]) -> str:
    """A key with one letter left out, doubled, exchanged or in another case, that is no key."""
    while True:
        at = rng.randrange(len(key))
        letter = rng.choice(
            ("", key[at] * 2, key[at].swapcase(), rng.choice("abcxyz_"), key[at + 1 : at + 2] + key[at])
        )
        changed = key[:at] + letter + key[at + 1 :]
        parts = changed.split(".")
        free = changed.startswith(("bank.", "target.", "source.")) and len(parts) < 3  # a new entry's name
        if (
            changed not in known
            and not free
            and ".args." not in changed
            and ".optimisers." not in changed
            and all(parts)
        ):
            return changed


# --- the command --------------------------------------------------------------------------------------------------

PARTS = {"kills": kills, "damage": damage, "overlaps": overlaps, "options": options}


def run(settings: Settings) -> int:
    """The campaign; 1 where something did not hold."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        campaign = Campaign(Path(folder), settings.seed)
        campaign.begin()
        left = max(0.0, 60 * settings.minutes - campaign.seconds)
        for part, share in SHARES.items():
            campaign.rounds(part, PARTS[part], share * left)
    text = page(campaign, settings, time.monotonic() - start)
    print(text)
    if settings.out and not campaign.faults:
        put(settings.out, text)
    return int(bool(campaign.faults))


def page(campaign: Campaign, settings: Settings, seconds: float) -> str:
    """The figures as Markdown."""
    counts, place = campaign.counts, provenance.hardware()
    ways = ", ".join(f"{name.removeprefix('by ')} {n}" for name, n in sorted(counts.items()) if name.startswith("by "))
    rows = [
        ("runs killed or signalled at random moments", counts["runs killed or signalled"], ways),
        ("runs that then went to their end", counts["rounds of kills"], ""),
        ("files damaged and read by themselves", counts["files damaged and read"], ", ".join(HARM)),
        (
            "files damaged before a run",
            counts["files damaged before a run"],
            f"{counts['cells made again']} cells made again",
        ),
        ("overlapping runs on one cache", counts["overlapping runs"], f"{counts['of them killed']} of them killed"),
        ("malformed options", counts["malformed options"], ""),
    ]
    lines = [
        "# What runs promise, tried at random",
        "",
        f"`python scripts/torture.py minutes={settings.minutes:g} seed={settings.seed}`, {seconds / 60:.1f} minutes on "
        f"{place['processor']}, {place['cores']} cores, commit {provenance.commit()}. `make torture` "
        "makes this page; its minutes decide how many rounds there are, its seed which.",
        "",
        "| tried | how often | of what kind |",
        "|---|---:|---|",
        *(f"| {what} | {count} | {kind} |" for what, count, kind in rows),
        "",
    ]
    if campaign.faults:
        lines += [f"{len(campaign.faults)} faults:", "", *(f"- {f.splitlines()[0]}" for f in campaign.faults)]
    else:
        lines += [
            "No value differed from the undisturbed run's, no finished cell was computed again, every damaged file was "
            "noticed where it was read, nothing nonsensical was accepted, and there was no traceback."
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(cli.settings(run, Settings, __doc__))
