"""How many looks a search should take before it trains the winner to the end: simulated on recorded fine-tunings.

    python scripts/results/search_policy.py [weights=<folder>] [data=<folder>]

Reads what scripts/results/recommendation_table.py reads: accuracies, losses and seconds of the known transfers.
Writes <out>.csv, a row a target, budget and policy, and <out>.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "results")]

import recommendation_table as known_transfers  # noqa: E402
from recommendation_page import KEYS, spoken  # noqa: E402

from benchmark import provenance  # noqa: E402
from benchmark.config import cli, compose  # noqa: E402
from benchmark.errors import ConfigError  # noqa: E402
from benchmark.files import put  # noqa: E402
from benchmark.ranking import transfers, weighted_sum  # noqa: E402
from benchmark.ranking.choices import between, targets_needed  # noqa: E402
from benchmark.ranking.weighted_sum import CELL  # noqa: E402
from benchmark.reporting import layout  # noqa: E402
from benchmark.tables.columns import save  # noqa: E402
from benchmark.wording import some  # noqa: E402

LOOK, STOPPED = "look 15–25 %", 0.25
"""What is seen of a candidate, and the share of its training after which it is seen."""
MINUTES = (1, 3, 10, 30)
SHARES = (0.2, 0.5, 1.0)
"""Of the budget, that may go into looking."""
MOST = 12
FIRST, CHOSEN = "list's first", "share chosen on other targets"

TEXT = """# How many looks before the winner is trained

Simulated on {cells} targets and tables, from recorded fine-tunings. A policy takes the static list's first
candidates, trains each for a quarter of its steps, chooses by list and look (mean training loss of 15 to 25 % of the
steps; weights learned without the target), and goes on with the winner to the end. It looks at as many, {most} at
most, as fit into a share of the budget while the winner's training still fits into the rest, by the seconds that each
training took when it was recorded ({seconds}); at fewer than two it trains the list's first. Every policy knows the
right rate, as the records do: of rates before models they tell nothing. Lost: points behind the target's best model,
which an oracle would train, after a whole training each.

What the records do not hold: an accuracy before the end of a training, or after more steps than the recipe's. So the
list's first gains nothing here from time that it does not need, a training that does not fit counts like one that does,
and a head on frozen features does not compete: short budgets are judged too kindly, for all policies alike.

{tables}
{decision}

`python scripts/results/search_policy.py`, commit {commit}. Per target: search_policy.csv.
"""


class Settings(known_transfers.Settings):
    out: Path = Field(ROOT / "results/search_policy", description="files to write, without their ending")


def sums(table: pd.DataFrame) -> dict[int, pd.Series]:
    """k -> list and look of the first k of each target, weights learned without it; of one: the list."""
    found = {1: table.loc[table["place"] == 1, "list"]}
    for k in range(2, MOST + 1):
        first = weighted_sum.standardised(table[table["place"] <= k], ("list", LOOK))
        found[k] = weighted_sum.left_out(first, ("list", LOOK))
    return found


def affordable(seconds: np.ndarray, budget: float, share: float) -> int:
    """How many of the first candidates can be looked at: seconds (n,) of their whole trainings, best place first."""
    looking = STOPPED * np.cumsum(seconds[:MOST])
    rest = (1 - STOPPED) * np.maximum.accumulate(seconds[:MOST])
    fits = (looking <= share * budget) & (looking + rest <= budget)
    number = int(np.argmin(fits)) if not fits.all() else len(fits)
    return number if number > 1 else 1


def simulated(table: pd.DataFrame) -> pd.DataFrame:
    """CELL, minutes, method, looks, regret: every policy on every target of known transfers with list and LOOK."""
    table = table.assign(place=table.groupby(CELL)["list"].rank(ascending=False, method="first"))
    scores, rows = sums(table), []
    for (name, target), cell in table.sort_values("place").groupby(CELL, sort=True):
        lost = cell["oracle"].max() - cell["oracle"]
        for minutes in MINUTES:
            for method, share in {FIRST: 0.0, **{f"share {s:.0%}": s for s in SHARES}}.items():
                k = affordable(cell["seconds"].to_numpy(float), 60.0 * minutes, share)
                winner = scores[k].reindex(cell.index).idxmax()
                rows.append((name, target, minutes, method, k if k > 1 else 0, lost[winner]))
    found = pd.DataFrame(rows, columns=[*CELL, "minutes", "method", "looks", "regret"])
    return pd.concat([found, *(chosen(part) for _, part in found.groupby("minutes"))], ignore_index=True)


def chosen(judgements: pd.DataFrame) -> pd.DataFrame:
    """Of one budget: for each target the policy that lost least on the others, the first of equals."""
    wide = judgements.pivot(index=CELL, columns="method", values="regret")[list(judgements["method"].unique())]
    targets = wide.index.get_level_values("target")
    picks = [wide[targets != own].mean().idxmin() for own in targets]
    named = pd.DataFrame({"method": picks}, wide.index).reset_index()
    return named.merge(judgements, on=[*CELL, "method"], validate="1:1").assign(method=CHOSEN)


def grid(minutes: int, judgements: pd.DataFrame) -> layout.Grid:
    """A row a policy at one budget."""
    tables, cells = sorted(judgements["table"].unique()), []
    for method, part in judgements.groupby("method", sort=False):
        row = [method, layout.number(part["looks"].mean(), 1), layout.number(part["regret"].mean(), 2)]
        row.append(None if method == FIRST else spoken(between(judgements, "regret", method, FIRST)))
        cells.append(row + [layout.number(part.loc[part["table"] == t, "regret"].mean(), 2) for t in tables])
    head = ["policy", "looks", "lost", "minus list's first", *tables]
    return layout.Grid(f"{minutes} min", head, [cells])


def decision(judgements: pd.DataFrame) -> str:
    """Whether looking pays at each budget, by the policy that was chosen on other targets."""
    said = []
    for minutes, part in judgements.groupby("minutes"):
        difference = between(part, "regret", CHOSEN, FIRST)
        wide = part.pivot(index=CELL, columns="method", values="regret")
        needed = targets_needed((wide[CHOSEN] - wide[FIRST]).to_numpy(), 1.0)
        verdict = "looking pays" if difference[2] < 0 else "looking costs" if difference[1] > 0 else "it does not tell"
        said.append(f"at {minutes} min {spoken(difference)}: {verdict} (at this spread {needed} targets show a point)")
    return "The share that is chosen on other targets, minus the list's first: " + "; ".join(said) + "."


def run(settings: Settings) -> int:
    public = compose.compose(["bank=public", "method=[parameters]"])["bank"]
    known = transfers.known(settings.known, public)
    losses = pd.concat([known_transfers.finished(name, known, settings)[0] for name in sorted(set(known["table"]))])
    table = known.merge(losses, on=KEYS, validate="1:1").reset_index(drop=True)
    if (unknown := table["seconds"].isna()).any():
        named = some([f"{row.model} on {row.target}" for row in table[unknown].itertuples()])
        raise ConfigError(f"a fine-tuning must have its seconds in its record. Got none of {named}. Release it again.")
    table["list"] = known_transfers.listed(table, "target")
    found = simulated(table)
    usual = table.groupby("table")["seconds"].median()
    text = TEXT.format(
        cells=table.groupby(CELL).ngroups,
        most=MOST,
        seconds="median by table: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in usual.items()),
        tables="\n".join(layout.markdown(grid(minutes, part)) for minutes, part in found.groupby("minutes")),
        decision=decision(found),
        commit=provenance.commit() or "unknown",
    )
    save(found.round(4), settings.out.with_suffix(".csv"))
    put(settings.out.with_suffix(".md"), text)
    print(text)
    return 0


def main(argv: list[str] | None = None) -> int:
    return cli.settings(run, Settings, __doc__ or "", argv)


if __name__ == "__main__":
    raise SystemExit(main())
