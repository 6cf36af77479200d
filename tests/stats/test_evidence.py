"""Evidence: intervals around the table's numbers, supported differences, robustness, published stability figures."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.reporting.pictures import ranks
from benchmark.stats import alignment, correlations, evidence, measures, resampling, robustness, yardsticks

SHARED = Path(__file__).resolve().parents[3] / "shared"
TARGET = "Target Dataset"


def bank(models=24, targets=5, runs=2, seed=0):
    """`near` follows the accuracy closely, `far` loosely, `twin` is near with noise of its own, `blind` is noise."""
    rng, rows = np.random.default_rng(seed), []
    level = rng.normal(size=models)
    for t in range(targets):
        for i in range(models):
            accuracy = 70 + 6 * level[i] + 4 * rng.normal()
            source = {"Architecture": f"{('vit', 'resnet')[i % 2]}{i % 4}", "Source Dataset": f"s{i // 4}"}
            for run in range(runs):
                score = {name: accuracy + sd * rng.normal() for name, sd in (("near", 2), ("twin", 2), ("far", 20))}
                rows.append({"Run": run} | source | {TARGET: f"t{t}"} | score | {"blind": rng.normal()})
                rows[-1]["Oracle"] = accuracy
    whole = pd.DataFrame(rows)
    oracle = whole[whole["Run"] == 0].drop(columns=["Run", "near", "twin", "far", "blind"])
    scores = whole.drop(columns="Oracle").merge(yardsticks.yardsticks(oracle.assign(Layers=9)).drop(columns="layers"))
    return correlations.correlate(scores, oracle, capacity=False)


@pytest.fixture(scope="module")
def found():
    return bank()


@pytest.fixture(scope="module")
def made(found):
    return evidence.compute(found.aligned, ["static_list"], 2000)


def test_estimates_are_the_tables_numbers_inside_their_intervals(found, made):
    rows = made.intervals[made.intervals["measure"].isin(measures.MEASURES)]
    for row in rows.itertuples():
        assert row.estimate == pytest.approx(found.mean(row.method, row.measure, target=row.target), abs=1e-4)
    assert (rows["low"] <= rows["estimate"] + 1e-6).mean() > 0.98  # ties of copies pull a resample's τ about
    assert (rows["high"] >= rows["estimate"] - 1e-6).mean() > 0.98
    width = rows.assign(width=rows["high"] - rows["low"]).query("target == 'mean' and measure == 'pearson'")
    width = width.pivot(index="method", columns="over", values="width")
    assert (width["all"] >= 0.9 * width[["models", "targets", "draws"]].max(axis=1)).all()
    assert width.loc["static_list", "draws"] == 0


def test_differences_are_supported_where_they_exist(made):
    tests = made.tests[made.tests["measure"] == "pearson"].set_index(["family", "first", "second"])
    assert tests.loc[("estimators", "near", "blind"), "supported"]
    assert not tests.loc[
        [
            ("estimators", *sorted(("near", "twin"), key=_mean(made))),
        ]
    ]["supported"].any()
    assert len(tests.loc["estimators"]) == 6 and len(tests.loc["static list"]) == 4  # noqa: PT018
    assert (tests["p_holm"] >= tests["p"]).all()
    assert (tests["difference"] >= 0).all()
    assert "6: " not in made.sentences[0]
    assert made.sentences[0].startswith("Supported differences (Pearson; paired bootstrap over 24 models, 5 targets")
    assert any("worse" in s and "blind" in s for s in made.sentences)


def _mean(made):
    rows = made.intervals.query("target == 'mean' and over == 'all' and measure == 'pearson'").set_index("method")
    return lambda name: -rows.loc[name, "estimate"]


def test_regret_is_in_points_and_zero_for_the_truth(found, made):
    regret = made.regret.set_index(["method", "target"])
    truth = found.aligned.truth
    score = found.aligned.scores["none"][found.aligned.methods.index("near")]
    by_hand = np.mean([[truth[t].max() - truth[t, score[r, t].argmax()] for t in range(5)] for r in range(2)])
    assert regret.loc[("near", "mean"), "regret1"] == pytest.approx(by_hand, abs=1e-6)
    perfect = resampling.estimates(truth[None, None], truth, evidence.SELECTION)
    assert perfect["regret1"].max() == 0 and perfect["near_best"].min() == 1  # noqa: PT018
    assert (regret["regret3"] <= regret["regret1"] + 1e-9).all()


def test_leaving_out_equals_the_table_of_the_rest(found, made):
    rows = found.aligned.rows
    rest = rows[rows["Source Dataset"] != "s2"]
    slow = correlations.correlate(
        rest.drop(columns="Oracle"),
        rest.drop_duplicates(["Architecture", "Source Dataset", TARGET])[
            ["Architecture", "Source Dataset", TARGET, "Oracle"]
        ],
        capacity=False,
    )
    table = made.robustness.set_index(["factor", "left_out", "measure", "method"])
    for name in ("near", "far"):
        row = table.loc[("source", "s2", "pearson", name)]
        assert row["models"] == 20
        assert row["value"] == pytest.approx(slow.mean(name), abs=1e-4)
        assert row["change"] == pytest.approx(slow.mean(name) - found.mean(name), abs=1e-4)
    assert {name for factor, name, *_ in table.index if factor == "family"} == {"vit", "resnet"}
    assert table.sort_index().loc[("none", "", "pearson")]["rank"].min() == 1


def test_families_are_read_from_timm_names():
    rows = pd.DataFrame({"Architecture": ["tf_efficientnet_lite0", "resnet10t", "vit_tiny_patch4"]})
    rows["Source Dataset"], rows[TARGET] = "s", "t"
    names = tuple(f"{a}/s" for a in rows["Architecture"])
    aligned = alignment.Aligned((), (), (), names, {}, np.zeros((0, 3)), rows, ())
    assert robustness.families(aligned) == ["efficientnet", "resnet", "vit"]


@pytest.mark.skipif(not (SHARED / "published").is_dir(), reason="no ../shared with published tables")
def test_published_stability_of_nine_methods():
    """estimators.md 4.2, on Model Spider's scores with SFDA's accuracies: 120 pools of seven of the ten models."""
    table = pd.read_csv(SHARED / "published/model_spider_scores.csv")
    names = {"Pet": "pets", "Cars": "cars"}
    table["target"] = [names.get(t, t.lower()) for t in table["Dataset"]]
    truth = pd.read_csv(SHARED / "published/sfda_supervised.csv")
    truth = truth.pivot(index="Target Dataset", columns="Model", values="Accuracy")
    methods = list(table.columns[2:11])
    wide = {name: table.pivot(index="target", columns="Model", values=name) for name in methods}
    models, targets = wide["LogME"].columns, wide["LogME"].index
    scores = np.stack([wide[name].to_numpy() for name in methods])[:, None]
    accuracy = truth.loc[targets, models].to_numpy()
    pools = np.array([[i in kept for i in range(10)] for kept in combinations(range(10), 7)], float)
    share = dict(zip(methods, 120 * robustness.winners(scores, accuracy, pools, "weighted_kendall"), strict=True))
    assert [round(share[n]) for n in ("PACTranDirichlet", "H-Score", "OTCE", "NLEEP")] == [81, 23, 14, 2]
    one = robustness.stability(scores, accuracy, pools, ("weighted_kendall",))
    assert one["targets"] == pytest.approx(0.27, abs=0.005)
    assert one["pools"] == pytest.approx(0.46, abs=0.01)
    several = robustness.stability(scores, accuracy, pools)
    assert several["measures"] == pytest.approx(0.51, abs=0.005)


def test_evidence_is_read_back_and_made_again_only_where_needed(found, tmp_path, monkeypatch):
    first = evidence.collect(found.aligned, ["static_list"], tmp_path, 200)
    content = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    monkeypatch.setattr(evidence, "compute", lambda *_: pytest.fail("computed again"))
    again = evidence.collect(found.aligned, ["static_list"], tmp_path, 200)
    for name in evidence.TABLES:
        pd.testing.assert_frame_equal(getattr(first, name), getattr(again, name))
    monkeypatch.undo()
    (tmp_path / "tests.csv").write_text("damaged")
    evidence.collect(found.aligned, ["static_list"], tmp_path, 200)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == content
    monkeypatch.setattr(evidence, "compute", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evidence.collect(found.aligned, ["static_list"], tmp_path, 201)  # another input


def test_cliques_are_maximal():
    assert ranks.cliques(np.array([1.0, 1.5, 2.2, 4.0]), 1.0) == [(0, 1), (1, 2)]
    assert ranks.cliques(np.array([1.0, 2, 3]), 5.0) == [(0, 2)]
    assert ranks.cliques(np.array([1.0, 3, 5]), 1.0) == []


def test_rank_picture_repeats_to_the_byte(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 6))
    path = tmp_path / "cd.png"
    assert ranks.draw(path, list("abcde"), values, "Pearson")
    first = path.read_bytes()
    assert not ranks.draw(path, list("abcde"), values, "Pearson")
    path.unlink()
    assert ranks.draw(path, list("abcde"), values, "Pearson") and path.read_bytes() == first  # noqa: PT018


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["plain", "missing", "constant", "one method", "gap", "flat truth"])
@pytest.mark.parametrize(("models", "targets", "runs"), [(2, 1, 1), (6, 2, 2)])
def test_small_and_degenerate_tables_have_a_report_too(tmp_path, kind, models, targets, runs):
    from types import SimpleNamespace

    from benchmark.reporting import folder

    rng = np.random.default_rng(0)
    rows = [
        {
            "Run": r,
            "Architecture": f"a{i}",
            "Source Dataset": "s",
            TARGET: f"t{t}",
            "x": rng.normal(),
            "y": rng.normal(),
        }
        for r in range(runs)
        for t in range(targets)
        for i in range(models)
    ]
    scores = pd.DataFrame(rows)
    truth = scores[scores["Run"] == 0].drop(columns=["Run", "x", "y"])
    truth["Oracle"] = 50.0 if kind == "flat truth" else 50 + 40 * rng.random(len(truth))
    if kind == "one method":
        scores = scores.drop(columns="y")
    elif kind != "flat truth" and kind != "plain":
        gap = scores[TARGET] == "t0" if kind == "gap" else slice(None)
        scores.loc[gap, "y"] = 1.0 if kind == "constant" else np.nan
    tables = {"scores": scores, "truth": truth, "seeds": truth.assign(Seed=0)}
    folder.write(SimpleNamespace(**tables, status=pd.DataFrame(), timings=pd.DataFrame()), tmp_path, quiet=True)
    table = pd.read_csv(tmp_path / "table.csv").set_index("method")
    if models < 3 or kind == "flat truth":
        assert table["pearson"].isna().all()
    else:
        assert np.isfinite(table.loc["x", ["pearson", "regret1"]].astype(float)).all()
    if models < 6:
        assert table["pearson_low"].isna().all()
        assert len(pd.read_csv(tmp_path / "tests.csv")) == 0
        assert "No interval and no test: a target has 2 models" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "table.md").read_text().count("Noise ceiling: unknown") == 1


def test_a_method_that_is_told_apart_from_all_others_is_said_so_plainly():
    rng = np.random.default_rng(0)
    rows = [
        {"Run": r, "Architecture": f"net{m}", "Source Dataset": "s", "Target Dataset": t}
        for r in range(2) for t in "abcd" for m in range(20)
    ]  # fmt: skip
    scores = pd.DataFrame(rows)
    truth = scores[scores["Run"] == 0].drop(columns="Run").assign(Oracle=rng.uniform(40, 90, 80))
    scores["good"] = np.tile(truth["Oracle"], 2) + rng.normal(0, 1, 160)
    scores["bad"] = rng.normal(size=160)
    sentences = evidence.compute(alignment.align(scores, truth), [], 1000).sentences
    assert sentences[0].endswith("1 of 1. The highest, good, is told apart from bad.")
