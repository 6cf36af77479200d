"""The report of a finished run again, from its tables: terminal, CSV, Markdown, LaTeX and pictures.

Reading order of a table: methods by their mean Pearson correlation, then the yardsticks, which never look at the
target's images. Files of values are the same bytes for the same tables; times are in files of their own
(timings.csv, times.*). Scores with a status other than ok are left out of the correlations and counted.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import Field

from benchmark.config import cli
from benchmark.config.spec import Names, Spec
from benchmark.errors import ConfigError
from benchmark.reporting.folder import read, write


class Latex(Spec):
    """What table.tex shows."""

    columns: Names = ()


class Settings(Spec):
    """What the command takes."""

    path: Path = Field(Path("outputs/run"), description="folder of a run")
    html: bool = Field(False, description="write report.html as well: one page that needs no network")
    latex: Latex = Field(Latex(), description="latex.columns=[pearson,interval,…]: what table.tex shows, in order")


def run(settings: Settings) -> int:
    """Make a run's tables and pictures again from its records."""
    try:
        tables, arguments = read(settings.path)
        chosen = settings.latex.columns
        return write(tables, settings.path, **arguments, html=settings.html, latex_columns=chosen)
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from None


def main(argv: list[str] | None = None) -> int:
    """`python -m benchmark.report path=<folder>`."""
    return cli.settings(run, Settings, "python -m benchmark.report path=<folder>: a run's report again", argv)


if __name__ == "__main__":
    sys.exit(main())
