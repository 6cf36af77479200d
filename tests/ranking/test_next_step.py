"""The command that a ranking ends with, and how long it is expected to take."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from benchmark.config.cli import mixed
from benchmark.ranking import next_step
from benchmark.ranking.request import Settings


@pytest.mark.parametrize(
    "asked",
    [
        {"data": Path("my photos/it's"), "out": Path("out dir")},
        {"data": Path("a.csv"), "max_images": None, "licence": ["MIT", "Apache-2.0"], "flip": False},
        {"data": Path("a"), "licence": "permissive", "parameters": "25M", "speed": 200.0, "html": False},
    ],
)
def test_the_command_asks_for_the_same_with_a_budget(asked: dict) -> None:
    """Read back by the command line: what comes out is what went in."""
    seen = []
    line = next_step.command(Settings(**asked), ["bank=hub", "probe.draws=2"], "3m")
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "benchmark.rank"]
    assert mixed(lambda *given: seen.append(given), Settings, "", words[3:]) == 0
    assert seen == [(Settings(**asked, budget="3m", try_others=False), ["bank=hub", "probe.draws=2"])]


def test_an_earlier_budget_is_replaced() -> None:
    line = next_step.command(Settings(data=Path("a"), budget="9h", try_others=False), [], "3m")
    assert line == "python -m benchmark.rank data=a budget=3m try_others=false"


def test_seconds_are_three_forward_passes_an_image_and_the_test() -> None:
    assert next_step.expected_seconds(4000, 300, 100.0) == next_step.STARTING + 123.0
    assert [next_step.budget(s) for s in (12, 60, 61, 1000, 90000)] == ["1m", "1m", "2m", "20m", "25h"]
