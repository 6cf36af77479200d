"""What recipes of others need beside a rate: grids, staircases, mixup, rules by size of the data, centre crops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from benchmark.config.recipe import OptimiserSpec, RecipeSpec
from benchmark.config.validation import validate
from benchmark.data import packs
from benchmark.data.examples import Examples
from benchmark.errors import ConfigError
from benchmark.models import architecture, classifiers
from benchmark.training import ground_truth, loop, views
from benchmark.training.features import extract
from benchmark.training.loop import TrainingFailed
from tests.tiny import spec

pytestmark = pytest.mark.usefixtures("one_thread")


def pictures(folder: Path, side: int, n: int = 6) -> packs.Pack:
    """A pack of n square pictures, all different; the last two are the test split."""
    pixels = np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    split = np.arange(n) >= n - 2
    packs.build("pictures", Examples(pixels, np.arange(n) % 2, split, ["a", "b"]), side, folder)
    return packs.load(folder)


# --- what is tried, and on which data -------------------------------------------------------------------------


def test_a_grid_tries_every_weight_decay_with_every_rate() -> None:
    cnn = OptimiserSpec(rates=(0.1, 0.01), decay_products=(0.0, 1e-6, 1e-3))
    recipe = RecipeSpec(optimisers={"cnn": cnn}, steps_tried=(7, 9))
    found = [(rate, trial.optimisers["cnn"].weight_decay, trial.steps) for rate, trial in recipe.trials("cnn")]
    expected = [(r, p / r, s) for r in (0.01, 0.1) for p in (0.0, 1e-6, 1e-3) for s in (7, 9)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    plain = RecipeSpec(optimisers={"cnn": OptimiserSpec(rates=(0.2, 0.1))})
    assert plain.trials("cnn") == [(0.1, plain), (0.2, plain)]


def test_the_combination_that_validates_best_is_trained(pack: packs.Pack) -> None:
    # a product of 10 at rate 0.1 decays weights by the factor 1 − 10 a step: they explode or alternate; 0 learns
    cnn = OptimiserSpec(rates=(0.1,), decay_products=(10.0, 0.0))
    recipe = RecipeSpec(optimisers={"cnn": cnn}, steps_tried=(1, 12), crop=1.0, flip=False)
    values, _ = ground_truth.tune(spec(), None, pack, recipe)
    assert (values["rate"], values["weight_decay"], values["steps"]) == (0.1, 0.0, 12)
    assert values["weight_decays"] == pytest.approx([100.0, 100.0, 0.0, 0.0])
    assert values["steps_tried"] == [1, 12, 1, 12]
    best = max(v for v in values["validation"] if v is not None)
    assert values["validation"][3] == best > 20
    settled = recipe.settled("cnn", values["weight_decay"], values["steps"])
    assert (settled.steps, settled.optimisers["cnn"].weight_decay) == (12, 0.0)
    trained, _, _ = ground_truth.train(spec(), None, pack, settled, values["rate"], "cell")
    assert trained["steps"] == 12


def test_rules_apply_in_order_to_the_data_that_they_fit() -> None:
    rules = ({"images_below": 500, "steps": 20, "mixup": 0.1}, {"images_below": 100, "steps": 5}, {"pixels_below": 96, "crop": 0.5})  # fmt: skip # noqa: E501
    recipe = RecipeSpec(steps=100, crop=0.9, by_data=rules)

    def facts(images: int, pixels: int) -> tuple[Any, ...]:
        on = recipe.on(images, pixels)
        return on.steps, on.mixup, on.crop

    assert facts(500, 96) == (100, 0.0, 0.9)
    assert facts(499, 96) == (20, 0.1, 0.9)
    assert facts(99, 95) == (5, 0.1, 0.5)
    with pytest.raises(ConfigError, match="steps_tried must be empty where by_data sets steps"):
        validate(RecipeSpec, {"steps_tried": [1], "by_data": [{"images_below": 1, "steps": 2}]})


def test_the_rules_reach_the_training(pack: packs.Pack) -> None:
    few = RecipeSpec(steps=50, by_data=({"images_below": 201, "steps": 3}, {"pixels_below": 32, "steps": 4}))
    values, _, _ = ground_truth.train(spec(), None, pack, few, 0.01, "cell")  # 200 training images of 32 pixels
    assert values["steps"] == 3


def test_a_staircase_falls_to_a_tenth_after_each_milestone() -> None:
    milestones = (0.4, 0.6, 0.8)  # BiT's 200, 300 and 400 of 500 steps, after 100 of warm-up
    course = [loop.rate_at(step, 500, 0.2, milestones) for step in range(500)]
    np.testing.assert_allclose(course[:100], np.arange(1, 101) / 100)
    for first, last, share in ((100, 200, 1), (201, 300, 0.1), (301, 400, 0.01), (401, 499, 0.001)):
        np.testing.assert_allclose(course[first : last + 1], share)


def test_mixup_blends_each_image_and_loss_with_a_partners(pack: packs.Pack) -> None:
    """The first step's loss, computed by hand from the same random numbers."""
    recipe = RecipeSpec(steps=1, batch=8, crop=1.0, flip=False, warmup=0.0, mixup=0.4)
    module = architecture.build(spec(), 10)
    examples = ground_truth.examples_of(pack, pack.indices("train")[:8], 32)
    generator = np.random.Generator(np.random.PCG64(3))
    order = generator.permutation(8)
    share = generator.beta(0.4, 0.4, 1)[0]
    assert 0.01 < share < 0.99  # else the test would say little
    x = (examples.pixels[order].permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    y = examples.targets[order]
    with torch.no_grad():
        log = functional.log_softmax(architecture.build(spec(), 10).train()(x * share + x.flip(0) * (1 - share)), dim=1)
    rows = torch.arange(8)
    expected = -(share * log[rows, y] + (1 - share) * log[rows, y.flip(0)]).mean()
    course = loop.fit(module, spec(), examples, recipe, 0.1, 3, flip=False)
    assert course.curve == [pytest.approx(float(expected), rel=1e-4)]


# --- what of an image is seen ---------------------------------------------------------------------------------


def test_the_centre_crop_is_cut_from_the_frame(tmp_path: Path) -> None:
    pack, one = pictures(tmp_path, 40), spec(crop_pct=0.8)
    assert (one.frame(40), one.frame(31), spec().frame(40)) == (40, 32, 32)
    train, test = ground_truth.splits(one, pack, pack.indices("train"), pack.indices("test"))
    assert train.pixels.shape == (4, 40, 40, 3)
    for k, i in enumerate(pack.indices("test")):
        np.testing.assert_array_equal(test.pixels[k].numpy(), pack.image(i)[4:36, 4:36])
    seen = views.look(train.pixels.permute(0, 3, 1, 2), None, 32)
    np.testing.assert_array_equal(seen[0].permute(1, 2, 0).numpy(), pack.image(0)[4:36, 4:36])


def test_without_a_random_crop_a_flip_sees_what_evaluation_sees(tmp_path: Path) -> None:
    pack = pictures(tmp_path, 40)
    pixels = torch.from_numpy(pack.stack(range(6), 40)).permute(0, 3, 1, 2)
    maps = views.views((6,), 1.0, True, np.random.default_rng(0), middle=0.8)
    seen = views.look(pixels, torch.from_numpy(maps), 32)
    flipped = maps[:, 0, 0] < 0
    assert 0 < flipped.sum() < 6
    for k in range(6):
        centre = pixels[k, :, 4:36, 4:36].float()
        torch.testing.assert_close(seen[k], centre.flip(-1) if flipped[k] else centre, atol=0.02, rtol=0)


def test_a_probe_sees_the_centre_crop(tmp_path: Path) -> None:
    pack, one = pictures(tmp_path, 40), spec(crop_pct=0.8)
    arrays, _ = extract(one, None, pack, np.arange(6))
    cut = np.stack([pack.image(i)[4:36, 4:36] for i in range(6)])
    x = (torch.from_numpy(cut).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    with torch.inference_mode():
        features, _ = classifiers.features_and_logits(architecture.build(one, 1).eval(), x)
    np.testing.assert_allclose(arrays["features"], features.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arch", "args"), [("resnet18", {}), ("torchvision.models.googlenet", {"aux_logits": False, "init_weights": False})]
)
def test_a_model_of_224_pixels_trains_on_its_frame_of_256(arch: str, args: dict[str, Any], tmp_path: Path) -> None:
    """Resize to 256, crops at random or from the centre of 224: one step, and a resize that Pillow does the same."""
    pack = pictures(tmp_path, 300, n=4)
    one = spec(arch=arch, args=args, input_size=224, crop_pct=0.875)
    _, test = ground_truth.splits(one, pack, pack.indices("train"), pack.indices("test"))
    whole = Image.fromarray(pack.image(2)).resize((256, 256), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(test.pixels[0].numpy(), np.asarray(whole)[16:240, 16:240])
    recipe = RecipeSpec(steps=1, batch=2, crop=0.08)
    values, arrays, record = ground_truth.train(one, None, pack, recipe, 0.01, "cell")
    assert (values["n_train"], values["steps"], arrays["predictions"].shape) == (2, 1, (2,))
    assert record["batch"] == 2


def choice(**changes: object) -> ground_truth.Tuned:
    made: ground_truth.Tuned = {
        "rate": 0.1, "measure": "accuracy", "rates": [0.1, 0.2, 0.4], "validation": [50.0, 60.0, 40.0], "failed": {},
        "curves": [[1.0], [1.0], [1.0]], "n_train": 8, "n_validation": 2,
    }  # fmt: skip
    return {**made, **changes}  # type: ignore[typeddict-item]


def test_a_pooled_rate_has_the_best_mean_and_a_trial_that_failed_counts_as_nothing() -> None:
    other = choice(validation=[50.0, None, 55.0], failed={"0.2": "the loss is not finite"}, n_train=4)
    values, _ = ground_truth.pool([choice(), other])
    assert values["validation"] == [50.0, 30.0, 47.5]
    assert values["rate"] == 0.1
    assert values["failed"] == {"0.2": "the loss is not finite"}
    assert (values["n_train"], values["n_validation"]) == (12, 4)


def test_of_pooled_rates_with_equal_means_the_smaller_wins() -> None:
    values, _ = ground_truth.pool([choice(validation=[10.0, 30.0, 20.0]), choice(validation=[0.0, 10.0, 20.0])])
    assert values["rate"] == 0.2


def test_a_pooled_grid_takes_the_steps_of_its_best_trial() -> None:
    grid = {"weight_decays": [0.0, 0.0, 0.1], "steps_tried": [5, 10, 10], "weight_decay": 0.0, "steps": 5}
    values, _ = ground_truth.pool([choice(**grid, validation=[1.0, 2.0, 3.0])] * 2)
    assert (values["rate"], values["weight_decay"], values["steps"]) == (0.4, 0.1, 10)


def test_rates_are_not_pooled_over_targets_that_tried_others() -> None:
    with pytest.raises(TrainingFailed, match="the same on every target"):
        ground_truth.pool([choice(), choice(rates=[0.1, 0.2, 0.3])])
