"""What would be downloaded is said beforehand, and nothing is fetched unless somebody wants it."""

import socket
import time

import pytest

from benchmark.cells.store import Store
from benchmark.config.compose import compose
from benchmark.config.validation import experiment
from benchmark.ranking import fetching
from benchmark.ranking.candidates import PERMISSIVE, Limits, within


@pytest.fixture(autouse=True)
def nothing_here(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def bank(name, *more):
    return experiment(compose([f"bank={name}", "target=digits", *more]))


def download(*models):
    return fetching.needed(bank("hub", f"include_models=[{','.join(models)}]"))


def never(question):
    raise AssertionError(f"asked: {question}")


def test_models_megabytes_and_places_are_said():
    found = download("resnet18-a1_in1k", "mobilenetv2_100-ra_in1k")
    assert [m.name for m in found.models] == ["resnet18-a1_in1k", "mobilenetv2_100-ra_in1k"]
    assert found.megabytes == pytest.approx(4 * (11176512 + 2223872) / 1e6)
    assert str(found) == "2 candidates, about 54 MB, from huggingface.co"


def test_a_bank_whose_weights_are_here_needs_nothing():
    assert fetching.needed(bank("demo")) is None


@pytest.mark.parametrize(
    ("fetch", "answer", "left"),
    [(True, None, {}), (False, None, "fetch=true"), (None, True, {}), (None, False, "fetch=true downloads them")],
)
def test_who_decides(fetch, answer, left):
    asked = []
    ask = never if answer is None else lambda question: asked.append(question) or answer
    found = fetching.declined(download("resnet18-a1_in1k"), fetch, ask, reachable=lambda server: True)
    assert (left in found["resnet18-a1_in1k"]) if left else found == {}
    assert asked == ([] if answer is None else ["Fetch 1 candidate, about 45 MB, from huggingface.co?"])


def test_without_a_terminal_nothing_is_fetched(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    assert fetching.declined(download("resnet18-a1_in1k"), None, reachable=lambda server: True)


def test_a_server_that_does_not_answer_is_found_out_in_seconds(monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        begun = time.monotonic()
        found = fetching.declined(download("resnet18-a1_in1k"), True, never)
    assert time.monotonic() - begun < 2 * fetching.PATIENCE
    assert "does not answer" in found["resnet18-a1_in1k"]


def test_the_hub_switched_off_is_not_asked(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket, "create_connection", lambda *_: never("a connection"))
    assert "HF_HUB_OFFLINE is set" in fetching.declined(download("resnet18-a1_in1k"), True, never)["resnet18-a1_in1k"]


@pytest.mark.parametrize("name", ["practical", "hub_small"])
def test_the_banks_to_choose_from_are_small_permissive_and_differ_in_cost(name, tmp_path):
    spec = bank(name, f"paths.weights={tmp_path}")
    assert 10 <= len(spec.bank) <= 15
    unclear = {n for n, m in spec.bank.items() if not m.licence.lower().startswith(PERMISSIVE)}
    assert unclear <= {"lite0-imagenet", "lite1-imagenet", "lite2-imagenet"}  # of packages, which state none
    kept, left_out = within(spec, Limits(licence="permissive"), Store(tmp_path / "cache"))
    assert set(left_out) == unclear
    assert "mobilenetv2_100-imagenet_torchvision" in kept or name == "hub_small"
    costs = [(m.gmacs, m.source_name, m.objective) for m in spec.bank.values()]
    assert len(set(costs)) == len(costs)
