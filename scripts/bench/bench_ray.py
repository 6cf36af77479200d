"""What Ray costs: 200 cells of one second each through executor=ray and through executor=local.

    python scripts/bench/bench_ray.py                               # what `make bench` runs
    python scripts/bench/bench_ray.py out=results/bench/ray.md

The cells are scores of an estimator that sleeps, each on a probe of its own that is sent to the node; they are claimed,
computed, brought back and written like any other. The clock starts when all workers have done one cell, and the ideal
is cells / workers seconds. Exit code 1 where Ray takes more than 5 % longer than the ideal.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "bench")]

import numpy as np  # noqa: E402
from pydantic import BaseModel, Field  # noqa: E402

from benchmark import provenance  # noqa: E402
from benchmark.cells.keys import key_of  # noqa: E402
from benchmark.cells.plan import Cell, Inputs  # noqa: E402
from benchmark.cells.store import Store  # noqa: E402
from benchmark.config import cli  # noqa: E402
from benchmark.config.experiment import ExecutorSpec  # noqa: E402
from benchmark.config.functions import MethodSpec  # noqa: E402
from benchmark.execution import compute  # noqa: E402
from benchmark.execution.local import local_workers  # noqa: E402
from benchmark.execution.ray import driver  # noqa: E402
from benchmark.execution.schedule import Progress, Schedule  # noqa: E402

LIMIT = 5.0  # percent


class Settings(BaseModel):
    model_config = {"extra": "forbid"}
    cells: int = Field(200, ge=1, description="cells of one second")
    workers: int = Field(4, ge=1, description="cells at once; they sleep, so there may be more than cores")
    out: Path | None = Field(None, description="Markdown file of the result")


def rest(features: np.ndarray) -> float:
    """An estimator that takes a second and no processor."""
    time.sleep(1.0)
    return float(features.mean())


def cells_of(store: Store, names: Sequence[str]) -> list[Cell]:
    """A score cell a name, on a small probe of its own, which is written to the store."""
    method, found = MethodSpec(name="rest", _target_="bench_ray.rest"), []
    for name in names:
        probe = key_of({"probe": name})
        arrays: dict[str, np.ndarray] = {"features": np.ones((4, 2), np.float32), "labels": np.arange(4)}
        facts = {"images": [4], "parameters": 1, "feature_dim": 2, "target_size": 4}
        store.write("probe", probe, {"probe": name}, facts, {}, arrays | {"draw_0": np.arange(4)})
        work: Inputs = {"method": method, "scored": probe, "reference": None, "facts": {}}
        found.append(Cell("score", key_of({"score": name}), {"score": name}, (("probe", probe),), work, name))
    return found


def timed(store: Store, spec: ExecutorSpec, count: int) -> float:
    """Seconds for so many cells, once all workers have done one."""

    number = spec.workers or 1

    def drive(names: list[str]) -> float:
        cells = cells_of(store, names)
        schedule = Schedule(cells, {c.key: c for c in cells}, store, number)
        if isinstance(workers, driver.Crew):
            workers.progress = schedule.progress
        start = time.perf_counter()
        compute.drive(schedule, workers, lambda *_: None)
        spent = time.perf_counter() - start
        assert not schedule.failed, schedule.failed
        assert all(store.read("score", c.key).values["scores"] == [1.0] for c in cells)
        return spent

    progress = Progress(number, number)
    local = local_workers(store, "cpu", 0, number, 1)
    with driver.crew(store, spec, progress) if spec.name == "ray" else local as workers:
        while not all(w.idle for w in workers):
            workers.ready()
        drive([f"first {i}" for i in range(number)])
        return drive([str(i) for i in range(count)])


def main(settings: Settings) -> int:
    import bench_ray  # noqa: F401  modules in use travel to the nodes, and this one is __main__ so far

    ideal = math.ceil(settings.cells / settings.workers)
    num_cpus = len(os.sched_getaffinity(0)) / settings.workers
    specs = {
        "ray": ExecutorSpec(name="ray", workers=settings.workers, num_cpus=num_cpus, device="cpu"),
        "local": ExecutorSpec(workers=settings.workers, device="cpu"),
    }
    spent, loads = {}, {}
    for name, spec in specs.items():
        with tempfile.TemporaryDirectory() as folder:
            before, spent[name] = os.times(), timed(Store(Path(folder)), spec, settings.cells)
            after = os.times()
            loads[name] = after.user + after.system - before.user - before.system
    over = {name: 100 * (seconds / ideal - 1) for name, seconds in spent.items()}
    rows = [
        f"| {name} | {spent[name]:.2f} | {over[name]:.1f} | "
        f"{1000 * (spent[name] - ideal) * settings.workers / settings.cells:.0f} | {loads[name]:.1f} |"
        for name in specs
    ]
    made = provenance.hardware()
    page = "\n".join(
        [
            "# What Ray costs",
            "",
            f"`python scripts/bench/bench_ray.py {' '.join(sys.argv[1:])}`, "
            f"{made['processor']}, {made['cores']} cores, "
            f"load {os.getloadavg()[1]:.1f}, python {provenance.versions()['python']}, ray {_ray()}, commit "
            f"{provenance.commit()}.",
            "",
            f"{settings.cells} cells of one second on {settings.workers} workers, which are up; without any cost, "
            f"{ideal} seconds. A cell is claimed, sent with what it needs, computed, brought back and written. "
            "Load: processes that wanted a core in the last five minutes, those of others included.",
            "",
            "| executor | seconds | over the ideal, % | ms a cell | CPU seconds of the driver, start included |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )
    print(page)
    if settings.out:
        settings.out.write_text(page, encoding="utf-8")
    good = over["ray"] < LIMIT
    verdict = f"ray: {over['ray']:.1f} % over the ideal (limit {LIMIT:g} %)"
    print(verdict if good else f"error: {verdict}", file=sys.stdout if good else sys.stderr)
    return 0 if good else 1


def _ray() -> str:
    import ray

    return ray.__version__


if __name__ == "__main__":
    raise SystemExit(
        cli.settings(main, Settings, "python scripts/bench/bench_ray.py [cells=200] [workers=4] [out=<file>]")
    )
