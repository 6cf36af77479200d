"""The bank of released networks: a stranger's own module, files that are not there or another's, what entries state."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from benchmark.cells.keys import NETWORKS, network_code
from benchmark.config.model import ModelSpec
from benchmark.models import absent, architecture, classifiers, loading, weights
from benchmark.ranking import candidates

BANK = yaml.safe_load((Path(__file__).resolve().parents[2] / "conf" / "bank" / "public.yaml").read_text())
WEIGHTS = Path(__file__).resolve().parents[3] / "shared" / "weights"

STRANGER = """
from torch import nn

class Named(nn.Module):
    def __init__(self, width, num_classes=7):
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, width, 3), nn.Linear(width, num_classes)
    def forward(self, x):
        return self.out(self.conv(x).relu().mean((2, 3)))

class Body(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
    def forward_features(self, x):
        return self.conv(x).relu()
    def forward(self, x):
        return self.forward_features(x)

def silent(width):
    return nn.Sequential(nn.Flatten(), nn.Linear(3, width))
"""


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "strange_nets.py").write_text(STRANGER)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("strange_nets", None)


def one(**more) -> ModelSpec:
    return ModelSpec(**{"name": "m", "arch": "strange_nets.Named", "args": {"width": 5}, "layers": 2} | more)


@pytest.mark.parametrize("arch", ["Named", "Body"])
def test_features_of_a_strangers_network_are_what_enters_its_last_layer(stranger: Path, arch: str) -> None:
    body = {"features_from": "out"} if arch == "Named" else {}
    module = architecture.build(one(arch=f"strange_nets.{arch}", weights="random", **body), 4).eval()
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features, logits = classifiers.features_and_logits(module, x)
        conv = module.conv if arch == "Named" else module.body.conv
        torch.testing.assert_close(features, conv(x).relu().mean((2, 3)))
    assert features.shape == (2, 5)
    assert logits.shape == (2, 4)
    assert one(weights="random").arch_name == "Named"


def test_a_strangers_file_keeps_its_head_and_its_code_enters_the_key(stranger: Path) -> None:
    spec = one(weights=f"file:{stranger / 'w.safetensors'}", features_from="out")
    own = architecture.build(spec.model_copy(update={"weights": "random"}), 9)
    save_file(own.state_dict(), stranger / "w.safetensors")
    loaded, has_head = loading.load(spec, None)
    assert has_head
    assert torch.equal(loaded.out.weight, own.out.weight)
    before = network_code(spec)
    (stranger / "strange_nets.py").write_text(STRANGER + "\n# changed, and longer\n")
    assert network_code(spec)["code"] != before["code"]
    assert network_code(one(arch="benchmark.models.networks.CifarResNet", weights="random")) == {}


def test_a_version_of_one_of_our_networks_changes_the_keys_of_its_models_alone(monkeypatch) -> None:
    ours = [one(arch=f"benchmark.models.networks.{name}", weights="random") for name in NETWORKS]
    assert all(network_code(spec) == {} for spec in ours), "the first version is left out: old keys stay"
    monkeypatch.setitem(NETWORKS, "DoodleNet", 2)
    changed = {spec.arch_name: network_code(spec) for spec in ours}
    assert changed == {name: {"network": 2} if name == "DoodleNet" else {} for name in NETWORKS}


@pytest.mark.parametrize(
    ("name", "version", "args", "sum_of", "first"),
    [
        ("DoodleNet", 1, {}, 0.22574523683496006, 0.14836333095964718),
        ("SqueezeNet", 1, {"version": "1_0"}, 158.95558476484083, -0.010929367862618704),
        ("SqueezeNet", 1, {"version": "1_1"}, 158.9539877764048, -0.009195529970704027),
    ],
)
def test_an_edit_of_a_network_that_changes_what_it_computes_raises_its_version(
    name: str, version: int, args: dict, sum_of: float, first: float
) -> None:
    """Outputs under weights that are waves, recorded for this version. If this fails, raise it in cells/keys.py."""
    assert NETWORKS[name] == version
    last = "linear" if name == "CifarResNet" else "classifier"
    module = architecture.build(
        one(arch=f"benchmark.models.networks.{name}", args=args, features_from=last, weights="random"), 3
    )
    for k, (key, value) in enumerate(module.state_dict().items()):
        if not value.is_floating_point():
            continue
        wave = torch.sin(torch.arange(value.numel(), dtype=torch.float64) * (1 + k / 10)).view(value.shape)
        value.copy_(wave.abs() + 0.5 if "var" in key else wave / max(1.0, value[:1].numel()) ** 0.5)
    x = torch.cos(torch.arange(3 * 40 * 40, dtype=torch.float64) / 7).view(1, 3, 40, 40)
    with torch.inference_mode():
        features, outputs = classifiers.features_and_logits(module.double().eval(), x)
    assert (float(features.sum()), float(outputs[0, 0])) == pytest.approx((sum_of, first), rel=1e-6, abs=1e-12)


def test_missing_files_of_one_folder_are_one_sentence(tmp_path: Path) -> None:
    facts = {"sha256": "a" * 64, "origin_sha256": "b" * 64}
    named = {f"m{k}": {"weights": f"file:{tmp_path}/m{k}.safetensors", "origin": f"github.com/o/{k}"} for k in range(5)}
    bank = {k: ModelSpec(name=k, arch="resnet10t", layers=10, **facts, **entry) for k, entry in named.items()}
    bank["p"] = ModelSpec(name="p", arch="resnet10t", layers=10, weights="package:none-such")
    reasons = {}
    for name, spec in bank.items():
        with pytest.raises(weights.WeightsUnavailable) as caught:
            loading.load(spec, None)
        reasons[name] = str(caught.value)
    first, second = absent.sentences(reasons, bank)
    assert first == (
        f"weights of 5 of 6 models must be available. Got no files in {tmp_path} for "
        "m0.safetensors (from github.com/o/0), m1.safetensors (from github.com/o/1), m2.safetensors (from "
        "github.com/o/2) and 2 more. Put them there, converted as docs/public.md says, whose table has the origin of "
        "each; the bank states the SHA-256 that each must have. Set paths.weights=<folder> where they lie elsewhere."
    )
    assert second == reasons["p"]
    one_only = {"m0": reasons["m0"], "p": reasons["p"]}
    assert absent.sentences(one_only, bank) == list(one_only.values()), "with its origin and SHA-256"
    assert "a" * 64 in reasons["m0"]
    ((names, _),) = candidates.by_reason({k: reasons[k] for k in named}, bank)
    assert names == list(named), "a ranking says it once, too"


def test_a_network_that_does_not_tell_its_features_is_refused(stranger: Path) -> None:
    with pytest.raises(ValueError, match=r"must tell its features.*features_from"):
        architecture.build(one(arch="strange_nets.silent", weights="random"), 2)
    with pytest.raises(ValueError, match="Did you mean 'out'"):
        architecture.build(one(weights="random", features_from="outt"), 2)
    with pytest.raises(ValueError, match="no class or function 'Nothing'"):
        architecture.build(one(arch="strange_nets.Nothing", weights="random"), 2)


def test_a_missing_file_says_where_it_comes_from_and_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    facts = {"sha256": "a" * 64, "origin": "github.com/some/one@c0ffee net.h5", "origin_sha256": "b" * 64}
    spec = ModelSpec(name="m", arch="resnet10t", layers=10, weights=f"file:{file}", **facts)
    remedy = r"the file with SHA-256 a{64}, converted from github\.com/some/one@c0ffee net\.h5"
    with pytest.raises(weights.WeightsUnavailable, match=rf"no file {file}\. Put {remedy} there"):
        loading.load(spec, None)
    file.write_bytes(b"another")
    other = hashlib.sha256(b"another").hexdigest()
    with pytest.raises(weights.WeightsUnavailable, match=rf"{file} with SHA-256 {other}\. Put {remedy} in its place"):
        loading.load(spec, None)


def test_entries_state_what_a_reader_needs() -> None:
    assert len(BANK) == 41
    assert one(weights="random").licence == "unknown"
    for name, entry in BANK.items():
        assert entry["licence"], name
        assert entry["origin"], name
        assert not entry["weights"].startswith("file:") or (entry["sha256"] and entry["origin_sha256"]), name
    ends = [e["gmacs"] * (min(64, e["input_size"]) / e["input_size"]) ** 2 for e in BANK.values()]
    assert ends == sorted(ends), "the cheapest comes first"


@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="no ../shared/weights: released networks are not part of the project")
@pytest.mark.parametrize("name", BANK)
def test_released_weights_fill_their_networks_and_give_finite_features(name: str) -> None:
    entry = {k: v for k, v in BANK[name].items()}
    entry["weights"] = entry["weights"].replace("${paths.weights}", str(WEIGHTS))
    spec = ModelSpec(name=name, **entry)
    try:
        weights.weight_files(spec)
    except weights.WeightsUnavailable as error:
        pytest.skip(str(error))
    module, has_head = loading.load(spec, None)
    assert classifiers.body_parameters(module) == entry["parameters"]
    size = min(64, spec.input_size)
    with torch.inference_mode():
        pixels = torch.linspace(0, 1, 3 * size**2).view(1, 3, size, size)
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (spec.mean, spec.std))
        features, _ = classifiers.features_and_logits(module.eval(), (pixels - mean) / std)
    assert torch.isfinite(features).all()
    assert features.std() > 0
    head = classifiers.head_parameters(module)[0]
    assert has_head == (entry["objective"] == "classes" and head.shape[0] > 1)
    assert all(isinstance(part, nn.Linear) for part in classifiers.heads(module))
