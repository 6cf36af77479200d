"""The main job: `python -m benchmark.run method=parc bank=diverse`.

Configuration → plan → missing cells computed in worker processes → tables → correlations and report.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmark import called, files, provenance
from benchmark.cells.cost import describe
from benchmark.cells.plan import Cell, Plan, merge
from benchmark.cells.planner import plan
from benchmark.cells.store import Damaged, Store
from benchmark.config import cli
from benchmark.config.experiment import Experiment
from benchmark.config.functions import MethodSpec
from benchmark.errors import ConfigError
from benchmark.execution.compute import run as execute
from benchmark.execution.known import truths
from benchmark.execution.local import resolve_devices, worker_count
from benchmark.execution.progress import Display
from benchmark.models import absent
from benchmark.models.architecture import unknown_architecture
from benchmark.scoring.draws import draw_seeds, scoring_seed
from benchmark.tables.failures import failures
from benchmark.wording import duration

if TYPE_CHECKING:
    from benchmark.tables.against import Focus
    from benchmark.tables.gather import Tables

SWEPT = ("bank", "target", "source", "method", "probe", "reference")
"""What the points of a sweep may differ in: rows and columns of the merged table tell them apart."""

USAGE = """python -m benchmark.run [-m] [key=value …]

Scores every method on every model and target, fine-tunes what has no ground truth yet, and prints how well the
scores predict the accuracies. Finished work is kept: the same command again only prints.

  method=parc bank=diverse                 the paper's method on the embedded diverse bank
  method=[parc,logme] target=[digits,mnist]
  -m method=parc,leep,logme probe.size=100,250,500     a sweep, in one merged table
  '+method.mine._target_=my_package.my_score'          your own estimator
  experiment=diverse '+method.mine._target_=…' against=released     it alone, beside the scores of all others
  dry_run=true                             what would be done, at what cost, and what for it is missing here
"""


def run(experiments: Sequence[Experiment], quiet: bool = False) -> int:
    """Run one experiment, or the points of a sweep as one plan; `quiet`: tables are written, not printed.

    Returns the exit code: 1 where a cell failed, or a method raised an exception on one.
    """
    start = time.monotonic()
    _agree(experiments)
    focus, first = None, experiments[0]
    if first.against:
        from benchmark.tables import against

        focus = against.focus(experiments)
        experiments, first = focus.experiments, focus.experiments[0]
    released = None if first.truth.mode == "recompute" else first.paths.released
    store = Store(first.paths.cache, released)
    plans = [plan(e, estimate=first.dry_run) for e in experiments]
    made = merge(plans)
    if focus:
        against.refuse_new_truth(made, store, focus.held)
    workers = worker_count(first.executor, resolve_devices(first.executor)[1])
    _refuse_unknown_architectures(made.missing(store))
    if first.dry_run:
        print(describe(made, store, workers, first.executor.device))
        return 0
    files.writable(first.paths.out, folder=True, name="paths.out")
    bank = {name: model for e in experiments for name, model in e.bank.items()}
    for reason in absent.sentences(made.unavailable, bank):
        print(f"unavailable: {reason}", file=sys.stderr)
    if any(method.learns for e in experiments for method in e.method.values()):
        known = truths(made, store, first)
        plans = [plan(e, truths=known) for e in experiments]
        made = merge(plans)
    columns = _columns(experiments)
    by_transfer = [names for names, one in zip(columns, plans, strict=True) for _ in one.transfers]
    failed, tables = _complete(made, store, first, by_transfer)
    shown = against.joined(tables, focus, _in_question(focus, columns)) if focus else tables
    with files.together():
        code = _report(experiments, shown, columns, focus, quiet)
    if first.logger:
        from benchmark.reporting.tracking import log

        log(experiments, shown)
    if first.truth.verify:
        from benchmark.execution.verify import verify

        code |= not verify(first, made, store)
    if failed:
        _tell_failures(made, failed)
    raised = failures(made, store, failed, by_transfer, tables)
    for method in raised:
        print(method, file=sys.stderr)
    if not quiet:
        print(f"{duration(time.monotonic() - start)}, results in {first.paths.out}")
    return 1 if failed or raised or made.unavailable else int(code)


def _refuse_unknown_architectures(missing: Sequence[Cell]) -> None:
    """A mistyped architecture is said before hours of work on the others, and costs nothing where all is stored."""
    models = {
        c.work["model"].arch: c.work["model"] for c in missing if c.stage in ("weights", "tune", "truth", "probe")
    }
    if not models:
        return

    problems = [
        f"arch of model '{model.name}' must be an architecture of timm or torchvision. {why}"
        for arch, model in models.items()
        if (why := unknown_architecture(arch))
    ]
    if problems:
        raise ConfigError("\n".join(problems))


def _complete(
    made: Plan, store: Store, first: Experiment, columns: Sequence[Mapping[str, str]]
) -> tuple[dict[str, str], Tables]:
    """Compute what is missing and read the tables; a cell found damaged on reading sends us round again."""
    from benchmark.tables.gather import gather  # with it comes pandas, which a refusal need not wait for

    failed: dict[str, str] = {}
    while True:
        missing = [c for c in made.missing(store) if c.key not in failed]
        with Display(len(missing)) as display:
            failed |= execute(missing, made.cells, store, first.executor, display)
        try:
            return failed, gather(made, store, failed, columns)
        except Damaged as first_found:
            truth = (("truth", key) for t in made.transfers for key in t.truth)
            scores = (("score", key) for t in made.transfers for key in t.scores.values())
            others = made.damaged(store, (*truth, *scores))  # so that all of them are made in one go
            for line in (made.told(first_found), *others):
                print(line, file=sys.stderr)


def _in_question(focus: Focus, columns: Sequence[Mapping[str, str]]) -> list[str]:
    """The columns of the methods that finished tables lack."""
    return list(dict.fromkeys(names[name] for names in columns for name in focus.methods if name in names))


def _report(
    experiments: Sequence[Experiment],
    tables: Tables,
    columns: Sequence[Mapping[str, str]],
    focus: Focus | None,
    quiet: bool,
) -> int:
    from benchmark.reporting import folder

    first = experiments[0]
    inputs = {names[m.name]: m.needs for e, names in zip(experiments, columns, strict=True) for m in e.method.values()}
    return folder.write(
        tables,
        first.paths.out,
        title=first.name,
        exclude_models=first.exclude_models,
        inputs={**focus.held.inputs, **inputs} if focus else inputs,
        focal=_in_question(focus, columns) if focus else (),
        notes=tables.notes,
        provenance={
            "command": ["python", "-m", "benchmark.run", *sys.argv[1:]],
            "seeds": {
                "probe": draw_seeds(first.probe.draws),
                "scoring": list(map(scoring_seed, range(first.probe.draws))),
            },
            "experiments": [e.model_dump(mode="json", exclude={"paths"}) for e in experiments],
            **provenance.record(),
        },
        html=first.report.html,
        quiet=quiet,
    )


def _agree(experiments: Sequence[Experiment]) -> None:
    """Refuse a sweep over what its one table, one store and one output folder can hold just once."""
    first = experiments[0]
    for name in Experiment.model_fields:
        if name not in SWEPT and any(getattr(e, name) != getattr(first, name) for e in experiments):
            raise ConfigError(
                f"{name} must be the same in all points of a sweep. Got several. Run them one by one: a sweep ends in "
                f"one table with one ground truth; it may vary {', '.join(SWEPT)}."
            )
    for name, group in ((m.name, g) for e in experiments for m in e.method.values() for g in _must_agree(m)):
        if any(list(getattr(e, group)) != list(getattr(first, group)) for e in experiments):
            raise ConfigError(
                f"{group} must be the same in all points of a sweep with method.{name}, whose scores depend on all of "
                "it. Got several. Run them one by one."
            )
    for group in ("bank", "target", "source"):
        known: dict[str, object] = {}
        for name, entry in (item for e in experiments for item in getattr(e, group).items()):
            if known.setdefault(name, entry) != entry:
                raise ConfigError(f"{group}.{name} must mean one thing in all points of a sweep. Got several.")


def _must_agree(method: MethodSpec) -> tuple[str, ...]:
    """The groups of a configuration, all of whose entries decide each of a method's scores."""
    return ("bank", "target") if method.learns else ("bank",) if method.over_bank else ()


def _columns(experiments: Sequence[Experiment]) -> list[dict[str, str]]:
    """Per point of a sweep, each method's column: its name, and its settings that differ between the points."""
    named = []
    for point in experiments:
        columns = {}
        for name in point.method:
            rivals = [_settings(e, name) for e in experiments if name in e.method]
            mine = _settings(point, name)
            varying = sorted(k for k in set().union(*rivals) if len({repr(r.get(k)) for r in rivals}) > 1)
            label = ", ".join(f"{k}={mine.get(k)}" for k in varying)
            columns[name] = f"{name} @ {label}" if label else name
        named.append(columns)
    return named


def _settings(point: Experiment, method: str) -> dict[str, object]:
    own = point.method[method]
    shared = _flatten(point.model_dump(mode="json", include={"probe", "reference"}))
    return shared | _flatten(own.parameters) | {"_target_": own.function_path}


def _flatten(tree: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(tree, dict):
        return {prefix[:-1]: tree}
    return {k: v for name, value in tree.items() for k, v in _flatten(value, f"{prefix}{name}.").items()}


def _tell_failures(made: Plan, failed: Mapping[str, str]) -> None:
    causes = {k: r for k, r in failed.items() if not r.startswith("needs ")}
    rest = f" ({len(causes)} of their own, the rest for want of these)" if len(causes) < len(failed) else ""
    print(f"{len(failed)} cells failed{rest}:", file=sys.stderr)
    for key, reason in list(causes.items())[:20]:
        print(f"  {made.cells[key].label}: {reason}", file=sys.stderr)
    print("Run the same command again to try them once more; what is finished is kept.", file=sys.stderr)


def main() -> int:
    return cli.experiments(run, USAGE)


called(__name__, "benchmark.api.run")

if __name__ == "__main__":
    raise SystemExit(main())
