"""Temperature, expected calibration error and threshold: closed forms, a planted temperature, slow references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.search import calibration
from benchmark.search.prediction import probabilities


def drawn(n: int, c: int, t: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (n, c) that are t times too large, with labels drawn by the probabilities of the outputs / t."""
    rng = np.random.default_rng(seed)
    right = rng.normal(0, 2, (n, c))
    shares = probabilities(right, False)
    labels = (shares.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, c - 1)
    return right * t, labels


@pytest.mark.parametrize("t", [0.4, 1.0, 3.0])
def test_a_planted_temperature_is_found(t: float) -> None:
    outputs, labels = drawn(20_000, 4, t)
    assert calibration.temperature(outputs, labels) == pytest.approx(t, rel=0.04)


def test_on_few_images_no_temperature_is_taken_that_chance_explains() -> None:
    """The same as below on a tenth of the images: the gain is within two of its standard errors."""
    labels, outputs = np.array([0] * 80 + [1] * 20), np.tile([1.0, -1.0], (100, 1))
    assert calibration.temperature(outputs, labels) == 1.0


def test_of_two_outputs_the_temperature_has_a_closed_form() -> None:
    """Outputs ±1 of which 80 % are right: sigmoid(2 / T) = 0.8, so T = 2 / ln 4. Labels alone: sigmoid(1 / T)."""
    labels = np.array([0] * 800 + [1] * 200)
    outputs = np.tile([1.0, -1.0], (1000, 1))
    assert calibration.temperature(outputs, labels) == pytest.approx(2 / np.log(4), rel=1e-3)
    assert calibration.temperature(np.ones((1000, 1)), 1 - labels[:, None]) == pytest.approx(1 / np.log(4), rel=1e-3)


def test_a_model_that_is_always_right_is_as_sure_as_may_be() -> None:
    outputs = np.eye(3)[np.arange(30) % 3]
    assert calibration.temperature(outputs, np.arange(30) % 3) == pytest.approx(calibration.COLDEST, rel=0.01)


@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), multilabel=st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_expected_error_is_its_definition(seed: int, n: int, multilabel: bool) -> None:
    rng = np.random.default_rng(seed)
    shares = probabilities(rng.normal(0, 2, (n, 3)), multilabel)
    labels = rng.integers(0, 2, (n, 3)) if multilabel else rng.integers(0, 3, n)
    if multilabel:
        pairs = [(shares[i, k], labels[i, k]) for i in range(n) for k in range(3)]
    else:
        pairs = [(max(row), float(row.argmax() == label)) for row, label in zip(shares, labels, strict=True)]
    total = 0.0
    for b in range(calibration.BINS):
        low, high = b / calibration.BINS, (b + 1) / calibration.BINS
        own = [(p, so) for p, so in pairs if low <= p < high or (p == 1 and b == calibration.BINS - 1)]
        if own:
            total += len(own) / len(pairs) * abs(np.mean([p for p, _ in own]) - np.mean([so for _, so in own]))
    assert calibration.expected_error(shares, labels) == pytest.approx(total, abs=1e-9)


def test_calibrating_lowers_the_error_of_a_model_that_is_too_sure() -> None:
    outputs, labels = drawn(4000, 5, 4.0)
    found = calibration.calibrate(outputs[:1000], labels[:1000], outputs[1000:], labels[1000:])
    assert found.temperature == pytest.approx(4.0, rel=0.15)
    assert found.error_before > 15
    assert found.error_after < 4
    assert found.images == 1000
    shares = probabilities(outputs[:1000] / found.temperature, False)
    right = shares.argmax(axis=1) == labels[:1000]
    quiet = (shares.max(axis=1)[right] < found.threshold).mean()
    assert 0.04 <= quiet <= 0.05, "5 % of the rightly named are below the threshold"


def test_a_threshold_needs_an_image_that_is_named_rightly() -> None:
    shares = np.array([[0.6, 0.4], [0.9, 0.1]])
    assert calibration.threshold(shares, np.array([1, 1])) is None
    assert calibration.threshold(shares, np.array([0, 1])) == 0.6
    many = calibration.calibrate(np.ones((4, 2)), np.array([[1, 0]] * 4), np.ones((4, 2)), np.array([[1, 0]] * 4))
    assert many.threshold is None, "several labels have none of these by being below one half"


def test_how_many_are_kept_aside() -> None:
    assert [calibration.aside(n) for n in (10, 144, 150, 1000, 10**6)] == [0, 0, 15, 100, calibration.ASIDE_MOST]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"temperature": 0}, "temperature is '0'"),
        ({"temperature": "1"}, "temperature"),
        ({"threshold": 2}, "threshold"),
    ],
)
def test_what_is_no_calibration_is_refused(change: dict, said: str) -> None:
    whole = {"temperature": 1.5, "threshold": 0.4, "images": 20, "error_before": 3.0, "error_after": 1.0}
    assert calibration.Calibration.of(whole) == calibration.Calibration(1.5, 0.4, 20, 3.0, 1.0)
    with pytest.raises(ValueError, match=said):
        calibration.Calibration.of(whole | change)
