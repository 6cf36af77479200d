"""Energy and CO₂ by codecarbon: a module of that name that behaves as the package does, and none."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from benchmark.ranking.emissions import measured


def package(monkeypatch, fails: str = "") -> list[dict]:
    """A codecarbon that measures 0.012 kWh and 4.2 g; returns what its tracker was made with."""
    made: list[dict] = []

    class OfflineEmissionsTracker:
        def __init__(self, **given):
            made.append(given)
            if fails == "making":
                raise ValueError("no such country")

        def start(self):
            made[-1]["started"] = True

        def stop(self):
            if fails == "stopping":
                raise OSError("no sensor")
            self.final_emissions_data = SimpleNamespace(energy_consumed=0.012)
            return 0.0042

    module = ModuleType("codecarbon")
    module.OfflineEmissionsTracker = OfflineEmissionsTracker
    monkeypatch.setitem(sys.modules, "codecarbon", module)
    return made


def test_energy_and_carbon_of_a_country_are_said(monkeypatch):
    made = package(monkeypatch)
    with measured("DEU") as found:
        assert found.sentence == ""
    assert (found.energy, found.carbon) == (0.012, 0.0042)
    assert found.sentence.endswith("12.00 Wh, 4.20 g of CO₂ equivalents with the electricity of DEU")
    assert made == [
        {
            "country_iso_code": "DEU",
            "save_to_file": False,
            "log_level": "error",
            "allow_multiple_runs": True,
            "started": True,
        }
    ]


def test_without_a_country_there_is_energy_alone(monkeypatch):
    package(monkeypatch)
    with measured() as found:
        pass
    assert found.carbon is None
    assert found.sentence.endswith("12.00 Wh (country=<three letters> adds the CO₂ of its electricity)")


@pytest.mark.parametrize(
    ("fails", "why"), [("making", "ValueError: no such country"), ("stopping", "OSError: no sensor")]
)
def test_a_package_that_fails_costs_its_figure_alone(monkeypatch, fails, why):
    package(monkeypatch, fails)
    done = False
    with measured("XXX") as found:
        done = True
    assert done
    assert found.sentence == f"energy and CO₂: codecarbon failed ({why})"


def test_where_it_is_not_installed_nothing_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with measured("DEU") as found:
        pass
    assert found.sentence == ""


def test_a_block_that_fails_fails_as_it_does(monkeypatch):
    package(monkeypatch)
    with pytest.raises(KeyError), measured() as found:
        raise KeyError("x")
    assert found.energy == 0.012
