"""results/README.md is what the committed tables say: figures, verdicts against the static list, targets ahead."""

import re
from pathlib import Path

import pandas as pd
import pytest

from benchmark.tables import committed
from tests.scripts.test_estimator_docs import script

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "results" / "README.md"
HELD = [name for name in script("leaderboard").BANKS if name in committed.names()]


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == script("leaderboard").page(), "run python scripts/results/leaderboard.py"


def rows(name: str) -> dict[str, list[str]]:
    """A bank's table on the page: method -> the other cells."""
    text = PAGE.read_text().split(f"\n## {name}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return {cells[0]: cells[1:] for cells in ([c.strip() for c in line.strip("|").split("|")] for line in lines)}


@pytest.mark.parametrize("name", HELD)
def test_every_method_of_a_bank_stands_there_with_its_figures(name):
    shown = rows(name)
    table = pd.read_csv(ROOT / "results" / name / "table.csv").set_index("method")
    assert list(shown) == list(table.index)
    for method, row in table.iterrows():
        if pd.notna(row["pearson"]):
            assert float(shown[method][0].split(" ")[0]) == pytest.approx(row["pearson"], abs=0.051)
        interval = re.search(r"\[(-?\d+) to (-?\d+)\]", shown[method][0])
        if pd.notna(row["pearson_low"]):
            assert (float(interval[1]), float(interval[2])) == pytest.approx(
                (row["pearson_low"], row["pearson_high"]), abs=0.51
            )
        assert (shown[method][6] == "") == (row["scored"] == row["cells"])


@pytest.mark.parametrize("name", HELD)
def test_verdicts_are_the_supported_tests(name):
    tests = pd.read_csv(ROOT / "results" / name / "tests.csv").query("measure == 'pearson' and family == 'static list'")
    said = {method: cells[3].strip("*") for method, cells in rows(name).items() if cells[3]}
    expected = {}
    for test in tests[tests["supported"]].itertuples():
        method = test.second if test.first == "static_list" else test.first
        expected[method] = "worse" if test.first == "static_list" else "better"
    assert said == expected


def test_targets_ahead_are_counted_where_both_are_defined(tmp_path, monkeypatch):
    made = script("leaderboard")
    columns = ["method", "target", "measure", "capacity", "mean"]
    values = {"mine": (50, 60, None), "static_list": (40, 70, 10)}
    lines = [(m, f"t{i}", "pearson", "none", v) for m, own in values.items() for i, v in enumerate(own)]
    lines += [("mine", "mean", "pearson", "none", 99), ("mine", "t0", "pearson", "pooled", -99)]
    (tmp_path / "bank").mkdir()
    pd.DataFrame(lines, columns=columns).to_csv(tmp_path / "bank/correlations.csv", index=False)
    monkeypatch.setattr(made, "RESULTS", tmp_path)
    assert made.targets_ahead("bank") == {"mine": (1, 2), "static_list": (0, 3)}


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE.read_text()):
        assert (PAGE.parent / link).exists(), link
