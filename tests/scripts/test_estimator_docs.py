"""docs/estimators.md is what the docstrings say today, and the docstrings say what the house asks of them."""

import importlib.util
import inspect
import re
from pathlib import Path

import pytest

from methods.shared.capabilities import estimators

ROOT = Path(__file__).resolve().parents[2]


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / "results" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date():
    made = script("estimator_docs").page()
    assert (ROOT / "docs" / "estimators.md").read_text() == made, "run python scripts/results/estimator_docs.py"


@pytest.mark.parametrize("name", sorted(estimators()))
def test_every_estimator_has_its_section_and_cost(name):
    page = (ROOT / "docs" / "estimators.md").read_text()
    assert f"\n## {name}\n" in page
    function = estimators()[name]
    assert function.capabilities.cost.startswith("O(")
    if "model" not in function.capabilities.needs:
        assert function.capabilities.source
        text = " ".join(inspect.getdoc(function).split())
        assert re.search("[Hh]igher (is said to )?predict", text)
        assert "Cost" in text
        assert "Deterministic" in text or not function.capabilities.deterministic


def test_every_method_found_is_in_or_out_and_every_estimator_is_of_one():
    """A method that is out says why, one that is in names estimators that exist, and each estimator has its paper."""
    found = script("estimator_docs").methods_found()
    assert [
        e["name"] for e in found if not {"in", "out"} & set(e) or set(e) - {"name", "paper", "in", "out", "note"}
    ] == []
    assert len({e["name"] for e in found}) == len(found)
    assert {name for e in found for name in e.get("in", [])} == set(estimators())
