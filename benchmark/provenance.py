"""Where a result comes from: seeds derived from what is computed, versions, machine, commit."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TypedDict

from benchmark.places import shipped

PACKAGES = ("torch", "timm", "torchvision", "numpy", "scipy", "scikit-learn", "pillow")
"""The packages whose version can move a number."""


class Hardware(TypedDict):
    """Processor, number of usable cores, memory in GiB and operating system of a machine."""

    processor: str
    cores: int
    memory_gib: float | None
    system: str


def seed_of(*parts: object) -> int:
    """A seed in [0, 2⁶³) that depends on all parts and on nothing else, the same on every machine.

    parts    anything that JSON can hold; their order counts
    returns  the first 63 bits of the SHA-256 of their canonical JSON
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python, this project and the packages that can move a number, read without importing them."""
    found = {"python": platform.python_version()}
    for name in ("diverse-model-selection", *PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def hardware() -> Hardware:
    """The facts of this machine."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def threads() -> int:
    """Threads that the numerical libraries of this process use: PyTorch's where it is loaded."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return int(limit) if limit.isdigit() else hardware()["cores"]


def device_name(device: str) -> str:
    """The name of a torch device ("cpu", "cuda", "cuda:1"): the processor's or the accelerator's."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(torch.device(device))
    return hardware()["processor"]


@functools.cache
def commit() -> str | None:
    """This project's git commit, with "-dirty" where tracked files differ from it; of a wheel what it was built from.

    None where it is not known.
    """
    root = Path(__file__).resolve().parents[1]
    if known := os.environ.get("BENCHMARK_COMMIT"):  # a copy of the tree without its history
        return known
    if (built := shipped("commit")).is_file():
        return built.read_text(encoding="utf-8").strip()
    git = ["git", "-C", str(root)]
    try:
        if not (root / ".git").exists():
            return None
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, encoding="utf-8", check=True)
        state = subprocess.run(
            [*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, encoding="utf-8", check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("-dirty" if state.stdout.strip() else "")


def record(device: str = "cpu") -> dict[str, object]:
    """What every record of a computation holds about where it ran."""
    return {
        "versions": versions(),
        "hardware": hardware(),
        "threads": threads(),
        "device": device_name(device),
        "commit": commit(),
    }
