"""Which model should be fine-tuned on my images: `python -m benchmark.rank data=path/to/images`.

Reads the images once, says what is wrong with them, probes every candidate of a bank, and turns the scores into
predicted accuracies with intervals (benchmark.recommend). Packs, probes and scores are cells of the ordinary store, so
the same images are answered from it the next time. Nothing leaves the machine.

    from benchmark.rank import rank
    table = rank("path/to/images", bank="diverse")      # a pandas DataFrame, best first

These lines do as a script, without `if __name__ == "__main__"`, in a notebook and at the prompt: the worker processes
do not run the script again.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from benchmark import candidates, cli, files, userdata
from benchmark.candidates import Limits
from benchmark.config import ConfigError, DataSpec, Experiment, Spec, experiment
from benchmark.executor import Outcome, Progress
from benchmark.executor import run as execute
from benchmark.findings import ALIKE, Finding
from benchmark.packs import SHOWN, some
from benchmark.plan import Cell, Plan, Transfer, plan
from benchmark.progress import Display, duration
from benchmark.store import Damaged, Store

if TYPE_CHECKING:
    import pandas as pd

SHOWN_SIZE = 128
"""Short side in pixels that images are kept at, or what the bank's largest model looks at: enough to show them."""
OWN = ("method", "target", "experiment", "logger", "truth", "dry_run")
"""Parts of the configuration that a ranking decides, or has no use for."""
UNITS = {"s": 1, "m": 60, "h": 3600}

USAGE = """python -m benchmark.rank data=<path> [key=value …]

Which pretrained model should be fine-tuned on your images? A table on the terminal; ranking.json and ranking.html in
`out`. The path is a folder (<class>/*, or train/ and test/ of them), a .parquet file, a folder that the package
datasets saved, or a .csv of image,label (several labels as a|b). What is not listed here goes to the configuration:

  bank=diverse                    the candidates (offline); paths.cache=<folder>, executor.workers=2, probe.draws=2 …
  licence=permissive parameters=25M speed=200
  budget=30m                      go on to fine-tune the best within half an hour
"""


class Settings(Spec):
    """What is asked."""

    data: Path = Field(description="the images, see above")
    out: Path = Field(Path("outputs/rank"), description="the folder for ranking.json and ranking.html")
    image: str | None = Field(None, description="the column of a table that holds images, where it is called otherwise")
    label: str | None = Field(None, description="the column that holds labels, where it is called otherwise")
    most: Annotated[int, Field(ge=4)] | None = Field(10_000, description="images that are read at most; null for all")
    test_share: Annotated[float, Field(gt=0, lt=1)] = Field(0.3, description="of every class, where there is no split")
    alike: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        ALIKE, description="thumbnails differing by less, as a share of their contrast, are near-duplicates; null: none"
    )
    flip: bool | None = Field(None, description="whether a mirrored image keeps its label; for fine-tuning")
    licence: str | list[str] | None = Field(None, description="permissive, or the licences that will do as a list")
    parameters: str | float | None = Field(None, description="at most so many, for instance 25M")
    input_size: int | None = Field(None, description="at most so many pixels a side")
    speed: float | None = Field(None, description="at least so many images a second, one thread of this machine")
    memory: float | None = Field(None, description="at most so many MB to fine-tune with 32 images a step, estimated")
    budget: str | float | None = Field(None, description="time to fine-tune, for instance 30m: ranking goes on to that")
    look: bool = Field(True, description="with a budget: false gives all of it to the first, without trying others")
    html: bool = Field(True, description="whether to write the page")


@dataclass
class Answer:
    """Everything a ranking found out.

    table        a row a candidate, best first: rank, model, predicted_accuracy, low, high (percent, 80 %),
                 expected_regret (points), best (probability), images_per_second, parameters, licence, why …
    findings     about the data; `left_out` {model: why} of the bank's others; `notes` about the ranking's blind spots
    probes       {model: key of its probe cell}
    """

    experiment: Experiment
    store: Store
    data: DataSpec
    pack: str
    table: pd.DataFrame
    findings: list[Finding]
    left_out: dict[str, str]
    notes: list[str]
    stakes: list[str]
    transfers: Mapping[str, Transfer]
    weights: Mapping[str, str | None]  # {model: key of the weights that the harness trained}
    about: dict[str, Any] = field(default_factory=dict)


def rank(data: str | Path, bank: str = "diverse", overrides: Iterable[str] = (), **settings: Any) -> pd.DataFrame:
    """The candidates of a bank for the user's images, best first, as a DataFrame (see `Answer.table`).

    data       a folder, a Parquet file, a saved data set or a CSV, see benchmark.listings.listing
    bank       a bank of conf/bank
    overrides  of the configuration, as on the command line: "paths.cache=cache", "executor.workers=1"
    settings   fields of `Settings`; with `out`, ranking.json and ranking.html are written there
    Raises ConfigError, with what to do, for data that cannot be ranked on and where no candidate is left.
    """
    from benchmark.config import validate

    asked = validate(Settings, {"data": data, **settings})
    if "out" in settings:
        files.writable(asked.out, folder=True)
    answer = answered(asked, [f"bank={bank}", *overrides])
    if "out" in settings:
        write(answer, asked)
    return answer.table


def answered(asked: Settings, overrides: Sequence[str]) -> Answer:
    """Read, probe, score and predict."""
    spec, data = configured(asked, overrides)  # first: its complaints come before a large folder is read
    found = userdata.listing(asked.data, asked.image, asked.label).taken(asked.most)
    say = _Say()
    say(f"{len(found)} images of {len(found.class_names)} classes in {asked.data}: {some(found.class_names)}")
    for remark in found.remarks:
        say(remark)
    store = Store(spec.paths.cache, spec.paths.released)
    limits = Limits(asked.licence, asked.parameters, asked.input_size, asked.speed, asked.memory)
    kept, left_out = candidates.within(spec, limits, store)
    chosen = spec.model_copy(update={"bank": kept})
    if fetched := candidates.to_fetch(chosen):
        say(
            f"asking for the weights of {len(fetched)} candidates that are not here yet, {', '.join(fetched[:SHOWN])} …"
        )
    made = plan(chosen, with_truth=False)
    left_out |= made.unavailable
    say.left_out(left_out, spec)
    if made.transfers:
        say(f"{len(made.transfers)} candidates of {len(spec.bank)}")
    if not made.transfers:
        raise ConfigError(_none_left(spec, left_out))
    check_space(made, store, spec, len(found))
    findings = [Finding("remark", remark, "") for remark in found.remarks]
    findings += compute(made, store, spec, data, say, left_out)
    made.transfers = [t for t in made.transfers if t.model.name not in left_out]
    table = tabulated(made, store, left_out, limits)
    if table.empty:
        raise ConfigError(_none_left(spec, left_out))
    (pack,) = {c.key for c in made.cells.values() if c.stage == "pack" and c.work["data"] == data}
    transfers = {t.model.name: t for t in made.transfers}
    weights = {name: made.cells[t.probe].work["weights"] for name, t in transfers.items()}
    table, stakes = predicted(table)
    answer = Answer(spec, store, data, pack, table, findings, left_out, [], stakes, transfers, weights)
    answer.about = candidates.about(store, pack, transfers)
    answer.notes = candidates.blind_spots(answer.table, transfers, store, pack, answer.about)
    return answer


def configured(asked: Settings, overrides: Sequence[str]) -> tuple[Experiment, DataSpec]:
    """The experiment of a ranking: the bank on the user's images, with the methods that the recommender knows."""
    from benchmark import recommend

    for override in overrides:
        if (key := re.split(r"[.=@]", override.lstrip("+~"))[0]) in OWN:
            raise ConfigError(f"{key} must be left out of a ranking, which sets it itself. Got '{override}'.")
    methods = ",".join((*recommend.METHODS, *recommend.FACTS))
    composed = cli.compose([f"method=[{methods}]", *overrides])
    sources = dict(composed.get("target") or {}) | dict(composed.get("source") or {})  # what models were trained on
    name = re.sub(r"\W+", "_", asked.data.expanduser().resolve().stem).strip("_") or "images"
    name += "_" * (name in sources)
    sizes = [(entry.get("input_size") or 32) / (entry.get("crop_pct") or 1.0) for entry in composed["bank"].values()]
    given = {"image": asked.image, "label": asked.label, "flip": asked.flip}
    own = {"path": str(asked.data), "most": asked.most, "test_share": asked.test_share, "alike": asked.alike}
    own |= {k: v for k, v in given.items() if v is not None}
    entry = {
        "_target_": "benchmark.userdata.images",
        "task": f"the user's {name}",
        "size": max(SHOWN_SIZE, *map(round, sizes)),
    }
    spec = experiment(composed | {"source": sources, "target": {name: entry | own}})
    return spec, spec.target[name]


# --- computing ---------------------------------------------------------------------------------------------------


def compute(
    made: Plan, store: Store, spec: Experiment, data: DataSpec, say: _Say, left_out: dict[str, str]
) -> list[Finding]:
    """Compute what is missing: the user's pack first, so that what is wrong is said before anything runs.

    Models whose cells fail join `left_out`. Returns the findings about the data.
    """
    failed: dict[str, str] = {}
    also = {t.probe for t in made.transfers}
    pack = next(c for c in made.cells.values() if c.stage == "pack" and c.work["data"] == data)
    also.add(pack.key)
    while True:
        missing = [c for c in made.missing(store, also) if c.key not in failed]
        ours, rest = [c for c in missing if c is pack], [c for c in missing if c is not pack]
        with Display(len(missing)) as display:
            if ours:
                here = spec.executor.model_copy(update={"name": "local", "workers": 0, "device": "cpu"})
                display.expect(f"reading the images of {data.name}")
                if reason := execute(ours, made.cells, store, here, display).get(pack.key):
                    raise ConfigError(reason)
            found = [Finding(**note) for note in store.read("pack", pack.key).values.get("notes", [])]
            for one in found:
                say(one.sentence, display)
            failed |= execute(rest, made.cells, store, spec.executor, _Shifted(display, len(ours)))
        if not (damaged := list(_damaged(made, store))):
            break
        for error in damaged:
            say(f"damaged: {made.cells[error.key].label}: {error}")
    for transfer in made.transfers:
        for key in (transfer.probe, *transfer.scores.values()):
            if key in failed:
                left_out.setdefault(transfer.model.name, failed[key])
    return found


class _Shifted:
    """A display that counts on from what was done before."""

    def __init__(self, display: Display, before: int):
        self.display, self.before = display, before

    def __call__(self, cell: Cell, outcome: Outcome, progress: Progress) -> None:
        moved = replace(progress, done=progress.done + self.before, total=progress.total + self.before)
        self.display(cell, outcome, moved)


def _damaged(made: Plan, store: Store) -> Iterable[Damaged]:
    for stage, key in {(s, k) for t in made.transfers for s, k in (("probe", t.probe), *scored(t))}:
        try:
            if store.has(stage, key):
                store.read(stage, key)
        except Damaged as error:
            yield error


def scored(transfer: Transfer) -> list[tuple[str, str]]:
    return [("score", key) for key in transfer.scores.values()]


def check_space(made: Plan, store: Store, spec: Experiment, images: int) -> None:
    """ConfigError where the disk of the cache cannot hold what is to be computed."""
    missing = made.missing(store)
    pixels = sum(1.4 * 3 * c.work["data"].size ** 2 * images for c in missing if c.stage == "pack")
    probed = min(images, spec.probe.size * spec.probe.draws)
    need = (pixels + sum(c.stage == "probe" for c in missing) * probed * 4 * 2000 + 5e7) / 1e6  # 2000: d + z, roughly
    place = next(p for p in (store.cache.absolute(), *store.cache.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free / 1e6
    if missing and free < need:
        raise ConfigError(
            f"paths.cache must have about {need:.0f} MB free. Got {free:.0f} MB at {place}. "
            "Free some, set paths.cache=<folder>, or read fewer images with most=<n>."
        )


def _none_left(spec: Experiment, left_out: Mapping[str, str]) -> str:
    groups = sorted(candidates.alike(left_out, spec.bank), key=lambda g: -len(g[0]))
    said = "; ".join(f"{len(models)}: {why.rstrip('.')}" for models, why in groups[:5])
    return f"a candidate must be left. Got none of {len(spec.bank)} ({said}). Loosen a filter, or take another bank."


class _Say:
    """Lines for the person, beside the progress."""

    def __call__(self, line: str, display: Display | None = None) -> None:
        if display is not None:
            display.say(line)
        else:
            print(line, file=sys.stderr, flush=True)

    def left_out(self, left_out: Mapping[str, str], spec: Experiment) -> None:
        for models, why in candidates.alike(left_out, spec.bank):
            named = ", ".join(models[:SHOWN]) + (f" and {len(models) - SHOWN} more" if len(models) > SHOWN else "")
            self(f"left out: {named}: {why}")


# --- the table ---------------------------------------------------------------------------------------------------


def tabulated(made: Plan, store: Store, left_out: dict[str, str], limits: Limits) -> pd.DataFrame:
    """What the recommender learns from, and the facts that a person chooses by: a row a candidate."""
    import pandas as pd

    from benchmark.tables import gather, without_vacuous

    tables = gather(made, store, {})
    scores = without_vacuous(tables.scores, tables.status).drop(columns=["Run", "Images"], errors="ignore")
    facts = ["Model", "Architecture", "Source Dataset", "Target Dataset", "Layers", "Parameters"]
    methods = [c for c in scores if c not in facts]
    mean = scores.groupby("Model")[methods].mean()
    probes = {t.model.name: store.read("probe", t.probe) for t in made.transfers}
    speeds = candidates.speeds(made.transfers, probes)
    rows = []
    for transfer in made.transfers:
        model, probe, speed = transfer.model, probes[transfer.model.name], speeds[transfer.model.name]
        if limits.speed is not None and speed < limits.speed:
            left_out[model.name] = f"{speed:.0f} images/s are measured, {limits.speed:g} asked for"
            continue
        rows.append(
            {
                "model": model.name,
                "architecture": model.arch_name,
                "source": model.source_name,
                **{name: mean.at[model.name, name] for name in methods},
                "parameters": int(probe.values["parameters"]),
                "images_per_second": speed,
                "input_size": model.input_size,
                "feature_dim": int(probe.values["feature_dim"]),
                "licence": model.licence,
                "weights": model.weights,
            }
        )
    return pd.DataFrame(rows)


def predicted(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table best first with the recommender's columns, and in words what is at stake and what it rests on."""
    from benchmark import recommend

    recommender = recommend.fit(recommend.known())
    found = recommender.predict(table)
    whole = found.merge(table, on="model", validate="one_to_one")
    whole.insert(0, "rank", range(1, len(whole) + 1))
    said = [str(recommender.stakes(table)), recommender.case]
    if whole["expected_regret"].max() < 1:
        said.insert(1, "All candidates are expected within a point of the best: take the fastest.")
    return whole, said


# --- the command -------------------------------------------------------------------------------------------------


def write(answer: Answer, asked: Settings) -> None:
    """ranking.json, and ranking.html where it is asked for."""
    from benchmark import rank_page, rank_show

    asked.out.mkdir(parents=True, exist_ok=True)
    with files.together():
        rank_show.write_json(answer, asked.out / "ranking.json", asked.model_dump(mode="json"))
        if asked.html:
            rank_page.write(answer, asked.out / "ranking.html")


def seconds_of(budget: str | float) -> float:
    """`30m`, `1h30m`, `90s` or a number of seconds."""
    text = str(budget).strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        parts = [(text, "s")]
    if not parts or "".join(n + u for n, u in parts) not in (text, text + "s") or not any(float(n) for n, _ in parts):
        raise ConfigError(f"budget must be a time, for instance 30m, 1h30m or 900s. Got '{budget}'.")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def main(argv: list[str] | None = None) -> int:
    return cli.mixed(run, Settings, USAGE, argv)


def run(asked: Settings, overrides: list[str]) -> int:
    """Answer, print, write; then fine-tune where there is a budget. Returns the exit code."""
    from benchmark import rank_show

    start = time.monotonic()
    budget = None if asked.budget is None else seconds_of(asked.budget)
    files.writable(asked.out, folder=True)
    answer = answered(asked, overrides)
    write(answer, asked)
    rank_show.show(answer)
    page = f", {asked.out / 'ranking.html'}" if asked.html else ""
    print(f"{duration(time.monotonic() - start)}; {asked.out / 'ranking.json'}{page}")
    if budget is not None:
        from benchmark import halving

        given = answer.table, answer.experiment, answer.store, answer.data
        result = halving.search(*given, budget, asked.out, asked.look)
        print(rank_show.outcome(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
