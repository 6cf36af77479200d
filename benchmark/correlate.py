"""How well scores predict accuracies: tables in, correlations out.

Tables have the paper's columns: scores `Run, Architecture, Source Dataset, Target Dataset, <method>…`, accuracies
`Architecture, Source Dataset, Target Dataset, Oracle` in percent. A model is an Architecture × Source Dataset, or
the `Model` column where both tables have one. Further known columns (ATTRIBUTES) are never methods.

Rules. Rows with Oracle ≤ 0 or missing, self-transfers and excluded sources are dropped, score rows are joined to
what is left. A missing score leaves that model out of that correlation, and is counted; it is never zero. A
correlation is undefined for fewer than three models or a constant side; a mean over targets or draws is over those
where it is defined, and `coverage` says how many were not.

`random` is the name of a yardstick, whatever values its column holds: the mean over all random orders of the models,
which every correlation has exactly (0) and every regret (a pick among all). One order alone is an accident.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmark.stats.correlations import correlate, evaluation_modes, write
from benchmark.tables.columns import PAPER_EXCLUDED, read


def main(argv: list[str] | None = None) -> int:
    """`python -m benchmark.correlate scores=<csv> oracle=<csv> out=<dir>`."""
    from pydantic import Field, field_validator

    from benchmark.config import cli
    from benchmark.config.spec import Spec
    from benchmark.errors import ConfigError
    from benchmark.reporting import folder, report

    class Settings(Spec):
        scores: Path = Field(description="CSV or Parquet: Run, Architecture, Source Dataset, Target Dataset, methods")
        oracle: Path = Field(
            description="CSV or Parquet: Architecture, Source Dataset, Target Dataset, Oracle in percent"
        )
        out: Path = Field(description="folder for correlations.csv and what explains it")
        exclude_sources: tuple[str, ...] = Field(
            (), description="sources to leave out, or `paper` for the release's five"
        )

        @field_validator("exclude_sources", mode="before")
        @classmethod
        def _several(cls, value: object) -> object:
            if value == "paper":
                return PAPER_EXCLUDED
            return (value,) if isinstance(value, str) else value or ()

    def run(settings: Settings) -> int:
        try:
            scores, oracle = read(settings.scores), read(settings.oracle)
            found = correlate(scores, oracle, settings.exclude_sources)
            modes = evaluation_modes(scores, oracle, settings.exclude_sources)
            shown = report.build(scores, oracle, exclude_sources=settings.exclude_sources)
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from None
        write(found, modes, settings.out)
        folder.show(shown, where=f"{settings.out}/correlations.csv, {settings.out}/coverage.csv")
        return 0

    usage = "python -m benchmark.correlate scores=<csv> oracle=<csv> out=<folder>: how well scores predict accuracies"
    return cli.settings(run, Settings, usage, argv)


if __name__ == "__main__":
    sys.exit(main())
