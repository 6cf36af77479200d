"""README.md and results/ show what the committed records say, byte for byte."""

import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "results"))
import readme  # noqa: E402


@pytest.mark.parametrize("page", readme.PAGES)
def test_pages_show_the_committed_tables(page):
    text = (ROOT / page).read_text()
    assert "<!-- table: " in text
    assert readme.filled(text) == text


def test_a_part_of_a_table_has_its_columns_and_rows():
    text = "| method | a | b |\n| --- | --: | --: |\n| x | 1 | 2 |\n| y | 3 | 4 |\n| z | 5 | 6 |"
    assert readme.part(text, ["method", "b"], ["z", "x"]) == "| method | b |\n| --- | --: |\n| x | 2 |\n| z | 6 |"
    with pytest.raises(ValueError, match="Got no c, w"):
        readme.part(text, ["method", "c"], ["w"])


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
    assert f"of the {supported[2]} differences in mean Pearson between the ten methods none is supported" in text


def test_figures_of_the_check_on_a_cpu_are_its_table():
    import pandas as pd

    page = (ROOT / "results" / "diverse.md").read_text()
    off = pd.read_csv(ROOT / "results" / "diverse" / "verify.csv")["Difference"].abs()
    assert f"{len(off)} chosen at random" in page
    assert f"mean absolute difference {off.mean():.2f} points, largest {off.max():.2f}" in page
    seeds = pd.read_parquet(ROOT / "results" / "diverse" / "seeds.parquet")
    pairs = seeds.pivot_table(index=["Model", "Target Dataset"], columns="Seed", values="Oracle")
    assert f"differ by {(pairs[0] - pairs[1]).abs().mean():.1f} points on average" in page
    off = (pairs[0] - pairs[1]).std()
    assert f"standard deviations of the difference between two seeds ({off:.1f} points)" in page


def test_figures_of_the_real_images_are_their_tables():
    import pandas as pd

    page, folder = (ROOT / "results" / "small.md").read_text(), ROOT / "results" / "small"
    notes = (folder / "table.md").read_text()
    shares = re.search(r"model (\d+) %, model × target (\d+) %, seed (\d+) %", notes)
    assert (
        "{} % of the variance of accuracy is the model, {} % model × target, {} % seed".format(*shares.groups()) in page
    )
    rows = pd.read_csv(folder / "table.csv").set_index("method")
    assert f"Its mean Pearson is {rows.at['static_list', 'pearson']:.1f}" in page
    assert f"PARC with 32 dimensions ({rows.at['parc_f32', 'pearson']:.1f})" in page
    static, ridge, parc = (rows.at[m, "regret1"] for m in ("static_list", "ridge", "parc"))
    assert f"loses {static:.1f} points against the best, ridge's {ridge:.1f}, parc's {parc:.1f}" in page
    seeds = pd.read_parquet(folder / "seeds.parquet")
    pairs = seeds.pivot_table(index=["Model", "Target Dataset"], columns="Seed", values="Oracle").dropna()
    off = (pairs[0] - pairs[1]).abs()
    assert f"differ by {off.mean():.1f} points on average over {len(pairs)} pairs" in page.replace("\n", " ")
    assert f"{len(pd.read_csv(folder / 'truth.csv'))} transfers" in page
    tests = pd.read_csv(folder / "tests.csv").query("measure == 'pearson' and family == 'static list'")
    assert f"Of the {len(tests)} methods that are defined on all eight" in page
    assert tests["supported"].sum() == 9
    for other in ("parc", "knn", "ridge"):
        row = tests[(tests["first"] == other) | (tests["second"] == other)].iloc[0]
        sign = 1 if row["first"] == "static_list" else -1
        low, high = sorted((sign * row["low"], sign * row["high"]))
        said = {"parc": "by {:.0f} points, 95 % {:.0f} to {:.0f}", "knn": "by {:.0f}, {:.0f} to {:.0f}"}
        said["ridge"] = "{:.0f} points below, {:.0f} to {:.0f}"
        assert said[other].format(sign * row["difference"], low, high) in re.sub(r"\s+", " ", page), other
    verdicts = pd.read_csv(folder / "claims.csv")["verdict"].value_counts()
    assert verdicts["seen"] == 6
    assert verdicts["not measured"] == 7


def test_figures_of_the_public_bank_are_its_tables():
    table = pd.read_csv(ROOT / "results" / "public" / "table.csv").set_index("method")
    truth = pd.read_parquet(ROOT / "results" / "public" / "truth.parquet")
    best = truth.loc[truth.groupby("Target Dataset")["Oracle"].idxmax(), "Model"].nunique()
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"its first loses {table.loc['static_list', 'regret1']:.1f} points there: {best} different models" in text


def test_figures_of_the_seven_targets_with_one_label_are_their_tables():
    import pandas as pd

    page = re.sub(r"\s+", " ", (ROOT / "results" / "small.md").read_text())
    tests = pd.read_csv(ROOT / "results/small_single/tests.csv").query(
        "measure == 'pearson' and family == 'static list'"
    )
    assert (tests["first"] == "static_list").all()
    worse = tests["supported"] & (tests["difference"] > 0)
    assert worse.sum() == tests["supported"].sum(), "none is better"
    assert (
        f"none of all {len(tests)} is better, {worse.sum()} are worse with certainty (Holm over {len(tests)})" in page
    )
    for r in tests.nsmallest(5, "difference").itertuples():
        points = "points below, " if r.second == "ridge" else ""
        comma = "" if points else ","
        assert f"{r.second} ({r.difference:.1f}{comma} {points}{r.low:.0f} to {r.high:.0f})" in page


def test_figures_of_the_recommendation_are_its_tables():
    import pandas as pd

    text = (ROOT / "README.md").read_text().replace("\n", " ")
    regrets = pd.read_csv(ROOT / "results" / "rank" / "recommendation.csv").set_index(["block", "method"])["regret1"]
    real, drawn = (regrets[block] for block in ("all real", "diverse (embedded)"))
    held = pd.read_csv(ROOT / "results" / "rank" / "predicted_intervals.csv").set_index("block").loc["all real"]
    assert f"{len(pd.read_csv(ROOT / 'results/rank/truth.csv'))} fine-tunings, one seed" in text
    assert f"On {held['targets']:.0f} targets of real images" in text
    assert f"lost {real['recommendation']:.1f} points against the best model on average, as did the first of" in text
    assert real["static_list"] == real["recommendation"]
    assert f"PARC's first lost {real['parc']:.1f} ({real['parc_f32']:.1f} with 32 dimensions)" in text
    assert f"a random one {real['random']:.1f}; {held['coverage']:.0f} % of the 80 % intervals held" in text
    ours, listed, parc = (drawn[m] for m in ("recommendation", "static_list", "parc"))
    assert f"{ours:.1f} points against the list's {listed:.1f} and PARC's {parc:.1f}" in text


def test_links_of_the_readme_lead_somewhere():
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert targets
    assert [t for t in targets if not (ROOT / t).exists()] == []


@pytest.mark.parametrize("run", ["diverse", "demo_all", pytest.param("diverse_all", marks=pytest.mark.slow)])
def test_tables_rebuild_byte_for_byte_from_their_records(run, tmp_path, no_pictures):
    from benchmark import report

    committed, again = ROOT / "results" / run, tmp_path / run
    again.mkdir()
    for name in ("scores", "truth", "seeds", "status"):
        shutil.copy(committed / f"{name}.parquet", again)
    shutil.copy(committed / "report.json", again)
    assert report.main([f"path={again}"]) == 0
    for name in ("table.md", "table.csv", "table.tex", "correlations.csv", "truth.csv", "intervals.csv", "targets.csv"):
        assert (again / name).read_bytes() == (committed / name).read_bytes(), name
