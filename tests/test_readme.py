"""README.md and results/ show what the committed records say, byte for byte."""

import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
import readme  # noqa: E402


@pytest.mark.parametrize("page", readme.PAGES)
def test_pages_show_the_committed_tables(page):
    text = (ROOT / page).read_text()
    assert "<!-- table: " in text
    assert readme.filled(text) == text


def test_links_of_the_readme_lead_somewhere():
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert targets
    assert [t for t in targets if not (ROOT / t).exists()] == []


@pytest.mark.parametrize("run", ["diverse", "demo_all", pytest.param("diverse_all", marks=pytest.mark.slow)])
def test_tables_rebuild_byte_for_byte_from_their_records(run, tmp_path):
    from benchmark import report

    committed, again = ROOT / "results" / run, tmp_path / run
    again.mkdir()
    for name in ("scores", "truth", "seeds", "status"):
        shutil.copy(committed / f"{name}.parquet", again)
    shutil.copy(committed / "report.json", again)
    assert report.main([f"path={again}"]) == 0
    for name in ("table.md", "table.csv", "table.tex", "correlations.csv", "truth.csv", "intervals.csv", "targets.csv"):
        assert (again / name).read_bytes() == (committed / name).read_bytes(), name
