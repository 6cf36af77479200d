"""Puts what commands read beside the code into a wheel: configuration, released layer, what rankings learn from.

Everything else about the package is in pyproject.toml. An editable installation reads the checkout itself.
"""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from benchmark.provenance import commit  # noqa: E402 - imports nothing that a build lacks

TABLES = ("scores.parquet", "truth.parquet", "seeds.parquet", "status.parquet", "times.csv", "report.json")
TABLES += ("provenance.json",)  # benchmark.tables.committed and benchmark.ranking.transfers read them
SHIPPED = ("conf/**/*", "results/released/**/*", *(f"results/*/{table}" for table in TABLES))


class BuildWithShipped(build_py):
    def run(self) -> None:
        shutil.rmtree(self.build_lib, ignore_errors=True)  # modules of an earlier build would come along
        super().run()
        if self.editable_mode:
            return
        place = Path(self.build_lib) / "benchmark" / "shipped"
        for file in sorted({f for pattern in SHIPPED for f in ROOT.glob(pattern) if f.is_file()}):
            to = place / file.relative_to(ROOT)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)
        if built_from := commit():  # for the records of what the installed package computes
            (place / "commit").write_text(built_from + "\n", encoding="utf-8")


setup(cmdclass={"build_py": BuildWithShipped})
