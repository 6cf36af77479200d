"""Published tables: golden yardsticks, the cleaning rule, agreement, checksums."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmark import published
from benchmark.literature import banks, further_banks, published_tables, sources
from benchmark.stats import measures

SHARED = Path(__file__).resolve().parents[3] / "shared/published"
FURTHER = SHARED.with_name("published-new")
ROOT = Path(__file__).resolve().parents[2]
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared with published tables")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("published")
    assert published.main([f"path={SHARED}", f"more={FURTHER}", f"out={out}"]) == 0
    return out


@pytest.fixture(scope="module")
def value(folder):
    table = pd.read_csv(folder / "yardsticks.csv").set_index(["source", "target", "method", "measure"])["value"]
    assert table.index.is_unique
    return lambda *key: table.loc[key]


@needs_shared
def test_layers_and_imagenet_on_the_controlled_bank(value):
    """Recomputed from the released tables, to 1e-6."""
    golden = {
        "layers": {
            "caltech101": (49.687846116, 0.759424310),
            "cifar10": (10.119156527, 0.060464295),
            "cub200": (70.860098132, 0.655388032),
            "nabird": (78.620523950, 0.724344962),
            "oxford_pets": (34.759088147, 0.533948227),
            "stanford_dogs": (61.491493501, 0.633277122),
            "voc2007": (62.734914482, 0.668936437),
            "mean6": (50.923034396, 0.561141158),
            "mean7": (52.610445837, 0.576540484),
            "mean": (52.610445837, 0.576540484),
        },
        "heuristic_released": {"mean6": (50.760013010, 0.530404471), "mean7": (52.466415036, 0.548345844)},
        "heuristic": {"mean6": (51.063633120, 0.521872747), "mean7": (52.758823545, 0.540563942)},
        "imagenet": {"mean6": (9.747267221, 0.265504689), "mean7": (10.863368376, 0.282725132)},
    }
    for method, targets in golden.items():
        for target, (pearson, tau) in targets.items():
            assert value("parc_controlled", target, method, "pearson") == pytest.approx(pearson, abs=1e-6)
            assert value("parc_controlled", target, method, "weighted_kendall") == pytest.approx(tau, abs=1e-6)
    assert value("parc_controlled", "mean6", "layers", "kendall") == pytest.approx(0.365094245, abs=1e-6)


@needs_shared
def test_layers_on_the_whole_bank_with_and_without_the_excluded(value):
    """Recomputed from the released tables."""
    for source, six, seven, tau in (
        ("parc_all", 12.126606847, 16.581590285, 0.213332374),
        ("parc_all_with_excluded", 7.648113376, 11.034691993, 0.212029190),
    ):
        assert value(source, "mean6", "layers", "pearson") == pytest.approx(six, abs=1e-6)
        assert value(source, "mean7", "layers", "pearson") == pytest.approx(seven, abs=1e-6)
        assert value(source, "mean", "layers", "weighted_kendall") == pytest.approx(tau, abs=1e-6)
    assert value("parc_all", "mean7", "imagenet", "pearson") == pytest.approx(6.361303693, abs=1e-6)


@needs_shared
@pytest.mark.parametrize(
    ("source", "target", "measure", "expected", "digits"),
    [  # recomputed from the published tables
        ("sfda_supervised", "mean", "weighted_kendall", 0.826, 3),
        ("sfda_supervised", "mean", "regret1", 0.08, 2),
        ("tllib", "mean", "weighted_kendall", 0.749, 3),
        ("tllib", "mean", "regret1", 0.34, 2),
        ("parc_controlled", "mean6", "pearson", 67.6, 1),
        ("parc_controlled", "mean6", "kendall", 0.49, 2),
        ("parc_controlled", "mean6", "regret1", 1.51, 2),
        ("parc_all", "mean6", "pearson", 53.0, 1),
        ("parc_all", "mean6", "kendall", 0.48, 2),
        ("parc_all", "mean6", "regret1", 0.45, 2),
        ("transfergraph_records_with_failed", "mean", "pearson", 75.5, 1),
        ("transfergraph_records_with_failed", "mean", "kendall", 0.317, 3),
        ("transfergraph_records_with_failed", "mean", "regret1", 10.2, 1),
    ],
)
def test_static_list_figures(value, source, target, measure, expected, digits):
    assert round(value(source, target, "static_list", measure), digits) == pytest.approx(expected)


@needs_shared
def test_supervised_cnns_by_size_and_source_accuracy(value):
    """estimators.md 4.3: weighted τ 0.654 of ImageNet top-1, 0.578 of parameters."""
    assert value("sfda_supervised", "mean", "source_accuracy", "weighted_kendall") == pytest.approx(0.654, abs=5e-4)
    assert value("sfda_supervised", "mean", "parameters", "weighted_kendall") == pytest.approx(0.578, abs=5e-4)


@needs_shared
def test_random_is_worth_nothing_and_loses_the_mean(folder, value):
    bank = banks.cnns(pd.read_csv(SHARED / "sfda_supervised.csv"), "sfda_supervised")
    assert abs(value("sfda_supervised", "mean", "random", "kendall")) < 0.03
    loss = (bank.truth.max(1) - bank.truth.mean(1)).mean()  # the expectation of a random pick
    assert value("sfda_supervised", "mean", "random", "regret1") == pytest.approx(loss, rel=0.1)


@needs_shared
def test_ground_truths_of_the_same_models_agree_only_so_far(folder):
    """Recomputed from the published tables."""
    table = pd.read_csv(folder / "agreement.csv")
    table = table[(table["first"] == "sfda_supervised") & (table["second"] == "tllib")]
    assert set(table["models"]) == {10}
    wide = table.pivot(index="target", columns="measure", values="value")
    assert len(wide) == 8 + 1
    assert wide.loc["mean", ["kendall", "weighted_kendall"]].round(2).tolist() == [0.56, 0.54]
    assert round(wide.loc["mean", "pearson"]) == 74
    assert wide.loc[["aircraft", "cars", "dtd"], "kendall"].round(2).tolist() == [0.33, 0.42, 0.45]
    assert wide["kendall"].drop("mean").mean() == pytest.approx(wide.loc["mean", "kendall"])


@needs_shared
def test_reported_correlations_that_do_not_follow_are_flagged(folder):
    table = pd.read_csv(folder / "reported.csv")
    page = table[table["source"] == "tllib"]
    assert len(page) == 64
    assert not page[page["target"].isin(["cifar10", "cifar100", "cars", "sun397"])]["flagged"].any()
    assert page[page["target"] == "pets"]["flagged"].all()
    row = page[(page["target"] == "pets") & (page["method"] == "leep") & (page["measure"] == "pearson")].iloc[0]
    rows = pd.read_csv(SHARED / "tllib.csv").query("`Target Dataset` == 'OxfordIIITPets'")
    assert row["recomputed"] == pytest.approx(rows["leep"].corr(rows["Accuracy"]))
    assert row["reported"] == -0.127


@needs_shared
def test_model_spiders_scores_against_other_accuracies(folder):
    """estimators.md 4.2, item 3."""
    table = pd.read_csv(folder / "methods.csv").query("target == 'mean' and measure == 'weighted_kendall'")
    found = table[table["source"] == "model_spider_scores × sfda_supervised"].set_index("method")["value"]
    expected = {"PACTranDirichlet": 0.701, "NLEEP": 0.634, "H-Score": 0.631, "LEEP": 0.522, "OTCE": 0.510}
    expected |= {"LogME": 0.508, "NCE": 0.455, "GBC": 0.400, "LFC": 0.207}
    assert found.round(3).to_dict() == expected


def records(accuracies):
    rows = [
        {"model": f"m{i}", "finetuned_dataset": t, "test_accuracy": a}
        for t, values in accuracies.items()
        for i, a in enumerate(values)
    ]
    models = pd.DataFrame({"model": ["m0"], "number_of_parameters": [5.0], "accuracy": ["0.9"]})
    return pd.DataFrame(rows), models


def test_failed_runs_are_left_out_by_the_stated_rule():
    runs = {"svhn": [0.9, 0.2, 0.21, 0.8], "pets": [0.9, 0.7, 0.8, 0.05], "food101": [0.01, 0.0099, 0.0198, 0.6]}
    bank = banks.transfergraph(*records(runs))
    assert bank.targets == ("pets", "svhn")  # three of four runs failed on food101
    np.testing.assert_allclose(bank.truth, [[90, 70, 80, np.nan], [90, np.nan, 21, 80]])
    assert "2 left out of 12" in bank.note and "food101 (4 runs, 75% failed)" in bank.note  # noqa: PT018
    assert np.isfinite(banks.transfergraph(*records(runs), clean=False).truth).all()
    np.testing.assert_allclose(bank.yardsticks["parameters"][:, 0], 5)
    assert np.isnan(bank.yardsticks["parameters"][:, 1:]).all()


@needs_shared
def test_cleaning_of_the_published_runs(value):
    bank = banks.transfergraph(*(pd.read_csv(SHARED / f"transfergraph_{n}.csv") for n in ("records", "models")))
    assert len(bank.targets) == 12 and "food101 (112 runs, 98% failed)" in bank.note  # noqa: PT018
    assert np.isfinite(bank.truth).sum() == 2253 - 112 - 17
    chance = np.array([sources.CLASSES[t] for t in bank.targets])
    assert (np.nanmin(bank.truth, 1) > 200 / chance).all()


def test_another_checksum_is_read_with_a_warning(tmp_path, capsys):
    table = pd.DataFrame({"Model": list("abcd"), "Target Dataset": "t", "Accuracy": [1.0, 2, 3, 4]})
    table = pd.concat([table, table.assign(**{"Target Dataset": "u"})])
    table.to_csv(tmp_path / "tllib.csv", index=False)
    assert published.main([f"path={tmp_path}", f"out={tmp_path / 'out'}"]) == 0
    assert "warning: tllib.csv has SHA-256" in capsys.readouterr().out
    found = pd.read_csv(tmp_path / "out/yardsticks.csv").set_index(["target", "method", "measure"])["value"]
    assert found["mean", "static_list", "pearson"] == pytest.approx(100)
    assert "Warning: tllib.csv has SHA-256" in (tmp_path / "out/published.md").read_text()
    assert published.main([f"path={tmp_path / 'out'}", f"out={tmp_path}"]) == 2
    assert "none of parc_controlled" in capsys.readouterr().err


def test_a_download_is_kept_only_with_its_checksum(tmp_path, monkeypatch):
    content, target = tmp_path / "served.csv", tmp_path / "kept"
    content.write_text("Architecture\n")
    good = hashlib.sha256(content.read_bytes()).hexdigest()
    for digest, kept in ((good, True), ("0" * 64, False)):
        source = published_tables.Source(digest, "here", "a test", content.as_uri())
        monkeypatch.setitem(sources.SOURCES, "parc_all", source)
        if kept:
            assert sources.fetch("parc_all", target).read_text() == "Architecture\n"
            (target / "parc_all.csv").unlink()
        else:
            with pytest.raises(ValueError, match="must have SHA-256 000"):
                sources.fetch("parc_all", target)
            assert not list(target.iterdir())
    with pytest.raises(ValueError, match="by hand"):
        sources.fetch("tllib", target)


@needs_shared
def test_the_committed_page_is_what_the_command_makes(folder):
    assert (ROOT / "results/published.md").read_text() == (folder / "published.md").read_text()


@needs_shared
@pytest.mark.parametrize(
    ("source", "tau"),  # stated with the tables: leave-one-target-out weighted τ of the models' mean elsewhere
    [("vtab_1000", 0.577), ("emms_vit", 0.769), ("medmnist_sources", 0.556), ("medmnist_architectures", 0.451)],
)
def test_static_lists_of_further_tables_are_those_stated_with_them(value, source, tau):
    assert value(source, "mean", "static_list", "weighted_kendall") == pytest.approx(tau, abs=5e-4)


@needs_shared
def test_runs_at_chance_are_left_out_of_the_large_table(value, folder):
    page = (folder / "published.md").read_text()
    assert value("transfergraph_best_with_chance", "mean", "static_list", "weighted_kendall") == pytest.approx(
        0.287, abs=5e-4
    )
    rows = pd.read_csv(FURTHER / "transfergraph_ftrecords_best.csv")
    chance = rows["target"].map(further_banks.CLASSES).rdiv(100 * further_banks.AT_CHANCE)
    assert f"At or below 1.2/classes, and left out: {(rows['accuracy'] <= chance).sum()} of {len(rows)}." in page


@needs_shared
def test_the_list_is_held_against_the_scores_of_the_medical_tables(folder):
    """medmnist_sources has 12 targets and scores on 11: both sides are means over the 11."""
    rows = pd.read_csv(folder / "list.csv").set_index(["source", "measure"])
    truth = pd.read_csv(FURTHER / "medmnist_sources.csv").pivot(index="target", columns="source", values="accuracy")
    listed = pd.DataFrame(measures.static_list(truth.to_numpy()), truth.index, truth.columns).drop("chestmnist")
    pearson = listed.corrwith(truth.drop("chestmnist"), axis=1).mean()
    assert rows.loc[("medmnist_sources", "pearson"), "list_value"] == pytest.approx(100 * pearson, abs=1e-6)
    assert rows.loc["medmnist_sources", "methods"].eq(8).all()
    assert set(rows.index.unique("source")) == {
        *("tllib", "model_spider_scores × tllib", "model_spider_scores × sfda_supervised"),
        *("medmnist_sources", "medmnist_architectures"),
    }


@needs_shared
def test_tables_that_repeat_or_extend_another_are_said_once(folder):
    page = (folder / "published.md").read_text()
    assert "sfda_supervised and emms_cnn give the same accuracies for the models that they share." in page
    agreed = pd.read_csv(folder / "agreement.csv")[["first", "second"]].drop_duplicates().to_numpy().tolist()
    assert ["transfergraph_records", "transfergraph_best"] in agreed
    assert ["emms_cnn", "tllib"] not in agreed
    assert all("ncti" not in second and "_with_" not in first + second for first, second in agreed)


@needs_shared
def test_imagenet_accuracies_of_the_hub_bank_are_those_that_timm_publishes():
    table = pd.read_csv(FURTHER / "timm_imagenet.csv")
    bank = yaml.safe_load((ROOT / "conf/bank/hub.yaml").read_text())
    stated = {
        name: further_banks.source_accuracy(table, model["weights"].removeprefix("timm:"), model["input_size"])
        for name, model in bank.items()
    }
    assert {name: model.get("source_accuracy") for name, model in bank.items()} == stated
    assert sum(accuracy is not None for accuracy in stated.values()) == 39


def test_a_cut_further_table_is_refused():
    long = pd.DataFrame({"model": list("abc"), "target": ["x", "y", "z"], "accuracy": [1.0, 2.0, 3.0]})
    with pytest.raises(
        ValueError, match=r"emms_vit must hold at least 8 models × 4 targets\. Got 3 × 3\. Was its file"
    ):
        further_banks.banks({"emms_vit": long})
