"""Fine-tuning speed as the released ground truth's records have it, in Markdown: `python scripts/bench/speed.py`."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pandas as pd

from benchmark.cells.planner import plan
from benchmark.config.compose import compose
from benchmark.config.validation import experiment

RELEASED = Path(__file__).resolve().parents[2] / "results" / "released"


def main() -> int:
    names: dict[str, tuple[str, int]] = {}
    for transfer in plan(experiment(compose(["experiment=diverse"]))).transfers:
        names |= dict.fromkeys(transfer.truth, (transfer.model.arch.rpartition(".")[2], transfer.model.input_size))
    rows = []
    with zipfile.ZipFile(RELEASED / "truth.zip") as archive:
        for key, (arch, size) in names.items():
            record = json.loads(archive.read(f"{key}/record.json"))
            rows.append(
                {"device": record["device"], "architecture": arch, "pixels": size}
                | {
                    "images/s": record["images_per_second"],
                    "seconds": record["seconds"],
                    "torch": record["versions"]["torch"],
                }
            )
    by = pd.DataFrame(rows).groupby(["device", "torch", "architecture", "pixels"])
    table = by.agg(
        cells=("seconds", "size"), median_images_per_second=("images/s", "median"), median_seconds=("seconds", "median")
    )
    print(table.reset_index().round(1).to_markdown(index=False))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
