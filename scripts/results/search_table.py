"""What a search within a budget is worth: beside it, the static list's first is fine-tuned for the whole budget.

    python scripts/results/search_table.py budget=3m [table=rank bank=diverse] [target=[monkeys10,pets3]] [data=data]

Each target is the user's images: the ranking that `benchmark.search.search` is given was learned without it, and so was
the static list. Both searches and their logs stay in `work`, and a killed comparison goes on from there. Writes
<out>.csv, a row a target, and <out>.md.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmark import provenance  # noqa: E402
from benchmark.cells.store import Store  # noqa: E402
from benchmark.config import cli, compose  # noqa: E402
from benchmark.config.experiment import Experiment  # noqa: E402
from benchmark.config.spec import Spec  # noqa: E402
from benchmark.config.validation import experiment  # noqa: E402
from benchmark.errors import ConfigError  # noqa: E402
from benchmark.execution.local import resolve_devices  # noqa: E402
from benchmark.files import put  # noqa: E402
from benchmark.ranking import recommend, transfers  # noqa: E402
from benchmark.reporting import layout  # noqa: E402
from benchmark.search import search  # noqa: E402
from benchmark.search.result import Result  # noqa: E402
from benchmark.stats import resampling  # noqa: E402
from benchmark.tables.columns import save  # noqa: E402
from benchmark.wording import seconds_of  # noqa: E402

TEXT = """# A search within a budget, and the static list's first with all of it

`budget=` of `python -m benchmark.rank` tries the best ranked models and trains the winner for half of the time at
least. Beside it, the model that the static list puts first (mean standardised accuracy on the other targets) is
trained for the whole budget, {budget}, at the recipe's first rate. Ranking and list were learned without the target.
One run of each; ± is one standard error over the same test images, so that of two good models a few points either way
are chance.

{table}
Mean difference over {targets} targets: **{mean:+.1f} points**, 95 % interval over resampled targets {interval}. On
{same} the search ended with the list's own first, there {among:+.1f} points; on the others {others}.
The deadline: the longest took {longest:.1f} % of its budget.

`{command}` on {hardware}, commit {commit}.
"""


class Settings(Spec):
    budget: str = Field("3m", description="time for each of the two on every target, for instance 3m")
    table: str = Field("rank", description=f"the ground truth whose targets are taken: {', '.join(transfers.TABLES)}")
    target: str | list[str] | None = Field(None, description="some of them; null for all")
    bank: str = Field("diverse", description="the bank of that ground truth")
    known: Path = Field(ROOT / "results", description="folder with the ground truth's folders")
    data: Path = Field(Path("data"), description="folder of real data sets")
    cache: Path = Field(Path(".cache"), description="the store")
    work: Path = Field(Path("outputs/search"), description="folder of the searches")
    out: Path = Field(ROOT / "results/search", description="files to write, without their ending")


def composed(settings: Settings, target: str) -> Experiment:
    paths = f"paths.data={settings.data}", f"paths.cache={settings.cache}"
    return experiment(compose.compose([f"bank={settings.bank}", f"target={target}", *paths]))


def right(work: Path) -> np.ndarray | None:
    """Which test images a finished search has right; None for several labels an image."""
    from safetensors.numpy import load_file

    (file,) = work.glob("search/*/outputs.safetensors")
    arrays = load_file(file)
    return arrays["outputs"].argmax(1) == arrays["labels"] if arrays["labels"].ndim == 1 else None


def compared(settings: Settings, target: str, ranking: pd.DataFrame, first: str) -> dict[str, object]:
    """The row of a target."""
    spec, seconds = composed(settings, target), seconds_of(settings.budget)
    store, data = Store(spec.paths.cache, spec.paths.released), spec.target[target]
    results: dict[str, Result] = {}
    for name, models in {"search": ranking, "list": pd.DataFrame({"model": [first]})}.items():
        print(f"{target}: {name}", file=sys.stderr, flush=True)
        work = settings.work / target / name
        results[name] = search.search(models, spec, store, data, seconds, work, look=name == "search")
    ours, theirs = results["search"], results["list"]
    marks = [right(settings.work / target / name) for name in results]
    error = None
    if marks[0] is not None:
        difference = marks[0].astype(float) - marks[1]
        error = 100 * float(difference.std(ddof=1)) / np.sqrt(len(difference))
    return {
        "target": target,
        "measure": ours.measure,
        "images": None if marks[0] is None else len(marks[0]),
        "first": first,
        "first_rate": theirs.rate,
        "first_accuracy": theirs.test_accuracy,
        "first_seconds": theirs.seconds,
        "model": ours.model,
        "rate": ours.rate,
        "accuracy": ours.test_accuracy,
        "seconds": ours.seconds,
        "difference": ours.test_accuracy - theirs.test_accuracy,
        "error": error,
    }


def page(settings: Settings, found: pd.DataFrame, hardware: str, commit: str | None) -> str:
    cells = [
        [
            r.target,
            None if pd.isna(r.images) else f"{r.images:.0f}",
            f"{r.first} {r.first_accuracy:.1f}",
            f"{r.model} {'head only' if pd.isna(r.rate) else f'at {r.rate:g}'}: {r.accuracy:.1f}",
            f"{r.difference:+.1f}" + ("" if pd.isna(r.error) else f" ± {r.error:.1f}"),
        ]
        for r in found.itertuples()
    ]
    head = ["target", "test images", "the list's first, all of the time", "the search", "difference"]
    difference, same = found["difference"].to_numpy(), (found["model"] == found["first"]).to_numpy()
    rng = np.random.default_rng(0)
    means = difference[rng.integers(len(difference), size=(resampling.RESAMPLES, len(difference)))].mean(1)
    low, high, _ = resampling.interval(means)
    seconds = seconds_of(settings.budget)
    given = [a for a in sys.argv[1:] if a.partition("=")[0] not in ("cache", "data", "out", "work")]
    return TEXT.format(
        budget=settings.budget,
        table=layout.markdown(layout.Grid("Accuracy on the test part, %", head, [cells])),
        targets=len(found),
        mean=difference.mean(),
        interval=f"{low:+.1f} to {high:+.1f}",
        same=f"{same.sum()} of them",
        among=difference[same].mean() if same.any() else 0.0,
        others=f"{difference[~same].mean():+.1f}" if (~same).any() else "(none)",
        longest=100 * max(found["seconds"].max(), found["first_seconds"].max()) / seconds,
        command=shlex.join(["python", "scripts/results/search_table.py", *given]),
        hardware=hardware,
        commit=commit,
    )


def run(settings: Settings) -> int:
    try:
        known = transfers.known(settings.known)
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from None
    there = sorted(known.loc[known["table"] == settings.table, "target"].unique())
    chosen = [settings.target] if isinstance(settings.target, str) else settings.target or there
    if strange := sorted(set(chosen) - set(there)) or ([] if chosen else [settings.table]):
        raise ConfigError(f"target must be of table {settings.table}: {', '.join(there)}. Got {', '.join(strange)}.")
    rankings = recommend.leave_one_out(known, only=chosen)
    listed = known.assign(score=transfers.static_list(known))
    rows = []
    for target in chosen:
        cell = listed[(listed["table"] == settings.table) & (listed["target"] == target)]
        ranking = rankings[(rankings["table"] == settings.table) & (rankings["target"] == target)]
        first = str(cell.loc[cell["score"].idxmax(), "model"])
        rows.append(compared(settings, target, ranking.reset_index(drop=True), first))
        found = pd.DataFrame(rows)
        save(found.round(4), settings.out.with_suffix(".csv"))
    device, _ = resolve_devices(composed(settings, chosen[0]).executor)
    where = f"{provenance.device_name(device)} ({provenance.hardware()['cores']} cores)"
    put(settings.out.with_suffix(".md"), page(settings, found, where, provenance.commit()))
    print(settings.out.with_suffix(".md").read_text(encoding="utf-8"))
    return 0


def main(argv: list[str] | None = None) -> int:
    return cli.settings(run, Settings, __doc__ or "", argv)


if __name__ == "__main__":
    raise SystemExit(main())
