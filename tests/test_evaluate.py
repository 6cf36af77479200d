"""A stranger's own features and accuracies: same scores, same table, no PyTorch; and the page they are shown on."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

import methods
from benchmark import evaluate
from benchmark.config import compose
from benchmark.config.functions import MethodSpec
from benchmark.reporting import page
from benchmark.scoring import own_features
from benchmark.tables import columns
from tests.stranger import centroid_accuracy

ROOT = Path(__file__).resolve().parents[1]
TARGET = "Target Dataset"


def write_inputs(folder, models=8, targets=("birds", "pets")):
    rng, arrays, rows = np.random.default_rng(0), {}, []
    for target in targets:
        labels = arrays[f"{target}/labels"] = np.repeat(np.arange(4), 10)
        for i in range(models):
            skill = rng.uniform(0.3, 2.5)
            features = rng.normal(size=(40, 12)) + skill * np.eye(4, 12)[labels]
            arrays[f"{target}/net{i}/features"] = features.astype(np.float32)
            if i:
                arrays[f"{target}/net{i}/probs"] = rng.dirichlet(np.ones(5), 40)
            rows.append({"Model": f"net{i}", TARGET: target, "Oracle": 60 + 10 * skill, "Layers": 10 + i})
    np.savez(folder / "own.npz", **arrays)
    pd.DataFrame(rows).to_csv(folder / "own.csv", index=False)
    return arrays, pd.DataFrame(rows)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    arrays, truth = write_inputs(folder)
    argv = [f"features={folder}/own.npz", f"truth={folder}/own.csv", "method=[parc,knn,leep,random]", "html=true"]
    assert evaluate.main([*argv, f"out={folder}/out"]) == 0
    return folder, arrays, truth


def test_scores_are_the_methods_on_the_given_arrays(own):
    folder, arrays, truth = own
    scores = pd.read_csv(folder / "out/scores.csv").set_index(["Architecture", TARGET])
    for model, target in (("net1", "pets"), ("net5", "birds")):
        features, labels = arrays[f"{target}/{model}/features"], arrays[f"{target}/labels"]
        assert scores.loc[(model, target), "parc"] == pytest.approx(float(methods.parc(features, labels)), rel=1e-9)
        leep = float(methods.leep(arrays[f"{target}/{model}/probs"], labels))
        assert scores.loc[(model, target), "leep"] == pytest.approx(leep, rel=1e-9)
    assert scores["leep"].isna().sum() == 2  # net0 has no source head
    found = pd.read_csv(folder / "out/table.csv").set_index("method")
    wide = scores["parc"].unstack()
    oracle = truth.pivot(index="Model", columns=TARGET, values="Oracle").loc[wide.index]
    by_hand = np.mean([100 * np.corrcoef(wide[t], oracle[t])[0, 1] for t in oracle])
    assert found.loc["parc", "pearson"] == pytest.approx(by_hand)
    assert found.loc["parc", "pearson_low"] < by_hand < found.loc["parc", "pearson_high"]
    status = pd.read_csv(folder / "out/status.csv")
    assert set(status["Method"]) == {"leep"} and set(status["Status"]) == {"not_applicable"}  # noqa: PT018


def test_a_folder_and_safetensors_give_the_same(own, tmp_path):
    folder, arrays, _ = own
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, tmp_path / "own.safetensors")
    for target in ("birds", "pets"):
        for i in range(8):
            path = tmp_path / f"tree/{target}/net{i}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            given = {
                f: arrays[f"{target}/net{i}/{f}"] for f in ("features", "probs") if f"{target}/net{i}/{f}" in arrays
            }
            np.savez(path, labels=arrays[f"{target}/labels"], **given)
    expected = own_features.read(folder / "own.npz")
    for path in (tmp_path / "own.safetensors", tmp_path / "tree"):
        found = own_features.read(path)
        assert found.models.keys() == expected.models.keys()
        for target, named in expected.models.items():
            np.testing.assert_array_equal(found.labels[target], expected.labels[target])
            for model, given in named.items():
                assert found.models[target][model].keys() == given.keys()
                np.testing.assert_array_equal(found.models[target][model]["features"], given["features"])


def test_probe_sets_are_drawn_as_the_benchmark_draws_them(own):
    from benchmark.scoring.draws import draw

    folder, arrays, _ = own
    specs = compose.methods_named(["knn"])
    made = own_features.tables(
        own_features.read(folder / "own.npz"), own_features.read_truth(folder / "own.csv"), specs, 16, 3
    )
    assert made.scores["Images"].unique().tolist() == [16]
    assert sorted(made.scores["Run"].unique()) == [0, 1, 2]
    rows = draw(arrays["pets/labels"], 16, 2020 + 3037 * 2)
    value = float(methods.knn(arrays["pets/net3/features"][rows], arrays["pets/labels"][rows]))
    found = made.scores.query("Run == 2 and Model == 'net3'").set_index(TARGET)["knn"]
    assert found["pets"] == pytest.approx(value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.pop("pets/labels"), "pets/labels must be given"),
        (lambda a: a.update({"pets/net1/features": np.ones((3, 4))}), "pets/net1/features must be (40, …)"),
        (lambda a: a.update({"pets/net1/features": np.full((40, 2), np.nan)}), "pets/net1/features must be finite"),
        (lambda a: a.update({"pets/net1/feautres": np.ones((40, 2))}), "features must hold keys"),
        (lambda a: a.update({"pets/net1/features": np.array([{}] * 40)}), "must hold plain arrays"),
    ],
)
def test_malformed_input_is_a_sentence(own, tmp_path, capsys, change, words):
    folder, arrays, _ = own
    arrays = dict(arrays)
    change(arrays)
    np.savez(tmp_path / "bad.npz", **arrays)
    argv = [f"features={tmp_path}/bad.npz", f"truth={folder}/own.csv", "method=knn", f"out={tmp_path}/out"]
    assert evaluate.main(argv) == 2
    assert words in capsys.readouterr().err


def test_an_estimator_that_fails_is_told_and_the_exit_code_is_1(own, tmp_path, capsys, monkeypatch):
    folder, _, _ = own
    faulty = [MethodSpec(name=n, _target_=f"tests.misbehaving.{n}") for n in ("colourful", "wants_memory", "sound")]
    monkeypatch.setattr(evaluate, "methods_named", lambda *_: faulty)
    argv = [f"features={folder}/own.npz", f"truth={folder}/own.csv", f"out={tmp_path}/out", "method=parc"]
    assert evaluate.main(argv) == 1
    told = capsys.readouterr().err.splitlines()
    reason = r"ValueError: \x1b[31mred\x1b[0m"
    lead = "failed in 16 of 16 scores, first on net0 → birds, probe set 0."
    assert f"colourful {lead} It was given features (40, 12) float32, labels (40,) int64." in told
    assert told.count("Traceback (most recent call last):") == 1
    assert reason in told
    at = told.index(f"wants_memory {lead}")
    assert told[at + 1].startswith("there was not enough memory")
    assert pd.read_csv(tmp_path / "out/scores.csv")["sound"].notna().all()


def test_nothing_in_common_and_missing_columns_are_named(own, tmp_path, capsys):
    folder, _, truth = own
    truth.assign(Model="other-" + truth["Model"]).to_csv(tmp_path / "t.csv", index=False)
    argv = [f"features={folder}/own.npz", "method=knn", f"out={tmp_path}/out"]
    assert evaluate.main([*argv, f"truth={tmp_path}/t.csv"]) == 2
    assert "Got no pair in common" in capsys.readouterr().err
    truth.drop(columns="Oracle").to_csv(tmp_path / "t.csv", index=False)
    assert evaluate.main([*argv, f"truth={tmp_path}/t.csv"]) == 2
    assert "Oracle missing" in capsys.readouterr().err


def test_no_pytorch_is_needed(own, tmp_path):
    folder, _, _ = own
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name.split('.')[0] in ('torch', 'timm', 'torchvision'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "from benchmark import evaluate\n"
        "sys.exit(evaluate.main(sys.argv[1:]))\n"
    )
    argv = [f"features={folder}/own.npz", f"truth={folder}/own.csv", "method=[parc,leep]", f"out={tmp_path}"]
    done = subprocess.run([sys.executable, "-c", code, *argv], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert columns.read(tmp_path / "table.csv")["method"].tolist()[0] == "parc"


# the page


def test_the_page_is_whole_and_repeats_to_the_byte(own, tmp_path):
    folder, _, _ = own
    pytest.importorskip("plotly", reason="plotly is not installed")
    from benchmark import report

    text = (folder / "out/report.html").read_text()
    assert not re.search(r'(?:src|href)="(?!data:)', text.split("<script>")[0])
    assert text.count("<script>") == 3
    data = json.loads(re.search(r'type="application/json">(.*?)</script>', text, re.S)[1])
    table = pd.read_csv(folder / "out/table.csv").set_index("method")
    assert data["mean"]["parc"] == pytest.approx(table.loc["parc", "pearson"], rel=1e-5)
    scores = pd.read_csv(folder / "out/scores.csv").set_index(["Architecture", TARGET])["parc"]
    t, m = data["targets"].index("pets"), data["models"].index("net2")
    assert data["scores"]["parc"][t][m] == pytest.approx(scores["net2", "pets"], rel=1e-5)
    row = re.search(r'<tr class="yardstick"><th scope="row">static_list</th>(.*?)</tr>', text)[1]
    assert row.count('data-value=""') >= 2  # ℓ, the specific and the partial correlation are not a yardstick's
    assert "Supported differences" in text and "@inproceedings{bolya2021scalable" in text  # noqa: PT018
    shutil.copytree(folder / "out", tmp_path / "again")
    (tmp_path / "again/report.html").unlink()
    assert report.main([f"path={tmp_path}/again", "html=true"]) == 0
    assert (tmp_path / "again/report.html").read_text() == text


def test_names_cannot_break_out_of_the_page(tmp_path):
    rows = [{"Run": 0, "Architecture": f"n{i}</script><b>", "Source Dataset": "s", TARGET: "t<i>"} for i in range(5)]
    from benchmark.reporting import report as reporting_report

    scores = pd.DataFrame(rows).assign(**{"<script>alert(1)</script>": np.arange(5.0)})
    truth = pd.DataFrame(rows).drop(columns="Run").assign(Oracle=[50.0, 60, 55, 70, 80])
    text = page.page(reporting_report.build(scores, truth), {"command": ["</script>"]}, "/* plotly */")
    assert text.count("<script>") == 3 and text.count("</script>") == 4  # noqa: PT018
    assert "<b>" not in text.split("<script>")[0]


def test_probe_size_curves_come_from_a_sweep():
    frame = pd.DataFrame(
        {"pearson": [10.0, 30, 20, 5]}, index=["a @ probe.size=100", "a @ probe.size=1000", "a @ probe.size=500", "b"]
    )
    assert page._sizes(list(frame.index), frame) == {"a": [[100, 10.0], [500, 20.0], [1000, 30.0]]}


def test_methods_of_a_folder_of_ones_own_configuration(own, tmp_path, capsys):
    folder, arrays, _ = own
    (tmp_path / "conf/method").mkdir(parents=True)
    entry = "# @package method\nmine:\n  _target_: methods.knn\n  k: 3\n"
    (tmp_path / "conf/method/mine.yaml").write_text(entry)
    argv = [f"features={folder}/own.npz", f"truth={folder}/own.csv", "method=mine", f"out={tmp_path}/out"]
    assert evaluate.main([*argv, f"--config-dir={tmp_path}/conf"]) == 0
    scores = pd.read_csv(tmp_path / "out/scores.csv").set_index(["Architecture", TARGET])
    expected = float(methods.knn(arrays["pets/net1/features"], arrays["pets/labels"], k=3))
    assert scores.loc[("net1", "pets"), "mine"] == pytest.approx(expected, rel=1e-9)
    capsys.readouterr()
    for more, words in (([], "method must be one of its options. Got 'mine'."), (["--config-dir=no"], "Got ")):
        assert evaluate.main([*argv, *more]) == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1
        assert words in said


def test_an_estimator_of_ones_own_is_named_on_the_command_line(own, tmp_path, capsys):
    folder, arrays, _ = own
    argv = [f"features={folder}/own.npz", f"truth={folder}/own.csv", "method=[parc,knn]", f"out={tmp_path}/out"]
    mine = "+method.mine._target_=tests.stranger.centroid_accuracy"
    assert evaluate.main([*argv, mine, "method.knn.k=3", "focal=mine"]) == 0
    shown = capsys.readouterr().out
    assert "own features: mine against all others" in shown
    scores = pd.read_csv(tmp_path / "out/scores.csv").set_index(["Architecture", TARGET])
    features, labels = arrays["pets/net1/features"], arrays["pets/labels"]
    assert scores.loc[("net1", "pets"), "mine"] == pytest.approx(centroid_accuracy(features, labels))
    assert scores.loc[("net1", "pets"), "knn"] == pytest.approx(float(methods.knn(features, labels, k=3)))
    assert "parc" in scores
    for wrong, words in (
        (["+method.mine._target_=tests.stranger.no_such"], "must name a function of 'tests.stranger'"),
        (["+method.mine.k=3"], "method.mine._target_ must be given"),
        (["method=[]"], "method must name at least one"),
        ([mine, "focal=yours"], "focal must name methods of this table. Got yours."),
        (["target.digits.size=3"], "target.digits.size must be a known key"),
    ):
        assert evaluate.main([*argv, *wrong]) == 2
        assert words in capsys.readouterr().err


def test_images_of_the_source_are_given_with_their_labels(own, tmp_path, capsys):
    """A model without them is named as lacking them; half of them, or columns of another layer, are refused."""
    folder, arrays, _ = own
    rng = np.random.default_rng(3)
    features = arrays["pets/net1/features"] + rng.normal(size=(40, 12))
    source = {"source_features": features[:30], "source_labels": np.arange(30) % 5}
    given = arrays | {f"pets/net1/{name}": array for name, array in source.items()}
    np.savez(tmp_path / "with.npz", **given)
    argv = [f"truth={folder}/own.csv", "method=[f_otce,parc]", f"out={tmp_path}/out"]
    assert evaluate.main([f"features={tmp_path}/with.npz", *argv]) == 0
    scores = pd.read_csv(tmp_path / "out/scores.csv").set_index(["Architecture", TARGET])["f_otce"].dropna()
    expected = methods.f_otce(arrays["pets/net1/features"], arrays["pets/labels"], **source)
    assert scores.to_dict() == {("net1", "pets"): pytest.approx(float(expected), rel=1e-9)}
    status = pd.read_csv(tmp_path / "out/status.csv")
    assert set(status["Reason"]) == {"no images of the model's source are given (source_images in its bank)"}
    for change, words in (
        ({"source_labels": None}, "source_labels must be given beside"),
        ({"source_features": source["source_features"][:, :5]}, "as many columns as its features, 12. Got 5"),
    ):
        wrong = {f"pets/net1/{k}": v for k, v in (source | change).items() if v is not None}
        np.savez(tmp_path / "wrong.npz", **(arrays | wrong))
        assert evaluate.main([f"features={tmp_path}/wrong.npz", *argv]) == 2
        assert words in capsys.readouterr().err
