"""Fine-tuning: the ground truth. All weights of a model are trained with a new head on a target.

The images lie decoded on the device as uint8; cropping, flipping and normalising happen there, a batch at a time;
the order of the images and every crop are drawn beforehand by numpy from one seed, the same on every device. On a
CPU a result is the same to the last bit for one machine and thread count; on CUDA it is close, not equal.
"""

from __future__ import annotations

import contextlib
import gc
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark import models, provenance
from benchmark.provenance import seed_of

if TYPE_CHECKING:
    from benchmark.config import ModelSpec, PretrainSpec, RecipeSpec
    from benchmark.packs import Pack

CHECK_EVERY = 25
"""Steps between looks at the loss."""
RETRIED = "out of memory once; batches in two parts, same images and steps"
CURVE_POINTS = 20
EVALUATION_BATCH = 256
ASPECT = 4 / 3
"""Widest aspect ratio of a crop, and its inverse the narrowest: those of Inception training."""
T = TypeVar("T")


class TrainingFailed(Exception):
    """A training that gave no usable model: the loss or the outputs were not finite, or memory ran out twice."""


# --- images on the device -------------------------------------------------------------------------------------


def to_device(module: nn.Module, spec: ModelSpec, device: torch.device) -> nn.Module:
    """The module on the device, channels last for the convolutional families (faster there, and on CPUs)."""
    layout = torch.contiguous_format if spec.family == "transformer" else torch.channels_last
    return module.to(device=device, memory_format=layout)


def normaliser(spec: ModelSpec, device: torch.device) -> Callable[[Tensor], Tensor]:
    """A function from pixels (n, 3, h, w), 0 to 255, to the model's input: float32, its mean and deviation.

    It keeps the layout, works in place on float pixels, and leaves uint8 ones alone. For a network of grey images the
    input is (n, 1, h, w), the luma of ITU-R BT.601 as Pillow has it, not rounded.
    """
    std = torch.tensor(spec.std, device=device).view(1, -1, 1, 1)
    mean = torch.tensor(spec.mean, device=device).view(1, -1, 1, 1)
    scale, shift = 1 / (255 * std), mean / std

    def normalise(pixels: Tensor) -> Tensor:
        values = pixels.to(torch.float32)
        if spec.in_chans == 1:
            red, green, blue = values.unbind(1)
            return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(1).mul_(scale).sub_(shift)
        if values.is_cuda or values.stride(1) != 1:
            return values.mul_(scale).sub_(shift)
        # channels last: a CPU goes along rows of pixels many times as fast as along three values at a time
        width = values.shape[-1]
        values.permute(0, 2, 3, 1).mul_(scale.view(3).repeat(width, 1)).sub_(shift.view(3).repeat(width, 1))
        return values

    return normalise


def orders(n: int, batch: int, steps: int, generator: np.random.Generator) -> np.ndarray:
    """Image indices (steps, batch): one permutation of n images per epoch, each epoch's last partial batch dropped.

    Needs batch ≤ n.
    """
    per_epoch = n // batch
    epochs = math.ceil(steps / per_epoch)
    shuffled = np.stack([generator.permutation(n)[: per_epoch * batch] for _ in range(epochs)])
    return shuffled.reshape(-1, batch)[:steps]


def views(
    shape: tuple[int, ...], crop: float, flip: bool, generator: np.random.Generator, middle: float = 1.0
) -> np.ndarray | None:
    """Random crops and flips as affine maps (*shape, 2, 3) from output to input coordinates in [−1, 1].

    crop  smallest area of a crop as a share of the image's (0 or 1: no crop); its aspect ratio lies between 3/4
          and 4/3, its place is anywhere inside
    flip  mirror every other view, left to right
    middle  share of the side that is seen where nothing is cropped at random
    Returns None where neither is wanted.
    """
    cropped = 0 < crop < 1
    if not cropped and not flip:
        return None
    width = height = np.full(shape, float(middle))
    if cropped:
        area = generator.uniform(crop, 1, shape)
        ratio = np.exp(generator.uniform(-math.log(ASPECT), math.log(ASPECT), shape) / 2)
        width, height = np.minimum(np.sqrt(area) * ratio, 1), np.minimum(np.sqrt(area) / ratio, 1)
    maps = np.zeros((*shape, 2, 3), np.float32)
    maps[..., 0, 0], maps[..., 1, 1] = width, height
    maps[..., 0, 2] = cropped * (1 - width) * generator.uniform(-1, 1, shape)
    maps[..., 1, 2] = cropped * (1 - height) * generator.uniform(-1, 1, shape)
    if flip:
        maps[..., 0, 0] *= np.where(generator.random(shape) < 0.5, -1, 1)
    return maps


def quarter_turns(maps: np.ndarray | None, turns: np.ndarray) -> np.ndarray:
    """The views turned by 90° × turns (same leading shape), as torch.rot90 turns images."""
    if maps is None:
        maps = np.zeros((*turns.shape, 2, 3), np.float32)
        maps[..., 0, 0] = maps[..., 1, 1] = 1
    cos, sin = np.array([1, 0, -1, 0])[turns], np.array([0, 1, 0, -1])[turns]
    turned = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2).astype(np.float32)
    return np.concatenate([maps[..., :2] @ turned, maps[..., 2:]], axis=-1)


def look(pixels: Tensor, maps: Tensor | None, size: int | None = None) -> Tensor:
    """Pixels (n, 3, s, s) seen through affine maps (n, 2, 3), bilinear; their middle without maps.

    size  side in pixels of what is returned; None for s
    """
    size = size or pixels.shape[-1]
    if maps is None:
        return middle_of(pixels, size)
    points = grid(maps, size)
    return functional.grid_sample(pixels.to(torch.float32), points, padding_mode="border", align_corners=False)


def grid(maps: Tensor, size: int) -> Tensor:
    """The points (n, size, size, 2) that views (n, 2, 3) sample, as torch's affine_grid gives them.

    That one multiplies each point by a matrix. A view scales, mirrors and turns by quarters, so that each coordinate
    follows from the row or from the column alone: a sum of two lines, the same numbers in a twentieth of the time.
    """
    centres = torch.linspace(-1, 1, size, device=maps.device) * (size - 1) / size  # of pixels
    across = maps[:, :, 0, None] * centres + maps[:, :, 2, None]
    down = maps[:, :, 1, None] * centres
    return (across[:, :, None, :] + down[:, :, :, None]).permute(0, 2, 3, 1)


def middle_of(pixels: Tensor, size: int) -> Tensor:
    """The middle (…, size, size) of pixels (…, s, s); themselves where s is size."""
    start = (pixels.shape[-1] - size) // 2
    return pixels if not start else pixels[..., start : start + size, start : start + size]


# --- one training ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Examples:
    """What a training sees: pixels (n, s, s, 3) uint8, targets (n,) int64 or (n, c) float32 for multi-label."""

    pixels: Tensor
    targets: Tensor

    def on(self, device: torch.device) -> Examples:
        return Examples(self.pixels.to(device), self.targets.to(device))


@dataclass(frozen=True)
class Course:
    """How a training went: mean loss at up to 20 points, seconds, images seen per step and in all."""

    curve: list[float]
    seconds: float
    batch: int
    images: int


def optimiser(module: nn.Module, spec: ModelSpec, recipe: RecipeSpec | PretrainSpec) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum or AdamW, without weight decay on norms, biases and what timm exempts."""
    settings = recipe.optimisers[spec.family]
    exempt = set(module.no_weight_decay()) if hasattr(module, "no_weight_decay") else set()
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
) -> Course:
    """Train the module in place, on the device where it lies.

    rate       peak learning rate
    flip       whether a mirrored image keeps its target
    rotations  replace the targets by one of four quarter turns, drawn for every view
    parts      cut each batch into so many parts whose gradients are added: less memory, the same images and
               steps (batch norm sees the parts)
    watch      asked before every step for its place in the schedule, 0 to 1, instead of step / recipe.steps; 1 ends
               the training. It may look at the module, which is put back into training mode
    Raises TrainingFailed when the loss is not finite.
    """
    device = next(module.parameters()).device
    n = len(examples.pixels)
    batch = min(recipe.batch, n)
    if batch < 2:
        raise ValueError(f"training images must be at least 2. Got {n}. Take a larger split.")
    generator = np.random.Generator(np.random.PCG64(seed))
    order = orders(n, batch, recipe.steps, generator)
    middle = spec.input_size / examples.pixels.shape[1]
    maps = views(order.shape, recipe.crop, flip and recipe.flip, generator, middle)
    turns = None
    if rotations:
        drawn = generator.integers(0, 4, order.shape)
        maps, turns = quarter_turns(maps, drawn), torch.from_numpy(drawn).to(device)
    blend = getattr(recipe, "mixup", 0.0)
    shares = generator.beta(blend, blend, recipe.steps) if blend else np.ones(recipe.steps)
    milestones = getattr(recipe, "milestones", ())
    index = torch.from_numpy(order).to(examples.pixels.device)
    maps_on = None if maps is None else torch.from_numpy(maps).to(device)
    normalise = normaliser(spec, device)
    layout = torch.contiguous_format if spec.family == "transformer" else torch.channels_last
    update = optimiser(module, spec, recipe)
    losses, finite = torch.zeros(recipe.steps, device=device), Finite()
    cuts = [range(batch)[k::parts] for k in range(parts)]
    cuts = [slice(c.start, c.stop, c.step) for c in cuts if len(c)]

    def backward(step: int, cut: slice) -> Tensor:
        chosen = index[step, cut]
        pixels = examples.pixels.index_select(0, chosen).to(device, non_blocking=True).permute(0, 3, 1, 2)
        seen = look(pixels, None if maps_on is None else maps_on[step, cut], spec.input_size)
        images = normalise(seen).contiguous(memory_format=layout)
        if turns is not None:
            targets = turns[step, cut]
        else:
            targets = examples.targets.index_select(0, chosen).to(device, non_blocking=True)
        share = float(shares[step])  # of each image beside its partner, which stands as far from the batch's end
        if blend:
            images = images * share + images.flip(0) * (1 - share)
        with autocast(recipe, device):
            outputs = module(images)
        loss = loss_of(outputs.float(), targets, recipe.label_smoothing)
        if blend:
            loss = share * loss + (1 - share) * loss_of(outputs.float(), targets.flip(0), recipe.label_smoothing)
        loss = loss * (len(chosen) / batch)
        loss.backward()
        return loss.detach()

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
                losses[step] += backward(step, cut)
            update.step()
            looked = step % CHECK_EVERY == CHECK_EVERY - 1 or step == recipe.steps - 1
            if looked and not finite(losses[: step + 1], wait=step == recipe.steps - 1):
                raise TrainingFailed(f"loss became NaN or infinite within {step + 1} steps at rate {rate:g}")
    if not bool(torch.isfinite(losses[:done]).all()):
        raise TrainingFailed(f"loss became NaN or infinite within {done} steps at rate {rate:g}")
    seconds = time.perf_counter() - start
    pieces = np.array_split(losses[:done].double().cpu().numpy(), max(1, min(CURVE_POINTS, done)))
    return Course([round(float(p.mean()), 6) for p in pieces if len(p)], seconds, batch, done * batch)


def _training_mode(module: nn.Module, frozen: bool) -> None:
    """All of it trains; or, frozen, just the last classifier, with the rest as in evaluation."""
    module.train(not frozen)
    if frozen:
        own = {id(p) for p in models.head_parameters(module)}
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
        for piece in pixels.split(max(1, EVALUATION_BATCH // parts)):
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


# --- accuracy -------------------------------------------------------------------------------------------------


def accuracies(outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracies of outputs (n, c) against class ids (n,) or multi-hot labels (n, c), in percent.

    Single-label: `accuracy`, and `mean_per_class`, the mean recall over the classes that occur. Multi-label:
    `map`, the mean over labels that occur of scikit-learn's average precision, and `per_label`, the share of
    all n·c decisions (output > 0) that are right, which is the paper's. `oracle` is the first of each.
    """
    right = correctness(outputs, labels)
    if labels.ndim == 2:
        from sklearn.metrics import average_precision_score

        occur = np.flatnonzero(labels.any(axis=0))
        if not len(occur):
            raise ValueError("labels must hold at least one positive. Got none. Check the test split.")
        precisions = [average_precision_score(labels[:, c], outputs[:, c]) for c in occur]
        found = {"map": 100 * float(np.mean(precisions)), "per_label": 100 * int(right.sum()) / right.size}
        return found | {"oracle": found["map"]}
    recalls = [right[labels == c].mean() for c in np.unique(labels)]
    found = {"accuracy": 100 * int(right.sum()) / right.size, "mean_per_class": 100 * float(np.mean(recalls))}
    return found | {"oracle": found["accuracy"]}


def correctness(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """uint8 (n,), or (n, c) for multi-label: whether each decision is right."""
    if labels.ndim == 2:
        return ((outputs > 0) == (labels > 0)).astype(np.uint8)
    return (outputs.argmax(axis=1) == labels).astype(np.uint8)


def stratified(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Positions (sorted) of a random sample of `size` that keeps the classes' shares; plain for multi-label.

    Within a class of m images the shuffled ones stand at (k + ½)/m; the `size` lowest are taken, so that every
    class gives its share rounded.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    shuffled = generator.permutation(len(labels))
    if labels.ndim == 2:
        return np.sort(shuffled[:size])
    _, members, counts = np.unique(labels[shuffled], return_inverse=True, return_counts=True)
    by_class = np.argsort(members, kind="stable")
    turn = np.empty(len(labels))
    turn[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = (turn + 0.5) / counts[members]
    return np.sort(shuffled[np.argsort(place, kind="stable")[:size]])


def parts(
    labels: np.ndarray, size_of: Callable[[int], int], groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the images to train on and of those held out to judge: a stratified sample, always the same.

    size_of  how many of n images are held out
    groups   (n,) near-duplicates share a number. A group is held out whole: one image of it judges, and none is
             trained on
    """
    first = np.arange(len(labels)) if groups is None else np.sort(np.unique(groups, return_index=True)[1])
    held = first[stratified(labels[first], size_of(len(first)), seed_of("validation"))]
    out = held if groups is None else np.flatnonzero(np.isin(groups, groups[held]))
    return np.delete(np.arange(len(labels)), out), held


# --- the two stages -------------------------------------------------------------------------------------------


def examples_of(pack: Pack, indices: np.ndarray, size: int, middle: int | None = None) -> Examples:
    """Images of a pack as the training wants them, on the CPU: short side scaled to size, the centre square.

    middle  side in pixels of the part of that square that is kept, as for evaluation; None for all of it
    """
    targets = torch.from_numpy(np.asarray(pack.labels[indices]))
    targets = targets.float() if pack.multilabel else targets.long()
    pixels = torch.from_numpy(pack.stack(indices, size))
    if middle and middle < size:
        pixels = middle_of(pixels.permute(0, 3, 1, 2), middle).permute(0, 2, 3, 1).contiguous()
    return Examples(pixels, targets)


def splits(spec: ModelSpec, pack: Pack, train: np.ndarray, test: np.ndarray) -> tuple[Examples, Examples]:
    """What a model trains on (its whole frame, out of which views are cropped) and is tested on (its centre crop)."""
    frame = spec.frame(pack.meta.get("size", spec.input_size))
    return examples_of(pack, train, frame), examples_of(pack, test, frame, spec.input_size)


def training_indices(pack: Pack, recipe: RecipeSpec) -> np.ndarray:
    """The training split; with `train_cap` a stratified part of it, the same for every model and seed."""
    indices = pack.indices("train")
    if recipe.train_cap is None or recipe.train_cap >= len(indices):
        return indices
    return indices[stratified(pack.labels[indices], recipe.train_cap, seed_of("train_cap"))]


def _trained(
    spec: ModelSpec,
    weights: Path | None,
    examples: Examples,
    test: Examples,
    pack: Pack,
    recipe: RecipeSpec,
    rate: float,
    seeds: tuple[int, int],
    device: str,
) -> tuple[np.ndarray, Course, bool, float]:
    """Fine-tune once and predict: outputs, course, whether memory forced a retry, seconds of evaluation."""
    place = torch.device(device)

    def attempt(parts: int) -> tuple[np.ndarray, Course, float]:
        module, _ = models.load(spec, weights)
        module = to_device(models.new_head(module, pack.n_classes, seeds[0]), spec, place)
        here = examples.on(place) if parts == 1 else examples
        flip = bool(pack.meta.get("flip", False))
        course = fit(module, spec, here, recipe, rate, seeds[1], flip, parts=parts)
        start = time.perf_counter()
        outputs = predict(module, spec, test.pixels, recipe, parts)
        return outputs, course, time.perf_counter() - start

    (outputs, course, evaluation), retried = twice_for_memory(attempt)
    return outputs, course, retried, evaluation


def _record(courses: list[Course], retried: bool, evaluation: float, device: str) -> dict[str, Any]:
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


def tune(
    spec: ModelSpec, weights: Path | None, pack: Pack, recipe: RecipeSpec, device: str = "cpu"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Choose the learning rate on a stratified validation part of the training split; the test split is not read.

    Every rate of the recipe trains on the rest with the same head and the same order of images. The best
    validation accuracy wins (multi-label: mean average precision); of equal ones the smaller rate. One rate is
    taken as it is. A recipe with several weight decays or numbers of steps tries all of them with every rate.
    returns  ({"rate", "measure", "rates", "validation" (percent, None where it failed), "failed" (reasons),
             "curves", "n_train", "n_validation"; for such a grid also "weight_decay", "steps" that were chosen, and
             "weight_decays", "steps_tried"}, record)
    Raises TrainingFailed when every rate failed.
    """
    indices = training_indices(pack, recipe)
    recipe = recipe.on(len(indices), pack.meta.get("size", spec.input_size))
    trials = recipe.trials(spec.family)
    rates = [rate for rate, _ in trials]
    rest, held = parts(pack.labels[indices], lambda n: max(1, round(recipe.validation * n)), pack.groups_of(indices))
    rest = indices[rest]
    values: dict[str, Any] = {
        "rate": rates[0],
        "measure": "map" if pack.multilabel else "accuracy",
        "rates": rates,
        "validation": [None] * len(rates),
        "failed": {},
        "curves": [[] for _ in rates],
        "n_train": len(rest),
        "n_validation": len(held),
    }
    if recipe.is_grid:
        values["weight_decays"] = [trial.optimisers[spec.family].weight_decay for _, trial in trials]
        values["steps_tried"] = [trial.steps for _, trial in trials]
        values |= {"weight_decay": values["weight_decays"][0], "steps": values["steps_tried"][0]}
    if len(rates) == 1:
        return values, _record([], False, 0.0, device)
    train_part, validation = splits(spec, pack, rest, indices[held])
    labels = np.asarray(pack.labels[indices[held]])
    courses, retried, evaluation = [], False, 0.0
    for k, (rate, trial) in enumerate(trials):
        seeds = (seed_of("tune", "head"), seed_of("tune", "order"))
        try:
            outputs, course, again, seconds = _trained(
                spec, weights, train_part, validation, pack, trial, rate, seeds, device
            )
        except TrainingFailed as failure:
            values["failed"][f"{rate:g}" if not recipe.is_grid else f"{rate:g} #{k}"] = str(failure)
            continue
        values["validation"][k] = accuracies(outputs, labels)["oracle"]
        values["curves"][k] = course.curve
        courses.append(course)
        retried, evaluation = retried or again, evaluation + seconds
    if not courses:
        raise TrainingFailed(f"every rate failed: {'; '.join(values['failed'].values())}")
    best = max(v for v in values["validation"] if v is not None)
    chosen = values["validation"].index(best)
    values["rate"] = rates[chosen]
    if recipe.is_grid:
        values |= {"weight_decay": values["weight_decays"][chosen], "steps": values["steps_tried"][chosen]}
    return values, _record(courses, retried, evaluation, device)


def train(
    spec: ModelSpec,
    weights: Path | None,
    pack: Pack,
    recipe: RecipeSpec,
    rate: float,
    seed_key: str,
    device: str = "cpu",
) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, Any]]:
    """Fine-tune on the whole training split at one rate, then test: one ground truth.

    seed_key  any string; head and order of images derive from it
    returns   (values: accuracies in percent (see `accuracies`), rate, n_train, n_test, steps, curve;
              arrays: `correct` (see `correctness`), `predictions`: int32 class ids (n,) or float32 outputs (n, c);
              record: seconds and images/s of the training alone, evaluation apart, where it ran)
    Values and arrays are the same from call to call on one machine, thread count and a CPU. When memory runs
    out, it is tried once more with each batch in two parts whose gradients are added. Raises TrainingFailed.
    """
    indices, test_indices = training_indices(pack, recipe), pack.indices("test")
    recipe = recipe.on(len(indices), pack.meta.get("size", spec.input_size))
    examples, test = splits(spec, pack, indices, test_indices)
    seeds = (seed_of(seed_key, "head"), seed_of(seed_key, "order"))
    outputs, course, retried, evaluation = _trained(spec, weights, examples, test, pack, recipe, rate, seeds, device)
    labels = np.asarray(pack.labels[test_indices])
    values = accuracies(outputs, labels) | {
        "rate": rate,
        "n_train": len(indices),
        "n_test": len(test_indices),
        "steps": recipe.steps,
        "curve": course.curve,
    }
    predictions = outputs if pack.multilabel else outputs.argmax(axis=1).astype(np.int32)
    arrays = {"correct": correctness(outputs, labels), "predictions": predictions}
    return values, arrays, _record([course], retried, evaluation, device)
