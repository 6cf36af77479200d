"""Rounds of torture with malformed options: each must end in a sentence."""

from __future__ import annotations

import contextlib
import io
import random
import re

from torture_campaign import Campaign

from benchmark.config import cli, compose
from benchmark.config.experiment import Experiment
from tests import running

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
