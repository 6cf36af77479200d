"""Which model should be fine-tuned on my images: `python -m benchmark.rank data=path/to/images`.

Reads the images once, says what is wrong with them, probes every candidate of a bank, and turns the scores into
predicted accuracies with intervals (benchmark.ranking.recommend). Packs, probes and scores are cells of the ordinary
store, so the same images are answered from it the next time. Nothing leaves the machine.

    from benchmark.rank import rank
    table = rank("path/to/images")      # a pandas DataFrame, best first

These lines do as a script, without `if __name__ == "__main__"`, in a notebook and at the prompt: the worker processes
do not run the script again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import called, files
from benchmark.config import cli
from benchmark.config.validation import validate
from benchmark.errors import ConfigError
from benchmark.ranking.answer import Answer, answered
from benchmark.ranking.request import BANK, Settings
from benchmark.wording import duration, seconds_of

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.config.model import ModelSpec
    from benchmark.ranking.trained import Trained
    from benchmark.search.export import Exported, Kind
    from benchmark.search.result import Result

USAGE = """python -m benchmark.rank data=<path> [key=value …]

Which pretrained model should be fine-tuned on your images? A table on the terminal; ranking.json and ranking.html in
`out`. The path is a folder (<class>/*, or train/ and test/ of them), a .parquet file, a folder that the package
datasets saved, or a .csv of image,label (several labels as a|b). What is not listed here goes to the configuration:

  bank=practical                  the candidates (the default); paths.cache=<folder>, executor.workers=2 …
  licence=permissive parameters=25M speed=200
  budget=30m                      go on to fine-tune the best within half an hour
  budget=30m export=onnx          and write it for other programs
"""


def rank(data: str | Path, bank: str = BANK, overrides: Iterable[str] = (), **settings: Any) -> pd.DataFrame:
    """The candidates of a bank for the user's images, best first, as a DataFrame (see `Answer.table`).

    data       a folder, a Parquet file, a saved data set or a CSV, see benchmark.data.user.listing.listing
    bank       a bank of conf/bank
    overrides  of the configuration, as on the command line: "paths.cache=cache", "executor.workers=1"
    settings   fields of `Settings`; with `out`, ranking.json, to_check.csv and ranking.html are written there
    Raises ConfigError, with what to do, for data that cannot be ranked on and where no candidate is left.

    >>> from benchmark import rank
    >>> table = rank("path/to/images", bank="demo")
    >>> list(table.columns[:5])
    ['rank', 'model', 'predicted_accuracy', 'low', 'high']
    """

    asked = validate(Settings, {"data": data, **settings})
    if "out" in settings:
        files.writable(asked.out, folder=True)
    answer = answered(asked, [f"bank={bank}", *overrides])
    if "out" in settings:
        write(answer, asked)
    return answer.table


def write(answer: Answer, asked: Settings) -> None:
    """ranking.json and to_check.csv, and ranking.html where it is asked for; with the trained model if there is one."""
    from benchmark.ranking import model_card, terminal, to_check
    from benchmark.ranking import page as ranking_page

    asked.out.mkdir(parents=True, exist_ok=True)
    with files.together():
        terminal.write_json(answer, asked.out / "ranking.json", asked.model_dump(mode="json"))
        to_check.write_csv(answer.to_check, asked.out / "to_check.csv")
        if asked.html:
            ranking_page.write(answer, asked.out / "ranking.html")
        if answer.trained:
            model_card.write(answer, answer.trained, asked.out / "model_card.md")


def main(argv: list[str] | None = None) -> int:
    return cli.mixed(run, Settings, USAGE, argv)


def run(asked: Settings, overrides: list[str]) -> int:
    """Answer, print, write; then fine-tune where there is a budget. Returns the exit code."""
    from benchmark.ranking import terminal
    from benchmark.search import export

    start = time.monotonic()
    budget = None if asked.budget is None else seconds_of(asked.budget)
    exports = export.kinds(asked.export)
    if exports and budget is None:
        raise ConfigError("export must come with a budget. Got none. Give one, for instance budget=30m.")
    files.writable(asked.out, folder=True)
    answer = answered(asked, overrides)
    write(answer, asked)
    terminal.show(answer)
    page = f", {asked.out / 'ranking.html'}" if asked.html else ""
    print(f"{duration(time.monotonic() - start)}; {asked.out / 'ranking.json'}, {asked.out / 'to_check.csv'}{page}")
    if budget is not None:
        from benchmark.ranking import emissions
        from benchmark.search import search

        given = answer.table, answer.experiment, answer.store, answer.data
        with emissions.measured(asked.country) as spent:
            result = search.search(*given, budget, asked.out, asked.try_others, asked.calibrate)
        answer.trained = trained_by(result, answer.experiment.bank[result.model], spent.sentence)
        write(answer, asked)
        print(outcome(result))
        for other in exported(answer, result, exports):
            print(f"{INDENT}{other.sentence}")
    return 0


called(__name__, "benchmark.rank.rank")

INDENT = "  "


def trained_by(result: Result, spec: ModelSpec, energy: str = "") -> Trained:
    """What a search ended with, and the energy that it took, for the page and the file of the ranking."""
    from benchmark.models import licences
    from benchmark.ranking import trained
    from benchmark.search import checkpoint

    trust = spec.arch if spec.own_network else None
    about = checkpoint.read(result.checkpoint, trust)
    tested, single = int(about.test["images"]), not about.multilabel
    low, high = trained.interval(result.test_accuracy, tested) if single else (None, None)
    return trained.Trained(
        model=result.model,
        measure="accuracy" if single else "mean average precision",
        test_accuracy=result.test_accuracy,
        low=low,
        high=high,
        tested=tested,
        seconds=result.seconds,
        checkpoint=str(result.checkpoint),
        confusion_matrix=str(result.confusion_matrix),
        confusion_picture=str(result.confusion_picture),
        reliability_picture=str(result.reliability_picture),
        log=str(result.log),
        calibration=result.calibration,
        mistakes=trained.mistakes(result.confusion_matrix),
        use=trained.use(result.checkpoint, trust),
        code=checkpoint.code(about.spec, len(about.class_names), result.checkpoint.name),
        commercial_use=licences.in_words(about.spec.licence),
        notes=result.notes,
        energy=energy,
        head_only=result.head_only,
        tried=[f"{one['what']}: {tried(one)}" for one in result.tried],
    )


def exported(answer: Answer, result: Result, wanted: Sequence[Kind]) -> list[Exported]:
    """The trained model in other forms, checked on test images."""
    if not wanted:
        return []
    from benchmark.data import packs
    from benchmark.search import export
    from benchmark.training.ground_truth import splits

    spec, pack = answer.experiment.bank[result.model], packs.load(answer.store.folder("pack", answer.pack))
    few = pack.indices("test")[: export.CHECKED]
    pixels = splits(spec, pack, few, few)[1].pixels.numpy()
    return export.of_checkpoint(result.checkpoint, wanted, pixels, spec.arch if spec.own_network else None)


def tried(one: Mapping[str, Any]) -> str:
    """What a candidate of a search showed, a row of `Result.tried`."""
    if one.get("accuracy") is None:
        return str(one["status"]) if one["status"] != "done" else "not judged"
    when = {"final": "trained to the end, ", None: ""}.get(one.get("round"), f"round {one.get('round')}, ")
    return f"{when}{one['accuracy']:.1f} % on {one['images']} images left out"


def outcome(result: Result) -> str:
    """What fine-tuning within the budget ended with."""
    measure = result.measure.replace("_", " ")
    how = "head only" if result.head_only else "fine-tuned"
    said = [f"tried: {one['what']}: {tried(one)}" for one in result.tried]
    said += [f"{how}: {result.model}, {measure} {result.test_accuracy:.1f} % on the test images"]
    if found := result.calibration:
        errors = f"{found['error_before']:.1f} % as trained, {found['error_after']:.1f} % calibrated"
        said += [f"expected calibration error: {errors} (temperature {found['temperature']:.2f})"]
    said += [f"{INDENT}{path}" for path in (result.checkpoint, result.confusion_matrix, result.log)]
    return "\n".join([*said, *(f"note: {n}" for n in result.notes)])


if __name__ == "__main__":
    raise SystemExit(main())
