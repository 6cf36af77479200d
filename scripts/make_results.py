"""All of results/ that follows from the released ground truth, made again: `make results`.

    python scripts/make_results.py [data=<packs>] [weights=<networks>] [published=<tables> more=<further tables>]
        [only=[diverse,paper_mini]]

Run it on a clean commit: every provenance.json then names that commit, and a tree with changes is refused. The packs
of real images (docs/data.md), the networks of the public bank (docs/public.md) and the published tables come from
outside the project; steps that need one that is not given are named and left out. Not made here, since they are
measured: released/, bench/, search.*, recipes.*, gpu.md and the verify.csv files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmark import provenance  # noqa: E402
from benchmark.cells.planner import plan  # noqa: E402
from benchmark.cells.released import complete  # noqa: E402
from benchmark.cells.store import Store  # noqa: E402
from benchmark.config import cli  # noqa: E402
from benchmark.config.compose import compose  # noqa: E402
from benchmark.config.spec import Spec  # noqa: E402
from benchmark.config.validation import experiment  # noqa: E402
from benchmark.errors import ConfigError  # noqa: E402

RUN, PAPER = ("-m", "benchmark.run"), ("-m", "benchmark.paper")
DATA, WEIGHTS, PUBLISHED, MORE = "paths.data={data}", "paths.weights={weights}", "{published}", "{more}"
COMPLETE = "{complete}"
"""Stands for the options that leave experiment=public with the targets whose ground truth is released."""

TABLES = (
    *(
        "provenance.json",
        "report.json",
        "table.csv",
        "table.md",
        "table.tex",
        "intervals.csv",
        "tests.csv",
        "times.csv",
    ),
    *("correlations.csv", "scores.parquet", "truth.parquet", "seeds.parquet", "status.parquet"),
)
"""The files of a run that make it a bank of the leaderboard, and that `against=` reads."""


@dataclass(frozen=True)
class Step:
    """One part of results/: the commands that make it, and what is copied from where they write.

    name      what `only` calls it
    commands  arguments of Python, run from the project's root; `{data}`, `{weights}` …: the folders given
    keep      (folder written, folder under results/, files), where a run writes more than is committed
    may_fail  whether a run with models that cannot be trained counts: it ends with exit code 1, and its table says so
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    keep: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    may_fail: bool = False

    def needs(self, placeholder: str) -> bool:
        return any(placeholder in argument for command in self.commands for argument in command)


STEPS = (
    Step("diverse", ((*RUN, "experiment=diverse", "paths.out=results/diverse"),)),
    Step(
        "diverse_all",
        ((*RUN, "experiment=diverse", "method=all", "name=diverse_all", "paths.out=results/diverse_all"),),
    ),
    Step(
        "demo_all",
        (
            (
                *RUN,
                "experiment=demo",
                "method=all",
                "name=demo_all",
                "paths.released=results/released",
                "paths.out=results/demo_all",
            ),
        ),
    ),
    Step(
        "paper_mini",
        (
            (*RUN, "experiment=paper_mini"),
            (*RUN, "-m", "experiment=paper_mini_sizes", "probe.size=50,100,200,500"),
            (*RUN, "experiment=paper_mini_diverse"),
            (
                *PAPER,
                "path=outputs/paper_mini",
                "sizes=outputs/paper_mini_sizes",
                "diverse=outputs/paper_mini_diverse",
                "out=results/paper_mini",
            ),
        ),
        keep=(("outputs/paper_mini", "paper_mini", TABLES),),
    ),
    Step("rank", ((*RUN, "experiment=rank", DATA, "paths.out=results/rank"),)),
    Step(
        "small",
        (
            (*RUN, "experiment=small", DATA, "paths.out=results/small", "report.html=true"),
            ("scripts/results/weights_table.py", "experiment=small", DATA, "paths.out=results/small"),
            (*PAPER, "path=results/small", "out=outputs/small_claims"),
        ),
        keep=(("outputs/small_claims", "small", ("claims.csv", "claims.md")),),
    ),
    Step(
        "small_single",
        ((*RUN, "experiment=small", "~target.voc5_multilabel", "name=small_single", DATA),),
        keep=(
            (
                "outputs/small_single",
                "small_single",
                ("evidence.json", "provenance.json", "table.csv", "table.md", "tests.csv"),
            ),
        ),
    ),
    Step(
        "public",
        (
            (
                *RUN,
                "experiment=public",
                COMPLETE,
                WEIGHTS,
                DATA,
                "paths.out=results/public",
                "report.html=true",
            ),
            ("-m", "benchmark.lineage", "path=results/public"),
            ("scripts/results/public_page.py", "data={data}", "weights={weights}"),
        ),
        may_fail=True,  # a network may diverge on a target
    ),
    Step(
        "recommendation",
        (
            ("scripts/results/rank_table.py", f"published={PUBLISHED}"),
            ("scripts/results/recommendation_table.py", "data={data}", "weights={weights}"),
        ),
    ),
    Step(
        "published",
        (
            (
                "-m",
                "benchmark.published",
                f"path={PUBLISHED}",
                "more={more}",
                "out=outputs/published",
                "page=results/published.md",
            ),
        ),
        keep=(("outputs/published", "published", ("methods.csv", "list.csv", "scored.csv")),),
    ),
    Step("leaderboard", (("scripts/results/leaderboard.py",),)),
    Step("pages", (("scripts/results/readme.py",),)),
)
"""In an order in which each step finds what it reads: the recommendation learns from diverse_all, rank and small."""


class Settings(Spec):
    data: Path | None = Field(None, description="folder of the packs of real images")
    weights: Path | None = Field(None, description="folder of the networks of the public bank")
    published: Path | None = Field(None, description="folder of the published tables")
    more: Path | None = Field(None, description="folder of those of benchmark/literature/further_banks.py")
    only: tuple[str, ...] = Field((), description="names of steps, where not all are wanted")


def make(settings: Settings) -> int:
    """Run the steps one after another; returns 1 where one failed or was left out."""
    names = [s.name for s in STEPS]
    if unknown := sorted(set(settings.only).difference(names)):
        raise ConfigError(f"only must name steps. Got {', '.join(unknown)}. There are: {', '.join(names)}.")
    given = {name: getattr(settings, name) for name in ("data", "weights", "published", "more")}
    for name, folder in given.items():
        if folder is not None and not folder.is_dir():
            raise ConfigError(f"{name} must be a folder. Got '{folder}': nothing there.")
    environment = os.environ | {"BENCHMARK_COMMIT": _clean_commit()}
    left_out = []
    for step in STEPS:
        if settings.only and step.name not in settings.only:
            continue
        absent = [name for name, folder in given.items() if folder is None and step.needs("{" + name + "}")]
        if absent:
            left_out.append(f"{step.name} (needs {', '.join(absent)}=<folder>)")
            continue
        start = time.monotonic()
        if code := _run(step, given, environment):
            print(f"{step.name} failed with exit code {code}", file=sys.stderr)
            return 1
        print(f"{step.name}: {time.monotonic() - start:.0f} s", flush=True)
    if left_out:
        print(f"left out: {'; '.join(left_out)}", file=sys.stderr)
    return int(bool(left_out))


def _clean_commit() -> str:
    """The commit that all steps record: the first step's tables would make the tree of the second one dirty."""
    commit = provenance.commit()
    if commit is None or commit.endswith("-dirty"):
        raise ConfigError(
            "Results must be made on a clean commit, so that their provenance names the code that made them. "
            f"Got {commit or 'no git checkout'}. Commit or stash the changes first."
        )
    return commit


def _run(step: Step, given: dict[str, Path | None], environment: dict[str, str]) -> int:
    for command in step.commands:
        arguments = [
            part.format(**{name: str(folder) for name, folder in given.items()})
            for argument in command
            for part in (_complete(given) if argument == COMPLETE else [argument])
        ]
        print(f"python {' '.join(arguments)}", flush=True)
        code = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment).returncode
        if code and not (step.may_fail and code == 1 and command[:2] == RUN):
            return code
    for written, folder, files in step.keep:
        _copy(ROOT / written, ROOT / "results" / folder, files)
    return 0


def _complete(given: dict[str, Path | None]) -> list[str]:
    """Options that leave experiment=public with the targets, and the seeds, whose fine-tunings are released."""
    places = [f"paths.{name}={given[name]}" for name in ("data", "weights")]
    spec = experiment(compose(["experiment=public", *places]))
    done = complete(plan(spec), Store(ROOT / ".nowhere", ROOT / "results" / "released"))
    if not done:
        raise ConfigError("the step public needs a target whose fine-tunings are all in results/released. Got none.")
    once = [f"~recipe.seeds_on.{name}" for name, n in spec.recipe.seeds_on.items() if done.get(name, 0) < n]
    return [f"target=[{','.join(done)}]", *(once if len(once) < len(spec.recipe.seeds_on) else ["~recipe.seeds_on"])]


def _copy(source: Path, destination: Path, files: Sequence[str]) -> None:
    destination.mkdir(parents=True, exist_ok=True)
    for name in files:
        shutil.copyfile(source / name, destination / name)


if __name__ == "__main__":
    raise SystemExit(cli.settings(make, Settings, __doc__.strip()))
