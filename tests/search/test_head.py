"""The head on frozen features: which training images it takes in the time that there is."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.search import head


class Slow:
    """Features of images in batches of 64, a tenth of a second each; the probe holds some of them."""

    def __init__(self, known: tuple[int, ...] = ()) -> None:
        self.ids, self.asked = np.array(known, np.int64), 0

    def cuts(self, indices: np.ndarray) -> list[np.ndarray]:
        return [indices[first : first + 64] for first in range(0, len(indices), 64)]

    def __call__(self, indices: np.ndarray) -> np.ndarray:
        self.asked += 1
        time.sleep(0.1)
        return np.repeat(indices[:, None], 2, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("left", "seconds", "batches"),
    [
        (0.2, 60.0, 1),  # after one of them a third of all the time that is left is gone
        (60.0, 0.05, 8),  # more than the seconds it may take, but as many images as a probe has: 512
        (60.0, 60.0, 10),
    ],
)
def test_as_many_images_are_taken_as_there_is_time_for(left: float, seconds: float, batches: int) -> None:
    job, extract = SimpleNamespace(until=time.monotonic() + left, seconds=seconds), Slow()
    used, x = head._training(extract, job, np.arange(640))
    assert (extract.asked, len(used)) == (batches, 64 * batches)
    np.testing.assert_array_equal(x[:, 0], used)


def test_images_of_the_probe_come_first() -> None:
    job, extract = SimpleNamespace(until=time.monotonic() + 60, seconds=60.0), Slow(tuple(range(100, 164)))
    used, _ = head._training(extract, job, np.arange(256))
    assert set(used[:64]) == set(range(100, 164))
