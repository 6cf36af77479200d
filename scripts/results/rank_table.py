"""How good the recommendation is: each known target in turn as the user's images, beside every single estimator.

    python scripts/results/rank_table.py [known=results] [published=<folder of the published tables>] [out=results/rank]

Reads whatever of the committed ground truth is there (`benchmark.ranking.transfers.TABLES`). Writes recommendation.csv
(what the page shows), left_out.csv (every method on every target), predictions.csv (every candidate with its interval),
stakes.csv (expected and realised regret), untried.csv (models of which nothing is known), published.csv where the
published tables are given, and <out>.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from rank_page import LIST, OURS, RIVALS, decision, page  # noqa: E402

from benchmark import files  # noqa: E402
from benchmark.config import cli  # noqa: E402
from benchmark.config.spec import Spec  # noqa: E402
from benchmark.errors import ConfigError  # noqa: E402
from benchmark.literature import banks as literature_banks  # noqa: E402
from benchmark.literature import published_tables, sources  # noqa: E402
from benchmark.literature.banks import with_scores  # noqa: E402
from benchmark.ranking import reasons, recommend, transfers  # noqa: E402
from benchmark.stats import measures, resampling  # noqa: E402
from benchmark.tables.columns import save  # noqa: E402

MEASURES = ("regret1", "kendall", "weighted_kendall", "top1")
KEYS = ["table", "target"]
SPIDER = {"LogME": "logme", "H-Score": "hscore_f32"}  # Model Spider's names of what the recommender learns from


class Settings(Spec):
    known: Path = Field(ROOT / "results", description="folder with the ground truth's folders")
    published: Path | None = Field(None, description="folder of the published tables, to be judged on them, too")
    out: Path = Field(ROOT / "results/rank", description="folder for the tables; the page is <out>.md")


def judged(scores: np.ndarray, oracle: np.ndarray) -> dict[str, float]:
    """MEASURES of one target: regret1 in points and top1 in percent, expected over random tie-breaking, and τ.

    A candidate without a score is never picked before one with a score; scores that are all missing or equal pick at
    random, and their τ is 0: they say nothing.
    """
    picks = np.nan_to_num(scores, nan=-np.inf)
    picked = picks == picks.max()
    ranked = {name: float(np.nan_to_num(getattr(measures, name)(scores, oracle))) for name in MEASURES[1:3]}
    top = 100 * float((oracle[picked] == oracle.max()).mean())
    return {"regret1": float(oracle.max() - oracle[picked].mean()), **ranked, "top1": top}


def left_out(known: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """table, group, target, models, method, then MEASURES: the recommendation, the list, every column of scores."""
    both = known.merge(
        predictions[[*KEYS, "model", "score"]].rename(columns={"score": OURS}), on=[*KEYS, "model"], validate="1:1"
    )
    both[LIST] = transfers.static_list(both)
    plain = [*KEYS, "group", "model", "oracle", "architecture", "source", "random", OURS, LIST]
    methods = [OURS, LIST, *(c for c in both if c not in plain)]
    rows = []
    for (table, target), cell in both.groupby(KEYS, sort=True):
        here = [m for m in methods if m in (OURS, LIST) or both.loc[both["table"] == table, m].notna().any()]
        about = {"table": table, "group": cell["group"].iloc[0], "target": target, "models": len(cell)}
        rows += [
            {**about, "method": m, **judged(cell[m].to_numpy(float), cell["oracle"].to_numpy(float))} for m in here
        ]
        chance = float(cell["oracle"].max() - cell["oracle"].mean())
        best = 100 * float((cell["oracle"] == cell["oracle"].max()).mean())
        rows.append({**about, "method": "random", "regret1": chance, "kendall": 0, "weighted_kendall": 0, "top1": best})
    return pd.DataFrame(rows)


def blocks(judgements: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    """Each table's targets, each group's where it has several tables, and all."""
    for table, rows in judgements.groupby("table", sort=True):
        yield f"{table} ({rows['group'].iloc[0]})", rows
    for group, rows in judgements.groupby("group", sort=True):
        if rows["table"].nunique() > 1:
            yield f"all {group}", rows
    if judgements["group"].nunique() > 1:
        yield "all", judgements


def summary(judgements: pd.DataFrame, number: int = resampling.RESAMPLES) -> pd.DataFrame:
    """block, method, targets, MEASURES as means, intervals of regret1, and how it differs from the recommendation's.

    low, high        95 % of the mean regret, over resampled targets (all tables of a target together)
    more             mean regret less the recommendation's on the same targets, with more_low, more_high
    tau_low, _high   95 % of the mean τ_b less the recommendation's
    """
    rows = []
    for block, part in blocks(judgements):
        both = part.pivot(index=["target", "table"], columns="method", values=["regret1", "kendall"])
        wide = both["regret1"].dropna(axis=1)
        target = pd.factorize(wide.index.get_level_values("target"))[0]
        rng = np.random.default_rng(0)
        count = target.max() + 1
        weight = rng.multinomial(count, np.full(count, 1 / count), size=number)[:, target]
        means = weight @ wide.to_numpy() / weight.sum(1, keepdims=True)
        regret = pd.DataFrame(means, columns=wide.columns)
        taus = pd.DataFrame(weight @ both["kendall"][wide.columns].to_numpy() / weight.sum(1, keepdims=True))
        taus.columns = wide.columns
        every = part.groupby("method")[list(MEASURES)].mean()
        for method in wide.columns:
            low, high, _ = resampling.interval(regret[method].to_numpy())
            more, tau = (resampling.interval((v[method] - v[OURS]).to_numpy())[:2] for v in (regret, taus))
            rows.append(
                {
                    "block": block,
                    "method": method,
                    "targets": len(wide),
                    **every.loc[method],
                    "low": low,
                    "high": high,
                    "more": wide[method].mean() - wide[OURS].mean(),
                    "more_low": more[0],
                    "more_high": more[1],
                    "tau_low": tau[0],
                    "tau_high": tau[1],
                }
            )
    return pd.DataFrame(rows)


def intervals(predictions: pd.DataFrame) -> pd.DataFrame:
    """block, targets, candidates, coverage of the 80 % intervals in percent (mean over targets), width in points."""
    inside = (predictions["oracle"] >= predictions["low"]) & (predictions["oracle"] <= predictions["high"])
    wide = predictions.assign(inside=100.0 * inside, width=predictions["high"] - predictions["low"])
    wide["off"] = (predictions["oracle"] - predictions["predicted_accuracy"]).abs()
    rows = []
    for block, part in blocks(wide):
        each = part.groupby(KEYS)[["inside", "width", "off"]].mean()
        number, mean = len(each), each.mean()
        rows.append((block, number, len(part), mean["inside"], mean["width"], each["width"].median(), mean["off"]))
    columns = ["block", "targets", "candidates", "coverage", "width", "median_width", "error"]
    return pd.DataFrame(rows, columns=columns)


def untried(judgements: pd.DataFrame, wide: pd.DataFrame, usual: pd.DataFrame) -> pd.DataFrame:
    """block, regret1 and kendall of candidates that nobody has tried, coverage and width; beside what names add.

    judgements, wide  of predictions with `strangers`; usual: the summary of the others
    """
    found = summary(judgements)
    ours = found[found["method"] == OURS].set_index("block")
    named = usual.set_index(["block", "method"])
    rows = []
    for block, held in wide.set_index("block").iterrows():
        row = ours.loc[block]
        best = {m: named.at[(block, m), "regret1"] for m in (OURS, *RIVALS)}
        rows.append({"block": block, "targets": row["targets"], "regret1": row["regret1"], "low": row["low"],
                     "high": row["high"], "kendall": row["kendall"], "coverage": held["coverage"],
                     "width": held["width"], **{f"{m}_regret1": v for m, v in best.items()}})  # fmt: skip
    return pd.DataFrame(rows)


def stakes(predictions: pd.DataFrame) -> pd.DataFrame:
    """block, pick, expected and realised regret in points, means over targets: can the statement be believed?"""
    best = predictions.groupby(KEYS)["oracle"].transform("max")
    place = predictions.groupby(KEYS).cumcount()
    last = predictions.groupby(KEYS)["model"].transform("size") - 1
    imagenet = predictions["favourite"]
    picks = {"first": place == 0, "second": place == 1, "third": place == 2, "median": place == last // 2}
    picks |= {"last": place == last, "ImageNet's favourite": imagenet, "mean of all": place >= 0}
    rows = []
    for block, part in blocks(predictions.assign(realised=best - predictions["oracle"])):
        for pick, chosen in picks.items():
            own = part[chosen[part.index]]
            if len(own):
                each = own.groupby(KEYS)[["expected_regret", "realised"]].mean().mean()
                rows.append((block, pick, own[KEYS].drop_duplicates().shape[0], *each))
    return pd.DataFrame(rows, columns=["block", "pick", "targets", "expected", "realised"])


def predicted(
    known: pd.DataFrame, methods: tuple[str, ...] = transfers.METHODS, strangers: bool = False
) -> pd.DataFrame:
    """`recommend.leave_one_out` with a score to rank by, and which candidate ImageNet's accuracy would pick."""
    found = recommend.leave_one_out(known, methods, strangers=strangers)
    found["score"] = -found.groupby(KEYS).cumcount().astype(float)
    favourites = {key: reasons.favourite(cell) for key, cell in known.groupby(KEYS)}
    here = zip(found["table"], found["target"], strict=True)
    found["favourite"] = [favourites[key] == model for key, model in zip(here, found["model"], strict=True)]
    return found


def known_of(bank: published_tables.Bank, names: dict[str, str]) -> pd.DataFrame:
    """A published bank as known transfers, scores under `names`; PARC's models are architecture/source."""
    rows = []
    for i, target in enumerate(bank.targets):
        for j in np.flatnonzero(np.isfinite(bank.truth[i])):
            scores = {names.get(k, k): v[i, j] for k, v in (bank.methods | bank.yardsticks).items()}
            rows.append({"target": target, "model": bank.models[j], "oracle": bank.truth[i, j], **scores})
    table = pd.DataFrame(rows)
    if bank.name.startswith("parc"):
        table[["architecture", "source"]] = table["model"].str.split("/", n=1, expand=True)
    elif set(bank.models) <= set(sources.IMAGENET_CNNS):
        facts = pd.DataFrame(sources.IMAGENET_CNNS, index=["parameters", "source_accuracy", "layers"]).T
        table = table.drop(columns=facts.columns, errors="ignore").join(facts, on="model").assign(source="imagenet")
    return transfers.completed(table).assign(table=bank.name)


def on_published(folder: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """`summary` on the published banks, and which case each is: is the list kept where it is better?"""
    tables = {s: sources.read(folder, s)[0] for s in sources.SOURCES if (folder / f"{s}.csv").is_file()}
    banks = {b.name: b for b in literature_banks.banks(tables)}
    made: list[tuple[str, pd.DataFrame, tuple[str, ...]]] = []
    for name in ("sfda_supervised", "tllib"):
        if name in banks and "model_spider_scores" in tables:
            scored = with_scores(banks[name], tables["model_spider_scores"])
            two = known_of(scored, SPIDER)
            made.append((f"{scored.name}, LogME and H-score", two, transfers.METHODS))
            made.append((f"{scored.name}, all nine", two, tuple(SPIDER.get(m, m) for m in scored.methods)))
    plain = ("parc_controlled", "parc_all", "sfda_supervised", "sfda_selfsupervised", "transfergraph_records")
    made += [(name, known_of(banks[name], {}), ()) for name in plain if name in banks]
    found, cases = [], {}
    for name, known, methods in made:
        known = known.assign(table=name)
        found.append(summary(left_out(known, predicted(known, methods))).assign(block=name))
        cases[name] = recommend.fit(known, methods).case
    return pd.concat(found, ignore_index=True), cases


def run(settings: Settings) -> int:
    """Write the tables and the page."""
    try:
        known = transfers.known(settings.known)
        predictions = predicted(known)
        cases = {group: recommend.fit(known, group=group).case for group in sorted(set(known["group"]))}
        theirs, more = on_published(settings.published) if settings.published else (None, {})
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from None
    blind = predicted(known, strangers=True)
    tables = {
        "left_out": left_out(known, predictions),
        "predicted_intervals": intervals(predictions),
        "stakes": stakes(predictions),
        "predictions": predictions.drop(columns=["score", "favourite"]),
    }
    tables["recommendation"] = summary(tables["left_out"])
    tables["untried"] = untried(left_out(known, blind), intervals(blind), tables["recommendation"])
    if theirs is not None:
        tables["published"] = theirs
    settings.out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        save(table.round(4), settings.out / f"{name}.csv")
    files.put(settings.out.with_suffix(".md"), page(tables, cases | more))
    print("\n".join(decision(tables["recommendation"])))
    return 0


if __name__ == "__main__":
    raise SystemExit(cli.settings(run, Settings, (__doc__ or "").strip()))
