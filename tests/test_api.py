"""The Python interface: what the commands do, without their configuration language; every example of docs/api.md."""

import doctest
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark import api, correlate, evaluate, load_results, results, run
from benchmark import evaluate as command
from benchmark.errors import ConfigError
from tests.running import environment
from tests.scripts.test_estimator_docs import script
from tests.stranger import centroid_accuracy
from tests.test_evaluate import write_inputs

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "api.md"
SECTIONS = dict(re.findall(r"^##+ (\S+.*?)\n(.*?)(?=^##+ |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL))
LONG = ("run", "rank")
MINE = "def my_score(features, labels):\n    return float(features.var())\n"


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == script("api_docs").page(), "run python scripts/results/api_docs.py"


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n, text in SECTIONS.items() if ">>>" in text],
)
def test_every_example_of_the_page_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    (tmp_path / "my_package.py").write_text(MINE)
    photographs(tmp_path / "path/to/images") if name == "rank" else None
    blocks = re.findall(r"^```python\n(>>>.*?)^```", SECTIONS[name], re.MULTILINE | re.DOTALL)
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, name, str(PAGE), 0)
    assert example.examples
    said = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example, out=said.append)
    assert not said, "".join(said)


def photographs(folder):
    from PIL import Image

    rng = np.random.default_rng(0)
    for c, shade in (("a", 60), ("b", 180)):
        (folder / c).mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(rng.normal(shade, 40, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / c / f"{i}.png")


def test_importing_the_package_imports_nothing_else():
    code = "import sys, benchmark; print([m for m in ('pandas', 'numpy', 'hydra', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_commands_module_is_the_function_of_its_name():
    import benchmark
    import benchmark.rank

    for name in ("correlate", "evaluate", "run"):
        module = getattr(benchmark, name)
        assert inspect.signature(module) == inspect.signature(getattr(api, name))
        assert callable(module.main)
    assert inspect.signature(benchmark.rank) == inspect.signature(benchmark.rank.rank)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = benchmark.nothing


def test_evaluate_says_what_its_command_says(tmp_path):
    arrays, truth = write_inputs(tmp_path)
    argv = [f"features={tmp_path}/own.npz", f"truth={tmp_path}/own.csv", "method=[parc,knn]", f"out={tmp_path}/out"]
    assert command.main([*argv, "+method.mine._target_=tests.stranger.centroid_accuracy", "focal=mine"]) == 0
    written = pd.read_csv(tmp_path / "out/table.csv").set_index("method")
    given = (arrays, truth, ["parc", "knn"])
    report = evaluate(*given, own={"mine": centroid_accuracy}, focal=["mine"], out=tmp_path / "again")
    summary = report.summary.set_index("method")
    for column in ("pearson", "kendall", "pearson_low", "regret1"):
        np.testing.assert_allclose(summary[column], written.loc[summary.index, column], rtol=1e-9)
    assert (tmp_path / "again/table.tex").read_text() == (tmp_path / "out/table.tex").read_text()
    alone = evaluate(f"{tmp_path}/own.npz", f"{tmp_path}/own.csv", {"mine": centroid_accuracy}, resamples=50)
    assert alone.summary.set_index("method").at["mine", "pearson"] == pytest.approx(summary.at["mine", "pearson"])


def test_what_cannot_be_used_is_said(tmp_path):
    arrays, truth = write_inputs(tmp_path)
    for given, words in (
        (dict(methods={"mine": 3}), "method mine must be a function. Got 3"),
        (dict(methods={"mine": lambda features, weight: 0.0}), "weight must be given"),
        (dict(methods=["knn"], own={"knn": centroid_accuracy}), "methods must have names of their own"),
        (dict(methods=["knnn"]), "Did you mean 'knn'"),
        (dict(methods=["knn"], focal=["parc"]), "focal must name methods of this table"),
    ):
        with pytest.raises(ConfigError, match=re.escape(words)):
            evaluate(arrays, truth, **given)
    with pytest.raises(ConfigError, match=r"own\['mine'\] must be a function that can be imported"):
        run("demo", own={"mine": lambda features: 0.0})
    with pytest.raises(ConfigError, match=r"results must be a folder.*one of .*diverse.*Did you mean 'diverse'"):
        load_results("diversee")
    with pytest.raises(ConfigError, match="scores must have the columns"):
        correlate(pd.DataFrame({"Model": ["a"]}), truth)


def test_the_callers_tables_stay_as_they_are():
    held = load_results("diverse")
    scores, truth = held.scores.copy(), held.truth.copy()
    correlate(held.scores, held.truth, resamples=20)
    pd.testing.assert_frame_equal(held.scores, scores)
    pd.testing.assert_frame_equal(held.truth, truth)


def test_results_are_the_committed_tables_with_empty_scores_left_out():
    held = load_results(ROOT / "results" / "diverse")
    assert held.name == "results/diverse"
    assert set(results.names()) >= {"diverse", "diverse_all", "small", "rank", "demo_all"}
    file = pd.read_csv(ROOT / "results/diverse/scores.csv")
    np.testing.assert_allclose(held.scores["hscore"], file["hscore"])  # 670 degenerate ones are empty
    assert held.scores["hscore"].isna().sum() == 670
    assert held.methods == [c for c in file if c not in file.columns[:4]]
    mean = held.seeds.groupby(["Model", "Target Dataset"])["Oracle"].mean()
    truth = held.truth.set_index(["Model", "Target Dataset"])["Oracle"]
    np.testing.assert_allclose(mean.loc[truth.index], truth)


def test_features_are_those_of_the_cells_or_a_sentence_says_how_to_get_them(finished):
    from benchmark.cells.store import Store

    held = load_results(finished / "out")
    model = held.truth["Model"].iloc[0]
    frame = held.features("tiny", model, cache=finished / "cache")
    cells = [Store(finished / "cache").read("probe", p.name) for p in (finished / "cache/probe").iterdir()]
    (own,) = [
        c.arrays for c in cells if np.array_equal(c.arrays["features"], frame[range(c.arrays["features"].shape[1])])
    ]
    np.testing.assert_array_equal(frame["label"], own["labels"])
    np.testing.assert_array_equal(frame.index, own["image_ids"])
    np.testing.assert_array_equal(np.flatnonzero(frame["draw_1"]), np.sort(own["draw_1"]))
    with pytest.raises(ConfigError, match=r"features of trained on tiny must be released, or in 'none'. Got neither"):
        held.features("tiny", "trained", cache="none")
    with pytest.raises(ConfigError, match=r"trainde must be among what .* holds. Did you mean 'trained'"):
        held.features("tiny", "trainde")


@pytest.mark.slow
def test_the_notebook_runs(tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    shutil.copy(ROOT / "examples" / "my_estimator.ipynb", tmp_path)
    book = nbformat.read(tmp_path / "my_estimator.ipynb", as_version=4)
    client = nbclient.NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert len(code) > 4
    assert all(cell.execution_count for cell in code)
