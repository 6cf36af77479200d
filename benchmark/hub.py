"""Adapters for the layout and the library of the Hugging Face hub: Parquet shards in a folder, a data set by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmark.datasets import read
from benchmark.packs import (
    SHOWN,
    TEST,
    TEST_NAMES,
    TRAIN,
    Examples,
    Lazy,
    UnreadableImageError,
    adapter,
    decode,
    encode,
    name_classes,
    read_class_names,
)


def shard_files(path: str, **_: Any) -> list[Path]:
    """The Parquet files of a folder, or of its `data` folder, named <split>-*.parquet."""
    root = Path(path).expanduser()
    for folder in (root, root / "data"):
        found = sorted(folder.glob("*.parquet"))
        splits = {file.name.partition("-")[0] for file in found}
        test = next((name for name in TEST_NAMES if name in splits), None)
        if "train" in splits and test:
            return [file for file in found if file.name.partition("-")[0] in ("train", test)]
    raise FileNotFoundError(
        f"{root} must hold train-*.parquet and test-*.parquet (or validation-*), also under data/. "
        f"Got {[p.name for p in sorted(root.glob('*'))][:SHOWN]}. Put the shards of a data set there."
    )


class Shards:
    """Cells of one column of several Parquet files, of which one row group at a time is in memory."""

    def __init__(self, files: Sequence[Path], column: str):
        import pyarrow.parquet

        self.column, self.held = column, (-1, None)
        about = [(file, pyarrow.parquet.read_metadata(file)) for file in files]
        self.parts = [(file, group) for file, facts in about for group in range(facts.num_row_groups)]
        self.ends = np.cumsum([facts.row_group(g).num_rows for _, facts in about for g in range(facts.num_row_groups)])

    def __getitem__(self, row: int) -> Any:
        import pyarrow.parquet

        part = int(np.searchsorted(self.ends, row, side="right"))
        if self.held[0] != part:
            file, group = self.parts[part]
            table = pyarrow.parquet.ParquetFile(file, memory_map=True).read_row_group(group, columns=[self.column])
            self.held = (part, table[self.column])
        start = int(self.ends[part - 1]) if part else 0
        return self.held[1][row - start].as_py()


def from_cell(value: Any, where: str) -> Image.Image:
    """The image in a cell: bytes, or a struct with `bytes`."""
    data = value.get("bytes") if isinstance(value, dict) else value
    if not data:
        raise UnreadableImageError(f"{where} (no bytes)")
    return decode(data, where)


@adapter(version=1, inputs=shard_files)
def shards(path: str, image: str = "image", label: str = "label", flip: bool = True, upright: bool = True) -> Examples:
    """A folder of Parquet shards in the layout of the Hugging Face hub: train-*.parquet with test-*.parquet.

    path   the folder, or the one above its `data`
    image  the column with the images (struct<bytes, path> or binary)
    label  the column with class ids, text, or lists of them (multi-label)
    flip, upright  see benchmark.packs.Examples
    """
    import pyarrow.parquet

    root = Path(path).expanduser()
    files = sorted(shard_files(path), key=lambda file: not file.name.startswith("train-"))
    columns = pyarrow.parquet.read_schema(files[0]).names
    if missing := [name for name in (image, label) if name not in columns]:
        raise ValueError(f"{files[0]} must have the columns {image} and {label}. Got {columns}. Set {missing[0]}.")
    tables = [pyarrow.parquet.read_table(file, columns=[label]) for file in files]
    split = np.repeat([TRAIN if f.name.startswith("train-") else TEST for f in files], [t.num_rows for t in tables])
    raw = [value for table in tables for value in table[label].to_pylist()]
    names = read_class_names(tables[0].schema.metadata or {}, label)
    names, labels, multilabel = labelled(raw, names, f"{root.name}, column {label}")
    cells = Shards(files, image)
    return Examples(
        images=Lazy(range(len(raw)), lambda row: from_cell(cells[row], f"row {row}")),
        labels=labels,
        split=split,
        class_names=names,
        multilabel=multilabel,
        licence="see the data set's card",
        origin=f"Parquet shards {root.name}",
        flip=flip,
        upright=upright,
    )


def labelled(raw: list[Any], names: list[str] | None, where: str) -> tuple[list[str], np.ndarray, bool]:
    """Class names, class ids or multi-hot rows, and whether they are multi-label. ValueError for rows without one."""
    multilabel = bool(raw) and isinstance(raw[0], list)
    bad = [i for i, value in enumerate(raw) if value is None or value == -1]
    if bad:
        raise ValueError(f"{where}: every row must have a label. Got none in rows {bad[:SHOWN]}. Remove those rows.")
    if names is None:
        names = name_classes({k for value in raw for k in (value if multilabel else [value])})
    return names, encode(raw, np.arange(len(raw)), names, multilabel, where), multilabel


@adapter(version=1)
def huggingface(
    dataset: str,
    revision: str,
    config: str | None = None,
    image: str = "image",
    label: str = "label",
    train: str = "train",
    test: str = "test",
    flip: bool = True,
    upright: bool = True,
) -> Examples:
    """A data set of the Hugging Face hub by name (needs the package `datasets`).

    dataset      as on the hub, <owner>/<name>, or a local folder that `datasets` can read
    revision     a commit or tag: with the name, this is what identifies the data in keys ("main" may move)
    config       the data set's configuration, where it has several
    image, label names of the columns; a list of labels is multi-label
    train, test  names of the splits
    flip, upright  see benchmark.packs.Examples
    """
    try:
        import datasets
    except ImportError:
        raise ModuleNotFoundError("package datasets must be installed. Got none. Run pip install datasets.") from None
    parts = [datasets.load_dataset(dataset, config, revision=revision, split=part) for part in (train, test)]
    for part in parts:
        missing = [column for column in (image, label) if column not in part.column_names]
        if missing:
            raise ValueError(
                f"{dataset} must have the columns {image} and {label}. Got {part.column_names}. Set image and label."
            )
    feature = parts[0].features[label]
    feature = getattr(feature, "feature", feature)  # of a list of labels
    names = getattr(feature, "names", None)
    raw = [value for part in parts for value in part[label]]
    names, labels, multilabel = labelled(raw, None if names is None else list(names), dataset)
    undecoded = [part.cast_column(image, datasets.Image(decode=False)) for part in parts]
    items = [(part, i) for part in undecoded for i in range(len(part))]

    def cell(item: tuple[Any, int]) -> Image.Image:
        part, i = item
        value = part[i][image]
        if not value.get("bytes") and value.get("path"):  # the library keeps images of a local folder as paths
            return read(Path(value["path"]))
        return from_cell(value, f"{part.split} row {i}")

    return Examples(
        images=Lazy(items, cell),
        labels=labels,
        split=np.repeat([TRAIN, TEST], [len(part) for part in parts]),
        class_names=names,
        multilabel=multilabel,
        licence=parts[0].info.license or "see the data set's card",
        origin=f"huggingface.co/datasets/{dataset}@{revision}",
        flip=flip,
        upright=upright,
    )
