"""Fine-tuning and extraction on a CUDA device: images/s, shares of the bare step, and what would make them faster.

    python scripts/bench/gpu_bench.py --out results/bench                      # all sections, all models
    python scripts/bench/gpu_bench.py speeds --only resnet50 vit_base          # one section, some models
    BENCHMARK_BENCH=1 python scripts/gpu.py                              # after the tests, on a machine that is lent

ResNet-50, ViT-B/16 and ConvNeXt-T at 224 pixels in batches of 64, the small models of the banks at 64 pixels in
batches of 32. In sections, each row is written as soon as it is there:

speeds    bare, own and loader as in bench_training.py, in bfloat16 (extraction in float32); the bare step with
          whatever kernels cuDNN finds fastest (`bare`) and with the deterministic ones that fine-tuning uses (`bare,
          deterministic`). The loader has a process a core
idle      the share of a fine-tuning's and of an extraction's wall time in which the device runs no kernel and copies
          nothing: kernels' times from a profiled run, wall time from one without the profiler
loading   seconds to load a model onto the device, beside 500 steps and the extraction of 1,000 images
graphs    the step with forward and backward pass in one CUDA graph, seconds to capture it, and from how many steps on
          that pays
compile   the step with the module compiled, seconds to compile, seconds for a second target (new weights put into the
          same module, a head as wide), and from how many steps on that pays
together  images/s of 1, 2, 4 and 8 processes that each load, fine-tune and test one small model after another: also
          what loading the next model meanwhile is worth

A variant is for the harness where it pays within the 125 to 2,500 steps of the recipes; what is not measured is not
claimed. Wall times with the device waited for at both ends; the median of rounds in which variants take turns.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "bench")]

from training_loops import Case, photographs  # noqa: E402, I001  before numpy: it sets the threads
import torch  # noqa: E402
from bench_training import architectures  # noqa: E402
from gpu_sections import Bench, Row, compiled, graphs, idle, loading, row_of, speeds  # noqa: E402
from gpu_together import together  # noqa: E402
from training_pages import made_by, save  # noqa: E402

from benchmark.config.model import ModelSpec  # noqa: E402

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SHAPES = {64: (96, 128), 224: (256, 340)}


def full_size() -> list[ModelSpec]:
    """The models at 224 pixels, untrained."""
    shared = {"weights": "random", "input_size": 224, **IMAGENET}
    of_each = (
        {"name": "resnet50", "arch": "resnet50", "layers": 50},
        {"name": "vit_base", "arch": "vit_base_patch16_224", "layers": 50, "family": "transformer"},
        {"name": "convnext_tiny", "arch": "convnext_tiny", "layers": 59, "family": "convnext"},
    )
    return [ModelSpec.model_validate(shared | own) for own in of_each]


def small() -> list[ModelSpec]:
    """The small models at 64 pixels, untrained."""
    return [spec for spec in architectures() if spec.input_size == 64]


SECTIONS: dict[str, Callable[[Case, Bench], Iterator[Row]]] = {
    "speeds": speeds,
    "idle": idle,
    "loading": loading,
    "graphs": graphs,
    "together": together,
    "compile": compiled,
}


def page(rows: list[Row]) -> str:
    """All rows as one table in Markdown."""
    lines = ["| model | pixels | stage | variant | images/s | share of bare | value |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        share = f"{row['share']:.2f}" if row.get("share") is not None else ""
        if "low" in row:
            share += f" ({row['low']:.2f}–{row['high']:.2f})"
        shown = (row["architecture"], row["pixels"], row["stage"], row["variant"], row.get("images_per_second", ""))
        lines.append("| " + " | ".join(map(str, (*shown, share, row.get("value", "")))) + " |")
    return "\n".join(lines)


def main(argv: list[str], specs: list[ModelSpec] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", default=list(SECTIONS), help=", ".join(SECTIONS))
    parser.add_argument("--out", type=Path, default=Path("outputs/gpu"), help="folder for gpu_training.csv and .md")
    parser.add_argument("--only", nargs="*", default=[], help="models, by a part of their names")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a bare training of one round")
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4, 8], help="for the section together")
    given = parser.parse_args(argv)
    if strange := set(given.sections) - set(SECTIONS):
        parser.error(f"sections must be of {', '.join(SECTIONS)}. Got {', '.join(sorted(strange))}.")
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error(
            "--device must be one that is here. Got cuda, and PyTorch finds none. Take --device cpu to try it."
        )
    torch.set_num_threads(1)
    every = specs or [*full_size(), *small()]
    specs = [s for s in every if not given.only or any(part in s.arch for part in given.only)]
    if not specs:
        known = ", ".join(s.arch for s in every)
        parser.error(f"--only must name some of the models. Got {', '.join(given.only)}. Known: {known}.")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workers = len(os.sched_getaffinity(0)) if device.type == "cuda" else 0
        bench = Bench(given.rounds, given.seconds, workers, folder, tuple(given.processes))
        images = {
            size: photographs(folder / str(size), *SHAPES.get(size, (size, size)), given.images)
            for size in dict.fromkeys(spec.input_size for spec in specs)
        }
        for section in given.sections:
            for spec in specs:
                case = Case(spec, *images[spec.input_size], device, batch=64 if spec.input_size == 224 else 32)
                for row in measured(section, case, bench):
                    rows.append(row)
                    print(page([row]).splitlines()[-1], flush=True)
                    body = f"{made_by(device)}\n\n{page(rows)}"
                    save(rows, given.out, "gpu_training", "Fine-tuning and extraction on one device", body)
    return 0


def measured(section: str, case: Case, bench: Bench) -> Iterator[Row]:
    """The rows of one section for one model; what fails is a row that says why, and the rest goes on."""
    try:
        yield from SECTIONS[section](case, bench)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200].replace("|", "/")
        yield row_of(case, section, f"failed: {reason}")
    if case.device.type == "cuda":
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
