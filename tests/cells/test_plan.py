"""Keys: the same for the same work, others for other work, known before anything is computed."""

import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from benchmark.cells.keys import code_of, key_of
from benchmark.cells.plan import Plan, merge
from benchmark.cells.planner import plan
from benchmark.cells.store import Store
from benchmark.config.compose import compose
from benchmark.config.experiment import Experiment
from benchmark.config.model import ModelSpec
from benchmark.config.recipe import OptimiserSpec, PretrainSpec, RecipeSpec
from benchmark.config.spec import Spec
from benchmark.config.validation import experiment
from benchmark.errors import ConfigError
from tests.running import ROOT, TINY


@cache
def composed() -> str:
    return json.dumps(compose(list(TINY)))


def tiny(changes: dict[str, Any] | None = None) -> Experiment:
    """The tiny experiment with dotted keys set to other values (without Hydra, which takes its time)."""
    data = json.loads(composed())
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        tree = data
        for name in parents:
            tree = tree.setdefault(name, {})
        tree[last] = value
    return experiment(data)


def keys(changes: dict[str, Any] | None = None) -> dict[tuple[str, str], str]:
    """{(stage, label): key} of the tiny experiment's plan."""
    return {(c.stage, c.label): c.key for c in plan(tiny(changes)).cells.values()}


def changed(changes: dict[str, Any]) -> set[str]:
    """Stages in which some cell has another key than in the plain tiny experiment."""
    before, after = keys(), keys(changes)
    return {stage for (stage, label), key in after.items() if before.get((stage, label), key) != key}


def test_planning_imports_no_deep_learning_and_touches_no_disk(tmp_path):
    code = (
        "import sys\nfrom benchmark.config.compose import compose\nfrom benchmark.config.validation import experiment\n"
        "from benchmark.cells.cost import describe\nfrom benchmark.cells.planner import plan\n"
        "from benchmark.cells.store import Store\n"
        f"made = plan(experiment(compose(['bank=diverse', 'target=embedded', 'method=paper'])))\n"
        f"describe(made, Store({str(tmp_path / 'cache')!r}), 2)\n"
        "print(len(made.cells) > 50, [m for m in ('torch', 'timm', 'torchvision', 'sklearn') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert said.stdout == "True []\n", said.stderr
    assert not (tmp_path / "cache").exists()


def test_golden_keys():
    """Keys of fixed specifications. Another value orphans every stored cell: see `later`, and stages' versions."""
    optimisers = {"cnn": {"name": "sgd", "rates": [0.05, 0.15], "weight_decay": 5e-4}}
    training = {"steps": 10, "batch": 16, "warmup": 0.1, "crop": 0.7, "flip": True, "label_smoothing": 0.0}
    training |= {"precision": "auto", "optimisers": optimisers}
    look = {"input_size": 16, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "family": "cnn", "seed": 0}
    look |= {"arch": "resnet10t", "args": {"channels": [8, 16]}, "layers": 10}
    random = ModelSpec(name="a", weights="random", **look)
    trained = ModelSpec(name="a", weights="pretrain:x", pretrain=PretrainSpec(**training), **look)
    recipe = RecipeSpec(**training, validation=0.2, freeze="none", train_cap=None, seeds=2)
    assert key_of(random.identity()) == "541cf99803dfac725c94740038a69def9c229e08a24c282e4e0043a0425bbf3e"
    assert key_of(trained.identity()) == "77e0eaec06c6963de7a5661fbc760a96f220d9feafb52a2922ff81aa70a6d612"
    assert key_of(recipe.identity()) == "b73f73d58dd79ca8552c976f41faac243aa35134b7ee5413b2f94e4d502ab262"
    assert (
        Plan().add("truth", {"tune": "x", "seed": 1}, needs=(), work={}, label="")
        == "eaa63c419b45003ad09c58638957cfe6cadefb6afc6858f21a9f7425c40cf494"
    )


def test_keys_are_the_same_from_process_to_process():
    code = "from tests.cells.test_plan import keys; print(sorted(keys().values()))"
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert found.stdout == f"{sorted(keys().values())}\n", found.stderr


TRANSFER = {"tune", "truth", "probe", "score"}
MATTERS = [
    ("bank.random.args.output_stride", 8, TRANSFER),
    ("bank.random.seed", 1, TRANSFER),
    ("bank.random.input_size", 24, TRANSFER),
    ("bank.random.mean", [0.4, 0.4, 0.4], TRANSFER),
    ("bank.random.edits", {"conv1.stride": [1, 1]}, TRANSFER),
    ("bank.trained.pretrain.steps", 5, {"weights", *TRANSFER}),
    ("bank.trained.objective", "rotation", {"weights", *TRANSFER}),
    ("source.tiny_source.noise", 0.1, {"pack", "weights", *TRANSFER}),
    ("target.tiny.train", 61, {"pack", *TRANSFER}),
    ("target.tiny.size", 16, {"pack", *TRANSFER}),
    ("recipe.steps", 5, {"tune", "truth"}),
    ("recipe.optimisers.cnn.rates", [0.05, 0.2], {"tune", "truth"}),
    ("recipe.optimisers.transformer.weight_decay", 0.1, {"tune", "truth"}),
    ("recipe.validation", 0.25, {"tune", "truth"}),
    ("probe.size", 21, {"probe", "score"}),
    ("probe.draws", 3, {"probe", "score"}),
    ("method.knn.k", 2, {"score"}),
]
INDIFFERENT = {
    "bank.random.licence": "BSD",
    "bank.random.layers": 99,
    "bank.random.source": "nothing",
    "bank.random.source_accuracy": 3,
    "bank.random.source_task": "x",
    "bank.random.pretrain": {"steps": 9},  # of weights that the harness does not train
    "recipe.name": "other",
    "recipe.seeds": 1,
    "target.tiny.task": "y",
    "target.tiny.images": [9, 9],
    "source.tiny_source.images": [9, 9],
    "source.tiny_source.task": "z",
    "name": "other",
    "executor.workers": 1,
    "paths.out": "elsewhere",
    "exclude_models": ["random"],
    "truth.verify": 2,
    "reference.layers": 12,
}


@pytest.mark.parametrize(("path", "value", "stages"), MATTERS, ids=[path for path, *_ in MATTERS])
def test_what_matters_changes_the_keys_that_it_should(path, value, stages):
    assert changed({path: value}) == stages


@pytest.mark.parametrize("path", INDIFFERENT)
def test_what_does_not_matter_leaves_every_key(path):
    assert keys({path: INDIFFERENT[path]}) == keys()


def test_more_seeds_add_cells_and_keep_the_others():
    one, three = plan(tiny()), plan(tiny({"recipe.seeds": 3}))
    assert set(one.cells) < set(three.cells)
    assert {c.stage for k, c in three.cells.items() if k not in one.cells} == {"truth"}
    assert [len(t.truth) for t in three.transfers] == [3, 3, 3]
    assert all(a.truth[0] == b.truth[0] for a, b in zip(one.transfers, three.transfers, strict=True))


def test_metadata_matter_to_the_methods_that_ask_for_them():
    asking = {"method": {"layers": {"_target_": "methods.layers"}, "parc": {"_target_": "methods.parc"}}}
    before, after = keys(asking), keys(asking | {"bank.random.layers": 99})
    assert {label for (stage, label), key in after.items() if before[stage, label] != key} == {"layers random → tiny"}


LOOKING = {"method": {"look": {"_target_": "methods.look"}, "parc": {"_target_": "methods.parc"}}}


def test_a_method_that_trains_depends_on_images_weights_and_recipe_and_changes_no_other_cell():
    alone = keys({"method": {"parc": LOOKING["method"]["parc"]}})
    assert {k: v for k, v in keys(LOOKING).items() if not k[1].startswith("look ")} == alone
    made = plan(tiny(LOOKING))
    looks = {c.label: c for c in made.cells.values() if c.label.startswith("look ")}
    transfers = {t.model.name: t for t in made.transfers}
    for name, transfer in transfers.items():
        cell = looks[f"look {name} → tiny"]
        pack = next(c.key for c in made.cells.values() if (c.stage, c.label) == ("pack", "tiny"))
        assert cell.identity["trainee"]["pack"] == pack
        own = transfer.model.source_data is not None
        assert ("weights" in cell.identity["trainee"]) == own
        stages = [stage for stage, _ in cell.needs]
        assert stages == ["probe", "pack", "weights"] if own else ["probe", "pack"]
        assert cell.seconds > made.cells[transfer.scores["parc"]].seconds
    before, after = keys(LOOKING), keys(LOOKING | {"recipe.crop": 0.3})
    scores = {label for (stage, label), key in after.items() if stage == "score" and before[stage, label] != key}
    assert scores == set(looks)


@pytest.mark.parametrize(
    ("name", "counts", "does_not"),
    [
        ("look", {"look.py", "score.py", "labels.py"}, {"parc.py", "linalg.py"}),
        ("parc", {"parc.py", "linalg.py", "score.py"}, {"look.py", "logme.py", "__init__.py"}),
        ("z_fusion", {"fusion.py", "parc.py", "look.py", "linalg.py"}, set()),  # calls others by their names
        ("layered", {"layered.py", "logme.py", "linalg.py"}, set()),
    ],
)
def test_an_estimator_counts_with_the_modules_that_it_can_reach(name, counts, does_not, monkeypatch):
    import methods
    from benchmark.cells import keys as of_keys

    read: list[str] = []
    monkeypatch.setattr(of_keys, "meaning", lambda file: read.append(file.name) or file.name)
    code_of.__wrapped__(getattr(methods, name), f"methods.{name}")
    assert counts <= set(read)
    assert not does_not & set(read)


def test_fields_that_come_later_are_left_out_at_their_default():
    class Inner(Spec):
        old: int = 1

    class Outer(Spec):
        rates: tuple[float, ...] = (0.1,)
        inner: Inner = Inner()
        by_name: dict[str, Inner] = {"a": Inner()}  # noqa: RUF012

    class NewInner(Inner):
        later = ("new",)
        new: tuple[int, ...] = (1, 2)

    class NewOuter(Outer):
        later = ("more",)
        inner: NewInner = NewInner()
        by_name: dict[str, NewInner] = {"a": NewInner()}  # noqa: RUF012
        more: float | None = None

    assert NewOuter().identity() == Outer().identity()
    assert NewOuter(more=1.0).identity() == Outer().identity() | {"more": 1.0}
    deep = NewOuter(inner=NewInner(new=(3,))).identity()
    assert deep == Outer().identity() | {"inner": {"old": 1, "new": [3]}}
    assert NewOuter(by_name={"a": NewInner(new=(1,))}).identity() != Outer().identity()


def test_later_fields_are_these():
    """A field that joins a specification after the first release must be listed in its class and here."""

    def family(spec: type[Spec]) -> list[type[Spec]]:
        ours = [c for c in spec.__subclasses__() if c.__module__.startswith("benchmark.config.")]
        return [spec, *(s for c in ours for s in family(c))]

    assert {s.__name__: s.later for s in family(Spec) if s.later} == {
        "ModelSpec": ("init", "crop_pct", "features_from", "in_chans"),
        "OptimiserSpec": ("decay_products",),
        "RecipeSpec": ("steps_tried", "milestones", "mixup", "by_data"),
        "ProbeSpec": ("fold",),
    }
    assert set(OptimiserSpec.model_fields) == {"name", "rates", "weight_decay", "decay_products"}


def test_models_of_one_specification_share_their_cells():
    made = plan(tiny({"bank.twin": json.loads(composed())["bank"]["random"]}))
    random, twin = (next(t for t in made.transfers if t.model.name == n) for n in ("random", "twin"))
    assert (twin.truth, twin.tune, twin.probe, twin.scores) == (random.truth, random.tune, random.probe, random.scores)
    assert set(made.cells) == set(plan(tiny()).cells)


def test_a_model_is_not_transferred_to_its_own_task():
    made = plan(tiny({"source.tiny_source.task": "digits"}))
    assert [t.model.name for t in made.transfers] == ["random", "vit"]
    made = plan(tiny({"bank.random.source_task": "digits"}))
    assert [t.model.name for t in made.transfers] == ["trained", "vit"]


def test_cells_come_after_what_they_need_and_need_only_what_is_there():
    points = ({"method": {"rsa": {"_target_": "methods.rsa"}}}, {"probe.size": 30}, {"recipe.seeds": 2})
    made = merge(plan(tiny(changes)) for changes in points)
    seen: set[str] = set()
    for key, cell in made.cells.items():
        assert {need for _, need in cell.needs} <= seen
        assert all(made.cells[need].stage == stage for stage, need in cell.needs)
        assert cell.key == key == key_of(cell.identity)
        seen.add(key)


def test_sweep_points_share_cells():
    methods = [{m: {"_target_": f"methods.{m}"}} for m in ("parc", "knn")]
    whole = merge(plan(tiny({"method": m, "probe.size": size})) for m in methods for size in (20, 30))
    count = {stage: sum(c.stage == stage for c in whole.cells.values()) for stage in ("pack", "tune", "truth", "probe")}
    assert count == {"pack": 2, "tune": 3, "truth": 3, "probe": 6}
    assert sum(c.stage == "score" for c in whole.cells.values()) == 12
    assert len(whole.transfers) == 12


def test_missing_is_what_is_absent_and_what_that_needs(tmp_path):
    made, store = plan(tiny()), Store(tmp_path)
    assert made.missing(store) == list(made.cells.values())
    truths = [c for c in made.cells.values() if c.stage == "truth"]
    for cell in truths:
        store.write(cell.stage, cell.key, cell.identity, {}, {})
    assert {c.stage for c in made.missing(store)} == {"pack", "weights", "probe", "score"}  # no rates any more
    for cell in made.cells.values():
        if cell.stage in ("probe", "score"):
            store.write(cell.stage, cell.key, cell.identity, {}, {})
    assert made.missing(store) == []
    of_vit = next(t for t in made.transfers if t.model.name == "vit")
    shutil.rmtree(tmp_path / "truth" / of_vit.truth[0])
    assert [c.stage for c in made.missing(store)] == ["pack", "tune", "truth"]


# what comes from outside


def test_editing_a_foreign_method_changes_its_score_key_only(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "foreign_method_under_test.py"
    module.write_text("def mine(features):\n    return 1.0\n")
    override = {"method.mine._target_": "foreign_method_under_test.mine"}
    before = keys(override)
    module.write_text("def mine(features):\n    return 2.00\n")
    code_of.cache_clear()
    after = keys(override)
    differing = {stage_label for stage_label in before if before[stage_label] != after[stage_label]}
    assert differing == {("score", f"mine {m} → tiny") for m in ("trained", "random", "vit")}


def scored(path: str) -> set[str]:
    code_of.cache_clear()
    return {key for (stage, label), key in keys({"method.mine._target_": path}).items() if label.startswith("mine ")}


@pytest.mark.parametrize(
    ("path", "edited"),
    [
        ("mine_whole.made", "mine_whole.py"),  # a functools.partial counts by the module that makes it …
        ("mine_whole.made", "mine_apart.py"),  # … and by the one it was made from
        ("mine_whole.Estimator", "mine_whole.py"),
        ("mine_whole.instance", "mine_apart.py"),
        ("mine_pack.scores.score", "mine_pack/inner/scale.py"),
        ("mine_pack.scores.score", "mine_apart.py"),  # imported within a function
    ],
)
def test_editing_what_a_foreign_method_is_made_of_changes_its_scores(tmp_path, monkeypatch, path, edited):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine_pack/inner").mkdir(parents=True)
    for name, text in {
        "mine_apart.py": "def base(features, k=1):\n    return float(k)\n",
        "mine_other.py": "k = 1\n",
        "mine_whole.py": "import functools, json\nfrom mine_apart import base\nmade = functools.partial(base, k=3)\n"
        "class Estimator:\n    def __new__(cls, features):\n        return 1.0\n"
        "class Callable:\n    def __call__(self, features):\n        return 1.0\ninstance = Callable()\n",
        "mine_pack/__init__.py": "",
        "mine_pack/inner/__init__.py": "",
        "mine_pack/inner/scale.py": "def scale():\n    return 1.0\n",
        "mine_pack/scores.py": "from .inner.scale import scale\n"
        "def score(features):\n    import mine_apart\n    return scale()\n",
    }.items():
        (tmp_path / name).write_text(text)
    try:
        before = scored(path)
        assert len(before) == 3
        assert scored(path) == before
        (tmp_path / "mine_other.py").write_text("k = 2222\n")
        assert scored(path) == before, "nobody imports that"
        (tmp_path / edited).write_text((tmp_path / edited).read_text() + "# edited\n")
        assert scored(path) == before, "a comment says nothing"
        (tmp_path / edited).write_text((tmp_path / edited).read_text() + "edited = 1\n")
        assert not scored(path) & before
    finally:
        for name in [n for n in sys.modules if n.startswith("mine_")]:
            del sys.modules[name]


def test_a_method_without_source_code_is_refused():
    with pytest.raises(ConfigError, match=r"must have source code.*Got 'builtins\.len' without a file"):
        code_of(len, "builtins.len")


def test_the_documented_commands_for_data_of_ones_own_are_configurations():
    lines = (ROOT / "docs/data.md").read_text().splitlines()
    command = next(line for line in lines if "target.huggingface.dataset=" in line)
    overrides = [o.replace("<", "").replace(">", "") for o in re.findall(r"target[\w.]*=[^ `]+", command)]
    assert len(overrides) == 3
    spec = experiment(compose(overrides))
    assert spec.target["huggingface"].parameters["dataset"] == "owner/name"
    with pytest.raises(ConfigError, match=r"target.digits.name must be left out.*Got 'other'"):
        experiment(compose(["target=digits", "+target.digits.name=other"]))


def with_weights(weights: str) -> dict[str, Any]:
    like = json.loads(composed())["bank"]["vit"]
    return {"bank.w": like | {"weights": weights}}


@pytest.mark.parametrize("kind", ["file", "local-dir"])
def test_weights_from_disk_enter_by_their_bytes(tmp_path, kind):
    found = []
    x, y = (save({"head.bias": np.full(2, value, np.float32)}) for value in (0.0, 1.0))
    for name, content in (("a", x), ("b", x), ("c", y)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(content)
        path = tmp_path / name / ("model.safetensors" if kind == "file" else "")
        found.append({k: v for k, v in keys(with_weights(f"{kind}:{path}")).items() if " w → " in k[1]})
    assert found[0] == found[1]
    assert {stage for stage, _ in found[0]} == {"tune", "truth", "probe", "score"}
    assert not set(found[0].values()) & set(found[2].values())


def test_weights_that_cannot_be_had_are_named_and_the_rest_goes_on(tmp_path):
    missing = tmp_path / "none.pth"
    made = plan(tiny(with_weights(f"file:{missing}")))
    assert list(made.unavailable) == ["w"]
    assert f"Got no file {missing}. Put a state dict there" in made.unavailable["w"]
    assert [t.model.name for t in made.transfers] == ["trained", "random", "vit"]
    assert set(made.cells) == set(plan(tiny()).cells)


def test_a_data_set_from_a_file_enters_by_its_bytes(tmp_path):
    from PIL import Image

    def folder(name: str, shade: int) -> Path:
        for label in "ab":
            (tmp_path / name / label).mkdir(parents=True)
            for i in range(4):
                pixels = np.full((8, 8, 3), shade + i, np.uint8)
                Image.fromarray(pixels).save(tmp_path / name / label / f"{i}.png")
        return tmp_path / name

    def pack(path: Path) -> str:
        target = {"_target_": "benchmark.data.folder.image_folder", "task": "folder", "size": 8, "path": str(path)}
        made = plan(tiny({"target": {"folder": target}}))
        return next(c.key for c in made.cells.values() if c.label == "folder")

    one, other = folder("one", 0), folder("other", 50)
    assert pack(one) != pack(other)
    assert pack(one) == pack(shutil.copytree(one, tmp_path / "copy"))
    with pytest.raises(ConfigError, match=r"^target.folder: .*/nowhere"):
        pack(tmp_path / "nowhere")


def test_an_empty_plan_needs_nothing(tmp_path):
    assert Plan().missing(Store(tmp_path)) == []


def test_one_rate_for_the_models_of_an_architecture():
    trained = json.loads(composed())["bank"]["trained"]
    changes = {"bank.later": {**trained, "seed": 1}, "recipe.rate_for": "architecture"}
    made = plan(tiny(changes))
    by_model = {t.model.name: t for t in made.transfers}
    later, first = by_model["later"], by_model["trained"]
    assert later.tune == first.tune != by_model["random"].tune
    assert made.cells[first.tune].work["model"].name == "trained"
    assert made.cells[first.tune].needs == tuple(n for n in made.cells[first.truth[0]].needs if n[0] != "tune")
    assert later.truth != first.truth
    own = plan(tiny({**changes, "recipe.rate_for": "model"}))
    assert len({t.tune for t in own.transfers}) == len(own.transfers)


def test_no_rate_is_chosen_with_a_model_that_was_trained_on_the_target():
    source, trained = (json.loads(composed())[k] for k in ("source", "bank"))
    changes = {"target.tiny_source": source["tiny_source"], "recipe.rate_for": "architecture"}
    changes |= {"bank.later": {**trained["trained"], "weights": "pretrain:tiny"}}
    made = plan(tiny(changes))
    chosen = {t.target.name: made.cells[t.tune].work["model"].name for t in made.transfers if t.model.source_data}
    assert chosen == {"tiny": "trained", "tiny_source": "later"}


def test_a_target_may_have_seeds_of_its_own():
    one, two = keys(), keys({"recipe.seeds_on": {"tiny": 2}})
    assert set(one.items()) < set(two.items())
    new = {label for stage, label in set(two) - set(one)}
    assert new == {f"fine-tune {model} → tiny #1" for model in ("trained", "random", "vit")}
    with pytest.raises(ConfigError, match=r"recipe.seeds_on must name data sets .* Got 'tinny'. Did you mean 'tiny'\?"):
        tiny({"recipe.seeds_on": {"tinny": 2}})


def test_a_rate_is_carried_from_the_targets_on_which_it_is_chosen():
    source = json.loads(composed())["source"]
    changes = {"target.tiny_source": source["tiny_source"], "recipe.rate_on": ["tiny"]}
    own, carried = plan(tiny({"target.tiny_source": source["tiny_source"]})), plan(tiny(changes))
    here = {(t.model.name, t.target.name): t for t in carried.transfers}
    before = {(t.model.name, t.target.name): t for t in own.transfers}
    kept, moved = ("random", "tiny"), ("random", "tiny_source")
    assert here[kept].tune == before[kept].tune
    assert here[kept].truth == before[kept].truth
    pooled = carried.cells[here[moved].tune]
    assert pooled.needs == (("tune", here[kept].tune),)
    assert here[moved].truth != before[moved].truth
    assert before[moved].tune not in carried.cells
    assert pooled.seconds == 0


def test_no_rate_is_carried_from_a_target_on_which_the_model_was_trained():
    source = json.loads(composed())["source"]
    changes = {"target.tiny_source": source["tiny_source"], "recipe.rate_on": ["tiny_source"]}
    made = plan(tiny(changes))
    by_model = {t.model.name: made.cells[t.tune].label for t in made.transfers if t.target.name == "tiny"}
    assert by_model["trained"] == "choose rate trained → tiny"
    assert by_model["random"] == "choose rate random by its mean on recipe.rate_on"


def test_where_a_rate_comes_from_is_refused_when_it_is_not_here_or_said_twice():
    with pytest.raises(ConfigError, match=r"recipe.rate_on must name data sets .* Got 'tinny'. Did you mean 'tiny'\?"):
        tiny({"recipe.rate_on": ["tinny"]})
    with pytest.raises(ConfigError, match=r"rate_on must be empty where rate_for is architecture. Got tiny"):
        tiny({"recipe.rate_on": ["tiny"], "recipe.rate_for": "architecture"})
