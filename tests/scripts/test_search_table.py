"""scripts/results/search_table.py: who is compared with whom, and what the page says; searches are planted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from benchmark.ranking import transfers
from benchmark.search import search as search_search
from benchmark.search.result import Result
from scripts.results import search_table

RIGHT = {"search": [1, 1, 1, 0], "list": [1, 0, 1, 0]}


@pytest.fixture
def asked(monkeypatch) -> list[dict]:
    """The searches that were asked for; each has the planted images right."""
    calls: list[dict] = []

    def search(ranking, spec, store, data, seconds, out, look=True):
        calls.append({"models": list(ranking["model"]), "target": data.name, "seconds": seconds, "look": look})
        marks = np.array(RIGHT["search" if look else "list"])
        (out / "search/key").mkdir(parents=True)
        save_file(
            {"outputs": np.eye(2, dtype=np.float32)[marks], "labels": np.ones(4, int)},
            out / "search/key/outputs.safetensors",
        )
        paths = (out / n for n in ("model.safetensors", "confusion.csv", "confusion.png", "log.txt"))
        return Result(
            ranking["model"][0], 0.05, 100 * marks.mean(), "accuracy", None, 1.0, 9, 58.0, seconds, *paths, ()
        )

    monkeypatch.setattr(search_search, "search", search)
    return calls


def test_both_have_the_same_time_and_know_nothing_of_the_target(asked, tmp_path: Path, capsys) -> None:
    given = ["budget=1m", "table=diverse", "target=[digits]", f"work={tmp_path}/work", f"out={tmp_path}/search"]
    assert search_table.main(given) == 0
    ours, theirs = asked
    assert (ours["target"], ours["seconds"], ours["look"]) == ("digits", 60.0, True)
    assert (theirs["target"], theirs["seconds"], theirs["look"]) == ("digits", 60.0, False)
    known = transfers.known()
    mine = known[(known["table"] == "diverse") & (known["target"] == "digits")]
    assert set(ours["models"]) == set(mine["model"])
    blind = known[(known["table"] == "diverse") & (known["target"] != "digits")]  # a mean over whole columns: no ties
    z = blind.groupby("target")["oracle"].transform(lambda v: (v - v.mean()) / v.std(ddof=0))
    others = z.groupby(blind["model"]).mean().reindex(mine["model"])
    assert theirs["models"] == [others.idxmax()]
    (row,) = pd.read_csv(tmp_path / "search.csv").to_dict("records")
    assert (row["accuracy"], row["first_accuracy"], row["difference"], row["images"]) == (75.0, 50.0, 25.0, 4)
    assert row["error"] == pytest.approx(25.0)  # one of four differs: deviation 1/2 over √4
    text = (tmp_path / "search.md").read_text()
    assert "Mean difference over 1 targets: **+25.0 points**" in text
    assert "96.7 % of its budget" in text
    assert str(tmp_path) not in text
    assert text in capsys.readouterr().out


def test_a_target_that_nobody_knows(tmp_path: Path, capsys) -> None:
    assert search_table.main(["target=nowhere", "table=diverse", f"out={tmp_path}/search"]) == 2
    assert "target must be of table diverse: digits, " in capsys.readouterr().err
