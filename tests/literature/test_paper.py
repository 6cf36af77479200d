"""The paper's tables: its figures as they stand, rows mapped to methods, numbers beside, verdicts by their rule."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmark import paper
from benchmark.config import compose
from benchmark.literature import claims, paper_folder, paper_tables
from benchmark.reporting.folder import write
from benchmark.stats import correlations
from benchmark.tables import columns

TARGET = "Target Dataset"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A made-up run on four of the paper's architectures, whose scores follow the accuracy more or less closely."""
    rng, rows = np.random.default_rng(0), []
    layers = {"resnet50": 50, "resnet18": 18, "googlenet": 22, "alexnet": 8}
    for target in ("oxford_pets", "leaves", "cifar10"):
        for architecture, depth in layers.items():
            for source in "pqrst":
                accuracy = 60 + depth / 5 + 8 * rng.normal()
                row = {"Architecture": architecture, "Source Dataset": source, TARGET: target, "Oracle": accuracy}
                for run in range(2):
                    noise = {"parc": 12, "parc_f32": 1, "knn": 4, "leep": 40, "rsa": 6, "rsa_f64": 6, "logistic": 5}
                    score = {m: accuracy + sd * rng.normal() for m, sd in noise.items()}
                    rows.append({"Run": run, **row, **score})
    whole = pd.DataFrame(rows)
    truth = whole[whole["Run"] == 0][["Architecture", "Source Dataset", TARGET, "Oracle"]]
    scores = whole.drop(columns="Oracle")
    keys = ["Run", "Architecture", "Source Dataset", TARGET]
    timings = scores[keys].assign(
        Stage="score", Method="parc", Seconds=None, **{"Milliseconds Alone": 2.0 + scores["Run"]}
    )
    out = tmp_path_factory.mktemp("paper")
    tables = {"scores": scores, "truth": truth, "seeds": truth.assign(Seed=0), "status": pd.DataFrame()}
    write(SimpleNamespace(**tables, timings=timings), out / "run", quiet=True)
    sized = scores[keys].copy()
    for method in ("knn", "parc_f32"):
        for n, sd in ((100, 30), (500, 2)):
            sized[f"{method} @ probe.size={n}"] = scores[method] + sd * rng.normal(size=len(scores))
    tables |= {"scores": sized, "timings": pd.DataFrame()}
    write(SimpleNamespace(**tables), out / "sizes", quiet=True)
    return out


@pytest.fixture(scope="module")
def run(folder):
    return paper_tables.load(folder / "run")


def test_published_rows_add_up_to_their_printed_means():
    """All 98 rows of Tables S1-S4: the mean of six targets is the printed mean up to rounding."""
    table = pd.read_csv(paper_tables.FIGURES, dtype={"table": str, "column": str})
    assert not table.duplicated(["table", "row", "column"]).any()
    per_target = table[table["table"].isin(["S1", "S2", "S3", "S4"])]
    wide = per_target.pivot(index=["table", "row"], columns="column", values="value")
    assert wide.shape == (98, 7)
    assert (wide.drop(columns="mean").mean(axis=1) - wide["mean"]).abs().max() < 0.101


def test_published_figures_agree_between_tables():
    figures = paper_tables.published()
    assert figures["4", "PARC +l, f=32", "mean"][0] == 70.3 == round(figures["S5", "PARC f=32", "z-score"][0], 1)
    for row, other in (("1-NN CV", "1-NN CV"), ("Logistic", "Logistic"), ("NCE", "NCE"), ("H-Score", "HScore")):
        assert figures["1", row, "mean"] == figures["S1", other, "mean"]
        assert figures["2", row, "source & arch"] == figures["1", row, "mean"]
    for row in ("LEEP", "NCE", "1-NN CV", "Logistic", "RSA R-50", "DDS R-50"):
        assert figures["3", row, "+l"] == figures["S3", row, "mean"]
    assert figures["S-fig2a", "PARC +l f=32", "500"][0] == pytest.approx(70.28, abs=0.02)  # digitising accuracy


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("PARC +l, f=32", ("parc_f32", True)),
        ("1-NN CV", ("knn", False)),
        ("5-NN (split)", ("knn_k5_split", False)),
        ("HScore f=16", ("hscore_f16", False)),
        ("H-Score +l f=32", ("hscore_f32", True)),
        ("RSA ResNet-50", ("rsa", False)),
        ("RSA R-50 +l f=64", ("rsa_f64", True)),
        ("DDS", ("dds", False)),
        ("RSA AlexNet", ("", False)),  # the reference network of that row was not run
    ],
)
def test_rows_name_methods(row, expected):
    assert paper_tables.column_of(row) == expected


def test_every_row_has_a_method_in_the_experiment():
    composed = compose.compose(["experiment=paper_mini"])
    wanted = {paper_tables.column_of(row)[0] for table, row, _ in paper_tables.published() if table[0] != "5"} - {""}
    assert wanted <= set(composed["method"])
    assert len(composed["bank"]) == 28
    assert len(composed["target"]) == 6
    for name, entry in composed["method"].items():
        if name.rpartition("_f")[2].isdigit():
            assert entry["n_dims"] == int(name.rpartition("_f")[2]), name


def test_figures_stand_beside_the_published_ones(run):
    table = paper_tables.records(run).set_index(["table", "row", "column"])
    at = table.loc[("1", "1-NN CV", "mean")]
    assert at["ours"] == pytest.approx(run.found.mean("knn"), abs=1e-6)
    assert (at["paper"], at["paper_sd"]) == (60.8, 1.2)
    assert at["difference"] == pytest.approx(at["ours"] - 60.8, abs=1e-5)
    assert table.loc[("3", "LEEP", "+l"), "ours"] == pytest.approx(run.found.mean("leep", capacity="pooled"), abs=1e-6)
    assert table.loc[("1", "RSA AlexNet", "mean")].isna()["ours"]
    assert table.loc[("S1", "PARC", "oxford_pets"), "paper"] == 54.2  # a target that both have
    assert np.isnan(table.loc[("S1", "PARC", "leaves"), "paper"])
    assert ("S1", "PARC", "nabird") not in table.index
    assert table.loc[("4", "1-NN CV +l", "ms")].isna()["ours"]
    assert np.isnan(table.loc[("4", "PARC f=32", "ms"), "ours"])
    assert table.loc[("4", "PARC", "ms"), "ours"] == pytest.approx(2.5)
    modes = correlations.evaluation_modes(run.scores, run.truth).set_index(["method", "mode"])
    expected = modes.loc[("rsa", "target dataset"), "mean"]
    assert table.loc[("2", "RSA R-50", "target dataset"), "ours"] == pytest.approx(expected, abs=1e-6)


def test_released_forms_stand_beside_the_definitions(run, tmp_path):
    scores = run.scores.assign(parc_f32_released=run.scores["knn"])
    again = paper_tables.Run(scores, run.truth, correlations.correlate(scores, run.truth), run.times)
    table = paper_tables.records(again).set_index(["table", "row", "column"])
    before = paper_tables.records(run).set_index(["table", "row", "column"])
    row = "PARC +l, f=32 (as released)"
    assert table.loc[("4", row, "mean"), "ours"] == pytest.approx(again.mean("knn", "pooled")[0], abs=1e-6)
    assert table.loc[("4", row, "mean"), "paper"] == 70.3
    pd.testing.assert_frame_equal(table.loc[before.index], before)
    added = table.index.difference(before.index).get_level_values("row")
    assert len(added) and added.str.endswith(paper_tables.AS_RELEASED).all()  # noqa: PT018
    paper_folder.write(again, tmp_path, Path("official"))
    text = (tmp_path / "paper.md").read_text()
    assert "accuracies are the release's (20 models, 3 targets)" in text


def test_ways_to_add_layers_by_hand(run):
    table = paper_tables.records(run).set_index(["table", "row", "column"])["ours"]
    score = run.scores["knn"]
    layers = run.scores["Architecture"].map(columns.PAPER_LAYERS) / 50
    scaled = (score - score.min()) / (score.max() - score.min())
    keys = run.scores[["Run", "Architecture", "Source Dataset", TARGET]]
    for column, share in (("min-max", 1), ("min-max/4", 0.25)):
        by_hand = correlations.correlate(keys.assign(x=scaled + share * layers), run.truth).mean("x")
        assert table["S5", "1-NN CV", column] == pytest.approx(by_hand, abs=1e-6)
    assert table["S5", "1-NN CV", "z-score"] == table["3", "1-NN CV", "+l"]


def test_relative_accuracy_by_hand(run):
    table = paper_tables.records(run).set_index(["table", "row", "column"])["ours"]
    joined = run.scores.merge(run.truth)
    values = []
    for _, cell in joined.groupby(["Run", TARGET]):
        top = cell.nlargest(3, "knn")["Oracle"]
        values.append(100 * top.mean() / cell["Oracle"].max())
    assert table["S7", "1-NN CV", "k=3"] == pytest.approx(np.mean(values), abs=1e-5)
    assert table["S7", "1-NN CV", "k=1"] >= table["S7", "1-NN CV", "k=3"] - 20


def test_the_times_of_figure_s2b_are_those_of_the_forms_that_are_compared_with_it():
    """Its times at 500 images stand in the tables beside the forms with f, not beside the plain ones."""
    paper = paper_tables.published()
    for row, form in (("RSA", "RSA R-50 f=64"), ("DDS", "DDS R-50 f=64"), ("H-Score", "H-Score f=32")):
        assert paper["S-fig2b", row, "500"][0] == pytest.approx(paper["2b", form, "ms"][0], abs=0.7)
        assert paper_tables.CHOSEN_DIMS[paper_tables.column_of(row)[0]] == paper_tables.column_of(form)[0]
    assert paper["S-fig2b", "PARC", "500"][0] == paper["4", "PARC f=32", "ms"][0]


def test_claims_on_probe_size_show_each_methods_own_figures(run, folder):
    found = claims.claims(run, paper_tables.load(folder / "sizes"), 100).set_index("claim")["paper"]
    assert found["More probe images help PARC f=32 (+ℓ)"] == "65.5 to 71.5 from 100 to 5,000"
    assert found["More probe images help 1-NN (+ℓ)"] == "64.2 to 69.8 from 100 to 5,000"
    assert found["More probe images help Logistic (+ℓ)"] == "63.8 to 71.1 from 100 to 5,000"


def test_the_size_of_probe_sets_is_said(run):
    def said(scores):
        return paper_tables.Run(scores, run.truth, run.found, run.times).probe_images

    assert said(run.scores.assign(Images=500)) == "A probe set has 500 images here, 500 in the paper."
    uneven = run.scores.assign(Images=[72, *[260] * (len(run.scores) - 1)])
    assert said(uneven) == "A probe set has 72 to 260 images here, 500 in the paper."
    assert "not recorded" in said(run.scores.drop(columns="Images", errors="ignore"))


def test_claims_follow_their_rule(run, folder):
    found = claims.claims(run, paper_tables.load(folder / "sizes"), 500).set_index("claim")
    assert found.loc["PCA helps PARC", "verdict"] == "seen"  # parc_f32 was made to follow the accuracy more closely
    row = found.loc["PCA helps PARC"]
    assert row["difference"] == pytest.approx(run.found.mean("parc_f32") - run.found.mean("parc"), abs=1e-5)
    assert row["low"] > 0
    assert found.loc["LEEP fails on a diverse bank, 1-NN does not", "verdict"] == "seen"
    assert found.loc["PCA helps DDS", "verdict"] == "not measured"
    assert found.loc["More probe images help 1-NN (+ℓ)", "verdict"] == "seen"
    known = found.dropna(subset="low")
    rule = np.where(known["low"] > 0, "seen", np.where(known["high"] < 0, "the opposite", "undecided"))
    assert (known["verdict"] == rule).all()


def test_command_writes_tables_figures_and_claims_the_same_twice(folder, tmp_path, capsys):
    argv = [f"path={folder / 'run'}", f"sizes={folder / 'sizes'}"]
    for name in "ab":
        assert paper.main([*argv, f"out={tmp_path / name}"]) == 0
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in "ab")
    assert {"paper.csv", "paper.md", "claims.md", "claims.csv", "tableS4.tex", "pca.png", "sizes.png"} <= set(first)
    assert all(first[n] == second[n] for n in first if n not in ("paper.md",))  # that one names its folder
    text = first["paper.md"].decode()
    for title in ("Table 1.", "Table 2.", "Figure 2b.", "Table 3.", "Table 4.", "Table 5.", "Table S7."):
        assert f"**{title}" in text or title == "Table 5."
    assert "no run of a crowd-sourced bank was given" in text
    assert "seen         PCA helps PARC" in capsys.readouterr().out
    assert paper.main([f"path={tmp_path}/nowhere"]) == 2
