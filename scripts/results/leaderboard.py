"""results/README.md: every method on every bank, from the committed tables; and how to add one.

python scripts/results/leaderboard.py            # writes the page
python scripts/results/leaderboard.py --check    # exit code 1 where the page is not up to date
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmark.reporting.layout import MISSING, between, number  # noqa: E402
from benchmark.stats.pairs import REFERENCE  # noqa: E402
from benchmark.tables import committed  # noqa: E402
from benchmark.tables.committed import Committed  # noqa: E402

RESULTS = ROOT / "results"
PAGE = RESULTS / "README.md"
BANKS = {  # folder: what it is
    "diverse_all": "the offline bank on eight embedded targets, two fine-tuning seeds",
    "rank": "the offline bank on fourteen packs of real images, one seed",
    "small": "43 models on eight packs of real images at 64 pixels",
    "public": "networks that people released, on the packs of real images whose ground truth is complete",
    "demo_all": "four architectures on embedded targets: a demonstration, too small to compare methods by",
}
HEAD = """# Leaderboard

Made by `python scripts/results/leaderboard.py` (a step of `make results`) from the tables in this folder; change
nothing here by hand. What each table means is in the page that it links to; what was made when is in
[CHANGELOG.md](CHANGELOG.md).

Mean PC is the paper's measure: Pearson ×100 between score and accuracy after fine-tuning over the models of a bank,
mean over targets; τ_w the weighted τ; regret@1 points of accuracy that are lost by taking the top-scored model. In
brackets: 95 % by resampling models, targets and draws. The *static list*, each model's mean standardised accuracy on
the other targets, never looks at the target: a method must beat it to be of use where the models have been fine-tuned
before. **Better** and *worse*: told apart from it at 5 % in mean Pearson, paired, Holm's correction over the methods of
that bank; nothing: not to be told apart. Ahead: targets on which its Pearson is higher. ms: of the method alone, one
thread, on the machine that made the table. Scored: where a method says something of a part of the models alone, its
figures are of that part.
"""
SUBMIT = """## To add a method

A pull request with one function and one YAML file:

1. `methods/<name>.py`, a function as [docs/method.md](../docs/method.md) describes, from the paper's definition, with
   its line in `methods/__init__.py`; `conf/method/<name>.yaml`, named in `conf/method/all.yaml`.
2. `python -m benchmark.check methods.<name>` must pass, and a test with a slow reference or a closed form
   ([CONTRIBUTING.md](../CONTRIBUTING.md)).
3. `python -m benchmark.run experiment=diverse method=<name> against=released` shows it beside all others: put that
   table into the pull request. (While it is yours alone, `'+method.mine._target_=my_package.my_score'` does the same.)
4. The tables here are made again by `make results` when it is merged.

Not in this table: what others published with tables of their own, compared with the same yardsticks in
[published.md](published.md), and the paper's own tables beside this project's in [paper_mini](paper_mini/paper.md).
"""


def page() -> str:
    """The whole page."""
    held = {name: committed.read(name) for name in BANKS if name in committed.names()}
    parts = [HEAD, overview(held), matrix(held)]
    parts += [section(name, one) for name, one in held.items()]
    return "\n".join([*parts, SUBMIT])


def overview(held: dict[str, Committed]) -> str:
    """A row a bank: what it is, how large, when and with which versions its table was made."""
    lines = [
        "| bank | what | models | targets | methods | table | made | commit | versions |",
        "|---|---|--:|--:|--:|---|---|---|---|",
    ]
    for name, one in held.items():
        versions = one.provenance["versions"]
        lines.append(
            f"| [{name}](#{name}) | {BANKS[name]} | {one.scores['Model'].nunique()} | "
            f"{one.scores['Target Dataset'].nunique()} | {len(one.methods)} | [table]({name}/table.md) | "
            f"{made(name)} | {one.provenance['commit'][:7]} | torch {versions['torch']}, numpy {versions['numpy']} |"
        )
    absent = [name for name in BANKS if name not in held]
    note = f"\nNo table yet: {', '.join(f'{name} ({BANKS[name]})' for name in absent)}.\n" if absent else ""
    return "\n".join(lines) + "\n" + note


def made(name: str) -> str:
    """The date of the newest entry of the changelog that names a folder."""
    rows = re.findall(
        r"^\| (\d{4}-\d\d-\d\d) \| (.*?) \|", (RESULTS / "CHANGELOG.md").read_text(encoding="utf-8"), re.M
    )
    return next((date for date, what in rows if re.search(rf"`{name}/", what)), MISSING)


RANK = "mean rank"
FEWEST = 5  # targets of a bank by which methods are ranked


def matrix(held: dict[str, Committed]) -> str:
    """Mean PC of every method on every bank, and its mean rank over those where it is defined."""
    table = pd.DataFrame({name: summary(name)["pearson"] for name in held})
    broad = [name for name, one in held.items() if one.scores["Target Dataset"].nunique() >= FEWEST]
    estimators = pd.concat([summary(name)["yardstick"] for name in held]).groupby(level=0).any()
    ranks = table[~estimators.reindex(table.index)][broad].rank(ascending=False)
    order = table.assign(**{RANK: ranks.mean(axis=1)})
    order = order.sort_values([RANK, *table.columns], ascending=[True] + [False] * len(held), na_position="last")
    lines = ["## Mean PC on every bank", "", f"| method | {' | '.join(f'[{n}](#{n})' for n in held)} | {RANK} |"]
    lines += ["|---|" + "--:|" * (len(held) + 1)]
    for method, row in order.iterrows():
        cells = [_marked(name, str(method), number(row[name])) for name in held]
        lines.append(f"| {method} | {' | '.join(cells)} | {number(row[RANK]) or MISSING} |")
    note = f"Mean rank: among the estimators, over {', '.join(broad)}: the banks of at least {FEWEST} targets."
    return "\n".join([*lines, "", note, ""])


def _marked(name: str, method: str, text: str | None) -> str:
    verdict = verdicts(name).get(method, "")
    return MISSING if text is None else {"better": f"**{text}**", "worse": f"*{text}*"}.get(verdict, text)


def section(name: str, held: Committed) -> str:
    """One bank: every method with intervals, how it stands to the static list, and its cost."""
    rows, limits, ahead, verdict = summary(name), intervals(name), targets_ahead(name), verdicts(name)
    times = held.times.set_index("method") if held.times is not None else pd.DataFrame()
    cost = (
        times["milliseconds"] if "milliseconds" in times else times.get("shared_milliseconds", pd.Series(dtype=float))
    )
    shared = "" if "milliseconds" in times else " (ms: with what methods share counted once.)"
    lines = [
        f"## {name}",
        "",
        f"{BANKS[name][0].upper()}{BANKS[name][1:]}: [whole table]({name}/table.md), "
        f"[tests]({name}/tests.csv).{shared}",
        "",
        "| method | Mean PC | τ_w | regret@1 | static list | ahead | ms | scored |",
        "|---|--:|--:|--:|---|--:|--:|--:|",
    ]
    for method, row in rows.iterrows():
        cells = [_with(row[measure], limits.get((method, measure)), digits) for measure, digits in MEASURES]
        where = f"{ahead[method][0]}/{ahead[method][1]}" if method in ahead and method != REFERENCE else MISSING
        said = {"better": "**better**", "worse": "*worse*"}.get(verdict.get(str(method), ""), "")
        part = "" if row["scored"] == row["cells"] else f"{100 * row['scored'] / row['cells']:.0f} %"
        spent = number(cost.get(method), 1) or MISSING
        lines.append(f"| {method} | {' | '.join(cells)} | {said} | {where} | {spent} | {part} |")
    return "\n".join(lines) + "\n"


MEASURES = (("pearson", 1), ("weighted_kendall", 2), ("regret1", 1))


def _with(value: float, limits: tuple[float, float] | None, digits: int) -> str:
    text = number(value, digits)
    inside = between(*limits, 0 if digits == 1 else digits) if limits else None
    return MISSING if text is None else f"{text} [{inside}]" if inside else text


def summary(name: str) -> pd.DataFrame:
    """table.csv, by method; estimators first."""
    return pd.read_csv(RESULTS / name / "table.csv").set_index("method")


def intervals(name: str) -> dict[tuple[str, str], tuple[float, float]]:
    """(method, measure) -> the 95 % interval of its mean over targets."""
    table = pd.read_csv(RESULTS / name / "intervals.csv")
    rows = table[(table["target"] == "mean") & (table["over"] == "all")].dropna(subset=["low", "high"])
    return {(r.method, r.measure): (r.low, r.high) for r in rows.itertuples()}


def verdicts(name: str) -> dict[str, str]:
    """Method -> better or worse than the static list, where a paired test supports it."""
    tests = pd.read_csv(RESULTS / name / "tests.csv")
    found = tests[(tests["measure"] == "pearson") & (tests["family"] == "static list") & tests["supported"]]
    better = {
        first: "better" for first, second in zip(found["first"], found["second"], strict=True) if second == REFERENCE
    }
    return better | {s: "worse" for f, s in zip(found["first"], found["second"], strict=True) if f == REFERENCE}


def targets_ahead(name: str) -> dict[str, tuple[int, int]]:
    """Method -> on how many targets its Pearson is above the static list's, of how many where both have one."""
    table = pd.read_csv(RESULTS / name / "correlations.csv")
    plain = table[(table["measure"] == "pearson") & (table["capacity"] == "none") & (table["target"] != "mean")]
    wide = plain.pivot(index="method", columns="target", values="mean")
    if REFERENCE not in wide.index:
        return {}
    both = wide.notna() & wide.loc[REFERENCE].notna()
    above = both & (wide > wide.loc[REFERENCE])
    return {str(m): (int(above.loc[m].sum()), int(both.loc[m].sum())) for m in wide.index}


def main(argv: list[str]) -> int:
    found = page()
    if argv == ["--check"]:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == found
        print("up to date" if current else f"error: run python {Path(__file__).relative_to(ROOT)}")
        return int(not current)
    PAGE.write_text(found, encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {found.count(chr(10))} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
