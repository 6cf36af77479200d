"""What the benchmark compares computes the same numbers, and its limits and children work at a small size."""

import inspect
import sys
from pathlib import Path

import pytest

import methods

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "bench"))
import bench_against  # noqa: E402
import bench_growth  # noqa: E402
import bench_probes  # noqa: E402
import textbook  # noqa: E402


@pytest.mark.parametrize("name", sorted(textbook.FORMS))
@pytest.mark.parametrize(("n", "d"), [(120, 40), (80, 150)])
def test_methods_equal_their_textbook_forms(name, n, d):
    arrays = bench_probes.probe(n, d, c=6, z=15)
    own, extra = bench_against.ELEVEN[name]
    score = bench_probes.call(getattr(methods, own), bench_probes.wrapped(arrays), **extra)
    tolerance = 1e-3 if name == "hscore" and n < d else 1e-6  # vacuous there: the pseudo-inverse leaves rounding
    assert score == pytest.approx(bench_probes.call(textbook.FORMS[name], arrays), rel=tolerance)


@pytest.mark.parametrize("name", sorted(textbook.RELEASED))
def test_methods_equal_the_released_algorithms_carried_on(name):
    """ncti to a tenth: scikit-learn of today whitens with 1/n, of then with 1/(n - c)."""
    arrays = bench_probes.probe(120, 70, c=6, z=2)
    form, stopped = textbook.RELEASED[name]
    own, extra = bench_against.of_release(name)
    score = bench_probes.call(getattr(methods, own), bench_probes.wrapped(arrays), **extra)
    assert score == pytest.approx(bench_probes.call(form, arrays), rel=0.1 if name == "ncti" else 1e-6)
    if stopped:
        assert bench_probes.call(stopped, arrays) != pytest.approx(bench_probes.call(form, arrays), rel=1e-6)


def test_the_eleven_and_the_nine():
    assert len(bench_against.ELEVEN) == 11
    assert set(bench_against.NINE) == set(bench_against.ELEVEN) - {"logistic", "hscore_f32"}
    assert set(bench_against.ITERATIVE) <= set(methods.__all__)
    for form in textbook.FORMS.values():
        assert set(inspect.signature(form).parameters) <= set(bench_probes.probe(20, 5, 2, 3))


def test_a_child_reports_its_own_times(monkeypatch):
    monkeypatch.setattr(bench_growth, "NS", (50, 100))
    monkeypatch.setattr(bench_growth, "DS", (64,))
    rows = bench_growth.growth_of("hscore")["rows"]
    assert [(r["axis"], r["n"], r["d"]) for r in rows] == [("n", 50, 512), ("n", 100, 512), ("d", 500, 64)]
    assert all(r["seconds"] > 0 for r in rows)


def test_exponents_are_fitted_to_the_large_sizes():
    rows = [{"axis": "n", "n": n, "seconds": 3.0 * n**2 + (n == 100)} for n in (100, 1000, 2000, 5000)]
    assert bench_growth._slope(rows, "n") == pytest.approx(2.0)
    assert bench_growth._slope(rows[:3], "n") is None


def test_a_childs_failure_is_a_row():
    assert bench_growth._child("growth", "no_such_method")["error"] == "KeyError: 'no_such_method'"
