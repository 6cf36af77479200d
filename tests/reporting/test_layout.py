"""Tables that can be read anywhere: in a narrow terminal, in a file, in an article."""

import io
import re
import shutil
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from benchmark.literature import comparison, paper_grids, paper_tables, published_tables
from benchmark.reporting import folder, grids, latex, layout, report
from benchmark.stats import correlations, measures

PDFLATEX = shutil.which("pdflatex")
METHODS = ("a_method_with_a_long_name", "parc_f32", "knn", "logme")
TARGETS = ("digits", "mnist", "glyphs", "sprites", "fractals", "photos", "textures", "leaves", "pearson", "kendall sd")


def tables(draws=3, models=12, targets=TARGETS, seed=0):
    """Scores that follow the accuracy more or less closely; one of them failed once."""
    rng = np.random.default_rng(seed)
    truth = 60 + 10 * rng.normal(size=(len(targets), models))
    rows = [
        {
            "Run": run,
            "Architecture": f"net{m}",
            "Source Dataset": "s",
            "Target Dataset": target,
            "Layers": 10 + m,
            **{name: truth[t, m] + 5 * (k + 1) * rng.normal() for k, name in enumerate(METHODS)},
        }
        for run in range(draws)
        for t, target in enumerate(targets)
        for m in range(models)
    ]
    scores = pd.DataFrame(rows)
    keys = ["Architecture", "Source Dataset", "Target Dataset", "Layers"]
    oracle = scores.query("Run == 0")[keys].assign(Oracle=truth.ravel())
    timings = scores[["Run", *keys[:3]]].assign(Stage="score", Method="knn", Milliseconds=2.0, Seconds=None)
    timings["Milliseconds Alone"] = 34.0
    scores.loc[0, "logme"] = np.nan
    return SimpleNamespace(scores=scores, truth=oracle, seeds=oracle, status=pd.DataFrame(), timings=timings)


@pytest.fixture(scope="module")
def made():
    t = tables()
    inputs = {name: ("features", "labels") for name in METHODS}
    found = report.build(t.scores, t.truth, t.seeds, t.status, t.timings, inputs, title="trial")
    return report.supported(found, number=200)


def printed(found, width):
    console = Console(width=width, force_terminal=True, no_color=True, file=io.StringIO(), legacy_windows=False)
    folder.show(found, console=console, where="out/table.md")
    return re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue()).splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 130, 200])
def test_a_terminal_cuts_no_name_and_says_what_it_leaves_out(made, width):
    lines = printed(made, width)
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "…" in line]
    heads = [i for i, line in enumerate(lines) if line.startswith("method ")]
    first = lines[heads[0] : heads[1]]
    for name in (*METHODS, "static_list", "random"):
        assert sum(line.startswith(f"{name}  ") for line in lines) == len(heads)
    for heading in ("Mean PC", "95 %", "τ_b", "regret@1") if width >= 80 else ("Mean PC", "95 %"):
        assert heading in first[0]
    every = {c.heading for c in grids.columns_of(made)}
    shown = {h for h in every if re.search(rf"(^|  ){re.escape(h)}(  |$)", first[0])}
    said = " ".join(" ".join(first).split())
    assert ("No room for" in said) == (shown != every)
    if shown != every:
        assert "All columns: out/table.md" in said
        assert all(re.search(rf"{re.escape(h)}[,.]", said) for h in every - shown)
    per_target = " ".join(lines[i] for i in heads[1:])
    assert [t for t in TARGETS if f" {t}" not in per_target] == []  # continued below, none left out


def test_no_terminal_shows_everything_unless_columns_says_how_wide(made, capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    folder.show(made, where="out/table.md")
    whole = capsys.readouterr().out
    assert "No room" not in whole
    assert "\x1b" not in whole
    assert all(c.heading in whole for c in grids.columns_of(made))
    assert len([line for line in whole.splitlines() if line.startswith("parc_f32 ")]) == 2
    monkeypatch.setenv("COLUMNS", "80")
    folder.show(made, where="out/table.md")
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_no_color_is_heeded(made, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(width=80, force_terminal=True, file=io.StringIO(), legacy_windows=False)
    folder.show(made, console=console)
    codes = {int(c) for found in re.findall(r"\x1b\[([0-9;]*)m", console.file.getvalue()) for c in found.split(";")}
    assert codes <= {0, 1, 2, 3, 4}  # bold and dim are no colours


def test_a_column_that_is_dropped_is_the_least_important():
    grid = layout.Grid("t", ["m", "aa", "bb", "cc"], [[["x", "1", "2", "3"]]], order=[0, 2, 1, 3])
    wide = lambda g: 10 * len(g.head)  # noqa: E731
    assert [layout.fitted(grid, room, wide)[0].head for room in (40, 30, 20, 5)] == [
        ["m", "aa", "bb", "cc"],
        ["m", "aa", "bb"],
        ["m", "bb"],
        ["m", "bb"],
    ]
    assert layout.fitted(grid, 20, wide)[1] == ["aa", "cc"]
    parts = layout.continued(replace(grid, breaks=[1, 3]), 20, wide)
    assert [part.head for part in parts] == [["m", "aa", "bb"], ["m", "cc"]]  # what belongs together stays together


def test_one_draw_has_no_spread():
    t = tables(draws=1)
    found = report.build(t.scores, t.truth, title="one")
    text = "".join(map(layout.markdown, (grids.summary_grid(found), grids.target_grid(found))))
    assert "±" not in text
    assert "of one draw" in " ".join(grids.legend(found))
    assert found.summary["pearson_sd"].isna().all()


def test_random_is_the_same_yardstick_everywhere(made, tmp_path):
    """The mean over all orders: no correlation, and the regret of any pick, whatever a column of that name holds."""
    t = tables()
    regret = np.mean(t.truth.groupby("Target Dataset")["Oracle"].agg(lambda o: o.max() - o.mean()))
    row = made.summary.set_index("method").loc["random"]
    assert row[["pearson", "kendall", "weighted_kendall", "spearman"]].tolist() == [0, 0, 0, 0]
    assert row["regret1"] == pytest.approx(regret, abs=1e-6)
    left_out = made.evidence.robustness.query("method == 'random' and measure in ('pearson', 'kendall')")
    assert left_out["value"].eq(0).all()
    drawn = t.scores.assign(random=np.random.default_rng(1).random(len(t.scores)))
    again = report.build(drawn, t.truth)
    assert again.correlations.mean("random") == 0
    assert again.by_target["mean"].loc["random"].eq(0).all()
    modes = correlations.evaluation_modes(drawn, t.truth).query("method == 'random' and mode == 'source & arch'")
    assert modes["mean"].tolist() == [0]
    wide = t.truth.pivot(index="Target Dataset", columns="Architecture", values="Oracle")
    bank = published_tables.Bank("b", tuple(wide.index), tuple(wide.columns), wide.to_numpy(), {}, {})
    theirs = comparison.measure(bank).query("method == 'random' and target == 'mean'").set_index("measure")["value"]
    assert theirs["regret1"] == pytest.approx(regret)
    assert theirs.drop("regret1").tolist() == [0, 0, 0]


def test_how_far_a_single_random_order_strays():
    """Against ten thousand orders drawn; their standard deviation is known to 0.7 %."""
    truth = np.random.default_rng(0).normal(size=(3, 9))
    truth[2, 5:] = np.nan
    orders = np.random.default_rng(1).random((10_000, 3, 9))
    drawn = measures.pearson(orders, truth).mean(-1)
    assert measures.sd_of_random_orders(truth) == pytest.approx(drawn.std(), rel=0.03)
    assert abs(drawn.mean()) < 1  # 0 but for 3 standard errors


def test_a_targets_name_may_be_that_of_a_measure_but_not_mean(made):
    t = tables()
    names = dict.fromkeys(TARGETS) | {"pearson": "p", "kendall sd": "k"}
    renamed = {old: new or old for old, new in names.items()}
    for table in (t.scores, t.truth):
        table["Target Dataset"] = table["Target Dataset"].map(renamed)
    other = report.build(t.scores, t.truth)
    assert made.summary["pearson"].tolist() == other.summary["pearson"].tolist()
    np.testing.assert_array_equal(made.by_target["mean"]["pearson"], other.by_target["mean"]["p"])
    t.scores["Target Dataset"] = t.scores["Target Dataset"].replace("p", "mean")
    t.truth["Target Dataset"] = t.truth["Target Dataset"].replace("p", "mean")
    with pytest.raises(ValueError, match="a target must not be called 'mean'"):
        report.build(t.scores, t.truth)


# LaTeX

KNOWN = {
    *(
        "begin",
        "end",
        "centering",
        "small",
        "footnotesize",
        "scriptsize",
        "setlength",
        "tabcolsep",
        "caption",
        "label",
        "toprule",
        "midrule",
    ),
    *("bottomrule", "textbf", "textasciitilde", "textasciicircum", "textbackslash", "textasciigrave", "ldots"),
    *("pm", "times", "leq", "geq", "mid", "ell", "tau", "rho", "Delta", "mu", "nu", "lambda", "alpha", "beta"),
    *("rightarrow", "cdot", "circ", "ss", "o", "O", "ae", "AE", "aa", "AA", "l", "L", "i"),
}
STRANGE = "a_b & 100 % $x$ #1 {y} ~z ^2 \\end <b> |c| é ü ñ ç š ø ß Å “q” … 中文 \N{ROCKET} ∂\tτ_b ≤ −1 ´ ½"


def written(made):
    """Every table that this project writes as LaTeX: a report's, its times, the paper's, and one of strange names."""
    found = pd.DataFrame(
        [(k[0], k[1], k[2], *v, v[0] + 1, 0.1, 1.0) for k, v in paper_tables.published().items()],
        columns=["table", "row", "column", "paper", "paper_sd", "ours", "ours_sd", "difference"],
    )
    own = list(found.query("table == 'S1' and column != 'mean'")["column"].unique())
    every = [*grids.latex_grids(made), grids.times_grid(made), *paper_grids.grids(found, own).values()]
    rows = [[STRANGE[i : i + 12], "-1"] for i in range(0, len(STRANGE), 12)]
    return [*every, layout.Grid(STRANGE, ["name", STRANGE[:9]], [rows, [["none", None]]], better=["", "high"])]


def test_latex_is_ascii_and_known_commands_within_the_width_of_an_article(made):
    texts = [latex.latex(grid) for grid in written(made)]
    assert len(texts) > 15
    for text in texts:
        assert text.isascii()
        assert set(re.findall(r"\\([A-Za-z]+)", text)) - {"u", "v", "c", "r", "H"} <= KNOWN
        for table in text.split("\\end{table}")[:-1]:
            assert table.count("\\caption{") == table.count("\\label{tab:") == 1
            rows = [line for line in table.splitlines() if line.endswith(r"\\")]
            assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1
    every = "".join(texts)
    labels = re.findall(r"\\label\{(.*?)\}", every)
    assert len(set(labels)) == len(labels)


@pytest.mark.skipif(PDFLATEX is None, reason="pdflatex is not installed (Debian: texlive-latex-recommended)")
def test_pdflatex_sets_every_table_with_booktabs_and_none_is_too_wide(made, tmp_path):
    body = "\n\\clearpage\n".join(latex.latex(grid) for grid in written(made))
    text = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n" + body + "\\end{document}\n"
    (tmp_path / "all.tex").write_text(text, encoding="ascii")
    call = [PDFLATEX, "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    wide = re.findall(r"Overfull \\hbox \(([\d.]+)pt", done.stdout)
    assert [w for w in wide if float(w) > 0.5] == []


def test_the_best_estimator_is_bold_and_ties_are_together():
    rows = [["a", "1.0 ± 2.0", "3"], ["b", "-4.0", "2"], ["c", "1.0", "2"], ["d", None, None]]
    grid = layout.Grid("t", ["m", "high", "low"], [rows, [["list", "9.9", "0"]]], better=["", "high", "low"])
    text = latex.latex(grid)
    assert re.findall(r"\\textbf\{(.*?)\}", text) == ["1.0", "2", "1.0", "2"]
    assert r"a & \textbf{1.0} $\pm$ 2.0 & 3 \\" in text
    assert r"b & $-$4.0 & \textbf{2} \\" in text


def test_latex_columns_are_chosen(made):
    grid = grids.latex_grids(made, ["kendall", "pearson"])[0]
    assert grid.head == ["method", "τ_b", "Mean PC"]
    with pytest.raises(ValueError, match=r"latex.columns must name .* Got 'kendal'. Did you mean 'kendall'\?"):
        grids.latex_grids(made, ["kendal"])


def test_a_long_caption_takes_the_place_of_rows():
    rows = tuple((str(i), "1") for i in range(50))
    short = layout.Grid("t", ("a", "b"), (rows,), caption="x" * 79)
    assert "footnotesize" in latex.latex(short)
    assert "scriptsize" in latex.latex(replace(short, caption="x" * 160))
