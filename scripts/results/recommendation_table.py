"""What each part of the recommendation adds to the static list, each known target left out, and each kind of target.

    python scripts/results/recommendation_table.py [weights=<folder>] [data=<folder>] [looks=results/looks_public.csv]

Reads the committed ground truths (`benchmark.ranking.transfers`) with their fine-tunings' losses and predictions
from the released layer, and looks of their own where scripts/results/public_looks.py has made them. Writes <out>.csv, a
row a method and target, and <out>.md. Without weights= the public bank has no recorded losses, and is left out.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "results")]

import recommendation_page as pages  # noqa: E402
from recommendation_page import KEYS, LIST, OURS  # noqa: E402

from benchmark import provenance  # noqa: E402
from benchmark.cells.planner import plan  # noqa: E402
from benchmark.cells.store import Store  # noqa: E402
from benchmark.config import cli, compose  # noqa: E402
from benchmark.config.spec import Spec  # noqa: E402
from benchmark.config.validation import experiment  # noqa: E402
from benchmark.errors import ConfigError  # noqa: E402
from benchmark.files import put  # noqa: E402
from benchmark.ranking import recommend, transfers, weighted_sum  # noqa: E402
from benchmark.ranking.choices import between_models_too, judged  # noqa: E402
from benchmark.ranking.weighted_sum import CELL  # noqa: E402
from benchmark.tables.columns import save  # noqa: E402

KINDS = {
    "strokes": ("digits", "mnist", "glyphs"),
    "shapes": ("sprites", "fractals"),
    "textures by formula": ("photos", "textures", "leaves"),
    "animals": ("monkeys10", "pets3"),
    "art": ("pacs_art_painting", "pacs_sketch"),
    "plants": ("flowers5",),
    "surfaces": ("dtd10",),
    "scenes": ("rsscn7",),
    "signs": ("gtsrb_small", "sign_digits"),
    "things": ("cifar10_small", "caltech101_small", "trashnet", "voc5_multilabel"),
    "flaws and findings": ("covid_xray", "elpv_solar", "magnetic_tile"),
}
WINDOWS = {"look 15–25 %": (3, 5), "look 10–30 %": (2, 6)}
"""Of the twenty points that a fine-tuning keeps of its loss, each a twentieth of its steps: from, to."""
PLAIN = ("parc_f32", "knn", "logme", "ridge", "rank_fusion", "parameters", "source_accuracy")
SPLITS = 20
SHARPNESS = 4.0
"""Of the similarity-weighted list: a target counts e^(4r), r the correlation of the two targets' scores over models."""


class Settings(Spec):
    known: Path = Field(ROOT / "results", description="folder with the ground truths' folders")
    weights: Path = Field(Path("weights"), description="folder of weight files; the public bank's plan needs them")
    data: Path = Field(Path("data"), description="folder of real data sets")
    looks: Path = Field(ROOT / "results/looks_public.csv", description="looks at fine-tuning of their own, if there")
    out: Path = Field(ROOT / "results/recommendation", description="files to write, without their ending")


def finished(table: str, known: pd.DataFrame, settings: Settings) -> tuple[pd.DataFrame, dict[tuple[str, ...], Any]]:
    """Of a table's first-seed fine-tunings: KEYS, minus the mean loss in each of WINDOWS, seconds; which images it got
    right, (n,) in 0 to 1 (of several labels: the share that is right).

    Of the public bank some were made at a rate of the target's own, which other cells hold (`recipe.rate_on=[]`).
    """
    oracle = known[known["table"] == table].set_index(["target", "model"])["oracle"]
    rows: list[dict[str, object]] = []
    right: dict[tuple[str, ...], Any] = {}
    for more in ([], ["recipe.rate_on=[]"]) if table == "public" else ([],):
        own = f"paths.data={settings.data}", f"paths.weights={settings.weights}", "executor.workers=0"
        spec = experiment(compose.compose([f"experiment={table}", "method=[parameters]", *own, *more]))
        made, store = plan(spec), Store(spec.paths.cache, spec.paths.released)
        for transfer in made.transfers:
            key = table, transfer.target.name, transfer.model.name
            if key in right or key[1:] not in oracle.index or not store.has("truth", transfer.truth[0]):
                continue
            cell = store.read("truth", transfer.truth[0])
            if len(transfer.truth) == 1 and abs(cell.values["oracle"] - oracle[key[1:]]) > 1e-6:
                continue
            losses = {name: -float(np.mean(cell.values["curve"][a:b])) for name, (a, b) in WINDOWS.items()}
            row = {**dict(zip(KEYS, key, strict=True)), **losses, "seconds": cell.record.get("seconds", np.nan)}
            rows.append(row)
            correct = np.asarray(cell.arrays["correct"], float)
            right[key] = correct.reshape(len(correct), -1).mean(1)
    return pd.DataFrame(rows, columns=[*KEYS, *WINDOWS, "seconds"]), right


def halves(table: pd.DataFrame, right: dict[tuple[str, ...], Any]) -> np.ndarray:
    """(rows, 2·SPLITS) accuracies on halves of the target's test images: the same halves for all of its models."""
    found = np.full((len(table), 2 * SPLITS), np.nan)
    for at, key in enumerate(table[KEYS].itertuples(index=False, name=None)):
        images = right[key]
        order = np.random.default_rng(0).permuted(np.tile(np.arange(len(images)), (SPLITS, 1)), axis=1)
        first = images[order[:, : len(images) // 2]].mean(1)
        second = images[order[:, len(images) // 2 :]].mean(1)
        found[at] = 100 * np.stack([first, second], 1).ravel()
    return found


def listed(known: pd.DataFrame, unit: str, alike: bool = False) -> pd.Series:
    """The static list without all targets of the row's unit, or with targets that look alike counting more.

    How alike two targets are: the correlation of the mean of the scores METHODS over the models that both have.
    """
    found = pd.Series(np.nan, known.index)
    profile = known.assign(v=weighted_sum.standardised(known, transfers.METHODS)[[*transfers.METHODS]].mean(axis=1))
    profiles = profile.pivot(index=CELL, columns="model", values="v")
    for (key, held), cell in known.groupby([CELL[0], unit], sort=False):
        others = known[(known["group"] == cell["group"].iloc[0]) & (known[unit] != held)]
        for target, here in cell.groupby("target", sort=False):
            standing = transfers.standings(others, here["model"])
            weight = pd.Series(1.0, standing.index)
            if alike:
                r = profiles.loc[standing.index].T.corrwith(profiles.loc[(key, target)])
                weight = np.exp(SHARPNESS * r.fillna(0.0))
            mean = standing.mul(weight, axis=0).sum() / standing.notna().mul(weight, axis=0).sum().replace(0.0, np.nan)
            found[here.index] = mean.reindex(here["model"]).to_numpy()
    return found


def candidates(known: pd.DataFrame, losses: pd.DataFrame, unit: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row a known transfer with every part of the recommendation, without its unit; and what is predicted of it."""
    both = known.merge(losses, on=KEYS, validate="1:1").reset_index(drop=True)
    both["list"], both["similar list"] = listed(both, unit), listed(both, unit, alike=True)
    both["scores"] = weighted_sum.standardised(both, transfers.METHODS)[[*transfers.METHODS]].mean(axis=1)
    predictions = recommend.leave_one_out(both, unit=unit)
    predictions[OURS] = -predictions.groupby(CELL).cumcount().astype(float)
    return both.merge(predictions[[*KEYS, OURS]], on=KEYS, validate="1:1"), predictions


def methods(table: pd.DataFrame, unit: str) -> dict[str, pd.Series]:
    """Every way to choose: name -> a score for each row."""
    first, second = WINDOWS
    z = weighted_sum.standardised(table, ("list", "similar list", "scores", *WINDOWS))
    scores = {LIST: table["list"], "similarity-weighted list": table["similar list"], OURS: table[OURS]}
    scores["list + scores"] = weighted_sum.left_out(z, ("list", "scores"), unit)
    scores[first] = table[first]
    scores[f"2 · list + {first}"] = 2 * z["list"] + z[first]
    for window in (first, second):
        scores[f"list + {window}"] = weighted_sum.left_out(z, ("list", window), unit)
        scores[f"list + scores + {window}"] = weighted_sum.left_out(z, ("list", "scores", window), unit)
    return scores | {name: table[name] for name in PLAIN}


def chosen(judgements: pd.DataFrame, unit: pd.Series) -> pd.DataFrame:
    """A further method: of all that are no single score, the one that lost least on the targets of other units."""
    ours = judgements[~judgements["method"].isin(PLAIN)]
    wide = ours.pivot(index=CELL, columns="method", values="regret")
    held = unit.reindex(wide.index.get_level_values("target")).to_numpy()
    picks = [wide[held != own].mean().idxmin() for own in held]
    named = pd.DataFrame({"method": picks}, wide.index).reset_index()
    return named.merge(ours, on=[*CELL, "method"], validate="1:1").assign(method="chosen on other targets")


def judge(
    known: pd.DataFrame, losses: pd.DataFrame, right: dict[tuple[str, ...], Any], unit: str
) -> dict[str, pd.DataFrame]:
    """judgements of all methods, differences from the list with models resampled, and predictions."""
    table, predictions = candidates(known, losses, unit)
    best = table.groupby(CELL)["oracle"].transform("max")
    scores = methods(table, unit)
    found = judged(table, scores, best, halves(table, right))
    units = known.drop_duplicates("target").set_index("target")[unit] if unit != "target" else None
    own = units if units is not None else pd.Series(sorted(set(known["target"])), sorted(set(known["target"])))
    rows = [(m, *between_models_too(table, s, table["list"])) for m, s in scores.items() if m != LIST]
    differences = pd.DataFrame(rows, columns=["method", "mean", "low", "high"])
    whole = pd.concat([found, chosen(found, own)], ignore_index=True)
    return {"judgements": whole.assign(left_out=unit), "differences": differences, "predictions": predictions}


def run(settings: Settings) -> int:
    public = compose.compose(["bank=public", "method=[parameters]"])["bank"]
    known = transfers.known(settings.known, public)
    kinds = {target: kind for kind, targets in KINDS.items() for target in targets}
    if lacking := sorted(set(known["target"]) - set(kinds)):
        raise ConfigError(f"targets must have a kind in KINDS. Got none for {', '.join(lacking)}.")
    known["kind"] = known["target"].map(kinds)
    each = [finished(name, known, settings) for name in sorted(set(known["table"]))]
    losses, right = pd.concat([rows for rows, _ in each]), {k: v for _, r in each for k, v in r.items()}
    made = {unit: judge(known, losses, right, unit) for unit in ("target", "kind")}
    looks = pd.read_csv(settings.looks) if settings.looks.is_file() else None
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    whole = pd.concat([m["judgements"] for m in made.values()], ignore_index=True)
    save(whole.round(4), settings.out.with_suffix(".csv"))
    machine, versions = provenance.hardware(), provenance.versions()
    about = {
        "command": shlex.join(["python", "scripts/results/recommendation_table.py"]),
        "hardware": f"{machine['processor']} ({machine['cores']} cores)",
        "versions": ", ".join(f"{n} {versions[n]}" for n in ("python", "torch", "numpy") if n in versions),
        "commit": provenance.commit() or "unknown",
    }
    put(settings.out.with_suffix(".md"), text := pages.page(made, looks, about))
    print(text)
    return 0


def main(argv: list[str] | None = None) -> int:
    return cli.settings(run, Settings, __doc__ or "", argv)


if __name__ == "__main__":
    raise SystemExit(main())
