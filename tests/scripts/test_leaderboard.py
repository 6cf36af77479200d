"""results/README.md is what the committed tables say: figures, verdicts against the static list, targets ahead."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from benchmark.tables import committed
from tests.scripts.test_estimator_docs import script

ROOT = Path(__file__).resolve().parents[2]
PAGE, HTML = ROOT / "results" / "README.md", ROOT / "results" / "leaderboard.html"
HELD = [name for name in script("leaderboard").BANKS if name in committed.names()]


def test_the_pages_are_up_to_date():
    for file, text in script("leaderboard").pages().items():
        assert file.read_text() == text, "run python scripts/results/leaderboard.py"


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
    made = script("leaderboard_entries")
    columns = ["method", "target", "measure", "capacity", "mean"]
    values = {"mine": (50, 60, None), "static_list": (40, 70, 10)}
    lines = [(m, f"t{i}", "pearson", "none", v) for m, own in values.items() for i, v in enumerate(own)]
    lines += [("mine", "mean", "pearson", "none", 99), ("mine", "t0", "pearson", "pooled", -99)]
    (tmp_path / "bank").mkdir()
    pd.DataFrame(lines, columns=columns).to_csv(tmp_path / "bank/correlations.csv", index=False)
    monkeypatch.setattr(made, "RESULTS", tmp_path)
    assert made.targets_ahead("bank") == {"mine": (1, 2), "static_list": (0, 3)}


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", PAGE.read_text()) + re.findall(r'href="([^"]+)"', HTML.read_text())
    assert len(links) > 100
    for link in set(links) - {"data:,"}:
        assert (PAGE.parent / link).exists(), link


def test_what_others_published_stands_there_as_recomputed():
    text = PAGE.read_text().split("\n## published\n")[1].split("\n## ")[0]
    shown = {tuple(c.strip() for c in line.strip("|").split("|"))[:3] for line in text.splitlines() if "|" in line}
    means = pd.read_csv(ROOT / "results/published/methods.csv").query("target == 'mean' and measure == 'pearson'")
    lists = pd.read_csv(ROOT / "results/published/list.csv").query("measure == 'pearson'")
    assert {(r.source, r.method, f"{r.value:.1f}") for r in means.itertuples()} <= shown
    assert {(r.source, "static_list", f"{r.list_value:.1f}") for r in lists.itertuples()} <= shown


WIDTHS = (390, 1280)
ASKED = """<script>
addEventListener("load", () => {
  const said = { width: innerWidth, beyond: document.documentElement.scrollWidth - innerWidth };
  const kept = () => Array.from(document.querySelectorAll("#entries tbody tr:not([hidden])"), row =>
    [row.cells[0].textContent, row.cells[1].textContent]);
  const set = (id, value) => { const input = document.getElementById(id); input.value = value;
    input.dispatchEvent(new Event("input")); };
  const one = (id, value) => { set(id, value); const found = kept(); set(id, id === "models" ? 0 : ""); return found; };
  said.all = kept(); said.bank = one("bank", "small"); said.method = one("method", "LogMe");
  said.models = one("models", 41); said.ahead = one("list", "ahead"); said.better = one("list", "better");
  const box = document.querySelector(".wide"), first = box.querySelector("tbody th");
  const before = first.getBoundingClientRect().left;
  box.scrollLeft = 200; said.moved = Math.abs(first.getBoundingClientRect().left - before);
  const button = document.querySelector("#entries th:nth-child(3) button");
  button.focus(); said.focused = document.activeElement === button; button.click();
  said.sorted = Array.from(document.querySelectorAll("#entries tbody tr"), row => row.cells[2].dataset.value);
  const place = document.createElement("pre"); place.textContent = JSON.stringify(said);
  parent.document.body.append(place);
});
</script>"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> dict:
    """What the page says of itself in frames of two widths."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    place = tmp_path_factory.mktemp("board")
    held = html.escape(HTML.read_text().replace("<style>", ASKED + "<style>", 1))
    frames = "".join(f'<iframe srcdoc="{held}" width="{w}" height="900" frameborder="0"></iframe>' for w in WIDTHS)
    (place / "host.html").write_text(f'<meta charset="utf-8"><body>{frames}')
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={place / 'profile'}"]
    flags += ["--disable-background-networking", "--virtual-time-budget=10000", "--window-size=1800,1000", "--dump-dom"]
    call = [browser, *flags, (place / "host.html").as_uri()]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120)
    found = [json.loads(html.unescape(text)) for text in re.findall(r"<pre>(.*?)</pre>", done.stdout, re.S)]
    return {one["width"]: one for one in found if "width" in one}


@pytest.mark.parametrize("width", WIDTHS)
def test_the_html_page_filters_and_sorts(seen, width):
    said = seen[width]
    board, entries = script("leaderboard"), script("leaderboard_entries")
    found = [e for name in HELD for e in entries.entries(name, committed.read(name))] + entries.published()
    lists = {e.bank: e.figures["pearson"] for e in found if e.method == "static_list"}

    def kept(fits) -> list:
        return [[e.method, e.bank] for e in found if fits(e)]

    assert said["all"] == kept(lambda e: True)
    assert said["bank"] == kept(lambda e: e.bank == "small")
    assert said["method"] == kept(lambda e: "logme" in e.method.lower())
    assert said["models"] == kept(lambda e: e.models >= 41)
    assert said["better"] == kept(lambda e: e.verdict == "better")
    ahead = kept(lambda e: round(e.figures["pearson"], 6) > round(lists[e.bank], 6))
    assert said["ahead"] == ahead
    numbers = [float(value) for value in said["sorted"] if value]
    assert numbers == sorted(numbers, reverse=True)
    assert said["sorted"][: len(numbers)] == [value for value in said["sorted"] if value]  # what is missing comes last
    assert said["focused"]
    assert said["beyond"] <= 0
    assert said["moved"] < 1
    assert len(board.BANKS) == len(HELD)


def test_the_html_page_needs_no_network():
    text = HTML.read_text()
    assert not re.search(r"(src|href)=\"(https?:)?//|url\(|@import", text)
