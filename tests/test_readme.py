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


def test_figures_in_the_text_are_the_tables():
    """What the prose quotes stands in the committed notes in the same digits."""
    text, notes = (ROOT / "README.md").read_text(), (ROOT / "results" / "diverse" / "table.md").read_text()
    shares = re.search(r"model (\d+) %, model × target (\d+) %, seed (\d+) %", notes)
    assert (
        "{1} % of the variance of accuracy is model × target ({0} % model, {2} % seed)".format(*shares.groups()) in text
    )
    degenerate = re.search(r"hscore: (\d+) × degenerate", notes)[1]
    total = re.search(r"Joined (\d+) of", notes)[1]
    assert f"degenerate in {degenerate} of {int(total):,} cells" in text
    assert f"The noise ceiling is {float(re.search(r'mean Pearson of ([0-9.]+)', notes)[1]):.0f}" in text
    supported = re.search(r"at 5 %\): (\d+) of (\d+)\.", notes)
    assert supported[1] == "0"
    assert f"of the {supported[2]} differences between methods none is supported" in text


def test_figures_of_the_check_on_a_cpu_are_its_table():
    import pandas as pd

    page = (ROOT / "results" / "diverse.md").read_text()
    off = pd.read_csv(ROOT / "results" / "diverse" / "verify.csv")["Difference"].abs()
    assert f"{len(off)} chosen at random" in page
    assert f"mean absolute difference {off.mean():.2f} points, largest {off.max():.2f}" in page
    seeds = pd.read_parquet(ROOT / "results" / "diverse" / "seeds.parquet")
    pairs = seeds.pivot_table(index=["Model", "Target Dataset"], columns="Seed", values="Oracle")
    assert f"differ by {(pairs[0] - pairs[1]).abs().mean():.1f} points on average" in page


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
