"""Correlations against the official evaluator's golden output, the paper's oracle-only figures, and stated rules."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from benchmark import correlate
from benchmark.stats import correlations, measures, yardsticks
from benchmark.tables import columns
from benchmark.tables.columns import TARGET

SHARED = Path(__file__).resolve().parents[3] / "shared"
needs_shared = pytest.mark.skipif(not (SHARED / "golden").is_dir(), reason="no ../shared with golden files")


def bank(models=9, targets=("a", "b", "c"), runs=2, seed=0):
    """Random scores `one` and `two` and accuracies; model i has source s<i>, or the target itself for i < targets."""
    rng = np.random.default_rng(seed)
    names = [*targets, *(f"s{i}" for i in range(models - len(targets)))]
    rows = [
        {"Run": r, "Architecture": f"net{i % 2}", "Source Dataset": names[i], TARGET: t}
        for r in range(runs)
        for t in targets
        for i in range(models)
        if names[i] != t
    ]
    scores = pd.DataFrame(rows)
    scores["one"], scores["two"] = rng.normal(size=(2, len(scores)))
    oracle = scores[scores["Run"] == 0].drop(columns=["Run", "one", "two"]).reset_index(drop=True)
    oracle["Oracle"] = rng.uniform(40, 90, len(oracle))
    return scores, oracle


@needs_shared
def test_golden_official_evaluator():
    scores = pd.read_csv(SHARED / "golden/scores_controlled.csv")
    oracle = pd.read_csv(SHARED / "published/parc_controlled.csv")
    expected = json.loads((SHARED / "golden/expected_correlations_controlled.json").read_text())
    found = correlations.correlate(scores, oracle)
    assert "voc2007" not in found.aligned.targets  # the score table has no row for it
    for key, capacity in (("plain", "none"), ("capacity", "pooled")):
        for method, value in expected[key].items():
            assert found.mean(method, capacity=capacity) == pytest.approx(value["mean"], abs=1e-8)
            assert found.sd(method, capacity=capacity) == pytest.approx(value["std"], abs=1e-8)
        for target, row in expected[f"{key}_per_target"].items():
            for method, value in row.items():
                assert found.mean(method, capacity=capacity, target=target) == pytest.approx(value, abs=1e-8)


def oracle_only(name, exclude=()):
    oracle = pd.read_csv(SHARED / f"published/{name}.csv")
    scores = yardsticks.yardsticks(oracle, exclude)
    scores["imagenet"] = (oracle["Source Dataset"] == "imagenet").astype(float)
    if name == "parc_controlled":
        sizes = [np.log(oracle[f"{s} Dataset"].map(columns.PAPER_IMAGES)) for s in ("Source", "Target")]
        scores["released"] = scores["layers"] + sizes[0] - sizes[1]
    return scores, oracle, correlations.correlate(scores, oracle, exclude)


def six(found, method, measure):
    values = [found.mean(method, measure, target=t) for t in found.aligned.targets if t != "voc2007"]
    return np.mean(values)


@needs_shared
def test_oracle_only_baselines_of_the_controlled_bank():
    _, _, found = oracle_only("parc_controlled")
    rows = [  # recomputed from the released accuracies: mean over six targets, then over seven
        ("layers", "pearson", 50.923034396, 52.610445837),
        ("layers", "weighted_kendall", 0.561141158, 0.576540484),
        ("released", "pearson", 50.760013010, 52.466415036),
        ("released", "weighted_kendall", 0.530404471, 0.548345844),
        ("heuristic", "pearson", 51.063633120, 52.758823545),
        ("heuristic", "weighted_kendall", 0.521872747, 0.540563942),
        ("imagenet", "pearson", 9.747267221, 10.863368376),
        ("imagenet", "weighted_kendall", 0.265504689, 0.282725132),
    ]
    for method, measure, mean6, mean7 in rows:
        assert six(found, method, measure) == pytest.approx(mean6, abs=1e-6), (method, measure)
        assert found.mean(method, measure) == pytest.approx(mean7, abs=1e-6), (method, measure)
    assert six(found, "layers", "kendall") == pytest.approx(0.365094245, abs=1e-6)
    assert six(found, "layers", "spearman") == pytest.approx(0.461380555, abs=1e-6)
    assert found.mean("heuristic", target="nabird") == pytest.approx(78.499639266, abs=1e-6)
    assert six(found, "static_list", "pearson") == pytest.approx(67.6, abs=0.05)  # recomputed from the released table


@needs_shared
def test_oracle_only_baselines_of_the_whole_bank():
    _, _, found = oracle_only("parc_all", columns.PAPER_EXCLUDED)
    assert np.isfinite(found.aligned.truth).sum() == 424
    assert six(found, "layers", "pearson") == pytest.approx(12.126606847, abs=1e-6)
    assert found.mean("layers") == pytest.approx(16.581590285, abs=1e-6)
    assert found.mean("imagenet", "weighted_kendall") == pytest.approx(0.185106622, abs=1e-6)
    assert "Excluded 42 oracle rows of the sources swav_imagenet" in found.notes[0]
    _, _, everything = oracle_only("parc_all")
    assert six(everything, "layers", "pearson") == pytest.approx(7.648113376, abs=1e-6)
    assert everything.mean("imagenet") == pytest.approx(8.430770894, abs=1e-6)


@needs_shared
def test_evaluation_modes_are_the_papers_table_2():
    scores, oracle, _ = oracle_only("parc_controlled")
    modes = correlations.evaluation_modes(scores[scores[TARGET] != "voc2007"], oracle).set_index(["method", "mode"])
    expected = {  # Eq. 4, then the release's formula (recomputed from the released table)
        "source & arch": (6, 51.063633120, 50.760013010),
        "architecture": (42, 61.266850177, 61.266850177),
        "source dataset": (24, 7.127695338, 0.917883677),
        "target dataset": (32, 13.629816201, -2.656176077),
    }
    for mode, (groups, paper, released) in expected.items():
        assert modes.loc[("heuristic", mode), "groups"] == groups
        assert modes.loc[("heuristic", mode), "mean"] == pytest.approx(paper, abs=1e-6)
        assert modes.loc[("released", mode), "mean"] == pytest.approx(released, abs=1e-6)
    assert modes.loc[("layers", "source dataset"), "undefined"] == 24  # one architecture has one depth


def test_every_number_against_a_slow_loop():
    scores, oracle = bank()
    found = correlations.correlate(scores, oracle.assign(Layers=np.where(oracle["Architecture"] == "net0", 10, 30)))
    joined = scores.merge(oracle)
    layers = joined["Architecture"].map({"net0": 10, "net1": 30}) / 50
    joined["pooled"] = (scores["one"] - scores["one"].mean()) / scores["one"].std() + layers
    grouped = joined.groupby(["Run", TARGET])["one"]
    joined["per_target"] = (joined["one"] - grouped.transform("mean")) / grouped.transform("std") + layers
    slow = {
        "pearson": lambda x, y: 100 * scipy.stats.pearsonr(x, y)[0],
        "kendall": lambda x, y: scipy.stats.kendalltau(x, y)[0],
        "weighted_kendall": lambda x, y: scipy.stats.weightedtau(x, y)[0],
        "spearman": lambda x, y: scipy.stats.spearmanr(x, y)[0],
    }
    for capacity, column in (("none", "one"), ("pooled", "pooled"), ("per_target", "per_target")):
        for measure, function in slow.items():
            cells = joined.groupby(["Run", TARGET]).apply(lambda g: function(g[column], g["Oracle"])).unstack()  # noqa: B023
            assert found.mean("one", measure, capacity, "b") == pytest.approx(cells["b"].mean(), abs=1e-10)
            assert found.sd("one", measure, capacity, "b") == pytest.approx(cells["b"].std(ddof=0), abs=1e-10)
            assert found.mean("one", measure, capacity) == pytest.approx(cells.mean(axis=1).mean(), abs=1e-10)
            assert found.sd("one", measure, capacity) == pytest.approx(cells.mean(axis=1).std(ddof=0), abs=1e-10)


def test_specific_part_against_a_slow_loop():
    scores, oracle = bank(runs=1)
    found = correlations.correlate(scores, oracle)
    joined = scores.merge(oracle)
    for column in ("one", "Oracle"):
        joined[column] = joined.groupby(TARGET)[column].transform(lambda v: (v - v.mean()) / v.std(ddof=0))
    residuals = {"one": [], "Oracle": []}
    for _, row in joined[joined[TARGET] == "c"].iterrows():
        others = joined[(joined["Source Dataset"] == row["Source Dataset"]) & (joined[TARGET] != "c")]
        for column, values in residuals.items():
            values.append(row[column] - others[column].mean())
    expected = scipy.stats.pearsonr(residuals["one"], residuals["Oracle"])[0]
    assert found.mean("one", "pearson_specific", target="c") == pytest.approx(100 * expected, abs=1e-8)


def test_the_long_table():
    scores, oracle = bank()
    table = correlations.correlate(scores, oracle.assign(Layers=12)).table
    assert list(table.columns) == ["method", "target", "measure", "capacity", "mean", "sd"]
    assert len(table) == 2 * 4 * 6 * 3
    assert set(table["target"]) == {"a", "b", "c", "mean"}
    # equal layers change no order within a target once standardised there, and no Pearson correlation
    wide = table.pivot(index=["method", "target", "measure"], columns="capacity", values="mean")
    np.testing.assert_allclose(wide["per_target"], wide["none"], atol=1e-9)


def test_pooled_standardisation_comes_before_any_filter():
    scores, oracle = bank()
    oracle["Layers"] = np.where(oracle["Architecture"] == "net0", 8, 50)
    extra = scores.iloc[:4].assign(**{TARGET: "unknown", "one": 1000.0})  # no accuracy, yet part of mean and sd
    more = correlations.correlate(pd.concat([scores, extra]), oracle)
    sd = pd.concat([scores, extra])["one"].std()
    by_hand = scores.assign(one=scores["one"] / sd + scores["Architecture"].map({"net0": 8, "net1": 50}) / 50)
    assert more.mean("one", capacity="pooled") == pytest.approx(correlations.correlate(by_hand, oracle).mean("one"))
    assert more.mean("one") == pytest.approx(correlations.correlate(scores, oracle).mean("one"))


def test_missing_scores_are_left_out_and_counted_never_zero():
    scores, oracle = bank(runs=1)
    scores.loc[(scores[TARGET] == "a") & scores["Source Dataset"].isin(["s0", "s1"]), "one"] = np.nan
    scores.loc[(scores[TARGET] == "b"), "two"] = 3.0
    found = correlations.correlate(scores, oracle)
    left = scores[scores["one"].notna()]
    assert found.mean("one", target="a") == pytest.approx(correlations.correlate(left, oracle).mean("one", target="a"))
    coverage = found.coverage.set_index(["method", "target"])
    assert coverage.loc[("one", "a"), ["models", "missing"]].tolist() == [8, 2]
    assert coverage.loc[("two", "b"), ["missing", "undefined"]].tolist() == [0, 1]
    assert np.isnan(found.mean("two", target="b"))
    assert found.mean("two") == pytest.approx((found.mean("two", target="a") + found.mean("two", target="c")) / 2)
    assert any("one: 2 of 24 scores are missing" in note for note in found.notes)
    assert any("two: 1 of 3 correlations" in note for note in found.notes)


def test_unusable_accuracies_are_dropped():
    scores, oracle = bank()
    oracle.loc[0, "Oracle"], oracle.loc[1, "Oracle"] = -1, np.nan
    itself = pd.DataFrame([{"Architecture": "net0", "Source Dataset": "a", TARGET: "a", "Oracle": 99.0}])
    more = correlations.correlate(
        pd.concat([scores, itself.drop(columns="Oracle").assign(Run=0, one=50.0, two=50.0)]),
        pd.concat([oracle, itself]),
    )
    less = correlations.correlate(scores, oracle.iloc[2:])
    assert more.mean("one") == pytest.approx(less.mean("one"))
    assert any("2 oracle rows with Oracle ≤ 0" in note for note in more.notes)
    assert any("1 oracle rows where source and target are the same" in note for note in more.notes)


def test_seeds_of_the_truth_are_averaged():
    scores, oracle = bank()
    seeds = pd.concat([oracle.assign(Seed=0), oracle.assign(Seed=1, Oracle=oracle["Oracle"] + 4)])
    found, once = correlations.correlate(scores, seeds), correlations.correlate(scores, oracle)
    np.testing.assert_allclose(found.table["mean"], once.table["mean"])
    assert np.nanmax(found.aligned.truth - once.aligned.truth) == pytest.approx(2)
    pd.testing.assert_frame_equal(yardsticks.yardsticks(seeds), yardsticks.yardsticks(oracle))


def test_a_model_column_names_the_model():
    scores, oracle = bank()
    named = [
        t.assign(Model=t["Architecture"] + "-" + t["Source Dataset"], **{"Source Dataset": "same"})
        for t in (scores, oracle)
    ]
    np.testing.assert_allclose(
        correlations.correlate(*named).table["mean"], correlations.correlate(scores, oracle).table["mean"]
    )


def test_order_of_rows_does_not_matter():
    scores, oracle = bank()
    oracle["Layers"] = np.arange(len(oracle)) % 5 + 1
    oracle["Layers"] = oracle.groupby("Source Dataset")["Layers"].transform("first")
    shuffled = correlations.correlate(
        scores.sample(frac=1, random_state=3), oracle.sample(frac=1, random_state=4)
    ).table
    merged = shuffled.merge(
        correlations.correlate(scores, oracle).table, on=["method", "target", "measure", "capacity"]
    )
    assert len(merged) == len(shuffled)
    np.testing.assert_allclose(merged["mean_x"], merged["mean_y"], atol=1e-10)


def test_without_layers_there_are_no_capacity_rows_and_the_notes_say_so():
    scores, oracle = bank()
    found = correlations.correlate(scores, oracle)
    assert set(found.table["capacity"]) == {"none"}
    assert any(note.startswith("No capacity rows: layers are not known for net") for note in found.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s, o: (s.drop(columns="Architecture"), o), "scores must have the columns"),
        (lambda s, o: (s, o.drop(columns="Oracle")), "oracle must have the columns"),
        (lambda s, o: (pd.concat([s, s.head(1)]), o), "scores must have one row per Run"),
        (lambda s, o: (s, pd.concat([o, o.head(1)])), "oracle must have one row per"),
        (lambda s, o: (s.assign(one="n/a"), o), "scores column 'one' must hold numbers. Got 'n/a'"),
        (lambda s, o: (s.assign(Architecture="other"), o), "no row in common"),
        (lambda s, o: (s.drop(columns=["one", "two"]), o), "scores must have a column per method"),
    ],
)
def test_malformed_tables_are_refused_with_a_sentence(change, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        correlations.correlate(*change(*bank()))


def test_static_list_looks_only_at_other_targets():
    _, oracle = bank()
    lists = yardsticks.static_list(oracle)
    changed = oracle.assign(Oracle=np.where(oracle[TARGET] == "a", 100 - oracle["Oracle"], oracle["Oracle"]))
    on_a = (oracle[TARGET] == "a").to_numpy()
    np.testing.assert_allclose(yardsticks.static_list(changed)[on_a], lists[on_a])
    assert not np.allclose(yardsticks.static_list(changed)[~on_a], lists[~on_a])


def test_command_writes_the_table(tmp_path, capsys):
    scores, oracle = bank()
    columns.save(scores, tmp_path / "s.csv")
    columns.save(oracle, tmp_path / "o.csv")
    argv = [f"scores={tmp_path}/s.csv", f"truth={tmp_path}/o.csv", f"out={tmp_path}/out"]
    assert correlate.main(argv) == 0
    table = pd.read_csv(tmp_path / "out/correlations.csv")
    pd.testing.assert_frame_equal(table, correlations.correlate(scores, oracle).table, check_exact=False, rtol=1e-12)
    assert "layers are not known" in (tmp_path / "out/notes.txt").read_text()
    capsys.readouterr()
    assert correlate.main([*argv, "trtuh=x"]) == 2
    assert "Did you mean 'truth'?" in capsys.readouterr().err
    assert correlate.main([*argv, "exclude_sources=[nowhere]"]) == 2
    assert "must name sources of the oracle. Got nowhere." in capsys.readouterr().err


def test_command_prints_intervals_and_tests_of_a_model_and_a_target_column(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = [(f"net{m}", t, 60 + 5 * rng.normal()) for t in ("birds", "pets", "cars") for m in range(12)]
    oracle = pd.DataFrame(rows, columns=["model", "target", "oracle"])
    scores = oracle.drop(columns="oracle").assign(follows=oracle["oracle"], noise=rng.normal(size=len(oracle)))
    oracle.to_csv(tmp_path / "o.csv", index=False)
    scores.to_parquet(tmp_path / "s.parquet")
    argv = [f"scores={tmp_path}/s.parquet", f"oracle={tmp_path}/o.csv", f"out={tmp_path}/out"]
    assert correlate.main(argv) == 0
    shown, told = capsys.readouterr()
    assert "oracle= is called truth= now" in told
    assert "100.0" in shown
    assert "Supported differences" in shown
    for name in ("table.md", "table.tex", "tests.csv", "intervals.csv"):
        assert "follows" in (tmp_path / "out" / name).read_text()
    tests = pd.read_csv(tmp_path / "out/tests.csv").query("measure == 'pearson' and family == 'estimators'")
    assert tests[["first", "second", "supported"]].to_numpy().tolist() == [["follows", "noise", True]]
    assert correlate.main([*argv, "focal=noise", "html=true"]) == 0
    assert "noise against all others" in capsys.readouterr().out
    assert "noise against all others" in (tmp_path / "out/report.html").read_text()
    own = pd.read_csv(tmp_path / "out/tests.csv")
    assert set(own["first"]) == {"noise"}
    assert correlate.main([*argv, "focal=static_list"]) == 2
    assert "focal must name methods of this table" in capsys.readouterr().err


def test_three_hundred_columns_take_a_second():
    import time

    scores, oracle = bank(models=28, targets=tuple("abcdefgh"), runs=5)
    rng = np.random.default_rng(0)
    many = pd.concat([scores, pd.DataFrame(rng.normal(size=(len(scores), 300))).add_prefix("m")], axis=1)
    start = time.process_time()
    found = correlations.correlate(many, oracle.assign(Layers=5))
    assert time.process_time() - start < 5  # 1 s measured on an idle core
    assert np.nanmax(np.abs(found.mean("m7") - np.mean([found.mean("m7", target=t) for t in "abcdefgh"]))) < 1e-10
    assert measures.FEWEST == 3


def test_the_callers_tables_are_left_alone():
    scores, oracle = bank()
    one = scores.drop(columns="two").astype({"one": float})
    one.loc[0, "one"] = np.inf
    before = one.copy()
    correlations.correlate(one, oracle)
    pd.testing.assert_frame_equal(one, before)
