"""What the benchmark compares computes the same numbers, and its limits and children work at a small size."""

import importlib.util
import inspect
import sys
from pathlib import Path

import pytest

import methods

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "bench"))


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / "bench" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bench, textbook = load("bench"), load("textbook")


@pytest.mark.parametrize("name", sorted(textbook.FORMS))
@pytest.mark.parametrize(("n", "d"), [(120, 40), (80, 150)])
def test_methods_equal_their_textbook_forms(name, n, d):
    arrays = bench.probe(n, d, c=6, z=15)
    own, extra = bench.ELEVEN[name]
    score = bench.call(getattr(methods, own), bench.wrapped(arrays), **extra)
    tolerance = 1e-3 if name == "hscore" and n < d else 1e-6  # vacuous there: the pseudo-inverse leaves rounding
    assert score == pytest.approx(bench.call(textbook.FORMS[name], arrays), rel=tolerance)


@pytest.mark.parametrize("name", sorted(textbook.RELEASED))
def test_methods_equal_the_released_algorithms_carried_on(name):
    """ncti to a tenth: scikit-learn of today whitens with 1/n, of then with 1/(n - c)."""
    arrays = bench.probe(120, 70, c=6, z=2)
    form, stopped = textbook.RELEASED[name]
    own, extra = bench.of_release(name)
    score = bench.call(getattr(methods, own), bench.wrapped(arrays), **extra)
    assert score == pytest.approx(bench.call(form, arrays), rel=0.1 if name == "ncti" else 1e-6)
    if stopped:
        assert bench.call(stopped, arrays) != pytest.approx(bench.call(form, arrays), rel=1e-6)


def test_the_eleven_and_the_nine():
    assert len(bench.ELEVEN) == 11
    assert set(bench.NINE) == set(bench.ELEVEN) - {"logistic", "hscore_f32"}
    assert set(bench.ITERATIVE) <= set(methods.__all__)
    for form in textbook.FORMS.values():
        assert set(inspect.signature(form).parameters) <= set(bench.probe(20, 5, 2, 3))


def test_a_child_reports_its_own_times(monkeypatch):
    monkeypatch.setattr(bench, "NS", (50, 100))
    monkeypatch.setattr(bench, "DS", (64,))
    rows = bench.growth_of("hscore")["rows"]
    assert [(r["axis"], r["n"], r["d"]) for r in rows] == [("n", 50, 512), ("n", 100, 512), ("d", 500, 64)]
    assert all(r["seconds"] > 0 for r in rows)


def test_exponents_are_fitted_to_the_large_sizes():
    rows = [{"axis": "n", "n": n, "seconds": 3.0 * n**2 + (n == 100)} for n in (100, 1000, 2000, 5000)]
    assert bench._slope(rows, "n") == pytest.approx(2.0)
    assert bench._slope(rows[:3], "n") is None


def test_a_childs_failure_is_a_row():
    assert bench._child("growth", "no_such_method")["error"] == "KeyError: 'no_such_method'"
