"""Speed of fine-tuning and of probe extraction, in shares of the bare model's, and memory of a fine-tuning.

    python scripts/bench/bench_training.py                      # what `make bench` runs python
    scripts/bench/bench_training.py --out results/bench  # also writes training.csv and training.md there python
    scripts/bench/bench_training.py --only regnetx_002 --rounds 15      # with --out: beside the others' rows there

bare    a training loop (a forward pass) of the same model and precision over one batch that lies in memory
own     `loop.fit` and `features.forward` over 1,000 images that lie in memory, as every cell runs them
loader  torchvision's ImageFolder and transforms, a DataLoader, timm's model as it comes, over JPEG files of the same
        images: what one would write in half an hour

The architectures of the banks: at 32 pixels on images of 32, at 64 on images of 96 × 128, as in experiment=small. One
thread, in this process; processor time, so that other processes on the machine count little. The three take turns,
and each round gives one ratio; the table has their medians. Exit code 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "bench")]

from training_loops import (  # noqa: E402, I001  before numpy: it sets the threads
    CLASSES,
    IMAGES,
    Case,
    clock,
    normalised,
    own_training,
    photographs,
    speeds_of,
)
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import Tensor  # noqa: E402
from training_pages import EXPLAINED, beside, made_by, misses, page, save  # noqa: E402

from benchmark.data import packs  # noqa: E402
from benchmark.models import architecture, loading  # noqa: E402
from benchmark.training import ground_truth, loop  # noqa: E402
from benchmark.config.compose import compose  # noqa: E402
from benchmark.config.model import ModelSpec  # noqa: E402
from benchmark.config.validation import experiment  # noqa: E402

SHAPES = {32: (32, 32), 64: (96, 128)}
"""Height and width of the stored images, by the pixels that the model sees."""


# --- what is looked at ------------------------------------------------------------------------------------------------


def architectures() -> list[ModelSpec]:
    """The first model of each architecture of the diverse banks, untrained: the weights do not change the speed."""
    found: dict[tuple[str, int], ModelSpec] = {}
    for bank in ("diverse", "small_diverse"):
        for spec in experiment(compose([f"bank={bank}"])).bank.values():
            found.setdefault((spec.arch, spec.input_size), spec)
    return [spec.model_copy(update={"weights": "random", "init": None}) for spec in found.values()]


def preparation_of(case: Case, folder: Path) -> dict[str, float]:
    """Milliseconds that a cell takes before the model sees an image: loading its weights, resizing 1,000 images."""
    loading.save(architecture.build(case.spec, CLASSES), folder)
    trained = case.spec.model_copy(update={"weights": "pretrain:photographs"})
    train, now = case.pack.indices("train"), clock(torch.device("cpu"))
    spent: dict[str, list[float]] = {"loading": [], "resizing": []}
    for _ in range(3):
        start = now()
        loading.load(trained, folder)
        between = now()
        case.pack.stack(train, case.spec.input_size)
        spent["loading"].append(1000 * (between - start))
        spent["resizing"].append(1000 * (now() - between) * IMAGES / len(train))
    return {name: float(np.median(found)) for name, found in spent.items()}


# --- memory -----------------------------------------------------------------------------------------------------------


class Peak:
    """The most anonymous memory that this process holds while the block runs, beyond what it held before, in MB.

    Pages of files (libraries, the mapped pack) are not counted: the system takes them back when it needs to.
    """

    def __enter__(self) -> Peak:
        self.before = self.most = self._now()
        self.stop = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.watcher.join()

    @property
    def megabytes(self) -> float:
        return (self.most - self.before) / 1e6

    def _watch(self) -> None:
        while not self.stop.wait(0.001):
            self.most = max(self.most, self._now())

    @staticmethod
    def _now() -> int:
        """Bytes: what is resident, and what the system has put aside since it lay idle."""
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "VmSwap:")))


def memory_of(case: Case) -> dict[str, float]:
    """In a process of its own: megabytes of what a fine-tuning must hold, and the most that it did hold.

    images       the training and test images at the model's size, one byte a value
    model        weights, gradients and momentum
    activations  what autograd keeps of one step
    training, evaluation  the peaks of anonymous memory, from before the images were read
    """
    train, test = case.pack.indices("train"), case.pack.indices("test")
    recipe, kept = case.recipe(6), {}
    small = case.spec.model_copy(update={"arch": "resnet10t", "args": {"channels": (8, 8, 8, 8)}, "edits": {}})
    own_training(replace(case, spec=small, batch=2), 1)()  # the libraries that a first step imports are no one's model
    with Peak() as training:
        module = case.module()
        examples, tests = ground_truth.splits(case.spec, case.pack, train, test)
        loop.fit(module, case.spec, examples, recipe, 1e-4, seed=1, flip=True)
    with Peak() as evaluation:
        loop.predict(module, case.spec, tests.pixels, recipe)

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    own = {p.untyped_storage().data_ptr() for p in module.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module.train()(normalised(case, examples.pixels[: case.batch]))
    return {
        "images": (examples.pixels.nbytes + tests.pixels.nbytes) / 1e6,
        "model": 3 * sum(p.nbytes for p in module.parameters()) / 1e6,
        "activations": sum(size for place, size in kept.items() if place not in own) / 1e6,
        "training": training.megabytes,
        "evaluation": (evaluation.most - training.before) / 1e6,
    }


def in_a_process(case: Case, folder: Path) -> dict[str, float]:
    """What `memory_of` finds in a fresh interpreter that has just imported this script."""
    asked = ["--memory-of", case.spec.model_dump_json(), "--data", str(folder)]
    command = [sys.executable, str(Path(__file__).resolve()), *asked]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True, cwd=ROOT)
    return json.loads(done.stdout.splitlines()[-1])


# --- pages and command ------------------------------------------------------------------------------------------------


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for training.csv and training.md")
    parser.add_argument("--only", nargs="*", default=[], help="architectures, by a part of their names")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a bare training of one round")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    if given.memory_of:
        spec = ModelSpec.model_validate_json(given.memory_of)
        folder = given.data / str(spec.input_size)
        print(json.dumps(memory_of(Case(spec, packs.load(folder / "pack"), folder / "files", torch.device("cpu")))))
        return 0
    every = architectures()
    specs = [s for s in every if not given.only or any(part in s.arch for part in given.only)]
    if not specs:
        known = ", ".join(sorted({s.arch.rpartition(".")[2] for s in every}))
        parser.error(f"--only must name architectures of the banks. Got {', '.join(given.only)}. Known: {known}.")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = {size: photographs(folder / str(size), *shape) for size, shape in SHAPES.items()}
        for spec in specs:
            case = Case(spec, *images[spec.input_size], torch.device("cpu"))
            about = {"architecture": case.name, "pixels": spec.input_size}
            rows += speeds_of(case, given.rounds, given.seconds)
            for stage, values in (
                ("preparation", preparation_of(case, folder / "weights")),
                ("memory", in_a_process(case, folder)),
            ):
                rows += [about | {"stage": stage, "variant": k, "value": round(v, 1)} for k, v in values.items()]
            mine = [r for r in rows[-20:] if r["architecture"] == case.name and r["variant"] == "own"]
            own = ", ".join(f"{r['stage']} {r['share']:.2f}" for r in mine)
            print(f"{case.name} at {spec.input_size} pixels, own / bare: {own}", flush=True)
    missed = misses(rows)
    if given.only and given.out:
        rows = beside(rows, given.out / "training.csv", every)
    body = f"{made_by(torch.device('cpu'))}\n\n{EXPLAINED}\n\n{page(rows)}"
    print("\n" + body)
    if given.out:
        save(rows, given.out, "training", "Speed and memory of fine-tuning and probe extraction", body)
    print(
        "all limits are met" if not missed else "error: " + "; ".join(missed), file=sys.stderr if missed else sys.stdout
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
