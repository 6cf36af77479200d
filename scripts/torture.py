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

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).parent)]

from pydantic import Field  # noqa: E402
from torture_campaign import Campaign  # noqa: E402
from torture_damage import HARM, damage  # noqa: E402
from torture_options import options  # noqa: E402
from torture_runs import kills, overlaps  # noqa: E402

from benchmark import provenance  # noqa: E402
from benchmark.config import cli  # noqa: E402
from benchmark.config.spec import Spec  # noqa: E402
from benchmark.files import put  # noqa: E402

PARTS = {"kills": (kills, 0.45), "damage": (damage, 0.2), "overlaps": (overlaps, 0.25), "options": (options, 0.1)}
"""What is done in rounds, and its share of the time."""


class Settings(Spec):
    """How long, and which rounds."""

    minutes: float = Field(4, gt=0, description="time for the whole campaign, about")
    seed: int = Field(0, description="another seed gives other rounds")
    out: Path | None = Field(None, description="a Markdown file for the figures")


def run(settings: Settings) -> int:
    """The campaign; 1 where something did not hold."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        campaign = Campaign(Path(folder), settings.seed)
        campaign.begin()
        left = max(0.0, 60 * settings.minutes - campaign.seconds)
        for part, (do, share) in PARTS.items():
            campaign.rounds(part, do, share * left)
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
        f"{place['processor']}, {place['cores']} cores, commit {provenance.commit()}; "
        f"load {campaign.load:.1f} when it began, {os.getloadavg()[0]:.1f} at its end, niceness {os.nice(0)}. "
        "`make torture` makes this page; its minutes decide how many rounds there are, its seed which.",
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
