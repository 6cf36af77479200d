"""executor=ray on real clusters of this machine: the bytes of a local run, whatever happens to nodes and driver."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")

from benchmark.cells.keys import key_of  # noqa: E402
from benchmark.cells.plan import Cell  # noqa: E402
from benchmark.cells.planner import plan  # noqa: E402
from benchmark.cells.store import Damaged, Store  # noqa: E402
from benchmark.config.experiment import ExecutorSpec  # noqa: E402
from benchmark.config.model import ModelSpec  # noqa: E402
from benchmark.errors import ConfigError  # noqa: E402
from benchmark.execution import schedule  # noqa: E402
from benchmark.execution.compute import of_a_cluster  # noqa: E402
from benchmark.execution.ray import cluster as ray_cluster  # noqa: E402
from benchmark.execution.ray import driver as ray_driver  # noqa: E402
from benchmark.execution.ray import guard, shipping  # noqa: E402
from benchmark.execution.ray import nodes as ray_nodes  # noqa: E402
from benchmark.execution.ray.cluster import connected, gather_code  # noqa: E402
from benchmark.execution.ray.delivery import Delivery  # noqa: E402
from benchmark.execution.ray.driver import Crew  # noqa: E402
from benchmark.execution.ray.node import OUTSIDE, Parcel, Place, Remote, _enter, contents, remove, seal_of  # noqa: E402
from benchmark.execution.schedule import Progress  # noqa: E402
from benchmark.models import weights  # noqa: E402
from tests.cells.test_plan import tiny  # noqa: E402
from tests.running import Started, children, eventually, gone, records, run, tables, values  # noqa: E402

STORE_BYTES = 80 * 2**20
PATIENCE = 300.0  # of a test; a cluster and its workers are up in some 15 s where the machine has nothing else to do

GATE = """
import os, pathlib, time
FOLDER = pathlib.Path({folder!r})
def gate(features):
    (FOLDER / str(os.getppid())).touch()  # a worker, one a node, whose process of its own for strangers this is
    end = time.monotonic() + 120
    while not (FOLDER / "open").exists() and time.monotonic() < end:
        time.sleep(0.02)
    return float(features.mean())
"""


@pytest.fixture(scope="module")
def cluster():
    """A head node with one CPU; tests add nodes to it."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")
        node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
        started = Cluster(initialize_head=True, head_node_args=node)
        session = Path(started.head_node.get_session_dir_path())
        yield started
        started.shutdown()
    shutil.rmtree(session, ignore_errors=True)


def actors(node) -> list[int]:
    """The processes that compute on a node."""
    raylet = node.all_processes["raylet"][0].process.pid
    names = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(raylet)}
    return [pid for pid, name in names.items() if name.startswith(b"ray::Remote")]


def without_gate(folder: Path) -> dict[str, bytes]:
    cache = folder / "cache"
    specs = {k: (cache / k).with_name("spec.json").read_text() for k in values(folder)}
    return {k: v for k, v in values(folder).items() if "gate.gate" not in specs[k]}


def test_a_node_dies_and_its_cells_are_computed_elsewhere(finished, cluster, tmp_path):
    """Two nodes hold scores at a gate, a stranger's estimator that travelled there; one is killed, the gate opens."""
    gates = tmp_path / "gates"
    gates.mkdir()
    (tmp_path / "gate.py").write_text(GATE.format(folder=str(gates)))
    second = cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    started = Started(
        tmp_path,
        "executor=ray",
        f"executor.address={cluster.address}",
        "executor.workers=null",
        f"executor.node_cache={tmp_path}/nodes",
        "+method.gate._target_=gate.gate",
        PYTHONPATH=os.pathsep.join([str(Path(__file__).parents[2]), str(tmp_path)]),
    )
    eventually(lambda: len(list(gates.iterdir())) == 2 or started.process.poll() is not None, PATIENCE)
    stores = [Store(p) for p in (tmp_path / "nodes").iterdir() if p.is_dir()]
    assert len(stores) == 2
    for store in stores:  # a node's store holds what its scores need, intact, as the driver's does
        probes = [p.name for p in (store.cache / "probe").iterdir()]
        assert probes
        for key in probes:
            assert store.files("probe", key)["manifest.json"].read_bytes() == _manifest(tmp_path, "probe", key)
    computing = actors(second)
    assert computing
    cluster.remove_node(second, allow_graceful=False)
    eventually(lambda: gone(computing), PATIENCE)  # a worker lives on for a moment, and could still hand in its score
    (gates / "open").touch()
    assert started.end() == 0, started.text
    lost = [line for line in started.lines if line.startswith("lost: ")]
    assert len(lost) == 1
    assert "is gone; it starts again elsewhere" in lost[0]
    assert "[21/21] " in started.text  # the tiny experiment's 18 cells and the gate on 3 models
    assert " left\n" in started.text
    assert without_gate(tmp_path) == values(finished)
    assert not list((tmp_path / "cache" / "unfinished").iterdir())
    assert len([p for p in (tmp_path / "nodes").iterdir() if p.is_dir()]) == 1  # the dead node's, nobody can reach it
    warm = run(tmp_path, "executor=ray", "executor.address=127.0.0.1:1")  # all is there: no cluster is asked for
    assert warm.returncode == 0, warm.stderr
    assert tables(tmp_path) == tables(finished)


def _manifest(folder: Path, stage: str, key: str) -> bytes:
    return (folder / "cache" / stage / key / "manifest.json").read_bytes()


@pytest.mark.slow
def test_a_killed_driver_leaves_nothing_and_the_next_goes_on(finished, cluster, tmp_path):
    options = ("executor=ray", f"executor.address={cluster.address}", f"executor.node_cache={tmp_path}/nodes")
    started = Started(tmp_path, *options)
    started.until("] probe")
    computing = actors(cluster.head_node)
    assert computing
    started.process.kill()
    assert started.end() == -signal.SIGKILL
    eventually(lambda: gone(computing), PATIENCE)
    done, store = records(tmp_path), Store(tmp_path / "cache")
    for path in (tmp_path / "cache" / "claims").glob("*.lock"):
        with store.claim(path.stem):  # a file is no claim: nobody holds it
            pass
    again = run(tmp_path, *options)
    assert again.returncode == 0, again.stderr
    assert done.items() <= records(tmp_path).items()  # what was finished was not computed again
    assert values(tmp_path) == values(finished)
    assert tables(tmp_path) == tables(finished)
    assert list((tmp_path / "nodes").iterdir()) == []  # neither of the killed run's nor of this one's


@pytest.mark.slow
@pytest.mark.parametrize(("number", "whom"), [(signal.SIGINT, "group"), (signal.SIGTERM, "main"), (9, "main")])
def test_a_cluster_of_the_run_ends_with_it(tmp_path, number, whom):
    """As a terminal interrupts, as Slurm cancels, and as nothing can be prepared for."""
    started = Started(tmp_path, "executor=ray", f"executor.node_cache={tmp_path}/nodes")
    started.until("] probe")
    ours = descendants(started.process.pid)
    assert len(ours) > 5  # Ray's own processes, the worker, and those that build packs
    (os.killpg if whom == "group" else os.kill)(started.process.pid, number)
    assert started.end() == {signal.SIGINT: 130, signal.SIGTERM: 143, 9: -9}[number]
    eventually(lambda: gone(ours), PATIENCE)
    assert "Traceback" not in started.text
    if number != signal.SIGKILL:
        assert not list((tmp_path / "cache" / "unfinished").iterdir())
        assert list((tmp_path / "nodes").iterdir()) == []


def descendants(parent: int) -> list[int]:
    return [pid for child in children(parent) for pid in (child, *descendants(child))]


# what needs no cluster


@pytest.fixture
def fetched(monkeypatch):
    """The contents that nodes asked for: a box is the content itself."""
    asked = []
    monkeypatch.setattr(ray, "get", lambda box: asked.append(box) or box)
    return asked


def worker(folder: Path) -> Remote:
    made = Remote("run", None, 1, True)
    made.store = Store(folder)
    return made


def cell(store: Store, value: int, name: str = "a") -> tuple[str, Parcel]:
    """A cell in a store, and the parcel in which it goes to a node."""
    key = key_of({"name": name})
    shutil.rmtree(store.cache / "tune" / key, ignore_errors=True)
    store.write("tune", key, {"name": name}, {"rate": value}, {}, {"x": np.arange(value)})
    files = store.files("tune", key)
    seal = seal_of(store.cache / "tune" / key)
    return key, Parcel("tune", key, seal, contents(files))


def test_a_node_fetches_once_and_again_only_what_has_changed(tmp_path, fetched):
    driver = Store(tmp_path / "driver")
    key, parcel = cell(driver, 3)
    both = [worker(tmp_path / "node") for _ in range(2)]
    threads = [threading.Thread(target=w._receive, args=(parcel,)) for w in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fetched) == 1
    there = Store(tmp_path / "node")
    assert there.read("tune", key).values == {"rate": 3}
    assert there.read("tune", key).arrays["x"].tolist() == [0, 1, 2]
    both[0]._receive(cell(driver, 5)[1])
    assert len(fetched) == 2
    assert Store(tmp_path / "node").read("tune", key).values == {"rate": 5}


def test_weights_from_outside_travel_as_a_file(tmp_path, fetched, monkeypatch):
    monkeypatch.setattr(weights, "SENT", {})
    spec = ModelSpec(name="m", arch="resnet10t", weights="file:/only/on/the/driver.pth", layers=10)
    box = {"driver.pth": np.frombuffer(b"tensors", np.uint8)}
    one, other = worker(tmp_path), worker(tmp_path)
    one._receive(Parcel(OUTSIDE, "k", "", box, spec.weights))
    weights.SENT.clear()  # another process of the same node
    other._receive(Parcel(OUTSIDE, "k", "", None, spec.weights))
    assert len(fetched) == 1
    assert [p.read_bytes() for p in weights.weight_files(spec)] == [b"tensors"]


def test_a_node_is_sent_what_it_lacks_and_no_more(tmp_path, monkeypatch):
    store, file = Store(tmp_path), tmp_path / "w.pth"
    file.write_bytes(b"\x80\x02 tensors")
    key, _ = cell(store, 3)
    outside = ModelSpec(name="m", arch="resnet10t", weights=f"file:{file}", layers=10)
    asking = Cell("probe", "p", {}, (("tune", key),), {"model": outside, "weights": None}, "p")
    put = []
    sent = shipping.Shipping(store, lambda content: put.append(sorted(content)) or len(put))
    first = sent.parcels([asking, asking], "a")
    assert [(p.stage, p.weights) for p in first] == [("tune", ""), ("files", outside.weights)]
    assert put == [["arrays.safetensors", "manifest.json", "record.json", "spec.json", "values.json"], ["w.pth"]]
    assert [p.box for p in sent.parcels([asking], "b")] == [1, 2]  # the same boxes for another node
    sent.arrived("a", first, {})
    (again,) = sent.parcels([asking], "a")
    assert (again.stage, again.box) == ("files", None)  # there already; a worker is told what it is called
    cell(store, 4)  # made again, with another content
    assert [p.stage for p in sent.parcels([asking], "a")] == ["tune", "files"]
    assert len(put) == 3
    monkeypatch.setattr(shipping, "BOXES", 1)
    sent.parcels([asking], "b")
    assert len(sent.boxes) == 1


def test_what_arrives_damaged_does_not_enter_the_store(tmp_path):
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    key, parcel = cell(there, 4)
    for name in ("values.json", "arrays.safetensors"):
        wrong = parcel.box | {name: parcel.box[name][:-1]}
        with pytest.raises(Damaged, match=f"on its way here: {name} has another checksum"):
            here.adopt("tune", key, wrong)
    with pytest.raises(Damaged, match="it has other files than its manifest"):
        here.adopt("tune", key, {n: c for n, c in parcel.box.items() if n != "record.json"})
    assert not here.has("tune", key)
    delivery = Delivery((), schedule.Outcome("done"), ExitStack(), [Future()], here.cache)
    delivery.writing[0].set_exception(Damaged("tune", key, "on its way here: values.json has another checksum"))
    reason = "what came back is damaged (on its way here: values.json has another checksum)"
    assert delivery.finish() == ((), schedule.Outcome("failed", reason=reason))
    here.adopt("tune", key, parcel.box)
    assert {n: p.read_bytes() for n, p in here.files("tune", key).items()} == {
        n: p.read_bytes() for n, p in there.files("tune", key).items()
    }


def test_a_runs_folder_goes_when_nobody_holds_it(tmp_path):
    home = tmp_path / "run-node"
    held = [_enter(home) for _ in range(2)]  # two workers of one node
    (home / "pack").mkdir()
    os.close(held[0])
    remove(home, patience=0.1)
    assert home.exists()
    os.close(held[1])
    remove(home)
    assert list(tmp_path.iterdir()) == []


def crew(tmp_path, monkeypatch, *nodes: dict[str, float], total: int = 100, **spec) -> Crew:
    """A crew that is told of these nodes and whose workers never arrive."""
    at = {"Alive": True, "NodeManagerAddress": "127.0.0.1"}
    listed = [{**at, "NodeID": str(i), "NodeManagerPort": 1 - i, "Resources": n} for i, n in enumerate(nodes)]
    monkeypatch.setattr(ray, "nodes", lambda: listed)
    monkeypatch.setattr(ray_driver, "_NodeWorker", lambda crew: type("Waiting", (), {"place": None})())
    return Crew(Store(tmp_path), ExecutorSpec(name="ray", **spec), Progress(total, 1), wait=0.0)


@pytest.mark.parametrize(
    ("nodes", "spec", "workers"),
    [
        ([{"CPU": 4}, {"CPU": 2}], {}, 6),
        ([{"CPU": 4}, {"CPU": 3}], {"threads": 2}, 3),  # two on the first, one on the second
        ([{"CPU": 4}], {"num_cpus": 0.5}, 8),
        ([{"CPU": 16, "GPU": 2}, {"CPU": 16}], {}, 2),  # where there are GPUs, a cell has one
        ([{"CPU": 16, "GPU": 2}], {"num_gpus": 0.25}, 8),
        ([{"CPU": 16, "GPU": 2}], {"num_gpus": 0.4}, 4),  # two on each: a share is of one GPU
        ([{"CPU": 3, "GPU": 2}], {"num_gpus": 0.25}, 3),
        ([{"CPU": 16, "GPU": 2}], {"device": "cpu"}, 16),
        ([{"CPU": 4}], {"workers": 3}, 3),
        ([{"CPU": 4}], {"workers": 9}, 9),  # more than there is room for now: a cluster that grows brings nodes
        ([{"CPU": 999}], {}, 100),  # never more than cells
    ],
)
def test_as_many_workers_as_there_is_room_for(tmp_path, monkeypatch, nodes, spec, workers):
    asked = crew(tmp_path, monkeypatch, *nodes, **spec)
    asked.recruit()
    asked.recruit()
    assert len(asked.node_workers) == workers


@pytest.mark.parametrize(
    ("nodes", "spec", "said"),
    [
        ([{"CPU": 2}, {"CPU": 4}], {"num_cpus": 8}, "Got 8 CPU and 0 GPU per cell; its nodes have 2 CPU and 0 GPU; 4"),
        ([{"CPU": 2}], {"device": "cuda"}, "Got 1 CPU and 1 GPU per cell; its nodes have 2 CPU and 0 GPU."),
        ([], {}, "its nodes have gone"),
    ],
)
def test_cells_that_fit_nowhere_are_not_waited_for(tmp_path, monkeypatch, nodes, spec, said):
    with pytest.raises(ConfigError, match="must fit on a node of the cluster") as error:
        crew(tmp_path, monkeypatch, *nodes, **spec).recruit()
    assert said in str(error.value)


def test_what_kills_workers_again_and_again_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_nodes, "answers", lambda host, port: port == 1)
    one = crew(tmp_path, monkeypatch, {"CPU": 1}, {"CPU": 2})  # the second does not answer
    place = Place("0", "here", "", "cpu", {})
    lost = type("Lost", (), {"place": place, "there": place, "dismiss": lambda self: None})
    task = (next(iter(plan(tiny()).cells.values())),)

    def die(node: str) -> str:
        one.node_workers.append(gone := lost())
        gone.there = Place(node, f"host {node}", "", "cpu", {})
        outcome = one.without(gone, task)
        return f"{outcome.status}: {outcome.reason}"

    assert [die("1") for _ in range(5)] == ["lost: node host 1 is gone; it starts again elsewhere"] * 5
    died = "the worker process died (killed, perhaps for want of memory) on host 0"
    assert [die("0") for _ in range(3)] == [f"lost: {died}; it starts again"] * 2 + [f"failed: {died}, 3 times"]


def test_code_in_use_travels_and_installed_packages_do_not(tmp_path, monkeypatch):
    source, copy = tmp_path / "source", tmp_path / "copy"
    (source / "mine" / "__pycache__").mkdir(parents=True)
    (source / "mine" / "__init__.py").write_text("import lonely\n")
    (source / "mine" / "data.csv").write_text("1\n")
    (source / "mine" / "__pycache__" / "x.pyc").write_text("")
    (source / "lonely.py").write_text("")
    copy.mkdir()
    program = (
        "import sys, mine, numpy, torch\nfrom benchmark.execution.ray import cluster as r\nfrom pathlib import Path\n"
    )
    program += "r.gather_code(Path(sys.argv[1]))"
    paths = os.pathsep.join([str(Path(__file__).parents[2]), str(source)])
    environment = os.environ | {"PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", program, str(copy)], env=environment, cwd=tmp_path, check=True)
    assert sorted(p.name for p in copy.iterdir()) == ["benchmark", "lonely.py", "methods", "mine"]
    assert sorted(p.name for p in (copy / "mine").iterdir()) == ["__init__.py", "data.csv"]
    assert (copy / "benchmark" / "data" / "embedded").is_dir()
    monkeypatch.setattr(ray_cluster, "CODE_MEGABYTES", 0)
    with pytest.raises(ConfigError, match="Package 'benchmark' must have at most 0 MB to travel"):
        gather_code(copy)


def test_the_guard_ends_what_bears_its_mark():
    marked, other = (
        subprocess.Popen(["sleep", "60"], env=os.environ | {guard.NAME: mark}) for mark in ("this", "that")
    )
    subprocess.run([sys.executable, guard.__file__, "this"], stdin=subprocess.DEVNULL, check=True)
    assert marked.wait(10) == -signal.SIGKILL
    assert other.poll() is None
    other.kill()
    other.wait()


def test_without_ray_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"Run pip install 'diverse-model-selection\[ray\]'"):
        of_a_cluster(Store(tmp_path), ExecutorSpec(name="ray"), Progress(1, 1))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "Got '127.0.0.1:1', which does not answer"),
        ("ray://host:10001", "executor.address must be null, auto or <host>:<port>. Got 'ray://host:10001'."),
        ("somewhere", "executor.address must be null, auto or <host>:<port>. Got 'somewhere'."),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_at_once(address, said):
    with pytest.raises(ConfigError) as error, connected(ExecutorSpec(name="ray", address=address)):
        pass
    assert said in str(error.value)


def test_settings_that_contradict_each_other_are_refused():
    for wrong, said in (
        ({"workers": 0}, "executor.workers must be at least 1 with executor=ray. Got 0."),
        ({"device": "cpu", "num_gpus": 0.5}, "executor.num_gpus must fit executor.device. Got 0.5 and 'cpu'."),
        ({"device": "cuda", "num_gpus": 0}, "executor.num_gpus must fit executor.device. Got 0 and 'cuda'."),
    ):
        with pytest.raises(ValueError) as error:
            ExecutorSpec(name="ray", **wrong)
        assert said in str(error.value)
