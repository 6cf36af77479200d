"""A short look at fine-tuning itself: the loss of the first steps, instead of a guess from frozen features."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from methods.shared.capabilities import estimator
from methods.shared.checks import choice, whole
from methods.shared.labels import class_index, multi_hot, multilabel
from methods.shared.score import Score, degenerate, insufficient

if TYPE_CHECKING:
    from torch import Tensor, nn

MOMENTUM, DECAY, WARMUP = 0.9, 5e-4, 0.1
EPOCHS = 10
"""A look sees no image more often than this."""
HELD_OUT = 0.2
"""Share of the images that loss="held_out" keeps to judge by."""
AT_ONCE = 128
"""Images judged in one forward pass."""


class Plan(NamedTuple):
    """A look at n images: how many steps of how many images, how many of the steps do not count, and the peak rate."""

    steps: int
    batch: int
    skip: int
    rate: float

    @classmethod
    def of(cls, n: int, steps: int, batch: int, skip: int, rate: float) -> Plan:
        """At least two batches an epoch and at most EPOCHS epochs; of fewer steps, as large a share is skipped."""
        batch = max(2, min(batch, n // 2))
        kept = max(1, min(steps, EPOCHS * (n // batch)))
        return cls(kept, batch, min(round(skip * kept / steps), kept - 1), rate)

    def rate_at(self, step: int) -> float:
        """Linear warm-up over a tenth of the steps, then a cosine to zero."""
        rise = round(WARMUP * self.steps)
        if step < rise:
            return self.rate * (step + 1) / rise
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, self.steps - rise)))


@estimator(
    labels=("single", "multi"),
    deterministic=False,
    ordered=True,
    min_samples=4,
    cost="O(steps · batch) images through the network, forwards and backwards: seconds",
    source="Ru et al., NeurIPS 2021, arXiv 2006.04492",
)
def look(
    network: nn.Module,
    images: Any,
    labels: ArrayLike,
    seed: int = 0,
    steps: int = 40,
    batch: int = 32,
    rate: float = 0.05,
    skip: int = 5,
    loss: str = "training",
    trainable: str = "all",
    share: float | None = None,
) -> Score:
    """Minus the mean loss of the first steps of a fine-tuning: each batch's before its update; higher predicts better.

    SGD with Nesterov's momentum 0.9 and weight decay 5e-4 (none on vectors); the rate rises over a tenth of the steps
    and falls to zero along a cosine. Rate, batches and crops are the same for every model.

    network    a PyTorch module (n, …) -> (n, c) with a new head; it is trained in place, and whoever holds it has the
               trained one afterwards
    images     n of them: a sequence with `batch(rows, generator)`, the network's input for some rows, cropped as the
               generator says or, where that is None, as for evaluation; or an array (n, channels, height, width) of
               such inputs
    labels     class ids (n,), or multi-hot (n, k), whose loss is the binary cross-entropy over labels. Their names do
               not matter: outputs are given to classes in the order in which they occur
    seed       of batches, crops and dropout
    steps, batch, skip   with few images, so many that an epoch has at least two batches and no image is seen more than
               ten times; then skip is the same share of the steps
    rate       the peak
    loss       "training": of steps skip + 1 to the last; "held_out": after the last, of a fifth of the images that it
               was not trained on
    trainable  "all"; or "head_and_norms", the last layer and the parameters of normalisations
    share      of the recipe's own steps, which `images.recipe["steps"]` says, in place of `steps`
    returns    a score with the remark how many steps of how many images there were
    In the network's own precision, in one thread: equal inputs, an equal seed too, give equal bits on one machine,
    whatever the number of threads. Cost: that of `steps` updates; results/look.md has what was measured. `degenerate`
    where the loss is not finite, and where the network says the same of every image. Raises ValueError for labels of
    another length, more classes than outputs, and parameters out of range.
    Source: Ru et al., NeurIPS 2021 (training speed estimation, of architectures that are trained from scratch).
    """
    choice("loss", loss, ("training", "held_out"))
    choice("trainable", trainable, ("all", "head_and_norms"))
    images = images if hasattr(images, "batch") else Given(images)
    targets = _targets(labels, len(images))
    skip, asked = whole("skip", skip, 0), _steps(images, share) if share is not None else whole("steps", steps)
    if not 0 < rate < math.inf:
        raise ValueError(f"rate must be above 0 and finite. Got {rate}.")
    rng = np.random.Generator(np.random.PCG64(seed))
    order = rng.permutation(len(images))
    held = order[: round(HELD_OUT * len(order))] if loss == "held_out" else order[:0]
    rest = order[len(held) :]
    if len(rest) < 4 or (loss == "held_out" and not len(held)):
        return insufficient(f"{len(images)} images are too few to train on")
    if targets.ndim == 1 and targets.max() < 1:
        return insufficient("all images are of one class")
    plan = Plan.of(len(rest), asked, whole("batch", batch, 2), skip, rate)
    with _alone(seed):
        return _look(network, images, targets, rest, held, plan, trainable, rng)


class Given:
    """An array of inputs (n, channels, height, width), as a sequence of images that are not cropped."""

    def __init__(self, inputs: ArrayLike):
        import torch

        self.inputs = inputs if isinstance(inputs, torch.Tensor) else torch.from_numpy(np.array(inputs))

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, rows: Sequence[int] | np.ndarray, generator: np.random.Generator | None = None) -> Tensor:
        return self.inputs[np.asarray(rows)]


def _look(
    network: nn.Module,
    images: Any,
    targets: np.ndarray,
    rows: np.ndarray,
    held: np.ndarray,
    plan: Plan,
    trainable: str,
    rng: np.random.Generator,
) -> Score:
    """The score of a look at images `rows`, judged by images `held` where there are any."""
    import torch

    device = next(network.parameters()).device
    known = torch.from_numpy(targets).to(device)
    update = _optimiser(network, trainable)
    losses, spread = [], 0.0
    network.train()
    for step, chosen in enumerate(_batches(rows, plan, rng)):
        outputs = network(images.batch(chosen, rng))
        if step == 0:
            _refuse_too_many_classes(targets, outputs.shape[1])
        value = _loss(outputs, known[chosen])
        losses.append(float(value.detach()))
        if not math.isfinite(losses[-1]):
            return degenerate(f"the loss is not finite at step {step + 1} of {plan.steps}, peak rate {plan.rate:g}")
        spread = max(spread, _spread(outputs.detach()))
        for group in update.param_groups:
            group["lr"] = plan.rate_at(step)
        update.zero_grad(set_to_none=True)
        value.backward()
        update.step()
    found = _judged(network, images, known, held) if len(held) else float(np.mean(losses[plan.skip :]))
    if not math.isfinite(found):
        return degenerate("the loss of the images held out is not finite")
    if not spread:
        return degenerate("the network says the same of every image", -found)
    return Score(-found, reason=f"{plan.steps} steps of {plan.batch} images")


def _batches(rows: np.ndarray, plan: Plan, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The images of each step: a permutation an epoch, its last partial batch dropped. Drawn before any crop is."""
    per_epoch = len(rows) // plan.batch
    epochs = [rng.permutation(rows)[: per_epoch * plan.batch] for _ in range(math.ceil(plan.steps / per_epoch))]
    yield from np.concatenate(epochs).reshape(-1, plan.batch)[: plan.steps]


def _targets(labels: ArrayLike, n: int) -> np.ndarray:
    """int64 (n,) classes 0, 1, … in the order in which they occur, or float32 (n, k) with columns in a fixed order.

    So the names of classes, which say nothing, do not decide which row of the head is whose.
    """
    if multilabel(labels):
        hot = multi_hot(labels, n)
        return hot[:, np.lexsort(hot[::-1])].astype(np.float32)
    codes, _ = class_index(labels, n)
    _, first = np.unique(codes, return_index=True)
    return np.argsort(np.argsort(first))[codes].astype(np.int64)


def _steps(images: Any, share: float) -> int:
    """So large a share of the recipe's steps, one at least."""
    recipe = getattr(images, "recipe", None)
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1. Got {share}.")
    if not recipe or "steps" not in recipe:
        raise ValueError("images must say the recipe's steps where share is given. Got none. Give steps instead.")
    return max(1, round(share * recipe["steps"]))


def _refuse_too_many_classes(targets: np.ndarray, outputs: int) -> None:
    needed = targets.shape[1] if targets.ndim == 2 else int(targets.max()) + 1
    if needed > outputs:
        raise ValueError(f"network must have an output a class, {needed}. Got {outputs}. Give it another head.")


def _optimiser(network: nn.Module, trainable: str) -> Any:
    """SGD over what is to be trained; the rest is frozen."""
    import torch

    if trainable == "head_and_norms":
        kept = {id(p) for part in (*_head(network), *_norms(network)) for p in part.parameters(recurse=True)}
        for parameter in network.parameters():
            parameter.requires_grad_(id(parameter) in kept)
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": DECAY},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD([g for g in groups if g["params"]], lr=0.0, momentum=MOMENTUM, nesterov=True)


def _head(network: nn.Module) -> tuple[nn.Module, ...]:
    """The last layer: as the network names it, as timm's do, else its last linear map."""
    from torch import nn

    if path := getattr(network, "features_from", None):
        return (network.get_submodule(path),)
    if classifier := getattr(network, "get_classifier", None):
        head = classifier()
        return tuple(head) if isinstance(head, tuple | list) else (head,)
    return tuple([part for part in network.modules() if isinstance(part, nn.Linear)][-1:])


def _norms(network: nn.Module) -> list[nn.Module]:
    """The normalisations, by the names of their classes: BatchNorm2d, LayerNorm, GroupNorm1, BatchNormAct2d …"""
    return [part for part in network.modules() if "norm" in type(part).__name__.lower()]


def _loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy, or binary cross-entropy over the labels that there are."""
    from torch.nn import functional

    if targets.ndim == 2:
        outputs = outputs[:, : targets.shape[1]]
        return functional.binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype))
    return functional.cross_entropy(outputs, targets)


def _spread(outputs: Tensor) -> float:
    """By how much outputs differ from image to image; 0 where by no more than rounding."""
    apart = float((outputs - outputs[0]).abs().max())
    return apart if apart > 1e-6 * float(outputs.abs().max()) else 0.0


def _judged(network: nn.Module, images: Any, targets: Tensor, held: np.ndarray) -> float:
    """Mean loss of images that it was not trained on."""
    import torch

    network.eval()
    with torch.inference_mode():
        pieces = np.array_split(held, math.ceil(len(held) / AT_ONCE))
        total = sum(len(piece) * float(_loss(network(images.batch(piece)), targets[piece])) for piece in pieces)
    return total / len(held)


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """One thread, PyTorch's generator seeded, its deterministic kernels; all put back afterwards."""
    import torch

    threads = torch.get_num_threads()
    kept = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    devices = list(range(torch.cuda.device_count()))
    with (
        torch.random.fork_rng(devices=devices),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
    ):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(kept[0], warn_only=kept[1])
            torch.set_num_threads(threads)
