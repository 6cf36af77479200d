"""The conformance suite: it passes what is sound, an outsider's function too, and catches what is broken."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmark import check
from benchmark.config.functions import MethodSpec
from benchmark.errors import ConfigError
from benchmark.scoring.call import call, shares
from benchmark.scoring.conformance import kernels, verdicts
from benchmark.scoring.conformance.examine import examine
from benchmark.scoring.conformance.probes import probe
from benchmark.scoring.conformance.subject import overall
from benchmark.scoring.score import score_probe
from methods import Features, nce
from methods.shared.capabilities import estimator, estimators
from tests.stranger import centroid_accuracy


@pytest.mark.parametrize("name", sorted(estimators()))
def test_every_estimator_conforms(name):
    found = examine(estimators()[name], name, timed=False)
    failed = [f"{f.check}: {f.text} {f.figure}" for f in found if f.verdict == "fails"]
    assert failed == []


def test_a_strangers_function_passes():
    found = examine(centroid_accuracy, timed=False)
    assert overall(found) == "deviates"  # it is not asked to know Score, and is told where it gives a bare number
    by_name = {f.check: f for f in found}
    assert by_name["rotation"].text == by_name["translation"].text == "invariant"
    assert by_name["columns"].text == "varies"
    assert by_name["monotone"].verdict == by_name["row order"].verdict == "ok"


def test_a_method_is_told_the_classes_of_the_data_set_not_of_the_draw():
    """Ten classes, of which the draw holds four: the release's NCE adds its constant to ten rows of cells."""
    arrays = probe()
    values = {"images": [96], "parameters": 1, "feature_dim": 16, "target_size": 960, "classes": 10}
    held = {"features": arrays["features"], "logits": arrays["source_logits"], "labels": arrays["labels"]}
    one = SimpleNamespace(values=values, arrays=held | {"draw_0": np.arange(96)})
    spec = MethodSpec.model_validate({"name": "nce", "_target_": "methods.nce", "parameters": {"compat": "parc"}})
    ((found, _),) = score_probe([spec], [{}], one, None, lambda draw: 0)
    probs = arrays["source_probs"]
    assert found["scores"] == [pytest.approx(float(nce(probs, arrays["labels"], compat="parc", n_classes=10)))]
    assert found["scores"] != [pytest.approx(float(nce(probs, arrays["labels"], compat="parc")))]


def separation(features, labels):
    """Between-class over within-class variance: sound, and the seed of the broken ones below."""
    x = np.asarray(features, dtype=np.float64)
    classes = np.unique(labels)
    means = np.stack([x[labels == c].mean(axis=0) for c in classes])
    within = np.mean([(x[labels == c] - m).var() for c, m in zip(classes, means, strict=True)])
    return float(means.var(axis=0).mean() / max(within, 1e-300))


def writes(features, labels):
    features -= features.mean(axis=0)
    return separation(features, labels)


def by_row(features, labels):
    return separation(features[: len(features) // 2], labels[: len(labels) // 2])


def by_class_id(features, labels):
    return separation(features, labels) + labels[0] * 0.1


def standardises(features, labels):
    with np.errstate(all="ignore"):
        return separation((features - features.mean(axis=0)) / features.std(axis=0), labels)


def unseeded(features, labels):
    return separation(features, labels) + np.random.rand()


def lower_is_better(features, labels):
    return -separation(features, labels)


def crashes_on_few(features, labels):
    np.linalg.cholesky(np.cov(features, rowvar=False))
    return separation(features, labels)


def single_precision(features, labels):
    return separation(features.astype(np.float16), labels)


def unbiased(features, labels):
    classes = np.unique(labels)
    return separation(features, labels) - 1e-9 * np.mean(
        [features[labels == c].var(axis=0, ddof=1).mean() for c in classes]
    )


def exits(features, labels):
    raise SystemExit("\x1b[2Jbye")


@estimator(invariant=("rotation",))
def claims_rotation(features, labels):
    return separation(np.abs(features), labels)


@estimator()
def silent_on_nan(features, labels):
    return separation(np.nan_to_num(features), labels)


BROKEN = {
    writes: "inputs unchanged",
    by_row: "row order",
    by_class_id: "relabelling",
    standardises: "constant columns",
    unseeded: "determinism",
    lower_is_better: "monotone",
    crashes_on_few: "n < d",
    single_precision: "scale 1e+20",
    unbiased: "one image in a class",
    exits: "n > d",
    claims_rotation: "rotation",
    silent_on_nan: "NaN in features",
}


@pytest.mark.parametrize("function", BROKEN, ids=lambda f: f.__name__)
@pytest.mark.filterwarnings("ignore")
def test_broken_estimators_are_caught(function):
    failed = {f.check for f in examine(function, timed=False) if f.verdict == "fails"}
    assert BROKEN[function] in failed


def test_a_message_of_an_estimator_cannot_act_on_a_terminal():
    found = next(f for f in examine(exits, timed=False) if f.check == "n > d")
    assert found.text == r"raises SystemExit: \x1b[2Jbye"


@pytest.mark.filterwarnings("ignore")
def test_what_the_broken_ones_are_made_of_is_sound():
    assert overall(examine(separation, timed=False)) != "fails"


def test_a_function_without_arrays_is_refused():
    with pytest.raises(ValueError, match="must take its inputs by name: features, labels"):
        examine(lambda x, y: 0.0, "mine")


QUICK = "kernels=false"  # the kernels have a test of their own


class TestCommand:
    def test_a_deviation_is_an_error_unless_it_is_expected(self, capsys):
        stranger = "tests.stranger.centroid_accuracy"
        assert check.main([stranger, QUICK]) == 1
        printed = capsys.readouterr().out
        assert "row order" in printed
        assert "deviates unexpectedly in: NaN in features, too few labels" in printed
        assert check.main([stranger, QUICK, "expected=[NaN in features, too few labels]"]) == 0
        assert check.main([stranger, QUICK, "expected=[NaN in feature]"]) == 2
        assert "Did you mean 'NaN in features'?" in capsys.readouterr().err
        assert check.main(["tests.scoring.test_check.lower_is_better", QUICK, "expected=[monotone]"]) == 1  # it fails
        assert "classes further apart score lower" in capsys.readouterr().out

    def test_a_declared_deviation_is_expected_and_says_why(self, capsys):
        assert check.main(["tmi", QUICK]) == 0
        assert "as declared: it looks at the spread within classes" in " ".join(capsys.readouterr().out.split())

    def test_parameters(self, capsys):
        assert check.main(["knn", QUICK, "parameters={k: 5, vote: soft}"]) == 0
        assert check.main(["knn", QUICK, "parameters={q: 5}"]) == 2
        assert "knn.parameters.q must be a parameter of knn" in capsys.readouterr().err

    def test_several_and_a_page(self, tmp_path, capsys):
        assert check.main(["nce", "leep", QUICK, f"out={tmp_path / 'page.md'}"]) == 0
        page = (tmp_path / "page.md").read_text().splitlines()
        assert [line.split(" | ")[0] for line in page[-2:]] == ["| nce", "| leep"]
        assert "2 estimators: 2 ok" in capsys.readouterr().out

    def test_a_mistyped_name_gets_a_suggestion(self, capsys):
        assert check.main(["parq"]) == 2
        assert "Did you mean 'parc'?" in capsys.readouterr().err

    def test_nothing_to_check(self, capsys):
        assert check.main([]) == 2
        assert "methods" in capsys.readouterr().err

    def test_a_missing_module(self):
        with pytest.raises(ConfigError, match="no module 'no_such_package'"):
            verdicts.find(("no_such_package.score",))


def test_the_runner_gives_a_stranger_plain_arrays():
    arrays = probe()
    given = {"features": Features(arrays["features"]), "labels": arrays["labels"]}
    spec = MethodSpec.model_validate({"name": "mine", "_target_": "tests.stranger.centroid_accuracy"})
    result = call(spec, given)
    assert (result.value, result.status) == (centroid_accuracy(arrays["features"], arrays["labels"]), "ok")
    assert not shares(centroid_accuracy)
    assert all(shares(f) for f in estimators().values())


def by_rounding(features, labels):
    """How many inner products come out as numpy's own loop has them: the last bits of one kernel or another."""
    x = features - features.mean(axis=0)
    return separation(features, labels) + np.mean(x @ x.T == np.einsum("nd,md->nm", x, x))


def test_what_goes_by_rounding_shows_between_kernels():
    names = {"mine": "tests.scoring.test_check.by_rounding", "knn": "knn", "parc": "parc"}
    functions = {"mine": by_rounding, "knn": estimators()["knn"], "parc": estimators()["parc"]}
    found, skipped = kernels.findings(names, {}, functions)
    if len(skipped) > len(kernels.KERNELS) - 2:
        pytest.skip(f"fewer than two kernels: {'; '.join(skipped)}")
    assert {name: f.verdict for name, f in found.items()} == {"mine": "fails", "knn": "ok", "parc": "ok"}
    assert all(kernel in found["knn"].text for kernel in kernels.KERNELS if not any(kernel in s for s in skipped))
