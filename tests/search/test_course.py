"""The course of a search by a clock that the test sets, without trainings: who wins, when, and what a kill leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.errors import ConfigError
from benchmark.files import put
from benchmark.reporting.pictures import confusion, reliability
from benchmark.search import looks
from benchmark.search.arithmetic import Arm
from benchmark.search.job import write
from benchmark.search.result import Result, finished
from tests.search.world import BUDGET, HEAD, PLANTED, World


@pytest.fixture(autouse=True)
def pictures_are_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing took nine tenths of the time of these tests; test_search.py looks at what is drawn."""
    monkeypatch.setattr(confusion, "_draw", lambda counts, rows, columns, picture, title: put(picture, b"drawn"))
    monkeypatch.setattr(reliability, "write", lambda curves, picture, title: put(picture, b"drawn"))


def test_the_planted_best_wins_and_the_deadline_is_kept(tmp_path: Path) -> None:
    world = World(PLANTED)
    result = world.search(tmp_path)
    assert (result.model, result.rate, result.head_only) == ("best", 0.05, False)
    assert world.now == pytest.approx(1000 + 0.98 * BUDGET), "2 % are kept for writing"
    assert result.seconds <= BUDGET
    assert world.jobs[0].kind == "head", "before anything is tried"
    assert len(world.of("finish")) == 1, "the test split is looked at once"
    trials = world.of("compete")
    first = [j for j in trials if j.result.name.startswith("round1")]
    assert len({j.model.name for j in first}) > 3
    assert {j.recipe.optimisers["cnn"].name for j in first} == {"sgd", "adamw"}
    assert len({j.rate for j in first if j.model.name == "first"}) > 2, "rates of the first before more models"


def test_at_most_a_fifth_of_a_short_budget_is_spent_looking(tmp_path: Path) -> None:
    world = World(PLANTED)
    world.search(tmp_path)
    (final,) = world.of("finish")
    line = next(e for e in events(tmp_path) if e["event"] == "final")
    assert line["at"] <= HEAD + 0.2 * BUDGET + 0.1
    assert final.begin is not None, "and that is not lost: the training goes on"
    assert (looks.looking(60), looks.looking(600), looks.looking(1800)) == (0.0, 120.0, pytest.approx(540.0))


def events(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "out/log.jsonl").read_text().splitlines()]


def test_the_winner_goes_on_from_its_last_trial(tmp_path: Path) -> None:
    world = World(PLANTED | {"first": 89.0})
    world.search(tmp_path)
    (final,) = world.of("finish")
    own = [j for j in world.of("compete") if (j.model.name, j.rate) == ("best", 0.05)]
    assert [j.result.name[:6] for j in own] == ["round1", "round2"]
    assert own[0].begin is None
    assert own[1].begin == own[0].snapshot
    assert final.begin == own[1].snapshot
    left = {f.name for f in (tmp_path / "out/search").glob("round*-snapshot.safetensors")}
    assert own[1].snapshot.name in left
    assert own[0].snapshot.name not in left, "what nothing goes on from is deleted"


def test_those_behind_by_noise_alone_go_on(tmp_path: Path) -> None:
    """Three that are alike to a point, the others far behind: all of the three are in the second round."""
    world = World({"first": 60.0, "a": 61.0, "b": 60.5, "c": 10.0, "d": 10.0})
    world.search(tmp_path, 2 * BUDGET)
    second = {j.model.name for j in world.of("compete") if j.result.name.startswith("round2")}
    assert second == {"first", "a", "b"}


def test_a_minute_goes_to_the_first_which_begins_with_its_head(tmp_path: Path) -> None:
    world = World(PLANTED)
    result = world.search(tmp_path, 60.0)
    assert (result.model, result.rate) == ("first", 0.05)
    assert [j.kind for j in world.jobs] == ["head", "finish"]
    head, final = world.jobs
    assert final.begin == head.checkpoint
    assert world.now <= 1060


def test_what_the_ranking_is_sure_of_is_not_compared_with_others(tmp_path: Path) -> None:
    world = World(PLANTED)
    assert world.search(tmp_path, sure=True).model == "first"
    assert not world.of("compete")
    world = World(PLANTED)
    assert world.search(tmp_path / "long", 600.0, sure=True).model == "first"
    assert {j.model.name for j in world.of("compete")} == {"first"}
    assert len({(j.rate, j.recipe.optimisers["cnn"].name) for j in world.of("compete")}) == 5, "its rates are"


def test_without_a_look_the_first_has_all_of_the_budget(tmp_path: Path) -> None:
    world = World(PLANTED)
    result = world.search(tmp_path, look=False)
    assert (result.model, result.rate) == ("first", 0.05)
    assert not world.of("compete")
    assert result.steps > 0.9 * BUDGET / world.step


# --- the head ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [20.0, 60.0, BUDGET])
def test_a_head_that_is_better_comes_out(tmp_path: Path, budget: float) -> None:
    world = World(PLANTED, head=95.0)
    result = world.search(tmp_path, budget)
    assert (result.model, result.rate, result.head_only, result.test_accuracy) == ("first", None, True, 95.0)
    assert result.checkpoint.read_text() == "head of first"
    assert "on 80 images kept aside it reached 95.0 %" in result.notes[-1]
    assert result.tried[0]["what"] == "first, head only"
    assert finished(tmp_path / "out/search", tmp_path / "out") == result


def test_the_head_is_there_before_anything_else_begins(tmp_path: Path) -> None:
    world = World(PLANTED)
    world.dies_after = 2
    with pytest.raises(KeyboardInterrupt):
        world.search(tmp_path)
    assert (tmp_path / "out/model.safetensors").read_text() == "head of first"
    assert (tmp_path / "out/confusion.png").is_file()


def test_where_no_training_comes_to_an_end_the_head_is_kept(tmp_path: Path) -> None:
    world = World(PLANTED, fails=tuple(PLANTED))
    result = world.search(tmp_path)
    assert result.head_only
    assert "the head on frozen features is kept" in result.notes[-1]


def test_a_head_that_fails_gives_way_to_the_next_and_is_no_end(tmp_path: Path) -> None:
    for broken, head in ({"first"}, "second, head only"), (set(PLANTED), None):
        world = World(PLANTED)
        plain = world.headed

        def headed(job, plain=plain, broken=broken) -> dict:
            return {"status": "failed", "reason": "no head"} if job.model.name in broken else plain(job)

        world.headed = headed
        folder = tmp_path / str(len(broken))
        result = world.search(folder)
        assert result.model == ("best" if head else "first"), "of unknown speed, fewer are looked at"
        assert [t["what"] for t in result.tried if "head only" in t["what"]] == ([head] if head else [])
        assert "first, head only: failed no head" in (folder / "out/log.txt").read_text()


def test_without_images_kept_aside_a_training_needs_the_steps_of_a_recipe(tmp_path: Path) -> None:
    assert not World(PLANTED, head=95.0).search(tmp_path, 60.0, calibrate=False).head_only
    result = World(PLANTED, step=1.0).search(tmp_path / "slow", 60.0, calibrate=False)
    assert result.head_only
    assert "fewer than a fine-tuning of 125" in result.notes[-1]


# --- killed and damaged -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("done", [2, 4, 8, 11])
def test_a_killed_search_goes_on_to_the_same_end(tmp_path: Path, done: int) -> None:
    expected = World(PLANTED).search(tmp_path / "whole")
    world = World(PLANTED)
    world.dies_after = done
    with pytest.raises(KeyboardInterrupt):
        world.search(tmp_path)
    died, world.dies_after, world.now = world.now, float("inf"), 9000.0  # hours later, or after a restart
    used = json.loads((tmp_path / "out/search/clock.json").read_text())["seconds"]
    result = world.search(tmp_path)
    assert (result.model, result.rate) == (expected.model, expected.rate)
    names = [j.result.name for j in world.jobs]
    assert len(names) == len(set(names)), "what was finished is not done again"
    assert used <= died - 1000
    assert world.now - 9000 == pytest.approx(0.98 * BUDGET - used), "the time used counts"
    assert "goes on after" in (tmp_path / "out/log.txt").read_text()


def test_a_finished_search_is_not_repeated(tmp_path: Path) -> None:
    world = World(PLANTED)
    first = world.search(tmp_path)
    places = tmp_path / "out/search", tmp_path / "out"
    first.confusion_picture.unlink()
    first.checkpoint.unlink()
    assert finished(*places) == first
    assert first.confusion_picture.exists(), "its files are put back"
    assert first.checkpoint.read_text() == "finish of best"
    assert finished(places[0], tmp_path / "else").log == tmp_path / "else/log.txt"
    (places[0] / "confusion.png").unlink()
    assert finished(*places) is None
    assert world.search(tmp_path).test_accuracy == first.test_accuracy, "made again from the kept outputs"
    assert len(world.of("finish")) == 1


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


@pytest.mark.parametrize("name", ["clock", "head-00", "round-1", "round1-00"])
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
    assert world.search(tmp_path).checkpoint.exists()


def test_a_killed_search_whose_time_is_over_keeps_what_was_trained(tmp_path: Path) -> None:
    world = killed_in_the_final(tmp_path)
    (tmp_path / "out/search/final-00-snapshot.safetensors").write_bytes(b"weights")
    result = world.search(tmp_path)
    assert result.model == "best"
    assert result.checkpoint.read_text() == "finish of best"
    (note,) = result.notes
    assert "time was over when the search went on" in note
    assert "70 %" in note


def test_a_machine_that_gets_slower_than_was_reckoned_is_said(tmp_path: Path) -> None:
    world = World(PLANTED)
    plain = world.finish

    def slow(job) -> dict:
        facts = plain(job)
        world.now += 30.0
        return facts

    world.finish = slow
    result = world.search(tmp_path)
    assert result.notes == ("it took 25 s longer than its budget: the machine became slower towards the end",)


def test_a_killed_search_that_trained_nothing_in_its_time_has_its_head(tmp_path: Path) -> None:
    result = killed_in_the_final(tmp_path).search(tmp_path)
    assert result.head_only
    assert result.checkpoint.read_text() == "head of first"


def test_a_search_in_which_nothing_can_be_trained_says_so(tmp_path: Path) -> None:
    world = World(PLANTED, fails=tuple(PLANTED))
    world.headed = lambda job: {"status": "failed", "reason": "its weights are damaged"}
    with pytest.raises(ConfigError, match=r"one of the ranked models must be trainable. Got none: .*NaN"):
        world.search(tmp_path)
    world = World(PLANTED)
    world.headed = lambda job: {"status": "failed", "reason": "its weights are damaged"}
    with pytest.raises(ConfigError, match=r"Got 1 s, used up before anything was trained. Give .*delete search in"):
        world.search(tmp_path / "short", 1.0)


def test_searches_in_one_folder_keep_their_files_apart(tmp_path: Path) -> None:
    def search(key: str, best: float) -> tuple[Result, list[bytes]]:
        folder = tmp_path / "out" / key
        if not (result := finished(folder, tmp_path / "out")):
            result = World(PLANTED | {"best": best}).search(tmp_path, own=key)
        files = result.checkpoint, result.confusion_matrix, result.confusion_picture, result.log
        return result, [file.read_bytes() for file in files]

    first, files = search("a", 90.0)
    second, others = search("b", 20.0)
    assert (first.model, second.model) == ("best", "first")
    assert files[0] == b"finish of best"
    assert others[0] == b"finish of first"
    assert b"final training of best" not in others[-1], "a log of its own"
    assert search("a", 90.0) == (first, files)


def test_a_model_that_fails_in_the_end_gives_way(tmp_path: Path) -> None:
    world = World(PLANTED, fails=("best",))
    result = world.search(tmp_path)
    assert result.model == "first"
    assert any("best" in note and "NaN" in note for note in result.notes)
    assert world.now <= 1000 + BUDGET


def test_the_log_is_text_and_json(tmp_path: Path) -> None:
    World(PLANTED).search(tmp_path)
    lines = events(tmp_path)
    text = (tmp_path / "out/log.txt").read_text().splitlines()
    assert [line["text"] for line in lines] == [line.partition("] ")[2] for line in text]
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert lines[-1]["event"] == "result"
    assert lines[-1]["model"] == "best"
    assert str(Arm("a", 0.001, "adamw")) == "a at 0.001 with adamw"


def test_after_a_training_that_found_no_time_the_head_is_kept_and_no_other_is_begun(tmp_path):
    world = World(PLANTED)
    world.cut = True
    found = world.search(tmp_path)
    assert found.head_only
    assert len(world.of("finish")) == 1
    assert [note for note in found.notes if "failed" in note] == []
    assert any("no training came to an end" in note for note in found.notes)
