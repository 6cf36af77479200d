"""Methods that take a network and images: given when asked for, lost where they cannot be had, paid for in time."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.config.functions import MethodSpec
from benchmark.config.recipe import RecipeSpec
from benchmark.scoring.call import Lost
from benchmark.scoring.draws import scoring_seed
from benchmark.scoring.score import score_probe
from methods import look
from tests import tiny

SMALL = {"args": {"channels": [8, 8, 16, 16], "output_stride": 16}, "input_size": 16}
N, DRAWS = 24, 2


class Refused:
    """A trainee of which nothing can be had; it notes what was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def network(self):
        self.asked.append("network")
        raise OSError("the weights are gone")

    def images(self, indices):
        self.asked.append("images")
        raise OSError("the pack is gone")


def method(path: str, **parameters) -> MethodSpec:
    return MethodSpec(name=path.rpartition(".")[2], _target_=path, parameters=parameters)


def probe(labels: np.ndarray, indices: np.ndarray) -> SimpleNamespace:
    rng = np.random.default_rng(0)
    arrays = {"features": rng.normal(size=(len(labels), 4)).astype(np.float32), "labels": labels}
    arrays |= {"image_ids": indices} | {f"draw_{r}": np.arange(N) + r for r in range(DRAWS)}
    values = {"images": [N] * DRAWS, "parameters": 7, "feature_dim": 4, "target_size": len(labels), "classes": 10}
    return SimpleNamespace(arrays=arrays, values=values)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A trainee on digits, and a probe of its images in another order than the pack's."""
    from benchmark.training.trainee import Trainee

    folder = tmp_path_factory.mktemp("digits")
    pack = tiny.digits(folder, train=60, test=20)
    indices = pack.indices("train")[::-1][: N + DRAWS]
    return Trainee(tiny.spec(**SMALL), None, folder, RecipeSpec()), probe(pack.labels[indices], indices)


def scored(probe, trainee, *methods: MethodSpec) -> list:
    return score_probe(methods, [{"name": "m"}] * len(methods), probe, None, scoring_seed, trainee)


def test_nothing_is_made_when_no_method_asks():
    refused = Refused()
    labels = np.arange(N + DRAWS) % 3
    ((found, _),) = scored(probe(labels, np.arange(N + DRAWS)), refused, method("methods.parc"))
    assert found["status"] == ["ok"] * DRAWS
    assert refused.asked == []


@pytest.mark.parametrize("path", ["methods.look", "tests.stranger.loss_at_start"])
def test_what_cannot_be_made_is_lost_and_no_failure_of_the_method(path):
    (lost,) = scored(probe(np.arange(N + DRAWS) % 3, np.arange(N + DRAWS)), Refused(), method(path))
    assert isinstance(lost, Lost)
    assert str(lost).startswith("its network could not be made (OSError: the weights are gone)")


def test_without_a_network_it_is_not_applicable():
    ((found, _),) = scored(probe(np.arange(N + DRAWS) % 3, np.arange(N + DRAWS)), None, method("methods.look"))
    assert found["status"] == ["not_applicable"] * DRAWS
    assert found["reasons"] == ["network is not given"] * DRAWS


def test_each_draw_is_scored_with_its_own_images_and_labels(real):
    trainee, one = real
    ((found, record),) = scored(one, trainee, method("methods.look", steps=3, skip=1))
    for r in range(DRAWS):
        rows = one.arrays[f"draw_{r}"]
        images, labels = trainee.images(one.arrays["image_ids"][rows]), one.arrays["labels"][rows]
        direct = look(trainee.network(), images, labels, seed=scoring_seed(r), steps=3, skip=1)
        assert found["scores"][r] == float(direct)
    assert min(record["milliseconds"]) > 1.0


def test_a_strangers_method_takes_them_in_a_process_of_its_own(real):
    import torch
    from torch.nn import functional

    trainee, one = real
    both = scored(one, trainee, method("tests.stranger.loss_at_start"), method("tests.stranger.paints_over"))
    rows = one.arrays["draw_1"]
    with torch.inference_mode():
        outputs = trainee.network().eval()(trainee.images(one.arrays["image_ids"][rows]).batch(range(N)))
    expected = -float(functional.cross_entropy(outputs, torch.from_numpy(one.arrays["labels"][rows])))
    assert both[0][0]["scores"][1] == pytest.approx(expected, rel=1e-5)
    assert both[1][0]["status"] == ["failed"] * DRAWS
    assert "read-only. What a method is given must stay as it is" in both[1][0]["reasons"][0]
