"""results/README.md and leaderboard.html: every method on every bank, from the committed tables; how to add one.

python scripts/results/leaderboard.py [check=true]   # check: exit code 1 where one is not up to date
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import leaderboard_entries as figures  # noqa: E402
import leaderboard_html  # noqa: E402
from leaderboard_entries import MEASURES, RESULTS, Entry  # noqa: E402
from page_files import command  # noqa: E402

from benchmark.reporting.layout import MISSING, between, number  # noqa: E402
from benchmark.tables import committed  # noqa: E402
from benchmark.tables.committed import Committed  # noqa: E402

PAGE, HTML = RESULTS / "README.md", RESULTS / "leaderboard.html"
BANKS = {  # folder: what it is
    "diverse_all": "the offline bank on eight embedded targets, two fine-tuning seeds",
    "rank": "the offline bank on fourteen packs of real images, one seed",
    "small": "43 models on eight packs of real images at 64 pixels",
    "public": "networks that people released, on the packs of real images whose ground truth is complete",
    "paper_mini": "28 models trained on seven sources, six targets: the bank and the methods of the paper's tables",
    "demo_all": "four architectures on embedded targets: a demonstration, too small to compare methods by",
}
HEAD = """# Leaderboard

Made by `python scripts/results/leaderboard.py` (a step of `make results`) from the tables in this folder; change
nothing here by hand. What each table means is in the page that it links to; what was made when is in
[CHANGELOG.md](CHANGELOG.md).

Mean PC is the paper's measure: Pearson ×100 between score and accuracy after fine-tuning over the models of a bank,
mean over targets; τ_w the weighted τ; regret@1 points of accuracy that are lost by taking the top-scored model.
Intervals: 95 % by resampling models, targets and draws. The *static list*, each model's mean standardised accuracy on
the other targets, never looks at the target: a method must beat it to be of use where the models have been fine-tuned
before. **Better** and *worse*: told apart from it at 5 % in mean Pearson, paired, Holm's correction over the methods of
that bank; nothing: not to be told apart. Ahead: targets on which its Pearson is higher. ms: of the method alone, one
thread, on the machine that made the table. Scored: where a method says something of a part of the models alone, its
figures are of that part.
"""
FILTERS = """The same with filters, as one file to open in a browser: [leaderboard.html](leaderboard.html).
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

Everybody's published tables against the same yardsticks are in [published.md](published.md), the paper's own tables
beside this project's in [paper_mini](paper_mini/paper.md).
"""


def page() -> str:
    """The whole page."""
    held = {name: committed.read(name) for name in BANKS if name in committed.names()}
    parts = [HEAD, FILTERS, overview(held), matrix(held)]
    parts += [section(name, one) for name, one in held.items()]
    others = figures.published()
    parts += [of_others(others)] if others else []
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
VARIANTS = ("paper_mini",)  # banks of few methods in many variants, among which a rank says little


def matrix(held: dict[str, Committed]) -> str:
    """Mean PC of every method on every bank, and its mean rank over those where it is defined."""
    table = pd.DataFrame({name: figures.summary(name)["pearson"] for name in held})
    targets = {name: one.scores["Target Dataset"].nunique() for name, one in held.items()}
    broad = [name for name in held if targets[name] >= FEWEST and name not in VARIANTS]
    estimators = pd.concat([figures.summary(name)["yardstick"] for name in held]).groupby(level=0).any()
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
    verdict = figures.verdicts(name).get(method, "")
    return MISSING if text is None else {"better": f"**{text}**", "worse": f"*{text}*"}.get(verdict, text)


def section(name: str, held: Committed) -> str:
    """One bank: every method with intervals, how it stands to the static list, and its cost."""
    shared = "" if figures.cost_column(held) == "milliseconds" else " (ms: with what methods share counted once.)"
    lines = [
        f"## {name}",
        "",
        f"{BANKS[name][0].upper()}{BANKS[name][1:]}: [whole table]({name}/table.md), "
        f"[tests]({name}/tests.csv).{shared}",
        "",
        "| method | Mean PC | τ_w | regret@1 | static list | ahead | ms | scored |",
        "|---|--:|--:|--:|---|--:|--:|--:|",
    ]
    for one in figures.entries(name, held):
        cells = [_with(one.figures[measure], one.limits.get(measure), digits) for measure, digits in MEASURES]
        where = f"{one.ahead[0]}/{one.ahead[1]}" if one.ahead else MISSING
        said = {"better": "**better**", "worse": "*worse*"}.get(one.verdict, "")
        part = "" if one.scored == 1 else f"{100 * one.scored:.0f} %"
        spent = MISSING if one.cost is None else number(one.cost, 1) or MISSING
        lines.append(f"| {one.method} | {' | '.join(cells)} | {said} | {where} | {spent} | {part} |")
    return "\n".join(lines) + "\n"


def of_others(found: Sequence[Entry]) -> str:
    """The scores that others published, a row a table and method."""
    lines = [
        "## published",
        "",
        "Scores that others published with a table of accuracies, or for one, recomputed; the static list on the same",
        "models and targets. Without probes of theirs there is no interval and no test: [all of it](published.md).",
        "",
        "| table | method | Mean PC | τ_w | regret@1 | models | targets |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for one in found:
        cells = [number(one.figures[measure], digits) or MISSING for measure, digits in MEASURES]
        lines.append(f"| {one.bank} | {one.method} | {' | '.join(cells)} | {one.models} | {one.targets} |")
    return "\n".join(lines) + "\n"


def _with(value: float, limits: tuple[float, float] | None, digits: int) -> str:
    text = number(value, digits)
    inside = between(*limits, 0 if digits == 1 else digits) if limits else None
    return MISSING if text is None else f"{text} [{inside}]" if inside else text


def pages() -> dict[Path, str]:
    """The two pages by their files."""
    held = {name: committed.read(name) for name in BANKS if name in committed.names()}
    found = [entry for name, one in held.items() for entry in figures.entries(name, one)]
    abouts = {name: BANKS[name] for name in held}
    return {PAGE: page(), HTML: leaderboard_html.page([*found, *figures.published()], abouts, HEAD, SUBMIT)}


if __name__ == "__main__":
    sys.exit(command(pages, sys.argv[1:]))
