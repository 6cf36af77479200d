"""Write data sets as Parquet files, one each, that `benchmark.data.parquet.parquet` reads back.

    python scripts/pack.py target=oxford_pets paths.data=DIR [size=96] [quality=90] [out=FILE or FOLDER]

Any `target` of benchmark.run, with its parameters (target=[dtd,cub200] target.dtd.partition=2). Images are scaled down
to a short side of `size` pixels, never up, and kept as JPEG of that `quality`; quality=null keeps every pixel (PNG).
Columns: image struct<bytes, path>, label (or labels, a list: multi-label), split. Schema metadata: class_names,
huggingface (the same for that library), source, and facts (licence, flip, upright, size, quality).
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from pydantic import Field

from benchmark.config import cli
from benchmark.config.experiment import Experiment
from benchmark.config.functions import DataSpec
from benchmark.config.spec import Spec
from benchmark.config.validation import validate
from benchmark.data.examples import SPLITS, Examples, Picture
from benchmark.data.images import UnreadableImageError, scaled
from benchmark.data.packs import check, tolerant
from benchmark.errors import ConfigError
from benchmark.wording import some

ROWS = 500  # in a row group: that many encoded images are in memory


class Settings(Spec):
    """What is this command's own; all else are overrides of the configuration."""

    size: Annotated[int, Field(ge=1)] = 96
    quality: Annotated[int, Field(ge=1, le=100)] | None = 90
    out: str | None = None


def encode(image: Picture, size: int, quality: int | None) -> bytes:
    """The file of an image: scaled down, RGB, without metadata."""
    from PIL import Image

    out, picture = io.BytesIO(), Image.fromarray(scaled(image, size))
    if quality is None:
        picture.save(out, "PNG")
    else:
        picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def schema(examples: Examples, facts: dict[str, Any]) -> Any:
    """The columns, with the class names as this project and as Hugging Face's library want them."""
    import pyarrow as pa

    label = {"names": list(examples.class_names), "_type": "ClassLabel"}
    features = {
        "image": {"_type": "Image"},
        **({"labels": [label]} if examples.multilabel else {"label": label}),
        "split": {"dtype": "string", "_type": "Value"},
    }
    metadata = {
        "class_names": json.dumps(list(examples.class_names)),
        "huggingface": json.dumps({"info": {"features": features}}),
        "source": examples.origin,
        "facts": json.dumps(facts, sort_keys=True),
    }
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    column = ("labels", pa.list_(pa.int64())) if examples.multilabel else ("label", pa.int64())
    return pa.schema([("image", image), column, ("split", pa.string())], metadata)


def write(name: str, examples: Examples, size: int, quality: int | None, out: Path) -> int:
    """Write one Parquet file and return its number of images; nothing is left behind where one is unreadable."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels, split = check(name, examples, size)
    facts = {"licence": examples.licence, "flip": examples.flip, "upright": examples.upright}
    columns = schema(examples, facts | {"size": size, "quality": quality})
    part, unreadable = out.with_name(out.name + ".part"), list[UnreadableImageError]()
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with pq.ParquetWriter(part, columns) as writer:
            for rows in batches(name, examples, labels, split, size, quality, unreadable):
                writer.write_table(pa.Table.from_pylist(rows, columns))
        if unreadable:
            shown = some(unreadable, between="; ")
            raise UnreadableImageError(
                f"{name}: every image must be readable. Got {len(unreadable)} that are not: {shown}. "
                "Repair or remove them."
            )
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return len(labels)


def batches(
    name: str,
    examples: Examples,
    labels: np.ndarray,
    split: np.ndarray,
    size: int,
    quality: int | None,
    unreadable: list[UnreadableImageError],
) -> Iterator[list[dict[str, object]]]:
    """Rows of the table, ROWS at a time."""
    suffix, names = "png" if quality is None else "jpg", {v: k for k, v in SPLITS.items()}
    rows: list[dict[str, object]] = []
    for i, image in enumerate(tolerant(examples.images, unreadable)):
        if unreadable or image is None:
            continue  # its place is lost, and nothing will be written
        where = {"path": f"{name}/{i:06d}.{suffix}"}
        row: dict[str, object] = {"image": {"bytes": encode(image, size, quality), **where}}
        row["split"] = names[int(split[i])]
        if examples.multilabel:
            row["labels"] = labels[i].nonzero()[0].tolist()
        else:
            row["label"] = int(labels[i])
        rows.append(row)
        if len(rows) == ROWS:
            yield rows
            rows = []
    if rows:
        yield rows


def place(out: str | None, data: DataSpec, several: bool) -> Path:
    """Where a data set's file goes: `out`, or <name>.parquet in the folder `out` (default outputs/packs)."""
    if out and out.endswith(".parquet"):
        if several:
            raise ConfigError(f"out must be a folder for several targets. Got '{out}'.")
        return Path(out)
    return Path(out or "outputs/packs") / f"{data.name}.parquet"


def pack(experiments: list[Experiment], settings: Settings) -> int:
    targets = experiments[0].target
    for data in targets.values():
        try:
            examples = data.function(**data.parameters)
            file = place(settings.out, data, len(targets) > 1)
            n = write(data.name, examples, settings.size, settings.quality, file)
        except (OSError, ModuleNotFoundError, ValueError) as error:
            raise ConfigError(f"target.{data.name}: {error}") from None
        print(f"{n} images, {len(examples.class_names)} classes, {file.stat().st_size / 1e6:.1f} MB: {file}")
    return 0


def main(argv: list[str]) -> int:
    given = [a.partition("=")[::2] for a in argv]
    mine = {key: None if value == "null" else value for key, value in given if key in Settings.model_fields}
    rest = [a for a in argv if a.partition("=")[0] not in mine]
    try:
        settings = validate(Settings, mine)
        if not any(a.startswith(("target=", "-h", "--help")) for a in rest):
            raise ConfigError("target must be given. Got nothing. Add target=<name>.")
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return cli.experiments(lambda found: pack(found, settings), __doc__, rest)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
