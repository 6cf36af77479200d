"""What a user may ask of a ranking: the options of `benchmark.rank`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from benchmark.config.reading import SplitSpec
from benchmark.config.spec import Spec
from benchmark.data.user.settle import ALIKE

BANK = "practical"
"""The candidates where none are named."""


def with_bank(overrides: Sequence[str]) -> list[str]:
    """Overrides of the configuration that name a bank: their own, else `BANK`."""
    named = any(re.match(r"\+{0,2}bank=", override) for override in overrides)
    return [*overrides] if named else [f"bank={BANK}", *overrides]


class Settings(Spec):
    """What is asked."""

    earlier_names: ClassVar[Mapping[str, str]] = {
        "most": "max_images",
        "alike": "duplicate_threshold",
        "look": "try_others",
    }
    """Options by their names of before, which are taken for this release."""

    data: Path = Field(description="the images, see above")
    out: Path = Field(Path("outputs/rank"), description="the folder for ranking.json and ranking.html")
    image: str | None = Field(None, description="the column of a table that holds images, where it is called otherwise")
    label: str | None = Field(None, description="the column that holds labels, where it is called otherwise")
    class_level: Annotated[int, Field(ge=1)] | None = Field(
        None, description="how many folders below data the classes are, where that is not seen"
    )
    split: SplitSpec = Field(SplitSpec(), description="train and test: folders, or values of a table's column")
    masks: Literal["leave_out", "keep"] | None = Field(None, description="what to do with masks beside images")
    separator: str | None = Field(None, description="what stands between labels of one cell; none: nothing does")
    max_images: Annotated[int, Field(ge=4)] | None = Field(10_000, description="read at most so many; null for all")
    test_share: Annotated[float, Field(gt=0, lt=1)] = Field(0.3, description="of every class, where there is no split")
    duplicate_threshold: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        ALIKE, description="thumbnails differing by less, as a share of their contrast, are near-duplicates; null: none"
    )
    flip: bool | None = Field(None, description="whether a mirrored image keeps its label; for fine-tuning")
    licence: str | list[str] | None = Field(None, description="permissive, or the licences that will do as a list")
    parameters: str | float | None = Field(None, description="at most so many, for instance 25M")
    input_size: int | None = Field(None, description="at most so many pixels a side")
    speed: float | None = Field(None, description="at least so many images a second, one thread of this machine")
    memory: float | None = Field(None, description="at most so many MB to fine-tune with 32 images a step, estimated")
    fetch: bool | None = Field(
        None, description="whether weights that are not here are downloaded; not given: a terminal is asked, else no"
    )
    looks: str | int | None = Field(
        None, description="look at fine-tuning so many of the first candidates, or as many as fit in a time: 5, 60s"
    )
    budget: str | float | None = Field(None, description="time to fine-tune, for instance 30m: ranking goes on to that")
    try_others: bool = Field(True, description="with a budget: false gives all of it to the first model")
    calibrate: bool = Field(
        True, description="with a budget: keep a tenth of the training images aside, to judge and calibrate the model"
    )
    country: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = Field(
        None, description="with a budget and codecarbon: three letters, such as DEU, whose electricity makes the CO₂"
    )
    export: Literal["onnx", "torchscript"] | list[Literal["onnx", "torchscript"]] | None = Field(
        None, description="with a budget: also write the trained model as onnx, torchscript or [onnx,torchscript]"
    )
    html: bool = Field(True, description="whether to write the page")
