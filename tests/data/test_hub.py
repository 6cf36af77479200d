"""bank=hub and scripts/results/pin_hub.py: every name is timm's, every fact is the module's, nothing is invented."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.nn.functional import conv2d

from benchmark.config.compose import compose
from benchmark.config.model import ModelSpec
from benchmark.config.validation import experiment
from benchmark.models import architecture, classifiers, loading, weights
from benchmark.models import facts as models_facts
from benchmark.models.facts import longest_path
from scripts.results import pin_hub
from tests.running import ROOT
from tests.tiny import spec


@pytest.fixture(scope="module")
def bank() -> dict[str, ModelSpec]:
    return experiment(compose(["bank=hub"])).bank


def test_every_name_and_transform_is_timms(bank: dict[str, ModelSpec]) -> None:
    known = set(timm.list_pretrained())
    for name, model in bank.items():
        kind, _, tag = model.weights.partition(":")
        assert (kind, tag in known) == ("timm", True), name
        stated = timm.get_pretrained_cfg(tag)
        assert stated.hf_hub_id, name
        assert model.arch == stated.architecture, name
        assert model.licence == (stated.license or "unknown"), name
        transform = (model.mean, model.std, model.crop_pct)
        assert transform == (tuple(stated.mean), tuple(stated.std), stated.crop_pct), name
        fixed = model.args.get("img_size")  # a network trained at another size, its position embedding resampled
        assert model.input_size == (fixed or stated.input_size[1]), name
        assert stated.crop_mode == "center", name


def test_the_bank_is_diverse(bank: dict[str, ModelSpec]) -> None:
    assert len(bank) >= 60
    assert {m.family for m in bank.values()} == {"cnn", "transformer", "convnext"}
    learned = {word for m in bank.values() for word in m.objective.split(", ")}
    assert learned >= {"classes", "dino", "dinov2", "mae", "clip", "siglip"}
    sizes = [m.parameters for m in bank.values()]
    assert min(sizes) < 6e6 < 80e6 < max(sizes)
    assert min(m.layers for m in bank.values()) == 16  # VGG-16, the shallowest
    assert len({m.source_name for m in bank.values()}) >= 6
    assert len({m.weights for m in bank.values()}) == len(bank)


def facts(model: ModelSpec) -> dict[str, Any]:
    found = models_facts.facts(model)
    return {name: found[name] for name in ("parameters", "gmacs", "layers")}


QUICK = ("resnet18-a1_in1k", "vit_tiny_patch16_224-augreg_in21k", "mobilenetv3_large_100-miil_in21k")


@pytest.mark.parametrize("name", QUICK)
def test_facts_are_counted_from_the_module(bank: dict[str, ModelSpec], name: str) -> None:
    model = bank[name]
    assert facts(model) == {"parameters": model.parameters, "gmacs": model.gmacs, "layers": model.layers}


@pytest.mark.slow
def test_all_facts_are_counted_from_the_modules(bank: dict[str, ModelSpec]) -> None:
    stated = {name: {k: getattr(m, k) for k in ("parameters", "gmacs", "layers")} for name, m in bank.items()}
    assert {name: facts(model) for name, model in bank.items()} == stated


def test_the_paper_s_networks_have_the_paper_s_layers() -> None:
    """50, 18, 22 and 8 layers, as in the release's table, counted; and what the banks state of each network."""
    bank = experiment(compose(["bank=paper_controlled"])).bank
    released = experiment(compose(["bank=paper_released"])).bank
    for arch, layers in {"resnet50": 50, "resnet18": 18, "googlenet": 22, "alexnet": 8}.items():
        for model in (bank[f"{arch}-cifar10"], released[f"{arch}-cub200"]):
            found = facts(model)
            assert found == {"parameters": model.parameters, "gmacs": model.gmacs, "layers": layers}
            assert model.layers == layers


def test_layers_by_hand() -> None:
    """A bottleneck ResNet of 2 + 1 blocks: a stem, three convolutions a block, a classifier; shortcuts are shorter."""
    one = spec("resnet10", arch="resnet26", args={"layers": [2, 1, 0, 0], "channels": [8, 8, 8, 8]})
    found = models_facts.facts(one)
    assert found["layers"] == 1 + 3 * 3 + 1
    module = architecture.build(one, 1)
    own = {id(p) for p in classifiers.head_parameters(module)}
    assert found["parameters"] == sum(p.numel() for p in module.parameters() if id(p) not in own)
    assert found["feature_dim"] == 32
    # the stem: 7 × 7 × 3 inputs × 64 outputs at 16 × 16 places; the whole is more than that
    assert found["gmacs"] > 7 * 7 * 3 * 64 * 16 * 16 / 1e9


STANDARDISED = {
    # a stem; three convolutions in each of 3 + 4 + 6 + 3 (or 3 + 4 + 23 + 3) blocks; the classifier, a 1×1 convolution
    "resnetv2_50x1_bit-goog_in21k": 1 + 3 * (3 + 4 + 6 + 3) + 1,
    "resnetv2_101x1_bit-goog_in21k": 1 + 3 * (3 + 4 + 23 + 3) + 1,
    # four convolutions in the stem; four in each of 1 + 2 + 6 + 3 blocks; one after them; the classifier
    "eca_nfnet_l0-ra2_in1k": 4 + 4 * (1 + 2 + 6 + 3) + 1 + 1,
}


@pytest.mark.parametrize("name", STANDARDISED)
def test_convolutions_with_standardised_weights_are_layers(bank: dict[str, ModelSpec], name: str) -> None:
    """Counted by hand from BiT's and the NF-Nets' tables; convolutions of shortcuts are on shorter paths."""
    assert bank[name].layers == models_facts.facts(bank[name])["layers"] == STANDARDISED[name]


def test_a_weight_is_worked_out_from_parameters_alone() -> None:
    x = torch.ones(1, 4, 8, 8)
    first, second = (torch.ones(4, 4, 1, 1, requires_grad=True) for _ in range(2))
    gain = torch.ones(4, 1, 1, 1, requires_grad=True)
    once = conv2d(x, first)
    assert longest_path(conv2d(once, gain * (second - second.mean()) / second.std())) == 2
    assert longest_path(conv2d(once, conv2d(second, first))) == 1  # made by a layer, which counts instead
    assert longest_path(conv2d(once, once[:, :, :1, :1].reshape(1, 4, 1, 1))) == 1  # from the image, no weight


# --- the lock file ----------------------------------------------------------------------------------------------


class Hub:
    """A hub that answers for one repository, refuses a second and is away from the third on."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def model_info(self, name: str, timeout: float) -> Any:
        from huggingface_hub.errors import RepositoryNotFoundError

        self.asked.append(name)
        if name == "a/one":
            return SimpleNamespace(sha="0123456789abcdef", card_data=SimpleNamespace(license="mit"))
        if name == "a/two":
            raise RepositoryNotFoundError("gone", response=SimpleNamespace(headers={}, request=None))
        raise OSError("no connection")


def test_pins_are_what_the_hub_said_and_the_rest_stays_null(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    before = {"a/four": {"revision": "old", "licence": "bsd"}}
    lock, why = pin_hub.pin(["a/one", "a/two", "a/three", "a/four"], before)
    nothing = {"revision": None, "licence": None}
    assert lock == {
        "a/one": {"revision": "0123456789abcdef", "licence": "mit"},
        "a/two": nothing,
        "a/three": nothing,
        "a/four": before["a/four"],
    }
    assert why == "OSError: no connection"
    assert hub.asked == ["a/one", "a/two", "a/three"]


def test_the_table_says_what_is_not_pinned(bank: dict[str, ModelSpec]) -> None:
    some = [bank["resnet18-a1_in1k"], bank["resnet34-a1_in1k"]]
    said = pin_hub.table("hub", some, {"timm/resnet18.a1_in1k": {"revision": "0123456789abcdef", "licence": "mit"}})
    first, second = said.splitlines()[-2:]
    assert first.endswith("| apache-2.0 (hub: mit) | 0123456789ab |")
    assert second.endswith("| apache-2.0 | not pinned |")
    assert "1 of 2 repositories are pinned" in said


def test_the_committed_table_and_lock_are_of_this_bank(bank: dict[str, ModelSpec]) -> None:
    lock = json.loads(weights.LOCK.read_text())
    assert set(lock) == {pin_hub.repository(model) for model in bank.values()}
    assert (ROOT / "docs" / "hub.md").read_text() == pin_hub.table("hub", list(bank.values()), lock)


def test_a_pinned_revision_is_the_one_that_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    save_file({"fc.bias": torch.zeros(1)}, tmp_path / "model.safetensors")

    def download(repository: str, file: str, **how: Any) -> str:
        asked.append((repository, how.get("revision")))
        return str(tmp_path / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr(weights, "locked", lambda: {"a/pinned": {"revision": "abc"}, "a/free": {"revision": None}})
    for name in ("a/pinned", "a/free"):
        weights.weight_files(spec(weights=f"hf-hub:{name}"))
    assert dict(asked) == {"a/pinned": "abc", "a/free": None}


def test_a_cached_hub_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository in the layout of the hub's cache, no network: the file is found, its network loaded."""
    from safetensors.torch import save_file

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    one = spec(arch="resnet10t", args={}, weights="timm:resnet10t.c3_in1k", input_size=64)
    repository = tmp_path / "models--timm--resnet10t.c3_in1k"
    snapshot = repository / "snapshots" / ("f" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("f" * 40)
    module = architecture.build(one, 1000)
    save_file(module.state_dict(), snapshot / "model.safetensors")
    assert weights.weight_files(one, offline=True) == [snapshot / "model.safetensors"]
    loaded, has_head = loading.load(one, None)
    assert has_head
    assert all((v == loaded.state_dict()[k]).all() for k, v in module.state_dict().items())
    assert not loading.load(one.model_copy(update={"objective": "clip"}), None)[
        1
    ]  # an embedding is no source classifier
