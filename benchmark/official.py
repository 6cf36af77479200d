"""The paper's released probe pickles: read without executing anything, converted once, scored, correlated.

    python -m benchmark.official probes=<folder of .pkl> oracle=<controlled.csv> out=outputs/paper_official

A released probe is a pickled dict: `features` (n, d), `probs` (n, z), `y` (n,) or multi-hot (n, c), `source_dataset`,
`target_dataset`, `architecture`, in files `<architecture>_<source>_<target>_<run>.pkl`. A pickle is a program that may
call any function it can name. The reader here names none of Python's: what a probe needs (arrays, their data types)
are inert stand-ins of this module, everything else is refused by name before it is looked up.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmark import provenance
from benchmark.config import cli
from benchmark.config.spec import Spec
from benchmark.errors import ConfigError
from benchmark.literature.released_probes import convert, methods_of_the_paper, score
from benchmark.reporting import folder as reporting_folder
from benchmark.tables import columns as tables_columns


def main(argv: list[str] | None = None) -> int:
    from types import SimpleNamespace

    from pydantic import Field

    class Settings(Spec):
        probes: Path = Field(description="folder with the released probe pickles, at any depth")
        oracle: Path = Field(description="the release's controlled.csv or all.csv (scripts/fetch_official.py)")
        out: Path = Field(Path("outputs/paper_official"), description="folder for the report")
        converted: Path = Field(Path(".cache/official"), description="folder for the converted probes and a manifest")
        html: bool = Field(False, description="write report.html as well")

    def run(settings: Settings) -> int:
        if not settings.probes.is_dir():
            raise ConfigError(f"probes must be a folder. Got {settings.probes}: nothing there.")
        try:
            oracle = tables_columns.read(settings.oracle)
            entries, refused = convert(settings.probes, settings.converted)
            if not entries:
                raise ValueError(f"probes must be a folder with probe pickles. Got none to use in {settings.probes}.")
            specs = methods_of_the_paper()
            scores, status, timings = score(entries, settings.converted, specs)
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from None
        tables = SimpleNamespace(
            scores=scores, truth=oracle, seeds=oracle.assign(Seed=0), status=status, timings=timings
        )
        code = reporting_folder.write(
            tables,
            settings.out,
            title="the paper's released probes",
            inputs={m.name: m.needs for m in specs},
            provenance={"probes": len(entries), "refused": refused, **provenance.record()},
            html=settings.html,
        )
        return 1 if refused else code

    usage = "python -m benchmark.official probes=<folder> oracle=<csv> out=<folder>: the released probes, safely"
    return cli.settings(run, Settings, usage, argv)


if __name__ == "__main__":
    sys.exit(main())
