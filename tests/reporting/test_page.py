"""The HTML pages in a browser: they sort by keyboard, keep their first column in sight, and fit a telephone.

Chromium is Debian's package of that name; `.ci/run` installs it, and without it these tests are skipped.
"""

import html
import json
import re
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmark.reporting import page, report
from benchmark.reporting.pictures import colours

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
METHODS = [f"method_{k}" for k in range(12)]
WIDTHS = (390, 1280)

PROBE = """<script>
const faults = []; window.addEventListener("error", e => faults.push(String(e.message)));
window.addEventListener("load", () => {
  const out = {width: window.innerWidth, beyond: document.documentElement.scrollWidth - window.innerWidth};
  const table = document.querySelector("table.sortable"), box = table.parentElement, head = table.tHead.rows[0];
  const column = i => Array.from(table.tBodies[0].rows).map(r => r.cells[i].textContent);
  const at = name => Array.from(head.cells).findIndex(c => c.textContent === name);
  const press = i => { const b = head.cells[i].querySelector("button"); b.focus();
    out.focus = document.activeElement === b; b.click(); };  // Enter and Space click a button that has the focus
  const pc = at("Mean PC");
  press(pc); out.down = column(pc); out.sort = head.cells[pc].getAttribute("aria-sort");
  press(pc); out.up = column(pc); out.sorts = Array.from(head.cells).map(c => c.getAttribute("aria-sort"));
  press(0); out.names = column(0);
  box.scrollLeft = 300; box.scrollTop = 40;
  const edge = e => e.getBoundingClientRect(), first = table.tBodies[0].rows[5].cells[0];
  out.scrolls = box.scrollWidth - box.clientWidth; out.moved = box.scrollLeft;
  out.sticky = edge(first).left - edge(box).left; out.heads = edge(head.cells[0]).top - edge(box).top;
  const plots = Array.from(document.querySelectorAll(".plot"));
  out.plots = plots.map(p => edge(p.querySelector(".main-svg")).right - document.documentElement.clientWidth);
  const labels = Array.from(document.querySelectorAll("#time text")).filter(
    t => t.textContent.startsWith("method_")).map(edge);
  out.labels = labels.length;
  out.collide = labels.filter((a, i) => labels.some((b, j) => j < i && a.left < b.right - 1 && b.left < a.right - 1 &&
    a.top < b.bottom - 1 && b.top < a.bottom - 1)).length;
  const method = document.getElementById("method"); method.value = "method_3";
  method.dispatchEvent(new Event("change"));
  out.said = document.getElementById("said").textContent;
  out.families = new Set(document.getElementById("scatter").data.map(t => t.marker.color)).size;
  out.points = document.querySelectorAll("#scatter .points path").length;
  Plotly.Fx.hover("scatter", [{curveNumber: 0, pointNumber: 0}]);
  setTimeout(() => { out.hover = document.querySelector("#scatter .hoverlayer").textContent; out.faults = faults;
    out.ready = document.body.dataset.ready; parent.postMessage(JSON.stringify(out), "*"); }, 400);
});
</script>"""
HOST = """<!doctype html><body><script>
window.addEventListener("message", e => { const p = document.createElement("pre"); p.className = "outcome";
  p.textContent = e.data; document.body.append(p); });
</script>"""


def made(title="trial"):
    """A report on 24 models of twelve families, four targets and twelve methods, of which one often fails."""
    rng, rows, status, timings = np.random.default_rng(0), [], [], []
    truth = 60 + 10 * rng.normal(size=(4, 24))
    for t in range(4):
        for m in range(24):
            row = {"Architecture": f"{chr(97 + m // 2) * 3}net{m}", "Source Dataset": "s", "Target Dataset": f"t{t}"}
            scores = {name: truth[t, m] + 4 * (k + 1) * rng.normal() for k, name in enumerate(METHODS)}
            rows.append({"Run": 0, **row, **scores, "Oracle": truth[t, m], "Layers": 9 + m})
            for k, name in enumerate(METHODS):
                spent = {"Milliseconds Alone": 2.0 + k % 4, "Milliseconds": 1.0}
                timings.append({**row, "Run": 0, "Stage": "score", "Method": name, "Seconds": None, **spent})
            if m < 5:
                why = {"Status": "degenerate", "Reason": f"n = {m} images <i>in general position</i>"}
                status.append(
                    {"Run": 0, "Model": row["Architecture"], **row, "Stage": "score"} | {"Method": "method_1"} | why
                )
    table = pd.DataFrame(rows)
    keys = ["Architecture", "Source Dataset", "Target Dataset"]
    tables = SimpleNamespace(scores=table.drop(columns="Oracle"), truth=table[[*keys, "Oracle", "Layers"]])
    found = report.build(
        tables.scores, tables.truth, None, pd.DataFrame(status), pd.DataFrame(timings), {}, title=title
    )
    return report.supported(found, number=100)


@pytest.fixture(scope="module")
def text():
    pytest.importorskip("plotly", reason="plotly is not installed")
    return page.page(made(), None, page.script())


@pytest.fixture(scope="module")
def seen(text, tmp_path_factory):
    """What the page says of itself in frames of two widths, by one browser."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    place = tmp_path_factory.mktemp("page")
    (place / "page.html").write_text(text.replace("<style>", PROBE + "<style>", 1))
    frames = "".join(f'<iframe src="page.html" width="{w}" height="900" frameborder="0"></iframe>' for w in WIDTHS)
    (place / "host.html").write_text(HOST + frames)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={place / 'profile'}"]
    flags += ["--enable-logging=stderr", "--virtual-time-budget=10000", "--window-size=1800,1000", "--dump-dom"]
    call = [CHROMIUM, *flags, (place / "host.html").as_uri()]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120)
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    found = re.findall(r'<pre class="outcome">(.*?)</pre>', done.stdout, re.S)
    outcomes = [json.loads(html.unescape(f)) for f in found]
    return {outcome["width"]: outcome for outcome in outcomes}


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_tables_scroll_in_their_box_with_the_first_column_in_sight(seen, width):
    out = seen[width]
    assert out["faults"] == [] and out["ready"] == "yes"  # noqa: PT018
    assert out["beyond"] <= 0
    assert out["scrolls"] > 0
    assert out["moved"] > 0
    assert abs(out["sticky"]) <= 1.5
    assert abs(out["heads"]) <= 1.5
    assert max(out["plots"]) <= 0


@pytest.mark.parametrize("width", WIDTHS)
def test_headings_are_buttons_that_sort(seen, width):
    out = seen[width]
    assert out["focus"]
    assert out["sort"] == "descending"
    assert out["sorts"].count("ascending") == 1
    assert out["sorts"].count("none") == len(out["sorts"]) - 1
    down, up = ([float(v) for v in out[way] if v != "–"] for way in ("down", "up"))
    assert down == sorted(down, reverse=True) and up == sorted(up) and len(up) > 12  # noqa: PT018
    assert out["names"] == sorted(out["names"], reverse=True)


@pytest.mark.parametrize("width", WIDTHS)
def test_labels_do_not_collide_and_every_family_has_its_colour(seen, width):
    out = seen[width]
    assert out["labels"] >= 6
    assert out["collide"] == 0
    assert out["families"] == 12
    assert out["points"] == 24
    assert re.fullmatch(r"method_3 on t0: Pearson ×100 = -?\d+\.\d", out["said"])
    assert re.search(r"net\d+.*score.*accuracy", out["hover"])


def test_a_row_says_why_its_method_has_no_score(text):
    row = re.search(r'<tr class="method"><th scope="row">method_1</th>(.*?)</tr>', text)[1]
    assert "20 × degenerate: n = 0 images &lt;i&gt;in general position&lt;/i&gt;; and 4 more of the kind" in row
    other = re.search(r'<tr class="method"><th scope="row">method_2</th>(.*?)</tr>', text)[1]
    assert other.endswith('<td class="word"></td>')


def test_it_is_dark_where_dark_is_asked_for(text):
    light, dark = re.findall(r":root \{(.*?)\}", text, re.S)
    named = [dict(re.findall(r"--(\w+): (#\w+)", block)) for block in (light, dark)]
    assert named[0].keys() == named[1].keys()
    for theme in named:
        for ink in ("ink", "soft", "dim", "accent"):
            assert contrast(theme[ink], theme["page"]) >= 4.5, (ink, theme)  # WCAG AA for text
            assert contrast(theme[ink], theme["back"]) >= 4.5, (ink, theme)


def contrast(first, second):
    """WCAG's contrast ratio of two colours."""
    lights = []
    for colour in (first, second):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_colours_are_as_many_as_asked_for_and_differ():
    assert colours.palette(3) == list(colours.FIRST[:3])
    many = colours.palette(60)
    assert len(set(many)) == 60
    assert all(re.fullmatch("#[0-9A-F]{6}", c) for c in many)
    assert all(min(contrast(c, "#FFFFFF"), contrast(c, "#0D1117")) > 1.5 for c in many)  # to be seen on either
