"""What no estimator of images may notice: row order, class names, array kind; and what all must: their inputs."""

import numpy as np
import pytest

import methods
from methods import Features

N, D, C, Z = 60, 25, 5, 11


def probe(d: int = D, multilabel: bool = False) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(d)
    labels = np.arange(N) % C
    features = np.maximum(rng.normal(size=(N, d)) + rng.normal(size=(C, d))[labels], 0)
    logits = rng.normal(size=(N, Z)) + rng.normal(size=(C, Z))[labels]
    probs = np.exp(logits)
    hot = np.eye(C, dtype=np.int64)[labels]
    hot[::3, 0] = 1
    return {
        "features": features,
        "labels": hot if multilabel else labels,
        "source_probs": probs / probs.sum(axis=1, keepdims=True),
        "reference_features": features @ rng.normal(size=(d, 9)) + rng.normal(size=(N, 9)),
    }


# Name: the function, the inputs it takes, and whether it takes multi-hot labels and ignores the order of rows.
METHODS = {
    "parc": (methods.parc, ("features", "labels"), True, True),
    "knn": (methods.knn, ("features", "labels"), True, True),
    "knn5": (lambda f, y: methods.knn(f, y, k=5), ("features", "labels"), True, True),
    "logistic": (methods.logistic, ("features", "labels"), False, False),
    "nce": (methods.nce, ("source_probs", "labels"), False, True),
    "leep": (methods.leep, ("source_probs", "labels"), False, True),
    "hscore": (methods.hscore, ("features", "labels"), False, True),
    "shrunk_hscore": (methods.shrunk_hscore, ("features", "labels"), False, True),
    "logme": (methods.logme, ("features", "labels"), True, True),
    "rsa": (methods.rsa, ("features", "reference_features"), True, True),
    "dds": (methods.dds, ("features", "reference_features"), True, True),
}
CASES = [
    (name, d, several) for name, row in METHODS.items() for d in (D, 90) for several in (False, True)[: 1 + row[2]]
]


def score(name: str, arrays: dict[str, np.ndarray]) -> methods.Score:
    function, inputs, *_ = METHODS[name]
    return function(*(arrays[key] for key in inputs))


@pytest.mark.parametrize(("name", "d", "several"), [case for case in CASES if METHODS[case[0]][3]])
def test_row_order(name, d, several):
    arrays = probe(d, several)
    order = np.random.default_rng(1).permutation(N)
    moved = {key: value[order] for key, value in arrays.items()}
    assert score(name, moved) == pytest.approx(score(name, arrays), rel=1e-9)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
@pytest.mark.parametrize(("name", "d", "several"), [case for case in CASES if case[0] != "logistic"])  # its penalty
def test_scale_of_features(name, d, several, scale):
    arrays = probe(d, several)
    scaled = arrays | {"features": scale * arrays["features"]}
    assert score(name, scaled) == pytest.approx(score(name, arrays), rel=1e-7)


@pytest.mark.parametrize(("name", "d", "several"), CASES)
class TestEveryMethod:
    def test_class_names(self, name, d, several):
        arrays = probe(d, several)
        names = np.random.default_rng(2).permutation(C)
        labels = arrays["labels"][:, names] if several else 7 * names[arrays["labels"]] + 3
        assert score(name, arrays | {"labels": labels}) == pytest.approx(score(name, arrays), rel=1e-9)

    def test_inputs_stay_as_they_were(self, name, d, several):
        arrays = probe(d, several)
        before = {key: value.copy() for key, value in arrays.items()}
        for value in arrays.values():
            value.flags.writeable = False
        score(name, arrays)
        for key, value in arrays.items():
            np.testing.assert_array_equal(value, before[key])

    def test_features_wrapped_or_not_in_any_order_and_twice(self, name, d, several):
        arrays = probe(d, several)
        plain = score(name, arrays)
        shared = arrays | {key: Features(arrays[key]) for key in ("features", "reference_features")}
        for other in METHODS.values():  # fill the shared quantities by other hands first
            if not several or other[2]:
                other[0](*(shared[key] for key in other[1]))
        assert score(name, shared) == plain
        assert score(name, shared) == plain

    def test_float32_is_computed_in_float64(self, name, d, several):
        arrays = probe(d, several)
        single = arrays | {key: arrays[key].astype(np.float32) for key in ("features", "reference_features")}
        double = arrays | {key: single[key].astype(np.float64) for key in ("features", "reference_features")}
        assert score(name, single) == score(name, double)

    def test_status(self, name, d, several):
        vacuous = name == "hscore" and d > N
        assert score(name, probe(d, several)).status == ("degenerate" if vacuous else "ok")


@pytest.mark.parametrize("name", [name for name, row in METHODS.items() if "labels" in row[1] and not row[2]])
def test_multi_hot_labels_are_declined(name):
    assert score(name, probe(multilabel=True)).status == "not_applicable"


@pytest.mark.parametrize("name", [name for name, row in METHODS.items() if row[1] == ("features", "labels")])
def test_classes_further_apart_score_higher(name):
    """Monotone sanity: ten seeds, class means apart by 0.3 and by 3 standard deviations."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        noise, means, labels = rng.normal(size=(N, 8)), rng.normal(size=(C, 8)), np.arange(N) % C
        near, far = (score(name, {"features": noise + gap * means[labels], "labels": labels}) for gap in (0.3, 3))
        assert far > near


def test_every_name_is_the_function():
    for name in methods.__all__:
        assert getattr(methods, name).__name__ == name
        assert callable(getattr(methods, name))


def test_import_is_light():
    """Neither torch nor scikit-learn comes with it, nor scipy.stats."""
    import subprocess
    import sys

    code = "import sys, methods; print([m for m in ('torch', 'sklearn', 'scipy.stats', 'pandas') if m in sys.modules])"
    root = str(__import__("pathlib").Path(__file__).resolve().parents[2])
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert result.stdout.strip() == "[]"
