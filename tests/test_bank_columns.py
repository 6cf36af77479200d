"""Scores that exist only beside other models reach the table combined over the bank, per target and draw."""

from types import SimpleNamespace

import numpy as np

from benchmark import tables
from methods.bank import minmax
from methods.etran import etran


def test_parts_are_normalised_over_the_bank():
    """ETran of three models from their parts, by its published weights 0.15 and 0.85."""
    energy, classification = np.array([1.0, 3.0, 2.0]), np.array([-2.0, -1.0, -3.0])
    rows = [{"etran": 0.0} for _ in energy]
    parts = [{"energy": e, "classification": c} for e, c in zip(energy, classification, strict=True)]
    members = [(row, SimpleNamespace(parts=one)) for row, one in zip(rows, parts, strict=True)]
    tables._finish_banks({(etran, "etran", 0, "digits"): members})
    expected = 0.15 * minmax(energy) + 0.85 * minmax(classification)
    np.testing.assert_allclose([row["etran"] for row in rows], expected, rtol=1e-12)
