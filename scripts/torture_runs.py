"""Rounds of torture with runs: disturbed at random moments, or several at once on one cache."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import time
from collections import Counter

from torture_campaign import Campaign

from tests import running

FINISHED = re.compile(r"^\[\d+/\d+\] (?P<label>.+?)  [\d.]+ s, ", re.MULTILINE)
KILLS = 4
"""Times that one run is disturbed before it may end."""


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
