"""The commands as functions: tables and arrays in, tables out, nothing printed and nothing written unless asked for.

    from benchmark import correlate, evaluate, load_results, rank, run

Each takes and gives pandas DataFrames, needs no configuration language, and raises `benchmark.errors.ConfigError` with
a sentence that says what to change. Estimators alone need nothing but numpy: `import methods`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import provenance
from benchmark.config.compose import compose, methods_named
from benchmark.config.functions import ARRAYS, GivenMethod
from benchmark.config.validation import check_parameters
from benchmark.config.validation import experiment as validated
from benchmark.errors import ConfigError
from benchmark.files import together
from benchmark.results import load
from benchmark.run import run as computed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from benchmark.config.functions import MethodSpec
    from benchmark.reporting.report import Report
    from benchmark.results import Results

Method = Callable[..., object]
"""An estimator: a function of the arrays that it names (docs/method.md); higher predicts better."""

FEW = 10_000


def load_results(which: str | Path = "diverse") -> Results:
    """The tables of a finished experiment: scores, ground truth, and ground truth seed by seed.

    which    a name under results/ of the checkout or of the installed package (`benchmark.results.names()` lists
             them), or a folder that `benchmark.run` wrote
    returns  `benchmark.results.Results`

    >>> from benchmark import load_results
    >>> diverse = load_results("diverse")
    >>> diverse.scores[["Run", "Model", "Target Dataset", "parc", "logme"]].head(2).round(2)
       Run           Model Target Dataset   parc  logme
    0    0  resnet10-mnist         digits  24.32  -0.11
    1    1  resnet10-mnist         digits  24.07  -0.10
    >>> diverse.truth[["Model", "Target Dataset", "Oracle", "Seeds"]].head(2).round(2)
                Model Target Dataset  Oracle  Seeds
    0  resnet10-mnist         digits   90.58      2
    1  resnet10-glyphs        digits   87.75      2
    >>> len(diverse.seeds), diverse.probe.size, diverse.probe.draws
    (566, 500, 5)

    Scores that say nothing (degenerate, not applicable) are missing in `scores`, and `status` says why.
    """
    return load(which)


def correlate(
    scores: pd.DataFrame | str | Path,
    oracle: pd.DataFrame | str | Path,
    *,
    focal: Sequence[str] = (),
    exclude_sources: Iterable[str] = (),
    resamples: int = FEW,
    title: str = "Correlation of scores with accuracy after fine-tuning",
    out: str | Path | None = None,
) -> Report:
    """How well scores predict accuracies: correlations with intervals and paired tests.

    scores     a row a model and target (and probe draw, in a column Run), a column a method: a DataFrame, CSV, Parquet
    oracle     Oracle, the accuracy after fine-tuning in percent, likewise; with a column Seed several rows a pair.
               Both name models by Model, or as the paper by Architecture and Source Dataset, and targets by
               Target Dataset
    focal      methods in question: each is tested against every other one, Holm's correction over those pairs alone
    exclude_sources  sources whose models are left out
    resamples  of the bootstrap
    out        a folder for table.md, table.tex, correlations.csv, tests.csv …; nothing is written without it
    returns    `benchmark.reporting.report.Report`: summary (a row a method), by_target, evidence.intervals,
               evidence.tests, notes …

    >>> from benchmark import correlate, load_results
    >>> diverse = load_results("diverse")
    >>> report = correlate(diverse.scores, diverse.truth, focal=["parc"], resamples=200)
    >>> report.summary.set_index("method").loc[["parc", "static_list"], ["pearson", "kendall"]].round(3)
                 pearson  kendall
    method
    parc          49.627    0.362
    static_list   56.356    0.400
    >>> tests = report.evidence.tests.query("measure == 'pearson'")
    >>> sorted(set(tests["first"])), len(tests)
    (['parc'], 14)
    """
    from benchmark.reporting import folder, report
    from benchmark.reporting.focal import refuse_unknown
    from benchmark.stats import correlations
    from benchmark.tables.columns import method_columns, named

    try:
        scored, truth = named(_table(scores)), named(_table(oracle))
        refuse_unknown(focal, method_columns(scored))
        made = report.build(scored, truth, exclude_sources=exclude_sources, title=title)
        if out is None:
            return report.supported(made, None, resamples, focal)
        found = correlations.correlate(scored, truth, exclude_sources)
        modes = correlations.evaluation_modes(scored, truth, exclude_sources)
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from None
    place = Path(out)
    with together():
        correlations.write(found, modes, place)
        made = report.supported(made, place, resamples, focal)
        folder.write_tables(made, place)
    return made


def evaluate(
    features: Mapping[str, np.ndarray] | str | Path,
    truth: pd.DataFrame | str | Path,
    methods: Sequence[str] | Mapping[str, Method] = ("paper",),
    *,
    own: Mapping[str, Method] | None = None,
    size: int | None = None,
    draws: int = 5,
    focal: Sequence[str] = (),
    resamples: int = FEW,
    title: str = "own features",
    out: str | Path | None = None,
) -> Report:
    """Estimators on features and accuracies of one's own; PyTorch is not needed.

    features   arrays by key, or a file or folder of them: <target>/labels (n,) int, <target>/<model>/features (n, d),
               and, where there are, <target>/<model>/probs or /logits (n, z), <target>/<model>/source_features (m, d)
               and /source_labels (m,), <target>/reference_features (n, d')
    truth      Model, Target Dataset, Oracle (percent), perhaps Seed, Layers, Parameters …
    methods    names of conf/method (`all` for every one), or functions by the names that their columns get
    own        functions beside those that `methods` names; they run in this process
    size       images of a probe set, drawn as the benchmark draws them, `draws` times; None: all images, once
    focal, resamples, out, returns   as of `correlate`; with `out`, the whole report is written there

    >>> import numpy as np, pandas as pd
    >>> from benchmark import evaluate
    >>> rng, arrays, rows = np.random.default_rng(0), {}, []
    >>> for target in ("birds", "cars"):
    ...     labels = arrays[f"{target}/labels"] = np.repeat(np.arange(4), 10)
    ...     for i, skill in enumerate(rng.uniform(0.3, 2.5, 8)):
    ...         spread = rng.normal(size=(40, 12))
    ...         arrays[f"{target}/net{i}/features"] = spread + skill * np.eye(4, 12)[labels]
    ...         rows.append((f"net{i}", target, 60 + 10 * skill))
    >>> truth = pd.DataFrame(rows, columns=["Model", "Target Dataset", "Oracle"])
    >>> def gap(features, labels):
    ...     means = [features[labels == c].mean(axis=0) for c in np.unique(labels)]
    ...     return np.var(means, axis=0).sum()
    >>> report = evaluate(arrays, truth, ["parc", "knn"], own={"gap": gap}, resamples=200)
    >>> sorted(report.summary.query("~yardstick")["method"])
    ['gap', 'knn', 'parc']
    """
    from benchmark.reporting import folder, report
    from benchmark.reporting.focal import refuse_unknown
    from benchmark.scoring import own_features

    specs = _specifications(methods, own or {})
    refuse_unknown(focal, [m.name for m in specs])
    try:
        arrays = own_features.arranged(features) if isinstance(features, Mapping) else own_features.read(Path(features))
        accuracies = own_features.completed(_table(truth))
        tables = own_features.tables(arrays, accuracies, specs, size, draws)
        inputs = {m.name: m.needs for m in specs}
        if out is not None:
            origin = {"command": ["benchmark.evaluate"], **provenance.record()}
            folder.write(tables, Path(out), title=title, inputs=inputs, provenance=origin, focal=focal, quiet=True)
        shown = (tables.scores, tables.truth, tables.seeds, tables.status, tables.timings, inputs)
        made = replace(report.build(*shown, title=title), times=report.times_of(tables))
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from None
    return report.supported(made, None if out is None else Path(out), resamples, focal)


def run(
    experiment: str | None = None,
    *,
    methods: Sequence[str] = (),
    own: Mapping[str, str | Method] | None = None,
    against: str | Path | None = None,
    out: str | Path | None = None,
    overrides: Iterable[str] = (),
) -> Report:
    """An experiment as `python -m benchmark.run` does it: what is missing is computed, what is there is read.

    experiment  an option of conf/experiment: demo, diverse …; None: one method on the offline bank
    methods     names of conf/method instead of the experiment's own
    own         estimators of one's own by the names that their columns get: functions that can be imported, or their
                dotted paths, since worker processes import them and cells are kept under their source
    against     released: compute those of `own` alone and take everybody else's scores from results/; or a folder
    out         a folder for the report; without it none is kept. Cells stay in .cache (overrides: paths.cache=<folder>)
    overrides   of the configuration, as on the command line: "probe.size=100", "executor.workers=1"
    returns     `benchmark.reporting.report.Report`

    >>> from benchmark import run
    >>> two = ["target=[digits,mnist]"]
    >>> report = run("diverse", own={"mine": "my_package.my_score"}, against="released", overrides=two)
    >>> sorted(set(report.evidence.tests.query("family == 'focal'")["first"]))
    ['mine']
    """
    from benchmark.reporting import folder, report

    given = [f"experiment={experiment}"] if experiment else []
    given += [f"method=[{','.join(methods)}]"] if methods else []
    given += [f"+method.{name}._target_={_path_of(function, name)}" for name, function in (own or {}).items()]
    given += [f"against='{against}'"] if against else []
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "out" if out is None else Path(out)
        spec = validated(compose([*given, *overrides, f"paths.out='{place}'"]))
        computed([spec], quiet=True)
        try:
            tables, about = folder.read(place)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        shown = (tables.scores, tables.truth, tables.seeds, tables.status, tables.timings, about["inputs"])
        made = replace(report.build(*shown, title=about["title"]), times=report.times_of(tables))
        made = replace(made, notes=(*about.get("notes", ()), *made.notes))
        return report.supported(made, place, focal=about.get("focal", ()))


def _table(given: pd.DataFrame | str | Path) -> pd.DataFrame:
    import pandas as pd

    from benchmark.tables import columns

    return given.copy() if isinstance(given, pd.DataFrame) else columns.read(Path(given))


def _specifications(methods: Sequence[str] | Mapping[str, Method], own: Mapping[str, Method]) -> list[MethodSpec]:
    named = [] if isinstance(methods, Mapping) else list(methods)
    functions = {**(methods if isinstance(methods, Mapping) else {}), **own}
    specs = methods_named(named) if named else []
    for name, function in functions.items():
        if not callable(function):
            raise ConfigError(f"method {name} must be a function. Got {function!r}.")
        if problems := check_parameters(function, {}, f"method.{name}", ARRAYS):
            raise ConfigError("\n".join(problems))
        specs.append(GivenMethod(name=name, _target_=f"given.{name}", call=function))
    if len({m.name for m in specs}) < len(specs):
        raise ConfigError(f"methods must have names of their own. Got {', '.join(m.name for m in specs)}.")
    return specs


def _path_of(function: str | Method, name: str) -> str:
    """The dotted path under which worker processes find a function."""
    if isinstance(function, str):
        return function
    module, inside = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if module in (None, "__main__", "builtins") or not inside.isidentifier():
        raise ConfigError(
            f"own['{name}'] must be a function that can be imported: worker processes do so. Got one of {module}. Put "
            "it into a file of its own and import it from there."
        )
    return f"{module}.{inside}"
