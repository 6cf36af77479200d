"""Specifications of training: optimisers, how sources are pretrained, how models are fine-tuned on a target."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from benchmark.config.spec import Count, Positive, Share, Spec


class OptimiserSpec(Spec):
    """How one family of architectures is trained."""

    name: Literal["sgd", "adamw"] = "sgd"
    """SGD with Nesterov momentum 0.9, or AdamW."""
    rates: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.05, 0.15)
    """Learning rates that are tried; the best on the validation part is taken."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    """Weight decay with every rate."""
    decay_products: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """Products of rate and weight decay, each tried with every rate; empty: `weight_decay` with all of them."""
    later = ("decay_products",)

    def trials(self) -> list[tuple[float, float]]:
        """Every (rate, weight decay) that is tried, the smallest rate first."""
        rates = sorted(self.rates)
        if not self.decay_products:
            return [(rate, self.weight_decay) for rate in rates]
        return [(rate, product / rate) for rate in rates for product in self.decay_products]


SGD = OptimiserSpec()
ADAMW = OptimiserSpec(name="adamw", rates=(2e-3, 5e-3), weight_decay=0.05)
Family = Literal["cnn", "transformer", "convnext"]


class PretrainSpec(Spec):
    """How the harness trains a source model: `rates` holds the one rate that is used."""

    steps: Count = 320
    """Updates."""
    batch: Count = 64
    """Images an update."""
    optimisers: dict[Family, OptimiserSpec] = {
        "cnn": OptimiserSpec(rates=(0.1,)),
        "transformer": OptimiserSpec(name="adamw", rates=(2e-3,), weight_decay=0.05),
        "convnext": OptimiserSpec(name="adamw", rates=(4e-3,), weight_decay=0.05),
    }
    """How each family is trained."""
    warmup: Share = 0.1
    """Share of the steps in which the rate rises from zero."""
    crop: Share = 0.7
    """Smallest share of an image's area that a random crop keeps."""
    flip: bool = True
    """Whether images are mirrored at random."""
    label_smoothing: Share = 0.0
    """Share of a label that is spread over all classes."""
    precision: Literal["auto", "float32"] = "auto"
    """`auto`: bfloat16 on CUDA, single precision elsewhere."""


class DataRule(Spec):
    """What a recipe changes for data sets with fewer training images, or with a smaller short side as stored."""

    images_below: Count | None = None
    """It applies to targets with fewer training images than that."""
    pixels_below: Count | None = None
    """It applies to targets stored with a smaller short side than that."""
    steps: Count | None = None
    """Updates instead of the recipe's."""
    warmup: Share | None = None
    """Warm-up instead of the recipe's."""
    milestones: tuple[Share, ...] | None = None
    """Milestones instead of the recipe's."""
    mixup: Annotated[float, Field(ge=0)] | None = None
    """Mixup instead of the recipe's."""
    crop: Share | None = None
    """Crop instead of the recipe's."""
    flip: bool | None = None
    """Mirroring instead of the recipe's."""

    def fits(self, images: int, pixels: int) -> bool:
        below = ((images, self.images_below), (pixels, self.pixels_below))
        return all(limit is None or value < limit for value, limit in below)

    @property
    def changes(self) -> dict[str, object]:
        fields = set(type(self).model_fields) - {"images_below", "pixels_below"}
        return {name: value for name in sorted(fields) if (value := getattr(self, name)) is not None}


class RecipeSpec(Spec):
    """How a model is fine-tuned on a target for its ground truth."""

    name: str = "fast"
    """What the recipe is called; no part of a key."""
    steps: Count = 125
    """Updates."""
    batch: Count = 32
    """Images an update."""
    optimisers: dict[Family, OptimiserSpec] = {"cnn": SGD, "transformer": ADAMW, "convnext": ADAMW}
    """How each family is trained."""
    warmup: Share = 0.1
    """Share of the steps in which the rate rises from zero."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the training part that chooses the rate; the test part chooses nothing."""
    crop: Share = 0.7
    """Smallest share of an image's area that a random crop keeps."""
    flip: bool = True
    """Whether images are mirrored at random, where their labels allow it."""
    label_smoothing: Share = 0.0
    """Share of a label that is spread over all classes."""
    precision: Literal["auto", "float32"] = "auto"
    """`auto`: bfloat16 on CUDA, single precision elsewhere."""
    freeze: Literal["none", "backbone"] = "none"
    """`backbone`: the last layer alone is trained."""
    train_cap: Count | None = None
    """Training images at most, classes in proportion; null: all."""
    seeds: Count = 2
    """Fine-tunings of every model and target; the accuracy is their mean."""
    seeds_on: dict[str, Count] = {}
    """Another number of seeds for some targets, by name."""
    rate_for: Literal["model", "architecture"] = "model"
    """Whose rate is chosen on a target: each model's own or, as in the paper, one for all of an architecture."""
    rate_on: tuple[str, ...] = ()
    """Targets on which a model's rate is chosen; elsewhere it takes the one with the best mean over these. Empty: each
    target chooses its own."""
    steps_tried: tuple[Count, ...] = ()
    """Numbers of steps, each tried with every rate (VTAB's second axis); empty: `steps`."""
    milestones: tuple[Share, ...] = ()
    """Shares of the steps after which the rate falls to a tenth (BiT, VTAB); empty: a cosine to zero."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """Both parameters of the Beta distribution by which pairs of images are blended (BiT); 0: none are."""
    by_data: tuple[DataRule, ...] = ()
    """Changes for small data sets or small images (BiT, the paper); all that fit apply, later ones last."""
    later = ("steps_tried", "milestones", "mixup", "by_data")

    @model_validator(mode="after")
    def _one_source_of_steps(self) -> RecipeSpec:
        if self.steps_tried and any(rule.steps for rule in self.by_data):
            raise ValueError("steps_tried must be empty where by_data sets steps. Got both. Keep one of them.")
        return self

    @model_validator(mode="after")
    def _one_source_of_rates(self) -> RecipeSpec:
        if self.rate_on and self.rate_for != "model":
            raise ValueError(
                f"rate_on must be empty where rate_for is {self.rate_for}. Got {', '.join(self.rate_on)}. "
                "Keep one of them."
            )
        return self

    def identity(self, *leave_out: str) -> dict[str, object]:
        return super().identity(*leave_out, "name", "seeds", "seeds_on", "rate_for", "rate_on")

    def on(self, images: int, pixels: int) -> RecipeSpec:
        """The recipe for a data set of so many training images, stored with so many pixels on the short side."""
        changes = {k: v for rule in self.by_data if rule.fits(images, pixels) for k, v in rule.changes.items()}
        return self.model_copy(update=changes) if changes else self

    def trials(self, family: Family) -> list[tuple[float, RecipeSpec]]:
        """Every rate that is tried, with the recipe in which it is: the grid of `tune`, smallest rate first."""
        settings = self.optimisers[family]
        return [
            (rate, self.settled(family, decay, steps))
            for rate, decay in settings.trials()
            for steps in self.steps_tried or (self.steps,)
        ]

    @property
    def is_grid(self) -> bool:
        """Whether more than the rate is chosen."""
        return bool(self.steps_tried) or any(o.decay_products for o in self.optimisers.values())

    def settled(self, family: Family, weight_decay: float | None = None, steps: int | None = None) -> RecipeSpec:
        """The recipe with the weight decay and the steps that `tune` chose; itself where it chose neither."""
        changes: dict[str, object] = {} if steps is None else {"steps": steps}
        own = self.optimisers[family]
        if weight_decay is not None and weight_decay != own.weight_decay:
            changes["optimisers"] = self.optimisers | {family: own.model_copy(update={"weight_decay": weight_decay})}
        return self.model_copy(update=changes) if changes else self
