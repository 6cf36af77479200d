"""Stacks on a device give the estimators' own scores and statuses, model by model."""

import numpy as np
import pytest

import methods
from methods.device import score_stack
from methods.shared.stacked import STACKED

torch = pytest.importorskip("torch")
DEVICES = ["cpu", *([pytest.param("cuda", marks=pytest.mark.gpu)] if torch.cuda.is_available() else [])]
OF_PROBS = ("leep", "nce")


def stack(n: int, d: int, c: int, m: int = 5, z: int = 11) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([n, d, c])
    labels = rng.permutation(np.arange(n) % c)
    gaps = np.linspace(0.1, 1.0, m)[:, None, None]
    features = np.maximum(rng.normal(size=(m, n, d)) + gaps * rng.normal(size=(m, c, d))[:, labels], 0)
    logits = rng.normal(size=(m, n, z)) + 2 * gaps * rng.normal(size=(m, c, z))[:, labels]
    probs = np.exp(logits)
    return {"labels": labels, "features": features, "source_probs": probs / probs.sum(axis=2, keepdims=True)}


def alone(name: str, arrays: dict[str, np.ndarray]) -> list[methods.Score]:
    key = "source_probs" if name in OF_PROBS else "features"
    return [getattr(methods, name)(**{key: x, "labels": arrays["labels"]}) for x in arrays[key]]


def assert_same(got: list[methods.Score], expected: list[methods.Score]) -> None:
    assert [s.status for s in got] == [s.status for s in expected]
    assert list(map(float, got)) == pytest.approx(list(map(float, expected)), rel=1e-6, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", sorted(STACKED))
@pytest.mark.parametrize(("n", "d", "c"), [(90, 30, 5), (60, 130, 4), (48, 48, 2), (64, 300, 32)])
def test_the_estimators_own_scores(device, name, n, d, c):
    arrays = stack(n, d, c)
    assert_same(score_stack([name], **arrays, device=device)[name], alone(name, arrays))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", sorted(STACKED))
def test_awkward_models_among_others(device, name):
    """Constant features, duplicates, constant columns, few distinct values, a dead source class."""
    arrays = stack(60, 80, 4, m=6)
    arrays["features"][1] = 0.3
    arrays["features"][2, 30:] = arrays["features"][2, :30]
    arrays["features"][3, :, 10:20] = 5.0
    arrays["features"][4] = np.round(arrays["features"][4])
    arrays["source_probs"][2] = np.eye(11)[arrays["source_probs"][2].argmax(axis=1)]
    assert_same(score_stack([name], **arrays, device=device)[name], alone(name, arrays))


def test_all_at_once_and_single_precision():
    arrays = stack(50, 70, 5, m=3)
    arrays["features"] = arrays["features"].astype(np.float32)
    found = score_stack(list(STACKED), **arrays)
    assert list(found) == list(STACKED)
    for name, scores in found.items():
        assert_same(scores, alone(name, arrays))


def test_one_class_is_insufficient_for_all():
    arrays = stack(20, 10, 3) | {"labels": np.zeros(20, dtype=int)}
    assert {s.status for scores in score_stack(list(STACKED), **arrays).values() for s in scores} == {"insufficient"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ["parq"]}, "Did you mean 'parc'"),
        ({"features": None}, "features must be given for parc"),
        ({"features": np.zeros((20, 10))}, r"finite stack \(m, 20"),
        ({"labels": np.ones((20, 2))}, "one class an image"),
    ],
)
def test_malformed_stacks(change, message):
    with pytest.raises(ValueError, match=message):
        score_stack(**({"names": ["parc"]} | stack(20, 10, 3) | change))
