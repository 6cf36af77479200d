"""Scores that exist only beside other models reach every table combined over the bank, per target and draw."""

import numpy as np

from benchmark.config import compose
from benchmark.scoring import own_features
from benchmark.tables import bank
from methods.etran import etran
from methods.fusion import rank_fusion
from methods.shared.bank import finished, minmax
from tests.test_evaluate import TARGET, write_inputs


def test_parts_are_normalised_over_the_bank():
    """ETran of three models from their parts, by its published weights 0.15 and 0.85; a fourth has no score."""
    energy, classification = np.array([1.0, 3.0, 2.0]), np.array([-2.0, -1.0, -3.0])
    rows = [{"Run": 0, TARGET: "digits", "etran": 0.0} for _ in range(4)]
    banks = bank.Banks()
    for row, e, c in zip(rows, energy, classification, strict=False):
        banks.add(etran, "etran", row, "ok", {"energy": e, "classification": c})
    banks.add(etran, "etran", rows[3], "degenerate", {"energy": 99.0, "classification": 1.0})
    banks.add(print, "mine", rows[0], "ok", {"a": 1.0})  # declares no bank: left alone
    banks.finish()
    expected = 0.15 * minmax(energy) + 0.85 * minmax(classification)
    np.testing.assert_allclose([row["etran"] for row in rows[:3]], expected, rtol=1e-12)
    assert rows[3]["etran"] is None
    assert "mine" not in rows[0]


def test_a_strangers_features_get_the_same_combination(tmp_path):
    arrays, truth = write_inputs(tmp_path)
    made = own_features.tables(
        own_features.read(tmp_path / "own.npz"), truth.assign(Architecture="a", **{"Source Dataset": "s"}),
        compose.methods_named(["rank_fusion", "ncti"]),
    )  # fmt: skip
    for target, rows in made.scores.groupby(TARGET):
        of = {"parc": {"n_dims": 32, "pca": "exact"}, "logme": {}, "knn": {}}
        scores = [rank_fusion(arrays[f"{target}/{m}/features"], arrays[f"{target}/labels"], of) for m in rows["Model"]]
        np.testing.assert_allclose(rows["rank_fusion"], finished(rank_fusion, scores), rtol=1e-9)
        assert rows["ncti"].between(-1, 2).all()  # ncc + seli - vc, each in [0, 1]
