"""The training loop: a network, images and targets in, a trained network and its losses out."""

from __future__ import annotations

import contextlib
import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark import provenance
from benchmark.models import classifiers
from benchmark.training.batches import Batches, Drawing, Examples
from benchmark.training.views import at_once, normaliser

if TYPE_CHECKING:
    from benchmark.config.model import ModelSpec
    from benchmark.config.recipe import PretrainSpec, RecipeSpec

CHECK_EVERY = 25
"""Steps between looks at the loss."""
RETRIED = "out of memory once; batches in two parts, same images and steps"
CURVE_POINTS = 20
EVALUATION_BATCH = 256
T = TypeVar("T")


class TrainingFailed(Exception):
    """A training that gave no usable model: the loss or the outputs were not finite, or memory ran out twice."""


@dataclass(frozen=True)
class Course:
    """How a training went: mean loss at up to 20 points, seconds, images seen per step and in all."""

    curve: list[float]
    seconds: float
    batch: int
    images: int


def record(courses: Sequence[Course], retried: bool, evaluation: float, device: str) -> dict[str, object]:
    """What is recorded of trainings: seconds and images/s of these alone, seconds of evaluation, where it ran."""
    seconds = sum(c.seconds for c in courses)
    images = sum(c.images for c in courses)
    batch = courses[0].batch if courses else 0
    return {
        "seconds": seconds,
        "images_per_second": images / seconds if seconds else None,
        "evaluation_seconds": evaluation,
        "batch": batch // 2 if retried else batch,
        "retried": retried,
        "note": RETRIED if retried else "",
    } | provenance.record(device)


def optimiser(module: nn.Module, spec: ModelSpec, recipe: RecipeSpec | PretrainSpec) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum or AdamW, without weight decay on norms, biases and what timm exempts."""
    settings = recipe.optimisers[spec.family]
    exempt = set(getattr(module, "no_weight_decay", tuple)())
    trained = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    plain = [p for n, p in trained if p.ndim <= 1 or n in exempt]
    decayed = [p for n, p in trained if not (p.ndim <= 1 or n in exempt)]
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, lr=0.0, fused=True)
    return torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True, fused=True)


def rate_at(step: float, steps: int, warmup: float, milestones: tuple[float, ...] = ()) -> float:
    """The share of the peak rate at a step: linear warm-up over a share of the steps, then a cosine to zero.

    milestones  shares of the steps; with any, the rate stays and falls to a tenth after each of them instead
    """
    rise = round(warmup * steps)
    if step < rise:
        return (step + 1) / rise
    if milestones:
        return 0.1 ** sum(step > round(share * steps) for share in milestones)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def autocast(recipe: RecipeSpec | PretrainSpec, device: torch.device) -> torch.autocast:
    """bfloat16 on CUDA where the recipe's precision is "auto"; float32 elsewhere."""
    on = recipe.precision == "auto" and device.type == "cuda"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=on)


def loss_of(outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy for class ids (n,), binary cross-entropy over labels for multi-hot targets (n, c)."""
    if targets.ndim == 2:
        return functional.binary_cross_entropy_with_logits(outputs, targets)
    return functional.cross_entropy(outputs, targets, label_smoothing=smoothing)


class Finite:
    """Whether numbers on a device are finite, asked without stopping it: CUDA answers at the next question."""

    def __init__(self) -> None:
        self.asked: tuple[Tensor, torch.cuda.Event] | None = None

    def __call__(self, values: Tensor, wait: bool) -> bool:
        """`wait`: for the answer to this question, as elsewhere than on CUDA always; else the one before it counts."""
        answer = torch.isfinite(values).all()
        if wait or not values.is_cuda:
            return bool(answer)
        before, self.asked = self.asked, (answer.to("cpu", non_blocking=True), torch.cuda.Event())
        self.asked[1].record(torch.cuda.current_stream(values.device))
        if before is None:
            return True
        before[1].synchronize()  # long past, unless the launches are that far ahead: then the device has enough to do
        return bool(before[0])


def fit(
    module: nn.Module,
    spec: ModelSpec,
    examples: Examples,
    recipe: RecipeSpec | PretrainSpec,
    rate: float,
    seed: int,
    flip: bool,
    rotations: bool = False,
    parts: int = 1,
    watch: Callable[[int], float] | None = None,
    balanced: bool = False,
) -> Course:
    """Train the module in place, on the device where it lies.

    rate       peak learning rate
    flip       whether a mirrored image keeps its target
    rotations  replace the targets by one of four quarter turns, drawn for every view
    parts      cut each batch into so many parts whose gradients are added: less memory, the same images and
               steps (batch norm sees the parts)
    watch      asked before every step for its place in the schedule, 0 to 1, instead of step / recipe.steps; 1 ends
               the training. It may look at the module, which is put back into training mode
    balanced   draw images so that every class comes equally often (class ids alone), instead of all of them in turn
    Raises TrainingFailed when the loss is not finite.
    """
    device = next(module.parameters()).device
    batches = Batches(spec, examples, recipe, Drawing(seed, flip, rotations, balanced), device)
    cuts = [slice(k, batches.size, parts) for k in range(min(parts, batches.size))]
    update, milestones = optimiser(module, spec, recipe), getattr(recipe, "milestones", ())
    losses, finite = torch.zeros(recipe.steps, device=device), Finite()
    frozen = getattr(recipe, "freeze", "none") == "backbone"
    _training_mode(module, frozen)
    start, done = time.perf_counter(), recipe.steps
    with _reproducible(seed, device):
        for step in range(recipe.steps):
            place = float(step)
            if watch is not None:
                place = watch(step) * recipe.steps
                if place >= recipe.steps:
                    done = step
                    break
                if module.training == frozen:  # it looked
                    _training_mode(module, frozen)
            for group in update.param_groups:
                group["lr"] = rate * rate_at(place, recipe.steps, recipe.warmup, milestones)
            update.zero_grad(set_to_none=True)
            for cut in cuts:
                losses[step] += _backward(module, batches, recipe, step, cut)
            update.step()
            looked = step % CHECK_EVERY == CHECK_EVERY - 1 or step == recipe.steps - 1
            if looked and not finite(losses[: step + 1], wait=step == recipe.steps - 1):
                raise _not_finite(step + 1, rate)
    if not bool(torch.isfinite(losses[:done]).all()):
        raise _not_finite(done, rate)
    seconds = time.perf_counter() - start
    pieces = np.array_split(losses[:done].double().cpu().numpy(), max(1, min(CURVE_POINTS, done)))
    return Course([round(float(p.mean()), 6) for p in pieces if len(p)], seconds, batches.size, done * batches.size)


def _backward(module: nn.Module, batches: Batches, recipe: RecipeSpec | PretrainSpec, step: int, cut: slice) -> Tensor:
    """Add the gradients of a part of a step's batch; its share of the batch's mean loss."""
    images, targets = batches.part(step, cut)
    with autocast(recipe, batches.device):
        outputs = module(images)
    loss = loss_of(outputs.float(), targets, recipe.label_smoothing)
    if batches.mixed:
        share = float(batches.shares[step])
        loss = share * loss + (1 - share) * loss_of(outputs.float(), targets.flip(0), recipe.label_smoothing)
    loss = loss * (len(targets) / batches.size)
    loss.backward()
    return loss.detach()


def _not_finite(steps: int, rate: float) -> TrainingFailed:
    return TrainingFailed(f"loss became NaN or infinite within {steps} steps at rate {rate:g}")


def _training_mode(module: nn.Module, frozen: bool) -> None:
    """All of it trains; or, frozen, just the last classifier, with the rest as in evaluation."""
    module.train(not frozen)
    if frozen:
        own = {id(p) for p in classifiers.head_parameters(module)}
        for parameter in module.parameters():
            parameter.requires_grad_(id(parameter) in own)


@contextlib.contextmanager
def _reproducible(seed: int, device: torch.device) -> Iterator[None]:
    """PyTorch's own generators seeded (dropout draws from them) and put back; cuDNN's deterministic kernels."""
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=True),
    ):
        torch.manual_seed(seed % 2**63)
        yield


def predict(
    module: nn.Module, spec: ModelSpec, pixels: Tensor, recipe: RecipeSpec | PretrainSpec, parts: int = 1
) -> np.ndarray:
    """Outputs (n, c) float32 of the model in evaluation mode for pixels (n, s, s, 3) uint8.

    Raises TrainingFailed for outputs that are not finite.
    """
    device = next(module.parameters()).device
    normalise = normaliser(spec, device)
    module.eval()
    found = []
    with torch.inference_mode(), autocast(recipe, device), _reproducible(0, device):
        for piece in pixels.split(at_once(max(1, EVALUATION_BATCH // parts), spec.input_size, device)):
            found.append(module(normalise(piece.to(device, non_blocking=True).permute(0, 3, 1, 2))).float())
    outputs = torch.cat(found).cpu().numpy()
    if not np.isfinite(outputs).all():
        raise TrainingFailed("outputs of the trained model are NaN or infinite")
    return outputs


def twice_for_memory(attempt: Callable[[int], T]) -> tuple[T, bool]:
    """attempt(1), and where memory runs out once more attempt(2): batches in two parts, images kept on the host.

    Returns its result and whether it was retried. Raises TrainingFailed when memory runs out again.
    """
    try:
        return attempt(1), False
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
    # outside the except block: the traceback would keep the first attempt's tensors alive
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    try:
        return attempt(2), True
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
        raise TrainingFailed("out of memory, also with batches in two parts") from error


def _is_memory(error: Exception) -> bool:
    texts = ("out of memory", "can't allocate memory")
    return isinstance(error, MemoryError) or any(text in str(error) for text in texts)
