"""Whole runs of the tiny experiment: sweeps, strangers' code and data, warm starts, verification, tracking."""

import json
import os
import shutil
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.reporting import tracking
from tests.running import ROOT, here, records, run, tables, values

RECORDER = """
    import atexit, os, sys
    def _write():
        with open(os.path.join(os.environ["MODULES"], str(os.getpid())), "w") as file:
            file.write("\\n".join(sys.modules))
    atexit.register(_write)
"""


def module(folder: Path, name: str, code: str) -> Path:
    """A stranger's module in a folder; returns the folder."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(textwrap.dedent(code))
    return folder


def path_to(*folders: Path) -> str:
    """A PYTHONPATH that has these and the project."""
    return os.pathsep.join(map(str, (*folders, ROOT)))


def recorded(folder: Path) -> dict[str, str]:
    """An environment in which each process leaves the names of the modules that it imported."""
    (folder / "modules").mkdir()
    path = path_to(module(folder / "recorder", "sitecustomize", RECORDER))
    return {"PYTHONPATH": path, "MODULES": str(folder / "modules")}


def imported(folder: Path) -> list[set[str]]:
    return [set(p.read_text().split("\n")) for p in (folder / "modules").iterdir()]


def scores(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "out" / "scores.parquet").sort_values(["Run", "Model"], ignore_index=True)


def test_a_warm_run_computes_nothing_and_imports_no_deep_learning(finished, copied):
    before = records(copied)
    warm = run(copied, **recorded(copied))
    assert warm.returncode == 0, warm.stderr
    (modules,) = imported(copied)  # one process: no worker was started
    assert "benchmark.run" in modules or "benchmark.tables" in modules
    assert not modules & {"torch", "timm", "torchvision"}
    assert records(copied) == before
    assert tables(copied) == tables(finished)


def test_a_sweep_ends_in_one_table(finished, copied):
    before = records(copied)
    swept = here(copied, "-m", "method=parc,knn", "probe.size=10,20")
    assert swept.returncode == 0, swept.stderr
    table, once = scores(copied), scores(finished)
    columns = [f"{m} @ probe.size={n}" for m in ("parc", "knn") for n in (10, 20)]
    assert set(columns) <= set(table.columns)
    assert len(table) == 3 * 2  # models × draws: the points share their rows
    for method in ("parc", "knn"):
        np.testing.assert_array_equal(table[f"{method} @ probe.size=20"], once[method])
    correlations = pd.read_csv(copied / "out" / "correlations.csv")
    assert set(columns) <= set(correlations["method"])
    new = records(copied).keys() - before.keys()
    assert sorted(k.split("/")[0] for k in new) == ["probe"] * 3 + ["score"] * 6
    assert (copied / "out" / "truth.csv").read_bytes() == (finished / "out" / "truth.csv").read_bytes()
    assert list((copied / "work").iterdir()) == []


def test_a_sweep_over_a_methods_parameter_gets_a_column_each(finished, copied):
    swept = run(copied, "-m", "method.knn.k=1,19", **recorded(copied))
    assert swept.returncode == 0, swept.stderr
    table, once = scores(copied), scores(finished)
    assert {"parc", "knn @ k=1", "knn @ k=19"} <= set(table.columns)
    np.testing.assert_array_equal(table["knn @ k=1"], once["knn"])
    np.testing.assert_array_equal(table["parc"], once["parc"])
    assert (table["knn @ k=19"] == 0).all()  # two images a class: all others outvote the one of one's own
    assert not set.union(*imported(copied)) & {"torch", "timm"}  # scoring needs none, in workers too


def test_a_strangers_method_needs_no_change_here(finished, copied):
    code = """
        def size(features, labels, factor=1.0):
            return factor * len(labels)

        def broken(features, model):
            raise ArithmeticError("no such thing")

        def rarely(features, seed):
            if seed == 1010:
                raise ArithmeticError("not \\x1b[1mhere")
            return 1.0

        def dies(features):
            import os
            os.abort()
    """
    mine = ("+method.mine._target_=stranger.size", "+method.mine.factor=0.5", "+method.mine.timeout=60")
    theirs = [
        f"+method.{n}._target_=stranger.{f}" for n, f in (("bad", "broken"), ("rare", "rarely"), ("dead", "dies"))
    ]
    done = run(copied, *mine, *theirs, PYTHONPATH=path_to(module(copied / "theirs", "stranger", code)))
    assert done.returncode == 1, done.stderr
    told = done.stderr
    assert told.count("Traceback") == 1
    assert "\nbad failed in 6 of 6 scores, first on trained → tiny, probe draw 0. It was given features (20, " in told
    assert ", model {parameters, feature_dim, target_size, " in told
    assert "\nArithmeticError: no such thing\n" in told
    assert "\nrare failed in 3 of 6 scores, first on trained → tiny, probe draw 0: ArithmeticError: not " in told
    assert "\x1b" not in told
    assert "dead trained → tiny: its process died (Aborted) at stranger.py, line 15, in dies (probe draw 0)" in told
    (kept,) = {line.rpartition(" in ")[2].rstrip(".") for line in told.splitlines() if line.startswith("rare ")}
    assert "in rarely" in json.loads(Path(kept).read_text())["failure"]["traceback"]
    table = scores(copied)
    assert (table["mine"] == 10.0).all()  # half of probe.size=20
    np.testing.assert_array_equal(table["parc"], scores(finished)["parc"])
    assert table["bad"].isna().all()
    status = pd.read_csv(copied / "out" / "status.csv")
    bad = status[status["Method"] == "bad"]
    assert len(bad) == 6
    assert set(bad["Status"]) == {"failed"}
    assert set(bad["Reason"]) == {"ArithmeticError: no such thing"}


def test_a_strangers_method_may_take_the_network_and_the_images(finished, copied):
    """Beside the project's own look: a file of the user's, named in the command, is all that there is to it."""
    code = """
        import torch

        def loss_at_start(network, images, labels):
            with torch.inference_mode():
                outputs = network.eval()(images.batch(range(len(images))))
            return -float(torch.nn.functional.cross_entropy(outputs, torch.tensor(labels)))
    """
    before = records(copied)
    mine = "+method.mine._target_=stranger_of_networks.loss_at_start"
    looking = ("method=[parc,knn,look]", "method.look.steps=4", mine)
    done = here(copied, *looking, code=module(copied / "theirs", "stranger_of_networks", code))
    assert done.returncode == 0, done.stderr
    table, once = scores(copied), scores(finished)
    for method in ("parc", "knn"):
        np.testing.assert_array_equal(table[method], once[method])
    assert np.isfinite(table["look"]).all()
    np.testing.assert_allclose(table["mine"], -np.log(10), atol=0.1)  # a new head knows nothing of ten classes
    new = records(copied).keys() - before.keys()
    assert sorted(k.split("/")[0] for k in new) == ["score"] * 6  # two methods, three models
    times = pd.read_csv(copied / "out" / "times.csv").set_index("method")
    assert times.loc["look", "milliseconds"] > times.loc["parc", "milliseconds"]


def test_models_of_one_specification_share_cells_and_each_have_rows(finished, copied):
    before = records(copied)
    done = here(copied, "+bank.twin=${bank.random}")
    assert done.returncode == 0, done.stderr
    assert records(copied) == before
    truth = pd.read_parquet(copied / "out" / "truth.parquet").set_index("Model")["Oracle"]
    assert truth["twin"] == truth["random"]
    table = scores(copied)
    own = {m: rows["parc"].tolist() for m, rows in table.groupby("Model")}
    assert own["twin"] == own["random"]
    assert set(truth.index) == {"trained", "random", "vit", "twin"}


def parquet(path: Path, per_class: int = 20, classes: int = 3) -> None:
    """Noisy squares in one colour a class, as a Hugging Face image file with its schema metadata."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    rng, images, labels, splits = np.random.default_rng(0), [], [], []
    for i in range(per_class * classes):
        pixels = rng.integers(0, 60, (20, 24, 3))
        pixels[..., i % classes] += 150
        buffer = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(buffer, "png")
        images.append({"bytes": buffer.getvalue(), "path": f"{i}.png"})
        labels.append(i % classes)
        splits.append("test" if i >= 2 * per_class * classes // 3 else "train")
    features = {"label": {"names": ["red", "green", "blue"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    table = pa.table({"image": images, "label": labels, "split": splits})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def test_ones_own_images_in_a_parquet_file(tmp_path):
    parquet(tmp_path / "colours.parquet")
    own = ("target=parquet", f"target.parquet.path={tmp_path}/colours.parquet", "target.parquet.size=16")
    done = here(tmp_path, *own, "~bank.trained", "probe.size=12")
    assert done.returncode == 0, done.stderr
    truth = pd.read_parquet(tmp_path / "out" / "truth.parquet")
    assert set(truth["Target Dataset"]) == {"parquet"}
    assert set(truth["Model"]) == {"random", "vit"}
    assert (truth["Oracle"] * 20 / 100 % 1 == 0).all()  # 20 test images
    assert set(pd.read_parquet(tmp_path / "out" / "scores.parquet")["Images"]) == {12}
    packs = [json.loads(p.read_text()) for p in (tmp_path / "cache").glob("pack/*/pack.json")]
    assert [p["class_names"] for p in packs] == [["red", "green", "blue"]]


def test_a_newcomer_adds_a_model_a_data_set_and_an_estimator(tmp_path):
    """One YAML each, and one function for the data set and the estimator: nothing else."""
    theirs = {
        "bank/newmodel.yaml": "newmodel: {arch: resnet10t, weights: random, layers: 10}",
        "target/newdata.yaml": "newdata: {_target_: newcomer.stripes, task: stripes, size: 16, count: 40}",
        "method/newmethod.yaml": "newmethod: {_target_: newcomer.spread, power: 2}",
    }
    for name, text in theirs.items():
        (tmp_path / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / name).write_text(text)
    code = """
        import numpy as np
        from benchmark.data.examples import Examples, adapter

        @adapter(version=1)
        def stripes(count: int = 40):
            rng = np.random.default_rng(0)
            labels = np.arange(count) % 2
            images = rng.integers(0, 100, (count, 16, 16, 3), dtype=np.uint8)
            images[labels == 0, ::2] += 100
            images[labels == 1, :, ::2] += 100
            return Examples(images, labels, np.arange(count) >= count // 2, ["rows", "columns"])

        def spread(features, power: int = 1):
            return float(np.asarray(features).std() ** power)
    """
    conf = f"hydra.searchpath=[file://{ROOT}/tests/conf,file://{tmp_path}/conf]"
    new = ("bank=[tiny,newmodel]", "~bank.trained", "target=newdata", "method=[parc,newmethod]", "probe.size=10")
    path = module(tmp_path / "theirs", "newcomer", code)
    done = here(tmp_path, conf, "experiment=tiny", *new, tiny=False, code=path)
    assert done.returncode == 0, done.stderr
    table = scores(tmp_path)
    assert set(table["Model"]) == {"random", "vit", "newmodel"}
    assert set(table["Target Dataset"]) == {"newdata"}
    assert (table["newmethod"] > 0).all()
    probe = next(p for p in (tmp_path / "cache").glob("probe/*/spec.json") if '"input_size": 32' in p.read_text())
    from safetensors.numpy import load_file

    arrays = load_file(probe.with_name("arrays.safetensors"))
    expected = arrays["features"][arrays["draw_0"]].std() ** 2
    found = table.query("Model == 'newmodel' and Run == 0")["newmethod"].item()
    assert found == pytest.approx(expected, rel=1e-6)


def test_verification_agrees_exactly_on_one_machine(finished, copied):
    before = values(copied)
    done = here(copied, "truth.verify=2")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(copied / "out" / "verify.csv")
    assert len(table) == 2
    assert (table["Difference"] == 0).all()
    assert "2 of 2 within 8.0 points; mean absolute difference 0.00, largest 0.00." in done.stdout
    assert values(copied) == before


# tracking


def test_tracking_works_offline(finished, copied):
    pytest.importorskip("wandb")
    temporary = copied / "temporary"
    temporary.mkdir()
    shutil.rmtree(copied / "cache" / "probe")  # workers run, too
    plain = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }  # ASCII, and a home that cannot be written to
    done = run(copied, "logger=wandb", "logger.mode=offline", TMPDIR=str(temporary), HOME="/dev/null", **plain)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    assert list(temporary.iterdir()) == []
    (logged,) = (copied / "out" / "wandb").glob("offline-run-*/*.wandb")
    assert logged.stat().st_size > 1000
    content = logged.read_bytes()
    for word in (b"correlations", b"scatter-parc", b"truth"):
        assert word in content
    assert tables(copied) == tables(finished)


def test_a_sweep_is_a_tracked_run_of_its_own():
    points = [{"probe": {"size": n}, "paths": {"cache": str(n)}} for n in (10, 20)]
    moved = [{**point, "paths": {}, "executor": {"workers": 3}} for point in points]
    assert tracking.identity(points) == tracking.identity(moved)
    assert len({tracking.identity(points), tracking.identity(points[:1]), tracking.identity(points[1:])}) == 3


def test_a_tracker_that_fails_loses_nothing(finished, copied):
    broken = "def init(**_):\n    raise ConnectionError('no network')\n"
    done = run(copied, "logger=wandb", PYTHONPATH=path_to(module(copied / "theirs", "wandb", broken)))
    assert done.returncode == 0, done.stderr
    assert "warning: wandb failed, nothing else is affected (ConnectionError: no network)." in done.stderr
    assert tables(copied) == tables(finished)


def test_a_method_beside_finished_ones_is_computed_alone(finished, copied):
    code = """
        def size(features, labels):
            return float(features.var())
    """
    mine = ("+method.mine._target_=stranger_beside.size", f"against={finished / 'out'}")
    path = module(copied / "theirs", "stranger_beside", code)
    before = records(copied)
    shutil.rmtree(copied / "cache" / "score")
    done = here(copied, *mine, code=path)
    assert done.returncode == 0, done.stderr
    new = records(copied).keys() - {k for k in before if not k.startswith("score/")}
    assert {k.split("/")[0] for k in new} == {"score"}
    assert len(new) == 2 * 3  # mine and the witness, a cell a model; knn and parc are not both made again
    table, once = scores(copied), scores(finished)
    assert {"mine", "parc", "knn"} <= set(table.columns)
    for method in ("parc", "knn"):
        np.testing.assert_array_equal(table[method], once[method])
    assert "mine against all others" in done.stdout
    assert "they were not computed again" in done.stdout
    assert json.loads((copied / "out" / "report.json").read_text())["focal"] == ["mine"]


def test_finished_scores_of_other_probes_or_another_truth_are_refused(finished, copied):
    mine = ("+method.mine._target_=tests.stranger.centroid_accuracy", f"against={finished / 'out'}")
    other = here(copied, *mine, "probe.size=10")
    assert other.returncode == 2
    assert "probe.size is 20 there and 10 here" in other.stderr
    shutil.rmtree(next((copied / "cache" / "truth").iterdir()))
    gone = here(copied, *mine)
    assert gone.returncode == 2
    assert "no stored truth of 1 of 3 transfers here" in gone.stderr
    assert "paths.released is null" in gone.stderr
    assert not (copied / "out").exists()
