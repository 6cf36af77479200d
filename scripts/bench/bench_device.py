"""A stack of probes scored on a device in one go, against the same estimators one model at a time on the CPU.

    python scripts/bench/bench_device.py [cuda|cpu] [models]

500 × 2048 float32 features, 200 classes, 1000 source classes a model. The device's time includes the transfer of the
stack; the CPU's is for one thread, the estimators sharing one `Features` a model.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "bench")]

import bench_probes as bench  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

import methods  # noqa: E402
from methods.device import score_stack  # noqa: E402
from methods.shared.stacked import STACKED  # noqa: E402


def main(device: str = "cuda", models: str = "32") -> int:
    probes = [bench.probe(seed=seed) for seed in range(int(models))]
    stack = {k: np.stack([p[k] for p in probes]) for k in ("features", "source_probs")}
    labels = probes[0]["labels"]

    def alone(probe: dict, names: list[str]) -> dict[str, float]:
        shared = bench.wrapped(probe)
        return {name: bench.call(getattr(methods, name), shared) for name in names}

    score_stack(list(STACKED), labels, **{k: v[:2] for k, v in stack.items()}, device=device)  # warm up
    print(f"{models} models, {torch.cuda.get_device_name() if device == 'cuda' else device}, torch {torch.__version__}")
    print("| estimators | CPU, ms a model | device, ms a model | ratio | largest relative difference |")
    print("|---|---|---|---|---|")
    for names in [*([name] for name in STACKED), list(STACKED)]:
        start = time.perf_counter()
        expected = [alone(p, names) for p in probes[:4]]
        cpu = (time.perf_counter() - start) / 4
        start = time.perf_counter()
        found = score_stack(names, labels, **stack, device=device)
        own = (time.perf_counter() - start) / len(probes)
        gap = max(abs(found[n][i] - e[n]) / max(abs(e[n]), 1e-9) for i, e in enumerate(expected) for n in names)
        title = names[0] if len(names) == 1 else "all together"
        print(f"| {title} | {1000 * cpu:.2f} | {1000 * own:.2f} | {cpu / own:.1f} | {gap:.1e} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
