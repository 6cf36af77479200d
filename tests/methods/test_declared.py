"""What every estimator declares, held against what it does: all of them, by being listed."""

import inspect
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import yaml

import methods
from methods import Features, Score, capabilities, estimator, estimators
from methods.shared.capabilities import named

CONF = Path(__file__).resolve().parents[2] / "conf" / "method"
N, C, Z = 60, 4, 9
WIDE, NARROW = 90, 12
CHECKED = {n: f for n, f in estimators().items() if not {"model", "network"} & set(f.capabilities.needs)}
OF_FEATURES = [name for name, f in CHECKED.items() if "features" in f.capabilities.needs]
OF_CLASSES = [name for name, f in CHECKED.items() if "single" in f.capabilities.labels]
BY_ORDER = {"logistic"}  # its halves are the order of the images


def probe(d: int = NARROW, kind: str = "single") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(d)
    y = np.arange(N) % C
    x = np.maximum(0.3 * (rng.normal(size=(N, d)) + rng.normal(size=(C, d))[y]), 0) + 0.1
    logits = rng.normal(size=(N, Z)) + rng.normal(size=(C, Z))[y]
    exp = np.exp(logits)
    hot = np.eye(C, dtype=np.int64)[y]
    hot[::3, 0] = 1
    return {
        "features": x,
        "labels": {"single": y, "multi": hot, "regression": y + rng.normal(size=N)}[kind],
        "source_logits": logits,
        "source_probs": exp / exp.sum(axis=1, keepdims=True),
        "reference_features": x @ rng.normal(size=(d, 7)) + rng.normal(size=(N, 7)),
        "source_features": x + 0.3 * rng.normal(size=(N, d)),
        "source_labels": np.maximum(y, 1),
    }


def score(name: str, arrays: dict[str, np.ndarray]) -> Score:
    function = CHECKED[name]
    kinds = function.capabilities.labels
    given = {key: arrays[key] for key in function.capabilities.needs}
    real = "labels" in given and np.asarray(given["labels"]).dtype.kind == "f"
    flag = {"regression": True} if real and "regression" in inspect.signature(function).parameters else {}
    return function(**given, **flag) if kinds or "labels" not in given else function(**given)


def kinds(name: str) -> tuple[str, ...]:
    return CHECKED[name].capabilities.labels or ("single",)


CASES = [(name, d, kind) for name in CHECKED for d in (NARROW, WIDE) for kind in kinds(name)]


def close(a: float, b: float, rel: float = 1e-7) -> bool:
    return bool(np.isclose(a, b, rtol=rel, atol=1e-9, equal_nan=True))


@pytest.mark.parametrize(("name", "d", "kind"), [case for case in CASES if case[0] not in BY_ORDER])
def test_the_order_of_images_does_not_matter(name, d, kind):
    arrays = probe(d, kind)
    order = np.random.default_rng(1).permutation(N)
    assert close(score(name, {k: v[order] for k, v in arrays.items()}), score(name, arrays))


@pytest.mark.parametrize(("name", "d", "kind"), [case for case in CASES if case[2] != "regression"])
def test_names_of_classes_do_not_matter(name, d, kind):
    arrays = probe(d, kind)
    turn = np.random.default_rng(2).permutation(C)
    labels = arrays["labels"][:, turn] if kind == "multi" else 5 * turn[arrays["labels"]] + 2
    assert close(score(name, arrays | {"labels": labels}), score(name, arrays))
    if kind == "single":
        names = np.array(["d", "b", "a", "c"])[arrays["labels"]]
        assert close(score(name, arrays | {"labels": names}), score(name, arrays))


@cache
def used_by_all(d: int, kind: str) -> dict[str, np.ndarray | Features]:
    """The arrays, with features that every estimator has shared already."""
    arrays = probe(d, kind)
    shared = arrays | {key: Features(arrays[key]) for key in arrays if key.endswith("features")}
    for other in OF_FEATURES:
        if kind in kinds(other):
            score(other, shared)
    return shared


@pytest.mark.parametrize(("name", "d", "kind"), CASES)
class TestEveryEstimator:
    def test_inputs_stay_as_they_were(self, name, d, kind):
        arrays = probe(d, kind)
        before = {key: value.copy() for key, value in arrays.items()}
        for value in arrays.values():
            value.flags.writeable = False
        assert isinstance(score(name, arrays), Score)
        for key, value in arrays.items():
            np.testing.assert_array_equal(value, before[key])

    def test_equal_inputs_give_equal_scores_shared_or_not(self, name, d, kind):
        arrays = probe(d, kind)
        assert close(score(name, used_by_all(d, kind)), score(name, arrays), 1e-12)
        assert close(score(name, arrays), score(name, arrays), 0)

    def test_float32_is_computed_in_float64(self, name, d, kind):
        arrays = probe(d, kind)
        keys = ("features", "source_features", "reference_features", "source_logits")
        single = arrays | {key: arrays[key].astype(np.float32) for key in keys}
        double = single | {key: single[key].astype(np.float64) for key in keys}
        assert close(score(name, single), score(name, double), 1e-12)

    def test_repeated_images_and_constant_features_do_not_raise(self, name, d, kind):
        arrays = {k: np.r_[v, v[:7]] for k, v in probe(d, kind).items()}
        for of in ("features", "source_features"):
            arrays[of] = np.c_[arrays[of], np.full((N + 7, 2), 3.0), np.zeros((N + 7, 1))]
        assert np.isfinite(score(name, arrays))


CHANGES = {
    "rotation": [lambda x: x @ np.linalg.qr(np.random.default_rng(3).normal(size=(x.shape[1],) * 2))[0]],
    "scale": [partial(np.multiply, by) for by in (1e-9, 0.1, 30, 1e9)],
    "translation": [lambda x: x + np.linspace(-3, 4, x.shape[1])],
    "columns": [lambda x: x * np.geomspace(0.01, 100, x.shape[1])],
    "linear": [lambda x: x @ np.random.default_rng(4).normal(size=(x.shape[1],) * 2)],
}
DECLARED = [(name, how) for name in OF_FEATURES for how in CHECKED[name].capabilities.invariant]


@pytest.mark.parametrize("d", [NARROW, WIDE])
@pytest.mark.parametrize(
    ("name", "how", "change"), [(*case, k) for case in DECLARED for k in range(len(CHANGES[case[1]]))]
)
def test_declared_invariance(name, how, change, d):
    arrays = probe(d, kinds(name)[-1] if kinds(name) == ("regression",) else "single")
    before = score(name, arrays)
    after = score(name, arrays | {"features": CHANGES[how][change](arrays["features"])})
    assert close(before, after, 1e-6)
    assert before.status == after.status


@pytest.mark.parametrize("name", OF_CLASSES)
class TestDegenerateCases:
    def test_one_class(self, name):
        result = score(name, probe() | {"labels": np.zeros(N, dtype=int)})
        assert result.status == "insufficient"
        assert np.isnan(result)

    @pytest.mark.parametrize("d", [NARROW, WIDE])
    def test_an_image_alone_in_its_class(self, name, d):
        labels = probe(d)["labels"].copy()
        labels[-1] = 9
        result = score(name, probe(d) | {"labels": labels})
        assert np.isfinite(result)

    def test_every_image_its_own_class(self, name):
        result = score(name, probe() | {"labels": np.arange(N)})
        assert np.isfinite(result) or not result.ok

    def test_labels_of_another_length(self, name):
        with pytest.raises(ValueError, match="labels must be"):
            score(name, probe() | {"labels": np.arange(N - 1) % C})


@pytest.mark.parametrize("name", [name for name in OF_CLASSES if "multi" not in kinds(name)])
def test_multi_hot_labels_where_they_are_not_taken(name):
    result = score(name, probe() | {"labels": probe(kind="multi")["labels"]})
    assert result.status == "not_applicable"
    assert np.isnan(result)


OF_BOTH = [name for name in OF_FEATURES if name in OF_CLASSES]


@pytest.mark.parametrize("name", OF_BOTH)
class TestDegenerateFeatures:
    @pytest.mark.parametrize("value", [0.0, 3.7])
    def test_constant_features_are_named(self, name, value):
        result = score(name, probe() | {"features": np.full((N, NARROW), value)})
        # Neighbours that all tie, a classifier of the priors and a mean as the only direction are defined still.
        assert result.status == "degenerate" or name in {"knn", "logistic", "logme"}

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_non_finite_features_are_refused(self, name, bad):
        x = probe()["features"].copy()
        x[3, 2] = bad
        with pytest.raises(ValueError, match="features must be finite"):
            score(name, probe() | {"features": x})

    def test_few_images_do_not_raise(self, name):
        for n in (2, 3, 4, 5, 8):
            result = score(name, {k: v[:n] for k, v in probe().items()} | {"labels": np.arange(n) % 2})
            assert np.isfinite(result) or not result.ok
            if n < CHECKED[name].capabilities.min_samples:
                assert result.status == "insufficient"


@pytest.mark.parametrize("name", [name for name in OF_BOTH if name != "tmi"])  # it looks at the spread within classes
def test_classes_further_apart_score_higher(name):
    """Ten seeds, class means apart by 0.3 and by 2 standard deviations; within-class entropy does not change."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        noise, means, y = rng.normal(size=(N, 8)), rng.normal(size=(C, 8)), np.arange(N) % C
        arrays = probe() | {"labels": y, "source_features": 0.3 * (rng.normal(size=(N, 8)) + 2 * means[y])}
        near, far = (score(name, arrays | {"features": 0.3 * (noise + gap * means[y])}) for gap in (0.3, 2))
        assert far > near


def test_every_estimator_declares_its_source_and_cost():
    yardsticks = {"random", "layers", "parameters", "source_accuracy"}
    for name, function in estimators().items():
        declared = capabilities(function)
        assert declared.cost, name
        assert declared.source or name in yardsticks, name
        assert declared.needs == tuple(n for n in declared.needs if n in inspect.signature(function).parameters)
        assert declared.deterministic or "seed" in inspect.signature(function).parameters


def test_all_public_scores_declare_themselves():
    others = {"Capabilities", "Factorisation", "Features", "Score", "as_features", "capabilities", "estimator"}
    assert set(methods.__all__) - set(estimators()) == others | {"estimators"}


def test_the_decorator_leaves_the_function_as_it_is_and_checks_its_words():
    def mine(features, labels, source_probs=None):
        return 1.0

    assert estimator(cost="O(1)")(mine) is mine
    assert mine.capabilities.needs == ("features", "labels", "source_probs")
    assert mine.capabilities.optional == ("source_probs",)
    with pytest.raises(ValueError, match="Did you mean 'rotation'"):
        estimator(invariant=("rotations",))
    with pytest.raises(ValueError, match="labels must be one of"):
        estimator(labels=("several",))
    assert capabilities(lambda features: 0.0) is None


def test_named_gives_estimators_of_features_and_labels():
    assert named("logme") is methods.logme
    with pytest.raises(ValueError, match="base must be one of"):
        named("nce")


FILES = sorted(CONF.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_configs_name_an_estimator_and_all_its_parameters_at_their_defaults_or_a_variant(path):
    entry = yaml.safe_load(path.read_text())
    if "defaults" in entry:
        assert all((CONF / f"{name}.yaml").is_file() for name in entry["defaults"])
        return
    assert list(entry) == [path.stem]
    parameters = dict(entry[path.stem])
    target = parameters.pop("_target_").removeprefix("methods.")
    signature = inspect.signature(estimators()[target])
    arrays = {"features", "labels", "source_probs", "source_logits", "reference_features", "model", "seed", "n_classes"}
    arrays |= {"source_features", "source_labels", "network", "images"}
    assert set(parameters) - arrays == set(signature.parameters) - arrays
    if path.stem == target:
        defaults = {k: v.default for k, v in signature.parameters.items() if k not in arrays}
        defaults = {k: list(v) if isinstance(v, tuple) else v for k, v in defaults.items()}
        assert {k: v or None if k == "parameters" else v for k, v in parameters.items()} == defaults


def test_all_lists_every_config_but_the_one_of_real_targets_of_source_images_and_the_dear_ones():
    listed = yaml.safe_load((CONF / "all.yaml").read_text())["defaults"]
    single = {path.stem for path in FILES if "defaults" not in yaml.safe_load(path.read_text())}
    assert len(listed) == len(set(listed))
    assert set(listed) == single - {"least_squares", "look", "layered", "lp", "f_otce", "jc_otce"}
    assert {f for f in estimators()} <= single
