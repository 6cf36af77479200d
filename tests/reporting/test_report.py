"""The report: numbers that the tables state, bytes that repeat, gaps that are named."""

import functools
import hashlib
import io
import re
import resource
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from rich.console import Console

from benchmark import files, paper
from benchmark.report import main
from benchmark.reporting import folder as reporting_folder
from benchmark.reporting import grids, latex, layout, report
from benchmark.reporting.folder import read, show, write
from benchmark.reporting.pictures import scatter
from benchmark.stats import correlations

KEYS = ["Model", "Architecture", "Source Dataset", "Target Dataset"]


@pytest.fixture
def tables():
    """12 models × 3 targets × 2 draws: `good` follows the accuracy, `head` lacks the models without a source head."""
    rng = np.random.default_rng(0)
    scores, seeds, status, timings = [], [], [], []
    for i in range(12):
        for t in ("letters", "leaves", "photos_b"):
            row = {
                "Model": f"m{i}",
                "Architecture": f"net_{i % 3}",
                "Source Dataset": f"s{i // 3}",
                "Target Dataset": t,
            }
            accuracy = 50 + 3 * i % 17 + 8 * rng.normal()
            for seed in range(2):
                seeds.append(row | {"Layers": 10 + i % 3, "Seed": seed, "Oracle": accuracy + 0.5 * rng.normal()})
            for run in range(2):
                at = {"Run": run} | row
                score = {"good": accuracy + 2 * rng.normal(), "noise": rng.normal(), "head": accuracy, "vacuous": 9.0}
                facts = {"Layers": 10 + i % 3, "Parameters": 1000 * i}
                if i == 0:
                    score["head"] = None
                    problem = {"Status": "not_applicable", "Reason": "the model has no source head"}
                    status.append({**at, "Stage": "score", "Method": "head"} | problem)
                if i == 1:
                    status.append(
                        {**at, "Stage": "score", "Method": "noise", "Status": "degenerate", "Reason": "n ≤ d"}
                    )
                scores.append(at | facts | score)
                spent = {"Milliseconds": 4.0 + 2 * run, "Milliseconds Alone": 9.0 + 2 * run}
                timings.append(at | {"Stage": "score", "Method": "good", "Seconds": None} | spent)
            timings.append(row | {"Stage": "preparation", "Method": "good", "Milliseconds": None, "Seconds": 1.5})
    per_seed = pd.DataFrame(seeds)
    truth = per_seed.groupby([*KEYS, "Layers"], sort=False)["Oracle"].agg(Oracle="mean", Seeds="count").reset_index()
    return SimpleNamespace(
        scores=pd.DataFrame(scores),
        truth=truth,
        seeds=per_seed,
        status=pd.DataFrame(status),
        timings=pd.DataFrame(timings),
    )


def made(tables, **more):
    return report.build(tables.scores, tables.truth, tables.seeds, tables.status, tables.timings, **more)


def printed(found, width, **more):
    """The lines of a report on a terminal of that width, without colours."""
    console = Console(width=width, force_terminal=True, no_color=True, file=io.StringIO(), legacy_windows=False)
    show(found, console=console, where="out/table.md", **more)
    return re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue()).splitlines()


def hashes(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_summary_states_the_correlations(tables):
    report_made = made(tables)
    summary = report_made.summary.set_index("method")
    joined = tables.scores.merge(tables.truth[[*KEYS, "Oracle"]])
    cells = [
        [100 * scipy.stats.pearsonr(g["good"], g["Oracle"])[0] for _, g in run.groupby("Target Dataset")]
        for _, run in joined.groupby("Run")
    ]
    assert summary.loc["good", "pearson"] == pytest.approx(np.mean(cells))
    assert summary.loc["good", "pearson_sd"] == pytest.approx(np.std(np.mean(cells, axis=1)))
    assert report_made.by_target.at["good", ("mean", "leaves")] == pytest.approx(np.mean([c[0] for c in cells]))
    layers = tables.truth.groupby("Target Dataset").apply(lambda g: 100 * g["Layers"].corr(g["Oracle"]))
    assert summary.loc["layers", "pearson"] == pytest.approx(layers.mean())


def test_methods_by_mean_pearson_then_the_yardsticks(tables):
    summary = made(tables).summary
    assert summary["yardstick"].tolist() == sorted(summary["yardstick"])
    methods, yardsticks = (summary[summary["yardstick"] == which] for which in (False, True))
    assert methods["method"].tolist() == ["head", "good", "noise", "vacuous"]  # the undefined one last
    assert set(yardsticks["method"]) == {"random", "layers", "parameters", "static_list"}
    assert (yardsticks["pearson"].diff().dropna() <= 0).all()


def test_one_target_has_no_static_list(tables):
    one = SimpleNamespace(**{k: t[t["Target Dataset"] == "leaves"] for k, t in vars(tables).items()})
    found = made(one)
    assert set(found.summary.loc[found.summary["yardstick"], "method"]) == {"random", "layers", "parameters"}
    assert not [note for note in found.notes if "static_list" in note]


def test_scores_that_are_not_ok_are_left_out_counted_and_named(tables):
    found = made(tables)
    summary = found.summary.set_index("method")
    assert summary.loc["head", ["scored", "cells"]].tolist() == [66, 72]
    assert summary.loc["head", "pearson"] == pytest.approx(100, abs=2)  # a zero among accuracies of 50 would show
    assert summary.loc["noise", "scored"] == 66  # degenerate values are numbers, yet vacuous
    without = made(SimpleNamespace(**{**vars(tables), "scores": tables.scores[tables.scores["Model"] != "m1"]}))
    assert summary.loc["noise", "pearson"] == pytest.approx(without.summary.set_index("method").loc["noise", "pearson"])
    assert np.isnan(summary.loc["vacuous", "pearson"])
    assert "head: 6 × not applicable (the model has no source head)." in found.notes
    assert any(note.startswith("vacuous: 6 of 6 correlations") for note in found.notes)
    assert any("never zero" in line for line in grids.legend(found))


def test_times_are_per_score_and_preparation_per_target(tables):
    found = made(tables)
    times = found.times.set_index("method").loc["good"]
    assert times[["milliseconds", "milliseconds_sd"]].tolist() == pytest.approx([10, 1])  # of the method alone
    assert times[["shared_milliseconds", "shared_milliseconds_sd"]].tolist() == pytest.approx([5, 1])
    assert times["preparation_seconds"] == pytest.approx(12 * 1.5)
    grid = grids.times_grid(found)
    row = dict(zip(grid.head, next(r for r in grid.blocks[0] if r[0] == "good"), strict=True))
    assert (row["ms"], row["ms shared"], row["preparation s"]) == ("10.0 ± 1.0", "5.0 ± 1.0", "18.0")
    old = tables.timings.drop(columns="Milliseconds Alone")  # of a run from before the method alone was timed
    assert "ms" not in grids.times_grid(made(SimpleNamespace(**{**vars(tables), "timings": old}))).head


def test_targets_state_spread_over_models_beside_spread_over_seeds(tables):
    found = made(tables).targets.set_index("target").loc["leaves"]
    cells = tables.seeds[tables.seeds["Target Dataset"] == "leaves"].groupby("Model")["Oracle"]
    assert found["sd_seeds"] == pytest.approx(np.sqrt(cells.var().mean()))
    assert found["sd_models"] == pytest.approx(cells.mean().std())
    assert found["best"] == pytest.approx(cells.mean().max())


def test_files_repeat_to_the_byte_and_hold_no_time(tables, tmp_path):
    first, second, third = (tmp_path / name for name in "abc")
    slower = tables.timings.assign(Milliseconds=tables.timings["Milliseconds"] * 7)
    timed = {"scores": tables.scores, "truth": tables.truth, "seeds": tables.seeds, "status": tables.status}
    write(tables, first, quiet=True, provenance={"device": "cpu"})
    write(tables, second, quiet=True, provenance={"device": "cpu"})
    with pytest.MonkeyPatch.context() as patch:  # two of each picture are enough
        patch.setattr(reporting_folder, "_pictures", lambda _, out: [shutil.copy(p, out) for p in first.glob("*.png")])
        write(SimpleNamespace(**timed, timings=slower), third, quiet=True, provenance={"device": "gpu"})
    assert hashes(first) == hashes(second)
    differing = {name for name, value in hashes(first).items() if hashes(third)[name] != value}
    assert differing == {"timings.csv", "times.csv", "times.md", "times.tex", "provenance.json"}
    assert {"scores.csv", "truth.csv", "correlations.csv", "table.csv", "table.md", "table.tex"} <= set(hashes(first))


def test_intervals_ceiling_and_what_is_supported_stand_in_the_table(tables, tmp_path):
    write(tables, tmp_path, quiet=True)
    table = pd.read_csv(tmp_path / "table.csv").set_index("method")
    assert (table["pearson_low"] <= table["pearson"]).drop(["vacuous", "random"]).all()
    assert np.isnan(table.loc["random", "pearson_low"])
    assert np.isnan(table.loc["vacuous", "pearson_low"])
    text = (tmp_path / "table.md").read_text()
    assert layout.between(table.loc["good", "pearson_low"], table.loc["good", "pearson_high"]) in text
    assert "- Supported differences (Pearson; paired bootstrap over 12 models, 3 targets, 2 draws" in text
    assert "Noise ceiling: a perfect predictor would reach" in text
    assert (tmp_path / "cd.png").is_file()
    targets = pd.read_csv(tmp_path / "targets.csv")
    seeds = tables.seeds.pivot(index=["Target Dataset", "Model"], columns="Seed", values="Oracle").loc["leaves"]
    noise = seeds.var(axis=1).mean() / 2 / seeds.mean(axis=1).var()
    assert targets.set_index("target").loc["leaves", "ceiling"] == pytest.approx(100 * np.sqrt(1 - noise))


def test_written_tables_give_the_same_correlations_again(tables, tmp_path, no_pictures):
    write(tables, tmp_path, quiet=True)
    scores, truth = pd.read_csv(tmp_path / "scores.csv"), pd.read_csv(tmp_path / "truth.csv")
    assert list(scores.columns) == ["Run", *KEYS[1:], "good", "noise", "head", "vacuous"]
    assert list(truth.columns[:4]) == [*KEYS[1:], "Oracle"]
    again = correlations.correlate(scores, truth).table
    table = pd.read_csv(tmp_path / "correlations.csv")
    merged = again.merge(table, on=["method", "target", "measure", "capacity"], validate="one_to_one")
    assert len(merged) == len(again)
    np.testing.assert_allclose(merged["mean_x"], merged["mean_y"], atol=1e-9)


def test_models_of_one_architecture_and_source_stay_apart_in_the_papers_columns(tables, tmp_path, no_pictures):
    for table in (tables.scores, tables.truth, tables.seeds):
        table["Source Dataset"] = "imagenet"
    write(tables, tmp_path, quiet=True)
    scores, truth = pd.read_csv(tmp_path / "scores.csv"), pd.read_csv(tmp_path / "truth.csv")
    found = correlations.correlate(scores, truth)
    assert found.mean("good") == pytest.approx(made(tables).correlations.mean("good"))


def test_report_is_made_again_from_its_folder(tables, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist sets it
    write(tables, tmp_path, title="trial", exclude_models=["m3"], inputs={"good": ("features", "labels")})
    before, shown = hashes(tmp_path), capsys.readouterr().out
    for name in ("table.md", "correlations.csv", "scatter-good.png", "table-without.csv"):
        (tmp_path / name).unlink()
    assert main([f"path={tmp_path}"]) == 0
    assert hashes(tmp_path) == before
    assert capsys.readouterr().out == shown
    assert "f(x), y" in shown and "trial, without m3" in shown  # noqa: PT018
    assert main([f"path={tmp_path}", "latex.columns=[kendall,pearson]"]) == 0
    head = next(line for line in (tmp_path / "table.tex").read_text().splitlines() if "Mean PC" in line)
    assert head.split(" & ") == ["    method", r"$\tau_b$", r"Mean PC \\"]
    assert main([f"path={tmp_path}", "latex.colums=[kendall]"]) == 2
    assert main([f"path={tmp_path}/nowhere"]) == 2


def test_nothing_to_correlate_is_an_exit_code(tables, tmp_path, capsys):
    tables.scores = pd.DataFrame(columns=["Run", *KEYS])
    assert write(tables, tmp_path) == 1
    assert "no score came out" in capsys.readouterr().err


def test_table_without_named_models(tables, tmp_path, no_pictures):
    write(tables, tmp_path, exclude_models=["m0"], quiet=True)
    rest = pd.read_csv(tmp_path / "table-without.csv").set_index("method")
    assert rest.loc["head", ["scored", "cells"]].tolist() == [66, 66]


def test_markdown_latex_and_terminal_say_the_same(tables):
    found = made(tables)
    grid = grids.summary_grid(found)
    mean, sd = (layout.number(found.summary[c][0]) for c in ("pearson", "pearson_sd"))
    value = f"{mean} ± {sd}"
    assert value in layout.markdown(grid)
    assert value in "\n".join(printed(found, 200))
    assert rf"\textbf{{{mean}}} $\pm$ {sd}" in latex.latex(grid)
    assert len({line.count("|") for line in layout.markdown(grid).splitlines() if line.startswith("|")}) == 1


def test_latex_escapes_and_separates_blocks(tables):
    text = latex.latex(grids.target_grid(made(tables)))
    assert r"photos\_b" in text and r"static\_list" in text  # noqa: PT018
    assert text.count(r"\midrule") == 2 and r"\toprule" in text and r"\bottomrule" in text  # noqa: PT018
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {4}
    assert latex.tex("τ_b 5% {x}") == r"$\tau_b$ 5\% \{x\}"
    assert latex.tex("−4 and -14 to 5, a-1: résumé ∂ 中") == r"$-$4 and $-$14 to 5, a-1: r\'{e}sum\'{e} U+2202 U+4E2D"


def test_numbers_are_shown_without_a_negative_zero():
    assert [layout.number(v) for v in (-0.04, -0.06, 12.34, float("nan"))] == ["0.0", "-0.1", "12.3", None]
    assert layout.spread(1.0, float("nan")) == "1.0"


def test_pictures_are_drawn_again_only_where_the_numbers_changed(tmp_path):
    x, y = np.arange(8.0).reshape(2, 4), np.arange(8.0, 0, -1).reshape(2, 4)
    path = tmp_path / "p.png"

    def draw(score):
        return scatter.draw(path, scatter.Shown("t", ["a", "b"], score, y, list("uuvv"), ["", ""]))

    assert draw(x)
    first = path.read_bytes()
    assert not draw(x)
    assert draw(x + 1)
    assert draw(x) and path.read_bytes() == first  # noqa: PT018
    path.write_bytes(first[: len(first) // 2])  # cut short by a crash
    assert draw(x)
    assert path.read_bytes() == first
    assert b"matplotlib" not in first.lower()


def test_inputs_read_as_in_the_papers_table(tables):
    inputs = {"good": ("features", "labels"), "head": ("source_probs", "labels"), "noise": ("seed",)}
    summary = made(tables, inputs=inputs).summary.set_index("method")
    assert summary.loc[["good", "head"], "input"].tolist() == ["f(x), y", "p(z∣x), y"]
    assert summary["input"].isna()["noise"]


@pytest.fixture
def brief(monkeypatch):
    """Intervals from few resamples and a picture that is none: these tests are about files."""
    monkeypatch.setattr(
        reporting_folder, "_pictures", lambda _, out: files.put(out / "scatter-good.png", bytes(200_000))
    )
    monkeypatch.setattr(reporting_folder, "supported", functools.partial(report.supported, number=50))


def test_without_room_for_one_file_all_the_older_ones_stay(tables, tmp_path, brief):
    """A limit on a file's size stands for a full disk: small tables would fit, the first picture does not."""
    assert write(tables, tmp_path / "out", quiet=True) == 0
    old = hashes(tmp_path / "out")
    largest = max(len(p.read_bytes()) for p in (tmp_path / "out").iterdir())
    smallest = min(len(p.read_bytes()) for p in (tmp_path / "out").iterdir())
    assert smallest < 2000 < largest
    tables.scores["good"] *= -1
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for place in ("out", "new"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, hard))
        try:
            with pytest.raises(OSError) as raised:
                write(tables, tmp_path / place, quiet=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert "a limit on the size of files" in files.no_room(raised.value)
    assert hashes(tmp_path / "out") == old
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert write(tables, tmp_path / "out", quiet=True) == 0
    assert {name for name, digest in hashes(tmp_path / "out").items() if digest != old[name]} >= {
        "scores.csv",
        "table.md",
    }


def test_a_damaged_file_of_a_report_is_a_sentence(tables, tmp_path, brief, capsys):
    write(tables, tmp_path, quiet=True, provenance={"commit": "c"})
    names = ["report.json", "provenance.json", "scores.parquet", "truth.parquet", "status.parquet", "timings.csv"]
    for name in names:
        whole = (tmp_path / name).read_bytes()
        capsys.readouterr()
        cut = whole[: len(whole) // 2]  # of a CSV the rows that are left are whole
        for damaged in (b"\x00" * 40, *([b"", cut] if name != "timings.csv" else [])):
            (tmp_path / name).write_bytes(damaged)
            for command in (main, paper.main):
                code, said = command([f"path={tmp_path}"]), capsys.readouterr().err
                assert (code, len(said.splitlines())) == (2, 1)
                assert said.startswith(f"error: {tmp_path / name} must be ")
        (tmp_path / name).write_bytes(whole)
    found, _ = read(tmp_path)
    assert len(found.scores) == len(tables.scores)
