"""How well scores predict accuracies: two tables in, correlations with intervals and paired tests out.

    python -m benchmark.correlate scores=scores.csv truth=truth.csv out=outputs/mine

`scores` has a row a model and target (and draw, in a column Run) and a column a method, whatever it is called; `truth`
the accuracy after fine-tuning in percent. Both name models by `Model`, or as the paper by `Architecture` and `Source
Dataset`, and targets by `Target Dataset` (or `target`). Further known columns (ATTRIBUTES) are never methods. Written:
table.{csv,md,tex}, correlations.csv, coverage.csv, modes.csv, and intervals.csv, tests.csv … as
benchmark.stats.evidence makes them.

Rules. Rows with Oracle ≤ 0 or missing, self-transfers and excluded sources are dropped, score rows are joined to
what is left. A missing score leaves that model out of that correlation, and is counted; it is never zero. A
correlation is undefined for fewer than three models or a constant side; a mean over targets or draws is over those
where it is defined, and `coverage` says how many were not.

`random` is the name of a yardstick, whatever values its column holds: the mean over all random orders of the models,
which every correlation has exactly (0) and every regret (a pick among all). One order alone is an accident.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from benchmark import called
from benchmark.config import cli
from benchmark.config.spec import Names, Spec
from benchmark.errors import ConfigError
from benchmark.files import together
from benchmark.reporting import folder, page, report
from benchmark.reporting.focal import refuse_unknown
from benchmark.stats.correlations import correlate, evaluation_modes, write
from benchmark.tables.columns import PAPER_EXCLUDED, method_columns, named, read


class Settings(Spec):
    """What the command takes."""

    earlier_names: ClassVar[Mapping[str, str]] = {"oracle": "truth"}
    scores: Path = Field(description="CSV or Parquet: Model, Target Dataset, perhaps Run, and a column a method")
    truth: Path = Field(description="CSV or Parquet: Model, Target Dataset, Oracle in percent, perhaps Seed")
    out: Path = Field(description="folder for table.md, table.tex, correlations.csv and what explains them")
    focal: Names = Field((), description="methods in question, tested against each other one alone")
    html: bool = Field(False, description="write report.html as well")
    title: str = Field("Correlation of scores with accuracy after fine-tuning", description="of the tables")
    exclude_sources: Names = Field((), description="sources to leave out, or `paper` for the release's five")

    @field_validator("exclude_sources")
    @classmethod
    def _of_paper(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return PAPER_EXCLUDED if value == ("paper",) else value


def run(settings: Settings) -> int:
    """Correlate, write, show."""
    try:
        scores, oracle = named(read(settings.scores)), named(read(settings.truth))
        refuse_unknown(settings.focal, method_columns(scores))
        found = correlate(scores, oracle, settings.exclude_sources)
        modes = evaluation_modes(scores, oracle, settings.exclude_sources)
        shown = report.build(scores, oracle, exclude_sources=settings.exclude_sources, title=settings.title)
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from None
    with together():
        write(found, modes, settings.out)
        shown = report.supported(shown, settings.out, focal=settings.focal)
        folder.write_tables(shown, settings.out)
        if settings.html:
            page.write(shown, settings.out / "report.html")
    folder.show(shown, where=f"{settings.out}/table.md")
    return 0


def main(argv: list[str] | None = None) -> int:
    """`python -m benchmark.correlate scores=<csv> truth=<csv> out=<dir>`."""
    return cli.settings(run, Settings, (__doc__ or "").strip(), argv)


called(__name__, "benchmark.api.correlate")

if __name__ == "__main__":
    sys.exit(main())
