"""Other people's ground truths and scores: read, checked, cleaned, and held against the same yardsticks.

    python -m benchmark.published path=<folder> out=<dir> [page=results/published.md]

The tables are theirs, mostly without a licence, and not part of this project: they are read from a folder (or, for
the paper's two, fetched). A file with another checksum than the one that was checked here is read with a warning.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmark.config import cli
from benchmark.config.spec import Spec
from benchmark.errors import ConfigError
from benchmark.literature.published_folder import write
from benchmark.literature.sources import SOURCES, fetch


def main(argv: list[str] | None = None) -> int:
    from pydantic import Field

    class Settings(Spec):
        path: Path = Field(description="folder that holds the published tables, under the names of `SOURCES`")
        more: Path | None = Field(None, description="a second folder of published tables, where they lie in two")
        out: Path = Field(description="folder for yardsticks.csv, methods.csv, agreement.csv, reported.csv, the page")
        page: Path | None = Field(None, description="a further place for the page, e.g. results/published.md")
        fetch: bool = Field(False, description="download the paper's two tables into path first, checksums verified")

    def run(settings: Settings) -> int:
        from threadpoolctl import threadpool_limits

        try:
            if settings.fetch:
                for stem in (s for s, source in SOURCES.items() if source.url):
                    fetch(stem, settings.path)
            with threadpool_limits(1):
                write([f for f in (settings.path, settings.more) if f], settings.out, settings.page)
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from None
        return 0

    usage = "python -m benchmark.published path=<folder> out=<dir>: yardsticks on everybody's published ground truth"
    return cli.settings(run, Settings, usage, argv)


if __name__ == "__main__":
    sys.exit(main())
