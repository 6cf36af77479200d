"""The pages and tables of what bench_training.py and gpu_bench.py measured."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import torch
from training_loops import (
    IMAGES,
    STEPS,
)

from benchmark.config.model import ModelSpec
from benchmark.provenance import commit, device_name, hardware, versions

LIMIT = 0.9
COLUMNS = ("stage", "architecture", "pixels", "variant", "images_per_second", "share", "low", "high", "rounds", "value")
"""`value` is in milliseconds for the stage preparation, in megabytes for memory."""
EXPLAINED = (
    "Medians over rounds in which the variants take turns (quartiles in brackets), on one thread, in processor time. "
    "`bare`: a training loop, or a forward pass, of the same model and precision over one batch in memory; `own`: "
    "`loop.fit` and `features.forward`; `loader`: torchvision's ImageFolder and transforms, a DataLoader and timm's "
    f"model as it comes, over JPEG files of the same images. Limit: own / bare at least {LIMIT}."
)


def page(rows: list[dict[str, Any]]) -> str:
    """The tables of the rows, in Markdown."""
    lines = []
    for stage in ("fine-tuning", "extraction"):
        lines += [
            f"## {stage.capitalize()}",
            "",
            "| architecture | pixels | bare, images/s | own / bare | loader / bare |",
        ]
        lines += ["|---|---|---|---|---|"]
        for (name, pixels), found in _by_model(rows, stage).items():
            own, loader = (
                f"{r['share']:.2f} ({r['low']:.2f}–{r['high']:.2f})" for r in (found["own"], found["loader"])
            )
            lines.append(f"| {name} | {pixels} | {found['bare']['images_per_second']:.0f} | {own} | {loader} |")
        lines.append("")
    if any(r["stage"] == "preparation" for r in rows):
        lines += _preparation(rows)
    if any(r["stage"] == "memory" for r in rows):
        lines += _memory(rows)
    return "\n".join(lines)


def _by_model(rows: list[dict[str, Any]], stage: str) -> dict[tuple[str, int], dict[str, dict[str, Any]]]:
    found: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for row in rows:
        if row["stage"] == stage:
            found.setdefault((row["architecture"], row["pixels"]), {})[row["variant"]] = row
    return found


def _preparation(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "## Before the model sees an image",
        "",
        f"Loading a model and resizing {IMAGES} images, in milliseconds and in shares of the bare training of {STEPS} "
        f"steps and of the bare extraction of {IMAGES} images. A fine-tuning does both; an extraction loads its model, "
        "and resizes for the first model of an input size on each target. With a process a core, one loads while "
        "another computes; the core's time is spent all the same.",
        "",
        "| architecture | pixels | loading | resizing | both / training | loading / extraction | both / extraction |",
        "|---|---|---|---|---|---|---|",
    ]
    training, extraction = _by_model(rows, "fine-tuning"), _by_model(rows, "extraction")
    for key, found in _by_model(rows, "preparation").items():
        load, both = found["loading"]["value"], found["loading"]["value"] + found["resizing"]["value"]
        trained = 1000 * STEPS * 32 / training[key]["bare"]["images_per_second"]
        passed = 1000 * IMAGES / extraction[key]["bare"]["images_per_second"]
        shares = f"{both / trained:.3f} | {load / passed:.3f} | {both / passed:.3f}"
        lines.append(f"| {key[0]} | {key[1]} | {load:.0f} | {found['resizing']['value']:.0f} | {shares} |")
    return [*lines, ""]


def _memory(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "## Memory of a fine-tuning",
        "",
        "Megabytes in a process of its own. Must: the images at the model's size (uint8), weights with gradients and "
        "momentum, and what autograd keeps of a batch of 32. Peaks: the most anonymous memory, beyond the interpreter "
        "with its libraries, while training and while testing (batches of 256).",
        "",
        "| architecture | pixels | images | model | activations | together | peak, training | peak, testing |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (name, pixels), found in _by_model(rows, "memory").items():
        must = [found[part]["value"] for part in ("images", "model", "activations")]
        held = [*must, sum(must), found["training"]["value"], found["evaluation"]["value"]]
        lines.append(f"| {name} | {pixels} | {' | '.join(f'{v:.0f}' for v in held)} |")
    return [*lines, ""]


def misses(rows: list[dict[str, Any]]) -> list[str]:
    """The rows of our own that stay below the limit, in words."""
    return [
        f"{r['stage']} of {r['architecture']} at {r['pixels']} pixels: {r['share']:.2f} of the bare model"
        for r in rows
        if r.get("variant") == "own" and r["share"] < LIMIT
    ]


def save(rows: list[dict[str, Any]], out: Path, name: str, heading: str, body: str) -> None:
    """Write <name>.csv and <name>.md, which says how they were made."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (out / f"{name}.md").write_text(f"# {heading}\n\n{body.rstrip()}\n", encoding="utf-8")


def beside(rows: list[dict[str, Any]], path: Path, order: list[ModelSpec]) -> list[dict[str, Any]]:
    """The rows, with those that a file has of other architectures, in the order of the banks."""
    known: list[dict[str, Any]] = []
    if path.exists():
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                numbers = {k: float(v) for k, v in row.items() if v and k not in ("stage", "architecture", "variant")}
                known.append(row | numbers | {"pixels": int(row["pixels"])})
    measured = {(r["architecture"], r["pixels"]) for r in rows}
    kept = [r for r in known if (r["architecture"], r["pixels"]) not in measured]
    place = {(spec.arch.rpartition(".")[2], spec.input_size): n for n, spec in enumerate(order)}
    return sorted([*kept, *rows], key=lambda r: place.get((r["architecture"], r["pixels"]), len(place)))


def made_by(device: torch.device) -> str:
    """The command, the machine, the versions and the commit, in a sentence."""

    kept = ("python", "torch", "timm", "torchvision", "pillow")
    packages = ", ".join(f"{k} {v}" for k, v in versions().items() if k in kept)
    command = " ".join(["python", f"scripts/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    machine = f"{device_name(device.type)}, {hardware()['cores']} cores"
    return f"`{command}`, {machine}, {packages}, commit {commit()}."
