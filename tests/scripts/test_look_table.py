"""scripts/results/look_table.py: what is read from cells, whose choice costs what, and what the page says."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from benchmark.cells.keys import key_of
from benchmark.cells.plan import Cell, Plan
from benchmark.cells.store import Store
from benchmark.ranking.transfers import METHODS
from scripts.results import look_table

MODELS = ("a", "b", "c")
ORACLE = np.array([90.0, 80.0, 60.0])


def transfer(target: str, model: str, number: int) -> SimpleNamespace:
    named = SimpleNamespace(model=SimpleNamespace(name=model, input_size=32), target=SimpleNamespace(name=target))
    named.identity = {"number": number}
    named.truth, named.scores = (key_of(named.identity),), {"look": key_of(named.identity)}
    return named


def known(targets: int = 3) -> pd.DataFrame:
    """The list puts a before b before c, which is right but on t0: there b is the best."""
    rows = []
    for t in range(targets):
        oracle = ORACLE[[1, 0, 2]] if t == 0 else ORACLE
        rows += [
            {"table": "diverse", "target": f"t{t}", "group": "embedded", "model": m, "oracle": oracle[i]}
            | {"architecture": m, "source": "s"} | {name: float(i == 2) for name in METHODS}
            for i, m in enumerate(MODELS)
        ]  # fmt: skip
    return pd.DataFrame(rows)


def test_recorded_losses_are_means_of_points_of_the_first_seeds_curve(tmp_path):
    store = Store(tmp_path)
    made = SimpleNamespace(transfers=[transfer("t0", "a", 1), transfer("t0", "b", 2)])
    one = made.transfers[0]
    store.write("truth", one.truth[0], one.identity, {"curve": [float(k) for k in range(20)]}, {})
    (row,) = look_table.recorded(made, store, "diverse").to_dict("records")
    assert (row["table"], row["target"], row["model"]) == ("diverse", "t0", "a")
    assert row["recorded 15–25 %"] == -3.5  # points 3 and 4
    assert row["recorded 10–30 %"] == -3.5  # points 2 to 5
    assert row["warm-up"] == -0.5


def test_looks_are_read_with_their_status_and_seconds(tmp_path):
    store = Store(tmp_path)
    made = SimpleNamespace(transfers=[transfer("t0", m, k) for k, m in enumerate(MODELS)])
    for one, value, status in zip(made.transfers[:2], (-1.5, None), ("ok", "degenerate"), strict=True):
        values, record = {"scores": [value], "status": [status]}, {"milliseconds": [2500.0]}
        store.write("score", one.scores["look"], one.identity, values, record)
    found = look_table.looked(made, store, "diverse")
    assert list(found["model"]) == ["a", "b"]
    assert list(found["status"]) == ["ok", "degenerate"]
    assert found["look"][0] == -1.5
    assert list(found["seconds"]) == [2.5, 2.5]


def test_candidates_have_their_place_by_what_other_targets_say():
    table = known()
    curves = table[look_table.KEYS].assign(**dict.fromkeys(look_table.WINDOWS, 0.0))
    found = look_table.candidates(table, curves).set_index(["target", "model"])
    assert [found.loc[("t0", m), "place"] for m in MODELS] == [1, 2, 3]  # without t0 the list says a, b, c
    assert found.loc[("t1", "c"), "place"] == 3
    assert found["recommendation"].notna().all()


def test_the_first_places_are_looked_at_on_every_target_before_the_second(monkeypatch, tmp_path):
    made, asked = Plan(), []
    for t in range(2):
        for k, m in enumerate(MODELS):
            one = transfer(f"t{t}", m, 10 * t + k)
            made.cells[one.scores["look"]] = Cell("score", one.scores["look"], {}, (), {}, f"{m} → t{t}")
            made.transfers.append(SimpleNamespace(**vars(one)))
    monkeypatch.setattr(look_table, "replace", lambda thing, **new: type(thing)(**{**vars(thing), **new}))
    monkeypatch.setattr(look_table, "execute", lambda cells, *_: asked.extend(c.label for c in cells))
    table = known(2)
    table["place"] = table.groupby("target").cumcount() + 1
    spec, settings = SimpleNamespace(executor=None), look_table.Settings(places=2, tables=("diverse",))
    look_table.look_at({"diverse": (spec, made)}, Store(tmp_path), table, settings)
    assert asked == ["a → t0", "a → t1", "b → t0", "b → t1"]
    asked.clear()
    late = look_table.Settings(places=2, minutes=0, tables=("diverse",))
    look_table.look_at({"diverse": (spec, made)}, Store(tmp_path), table, late)
    assert asked == []


def test_the_page_tells_a_look_that_knows_more_from_the_list():
    table = known(8).assign(seconds=2.0, pixels=32)
    curves = table[look_table.KEYS].assign(**dict.fromkeys(look_table.WINDOWS, 0.0))
    for window in look_table.WINDOWS:
        curves[window] = table["oracle"] / 100
    both = look_table.candidates(table, curves)
    first = both["target"] != "t7"
    both["look"], both["status"] = (both["oracle"] / 50).where(first), np.where(first, "ok", None)
    text = look_table.page(both, look_table.Settings(places=3, cache="secret/cache"))
    recorded, own = text.split("## From looks of their own")
    row = next(line for line in recorded.splitlines() if line.startswith("| list  "))
    assert row.split("|")[2].strip() == "1.25"  # ten points on one target of eight
    row = next(line for line in recorded.splitlines() if line.startswith("| recorded 15–25 %"))
    assert row.split("|")[2].strip() == "0.00"
    assert row.split("|")[3].strip().startswith("-1.25")
    assert "21 looks" in own
    assert "look 1.00" in own
    assert "2.0 at 32 pixels (half of 21 looks 2.0 to 2.0, the fastest 2.0)" in own
    assert "0 of 21 looks have a status other than ok" in own
    assert "python scripts/results/look_table.py places=3" in own
    assert "7 of 8 targets and tables have all 3 looks (diverse)" in own
    assert "secret" not in text
