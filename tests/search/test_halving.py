"""Successive halving: its arithmetic, its course by a clock that the test sets, and real searches of tiny models."""

from __future__ import annotations

import csv
import itertools
import json
import math
import multiprocessing
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmark.cells.store import Store
from benchmark.config import compose
from benchmark.config.recipe import OptimiserSpec, RecipeSpec
from benchmark.config.validation import experiment
from benchmark.data import packs
from benchmark.errors import ConfigError
from benchmark.reporting.pictures import confusion
from benchmark.search import arithmetic, checkpoint, finalists, processes
from benchmark.search import search as search_search
from benchmark.search import session as sessions
from benchmark.search.arithmetic import CHECKS, Arm, Speed
from benchmark.search.course import course
from benchmark.search.job import Job, write
from benchmark.search.pace import Pace
from benchmark.search.result import Result, finished
from benchmark.search.search import MOST, contenders
from benchmark.search.session import Candidate, Given, Session, Subject
from benchmark.search.work import work
from tests import running
from tests.tiny import digits, spec

SMALL = {"arch": "resnet10t", "args": {"channels": [8, 8, 16, 16], "output_stride": 16}, "input_size": 16}


# --- arithmetic -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "workers", "expected"),
    [([3, 3, 2], 1, 8), ([3, 3, 2], 2, 5), ([2, 3, 3], 2, 5), ([5, 1, 1, 1], 2, 5), ([], 2, 0), ([4], 3, 4)],
)
def test_makespan(seconds: list[float], workers: int, expected: float) -> None:
    assert arithmetic.makespan(seconds, workers) == expected


@given(
    steps=st.lists(st.floats(0.01, 1), min_size=1, max_size=6), seconds=st.floats(0.5, 60), workers=st.integers(1, 3)
)
@settings(max_examples=40, deadline=None)
def test_affordable_steps_are_the_most_that_fit(steps: list[float], seconds: float, workers: int) -> None:
    speeds = [Speed(0.1, s, 0.001) for s in steps]

    def takes(n: int) -> float:
        return arithmetic.makespan([0.1 + CHECKS * 20 * 0.001 + n * s for s in steps], workers)

    found = arithmetic.affordable(speeds, 20, seconds, workers)
    assert takes(found) <= seconds or found == 0
    assert takes(found + 1) > seconds


def test_two_standard_errors_of_a_difference() -> None:
    # of a half: sqrt(2 · 0.25 / 200) = 5 points each
    assert arithmetic.behind(50.0, 200) == pytest.approx(10.0, abs=0.01)
    assert 0 < arithmetic.behind(100.0, 200) < 3, "a leader without an error may have had luck"


def test_who_is_hopeless() -> None:
    leader = [50.0, 70.0, 80.0, 82.0]
    assert arithmetic.hopeless([20.0, 25.0], leader, 200)  # 25 + 2 · 5 + 8 is less than 82
    assert not arithmetic.hopeless([20.0], leader, 200), "one look is no curve"
    assert not arithmetic.hopeless([20.0, 50.0], leader, 200), "it rises fast enough to get there"
    assert not arithmetic.hopeless([50.0, 65.0], leader, 200), "within the noise"
    assert not arithmetic.hopeless([20.0, 25.0], leader[:1], 200), "nobody has come so far"
    assert not arithmetic.hopeless([20.0, 25.0], leader, 8), "eight images say little"


@given(
    rises=st.lists(st.floats(0, 30), min_size=CHECKS, max_size=CHECKS),
    leader=st.lists(st.floats(0, 100), min_size=CHECKS, max_size=CHECKS),
    n=st.integers(10, 500),
)
def test_a_flattening_curve_that_wins_is_never_stopped(rises: list[float], leader: list[float], n: int) -> None:
    curve = list(itertools.accumulate(sorted(rises, reverse=True)))
    assume(leader[-1] <= curve[-1] <= 100)
    assert not any(arithmetic.hopeless(curve[:k], leader, n) for k in range(1, CHECKS + 1))


def found(status: str, *curve: float) -> dict:
    return {"status": status, "curve": list(curve)}


def test_order_of_a_rung() -> None:
    arms = [Arm(name, 0.1) for name in "abcdefg"]
    results = [
        found("done", 10, 20, 30, 40),
        found("stopped", 5, 6),
        found("done", 10, 50, 60, 39),
        found("failed"),
        found("stopped", 5, 6, 7),
        found("done", 10, 20, 30, 40),  # as a: the ranking decides
        found("cut", 90),
    ]
    assert [a.model for a in arithmetic.best_first(arms, results)] == ["a", "f", "c", "g", "e", "b"]
    cut = [found("done", 10, 20, 30, 90), found("cut", 20, 30, 40)]  # compared at the third look
    assert [a.model for a in arithmetic.best_first(arms[:2], cut)] == ["b", "a"]


def test_what_was_expected_counts_beside_what_a_rung_shows() -> None:
    arms = [Arm(name, 0.1) for name in "ab"]
    results = [found("done", 60, 62), found("done", 62, 65)]  # on 200 images: an error of 3.4 points, and 3 more

    def order(a: arithmetic.Expected, b: arithmetic.Expected) -> list[str]:
        return [arm.model for arm in arithmetic.best_first(arms, results, {"a": a, "b": b}, 200)]

    sure, doubtful = (lambda x: arithmetic.Expected(x, 1.0)), (lambda x: arithmetic.Expected(x, 30.0))
    assert order(sure(70.0), sure(65.0)) == ["a", "b"]
    assert order(doubtful(70.0), doubtful(65.0)) == ["b", "a"]
    assert order(sure(65.0), sure(70.0)) == ["b", "a"]
    assert [a.model for a in arithmetic.best_first(arms, results, {"a": sure(70.0)}, 200)] == ["b", "a"], "of a alone"
    moved = arithmetic.weighed({0: 62.0, 1: 65.0}, {0: sure(70.0), 1: sure(65.0)}, 10**8)
    share = 1 / (1 + arithmetic.FIDELITY**2)
    assert moved[0] == pytest.approx(share * -1.5 + (1 - share) * 2.5, rel=1e-3)


def test_rates_begin_in_the_middle_and_reach_below_the_recipe() -> None:
    def rates(*grid: float) -> list[float]:
        return arithmetic.rates_of(spec(), RecipeSpec(optimisers={"cnn": OptimiserSpec(rates=grid)}))

    assert rates(0.05, 0.15)[0] == 0.05
    assert sorted(rates(0.05, 0.15)) == pytest.approx([0.0167, 0.05, 0.15])
    assert rates(0.01, 0.03, 0.1)[0] == 0.03
    assert rates(0.01, 0.03, 0.1)[-1] == pytest.approx(0.00333)  # the farthest of 0.01/3, 0.01, 0.1 from 0.03
    assert sorted(rates(0.1)) == pytest.approx([0.0333, 0.1])


# --- the course, by a clock of the test's -----------------------------------------------------------------------

BUDGET = 240.0


class World:
    """Does jobs in no time while its clock says that they took theirs; accuracies are planted.

    A trial of a model reaches top · (1 − 2^(−steps / 40)), less 20 points at any rate but 0.05.
    """

    def __init__(self, top: dict[str, float], step: float = 0.1, slower: float = 1.0, fails: tuple[str, ...] = ()):
        self.top, self.step, self.slower, self.fails = top, step, slower, fails
        self.now, self.jobs, self.dies_after = 1000.0, [], math.inf

    def __call__(self, jobs, tick) -> None:
        """Two workers, in turns: the clock is that of the one which is free."""
        free = [self.now, self.now]
        for job in jobs:
            free.sort()
            self.now = free[0]
            if job.due(self.now):
                self.do(job)
            free[0] = self.now
            if len(self.jobs) >= self.dies_after:
                raise KeyboardInterrupt
            tick()
        self.now = max(free)

    def do(self, job) -> None:
        name, step = job.model.name, self.step * self.slower
        facts = {"status": "done", "start": 0.5, "step": step, "image": 0.001, "batch": 32}
        if name in self.fails and job.kind == "finish":
            facts = {"status": "failed", "reason": "loss became NaN"}
            self.now += 1
        elif job.kind == "measure":
            self.now += 1
            facts["step"] = self.step
        else:
            left = max(0.0, job.until - self.now - 2.0 * (job.kind == "finish"))
            seconds = left if job.kind == "finish" else min(left, job.seconds or job.steps * step + 0.5)
            facts["status"] = "cut" if job.kind == "compete" and seconds == left else "done"
            self.now += seconds
            steps = seconds / step
            curve = [self.accuracy(name, job.rate, steps * k / CHECKS) for k in range(1, CHECKS + 1)]
            facts |= {"curve": curve, "steps": int(steps), "epochs": steps / 25}
            if job.kind == "finish":
                self.now += 2.0  # the test
                facts["test"] = {"oracle": curve[-1], "images": 4}
                facts |= {"late": not left, "resumed_at": 0.7}
                self.finish(job)
        self.jobs.append(job)
        write(job.result, facts)

    def accuracy(self, name: str, rate: float, steps: float) -> float:
        return max(1.0, self.top[name] * (1 - 2 ** (-steps / 40)) - 20 * (rate != 0.05))

    def finish(self, job) -> None:
        from safetensors.numpy import save_file

        job.keep.write_text("the model")
        save_file({"outputs": np.eye(2, dtype=np.float32)[[0, 1, 1, 0]], "labels": np.array([0, 1, 0, 0])}, job.outputs)

    def clock(self) -> float:
        return self.now

    def search(
        self, folder: Path, budget: float = BUDGET, recipe: RecipeSpec | None = None, look: bool = True
    ) -> Result:
        return self.searched(folder, folder / "out/search", budget, recipe or RecipeSpec(), look)

    def searched(self, folder: Path, own: Path, budget: float, recipe: RecipeSpec, look: bool = True) -> Result:
        subject = Subject("planted", folder, 800, 400, ["no", "yes"], False)
        candidates = {name: Candidate(named(name)) for name in self.top}
        given = Given(candidates, subject, recipe, budget, folder / "out", own, 2, 2)
        return course(Session(given, self, self.clock), look)


def named(name: str):
    """A model of an architecture of its own, as far as speed goes."""
    return spec().model_copy(update={"name": name, "args": {"own": name}})


PLANTED = {"first": 60.0, "second": 50.0, "third": 55.0, "best": 90.0, "fifth": 40.0, "sixth": 30.0}


def test_the_planted_best_wins_and_the_deadline_is_kept(tmp_path: Path) -> None:
    world = World(PLANTED)
    result = world.search(tmp_path)
    assert (result.model, result.rate) == ("best", 0.05)
    assert world.now == pytest.approx(1000 + 0.98 * BUDGET), "2 % are kept for writing"
    assert result.seconds <= BUDGET
    assert [j.kind for j in world.jobs].count("finish") == 1, "the test split is looked at once"
    assert result.steps >= finalists.FINAL * BUDGET / world.step - 100, "half of the time belongs to the final training"
    trials = [j for j in world.jobs if j.kind == "compete"]
    assert {j.model.name for j in trials if j.rung == 1} == set(PLANTED)
    assert len({j.rate for j in trials if j.rung == 2 and j.model.name == "best"}) > 1, "a choice of rates"
    assert len({j.model.name for j in trials if j.rung == 3}) < len({j.model.name for j in trials if j.rung == 2}) + 1


def test_a_machine_that_gets_slower_ends_in_time(tmp_path: Path) -> None:
    world = World(PLANTED, slower=3.0)
    result = world.search(tmp_path)
    assert result.model == "best"
    assert world.now <= 1000 + BUDGET


@pytest.mark.parametrize("done", [3, 8, 13, 17])
def test_a_killed_search_goes_on_to_the_same_end(tmp_path: Path, done: int) -> None:
    whole = World(PLANTED)
    expected = whole.search(tmp_path / "whole")
    world = World(PLANTED)
    world.dies_after = done
    with pytest.raises(KeyboardInterrupt):
        world.search(tmp_path)
    died, world.dies_after, world.now = world.now, math.inf, 9000.0  # hours later, or after a restart
    used = json.loads((tmp_path / "out/search/clock.json").read_text())["seconds"]
    result = world.search(tmp_path)
    assert (result.model, result.rate) == (expected.model, expected.rate)
    names = [j.result.name for j in world.jobs]
    assert len(names) == len(set(names)), "what was finished is not done again"
    assert used <= died - 1000
    assert world.now - 9000 == pytest.approx(0.98 * BUDGET - used), "the time used counts"
    assert "goes on" in (tmp_path / "out/log.txt").read_text()


def test_a_finished_search_is_not_repeated(tmp_path: Path) -> None:
    world = World(PLANTED)
    first = world.search(tmp_path)
    places = tmp_path / "out/search", tmp_path / "out"
    first.confusion_picture.unlink()
    first.checkpoint.unlink()
    assert finished(*places) == first
    assert first.confusion_picture.exists(), "its files are put back"
    assert first.checkpoint.read_text() == "the model"
    assert finished(places[0], tmp_path / "else").log == tmp_path / "else/log.txt"
    (places[0] / "confusion.png").unlink()
    assert finished(*places) is None
    assert world.search(tmp_path).test_accuracy == first.test_accuracy, "made again from the kept outputs"
    assert [j.kind for j in world.jobs].count("finish") == 1


def killed_in_the_final(folder: Path, budget: float = BUDGET) -> World:
    """A search that died in the final training, its time over."""
    world = World(PLANTED)
    plain = world.do

    def dies(job) -> None:
        if job.kind == "finish":
            raise KeyboardInterrupt
        plain(job)

    world.do = dies
    with pytest.raises(KeyboardInterrupt):
        world.search(folder, budget)
    write(folder / "out/search/clock.json", {"seconds": budget + 30})
    world.do = plain
    return world


@pytest.mark.parametrize("name", ["clock", "finalists", "rung-1", "rung1-00"])
def test_a_damaged_file_of_a_search_is_a_sentence_and_can_be_deleted(tmp_path: Path, name: str) -> None:
    world = killed_in_the_final(tmp_path)
    file = tmp_path / f"out/search/{name}.json"
    whole = file.read_bytes()
    for damaged in (b"", whole[:-20], whole.replace(b"1", b"2")):
        file.write_bytes(damaged)
        with pytest.raises(ConfigError, match=f"{name}.json must be as a run left it. Got a damaged file .* Delete it"):
            world.search(tmp_path)
    file.unlink()
    (tmp_path / "out/search/final-00-snapshot.safetensors").write_bytes(b"weights")
    assert world.search(tmp_path).model == "best"


def test_a_damaged_result_of_a_search_is_a_sentence(tmp_path: Path) -> None:
    first = World(PLANTED).search(tmp_path)
    places = tmp_path / "out/search", tmp_path / "out"
    file = places[0] / "result.json"
    whole = file.read_text()
    file.write_text(whole.replace(f'"steps": {first.steps}', f'"steps": {first.steps + 1}'))
    with pytest.raises(ConfigError, match=r"result.json must be as a run left it. .*another checksum"):
        finished(*places)
    file.unlink()
    assert World(PLANTED).search(tmp_path).test_accuracy == first.test_accuracy


@pytest.mark.parametrize("budget", [BUDGET, 24.0, 12.0])
def test_a_killed_search_whose_time_is_over_keeps_what_was_trained(tmp_path: Path, budget: float) -> None:
    world = killed_in_the_final(tmp_path, budget)
    (tmp_path / "out/search/final-00-snapshot.safetensors").write_bytes(b"weights")
    result = world.search(tmp_path, budget)
    assert result.model == ("best" if budget == BUDGET else "first")
    assert result.checkpoint.read_text() == "the model"
    assert "time was over when the search went on" in result.notes[-1]
    assert "70 %" in result.notes[-1]
    assert len(result.notes) == (1 if budget == BUDGET else 2), "and what was said when it was planned"


def test_a_killed_search_that_trained_nothing_in_its_time_says_so(tmp_path: Path) -> None:
    world = killed_in_the_final(tmp_path)
    for _ in range(2):
        with pytest.raises(
            ConfigError, match=r"Got 4 min 00 s, used up before anything was trained. Give .*delete search in"
        ):
            world.search(tmp_path)
    assert "finish" not in [j.kind for j in world.jobs]


def test_searches_in_one_folder_keep_their_files_apart(tmp_path: Path) -> None:
    def search(key: str, best: float) -> tuple[Result, list[bytes]]:
        world = World(PLANTED | {"best": best})
        world.finish = lambda job: (World.finish(world, job), job.keep.write_text(f"model of {key}"))
        folder = tmp_path / "out/search" / key
        if not (result := finished(folder, tmp_path / "out")):
            result = world.searched(tmp_path, folder, BUDGET, RecipeSpec())
        files = result.checkpoint, result.confusion_matrix, result.confusion_picture, result.log
        return result, [file.read_bytes() for file in files]

    first, files = search("a", 90.0)
    second, others = search("b", 20.0)
    assert (first.model, second.model) == ("best", "first")
    assert files[0] == b"model of a"
    assert others[0] == b"model of b"
    assert b"final training of best" not in others[-1], "a log of its own"
    assert search("a", 90.0) == (first, files)


def test_a_model_that_fails_in_the_end_gives_way(tmp_path: Path) -> None:
    world = World(PLANTED, fails=("best",))
    result = world.search(tmp_path)
    assert result.model == "first"
    assert any("best" in note and "NaN" in note for note in result.notes)
    assert world.now <= 1000 + BUDGET


def test_a_budget_for_one_fine_tuning_goes_to_the_first_of_the_ranking(tmp_path: Path) -> None:
    # 125 steps of 0.1 s, half a second to start and 3 s at the end are 16 s, of which half of 24 s is less
    world = World(PLANTED)
    result = world.search(tmp_path, 24.0)
    assert result.model == "first"
    assert not [j for j in world.jobs if j.kind == "compete"]
    assert "no search" in " ".join(result.notes)
    assert world.now <= 1024


def test_a_budget_that_is_too_small_says_what_is_needed(tmp_path: Path) -> None:
    result = World(PLANTED).search(tmp_path, 12.0)
    assert "too small" in " ".join(result.notes)
    # 2 s of measuring, half a second to start, 125 steps of 0.1 s, 2.5 s to write and 0.52 s for the test
    with pytest.raises(ConfigError, match=r"must be enough for one fine-tuning. Got 4 s; first, .* needs about 18 s"):
        World(PLANTED).search(tmp_path / "less", 4.0)


def test_an_architecture_is_measured_once(tmp_path: Path) -> None:
    world = World(PLANTED)
    with patch(f"{__name__}.named", lambda name: spec().model_copy(update={"name": name})):
        assert world.search(tmp_path).model == "best"
    assert [j.model.name for j in world.jobs if j.kind == "measure"] == ["first"]


def test_one_that_cannot_be_trained_does_not_take_its_like_along(tmp_path: Path) -> None:
    world = World(PLANTED)
    plain = world.do

    def broken_first(job) -> None:
        plain(job)
        if job.model.name in ("first", "third"):
            write(job.result, {"status": "failed", "reason": "its weights are damaged"})

    world.do = broken_first
    shapes = {"first": 0, "second": 0, "third": 1, "best": 1, "fifth": 2, "sixth": 2}
    with patch(f"{__name__}.named", lambda n: spec().model_copy(update={"name": n, "args": {"own": shapes[n]}})):
        assert world.search(tmp_path).model == "best"
    assert [j.model.name for j in world.jobs if j.kind == "measure"] == ["first", "third", "fifth", "second", "best"]
    log = (tmp_path / "out/log.txt").read_text()
    assert "first: failed, its weights are damaged" in log
    assert "second: 320 images/s" in log


def test_without_a_look_the_first_has_all_of_the_budget(tmp_path: Path) -> None:
    world = World(PLANTED)
    result = world.search(tmp_path, look=False)
    assert (result.model, result.rate) == ("first", 0.05)
    assert not [j for j in world.jobs if j.kind == "compete"]
    assert result.steps > 0.9 * BUDGET / world.step


def test_slow_models_are_left_out(tmp_path: Path) -> None:
    world = World(PLANTED)
    plain = world.do

    def slow_best(job) -> None:
        plain(job)
        if job.kind == "measure" and job.model.name == "best":  # 125 steps of 2 s do not fit into 120 s
            write(job.result, json.loads(job.result.read_text()) | {"step": 2.0})

    world.do = slow_best
    assert world.search(tmp_path).model == "first"
    assert "best: too slow" in (tmp_path / "out/log.txt").read_text()


def test_the_log_is_text_and_json(tmp_path: Path) -> None:
    World(PLANTED).search(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    text = (tmp_path / "out/log.txt").read_text().splitlines()
    assert [line["text"] for line in lines] == [line.partition("] ")[2] for line in text]
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert lines[-1]["event"] == "result"
    assert lines[-1]["model"] == "best"


# --- what it starts from ----------------------------------------------------------------------------------------


def test_models_that_hardly_are_the_best_are_not_tried() -> None:
    bank = {name: spec().model_copy(update={"name": name}) for name in "abcdef"}
    ranking = pd.DataFrame({"model": list("abcdef"), "best": [0.9, 0.06, 0.005, 0.004, 0.02, 0.001]})
    assert contenders(ranking, bank) == ["a", "b", "c", "e"], "a few always are"


def test_contenders_are_those_whose_interval_reaches_the_firsts() -> None:
    bank = {name: named(name) for name in "abcd"}
    table = pd.DataFrame({"model": list("abcd"), "low": [70, 60, 50, 40], "high": [90, 80, 69, 71]})
    assert contenders(table, bank) == ["a", "b", "d"]
    assert contenders(table[["model"]], bank) == ["a", "b", "c", "d"]
    many = {f"m{k}": named(f"m{k}") for k in range(20)}
    assert contenders(pd.DataFrame({"model": list(many)}), many) == list(many)[:MOST]
    with pytest.raises(ConfigError, match="Got 'e'"):
        contenders(pd.DataFrame({"model": ["e"]}), bank)
    with pytest.raises(ConfigError, match="column model"):
        contenders(pd.DataFrame({"name": ["a"]}), bank)


# --- confusion --------------------------------------------------------------------------------------------------


def test_confusion_counts_are_scikit_learns(tmp_path: Path) -> None:
    from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix

    rng = np.random.default_rng(0)
    labels, outputs = rng.integers(0, 4, 60), rng.normal(size=(60, 4))
    expected = confusion_matrix(labels, outputs.argmax(axis=1), labels=range(4))
    counts = confusion.count(outputs, labels)
    np.testing.assert_array_equal(counts, expected)
    table = tmp_path / "c.csv"
    confusion.write(counts, ["a,b", "c", "d", "e"], False, table, tmp_path / "c.png", "title")
    rows = list(csv.reader(table.open()))
    assert rows[1][0] == "a,b"
    np.testing.assert_array_equal(np.array([r[1:] for r in rows[1:]], int), expected)
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"
    many = rng.integers(0, 2, (60, 4))
    counts = confusion.count(outputs, many)
    cells = multilabel_confusion_matrix(many, outputs > 0)  # [[tn, fp], [fn, tp]]
    np.testing.assert_array_equal(counts, np.stack([cells[:, 1, 1], cells[:, 0, 1], cells[:, 1, 0], cells[:, 0, 0]], 1))


# --- real searches ----------------------------------------------------------------------------------------------

RECIPE = RecipeSpec(steps=45, batch=16)


def on_own_time():
    """Searches in this process by its processor time: what else the machine does moves nothing."""
    return patch.object(time, "monotonic", time.process_time)


def real(folder: Path, pack: Path, run, workers: int, budget: float, **more) -> Result:
    """A search between a model that can learn and one whose narrowest layer has one channel."""
    narrow = {"channels": [1, 1, 1, 1], "output_stride": 16}
    wide = spec(**SMALL).model_copy(update={"name": "wide"})
    bank = [wide.model_copy(update={"name": "narrow", "args": narrow}), wide]
    loaded = packs.load(pack)
    train, test = len(loaded.indices("train")), len(loaded.indices("test"))
    subject = Subject("digits", pack, train, test, loaded.class_names, loaded.multilabel)
    candidates = {s.name: Candidate(s) for s in bank}
    given = Given(candidates, subject, RECIPE, budget, folder, folder / "search", workers, workers)
    with on_own_time(), patch.object(sessions, "WRITING", 1.0):  # of so few seconds; matplotlib is there already
        return course(Session(given, run))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import matplotlib.figure  # noqa: F401 (not on the clock of a search that is so short)
    import timm  # noqa: F401

    path = tmp_path_factory.mktemp("digits")
    digits(path, train=300, test=60)
    return path


def inline(jobs, tick) -> None:
    processes.here(jobs, tick, "cpu")


def test_a_real_search_ends_in_time_with_a_model_that_has_learned(folder: Path, tmp_path: Path) -> None:
    start = time.process_time()
    result = real(tmp_path, folder, inline, 1, 8.0)
    assert time.process_time() - start <= 8.0 * 1.05
    assert result.model == "wide"
    assert result.test_accuracy > 30, "of ten digits"
    module, about = checkpoint.load(result.checkpoint)
    from benchmark.training import ground_truth, loop

    pack = packs.load(folder)
    tested = ground_truth.examples_of(pack, pack.indices("test"), 16)
    outputs = loop.predict(module, about.spec, tested.pixels, RECIPE)
    labels = pack.labels[pack.indices("test")]
    assert 100 * (outputs.argmax(axis=1) == labels).mean() == pytest.approx(result.test_accuracy)
    assert about.test["oracle"] == result.test_accuracy
    assert about.calibration == result.calibration
    assert about.calibration["images"] == 30, "a tenth of 300"
    assert result.reliability_picture.read_bytes()[:4] == b"\x89PNG"
    rows = list(csv.reader(result.confusion_matrix.open()))
    assert sum(int(rows[k + 1][k + 1]) for k in range(10)) == round(result.test_accuracy * 60 / 100)


KILLED = """
import matplotlib.figure, os, sys, timm
from pathlib import Path
from tests.search.test_halving import inline, real

def run(jobs, tick):
    if any(j.kind == "compete" for j in jobs):  # in the middle of the first rung the power fails
        inline(jobs[:1], tick)
        os.kill(os.getpid(), 9)
    inline(jobs, tick)

real(Path(sys.argv[1]), Path(sys.argv[2]), run, 1, 8.0)
"""


def test_kill_9_loses_nothing_that_was_finished(folder: Path, tmp_path: Path) -> None:
    call = [sys.executable, "-c", KILLED, str(tmp_path), str(folder)]
    killed = subprocess.run(call, cwd=running.ROOT, env=running.environment(), capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr
    finished = {p: p.read_bytes() for p in (tmp_path / "search").glob("*-*.json") if "running" not in p.read_text()}
    assert {"speed-00.json", "speed-01.json"} < {p.name for p in finished}
    assert len([p for p in finished if "-00" in p.name]) == 2, "a speed and one trial"
    used = json.loads((tmp_path / "search/clock.json").read_text())["seconds"]
    start = time.process_time()
    result = real(tmp_path, folder, inline, 1, 8.0)
    assert time.process_time() - start <= 8.0 * 1.05 - used
    assert result.model == "wide", "as the search that was not killed"
    assert {p: p.read_bytes() for p in finished} == finished


def test_the_final_training_goes_on_where_it_was_killed(folder: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    from benchmark.models import architecture
    from benchmark.training import loop

    model = spec(**SMALL)
    job = Job("finish", model, None, folder, RECIPE, 0.05, 10, time.monotonic() + 60, tmp_path / "f.json")
    job = replace(job, keep=tmp_path / "model.safetensors")
    learned = architecture.build(model, 10)
    state = learned.state_dict() | {"place": torch.tensor(0.999)}
    torch.nn.init.constant_(state["fc.bias"], 7.0)
    save_file(state, job.snapshot)
    work(job, "cpu")
    facts = json.loads(job.result.read_text())
    assert facts["resumed_at"] == pytest.approx(0.999)
    assert facts["steps"] > 0
    # at the end of the cosine the rate is nothing: the weights stay where they were
    kept = load_file(job.keep)
    assert float((kept["fc.bias"] - 7.0).abs().max()) < 0.01
    assert loop.rate_at(0.999 * 1000, 1000, RECIPE.warmup) < 1e-5


def test_a_final_training_whose_time_is_over_is_tested_as_it_is(folder: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    from benchmark.models import architecture

    over = time.monotonic() - 60
    job = Job("finish", spec(**SMALL), None, folder, RECIPE, 0.05, 4, over, tmp_path / "f.json")
    job = replace(job, keep=tmp_path / "model.safetensors")
    inline([job], lambda: None)
    assert not job.result.exists(), "there is nothing to test"
    learned = architecture.build(job.model, 10).state_dict()
    save_file(learned | {"place": torch.tensor(0.6), "steps": torch.tensor(90)}, job.snapshot)
    inline([job, replace(job, kind="compete", result=tmp_path / "rung1-00.json")], lambda: None)
    facts = json.loads(job.result.read_text())
    assert (facts["status"], facts["late"], facts["resumed_at"]) == ("done", True, pytest.approx(0.6))
    assert (facts["steps"], facts["epochs"]) == (90, 90 * 16 / 270), "a tenth is kept aside"
    assert all(bool((value == learned[name]).all()) for name, value in load_file(job.keep).items())
    assert not (tmp_path / "rung1-00.json").exists(), "a trial has no such right"


def test_multilabel(tmp_path: Path) -> None:
    digits(tmp_path / "pack", train=200, test=60, multilabel=True)
    result = real(tmp_path, tmp_path / "pack", inline, 1, 6.0)
    assert result.measure == "map"
    about = checkpoint.read(result.checkpoint)
    assert about.multilabel
    assert about.test["map"] == result.test_accuracy
    rows = list(csv.reader(result.confusion_matrix.open()))
    assert rows[0] == ["label", *confusion.OUTCOMES]
    assert all(sum(map(int, row[1:])) == 60 for row in rows[1:])


def test_processes_do_the_jobs_and_their_death_is_a_row(folder: Path, tmp_path: Path) -> None:
    soon = time.monotonic() + 600
    jobs = [
        Job("measure", spec(**SMALL), None, folder, RECIPE, 0.05, 1, soon, tmp_path / "good.json"),
        Job("measure", spec(arch="nothing"), None, folder, RECIPE, 0.05, 1, soon, tmp_path / "bad.json"),
        Job("measure", spec(**SMALL), None, folder, RECIPE, 0.05, 1, 0.0, tmp_path / "late.json"),
        Job("compete", spec(**SMALL), None, folder, RECIPE, 0.05, 10**5, soon, tmp_path / "rung1-00.json", 1),
    ]

    def kill_the_long_one() -> None:
        if (tmp_path / "good.json").exists() and (tmp_path / "bad.json").exists():
            for child in multiprocessing.active_children():
                child.kill()

    processes.in_processes(jobs, kill_the_long_one, ["cpu", "cpu"])
    assert json.loads((tmp_path / "good.json").read_text())["step"] > 0
    assert "timm" in json.loads((tmp_path / "bad.json").read_text())["reason"]
    assert not (tmp_path / "late.json").exists(), "its time was over before it began"
    died = json.loads((tmp_path / "rung1-00.json").read_text())
    assert died["status"] == "failed"
    assert "want of memory" in died["reason"]


def test_a_loser_stops_itself_by_its_curve(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "rung1-00.json", {"status": "done", "curve": [99.0, 99.0, 99.0, 99.0]})
    until = time.monotonic() + 60
    job = Job("compete", spec(**SMALL), None, folder, RECIPE, 1e-6, 40, until, tmp_path / "rung1-01.json", 1)
    work(job, "cpu")
    facts = json.loads(job.result.read_text())
    assert facts["status"] == "stopped"
    assert len(facts["curve"]) == 2
    assert facts["steps"] == 20
    alone = replace(job, result=tmp_path / "rung2-01.json", rung=2)
    work(alone, "cpu")
    assert len(json.loads(alone.result.read_text())["curve"]) == CHECKS


def test_search_from_a_ranking(tmp_path: Path) -> None:
    overrides = [*running.TINY, f"paths.cache={tmp_path}/cache", "executor.workers=0"]
    one = experiment(compose.compose(overrides))
    (data,) = one.target.values()
    store, ranking = Store(one.paths.cache), pd.DataFrame({"model": ["vit", "trained"]})
    with on_own_time():
        result = search_search.search(ranking, one, store, data, 10, tmp_path / "out")
    assert result.seconds <= 10 * 1.05
    assert result.model in ("vit", "trained")
    assert checkpoint.read(result.checkpoint).class_names == [str(d) for d in range(10)]
    assert search_search.search(ranking, one, store, data, 10, tmp_path / "out") == result, "it is there already"
    files = [result.checkpoint.read_bytes(), result.log.read_bytes()]
    with on_own_time():
        alone = search_search.search(ranking, one, store, data, 10, tmp_path / "out", look=False)
    assert alone.model == "vit"
    assert alone != result
    assert [alone.checkpoint.read_bytes(), alone.log.read_bytes()] != files
    assert search_search.search(ranking, one, store, data, 10, tmp_path / "out") == result
    assert [result.checkpoint.read_bytes(), result.log.read_bytes()] == files, "its own are put back"
    with pytest.raises(ConfigError, match="more than 0"):
        search_search.search(ranking, one, store, data, 0, tmp_path / "out")


def test_threads_stay_where_they_help() -> None:
    import torch

    def decided(alone: float, together: list[float]) -> int:
        pace = Pace(2)
        try:
            pace(None)
            for _ in range(1 + pace.TIMED):
                pace(alone)
            assert torch.get_num_threads() == 2, "all of them have their turn"
            for seconds in together:
                pace(seconds)
            return torch.get_num_threads()
        finally:
            torch.set_num_threads(1)

    torch.set_num_threads(1)
    assert decided(1.0, [0.7] * 30) == 2
    assert decided(1.0, [0.7] * 9 + [2.0, 0.7, 0.7]) == 2, "one slow step is chance"
    assert decided(1.0, [1.2] * 5) == 1
    assert decided(1.0, [0.7] * 20 + [1.5] * 3) == 1, "the load came later"
    assert decided(1.0, [0.7, 9.0]) == 1, "a collapse is not waited for"
