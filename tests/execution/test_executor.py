"""The schedule: needs before cells, repairs before retries, failures where they belong, nothing twice."""

import json
import os
import signal
import threading
import time

import numpy as np
import pytest

from benchmark.cells.keys import key_of
from benchmark.cells.plan import Cell
from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.config.experiment import ExecutorSpec
from benchmark.config.functions import MethodSpec
from benchmark.errors import ConfigError
from benchmark.execution import compute as execution_compute
from benchmark.execution import local, stages
from benchmark.execution import schedule as execution_schedule
from benchmark.execution.compute import drive
from benchmark.execution.local import attempt, resolve_devices, worker_count
from benchmark.execution.schedule import Outcome, Progress, Schedule
from tests.cells.test_plan import composed, tiny


def cell(name: str, *needs: Cell, stage: str = "pack", weight: float = 1.0, **work) -> Cell:
    identity = {"stage": stage, "name": name}
    of = tuple((n.stage, n.key) for n in needs)
    return Cell(stage, key_of(identity), identity, of, work, name, weight)


class Log(list):
    """A stand-in for the stages: notes what is computed, reads what is needed, fails where it is told to."""

    def __init__(self, failing: tuple[str, ...] = ()):
        self.failing = failing

    def __call__(self, cells, store, device):
        for one in cells:
            for stage, key in one.needs:
                store.read(stage, key)
            if one.label in self.failing:
                raise ConfigError("it is broken")
            self.append(one.label)
            store.write(one.stage, one.key, one.identity, {"made": one.label}, {})


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Run cells in this process; returns (what was computed, failed, statuses reported)."""

    def run(cells: list[Cell], everything: list[Cell], failing: tuple[str, ...] = ()):
        log, said = Log(failing), []
        monkeypatch.setattr(stages, "compute", log)
        failed = execution_compute.run(
            cells,
            {c.key: c for c in everything},
            Store(tmp_path),
            ExecutorSpec(workers=0, device="cpu"),
            lambda c, outcome, progress: said.append((c.label, outcome.status)),
        )
        by_label = {c.key: c.label for c in everything}
        return list(log), {by_label[k]: reason for k, reason in failed.items()}, said

    return run


def harm(store: Store, one: Cell) -> None:
    (store.cache / one.stage / one.key / "values.json").write_text("{}")


def test_needs_come_first_and_the_costliest_chain_of_what_is_left(execute):
    base, cheap = cell("base"), cell("cheap", weight=3)
    dear = cell("dear", base, weight=9)
    both = cell("both", base, cheap)
    computed, failed, _ = execute([base, cheap, dear, both], [base, cheap, dear, both])
    assert computed == ["base", "dear", "cheap", "both"]  # chains of 30, 27, 12 and 3 seconds
    assert failed == {}


def test_a_failure_takes_what_depends_on_it_and_no_more(execute):
    bad, good = cell("bad"), cell("good")
    child = cell("child", bad)
    grandchild = cell("grandchild", child, good)
    every = [bad, good, child, grandchild]
    computed, failed, said = execute(every, every, failing=("bad",))
    assert computed == ["good"]
    assert failed == {
        "bad": "it is broken",
        "child": "needs bad, which failed: it is broken",
        "grandchild": "needs child, which failed: needs bad, which failed: it is broken",
    }
    assert sorted(said) == [("bad", "failed"), ("good", "done")]
    assert execute(every, every)[0] == ["bad", "child", "grandchild"]  # the next run does just these


def test_a_damaged_need_is_made_again_once_for_all_that_read_it(execute, tmp_path):
    base = cell("base")
    top = cell("top", base)
    children = [cell(f"child {i}", top) for i in range(3)]
    every = [base, top, *children]
    execute([base, top], every)
    harm(Store(tmp_path), base)
    harm(Store(tmp_path), top)
    computed, failed, said = execute(children, every)
    assert computed == ["base", "top", "child 0", "child 1", "child 2"]
    assert failed == {}
    assert ("child 0", "damaged") in said
    assert ("top", "damaged") in said


def test_a_need_that_vanishes_is_made_again(execute, tmp_path):
    import shutil

    base = cell("base")
    child = cell("child", base)
    execute([base], [base, child])
    shutil.rmtree(tmp_path / "pack" / base.key)
    assert execute([child], [base, child])[0] == ["base", "child"]


def test_a_damaged_need_that_cannot_be_made_again_ends_the_run(execute, tmp_path):
    base = cell("base")
    child = cell("child", base)
    execute([base], [base, child])
    harm(Store(tmp_path), base)
    computed, failed, _ = execute([child], [base, child], failing=("base",))
    assert computed == []
    assert failed == {"base": "it is broken", "child": "needs base, which failed: it is broken"}


def scores_of(probe: Cell, *names: str) -> list[Cell]:
    return [cell(n, probe, stage="score", scored=probe.key, reference=None) for n in names]


def test_scores_of_one_probe_go_together_and_wait_together(tmp_path):
    """After damage none of them starts again before the probe is there, also not from an old place in the queue."""
    probe = cell("probe", stage="probe")
    one, two = scores_of(probe, "one", "two")
    schedule = Schedule([one, two], {c.key: c for c in (probe, one, two)}, Store(tmp_path), 2)
    task = schedule.next()
    assert {c.label for c in task} == {"one", "two"}
    schedule.settle(task, Outcome("damaged", damaged=("probe", probe.key)))
    assert schedule.next() == (probe,)
    assert schedule.next() is None
    schedule.settle((probe,), Outcome("done"))
    assert {c.label for c in schedule.next()} == {"one", "two"}
    assert schedule.next() is None


def test_scores_at_one_of_which_the_worker_died_are_made_again_each_alone(tmp_path):
    probe = cell("probe", stage="probe")
    every = scores_of(probe, "one", "two", "three")
    schedule = Schedule(every, {c.key: c for c in (probe, *every)}, Store(tmp_path), 2)
    task = schedule.next()
    assert len(task) == 3
    died = local.dead(task, "the worker process died (exit code -11)")
    assert died.status == "died"
    assert died.reason == "the worker process died (exit code -11) at one of 3 scores; each is made again alone"
    schedule.settle(task, died)
    for _ in range(3):
        (alone,) = task = schedule.next()
        last = local.dead(task, "the worker process died (exit code -11)") if alone.label == "two" else None
        schedule.settle(task, last or Outcome("done"))
    assert schedule.next() is None
    assert not schedule.unfinished
    assert schedule.failed == {every[1].key: "the worker process died (exit code -11)"}


def test_what_is_lost_of_a_batch_fails_and_the_rest_is_done(tmp_path, monkeypatch):
    """In a process of the run's own; the reason is told, and the next run tries just that again."""
    store, said = Store(tmp_path), []
    facts = {"images": [4], "parameters": 7, "feature_dim": 3, "target_size": 9, "classes": 4}
    arrays = {"features": np.full((4, 3), 5.0, np.float32), "labels": np.arange(4), "draw_0": np.arange(4)}
    probe = cell("probe", stage="probe")
    store.write("probe", probe.key, probe.identity, facts, {}, arrays)
    paths = {"first": "tests.misbehaving.sound", "bad": "tests.misbehaving.segfaults", "last": "methods.effective_rank"}
    cells = [
        cell(
            n,
            probe,
            stage="score",
            scored=probe.key,
            reference=None,
            source=None,
            method=MethodSpec(name=n, _target_=p),
            facts={},
        )
        for n, p in paths.items()
    ]
    schedule = Schedule(cells, {c.key: c for c in (probe, *cells)}, store, 1)
    with local.inline(store, "cpu", 1) as workers:
        drive(schedule, workers, lambda c, outcome, _: said.append((c.label, outcome.status)))
    assert schedule.failed.keys() == {cells[1].key}
    assert schedule.failed[cells[1].key].startswith("its process died (Segmentation fault)")
    assert said == [("first", "done"), ("bad", "failed")]
    assert [store.has("score", c.key) for c in cells] == [True, False, True]


def test_what_another_run_computes_is_looked_at_again(tmp_path, monkeypatch):
    """A group of which another run holds one cell gives all its claims back, waits, and then does the rest."""
    probe = cell("probe", stage="probe")
    one, two = scores_of(probe, "one", "two")
    log, store = Log(), Store(tmp_path)
    monkeypatch.setattr(stages, "compute", log)
    store.write("probe", probe.key, probe.identity, {}, {})
    schedule = Schedule([one, two], {c.key: c for c in (probe, one, two)}, store, 1)
    other = Store(tmp_path)
    with other.claim(two.key):
        task = schedule.next()
        outcome = attempt(task, store, "cpu")
        assert (outcome.status, log) == ("busy", [])
        with other.claim(one.key):  # was given back
            pass
        schedule.settle(task, outcome)
        other.write("score", two.key, two.identity, {"made": "elsewhere"}, {})
    schedule.sleeping = type(schedule.sleeping)((0.0, t) for _, t in schedule.sleeping)
    schedule.wake()
    task = schedule.next()
    assert attempt(task, store, "cpu").status == "done"
    assert log == ["one"]
    assert store.read("score", two.key).values == {"made": "elsewhere"}


def test_three_runs_on_one_cache_compute_each_score_once(tmp_path, monkeypatch):
    """Each wants other scores of the same probes, so that their batches overlap; claims are taken before the work."""
    computed, begun = [], threading.Barrier(3)

    def compute(cells, store, device):
        computed.extend(c.label for c in cells)
        time.sleep(0.002)
        for one in cells:
            store.write(one.stage, one.key, one.identity, {}, {})

    monkeypatch.setattr(stages, "compute", compute)
    for module in (execution_schedule, local):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.002)
    probes = [cell(f"probe {i}") for i in range(2)]
    scores = [scores_of(p, *(f"{p.label} {m}" for m in "abc")) for p in probes]

    def run(number: int) -> None:
        mine = [c for of_probe in scores for i, c in enumerate(of_probe) if i != number]
        begun.wait()
        cells = [*probes, *mine]
        schedule = Schedule(cells, {c.key: c for c in cells}, Store(tmp_path, lasting=False), 1)
        with local.inline(schedule.store, "cpu", 1) as workers:
            drive(schedule, workers, lambda *_: None)
        failed.update(schedule.failed)

    failed: dict = {}
    runs = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    assert failed == {}
    assert sorted(computed) == sorted(c.label for c in [*probes, *scores[0], *scores[1]])


def test_a_crash_is_told_by_its_kind_and_a_known_failure_by_its_words(tmp_path, monkeypatch):
    def crash(*_):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(stages, "compute", crash)
    assert attempt((cell("a"),), Store(tmp_path), "cpu").reason == "ZeroDivisionError: by zero"
    monkeypatch.setattr(stages, "compute", Log(failing=("a",)))
    assert attempt((cell("a"),), Store(tmp_path), "cpu").reason == "it is broken"


def mean_difference(features, reference_features) -> float:
    return float(np.asarray(features).mean() - np.asarray(reference_features).mean())


def test_scores_with_different_references_in_one_task_each_use_their_own(tmp_path):
    store, keys = Store(tmp_path), {}
    for name, level in (("probe", 5.0), ("small", 1.0), ("large", 2.0)):
        arrays = {"features": np.full((4, 3), level, np.float32), "labels": np.arange(4), "draw_0": np.arange(4)}
        facts = {"images": [4], "parameters": 7, "feature_dim": 3, "target_size": 9, "classes": 4}
        keys[name] = key_of({"probe": name})
        store.write("probe", keys[name], {"probe": name}, facts, {}, arrays)
    method = MethodSpec(name="m", _target_=f"{__name__}.mean_difference")
    cells = [
        cell(r, stage="score", scored=keys["probe"], reference=keys[r], source=None, method=method, facts={})
        for r in ("small", "large")
    ]
    stages.compute(cells, store, "cpu")
    found = {c.label: store.read("score", c.key).values for c in cells}
    assert found["small"]["scores"] == [4.0]
    assert found["large"]["scores"] == [3.0]
    assert (found["small"]["images"], found["small"]["parameters"]) == ([4], 7)


def test_the_estimate_corrects_itself():
    progress = Progress(total=3, workers=2)
    progress.remaining["truth"] = 20.0
    assert progress.eta_seconds == 10.0
    progress.spent["truth"], progress.guessed["truth"] = 30.0, 10.0  # three times slower than guessed
    assert progress.eta_seconds == 30.0


def test_workers_by_cores_threads_and_devices(monkeypatch):
    cores = len(os.sched_getaffinity(0))
    assert worker_count(ExecutorSpec(), 0) == cores
    assert worker_count(ExecutorSpec(threads=10 * cores), 0) == 1
    assert worker_count(ExecutorSpec(workers=7), 0) == 7
    assert worker_count(ExecutorSpec(), 4) == 4
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert resolve_devices(ExecutorSpec()) == ("cpu", 0)
    assert resolve_devices(ExecutorSpec(device="cpu")) == ("cpu", 0)
    assert resolve_devices(ExecutorSpec(device="cuda")) == ("cuda", 1)  # asked for: its absence is said by torch


def test_a_worker_that_died_idle_is_replaced(tmp_path):
    store = Store(tmp_path)
    packs = [c for c in plan(tiny()).cells.values() if c.stage == "pack"]
    with local.local_workers(store, "cpu", 0, 1, 1) as (worker,):
        first = worker.process
        os.kill(first.pid, signal.SIGKILL)
        first.join()
        worker.start((packs[0],))
        task, outcome = worker.finish()
        assert (task, outcome.status) == ((packs[0],), "done")
        assert worker.process.pid != first.pid
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.join()
        worker.task = (packs[1],)  # died at work
        assert "killed, perhaps for want of memory" in worker.finish()[1].reason
        assert worker.idle
    made = json.loads((tmp_path / "pack" / packs[0].key / "values.json").read_text())
    assert made == store.read("pack", packs[0].key).values


def test_a_rate_that_is_carried_is_chosen_from_the_stored_choices_without_training(tmp_path):
    source = json.loads(composed())["source"]["tiny_source"]
    made = plan(tiny({"target.tiny_source": source, "recipe.rate_on": ["tiny"]}))
    moved = next(t for t in made.transfers if (t.model.name, t.target.name) == ("random", "tiny_source"))
    pooled, store = made.cells[moved.tune], Store(tmp_path)
    (stage, own) = pooled.needs[0]
    tried = {"rates": [0.1, 0.2], "validation": [10.0, 90.0], "failed": {}, "n_train": 4, "n_validation": 1}
    store.write(stage, own, made.cells[own].identity, {**tried, "rate": 0.2, "measure": "accuracy", "curves": []}, {})
    assert attempt((pooled,), store, "cpu").status == "done"
    assert store.read("tune", pooled.key).values["rate"] == 0.2
