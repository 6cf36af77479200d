"""What an estimator's time would be if it were the only one, by a clock that the test winds."""

import numpy as np
import pytest

from benchmark.scoring.conformance import probes
from methods import Features, metering
from methods.metering import metered, once, shared
from methods.shared.capabilities import estimators


class Clock:
    """Stands in for the clock: time passes when `spend` says so."""

    now = 0.0

    def spend(self, seconds: float) -> float:
        self.now += seconds
        return seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(metering.time, "perf_counter", lambda: made.now)
    return made


class Shelf:
    """Three quantities: `top` of `base` and `side`, which cost 100, 10 and 1 of their own."""

    def __init__(self, clock: Clock):
        self.clock = clock

    @shared
    def base(self) -> float:
        return self.clock.spend(10)

    @shared
    def side(self) -> float:
        return self.clock.spend(1)

    @shared
    def top(self) -> float:
        return self.base + self.side + self.clock.spend(100)


def timed(clock: Clock, work) -> tuple[float, float]:
    clock.spend(1000)  # what others do in between costs nobody
    with metered() as times:
        work()
    return times.seconds, times.alone


def test_each_is_charged_for_what_it_uses_once(clock):
    one = Shelf(clock)
    assert timed(clock, lambda: one.base + clock.spend(2)) == (12, 12)  # it computed it itself
    assert timed(clock, lambda: one.base + one.base + clock.spend(3)) == (3, 13)  # found it ready, used it twice
    assert timed(clock, lambda: one.top + clock.spend(4)) == (105, 115)  # made top and side; base was ready
    assert timed(clock, lambda: one.top + one.base + clock.spend(5)) == (5, 116)  # all three were, base counts once
    assert timed(clock, lambda: clock.spend(6)) == (6, 6)


def test_quantities_of_quantities_are_charged_too(clock):
    outer, inner = Shelf(clock), Shelf(clock)

    def reduced() -> Shelf:
        clock.spend(outer.base + 20)
        return inner

    def use() -> float:
        return once(outer, "reduced", reduced).side

    assert timed(clock, use) == (41, 41)  # base 10, reduced 30, side 1
    assert timed(clock, use) == (0, 41)


def test_what_fails_is_not_kept_and_its_time_counts_once(clock):
    class Broken(Shelf):
        @shared
        def top(self) -> float:
            clock.spend(self.base)
            raise ValueError

    one = Broken(clock)

    def work() -> None:
        with pytest.raises(ValueError):
            one.top  # noqa: B018

    assert timed(clock, work) == (20, 20)
    assert timed(clock, work) == (10, 20)


def test_the_shared_quantities_of_features_cannot_be_written_to():
    one = Features(np.random.default_rng(0).normal(size=(12, 5)))
    arrays = [one.x, one.mean, one.gram, one.centred.U, one.centred.R, one.standardised_gram[0]]
    arrays += [one.correlation_ranks.values, one.pca(2).x]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    with pytest.raises(AttributeError, match="gram must be left as it is"):
        one.gram = np.eye(12)


@pytest.mark.parametrize("shape", [{}, {"n": 48, "d": 120, "seed": 1}], ids=["n > d", "n < d"])
@pytest.mark.filterwarnings("ignore")
def test_every_estimator_is_charged_for_what_it_would_compute_alone(clock, monkeypatch, shape):
    """A second passes with every shared quantity that is computed, and at no other time."""
    kept = metering._read_only
    monkeypatch.setattr(metering, "_read_only", lambda value: clock.spend(1.0) and kept(value))
    arrays = probes.probe(**shape) | {"seed": 0, "n_classes": 4}
    sharing = {n: f for n, f in estimators().items() if "features" in f.capabilities.needs}

    def charged(function, features: Features, reference: Features) -> float:
        given = arrays | {"features": features, "reference_features": reference}
        return timed(clock, lambda: function(**{n: given[n] for n in function.capabilities.needs}))[1]

    def fresh() -> list[Features]:
        return [Features(arrays["features"]), Features(arrays["reference_features"])]

    together = fresh()
    for function in sharing.values():
        charged(function, *together)
    found = {n: (charged(f, *together), charged(f, *fresh())) for n, f in sharing.items()}
    assert max(after for after, _ in found.values()) >= 5
    # hscore asks whether the rows are in general position, which the centred decomposition answers as well as the other
    assert {n: pair for n, pair in found.items() if pair[0] != pair[1]} == ({"hscore": (5, 6)} if shape else {})
