"""What each part of the recommendation adds: lists, halves, what is chosen elsewhere, and what the page says."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmark.cells.keys import key_of
from benchmark.cells.store import Store
from benchmark.ranking import transfers
from benchmark.ranking.transfers import METHODS
from scripts.results import public_looks
from scripts.results import recommendation_table as script

pages = script.pages

MODELS = ("a", "b", "c")
ORACLE = {"t0": (90.0, 80.0, 60.0), "t1": (80.0, 90.0, 60.0), "t2": (90.0, 80.0, 60.0)}
SCORES = {"t0": (3.0, 2.0, 1.0), "t1": (1.0, 2.0, 3.0), "t2": (3.0, 2.0, 1.0)}


@pytest.fixture
def known() -> pd.DataFrame:
    rows = [
        {"table": "rank", "target": t, "group": "real", "model": m, "oracle": ORACLE[t][i]}
        | {"architecture": m, "source": "s", "kind": str(t == "t2")} | dict.fromkeys(METHODS, SCORES[t][i])
        for t in ORACLE
        for i, m in enumerate(MODELS)
    ]  # fmt: skip
    return transfers.completed(pd.DataFrame(rows))


def test_without_weights_it_is_the_static_list(known):
    found = script.listed(known, "target")
    np.testing.assert_allclose(found, transfers.static_list(known), atol=1e-12)
    kinds = script.listed(known, "kind")
    own = transfers.standings(known[known["target"] == "t2"], MODELS).to_numpy().ravel()
    np.testing.assert_allclose(kinds[:3], own, atol=1e-12)  # t0 and t1 are of one kind: t2 alone is left for both


def test_targets_whose_scores_order_the_models_alike_count_more(known):
    """Scores of t0 and t2 are equal (r = 1), those of t1 turned round (r = -1): e⁴ and e⁻⁴ for t0."""
    found = script.listed(known, "target", alike=True)[:3].to_numpy()
    standing = transfers.standings(known, MODELS)
    weight = np.exp(script.SHARPNESS * np.array([-1.0, 1.0]))
    expected = weight @ standing.loc[[("rank", "t1"), ("rank", "t2")]].to_numpy() / weight.sum()
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_halves_are_the_same_images_for_all_models_of_a_target(known):
    table = known[known["target"] == "t0"].reset_index(drop=True)
    images = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0])
    right = {("rank", "t0", m): values for m, values in zip(MODELS, (images, images, 1 - images), strict=True)}
    found = script.halves(table, right)
    assert found.shape == (3, 2 * script.SPLITS)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(found[0] + found[2], 100)
    first, second = found[0, ::2], found[0, 1::2]
    np.testing.assert_allclose(3 * first + 4 * second, 100 * images.sum())  # three images and the other four
    assert len(set(first.round(6))) > 1


def test_the_method_is_chosen_by_what_it_lost_on_other_units():
    rows = [
        {"table": "rank", "target": t, "method": m, "regret": r}
        for t, lost in {"t0": (0.0, 9.0, 1.0), "t1": (5.0, 0.0, 0.0), "t2": (5.0, 0.0, 0.0)}.items()
        for m, r in zip(("list", "recommendation", "knn"), lost, strict=True)
    ]
    found = script.chosen(pd.DataFrame(rows), pd.Series(["t0", "t1", "t2"], ["t0", "t1", "t2"])).set_index("target")
    assert found.loc["t0", "regret"] == 9.0, "elsewhere the recommendation lost nothing; single scores do not compete"
    assert found.loc["t1", "regret"] == 5.0, "elsewhere the list lost 2.5 on average, the recommendation 4.5"


def judgements(lost: dict[str, tuple[float, ...]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"table": "public" if k < 3 else "rank", "target": f"t{k}", "method": m, "regret": r}
            | dict.fromkeys(pages.SHOWN, 0.5)
            for m, values in lost.items()
            for k, r in enumerate(values)
        ]
    )


def test_the_page_says_that_a_list_that_loses_nothing_cannot_be_beaten():
    text = pages.on_public(judgements({"list": (0, 0, 0, 2), "recommendation": (0, 1, 2, 2), pages.FULL: (0, 0, 0, 0)}))
    assert "3 targets: t0, t1, t2" in text
    assert "the static list loses 0.00 points, the recommendation 1.00" in text
    assert "nothing can beat it in regret@1 there" in text
    # differences 0, 0, 0, -2: a deviation of one point, (1.96 + 0.84)² = 7.84 targets for one point, 31.4 for half
    assert "takes 8 targets, half a point 32" in text
    beaten = pages.on_public(
        judgements({"list": (2, 2, 2, 0), "recommendation": (2, 2, 2, 0), pages.FULL: (0, 0, 0, 0)})
    )
    assert "-2.00 (95 % -2.00 to -2.00)" in beaten
    assert "on 3 of 3 targets both choose models that are equally good" in beaten
    assert [cell.strip() for cell in beaten.rstrip().splitlines()[-1].split("|")[1:-1]] == [
        "t2",
        "2.00",
        "2.00",
        "0.00",
    ]


def test_looks_that_turn_the_order_round_are_said_to_cost_points():
    rows = [
        {"target": t, "model": m, "oracle": o, "best": 90.0, "list": -i, "place": i + 1, "way": way, "rate": 0.05}
        | {"look": o * sign, "status": "ok", "seconds": 2.0}
        for way, sign in (("usual", 1), ("default", -9))
        for t in ("t0", "t1")
        for i, (m, o) in enumerate(zip(MODELS, (90.0, 80.0, 60.0), strict=True))
    ]
    text, found = pages.own_looks(pd.DataFrame(rows))
    assert "usual: 6 looks. Correlation with accuracy among those of a target +1.00" in text
    assert "default: 6 looks. Correlation with accuracy among those of a target -1.00" in text
    learned = found[found["method"] == "list + look, weights learned"]
    assert (learned["regret"] == 0).all(), "a look that is backwards on other targets is weighed as such"
    alone = found[found["method"] == "look"].groupby("way")["regret"].mean()
    assert (alone["usual"], alone["default"]) == (0.0, 30.0)
    said = pages.decision(judgements({"list": (1, 1), "recommendation": (1, 1), pages.FULL: (1, 1)}), found)
    assert "off unless asked for" in said


def test_what_a_part_adds_is_the_difference_with_and_without_it():
    lost = {"list": (3, 3), "similarity-weighted list": (3, 3), "recommendation": (1, 1), "list + scores": (2, 2)}
    every = judgements(lost | {"list + look 15–25 %": (3, 3), pages.FULL: (0, 0)})
    rows = [line.split("|") for line in pages.added({"target": {"judgements": every}}).splitlines() if "each" in line]
    changes = [row[4].strip() for row in rows]
    assert changes == [f"{d:+.2f} ({d:+.2f} to {d:+.2f})" for d in (-1, 0, -1, -2, 0, -2, -1)]


def test_of_two_looks_at_a_target_nothing_is_said():
    rows = pd.DataFrame({"target": "t0", "place": [1, 2], "way": "usual", "look": 0.0, "status": "ok"})
    assert pages.own_looks(rows) == ("- usual: 2 looks, too few of any target as yet.\n", None)


def test_the_usual_rate_leaves_the_target_out():
    seeds = pd.DataFrame({"Model": "m", "Target Dataset": ["t0", "t1", "t2", "t3"], "Rate": [0.1, 0.002, 0.02, 0.005]})
    assert public_looks.usual(seeds, "t0", "m") == 0.005
    assert public_looks.usual(seeds, "t3", "m") == 0.02
    assert public_looks.usual(seeds[:1], "t0", "m") == public_looks.DEFAULT


def test_looks_are_read_at_the_rate_that_was_asked_for(tmp_path):
    store, plans = Store(tmp_path), {}
    for rate in (0.05, 0.002):
        identity = {"rate": str(rate)}
        named = {"model": SimpleNamespace(name="m"), "target": SimpleNamespace(name="t")}
        plans[rate] = (None, SimpleNamespace(transfers=[SimpleNamespace(**named, scores={"look": key_of(identity)})]))
        if rate == 0.002:
            store.write(
                "score", key_of(identity), identity, {"scores": [-1.5], "status": ["ok"]}, {"milliseconds": [2500]}
            )
    rows = pd.DataFrame({"target": "t", "model": "m", "way": ["usual", "default"], "rate": [0.002, 0.05]})
    none = pd.DataFrame(columns=[*public_looks.KEYS, *public_looks.FOUND])
    (found,) = public_looks.looked(rows, plans, store, none).to_dict("records")
    assert found == {
        "target": "t",
        "model": "m",
        "way": "usual",
        "rate": 0.002,
        "look": -1.5,
        "status": "ok",
        "seconds": 2.5,
    }


def test_looks_of_the_table_before_are_kept_under_another_way_too(tmp_path):
    kept = {"target": "t", "model": "m", "rate": 0.005, "look": -2.0, "status": "ok", "seconds": 3.0}
    transfer = SimpleNamespace(
        model=SimpleNamespace(name="m"), target=SimpleNamespace(name="t"), scores={"look": key_of({"a": 1})}
    )
    rows = pd.DataFrame({"target": "t", "model": "m", "way": ["usual", "slow"], "rate": [0.002, 0.005]})
    plans = dict.fromkeys([0.002, 0.005], (None, SimpleNamespace(transfers=[transfer])))
    found = public_looks.looked(rows, plans, Store(tmp_path), pd.DataFrame([kept])).to_dict("records")
    assert found == [kept | {"way": "slow"}]


def test_every_target_of_the_public_bank_has_a_kind():
    import yaml

    named = yaml.safe_load((script.ROOT / "conf" / "target" / "public.yaml").read_text(encoding="utf-8"))["defaults"]
    assert set(named) <= {target for targets in script.KINDS.values() for target in targets}
