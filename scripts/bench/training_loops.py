"""What bench_training.py and gpu_bench.py time: bare loops, our own, and plain DataLoader loops."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before numpy is loaded

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from benchmark.config.model import ModelSpec  # noqa: E402
from benchmark.config.recipe import RecipeSpec  # noqa: E402
from benchmark.data import packs  # noqa: E402
from benchmark.data.embedded.patches import photo_file  # noqa: E402
from benchmark.data.examples import Examples  # noqa: E402
from benchmark.models import architecture  # noqa: E402
from benchmark.training import batches, ground_truth, loop, views  # noqa: E402
from benchmark.training.features import forward  # noqa: E402

IMAGES, STEPS = 1000, 156  # the small recipe's training images and steps
PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "gravel", "hubble_deep_field", "ihc", "brick", "coffee")
CLASSES = len(PHOTOGRAPHS)
Turn = Callable[[], int]
"""Something to be timed: it returns how many images it went through."""


# --- models and images ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One architecture with what it is timed on: a pack, the same images as JPEG files, a device."""

    spec: ModelSpec
    pack: packs.Pack
    files: Path
    device: torch.device
    batch: int = 32

    @property
    def name(self) -> str:
        return self.spec.arch.rpartition(".")[2]

    def recipe(self, steps: int) -> RecipeSpec:
        return RecipeSpec(steps=steps, batch=self.batch, crop=0.7)

    def module(self) -> nn.Module:
        return views.to_device(architecture.build(self.spec, CLASSES), self.spec, self.device)

    def examples(self) -> batches.Examples:
        return ground_truth.splits(self.spec, self.pack, self.pack.indices("train"), self.pack.indices("test"))[0]


def photographs(folder: Path, height: int, width: int, count: int = IMAGES) -> tuple[packs.Pack, Path]:
    """Patches of scikit-image's photographs as a pack and as JPEG files in a folder a class (quality 95)."""
    photos = [Image.open(photo_file(name)).convert("RGB") for name in PHOTOGRAPHS]
    rng, images = np.random.default_rng(0), []
    labels = np.arange(count + CLASSES) % CLASSES  # the last ones are the test split, which a pack must have
    for i, label in enumerate(labels):
        photo = photos[label]
        x, y = int(rng.integers(photo.width - width + 1)), int(rng.integers(photo.height - height + 1))
        images.append(photo.crop((x, y, x + width, y + height)))
        if i < count:
            place = folder / "files" / PHOTOGRAPHS[label]
            place.mkdir(parents=True, exist_ok=True)
            images[-1].save(place / f"{i}.jpg", quality=95)
    split = (np.arange(len(labels)) >= count).astype(np.uint8)
    examples = Examples(images, labels, split, list(PHOTOGRAPHS))
    packs.build("photographs", examples, min(height, width), folder / "pack")
    return packs.load(folder / "pack"), folder / "files"


# --- what is timed ----------------------------------------------------------------------------------------------------


def bare_training(case: Case, steps: int) -> Turn:
    """The model, the loss, the gradients and the same optimiser on one batch that lies there, normalised."""
    module, examples = case.module(), case.examples()
    images = normalised(case, examples.pixels[: case.batch])
    targets, recipe = examples.targets[: case.batch].to(case.device), case.recipe(steps)

    def run() -> int:
        update = loop.optimiser(module.train(), case.spec, recipe)
        for group in update.param_groups:
            group["lr"] = 1e-4
        for _ in range(steps):
            update.zero_grad(set_to_none=True)
            with loop.autocast(recipe, case.device):
                outputs = module(images)
            functional.cross_entropy(outputs.float(), targets).backward()
            update.step()
        return steps * len(images)

    return run


def own_training(case: Case, steps: int) -> Turn:
    module, examples, recipe = case.module(), case.examples().on(case.device), case.recipe(steps)
    return lambda: loop.fit(module, case.spec, examples, recipe, 1e-4, seed=1, flip=True).images


def loader_training(case: Case, steps: int, workers: int = 0) -> Turn:
    module, recipe = architecture.build(case.spec, CLASSES).to(case.device), case.recipe(steps)
    loader = _loader(case, True, case.batch, workers)

    def run() -> int:
        stream = itertools.chain.from_iterable(itertools.repeat(loader))
        update = torch.optim.SGD(module.train().parameters(), 1e-4, momentum=0.9, nesterov=True, weight_decay=5e-4)
        for images, targets in itertools.islice(stream, steps):
            update.zero_grad()
            with loop.autocast(recipe, case.device):
                outputs = module(images.to(case.device, non_blocking=True))
            functional.cross_entropy(outputs.float(), targets.to(case.device, non_blocking=True)).backward()
            update.step()
        return steps * case.batch

    return run


def bare_extraction(case: Case, count: int, batch: int = 64) -> Turn:
    """The forward pass alone, over one batch that lies there, normalised, as often as there are batches."""
    module = case.module().eval()
    images = normalised(case, case.examples().pixels[: min(batch, count)])

    def run() -> int:
        with torch.inference_mode(), _exact():
            for first in range(0, count, batch):
                module(images[: count - first])
        return count

    return run


def own_extraction(case: Case, count: int, batch: int = 64) -> Turn:
    module, pixels = case.module().eval(), case.examples().pixels[:count]
    return lambda: len(forward(module, case.spec, pixels.to(case.device).split(batch))[0])


def loader_extraction(case: Case, count: int, batch: int = 64, workers: int = 0) -> Turn:
    module = architecture.build(case.spec, CLASSES).to(case.device).eval()
    body, head = (getattr(module, name) for name in ("forward_features", "forward_head"))  # timm's
    loader = _loader(case, False, batch, workers)

    def run() -> int:
        features, seen = [], 0
        with torch.inference_mode(), _exact():
            for images, _ in loader:
                maps = body(images.to(case.device, non_blocking=True))
                features += [head(maps, pre_logits=True).cpu(), head(maps).cpu()]
                if (seen := seen + len(images)) >= count:
                    break
        return seen

    return run


def normalised(case: Case, pixels: Tensor) -> Tensor:
    """Pixels (n, s, s, 3) as the model takes them, on its device and in its layout."""
    layout = torch.contiguous_format if case.spec.family == "transformer" else torch.channels_last
    pixels = views.middle_of(pixels.to(case.device).permute(0, 3, 1, 2), case.spec.input_size)
    return views.normaliser(case.spec, case.device)(pixels).contiguous(memory_format=layout)


def _exact() -> contextlib.AbstractContextManager[None]:
    """The precision of an extraction."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


def _loader(case: Case, training: bool, batch: int, workers: int) -> Any:
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    size, spec = case.spec.input_size, case.spec
    if training:
        first = [transforms.RandomResizedCrop(size, scale=(0.7, 1.0)), transforms.RandomHorizontalFlip()]
    else:
        first = [transforms.Resize(size), transforms.CenterCrop(size)]
    chain = transforms.Compose([*first, transforms.ToTensor(), transforms.Normalize(spec.mean, spec.std)])
    return DataLoader(
        ImageFolder(case.files, chain),
        batch,
        shuffle=training,
        drop_last=training,
        num_workers=workers,
        pin_memory=case.device.type == "cuda",
        persistent_workers=workers > 0,
    )


# --- timing -----------------------------------------------------------------------------------------------------------


def clock(device: torch.device) -> Callable[[], float]:
    """Seconds: of this process's own computing on a CPU, until all is done on a device."""
    if device.type == "cpu":
        return time.process_time

    def done() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return done


def in_turns(turns: dict[str, Turn], rounds: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Images/s of each, round by round; every other round goes the other way, and a first one does not count."""
    speeds: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds + 1):
        for name in list(turns)[:: -1 if number % 2 else 1]:
            start = clock()
            images = turns[name]()
            spent = clock() - start
            if number:
                speeds[name].append(images / spent)
    return speeds


def steps_for(case: Case, seconds: float) -> int:
    """Steps of a bare training that take about so long; from three to those of the small recipe."""
    turn, now = bare_training(case, 3), clock(case.device)
    turn()
    start = now()
    turn()
    return max(3, min(STEPS, round(3 * seconds / (now() - start))))


def rows_of(case: Case, stage: str, speeds: dict[str, list[float]]) -> Iterator[dict[str, Any]]:
    """A row per variant: median images/s, and the ratio to `bare` of the same round, its median and its quartiles."""
    for name, found in speeds.items():
        low, middle, high = np.quantile(np.divide(found, speeds["bare"]), (0.25, 0.5, 0.75))
        yield {
            "stage": stage,
            "architecture": case.name,
            "pixels": case.spec.input_size,
            "variant": name,
            "images_per_second": round(float(np.median(found)), 1),
            "share": round(float(middle), 3),
            "low": round(float(low), 3),
            "high": round(float(high), 3),
            "rounds": len(found),
        }


def speeds_of(case: Case, rounds: int, seconds: float, workers: int = 0) -> list[dict[str, Any]]:
    """The rows of one architecture, training and extraction.

    workers  processes of the loader; with any it is timed alone, as they go on reading when its turn is over
    """
    steps, available, now = steps_for(case, seconds), len(case.examples().pixels), clock(case.device)
    count = min(available, 64 * max(1, round(3 * steps * case.batch / 64)))  # a pass is a third of a step
    found: list[dict[str, Any]] = []
    for stage, amount, bare, own, loader in (
        ("fine-tuning", steps, bare_training, own_training, loader_training),
        ("extraction", count, bare_extraction, own_extraction, loader_extraction),
    ):
        turns = {"bare": bare(case, amount), "own": own(case, amount)}
        theirs = {"loader": loader(case, amount, workers=workers)}
        if workers:
            speeds = in_turns(turns, rounds, now) | in_turns(theirs, rounds, now)
        else:
            speeds = in_turns(turns | theirs, rounds, now)
        found += rows_of(case, stage, speeds)
    return found
