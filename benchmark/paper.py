"""The paper's tables and figures from a run of this project, in the paper's layout, each beside the published figures.

    python -m benchmark.paper path=outputs/paper_mini out=results/paper_mini

The paper: Bolya, Mittapalli, Hoffman, NeurIPS 2021, arXiv 2111.06977. Its figures lie in paper_figures.csv (table, row,
column, value, sd); `ℓ` there and here is added as its release does (`pooled`; see `correlate`).
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmark.config import cli
from benchmark.config.spec import Spec
from benchmark.errors import ConfigError
from benchmark.literature.paper_folder import write
from benchmark.literature.paper_tables import load


def main(argv: list[str] | None = None) -> int:
    from pydantic import Field

    class Settings(Spec):
        path: Path = Field(Path("outputs/paper_mini"), description="folder of the run on the controlled bank")
        diverse: Path | None = Field(None, description="folder of a run on a crowd-sourced bank, for Table 5")
        sizes: Path | None = Field(None, description="folder of a sweep over probe.size, for the curves")
        out: Path = Field(Path("outputs/paper"), description="folder for the tables, the figures and claims.md")

    def run(settings: Settings) -> int:
        from threadpoolctl import threadpool_limits

        try:
            with threadpool_limits(1):
                others = {n: load(p) if (p := getattr(settings, n)) else None for n in ("diverse", "sizes")}
                found = write(load(settings.path), settings.out, settings.path, **others)
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from None
        for row in found.itertuples():
            print(f"{row.verdict:<13}{row.claim}")
        print(f"tables and figures in {settings.out}")
        return 0

    usage = "python -m benchmark.paper path=<run> out=<folder>: the paper's tables, each beside the published figures"
    return cli.settings(run, Settings, usage, argv)


if __name__ == "__main__":
    sys.exit(main())
