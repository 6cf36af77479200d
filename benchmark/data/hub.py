"""An adapter for a data set of the Hugging Face hub by its name, through the package `datasets`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmark.data.datasets.reading import read
from benchmark.data.examples import TEST, TRAIN, Examples, Lazy, adapter
from benchmark.data.labels import labelled
from benchmark.data.parquet import from_cell


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
    flip, upright  see benchmark.data.examples.Examples
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
