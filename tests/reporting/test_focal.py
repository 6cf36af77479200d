"""The table of a method in question: within 80 columns, in Markdown and in LaTeX that compiles."""

import shutil
import subprocess

import pytest

from benchmark.reporting import focal, folder
from tests.reporting.test_report import printed, tables  # noqa: F401 - a fixture


@pytest.fixture
def report(tables, tmp_path):  # noqa: F811
    about = {"title": "tiny & small", "focal": ["noise"], "notes": ["Scores and times of 3 methods are those of x."]}
    assert folder.write(tables, tmp_path, quiet=True, **about) == 0
    read, arguments = folder.read(tmp_path)
    assert arguments["focal"] == ["noise"]
    made = folder.build(read.scores, read.truth, read.seeds, read.status, read.timings, title=arguments["title"])
    return folder.supported(folder.replace(made, notes=(*arguments["notes"], *made.notes)), focal=["noise"])


def test_each_row_is_the_difference_to_that_method(report):
    grid, standing = focal.focal_grids(report)
    rows = {row[0]: row for block in grid.blocks for row in block}
    mean = report.summary.set_index("method")["pearson"]
    assert rows["noise"][2] is None
    for other in ("good", "head", "static_list"):
        assert float(rows[other][2]) == pytest.approx(mean["noise"] - mean[other], abs=0.06)
        won = report.by_target["mean"].loc["noise"] > report.by_target["mean"].loc[other]
        assert rows[other][6] == f"{won.sum()}/3"
    assert rows["random"][2] is None  # no order to resample
    assert [row[0] for row in standing.blocks[0]] == list(report.correlations.aligned.targets)
    target = standing.blocks[0][0]
    above = report.by_target["mean"][target[0]].drop(["noise", *report.summary.query("yardstick")["method"]])
    assert target[2].startswith(f"{1 + (above > report.by_target['mean'].at['noise', target[0]]).sum()} of ")


def test_it_takes_80_columns_and_comes_first(report):
    lines = printed(report, 80)
    assert max(map(len, lines)) <= 80
    assert lines[0] == "tiny & small: noise against all others"
    assert not any("specific PC" in line for line in lines)  # the other tables are in the files
    text = " ".join(lines)
    assert "corrected by Holm" in text
    assert "Scores and times of 3 methods are those of x." in text


def test_markdown_and_latex_hold_it_too(report, tmp_path):
    page, tex = ((tmp_path / f"table.{end}").read_text() for end in ("md", "tex"))
    assert page.startswith("**tiny & small: noise against all others**")
    assert "Scores and times of 3 methods" in page
    assert tex.index("noise against each other method") < tex.index("how well scores predict")
    if not shutil.which("pdflatex"):
        pytest.skip("needs pdflatex")
    start = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "paper.tex").write_text(f"{start}{tex}\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull \\hbox" not in done.stdout


def test_the_page_of_a_focal_report_has_it(report):
    from benchmark.reporting import page

    text = page.page(report, None, "")
    assert "noise against all others" in text
    assert 'id="focal-0"' in text
