"""Lineages left out in turn, on a table small enough to work out by hand."""

import numpy as np
import pandas as pd
import pytest

from benchmark.reporting import lineage

MODELS = ("alpha1", "alpha2", "alpha3", "beta1", "gamma1", "gamma2")
TRUTH = {"t": (10, 20, 30, 40, 50, 60), "u": (60, 50, 40, 30, 20, 10), "v": (10, 30, 20, 60, 40, 50)}


def tables(runs: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`right` is the accuracy, `wrong` its opposite, `family` right but for the three alphas, which it turns about."""
    truth, scores = [], []
    for target, accuracies in TRUTH.items():
        turned = (*accuracies[2::-1], *accuracies[3:])
        for i, model in enumerate(MODELS):
            keys = {"Model": model, "Architecture": model, "Source Dataset": "s", "Target Dataset": target}
            kin = {"alpha": "a", "gamma": "g"}.get(model[:-1])
            truth.append(keys | {"Oracle": float(accuracies[i]), "Lineage": kin})
            for run in range(runs):
                scores.append(
                    {"Run": run, **keys, "right": accuracies[i], "wrong": -accuracies[i], "family": turned[i]}
                )
    return pd.DataFrame(scores), pd.DataFrame(truth)


def test_each_lineage_and_the_largest_family_are_left_out_in_turn() -> None:
    scores, truth = tables(runs=2)
    found = lineage.left_out(scores, truth).set_index(["factor", "left_out", "method"])
    cases = list(dict.fromkeys((f, n) for f, n, _ in found.index))
    assert cases == [("none", ""), ("lineage", "a"), ("lineage", "g"), ("largest family", "alpha")]
    assert [found.loc[(*case, "right"), "models"] for case in cases] == [6, 3, 4, 3]
    for case in cases:
        right, wrong = found.loc[(*case, "right")], found.loc[(*case, "wrong")]
        assert (right["pearson"], right["kendall"], right["regret1"], right["rank"]) == (pytest.approx(100), 1, 0, 1)
        assert (wrong["pearson"], wrong["kendall"]) == (pytest.approx(-100), -1)
        assert found.loc[(*case, "random"), "pearson"] == 0
    # what `wrong` picks is the worst: 60 - 10 on each target; without the alphas 60 - 40, 30 - 10, 60 - 40
    assert found.loc[("none", "", "wrong"), "regret1"] == 50
    assert found.loc[("lineage", "a", "wrong"), "regret1"] == pytest.approx((20 + 20 + 20) / 3)
    # three of fifteen pairs of models lie within the alphas: reversed, τ = 1 - 2·3/15 on t and u; on v (10, 30, 20)
    # becomes (20, 30, 10): one pair of the three changes, 1 - 2·1/15
    assert found.loc[("none", "", "family"), "kendall"] == pytest.approx((2 * (1 - 6 / 15) + 1 - 2 / 15) / 3)
    assert found.loc[("lineage", "a", "family"), "kendall"] == 1, "without them nothing is wrong"
    assert found.loc[("lineage", "g", "family"), "kendall"] < 1


def test_the_static_list_is_the_one_of_the_models_that_are_left() -> None:
    scores, truth = tables()
    whole = lineage.left_out(scores, truth)
    given = lineage.left_out(scores.assign(static_list=1.0), truth)
    pd.testing.assert_frame_equal(whole, given)
    few = [i for i, m in enumerate(MODELS) if not m.startswith("alpha")]
    z = {t: (np.array(v)[few] - np.mean(np.array(v)[few])) / np.std(np.array(v)[few]) for t, v in TRUTH.items()}
    assert (z["t"] == -z["u"]).all(), "on v the list ties all models, and has no correlation"
    r = [np.corrcoef(z[t], sum(z[o] for o in TRUTH if o != t) / 2)[0, 1] for t in "tu"]
    of_list = whole.set_index(["factor", "left_out", "method"])["pearson"]
    assert of_list["lineage", "a", "static_list"] == pytest.approx(100 * np.mean(r))


def test_lineages_of_the_callers_own_and_tables_without_any() -> None:
    scores, truth = tables()
    own = lineage.left_out(scores, truth, {"beta1": "b", "gamma1": "b"})
    assert own.query("factor == 'lineage'")["left_out"].unique().tolist() == ["b"]
    with pytest.raises(ValueError, match="must state the lineage of some model"):
        lineage.left_out(scores, truth.drop(columns="Lineage"))
    with pytest.raises(ValueError, match="Got 2 without lineage x"):
        lineage.left_out(scores, truth, dict.fromkeys(MODELS[:4], "x"))


def test_the_largest_family_by_name() -> None:
    names = ["mobilenetv1_025_128-imagenet", "mobilenetv2_100-nsfw", "mobilenet_edgetpu_075", "tf_efficientnet_lite0"]
    assert lineage.largest_family([*names, "resnet20-cifar10", "resnet56-cifar10"]) == ("mobilenet", set(names[:3]))


def test_the_page_says_where_the_verdict_changes() -> None:
    table = lineage.left_out(*tables())
    said = lineage.verdict(table, "family")
    assert said[0] == "All models (6): ahead of family in mean Pearson right; in regret right."
    assert said[1] == "Without lineage a (3): ahead of family in mean Pearson no method; in regret no method."
    assert "| right | 100.0 | 100.0 | 100.0 | 100.0 |" in lineage.markdown(table)


def test_a_correlation_without_a_value_is_a_dash() -> None:
    scores, truth = tables()
    found = lineage.left_out(scores.assign(wrong=np.nan), truth)
    assert "| wrong | – | – | – | – |" in lineage.markdown(found)
