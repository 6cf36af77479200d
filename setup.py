"""Puts what commands read beside the code into a wheel: configuration, released layer, what rankings learn from.

Everything else about the package is in pyproject.toml. An editable installation reads the checkout itself.
"""

import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
RUNS, TABLES = ("diverse_all", "rank", "small"), ("truth", "scores", "status")  # benchmark.transfers reads them
SHIPPED = ("conf/**/*", "results/released/**/*", *(f"results/{r}/{t}.parquet" for r in RUNS for t in TABLES))


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
        if commit := _commit():
            (place / "commit").write_text(commit + "\n", encoding="utf-8")


def _commit() -> str | None:
    """As benchmark.provenance.commit says it, for the records of what the installed package computes."""
    if not (ROOT / ".git").exists():
        return None
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, encoding="utf-8", check=True
        ).stdout.strip()
        changes = subprocess.run(
            [*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, encoding="utf-8", check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("-dirty" if changes.stdout.strip() else "")


setup(cmdclass={"build_py": BuildWithShipped})
