"""What the images that are kept aside cost, on made-up features."""

import numpy as np

from scripts.results.kept_aside import cost


def test_classes_that_lie_apart_cost_nothing_and_few_images_of_hard_ones_do():
    labels = np.repeat([0, 1, 2], 100)
    apart = np.random.default_rng(0).normal(size=(300, 4)) + 20 * np.eye(4)[labels]
    assert cost(apart, labels) == (100.0, 100.0, 0.0, 24)  # a tenth of 240
    noise = np.random.default_rng(1).normal(size=(300, 4))
    whole, less, error, _ = cost(noise, labels)
    assert abs(whole - 100 / 3) < 12
    assert abs(whole - less) < 4 * error
