"""Ground truth as a table: seeds averaged, what stands beside a multi-label target's mean average precision."""

import pandas as pd
import pytest

from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.config.experiment import ExecutorSpec
from benchmark.config.model import ModelSpec
from benchmark.execution import compute
from benchmark.tables import gather
from benchmark.training import features, ground_truth, loop
from tests.cells.test_plan import tiny


def test_per_label_accuracy_stands_beside_the_mean_average_precision():
    facts = {"Model": "m", "Architecture": "a", "Source Dataset": "s", "Layers": 10}
    voc = [{"Target Dataset": "voc", "Seed": s, "Oracle": 30 + s, "Per Label": 70 + 4 * s} for s in range(2)]
    pets = [{"Target Dataset": "pets", "Seed": s, "Oracle": 50 + s} for s in range(2)]
    found = gather._mean_over_seeds(pd.DataFrame([facts | row for row in [*voc, *pets]])).set_index("Target Dataset")
    assert found.loc["voc", ["Oracle", "Per Label", "Seeds"]].tolist() == [30.5, 72, 2]
    assert found.loc["pets", "Oracle"] == 50.5
    assert pd.isna(found.loc["pets", "Per Label"])
    assert "Per Label" not in gather._mean_over_seeds(pd.DataFrame([facts | row for row in pets]))


def test_a_batch_that_was_halved_is_a_row_of_the_status(tmp_path, monkeypatch):
    """A real run of the tiny experiment in this process, where whole batches find no memory."""
    fit, forward = loop.fit, features.forward

    def small_fit(module, spec, examples, recipe, rate, seed, flip, rotations=False, parts=1, **more):
        if parts == 1:
            raise MemoryError
        return fit(module, spec, examples, recipe, rate, seed, flip, rotations, parts, **more)

    def small_forward(module, spec, batches):
        if isinstance(batches, tuple):
            raise MemoryError
        return forward(module, spec, batches)

    monkeypatch.setattr(ground_truth, "fit", small_fit)
    monkeypatch.setattr(loop, "fit", small_fit)
    monkeypatch.setattr(features, "forward", small_forward)
    made, store = plan(tiny()), Store(tmp_path)
    here = ExecutorSpec(workers=0, device="cpu")
    failed = compute.run(made.missing(store), made.cells, store, here, lambda *_: None)
    assert failed == {}
    status = gather.gather(made, store, failed).status
    halved = status[status["Status"] == "retried"]
    every = {(m, stage) for m in ("trained", "random", "vit") for stage in ("truth", "probe")}
    assert sorted(zip(halved["Model"], halved["Stage"], strict=True)) == sorted(every)
    assert halved["Reason"].str.startswith("out of memory once; batches in two parts").all()


@pytest.mark.parametrize(
    ("arch", "name"),
    [
        ("resnet50", "resnet50"),
        ("resnet50.a1_in1k", "resnet50"),
        ("timm.models.densenet.DenseNet", "DenseNet"),
        ("torchvision.models.googlenet", "googlenet"),
    ],
)
def test_an_architecture_is_named_without_module_and_tag(arch, name):
    assert ModelSpec(name="m", arch=arch, weights="random", layers=1).arch_name == name
