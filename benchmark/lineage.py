"""The command for tables of scores in which models descend from one another: each lineage left out in turn.

    python -m benchmark.lineage path=results/public

reads a report's folder, prints the table and puts lineage.csv and lineage.md beside it. Models of one lineage (a bank's
`lineage`) were trained one from another, or are variants of one training: they are near-copies, which a correlation
counts as if they were independent.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmark.config import cli
from benchmark.config.spec import Spec
from benchmark.errors import ConfigError
from benchmark.files import put
from benchmark.reporting import folder
from benchmark.reporting.lineage import left_out, markdown
from benchmark.tables import columns
from benchmark.tables.gather import without_vacuous


def main(argv: list[str] | None = None) -> int:
    """`python -m benchmark.lineage path=<folder of a report>`."""
    from pydantic import Field

    class Settings(Spec):
        path: Path = Field(description="folder of a report that benchmark.run wrote, for instance results/public")

    def run(settings: Settings) -> int:
        try:
            tables, _ = folder.read(settings.path)
            table = left_out(without_vacuous(tables.scores, tables.status), tables.truth)
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from None
        columns.save(table, settings.path / "lineage.csv")
        put(settings.path / "lineage.md", markdown(table))
        print(markdown(table))
        return 0

    usage = "python -m benchmark.lineage path=<folder>: what a table says with each lineage of models left out"
    return cli.settings(run, Settings, usage, argv)


if __name__ == "__main__":
    sys.exit(main())
