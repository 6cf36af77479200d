"""The energy of a search, and the CO₂ of its electricity, where the package codecarbon is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

ANYWHERE = "FRA"  # the package asks for a country, on which the energy does not depend


@dataclass
class Emissions:
    """energy in kWh and carbon in kg of CO₂ equivalents; None where not measured. fault: why, if it failed."""

    country: str | None = None
    energy: float | None = None
    carbon: float | None = None
    fault: str = ""

    @property
    def sentence(self) -> str:
        """What a model card says; empty where codecarbon is not installed."""
        if self.fault:
            return f"energy and CO₂: codecarbon failed ({self.fault})"
        if self.energy is None:
            return ""
        said = f"energy of this machine meanwhile, as codecarbon estimates it: {1000 * self.energy:.2f} Wh"
        if self.country is None or self.carbon is None:
            return f"{said} (country=<three letters> adds the CO₂ of its electricity)"
        return f"{said}, {1000 * self.carbon:.2f} g of CO₂ equivalents with the electricity of {self.country}"


@contextmanager
def measured(country: str | None = None) -> Iterator[Emissions]:
    """Emissions that are filled in when the block ends. Asks no network, writes no file, and never stops the block.

    country  whose electricity it is, as three letters of ISO 3166; without it the energy alone is measured
    """
    found, tracker = Emissions(country), None
    try:
        from codecarbon import OfflineEmissionsTracker
    except ImportError:
        yield found
        return
    try:
        tracker = OfflineEmissionsTracker(
            country_iso_code=country or ANYWHERE, save_to_file=False, log_level="error", allow_multiple_runs=True
        )
        tracker.start()
    except Exception as error:  # whatever the package meets on this machine costs its figure alone
        found.fault = f"{type(error).__name__}: {error}"
    try:
        yield found
    finally:
        if tracker is not None and not found.fault:
            try:
                carbon = tracker.stop()
                found.energy = float(tracker.final_emissions_data.energy_consumed)
                found.carbon = None if country is None or carbon is None else float(carbon)
            except Exception as error:
                found.fault = f"{type(error).__name__}: {error}"
