"""Network and images that a method is given are those of the fine-tuning, and each call's own."""

import numpy as np
import torch

from benchmark.config.recipe import RecipeSpec
from benchmark.models import architecture, classifiers
from benchmark.training import ground_truth
from benchmark.training.trainee import Trainee
from benchmark.training.views import look, normaliser, views
from tests import tiny

SMALL = {"args": {"channels": [8, 8, 16, 16], "output_stride": 16}, "input_size": 24}


def trainee(folder, **recipe) -> tuple[Trainee, object]:
    pack = tiny.digits(folder, train=40, test=20, flip=True)
    return Trainee(tiny.spec(**SMALL), None, folder, RecipeSpec(**recipe)), pack


def test_the_network_is_whole_with_a_new_head_and_made_anew(tmp_path):
    given, _ = trainee(tmp_path)
    one, other = given.network(), given.network()
    assert one.training
    assert one is not other
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))
    weight, bias = classifiers.head_parameters(one)
    assert weight.shape == (10, 16)
    assert 0.005 < float(weight.detach().std()) < 0.02
    assert not bias.any()
    body = architecture.build(given.spec, 3)
    assert torch.equal(one.conv1[0].weight, body.conv1[0].weight)


def test_images_are_what_the_fine_tuning_sees(tmp_path):
    given, pack = trainee(tmp_path, crop=0.5, steps=77)
    indices = pack.indices("train")[[5, 2, 9]]
    images = given.images(indices)
    pixels = ground_truth.examples_of(pack, indices, given.spec.frame(32)).pixels
    np.testing.assert_array_equal(images.pixels, pixels.numpy())
    assert len(images) == 3
    assert not images.pixels.flags.writeable
    assert images.recipe["steps"] == 77
    assert images.recipe["images"] == 40
    rows, channels_first = [2, 0], pixels[[2, 0]].permute(0, 3, 1, 2)
    normalise = normaliser(given.spec, torch.device("cpu"))
    torch.testing.assert_close(images.batch(rows), normalise(look(channels_first, None, 24)), rtol=0, atol=0)
    maps = views((2,), 0.5, True, np.random.default_rng(4), 24 / pixels.shape[1])
    expected = normalise(look(channels_first, torch.from_numpy(maps), 24))
    cropped = images.batch(rows, np.random.default_rng(4))
    torch.testing.assert_close(cropped, expected, rtol=0, atol=0)
    assert cropped.shape == (2, 3, 24, 24)
    assert not torch.equal(cropped, images.batch(rows, np.random.default_rng(5)))


def test_batches_are_copies(tmp_path):
    given, pack = trainee(tmp_path)
    images = given.images(pack.indices("train")[:4])
    before = images.pixels.copy()
    images.batch([0, 1]).zero_()
    np.testing.assert_array_equal(images.pixels, before)
