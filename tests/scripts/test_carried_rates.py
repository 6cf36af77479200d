"""What a carried rate costs: on choices that are made up, where the answer is seen at a glance."""

import numpy as np
import pandas as pd

from scripts.results.carried_rates import comparison, losses

CHOICES = {
    "one": {"a": np.array([50.0, 40.0]), "b": np.array([10.0, 30.0])},
    "two": {"a": np.array([60.0, 55.0]), "b": np.array([20.0, 24.0])},
}
"""Network a wants the first rate everywhere and b the second."""


def test_a_rate_that_belongs_to_the_model_is_carried_without_loss_and_one_for_all_is_not():
    table = losses(CHOICES, {"a": "same", "b": "same"}).set_index("instead of a choice")
    assert table.loc["the model's best mean on the other targets", "mean loss"] == "0.0"
    assert table.loc["the model's best mean on the other targets", "none lost"] == "100 %"
    of_another = table.loc["the rate of another network of its architecture, same target"]
    assert (of_another["mean loss"], of_another["worst"]) == ("9.8", "20.0")  # (10 + 20 + 5 + 4) / 4
    assert table.loc["rate 1 of 2 for all", "mean loss"] == "6.0"  # (0 + 20 + 0 + 4) / 4
    assert table.loc["rate 2 of 2 for all", "mean loss"] == "3.8"  # (10 + 0 + 5 + 0) / 4


def test_no_architecture_in_common_says_nothing():
    table = losses(CHOICES, {"a": "one", "b": "another"})
    assert "the rate of another network of its architecture, same target" not in set(table["instead of a choice"])


def test_the_change_of_accuracy_is_of_carried_rates_against_own_ones():
    both = pd.DataFrame(
        {
            "oracle_own": [50.0, 60.0, 70.0, 40.0],
            "rate_own": [1, 1, 2, 2],
            "oracle_carried": [51.0, 62.0, 69.0, 40.0],
            "rate_carried": [1, 2, 2, 1],
        },
        index=["a", "b", "c", "d"],
    )
    found = comparison(both)
    assert (found["change"], found["same"], found["compared"]) == ("+0.5", 2, 4)
    assert found["spread"] == found["luck"] == "1.4"  # of +2 and 0; of +1 and -1
    assert (found["best_own"], found["best_carried"]) == ("c", "c")
