"""Ground truth as a table: seeds averaged, what stands beside a multi-label target's mean average precision."""

import pandas as pd

from benchmark import tables


def test_per_label_accuracy_stands_beside_the_mean_average_precision():
    facts = {"Model": "m", "Architecture": "a", "Source Dataset": "s", "Layers": 10}
    voc = [{"Target Dataset": "voc", "Seed": s, "Oracle": 30 + s, "Per Label": 70 + 4 * s} for s in range(2)]
    pets = [{"Target Dataset": "pets", "Seed": s, "Oracle": 50 + s} for s in range(2)]
    found = tables._mean_over_seeds(pd.DataFrame([facts | row for row in [*voc, *pets]])).set_index("Target Dataset")
    assert found.loc["voc", ["Oracle", "Per Label", "Seeds"]].tolist() == [30.5, 72, 2]
    assert found.loc["pets", "Oracle"] == 50.5
    assert pd.isna(found.loc["pets", "Per Label"])
    assert "Per Label" not in tables._mean_over_seeds(pd.DataFrame([facts | row for row in pets]))
